//! One command with a lease of its own, which ends with it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use hansard_schemas::http::LeaseGiven;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::asking::Instance;
use super::revoke;
use crate::failure::Failure;
use crate::output;

/// Starts the command with the lease in its environment, passes signals on to it, revokes the lease at its end and ends with
/// its exit code.
pub(super) async fn run(instance: &Instance, lease: &LeaseGiven, command: &[String]) -> Result<(), Failure> {
    let ended = start(lease, command).await;
    let reason = Some("the command has ended");
    let mut revoked = revoke(instance, &lease.user, reason).await;
    if let (Err(_), Some(owner)) = (&revoked, instance.as_owner()) {
        // The job's token may have expired meanwhile.
        revoked = revoke(&owner, &lease.user, reason).await;
    }
    if let Err(failure) = revoked {
        output::note(&format!("{} is not revoked, and ends at {}: {failure}", lease.user, lease.expires_at));
    }
    let status = ended?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match u8::try_from(code).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Failure::ended(code)),
    }
}

async fn start(lease: &LeaseGiven, command: &[String]) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::usage("there is no command behind --"));
    };
    let failed = |error: std::io::Error| Failure::usage(format!("cannot run {program}: {error}"));
    let mut signals = Vec::new();
    for (kind, number) in [
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::quit(), Signal::QUIT),
    ] {
        signals.push((signal(kind).map_err(failed)?, number));
    }
    let mut child = Command::new(program)
        .args(arguments)
        // The job's own token is not the command's.
        .env_remove("HANSARD_TOKEN")
        .envs(&lease.environment)
        .spawn()
        .map_err(failed)?;
    let [interrupt, terminate, hangup, quit] = &mut signals[..] else {
        return Err(Failure::internal("there are four signals"));
    };
    loop {
        let passed = tokio::select! {
            status = child.wait() => return status.map_err(failed),
            _ = interrupt.0.recv() => interrupt.1,
            _ = terminate.0.recv() => terminate.1,
            _ = hangup.0.recv() => hangup.1,
            _ = quit.0.recv() => quit.1,
        };
        pass(&child, passed);
    }
}

fn pass(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that has just ended takes none.
        let _ = kill_process(pid, signal);
    }
}
