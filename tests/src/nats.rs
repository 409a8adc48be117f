//! A throw-away NATS server with JetStream.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::process::{Running, eventually, free_port, system_program, tail};

/// A NATS server that can be killed and started again with what it had stored.
#[derive(Debug)]
pub struct Nats {
    running: Option<Running>,
    program: PathBuf,
    port: u16,
    folder: TempDir,
}

impl Nats {
    pub fn start() -> Result<Nats> {
        let folder = tempfile::Builder::new().prefix("hansard-nats-").tempdir()?;
        let mut nats = Nats { running: None, program: program()?, port: free_port()?, folder };
        nats.serve()?;
        Ok(nats)
    }

    /// Section `[event_log]`, with a stream that small disks have room for: the server reserves it.
    pub fn event_log(&self) -> String {
        self.event_log_of("1GiB")
    }

    /// The same with a stream of another size.
    pub fn event_log_of(&self, stream_max_size: &str) -> String {
        let url = self.url();
        format!("backend = \"nats\"\nservers = [\"{url}\"]\nstream_max_size = \"{stream_max_size}\"\n")
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Process id; `None` while it does not run.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Sends a signal: `STOP` has it stall, `CONT` go on.
    pub fn signal(&self, name: &str) -> Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.signal(name))
    }

    pub fn kill(&mut self) -> Result<()> {
        match self.running.take() {
            Some(mut running) => running.kill(),
            None => Ok(()),
        }
    }

    /// Starts, or starts again on the same port and store.
    pub fn serve(&mut self) -> Result<()> {
        let path = self.folder.path().join("nats.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let mut command = Command::new(&self.program);
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]);
        command.arg(self.folder.path().join("store")).stdout(log.try_clone()?).stderr(log);
        let mut running = Running::start("nats-server", &mut command)?;
        let up = eventually("nats-server listens", Duration::from_secs(20), || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", self.port)).map(drop)?)
        });
        if up.is_err() || running.ended().is_some() {
            bail!("nats-server does not start: {}", tail(&path));
        }
        self.running = Some(running);
        Ok(())
    }
}

fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        return Ok(program.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("hansard/venv/bin").display().to_string())
        .unwrap_or_default();
    match system_program("nats-server", &[&cache]) {
        Some(program) => Ok(program),
        None => bail!("there is no nats-server: `cargo xtask test` brings one, or name yours in NATS_SERVER"),
    }
}
