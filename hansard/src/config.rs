//! The configuration: TOML, overridden by `HANSARD__…` variables, checked as a whole before anything binds.
//!
//! Whoever holds a [`Config`] holds one that makes sense: times and sizes are numbers, paths are absolute (relative
//! ones are relative to the file), what belongs together is together. Secrets are read when their service
//! starts, and are in no error and no log line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hansard_event_log::Fsync;
use hansard_identity::{IssuerOptions, KeySource};
use hansard_ingest_proxy::{Durability, OnRevocation, SessionId, TargetOptions};

mod capture;
mod issuers;
mod leases;
mod raw;
mod read;
mod targets;
#[cfg(test)]
mod tests;
mod tls;
mod validate;

#[cfg(feature = "query")]
pub(crate) use leases::LONGEST as LONGEST_LEASE;
pub(crate) use validate::duration;

/// What a process of Hansard was told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) file: PathBuf,
    /// Health and metrics; none without an address.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) logging: Logging,
    pub(crate) event_log: EventLog,
    pub(crate) durability: Durability,
    /// Who may read the record besides its owner.
    pub(crate) group: Option<Group>,
    pub(crate) lake: Lake,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) proxy: Proxy,
    pub(crate) targets: Vec<TargetOptions>,
    /// Accepted and warned about: this version enforces nothing, and `unrestricted` says that this is known.
    pub(crate) policy_dir: Option<String>,
    pub(crate) query: Query,
    pub(crate) web: Option<Web>,
    pub(crate) leases: Leases,
    /// Beside the log folder: what running processes leave for the commands that read.
    pub(crate) data: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) struct Logging {
    pub(crate) json: bool,
    /// A filter as `tracing-subscriber` reads it.
    pub(crate) level: String,
}

#[derive(Debug, Clone)]
pub(crate) struct EventLog {
    pub(crate) path: PathBuf,
    /// None: the folder's, or one a core for a new one.
    pub(crate) shards: Option<u16>,
    pub(crate) fsync: Fsync,
    pub(crate) segment_bytes: u64,
    pub(crate) max_bytes: u64,
    /// None: embedded.
    pub(crate) nats: Option<Nats>,
}

#[derive(Debug, Clone)]
pub(crate) struct Nats {
    pub(crate) servers: Vec<String>,
    pub(crate) credentials_file: Option<PathBuf>,
    pub(crate) stream: String,
    pub(crate) replicas: u8,
    pub(crate) max_bytes: u64,
    /// A request waits for the stream's acknowledgement, not only for the spool's.
    pub(crate) wait_for_stream: bool,
}

#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "record"), allow(dead_code, reason = "validated in each build, read by the recorder alone"))]
pub(crate) struct Lake {
    pub(crate) url: String,
    pub(crate) catalog: String,
    pub(crate) flush_interval: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    pub(crate) options: IssuerOptions,
    /// Only `hansard token` reads it.
    pub(crate) private_key_file: Option<PathBuf>,
}

impl Issuer {
    /// Its key set, where that is on this machine.
    pub(crate) fn jwks_file(&self) -> Option<&Path> {
        match &self.options.keys {
            KeySource::File(file) => Some(file),
            KeySource::Remote(_) => None,
        }
    }
}

/// Bounds of the proxy.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) max_sessions: usize,
    pub(crate) max_unauthenticated: usize,
    pub(crate) shutdown_grace: Duration,
    pub(crate) log_patience: Duration,
    /// How a job learns the id of its session.
    pub(crate) session_id: SessionId,
}

/// Bounds of the query engine; `None` is its own default.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "validated in each build, read by the engine alone"))]
pub(crate) struct Query {
    /// Accepted and warned about: this version has no Postgres wire for queries.
    pub(crate) pgwire_listen: Option<SocketAddr>,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) hot_limit: Option<u64>,
    pub(crate) row_limit: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) export_timeout: Option<Duration>,
}

impl Query {
    /// A query's time, where none is configured.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
    /// An export's.
    pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(3600);

    /// No query reads a file of the lake for longer.
    #[cfg_attr(not(feature = "record"), allow(dead_code, reason = "the recorder alone deletes files"))]
    pub(crate) fn longest(&self) -> Duration {
        let timeout = self.timeout.unwrap_or(Query::TIMEOUT);
        timeout.max(self.export_timeout.unwrap_or(Query::EXPORT_TIMEOUT))
    }
}

#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "validated in each build, read by the web alone"))]
pub(crate) struct Web {
    pub(crate) listen: SocketAddr,
    pub(crate) token_file: PathBuf,
}

/// What jobs may have leases for.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "validated in each build, given by the web alone"))]
pub(crate) struct Leases {
    pub(crate) enabled: bool,
    pub(crate) max_duration: Duration,
    pub(crate) max_connections: Option<u32>,
    pub(crate) on_revocation: OnRevocation,
}

impl Lake {
    /// The folder of the files.
    pub(crate) fn folder(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("file:").unwrap_or(&self.url))
    }

    /// The catalog's database.
    pub(crate) fn catalog_file(&self) -> PathBuf {
        PathBuf::from(self.catalog.strip_prefix("sqlite:").unwrap_or(&self.catalog))
    }
}

/// A group of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// As in the configuration.
    pub(crate) name: String,
    pub(crate) id: u32,
}

/// Why there is no configuration to work with: everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

/// One thing that is wrong, in one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: {reason}; name the configuration with --config FILE or HANSARD_CONFIG, or make one with `hansard init`", file.display())]
    Unreadable { file: PathBuf, reason: String },
    #[error("{}{}: {reason}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid { file: PathBuf, line: Option<usize>, reason: String },
    #[error("environment variable {name}: {reason}")]
    Variable { name: String, reason: String },
    #[error("{}: {key}: {reason}", file.display())]
    Key { file: PathBuf, key: String, reason: String },
}

impl Config {
    /// Reads and checks the file, with this process's environment over it.
    pub(crate) fn load(file: &Path) -> Result<Config, ConfigErrors> {
        Config::load_with(file, std::env::vars())
    }

    fn load_with(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigErrors> {
        let read = read::read(file, environment).map_err(|error| ConfigErrors(vec![error]))?;
        validate::validate(file, read)
    }
}
