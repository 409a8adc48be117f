//! What one session may do to its database's catalog.
//!
//! Invariant: a number stays open until the session's transaction has ended, or, where the session ended first, until
//! the server's process is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hansard_policy::ChangedNames;
use hansard_schemas::events::{self, event};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Database, Open};

/// Most numbers of one transaction; behind them, any name may be meant.
const MAX_NUMBERS: usize = 256;

/// A session, as the catalog of its database sees it.
#[derive(Debug)]
pub(crate) struct SessionChanges {
    database: Arc<Database>,
    session: Uuid,
    /// The server's process; 0 where it is not known.
    process: u32,
    /// Who writes.
    node: String,
    instance: String,
    /// What has been told of the open transaction.
    told: ChangedNames,
    numbers: Vec<u64>,
}

impl SessionChanges {
    pub(crate) fn begin(
        database: Arc<Database>,
        session: Uuid,
        process: u32,
        (node, instance): (String, String),
    ) -> SessionChanges {
        database.sessions.fetch_add(1, Ordering::SeqCst);
        let (told, numbers) = (ChangedNames::default(), Vec::new());
        SessionChanges { database, session, process, node, instance, told, numbers }
    }

    /// What is to be told before a request that may change these names; `None` where it has been.
    pub(crate) fn announce(&mut self, names: &ChangedNames) -> Option<event::Kind> {
        if self.told.covers(names) {
            return None;
        }
        let names = if self.numbers.len() + 1 >= MAX_NUMBERS { &ChangedNames::all() } else { names };
        self.told.add(names);
        // Names that do not fit any more are any name, for those who hear of it, too: nothing further is told.
        let all = ChangedNames::all();
        let names = if self.told.is_all() { &all } else { names };
        let number = {
            let mut announcements = self.database.announcements.lock();
            announcements.last += 1;
            let number = announcements.last;
            announcements.open.insert(number, Open::Running);
            number
        };
        self.numbers.push(number);
        Some(event::Kind::CatalogChanging(events::CatalogChanging {
            node: self.node.clone(),
            instance: self.instance.clone(),
            target: self.database.target_name.clone(),
            database: self.database.name.clone(),
            number,
            session_id: self.session.as_bytes().to_vec(),
            all: names.is_all(),
            drops: names.drops(),
            paths: names.paths(),
            names: names.names().map(str::to_owned).collect(),
        }))
    }

    /// No transaction of the session is open.
    pub(crate) fn ended(&mut self) {
        if self.numbers.is_empty() {
            return;
        }
        self.told = ChangedNames::default();
        let mut announcements = self.database.announcements.lock();
        for number in self.numbers.drain(..) {
            announcements.open.remove(&number);
        }
        drop(announcements);
        self.database.due.notify_one();
    }

    /// See [`Database::doubt`].
    pub(crate) fn doubt(&self) {
        self.database.doubt();
    }
}

impl Drop for SessionChanges {
    fn drop(&mut self) {
        if !self.numbers.is_empty() {
            let mut announcements = self.database.announcements.lock();
            for number in &self.numbers {
                announcements.open.insert(*number, Open::Lost(self.process));
            }
            drop(announcements);
            self.database.due.notify_one();
        }
        *self.database.last_session.lock() = Instant::now();
        self.database.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}
