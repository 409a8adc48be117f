//! The services: `up` is all of them in one process, the others one each.
//!
//! Everything is opened and bound before the first service starts, so a mistake never leaves half of Hansard
//! running. They stop in the order of the data: first no new jobs, then what was taken is shipped and recorded,
//! last those who answer questions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(any(feature = "record", feature = "query"))]
use hansard_event_log::EventLog;
use hansard_event_log::{ControlLog, JetStreamLog, LocalLog};
use hansard_ingest_proxy::{Durability, Proxy, Troubles};
#[cfg(feature = "record")]
use hansard_lake::compaction::CompactionOptions;
#[cfg(feature = "query")]
use hansard_query::Engine;
#[cfg(feature = "record")]
use hansard_recorder::{Proxies, Recorder, RecorderOptions};
#[cfg(feature = "query")]
use hansard_web::{Web, WebOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Readiness};
use crate::config::Config;
use crate::failure::{Failure, reasons};
use crate::note::{self, Note};
#[cfg(feature = "query")]
use crate::socket;
use crate::{logging, output, parts, permissions};

/// Which services a process runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Services {
    /// The command's name.
    pub(crate) name: &'static str,
    pub(crate) proxy: bool,
    #[cfg_attr(
        not(any(feature = "record", feature = "query")),
        allow(dead_code, reason = "there is none in this build")
    )]
    pub(crate) recorder: bool,
    pub(crate) web: bool,
}

/// How much longer than the longest query a merged file stays: plans are made, and clocks differ.
#[cfg(feature = "record")]
const MERGED_MARGIN: Duration = Duration::from_secs(60);

/// How long a stop waits for the stream; what it has not acknowledged then is shipped by the next start.
const SHIPPING_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the services until a signal, or until one of them ends by itself.
pub(crate) fn run(file: &std::path::Path, services: Services) -> Result<(), Failure> {
    let config = Config::load(file)?;
    logging::start(&config.logging);
    allow_many_files();
    permissions::prepare(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(&config, services))
}

