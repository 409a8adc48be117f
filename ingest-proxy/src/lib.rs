//! The proxy: accepts jobs, authenticates them, relays every byte and records it first.
//!
//! A connection is taken in by [`admission`], asks for a session and shows its token in the protocol of its target
//! ([`postgres`], with [`hansard_identity`]), and then both its streams go through [`relay`] and [`capture`] until they end with
//! a reason.
//!
//! Invariants: with durability `write-ahead` no byte of a job reaches the database before the event log has
//! acknowledged it; bytes are passed on as they came; neither a token nor the database's password is in any record,
//! log line or message.
//!
//! One thread ([`admission::thread`]) per shard of the log, each with a runtime, listening sockets and sessions of its
//! own: sessions never move between threads, and one thread alone appends to a shard. What its sessions share is its
//! [`worker`]; what all threads share is in [`shared`].

mod admission;
mod capture;
mod clock;
mod direction;
mod errors;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod metrics;
mod options;
mod postgres;
mod relay;
mod shared;
mod worker;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hansard_event_log::{ControlLog, LocalLog};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use admission::places::Places;
use admission::thread::{self, Start};
use admission::{cores, dispatcher, dispatcher::ThreadHandle, listener, tls};
use capture::journal;
use capture::process::ProcessRecords;
use postgres::catalog::{Catalogs, keeper};
use postgres::identity_settings::SigningKey;
use postgres::{cancel, upstream};
use relay::pool;
use shared::{CONNECTING, Shared};
use worker::Worker;

pub use errors::Error;
pub use options::{
    AuthMethod, Authentication, CaptureLevel, CaptureOptions, CaptureRule, ChannelBinding, ClientCertificates,
    Durability, IdentitySettings, NamePattern, OnRevocation, Options, OptionsError, Password, PasswordCommand, Roots,
    SessionId, SslMode, TargetOptions, TlsOptions, UpstreamOptions, UpstreamTls,
};

/// The proxy, listening.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    log: Arc<LocalLog>,
    addresses: Vec<(String, SocketAddr)>,
    /// For each worker, a socket for each target.
    listeners: Vec<Vec<TcpListener>>,
}

impl Proxy {
    /// Checks the options, reads the issuers' keys and takes the listening addresses. Connections wait until
    /// [`Proxy::serve`]. There will be one thread for each shard of the log.
    pub fn bind(options: Options, log: Arc<LocalLog>) -> Result<Proxy, Error> {
        options.validate()?;
        let workers = usize::from(log.shards());
        let identity = hansard_identity::Identity::open(&options.identity)?;
        let listener_tls = options
            .targets
            .iter()
            .map(|target| tls::ListenerTls::open(target, postgres::ALPN))
            .collect::<Result<_, _>>()?;
        let routes = options.targets.iter().map(upstream::Route::open).collect::<Result<_, _>>()?;
        let signing_keys = options.targets.iter().map(SigningKey::open).collect::<Result<_, _>>()?;
        let mut listeners: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for target in &options.targets {
            let (sockets, address) = listener::bind(target, workers)?;
            for (worker, socket) in listeners.iter_mut().zip(sockets) {
                worker.push(socket);
            }
            addresses.push((target.name.clone(), address));
        }
        let shared = Shared {
            listener_tls,
            routes,
            signing_keys,
            identity,
            leases: Arc::new(admission::leases::Leases::new()),
            cancel_keys: cancel::CancelKeys::new(),
            refusals: admission::refusal_rate::Refusals::new(),
            catalogs: Arc::new(Catalogs::new()),
            records: OnceLock::new(),
            sessions: Places::new(options.max_sessions),
            unauthenticated: Places::new(options.max_unauthenticated),
            being_refused: Places::new(options.max_unauthenticated),
            connecting: Semaphore::new(CONNECTING),
            cores: cores::Cores::new(workers),
            options,
        };
        Ok(Proxy { shared: Arc::new(shared), log, addresses, listeners })
    }

    /// Takes leases and revocations from that feed. Without one no lease lets anybody in, and nothing is revoked.
    #[must_use]
    pub fn with_control(self, feed: Arc<dyn ControlLog>) -> Proxy {
        self.shared.leases.come_from(feed);
        self
    }

    /// Name and listening address of each target, in the order of the options; port 0 has become a real one.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// What is not known while the proxy serves.
    pub fn troubles(&self) -> Troubles {
        Troubles(self.shared.clone())
    }

