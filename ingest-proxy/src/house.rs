//! What all worker threads share.
//!
//! Invariant: nothing here is touched for every message; only where sessions begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::cancel::CancelKeys;
use crate::cores::Cores;
use crate::identity::Identity;
use crate::options::Options;
use crate::refusals::Refusals;
use crate::search_path::SearchPaths;
use crate::tls::Door;
use crate::upstream::Route;

/// See the module.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) options: Options,
    /// How jobs come in to each target, in the order of the options.
    pub(crate) doors: Vec<Door>,
    /// How each target's database is reached.
    pub(crate) routes: Vec<Route>,
    pub(crate) identity: Identity,
    pub(crate) cancel_keys: CancelKeys,
    pub(crate) refusals: Refusals,
    pub(crate) search_paths: SearchPaths,
    /// Sessions with a valid token.
    pub(crate) sessions: Arc<Places>,
    /// Connections without one.
    pub(crate) unauthenticated: Arc<Places>,
    /// Connections that are being told that there is no place for them, as many again.
    pub(crate) turned_away: Arc<Places>,
    /// Connections to databases that are being made: of hundreds at once, each would get so little of processor and
    /// database that all were too late.
    pub(crate) connecting: Semaphore,
    pub(crate) cores: Cores,
}

/// Connections to databases that are made at once.
pub(crate) const CONNECTING: usize = 32;

/// A number of places, some of them taken.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    total: usize,
}

impl Places {
    pub(crate) fn new(total: usize) -> Arc<Places> {
        Arc::new(Places { taken: AtomicUsize::new(0), total })
    }

    /// A place until the guard is dropped; `None` when all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        (taken < self.total).then_some(place)
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

/// See [`Places::take`].
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
