//! The password for a target's database, wherever it is kept.
//!
//! Invariants: keys that were derived from a password are used with that password alone; a command is run once at a time, and at
//! most every [`AGAIN`], whoever connects; one that fails leaves the password of before.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansard_tls::files::{self, FromFiles};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::scram;
use crate::options::{Password, PasswordCommand, TargetOptions};

/// For one run of a command.
const PATIENCE: Duration = Duration::from_secs(10);

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
        password => Ok(Password::new(password)),
    }
}

/// A program that prints the password.
#[derive(Debug)]
pub(super) struct Command {
    options: PasswordCommand,
    state: tokio::sync::Mutex<State>,
    refused: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// With when it was printed.
    printed: Option<(Arc<Credentials>, Instant)>,
    ran_at: Option<Instant>,
    /// Why the last run brought nothing.
    trouble: Option<String>,
}

impl Command {
    fn new(options: PasswordCommand) -> Command {
        Command { options, state: tokio::sync::Mutex::default(), refused: AtomicBool::new(false) }
    }

    async fn get(&self) -> Result<Arc<Credentials>, String> {
        // Whoever comes meanwhile waits for the one run.
        let mut state = self.state.lock().await;
        let kept = state.printed.as_ref().is_some_and(|(_, at)| at.elapsed() < self.options.kept);
        let rests = state.ran_at.is_some_and(|at| at.elapsed() < AGAIN);
        if !rests && (!kept || self.refused.swap(false, Ordering::Relaxed)) {
            let ran = run(&self.options.words).await;
            state.ran_at = Some(Instant::now());
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
        match (&state.printed, &state.trouble) {
            (Some((credentials, _)), _) => Ok(credentials.clone()),
            (None, trouble) => Err(trouble.clone().unwrap_or_default()),
        }
    }
}

/// Runs a program without a shell. What it says on standard error goes to Hansard's own.
async fn run(words: &[String]) -> Result<Password, String> {
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut printed = Vec::new();
    let ended = async {
        if let Some(output) = child.stdout.take() {
            let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
            output.take(most + 1).read_to_end(&mut printed).await?;
        }
        if printed.len() > LONGEST { Ok(None) } else { child.wait().await.map(Some) }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    match ended.map_err(|_| format!("did not end within {} s", PATIENCE.as_secs()))? {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(None) => Err(format!("printed more than {LONGEST} bytes")),
        Ok(Some(status)) if !status.success() => Err(format!("ended with {status}")),
        Ok(Some(_)) => password(printed).map_err(|reason| format!("printed what {reason}")),
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
        ] {
            let told = run(&shell(script)).await.unwrap_err();
            assert!(told.contains(reason) && !told.contains("s3cret"), "{script}: {told}");
        }
        let told = run(&["/nowhere/vault".to_owned()]).await.unwrap_err();
        assert!(told.contains("cannot be started"), "{told}");
    }

    /// As if so much time had passed. (A paused clock would run on while a program is waited for.)
    async fn pass(source: &Source, time: Duration) {
        let Source::Command(command) = source else { panic!("{source:?}") };
        let mut state = command.state.lock().await;
        let State { printed, ran_at, .. } = &mut *state;
        for at in ran_at.iter_mut().chain(printed.iter_mut().map(|(_, at)| at)) {
            *at -= time;
        }
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
        pass(&source, AGAIN).await;
        assert_eq!((source.get().await.unwrap().password.reveal(), count()), ("second", 2));
        std::fs::remove_file(&word).unwrap();
        pass(&source, Duration::from_secs(60)).await;
        assert_eq!((source.get().await.unwrap().password.reveal(), count()), ("second", 3));
        let broken = Source::Command(Command::new(PasswordCommand { words: shell("exit 1"), kept: Duration::ZERO }));
        assert!(broken.get().await.unwrap_err().contains("upstream_password_command sh ended with exit status: 1"));
    }
}
