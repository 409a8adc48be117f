//! How many connections and sessions may be open at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
