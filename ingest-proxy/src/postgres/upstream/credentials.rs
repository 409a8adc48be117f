//! The password for a target's database, wherever it is kept.
//!
//! Invariants: keys that were derived from a password are used with that password alone; a command is run once at a time, and at
//! most every [`AGAIN`], whoever connects; one that fails, or hangs, leaves the password of before; what it has started goes with
//! it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansard_tls::files::{self, FromFiles};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::Instant;

use super::scram;
use crate::options::{Password, PasswordCommand, TargetOptions};

/// For one run of a command.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a session waits for a run where there is what was printed before.
const OVERDUE: Duration = Duration::from_secs(1);

/// For the last of the output of a program that has ended.
const REST: Duration = Duration::from_millis(100);

/// Between two runs of a command, whatever they are on account of.
const AGAIN: Duration = Duration::from_secs(5);

/// Longest password of a command, in bytes.
const LONGEST: usize = 4096;

/// A password, and the keys that it has become: another password has others.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) password: Password,
    pub(super) keys: scram::Keys,
}

impl Credentials {
    fn new(password: Password) -> Credentials {
        Credentials { password, keys: scram::Keys::default() }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) enum Source {
    None,
    Configured(Arc<Credentials>),
    File(FromFiles<Credentials>),
    Command(Command),
}

impl Source {
    pub(super) fn open(target: &TargetOptions) -> Result<Source, String> {
        let upstream = &target.upstream;
        if let Some(command) = &upstream.password_command {
            return Ok(Source::Command(Command::new(command.clone())));
        }
        if let Some(file) = &upstream.password_file {
            let (name, path) = (format!("password of target \"{}\"", target.name), file.clone());
            let read = move || secret(&path).map(Credentials::new);
            return FromFiles::open(name, vec![file.clone()], read).map(Source::File);
        }
        Ok(upstream
            .password
            .clone()
            .map_or(Source::None, |password| Source::Configured(Arc::new(Credentials::new(password)))))
    }

    /// The password as it is now; `Err` says why there is none.
    pub(super) async fn get(&self) -> Result<Arc<Credentials>, String> {
        match self {
            Source::None => Err("it asks for a password and none is configured".to_owned()),
            Source::Configured(credentials) => Ok(credentials.clone()),
            Source::File(file) => Ok(file.get()),
            Source::Command(command) => command.get().await,
        }
    }

    /// The database did not take the password: there may be a new one.
    pub(super) fn refused(&self) {
        if let Source::Command(command) = self {
            command.refused.store(true, Ordering::Relaxed);
        }
    }
}

/// A password out of its file; editors put a newline at the end.
fn secret(file: &Path) -> Result<Password, String> {
    let wrong = |reason: &str| format!("upstream_password_file {}: {reason}", file.display());
    password(files::read(file).map_err(|reason| wrong(&reason))?).map_err(wrong)
}

fn password(text: Vec<u8>) -> Result<Password, &'static str> {
    let text = String::from_utf8(text).map_err(|_| "is not UTF-8")?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty"),
        password if password.contains(['\n', '\0']) => Err("has more than one line, or a zero byte"),
        password => Ok(Password::new(password)),
    }
}

/// A program that prints the password.
#[derive(Debug, Clone)]
pub(super) struct Command {
    options: Arc<PasswordCommand>,
    state: Arc<watch::Sender<State>>,
    refused: Arc<AtomicBool>,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// With when it was printed.
    printed: Option<(Arc<Credentials>, Instant)>,
    /// When it was run last, and whether it still runs.
    ran_at: Option<Instant>,
    runs: bool,
    /// Why the last run brought nothing.
    trouble: Option<String>,
}

impl Command {
    fn new(options: PasswordCommand) -> Command {
        Command { options: Arc::new(options), state: Arc::default(), refused: Arc::default() }
    }

    /// What was printed last, unless it is time for a run: that is waited for, where there is nothing of before for ever, and
    /// else for [`OVERDUE`]. A session that gives up does not end the run.
    async fn get(&self) -> Result<Arc<Credentials>, String> {
        let mut states = self.state.subscribe();
        let mut begins = false;
        self.state.send_if_modified(|state| {
            let kept = state.printed.as_ref().is_some_and(|(_, at)| at.elapsed() < self.options.kept);
            let rests = state.runs || state.ran_at.is_some_and(|at| at.elapsed() < AGAIN);
            begins = !rests && (!kept || self.refused.swap(false, Ordering::Relaxed));
            if begins {
                (state.runs, state.ran_at) = (true, Some(Instant::now()));
            }
            false
        });
        if begins {
            let command = self.clone();
            tokio::spawn(async move {
                let ran = run(&command.options.words).await;
                command.state.send_modify(|state| command.take(state, ran));
            });
        }
        let printed = states.borrow().printed.clone();
        let ended = states.wait_for(|state| !state.runs);
        match printed {
            None => drop(ended.await),
            Some(_) => drop(tokio::time::timeout(OVERDUE, ended).await),
        }
        let state = self.state.borrow();
        match (&state.printed, &state.trouble) {
            (Some((credentials, _)), _) => Ok(credentials.clone()),
            (None, trouble) => Err(trouble.clone().unwrap_or_default()),
        }
    }

    /// A run has ended.
    fn take(&self, state: &mut State, ran: Result<Password, String>) {
        state.runs = false;
        match ran {
            Ok(password) => {
                let known = state.printed.take().map(|(credentials, _)| credentials);
                let same = known.filter(|known| known.password == password);
                let credentials = same.unwrap_or_else(|| Arc::new(Credentials::new(password)));
                (state.printed, state.trouble) = (Some((credentials, Instant::now())), None);
            }
            Err(reason) => {
                let program = self.options.words.first().map_or("", String::as_str);
                tracing::error!(%program, %reason, "upstream_password_command has failed; what it printed before stays");
                state.trouble = Some(format!("upstream_password_command {program} {reason}"));
            }
        }
    }
}

