//! Programs that are started and stopped: where they are, whether they run, how they end.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running program, stopped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
}

/// How a program that ran to its end ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Running {
    pub fn start(name: &str, command: &mut Command) -> Result<Running> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Running { child, name: name.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal by its name: `INT`, `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name)
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Sends a signal and waits for the end.
    pub fn stop(&mut self, name: &str, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(name)?;
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("{} has not ended {} s after SIG{name}", self.name, patience.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop("INT", Duration::from_secs(10)).is_err() {
            // Nobody to tell; the kernel cleans up the rest.
            let _ = self.kill();
        }
    }
}

/// Sends a signal to a process.
pub fn signal(id: u32, name: &str) -> Result<()> {
    // The shell's own kill: a bare system need not have the program.
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("process {id} cannot be sent SIG{name}");
    }
    Ok(())
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Result<Ended> {
    let output = command.stdin(Stdio::null()).output();
    Ok(output.with_context(|| format!("cannot start {}", command.get_program().display()))?.into())
}

/// Runs a program to its end, with something to read.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<Ended> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("a pipe was asked for")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    // It may have ended without reading everything.
    let _ = writer.join();
    Ok(output.into())
}

/// Runs a program to its end; anything but success is an error with its output.
pub fn succeed(command: &mut Command) -> Result<String> {
    let ended = run(command)?;
    if ended.code != Some(0) {
        bail!("{} ended with {:?}: {}{}", command.get_program().display(), ended.code, ended.stdout, ended.stderr);
    }
    Ok(ended.stdout)
}

/// A port of this machine that nobody listened on a moment ago.
///
/// Below those that the system gives to outgoing connections: one of the tests beside this one would take it before
/// somebody listens on it.
pub fn free_port() -> Result<u16> {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.subsec_nanos();
    let first = std::process::id().wrapping_mul(7919) ^ nanos;
    for attempt in 0..1000 {
        let port = 12_000 + u16::try_from(first.wrapping_add(attempt) % 18_000)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port below the system's own")
}

/// The program of our own with that name, beside the one that runs.
pub fn own_program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let mut folder = here.parent().context("a program lies in a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in a folder")?;
    }
    let program = folder.join(name);
    if !program.exists() {
        bail!(
            "{} is not built: run `cargo build --workspace --bins`, or all of it by `cargo xtask test`",
            program.display()
        );
    }
    Ok(program)
}

/// A program of the system.
pub fn system_program(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Asks again and again until there is an answer; the last error when there is none in time.
pub fn eventually<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let until = Instant::now() + patience;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > until => {
                return Err(error.context(format!("{what}: not within {} s", patience.as_secs())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The end of a log file, to show with a failure.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
