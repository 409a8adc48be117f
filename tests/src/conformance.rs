//! The same work twice: straight to a database, and through Hansard. Both ways look the same to whoever does it: the
//! same port, user, password and a fresh cluster, so that what differs is Hansard's doing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::hansard::{Config, Hansard, LOG_IN_AS_DIRECT, Settings};
use crate::postgres::Postgres;
use crate::process::free_port;

pub mod transcript;

/// How the work reaches the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    Via,
}

/// What stays the same whichever way is taken.
#[derive(Debug)]
pub struct Place {
    /// Where clients connect: the database's own port, or Hansard's.
    port: u16,
    /// The database's, with Hansard in front.
    behind: u16,
    config: Config,
    token: String,
    work: TempDir,
}

/// A database to work with, and Hansard where it is in the way.
#[derive(Debug)]
pub struct Stage {
    port: u16,
    token: String,
    work: PathBuf,
    tls: bool,
    // Dropped in this order: Hansard first.
    hansard: Option<Hansard>,
    postgres: Postgres,
}

impl Place {
    /// With TLS to the job and to the database, the direct way too, where `tls` says so.
    pub fn new(tls: bool) -> Result<Place> {
        let work = tempfile::Builder::new().prefix("hansard-conformance-").tempdir()?;
        // The database's server reads and writes files here as somebody else.
        std::fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let (port, behind) = (free_port()?, free_port()?);
        let settings = Settings {
            role: Some("postgres"),
            tls: tls.then(|| "sslmode=require".to_owned()),
            more: LOG_IN_AS_DIRECT.to_owned(),
            ..Settings::default()
        };
        let config = Config::within(&work.path().join("hansard"), behind, &settings)?;
        let text = std::fs::read_to_string(config.file())?;
        let (any, this) = ("listen = \"127.0.0.1:0\"\nupstream", format!("listen = \"127.0.0.1:{port}\"\nupstream"));
        anyhow::ensure!(text.contains(any), "the target's address is not where it is expected:\n{text}");
        std::fs::write(config.file(), text.replace(any, &this))?;
        let token = config.ask("token", &["--subject", "suite", "--ttl", "24h"])?.trim().to_owned();
        std::fs::write(config.folder().join("secrets/upstream"), &token)?;
        Ok(Place { port, behind, config, token, work })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of everybody, straight or through Hansard.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A folder of this place, which the database's server can reach too.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A fresh cluster, and a fresh Hansard in front of it where it goes via Hansard.
    pub async fn stage(&self, way: Way) -> Result<Stage> {
        let port = if way == Way::Direct { self.port } else { self.behind };
        let tls = self.config.certificate().is_some();
        let settings = ["max_prepared_transactions=10", "wal_level=logical", if tls { "ssl=on" } else { "ssl=off" }];
        let postgres = Postgres::start_on(Some(port), &settings).await?;
        let superuser = postgres.superuser("postgres").await?;
        superuser.batch_execute(&format!("ALTER ROLE postgres PASSWORD '{}'", self.token)).await?;
        let data = self.config.data();
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
        }
        let hansard = if way == Way::Via { Some(self.config.start("up")?) } else { None };
        let (token, work) = (self.token.clone(), self.work.path().to_owned());
        Ok(Stage { port: self.port, token, work, tls, hansard, postgres })
    }
}

impl Stage {
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Whether TLS can be had.
    pub fn tls(&self) -> bool {
        self.tls
    }

    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    pub fn hansard(&mut self) -> Option<&mut Hansard> {
        self.hansard.as_mut()
    }

    /// Has a program find the stage as libpq does.
    pub fn surround(&self, command: &mut Command) {
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(variable);
        }
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", &self.token);
    }

    /// One of PostgreSQL's client programs, which finds the stage.
    pub fn client(&self, program: &str) -> Command {
        let mut command = self.postgres.client_program(program);
        self.surround(&mut command);
        command
    }

    /// Statements by the superuser, past Hansard.
    pub async fn prepare(&self, database: &str, statements: &[&str]) -> Result<()> {
        let client = self.postgres.superuser(database).await?;
        for statement in statements {
            client.batch_execute(statement).await.with_context(|| format!("cannot prepare: {statement}"))?;
        }
        Ok(())
    }
}
