//! What is known of the databases behind targets: their catalogs, read over a connection of Hansard's own, and told to
//! everybody who reads the record.
//!
//! A database's catalog is read when its first session begins, when a session's transaction has ended that may have
//! changed it, when the database answers that a name does not exist, and every few seconds while there are sessions.
//! [`keeper`] does that in a thread of its own; sessions only say what they are about to do ([`changes`]).
//!
//! Invariants: a request that may change the catalog by its own words is told to all shards before the database gets
//! it; a session waits for a catalog for at most [`PATIENCE`], and only where none is known yet; what is kept is bounded.

pub(crate) mod changes;
mod connection;
pub(crate) mod keeper;
mod path;
mod reader;
mod sql;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use path::Schemas;

/// Databases whose catalogs are known at once.
const MAX_DATABASES: usize = 64;

/// How long a session waits for the first catalog of its database, or for a recent one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked for changes while there are sessions, or have just been.
const POLL: Duration = Duration::from_secs(3);

/// The databases.
#[derive(Debug)]
pub(crate) struct Catalogs {
    databases: Mutex<HashMap<(usize, String), Arc<Database>>>,
    new: mpsc::Sender<Arc<Database>>,
    /// Taken by the thread that reads them.
    inbox: Mutex<Option<mpsc::Receiver<Arc<Database>>>>,
}

/// One database of a target.
#[derive(Debug)]
pub(crate) struct Database {
    /// Its place in the options.
    target: usize,
    target_name: String,
    name: String,
    announcements: Mutex<Announcements>,
    sessions: AtomicUsize,
    last_session: Mutex<Instant>,
    /// Something is to be read.
    due: Notify,
    state: watch::Sender<State>,
    /// It is not kept any more.
    retired: CancellationToken,
}

/// What sessions may do to a catalog.
#[derive(Debug, Default)]
struct Announcements {
    /// The number of the last one.
    last: u64,
    /// Those whose transactions have not ended.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// The session goes on.
    Running,
    /// The session is gone; the server's process may go on with its transaction.
    Lost(u32),
}

/// How well a database's catalog is known.
#[derive(Debug, Clone, Default)]
struct State {
    /// Until then what is told is recent enough for a session to begin with: it has been read, and is to be read again
    /// before.
    good_until: Option<Instant>,
    /// Why it is not known, or what of it.
    trouble: Option<String>,
    /// By which a search path is resolved; as of the last reading.
    schemas: Arc<Schemas>,
}

impl Catalogs {
    pub(crate) fn new() -> Catalogs {
        let (new, inbox) = mpsc::channel(MAX_DATABASES);
        Catalogs { databases: Mutex::default(), new, inbox: Mutex::new(Some(inbox)) }
    }

    /// The database of that name; `None` where too many others have sessions.
    pub(crate) fn database(&self, target: usize, target_name: &str, name: &str) -> Option<Arc<Database>> {
        let mut databases = self.databases.lock();
        let key = (target, name.to_owned());
        if let Some(database) = databases.get(&key) {
            return Some(database.clone());
        }
        if databases.len() >= MAX_DATABASES {
            let idle = databases.iter().filter(|(_, database)| database.sessions.load(Ordering::SeqCst) == 0);
            let oldest = idle.min_by_key(|(_, database)| *database.last_session.lock()).map(|(key, _)| key.clone());
            if let Some(database) = oldest.and_then(|key| databases.remove(&key)) {
                database.retired.cancel();
            }
        }
        let database = Arc::new(Database {
            target,
            target_name: target_name.to_owned(),
            name: name.to_owned(),
            announcements: Mutex::default(),
            sessions: AtomicUsize::new(0),
            last_session: Mutex::new(Instant::now()),
            due: Notify::new(),
            state: watch::Sender::new(State::default()),
            retired: CancellationToken::new(),
        });
        if databases.len() >= MAX_DATABASES || self.new.try_send(database.clone()).is_err() {
            tracing::warn!(target_name, database = name, "too many databases at once: this one's catalog is not read");
            return None;
        }
        databases.insert(key, database.clone());
        Some(database)
    }

    /// What is not known of catalogs, in one line for each database.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let databases = self.databases.lock();
        let trouble = |database: &Arc<Database>| {
            let trouble = database.state.borrow().trouble.clone()?;
            Some(format!("catalog of target \"{}\", database \"{}\": {trouble}", database.target_name, database.name))
        };
        let mut troubles: Vec<String> = databases.values().filter_map(trouble).collect();
        troubles.sort();
        troubles
    }
}

impl Database {
    /// Waits until its catalog is known well enough for a session to begin, or for [`PATIENCE`].
    pub(crate) async fn ready(&self) -> Arc<Schemas> {
        let mut states = self.state.subscribe();
        let fresh =
            |state: &State| state.trouble.is_some() || state.good_until.is_some_and(|until| Instant::now() < until);
        if !fresh(&states.borrow()) {
            self.due.notify_one();
            // Without it, names are not known; the session begins all the same.
            let _ = tokio::time::timeout(PATIENCE, states.wait_for(|state| fresh(state))).await;
        }
        states.borrow().schemas.clone()
    }

    /// The database has answered that something does not exist which a job takes to be there.
    pub(crate) fn doubt(&self) {
        self.due.notify_one();
    }

    /// The last number, and those up to it whose transactions have not ended.
    fn announced(&self) -> (u64, Vec<u64>) {
        let announcements = self.announcements.lock();
        (announcements.last, announcements.open.keys().copied().collect())
    }

    /// Those whose transactions have not ended.
    #[cfg(test)]
    pub(crate) fn open_numbers(&self) -> Vec<u64> {
        self.announced().1
    }

    /// Server processes whose sessions are gone, and which may go on.
    fn lost(&self) -> Vec<u32> {
        let announcements = self.announcements.lock();
        let lost = announcements.open.values().filter_map(|open| match open {
            Open::Lost(process) => Some(*process),
            Open::Running => None,
        });
        lost.collect()
    }

    /// Of the lost processes, those in `alive` are the only ones that go on.
    fn settle_lost(&self, asked: &[u32], alive: &[u32]) {
        let is_over = |open: &Open| matches!(open, Open::Lost(id) if asked.contains(id) && !alive.contains(id));
        self.announcements.lock().open.retain(|_, open| !is_over(open));
    }
}
