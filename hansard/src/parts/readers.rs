//! What those need who read the log and the lake: the recorder, the query engine and the web.

use std::sync::Arc;

#[cfg(feature = "query")]
use hansard_event_log::ControlLog;
use hansard_event_log::{EventLog, LocalLogReader};
#[cfg(feature = "query")]
use hansard_identity::Identity;
use hansard_lake::{Lake, LakeOptions};
#[cfg(feature = "query")]
use hansard_query::EngineOptions;
#[cfg(feature = "query")]
use hansard_schemas::http::TargetHint;
#[cfg(feature = "query")]
use hansard_web::{LeaseOptions, LeaseTarget};

use super::stream;
use crate::config::Config;
#[cfg(feature = "query")]
use crate::config::{LONGEST_LEASE, Query};
use crate::failure::{Failure, reasons};

/// The log as another process than its writer reads it; where it is a folder, the reader knows whether it is written.
pub(crate) async fn log_reader(config: &Config) -> Result<(Arc<dyn EventLog>, Option<Arc<LocalLogReader>>), Failure> {
    match &config.event_log.nats {
        Some(nats) => Ok((stream(config, nats).await?, None)),
        None => {
            let path = &config.event_log.path;
            let reader = LocalLogReader::open(path)
                .map_err(|error| Failure::usage(format!("event_log.path {}: {}", path.display(), reasons(&error))))?;
            let reader = Arc::new(reader);
            Ok((reader.clone(), Some(reader)))
        }
    }
}

pub(crate) fn lake_options(config: &Config) -> LakeOptions {
    LakeOptions { url: config.lake.url.clone(), catalog: config.lake.catalog.clone() }
}

/// The lake, to write to; made where there is none.
pub(crate) fn lake(config: &Config) -> Result<Arc<Lake>, Failure> {
    Lake::open(&lake_options(config))
        .map(Arc::new)
        .map_err(|error| Failure::usage(format!("lake.url {}: {}", config.lake.url, reasons(&error))))
}

#[cfg(feature = "query")]
pub(crate) fn engine_options(config: &Config) -> EngineOptions {
    let (query, defaults) = (&config.query, EngineOptions::default());
    EngineOptions {
        memory_limit: query.memory_limit.unwrap_or(defaults.memory_limit),
        row_limit: query.row_limit.unwrap_or(defaults.row_limit),
        timeout: query.timeout.unwrap_or(Query::TIMEOUT),
        export_timeout: query.export_timeout.unwrap_or(Query::EXPORT_TIMEOUT),
        hot_limit_bytes: query.hot_limit.unwrap_or(defaults.hot_limit_bytes),
        ..defaults
    }
}

/// What is needed to give leases, where there is a feed that the proxies follow. The issuers' keys are kept up to date as long as
/// this process runs.
#[cfg(feature = "query")]
pub(crate) fn lease_options(
    config: &Config,
    feed: Option<Arc<dyn ControlLog>>,
    events: Arc<dyn EventLog>,
    addresses: &[(String, std::net::SocketAddr)],
) -> Result<Option<LeaseOptions>, Failure> {
    let Some(feed) = feed else { return Ok(None) };
    let identity = Identity::open(&super::identity_options(config))
        .map_err(|error| Failure::usage(format!("{}: {}", config.file.display(), reasons(&error))))?;
    let identity = Arc::new(identity);
    let kept = identity.clone();
    tokio::spawn(async move { kept.keep().await });
    let target = |target: &hansard_ingest_proxy::TargetOptions| {
        let bound = addresses.iter().find(|(name, _)| *name == target.name).map(|(_, address)| *address);
        let address = bound.unwrap_or(target.listen);
        let host = match address.ip() {
            ip if ip.is_unspecified() && ip.is_ipv6() => "::1".to_owned(),
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => ip.to_string(),
        };
        let (database, tls) = (target.upstream.database.clone(), target.tls.is_some());
        LeaseTarget { name: target.name.clone(), host, port: address.port(), database, tls }
    };
    Ok(Some(LeaseOptions {
        enabled: config.leases.enabled,
        max_duration: config.leases.max_duration.min(LONGEST_LEASE),
        max_connections: config.leases.max_connections,
        identity,
        feed,
        events,
        targets: config.targets.iter().map(target).collect(),
    }))
}

/// How jobs reach the targets, as the web page tells it.
#[cfg(feature = "query")]
pub(crate) fn target_hints(config: &Config, addresses: &[(String, std::net::SocketAddr)]) -> Vec<TargetHint> {
    let database = |name: &str| {
        let target = config.targets.iter().find(|target| target.name == name);
        target.and_then(|target| target.upstream.database.clone())
    };
    let hint = |(name, listen): &(String, std::net::SocketAddr)| TargetHint {
        name: name.clone(),
        listen: listen.to_string(),
        database: database(name),
    };
    addresses.iter().map(hint).collect()
}
