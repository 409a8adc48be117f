//! What all worker threads share.
//!
//! Invariant: nothing here is touched for every message; only where sessions begin and end.

use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Semaphore;

use crate::admission::cores::Cores;
use crate::admission::leases::Leases;
use crate::admission::places::Places;
use crate::admission::refusal_rate::Refusals;
use crate::admission::tls::ListenerTls;
use crate::capture::process::ProcessRecords;
use crate::options::Options;
use crate::postgres::cancel::CancelKeys;
use crate::postgres::catalog::Catalogs;
use crate::postgres::identity_settings::SigningKey;
use crate::postgres::upstream::Route;
use hansard_identity::Identity;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// How jobs come in to each target, in the order of the options.
    pub(crate) listener_tls: Vec<ListenerTls>,
    /// How each target's database is reached.
    pub(crate) routes: Vec<Route>,
    /// What each target's sessions are signed with.
    pub(crate) signing_keys: Vec<SigningKey>,
    pub(crate) identity: Identity,
    /// Leases, and sessions by what can be revoked.
    pub(crate) leases: Arc<Leases>,
    pub(crate) cancel_keys: CancelKeys,
    pub(crate) refusals: Refusals,
    pub(crate) catalogs: Arc<Catalogs>,
    /// The process's own record; weak, as it holds what holds this. There as long as sessions are served.
    pub(crate) records: OnceLock<Weak<ProcessRecords>>,
    /// Sessions with a valid token.
    pub(crate) sessions: Arc<Places>,
    /// Connections without one.
    pub(crate) unauthenticated: Arc<Places>,
    /// Connections that are being told that there is no place for them, as many again.
    pub(crate) being_refused: Arc<Places>,
    /// Connections to databases that are being made: of hundreds at once, each would get so little of processor and
    /// database that all were too late.
    pub(crate) connecting: Semaphore,
    pub(crate) cores: Cores,
}

impl Shared {
    pub(crate) fn records(&self) -> Option<Arc<ProcessRecords>> {
        self.records.get().and_then(Weak::upgrade)
    }
}

/// Connections to databases that are made at once.
pub(crate) const CONNECTING: usize = 32;