    /// Serves until `shutdown` is cancelled and the sessions have ended, or were cut off after the grace period.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        metrics::describe();
        if self.shared.options.durability == Durability::Off {
            tracing::warn!("RECORDING IS OFF: statements reach the database without a record; for measurements only");
        }
        let (threads, inboxes): (Vec<_>, Vec<_>) = (0..self.listeners.len())
            .map(|_| {
                let (inbox, waiting) = mpsc::channel(dispatcher::INBOX);
                (ThreadHandle { inbox, load: AtomicUsize::new(0) }, waiting)
            })
            .unzip();
        let threads: Arc<[ThreadHandle]> = threads.into();
        let worker = |shard| {
            Arc::new(Worker {
                shared: self.shared.clone(),
                journal: journal::Journal::new(self.log.clone(), shard),
                pool: pool::Pool::default(),
                traffic: metrics::Traffic::default(),
                stopping: shutdown.child_token(),
            })
        };
        let workers: Vec<_> = (0..self.log.shards()).map(worker).collect();
        let records = Arc::new(ProcessRecords::begin(&workers));
        // Set once: the proxy is consumed.
        let _ = self.shared.records.set(Arc::downgrade(&records));
        let stop_reading = CancellationToken::new();
        let _stop_reading = stop_reading.clone().drop_guard();
        let (shared, stop_keeping) = (self.shared.clone(), stop_reading.clone());
        tokio::spawn(async move { stop_keeping.run_until_cancelled(shared.identity.keep()).await });
        let (leases, stop_following) = (self.shared.leases.clone(), stop_reading.clone());
        tokio::spawn(async move { stop_following.run_until_cancelled(leases.keep()).await });
        let mut ends = Vec::new();
        for (((own, worker), listeners), inbox) in workers.iter().cloned().enumerate().zip(self.listeners).zip(inboxes)
        {
            let (threads, records) = (threads.clone(), records.clone());
            let start = Start { worker, own, threads, inbox, listeners, serve: postgres::session::serve, records };
            match thread::spawn(start) {
                Ok(end) => ends.push(end),
                Err(error) => {
                    shutdown.cancel();
                    return Err(error);
                }
            }
        }
        let reading = keeper::spawn(workers, records.clone(), stop_reading.clone());
        let reading = reading.inspect_err(|_| shutdown.cancel())?;
        let (mut result, mut ended) = (Ok(()), Vec::new());
        for (own, end) in ends.into_iter().enumerate() {
            match end.await {
                Ok(()) => ended.push(own),
                Err(_) => {
                    // The other threads end too: half a proxy would look like a whole one.
                    shutdown.cancel();
                    result = Err(Error::Died);
                }
            }
        }
        stop_reading.cancel();
        // Without it the record of Hansard's own sessions has no end; the process's own is the last that is told.
        let _ = reading.await;
        ended.into_iter().for_each(|own| records.stop(own));
        result
    }
}

/// See [`Proxy::troubles`].
#[derive(Debug, Clone)]
pub struct Troubles(Arc<Shared>);

impl Troubles {
    /// Those of now, in one line for each issuer whose keys cannot be had, for the control feed, and for each database whose
    /// catalog is not known: what that concerns is recorded as not certain.
    pub fn now(&self) -> Vec<String> {
        let leases = self.0.leases.trouble();
        self.0.identity.troubles().into_iter().chain(leases).chain(self.0.catalogs.troubles()).collect()
    }
}

/// Connects to the database of a target as Hansard would for a job and says how that went, in one line. `Err` is a
/// negative finding.
pub async fn check_target(target: &TargetOptions) -> Result<String, String> {
    let route = upstream::Route::open(target).map_err(|error| error.to_string())?;
    upstream::check(target, &route, Duration::from_secs(5)).await
}

/// Reads the catalog of a target's database as Hansard would to tell what a name means, and says how that went, in one
/// line. `Err` is a negative finding, with the right that is missing.
pub async fn check_catalog(target: &TargetOptions) -> Result<String, String> {
    let route = upstream::Route::open(target).map_err(|error| error.to_string())?;
    keeper::check(target, &route).await
}

/// Reads the certificate that a target shows to jobs, if it has one. `Err` is a negative finding, in one line.
pub fn check_tls(target: &TargetOptions) -> Result<(), String> {
    tls::ListenerTls::open(target, postgres::ALPN).map(drop).map_err(|error| error.to_string())
}
