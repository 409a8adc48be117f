//! Rooms, opened as the configuration says. What cannot be opened is told in one line with the key it came from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{
    ControlLog, JetStreamControl, JetStreamControlOptions, JetStreamLog, JetStreamOptions, LocalLog, LocalLogOptions,
    Shipper, ShipperHandle, ShipperOptions, WaitFor,
};
use hansard_identity::IdentityOptions;
use hansard_ingest_proxy::Options;

use crate::config::{Config, Nats};
use crate::failure::{Failure, reasons};
use crate::note;

#[cfg(any(feature = "record", feature = "query"))]
mod readers;

#[cfg(any(feature = "record", feature = "query"))]
pub(crate) use readers::*;

/// Most bytes on their way to the stream.
const SHIPPING_WINDOW: usize = 16 << 20;

/// Runs something asynchronous on this thread, with the configuration read.
pub(crate) fn with_config<T>(file: &Path, work: impl AsyncFnOnce(&Config) -> Result<T, Failure>) -> Result<T, Failure> {
    let config = Config::load(file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start threads: {error}")))?;
    runtime.block_on(work(&config))
}

/// How the work is divided: as configured, as the folder has it, or one for each core: each has a thread of the proxy.
fn shards(config: &Config) -> Result<u16, Failure> {
    if let Some(shards) = config.event_log.shards {
        return Ok(shards);
    }
    let path = &config.event_log.path;
    let existing = LocalLog::shards_of(path)
        .map_err(|error| Failure::usage(format!("event_log.path {}: {}", path.display(), reasons(&error))))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(existing.unwrap_or_else(|| u16::try_from(cores.min(16)).unwrap_or(16)))
}

/// The log folder, taken over for writing.
pub(crate) fn local_log(config: &Config) -> Result<Arc<LocalLog>, Failure> {
    let log = &config.event_log;
    LocalLog::open(LocalLogOptions {
        path: log.path.clone(),
        shards: shards(config)?,
        fsync: log.fsync,
        segment_bytes: log.segment_bytes,
        max_bytes: log.max_bytes,
    })
    .map_err(|error| {
        let reason = match error {
            hansard_event_log::Error::InUse(_) => note::writer(config),
            other => reasons(&other),
        };
        Failure::usage(format!("event_log.path {}: {reason}", log.path.display()))
    })
}

/// Says who writes the log already, before anything is bound or made.
pub(crate) fn nobody_else_writes(config: &Config) -> Result<(), Failure> {
    let path = &config.event_log.path;
    match LocalLog::is_in_use(path) {
        true => Err(Failure::usage(format!("event_log.path {}: {}", path.display(), note::writer(config)))),
        false => Ok(()),
    }
}

/// The stream in NATS.
pub(crate) async fn stream(config: &Config, nats: &Nats) -> Result<Arc<JetStreamLog>, Failure> {
    JetStreamLog::connect(JetStreamOptions {
        servers: nats.servers.clone(),
        credentials_file: nats.credentials_file.clone(),
        stream: nats.stream.clone(),
        replicas: usize::from(nats.replicas),
        shards: shards(config)?,
        max_bytes: nats.max_bytes,
    })
    .await
    .map_err(|error| Failure::usage(format!("event_log.servers {}: {}", nats.servers.join(", "), reasons(&error))))
}

/// Longer than a revocation, and than a lease.
const CONTROL_AGE: Duration = Duration::from_secs(8 * 24 * 3600);

/// The control feed of whoever writes the log, or of all who share the stream.
pub(crate) async fn control(
    config: &Config,
    local: Option<&Arc<LocalLog>>,
    stream: Option<&Arc<JetStreamLog>>,
) -> Result<Option<Arc<dyn ControlLog>>, Failure> {
    let failed = |key: &str, error: &hansard_event_log::Error| Failure::usage(format!("{key}: {}", reasons(error)));
    if let (Some(stream), Some(nats)) = (stream, &config.event_log.nats) {
        let options = JetStreamControlOptions { max_age: CONTROL_AGE, replicas: usize::from(nats.replicas) };
        let feed = JetStreamControl::open(stream.clone(), options).await;
        return Ok(Some(feed.map_err(|error| failed("event_log.servers", &error))?));
    }
    match local {
        Some(local) => Ok(Some(local.control().map_err(|error| failed("event_log.path", &error))?)),
        None => Ok(None),
    }
}

/// Whose tokens are believed.
pub(crate) fn identity_options(config: &Config) -> IdentityOptions {
    IdentityOptions {
        issuers: config.issuers.iter().map(|issuer| issuer.options.clone()).collect(),
        ..IdentityOptions::default()
    }
}

/// Starts to move what the local log takes to the stream.
pub(crate) fn ship(local: &Arc<LocalLog>, stream: &Arc<JetStreamLog>, nats: &Nats) -> ShipperHandle {
    let wait_for = if nats.wait_for_stream { WaitFor::Stream } else { WaitFor::Spool };
    Shipper::start(local.clone(), stream.clone(), ShipperOptions { window_bytes: SHIPPING_WINDOW, wait_for })
}

/// What the proxy is told.
pub(crate) fn proxy_options(config: &Config) -> Result<Options, Failure> {
    let options = Options {
        targets: config.targets.clone(),
        identity: identity_options(config),
        durability: config.durability,
        log_patience: config.proxy.log_patience,
        shutdown_grace: config.proxy.shutdown_grace,
        max_sessions: config.proxy.max_sessions,
        max_unauthenticated: config.proxy.max_unauthenticated,
        session_id: config.proxy.session_id,
        on_revocation: config.leases.on_revocation,
        ..Options::default()
    };
    options.validate().map_err(|error| Failure::usage(format!("{}: {error}", config.file.display())))?;
    Ok(options)
}