/// A session has two sockets, and most systems start a service with 1,024 files and the right to more.
fn allow_many_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => tracing::debug!(files, "open files allowed"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

async fn serve(config: &Config, services: Services) -> Result<(), Failure> {
    if services.proxy {
        parts::nobody_else_writes(config)?;
    }
    let health = Arc::new(Health::default());
    let admin = match config.admin {
        Some(address) => Some(Admin::bind(address).await?),
        None => None,
    };
    let mut note = Note {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        admin: admin.as_ref().map(Admin::address),
        ..Note::default()
    };
    let stop_admin = CancellationToken::new();
    let admin = admin.map(|admin| tokio::spawn(admin.serve(readiness(&health), stop_admin.clone())));

    let opened = open(config, services).await?;
    #[cfg(feature = "query")]
    let (opened, _socket) = opened.on_socket(config, services).await?;
    if let Some(proxy) = &opened.proxy {
        warn_of_settings(config);
        note.targets = proxy.addresses().iter().cloned().collect();
    }
    #[cfg(feature = "query")]
    {
        note.web = opened.web.as_ref().map(Web::address);
    }
    note.since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let left = note::leave(config, services.name, &note)?;
    for (target, address) in &note.targets {
        tracing::info!(%target, %address, "listening for jobs");
    }
    if services.web
        && let Some(address) = config.query.pgwire_listen
    {
        tracing::warn!(%address, "query.pgwire_listen is not served by this version: ask by `hansard sql` or over HTTP");
    }
    #[cfg(feature = "query")]
    if let Some(web) = &opened.web {
        tracing::info!(address = %web.address(), "web replay and api are up");
        // The link is a secret for an hour: to the terminal, not to the log.
        output::line(&format!("open {}", web.login_link()))?;
    }
    health.watch(&opened);
    let ended = opened.run(&health, &note).await;
    drop(left);
    stop_admin.cancel();
    if let Some(admin) = admin {
        // Its own end says nothing about the record.
        let _ = admin.await;
    }
    tracing::info!("stopped");
    ended
}

/// What `/readyz` goes by.
#[derive(Default)]
struct Health {
    /// Set once all of them run.
    parts: OnceLock<Parts>,
    stopping: AtomicBool,
}

/// What can hinder the service.
struct Parts {
    #[cfg(feature = "record")]
    recorder: Option<Arc<Recorder>>,
    local: Option<Arc<LocalLog>>,
    stream: Option<Arc<JetStreamLog>>,
    troubles: Option<Troubles>,
    #[cfg(feature = "query")]
    queries: Option<Arc<Engine>>,
}

impl Health {
    /// From now on the process is ready, as far as these parts are.
    fn watch(&self, opened: &Opened) {
        self.parts.get_or_init(|| Parts {
            #[cfg(feature = "record")]
            recorder: opened.recorder.clone(),
            local: opened.local.clone(),
            stream: opened.stream.clone(),
            troubles: opened.proxy.as_ref().map(Proxy::troubles),
            #[cfg(feature = "query")]
            queries: opened.web.as_ref().map(Web::engine),
        });
    }

    /// What is not known, or not answered, although jobs are served.
    fn remarks(&self) -> Vec<String> {
        let Some(parts) = self.parts.get() else { return Vec::new() };
        let remarks = parts.troubles.as_ref().map(Troubles::now).unwrap_or_default();
        #[cfg(feature = "query")]
        let remarks: Vec<String> = {
            let queries = parts.queries.as_ref().and_then(|engine| engine.load().remark());
            remarks.into_iter().chain(queries).collect()
        };
        remarks
    }

    /// Why jobs are not served, or not recorded to the end.
    fn hindrance(&self) -> Option<String> {
        let Some(parts) = self.parts.get() else { return Some("starting".to_owned()) };
        if self.stopping.load(Ordering::SeqCst) {
            return Some("stopping".to_owned());
        }
        let stream = parts.stream.as_ref().and_then(|stream| stream.trouble());
        let hindrance = stream.or_else(|| parts.local.as_ref()?.refusal());
        #[cfg(feature = "record")]
        let hindrance = hindrance.or_else(|| {
            let failures = parts.recorder.as_ref()?.failures();
            failures.first().map(|(shard, reason)| format!("shard {shard} is not recorded: {reason}"))
        });
        hindrance
    }
}

fn readiness(health: &Arc<Health>) -> Readiness {
    let health = health.clone();
    Arc::new(move || match health.hindrance() {
        Some(reason) => Err(reason),
        None => Ok(health.remarks()),
    })
}

fn warn_of_settings(config: &Config) {
    tracing::warn!("policy.unrestricted is true: every job may do what the upstream role may do");
    if let Some(dir) = &config.policy_dir {
        tracing::warn!(dir, "policy.dir is not read: this version enforces no policies");
    }
    match config.durability {
        Durability::WriteAhead => {}
        Durability::Off => tracing::warn!("recording.durability is off: sessions are NOT recorded"),
        other => {
            tracing::warn!(durability = ?other, "a crash may lose what ran last: recording.durability is not write-ahead")
        }
    }
}

/// Everything of a process, opened and bound, nothing running.
#[derive(Default)]
struct Opened {
    proxy: Option<Proxy>,
    shipper: Option<hansard_event_log::ShipperHandle>,
    #[cfg(feature = "record")]
    recorder: Option<Arc<Recorder>>,
    #[cfg(feature = "query")]
    web: Option<Web>,
    /// What this process writes.
    local: Option<Arc<LocalLog>>,
    stream: Option<Arc<JetStreamLog>>,
    /// Leases and revocations.
    feed: Option<Arc<dyn ControlLog>>,
}

async fn open(config: &Config, services: Services) -> Result<Opened, Failure> {
    let mut opened = Opened::default();
    let proxy_options = services.proxy.then(|| parts::proxy_options(config)).transpose()?;
    if services.web && config.web.is_none() && services.name != "up" {
        return Err(Failure::usage(format!(
            "{}: web.listen is missing: `{}` answers there",
            config.file.display(),
            services.name
        )));
    }
    #[cfg(any(feature = "record", feature = "query"))]
    let lake = (services.recorder || services.web).then(|| parts::lake(config)).transpose()?;
    if let Some(options) = proxy_options {
        let local = parts::local_log(config)?;
        // Addresses first: a taken port should not leave a shipper behind.
        let proxy = Proxy::bind(options, local.clone()).map_err(|error| Failure::usage(reasons(&error)))?;
        opened.proxy = Some(proxy);
        opened.local = Some(local.clone());
        if let Some(nats) = &config.event_log.nats {
            let stream = parts::stream(config, nats).await?;
            opened.shipper = Some(parts::ship(&local, &stream, nats));
            opened.stream = Some(stream);
        }
        opened.feed = parts::control(config, Some(&local), opened.stream.as_ref()).await?;
        opened.proxy = match (opened.proxy.take(), &opened.feed) {
            (Some(proxy), Some(feed)) => Some(proxy.with_control(feed.clone())),
            (proxy, _) => proxy,
        };
    }
    #[cfg(any(feature = "record", feature = "query"))]
    if let Some(lake) = lake {
        open_readers(config, services, &mut opened, lake).await?;
    }
    Ok(opened)
}

/// Those who read the log and the lake.
#[cfg(any(feature = "record", feature = "query"))]
async fn open_readers(
    config: &Config,
    services: Services,
    opened: &mut Opened,
    lake: Arc<hansard_lake::Lake>,
) -> Result<(), Failure> {
    let mut folder = None;
    let log: Arc<dyn EventLog> = match (&opened.stream, &opened.local, &config.event_log.nats) {
        (Some(stream), ..) => stream.clone(),
        (None, Some(local), _) => local.clone(),
        (None, None, Some(nats)) => opened.stream.insert(parts::stream(config, nats).await?).clone(),
        (None, None, None) => {
            let (log, reader) = parts::log_reader(config).await?;
            folder = reader;
            log
        }
    };
    #[cfg(feature = "record")]
    if services.recorder {
        let proxies = match folder {
            // Another process writes there: its end shows in that it no longer does.
            Some(folder) => Proxies::OneWriter(Arc::new(move || folder.is_written())),
            None => Proxies::WriteTheirEnd,
        };
        let options = RecorderOptions {
            proxies,
            stop_patience: config.proxy.shutdown_grace,
            // Queries may go on reading what was merged away.
            compaction: Some(CompactionOptions {
                linger: config.query.longest() + MERGED_MARGIN,
                ..CompactionOptions::default()
            }),
            ..RecorderOptions::new(config.lake.flush_interval, Arc::new(now))
        };
        opened.recorder = Some(Arc::new(Recorder::new(options, log.clone(), lake.clone())));
    }
    #[cfg(feature = "query")]
    if let (true, Some(web)) = (services.web, &config.web) {
        let addresses = opened.proxy.as_ref().map_or(&[][..], Proxy::addresses);
        if opened.feed.is_none() {
            opened.feed = parts::control(config, None, opened.stream.as_ref()).await?;
        }
        let leases = parts::lease_options(config, opened.feed.clone(), log.clone(), addresses)?;
        let engine = Engine::new(lake, Some(log), parts::engine_options(config));
        let options = WebOptions {
            listen: web.listen,
            token_file: web.token_file.clone(),
            login_command: crate::login::command(&config.file),
            targets: parts::target_hints(config, addresses),
            leases,
        };
        opened.web = Some(Web::bind(options, Arc::new(engine)).await.map_err(|error| Failure::usage(reasons(&error)))?);
    }
    Ok(())
}

/// Nanoseconds since 1970, UTC.
#[cfg(feature = "record")]
fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// One service, and how it ended.
type Service = (&'static str, Result<(), String>);

impl Opened {
    /// The web, where there is one, answers beside the data as well: there the commands ask that read.
    #[cfg(feature = "query")]
    async fn on_socket(
        mut self,
        config: &Config,
        services: Services,
    ) -> Result<(Opened, Option<socket::Bound>), Failure> {
        let Some(web) = self.web.take() else { return Ok((self, None)) };
        let (listener, bound) = socket::bind(config, services.name).await?;
        self.web = Some(web.also_on(listener));
        Ok((self, Some(bound)))
    }

    /// Runs until a signal, or until a service ends by itself: then the others are stopped, and that is the failure.
    async fn run(self, health: &Health, note: &Note) -> Result<(), Failure> {
        let stop = [CancellationToken::new(), CancellationToken::new(), CancellationToken::new()];
        let [stop_proxy, stop_recorder, stop_web] = stop.clone();
        let mut running: [JoinSet<Service>; 3] = Default::default();
        if let Some(proxy) = self.proxy {
            let stop = stop_proxy.clone();
            running[0].spawn(async move { ("proxy", proxy.serve(stop).await.map_err(|error| reasons(&error))) });
        }
        #[cfg(feature = "record")]
        if let Some(recorder) = self.recorder {
            let stop = stop_recorder.clone();
            running[1].spawn(async move { ("recorder", recorder.run(stop).await.map_err(|error| reasons(&error))) });
        }
        #[cfg(feature = "query")]
        if let Some(web) = self.web {
            let stop = stop_web.clone();
            running[2].spawn(async move { ("web", web.serve(stop).await.map_err(|error| reasons(&error))) });
        }
        output::line(format!("ready: {}", note.addresses()).trim_end_matches([':', ' ']))?;
        let [proxy, recorder, web] = &mut running;
        let mut failures: Vec<String> = Vec::new();
        tokio::select! {
            signal = asked_to_stop() => tracing::info!(signal = signal?, "stopping"),
            Some(ended) = proxy.join_next() => failures.push(early(ended)),
            Some(ended) = recorder.join_next() => failures.push(early(ended)),
            Some(ended) = web.join_next() => failures.push(early(ended)),
        }
        health.stopping.store(true, Ordering::SeqCst);
        tokio::select! {
            // Asked twice: whoever asks has no patience left. What is in the log is there.
            signal = asked_to_stop() => {
                tracing::warn!(signal = signal?, "stopping at once");
                return Err(Failure::finding("stopped before everything had ended; what was taken over is in the event log"));
            }
            () = async {
                stop_proxy.cancel();
                drain(proxy, &mut failures).await;
                if let Some(shipper) = self.shipper {
                    shipper.stop(SHIPPING_PATIENCE).await;
                }
                stop_recorder.cancel();
                drain(recorder, &mut failures).await;
                stop_web.cancel();
                drain(web, &mut failures).await;
            } => {}
        }
        match failures.first() {
            None => Ok(()),
            Some(first) => Err(Failure::finding(first)),
        }
    }
}

fn early(ended: Result<Service, tokio::task::JoinError>) -> String {
    match ended {
        Ok((service, Ok(()))) => format!("the {service} ended by itself"),
        Ok((service, Err(reason))) => format!("the {service} failed: {reason}"),
        Err(_) => "a service ended by an internal error, which is logged above".to_owned(),
    }
}

async fn drain(services: &mut JoinSet<Service>, failures: &mut Vec<String>) {
    while let Some(ended) = services.join_next().await {
        if !matches!(ended, Ok((_, Ok(())))) {
            failures.push(early(ended));
        }
    }
}

async fn asked_to_stop() -> Result<&'static str, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