/// Runs a program without a shell, in a group of processes of its own. What it says on standard error goes to Hansard's own.
async fn run(words: &[String]) -> Result<Password, String> {
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let ended = tokio::time::timeout(PATIENCE, printed(&mut child)).await;
    // What it has started goes with it.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    match ended.map_err(|_| format!("did not end within {} s", PATIENCE.as_secs()))? {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok((_, None)) => Err(format!("printed more than {LONGEST} bytes")),
        Ok((_, Some(status))) if !status.success() => Err(format!("ended with {status}")),
        Ok((printed, Some(_))) => password(printed).map_err(|reason| format!("printed what {reason}")),
    }
}

/// What a program prints, and how it ends; `None`: it prints too much. What it has started may hold its output open: it is not
/// waited for.
async fn printed(child: &mut Child) -> std::io::Result<(Vec<u8>, Option<ExitStatus>)> {
    let mut printed = Vec::new();
    let Some(mut output) = child.stdout.take() else { return Ok((printed, Some(child.wait().await?))) };
    let mut rest = None;
    loop {
        let mut chunk = [0; 1024];
        let read = match rest {
            None => tokio::select! {
                biased;
                read = output.read(&mut chunk) => read?,
                status = child.wait() => {
                    rest = Some(status?);
                    continue;
                }
            },
            Some(_) => tokio::time::timeout(REST, output.read(&mut chunk)).await.unwrap_or(Ok(0))?,
        };
        printed.extend_from_slice(&chunk[..read]);
        match (read, rest) {
            _ if printed.len() > LONGEST => return Ok((printed, None)),
            (0, Some(status)) => return Ok((printed, Some(status))),
            (0, None) => return Ok((printed, Some(child.wait().await?))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn what_a_command_prints_is_the_password_or_why_there_is_none() {
        assert_eq!(run(&shell("echo s3cret")).await.unwrap().reveal(), "s3cret");
        for (script, reason) in [
            ("echo s3cret; exit 3", "ended with exit status: 3"),
            ("true", "is empty"),
            ("yes s3cret", "more than 4096 bytes"),
            ("printf '\\377'", "is not UTF-8"),
            ("printf 's3cret\\nmore'", "more than one line"),
        ] {
            let told = run(&shell(script)).await.unwrap_err();
            assert!(told.contains(reason) && !told.contains("s3cret"), "{script}: {told}");
        }
        // What it leaves behind does not keep its password from being taken, and goes with it.
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let script = format!("(sleep 2; touch {}) & echo s3cret", alive.display());
        assert_eq!(run(&shell(&script)).await.unwrap().reveal(), "s3cret");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!alive.exists());
        let told = run(&["/nowhere/vault".to_owned()]).await.unwrap_err();
        assert!(told.contains("cannot be started"), "{told}");
    }

    /// As if so much time had passed. (A paused clock would run on while a program is waited for.)
    fn pass(source: &Source, time: Duration) {
        let Source::Command(command) = source else { panic!("{source:?}") };
        command.state.send_modify(|State { printed, ran_at, .. }| {
            for at in ran_at.iter_mut().chain(printed.iter_mut().map(|(_, at)| at)) {
                *at -= time;
            }
        });
    }

    #[tokio::test]
    async fn a_command_is_run_again_when_it_is_due_or_the_password_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (runs, word) = (folder.path().join("runs"), folder.path().join("word"));
        std::fs::write(&word, "first").unwrap();
        let script = format!("echo x >> {}; cat {}", runs.display(), word.display());
        let source =
            Source::Command(Command::new(PasswordCommand { words: shell(&script), kept: Duration::from_secs(60) }));
        let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
        let (one, two) = tokio::join!(source.get(), source.get());
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        assert_eq!(count(), 1);
        std::fs::write(&word, "second").unwrap();
        assert_eq!(source.get().await.unwrap().password.reveal(), "first");
        source.refused();
        // Not as often as somebody connects.
        assert_eq!(source.get().await.unwrap().password.reveal(), "first");
        pass(&source, AGAIN);
        assert_eq!((source.get().await.unwrap().password.reveal(), count()), ("second", 2));
        std::fs::remove_file(&word).unwrap();
        pass(&source, Duration::from_secs(60));
        assert_eq!((source.get().await.unwrap().password.reveal(), count()), ("second", 3));
        // One that hangs costs a session a moment, once it has printed something, and whoever gives up does not end it.
        let hangs = format!("test -e {0} && sleep 60; touch {0}; echo third", folder.path().join("seen").display());
        let hangs =
            Source::Command(Command::new(PasswordCommand { words: shell(&hangs), kept: Duration::from_secs(60) }));
        assert_eq!(hangs.get().await.unwrap().password.reveal(), "third");
        pass(&hangs, Duration::from_secs(60));
        assert!(tokio::time::timeout(Duration::from_millis(10), hangs.get()).await.is_err());
        let Source::Command(command) = &hangs else { unreachable!() };
        assert!(command.state.borrow().runs);
        assert_eq!(hangs.get().await.unwrap().password.reveal(), "third");
        let broken = Source::Command(Command::new(PasswordCommand { words: shell("exit 1"), kept: Duration::ZERO }));
        assert!(broken.get().await.unwrap_err().contains("upstream_password_command sh ended with exit status: 1"));
    }
}
