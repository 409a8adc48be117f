//! What the names of prepared statements and portals mean, as the server has confirmed it and as it will once it has
//! answered what is under way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most names that are kept of either kind; further ones stay unknown.
const MAX_NAMES: usize = 65_536;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Names {
    confirmed: BTreeMap<String, u64>,
    /// By requests that are not answered: the request's own number, and what the name will mean.
    pending: BTreeMap<String, (u64, Option<u64>)>,
}

impl Names {
    /// What the name will mean to the next request.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        match self.pending.get(name) {
            Some((_, meaning)) => *meaning,
            None => self.confirmed.get(name).copied(),
        }
    }

    /// A request is on its way that changes what the name means.
    pub(super) fn intend(&mut self, name: &str, request: u64, meaning: Option<u64>) {
        if self.pending.len() < MAX_NAMES || self.pending.contains_key(name) {
            self.pending.insert(name.to_owned(), (request, meaning));
        }
    }

    /// The server has done it; what the name meant before.
    pub(super) fn confirm(&mut self, name: &str, request: u64, meaning: Option<u64>) -> Option<u64> {
        if self.pending.get(name).is_some_and(|(latest, _)| *latest == request) {
            self.pending.remove(name);
        }
        match meaning {
            Some(meaning) if self.confirmed.len() < MAX_NAMES || self.confirmed.contains_key(name) => {
                self.confirmed.insert(name.to_owned(), meaning)
            }
            Some(_) => None,
            None => self.confirmed.remove(name),
        }
    }

    /// Requests were skipped: what is still under way is intended anew.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// All confirmed names end.
    pub(super) fn end(&mut self) {
        self.confirmed.clear();
    }

    /// What the names mean by now.
    pub(super) fn meanings_confirmed(&self) -> Vec<u64> {
        self.confirmed.values().copied().collect()
    }

    /// How many names mean something by now.
    pub(super) fn len(&self) -> usize {
        self.confirmed.len()
    }

    /// Everything that a name means or will mean.
    pub(super) fn meanings(&self) -> impl Iterator<Item = u64> {
        self.confirmed.values().copied().chain(self.pending.values().filter_map(|(_, meaning)| *meaning))
    }
}
