//! The record: events to rows, a pure function of a session's state and its next block.
//!
//! Used twice and alike: by the recorder, whose rows become files, and by the query engine, which begins with
//! the states of a catalog snapshot and projects the log above its watermarks. So hot and cold rows can't differ.
//!
//! Invariants: applying a block again changes nothing (frames at or below the last `seq`, and events at or
//! below the last `event_no`, are dropped); what is missing in between becomes an explicit gap; a statement's row
//! appears once, when it is answered, and in [`Projector::in_flight`] until then; nothing here reads a clock or a
//! socket.

#![warn(missing_docs)]

use std::collections::{BTreeMap, HashSet, btree_map};

use hansard_pg_wire::conversation::Event as ConversationEvent;
use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{Block, BlockExt, Event, Message};
use uuid::Uuid;

mod analyses;
mod catalogs;
mod command;
mod leases;
mod names;
mod parameters;
mod reports;
mod rows;
mod session;
mod state;
mod statements;
#[cfg(test)]
mod tests;

pub use analyses::{Analyses, SqlText};
pub use names::{UNKNOWN_RELATION, UNKNOWN_SCHEMA};
pub use rows::{
    CatalogRow, Certainty, ClientCertificate, Credential, Encryption, FrameRow, Frames, LeaseRow, Lengths, Outcome,
    Rows, Run, SessionRow, StatementRow, Status, TouchRow, TransactionKind, TransactionRow,
};

use catalogs::Catalogs;
use leases::Leases;
use session::{Lifecycle, Output, Session};
use state::{Entry, Saved};

/// How long it is remembered that a session ended, in nanoseconds of the events' time: a block of it that the log
/// holds once more, after a restart of its shipper, is known then.
const REMEMBERED: i64 = 10 * 60 * 1_000_000_000;

/// Most ended sessions that are remembered per shard.
const MAX_REMEMBERED: usize = 10_000;

/// Reason of a session whose proxy was started anew.
const PROXY_RESTARTED: &str = "proxy ended without closing";

/// Reason of a session that its proxy left open when it stopped.
const PROXY_STOPPED: &str = "proxy stopped";

/// The shard whose projection has the rows of catalogs: what a process tells of them is in every shard.
const CATALOG_SHARD: u16 = 0;

/// The unfinished sessions of one shard, and how to go on with them.
#[derive(Debug, Default)]
pub struct Projector {
    shard: u16,
    entries: BTreeMap<Uuid, Entry>,
    /// Ended since the changes were last taken.
    ended: Vec<Uuid>,
    /// Time of the latest event.
    latest: i64,
    analyses: Analyses,
    catalogs: Catalogs,
    leases: Leases,
    events: Vec<ConversationEvent<SqlText>>,
    damaged: bool,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Open,
    /// It has ended: what comes of it once more is dropped.
    Ended,
}

/// A session that goes on, as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// The session.
    pub session_id: Uuid,
    /// What [`Projector::restore`] reads.
    pub state: Vec<u8>,
}

/// How a session has changed its standing behind a place in the log, for [`Projector::follow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// It began.
    pub began: bool,
    /// It ended.
    pub ended: bool,
    /// A block of it was dropped, because it had ended.
    pub dropped: bool,
}

/// What changed since the last call of [`Projector::take_changes`].
#[derive(Debug, Default)]
pub struct Changes {
    /// Sessions with a new state. An ended session has one too, a few bytes long, for some minutes.
    pub sessions: Vec<SessionState>,
    /// Sessions whose states are no longer needed.
    pub ended: Vec<Uuid>,
}

/// Why events could not be projected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A saved state is not one that this version wrote or reads.
    #[error("the saved state of session {session_id} cannot be read: {reason}")]
    State {
        /// The session.
        session_id: Uuid,
        /// Why.
        reason: String,
    },
}

impl Projector {
    /// Begins with the saved states of a shard's unfinished sessions.
    pub fn restore<'a>(shard: u16, sessions: impl IntoIterator<Item = (Uuid, &'a [u8])>) -> Result<Projector, Error> {
        let mut projector = Projector { shard, ..Projector::default() };
        for (session_id, state) in sessions {
            let saved = state::decode(session_id, state, &mut projector.analyses)
                .map_err(|reason| Error::State { session_id, reason })?;
            match saved {
                Saved::Session(entry) => _ = projector.entries.insert(session_id, entry),
                Saved::Process(process) => projector.catalogs.restore(session_id, *process),
                Saved::Lease(lease) => projector.leases.restore(session_id, *lease),
            }
        }
        Ok(projector)
    }

    /// Adds a block: what is finished by it is pushed to `rows`. A block that cannot be opened becomes a gap of its
    /// session, with the reason.
    pub fn apply(&mut self, block: &Block, rows: &mut Rows) {
        let Ok(session_id) = block.session() else { return };
        let opened = block.open();
        if block.target.is_empty() {
            self.process(session_id, &opened.unwrap_or_default(), rows);
            return;
        }
        if let Some(Entry::Ended(_)) = self.entries.get(&session_id) {
            return;
        }
        let mut output =
            Output { analyses: &mut self.analyses, catalogs: &mut self.catalogs, events: &mut self.events, rows };
        let payload = match opened {
            Ok(payload) => payload,
            Err(error) => {
                self.damaged = true;
                let entry = self.entries.entry(session_id);
                if let Some(session) = open(entry, || Session::new(session_id, &block.target, self.latest)) {
                    session.unreadable(block.last_seq, block.last_event, &error.to_string(), &mut output);
                }
                return;
            }
        };
        for encoded in encoded_events(&payload) {
            let event = encoded.and_then(|encoded| Event::decode(encoded).ok().map(|event| (event, encoded)));
            let Some((event, encoded)) = event else {
                self.damaged = true;
                if let Some(Entry::Open(session)) = self.entries.get_mut(&session_id) {
                    session.unreadable(block.last_seq, block.last_event, "an event does not decode", &mut output);
                }
                return;
            };
            let at = i64::try_from(event.at).unwrap_or(i64::MAX);
            self.latest = self.latest.max(at);
            let entry = self.entries.entry(session_id);
            let Some(session) = open(entry, || Session::new(session_id, &block.target, at)) else { return };
            if session.event(event, encoded, &mut output) == Lifecycle::Ended {
                self.entries.insert(session_id, Entry::Ended(at));
                self.ended.push(session_id);
                return;
            }
        }
    }

    /// Events of a Hansard process itself.
    fn process(&mut self, process: Uuid, payload: &[u8], rows: &mut Rows) {
        for encoded in encoded_events(payload).map_while(|encoded| encoded) {
            let Ok(event) = Event::decode(encoded) else { return };
            let at = i64::try_from(event.at).unwrap_or(i64::MAX);
            self.latest = self.latest.max(at);
            self.leases.passed(self.latest, rows);
            match event.kind {
                Some(Kind::ProxyStarted(started)) => {
                    self.end_where(at, PROXY_RESTARTED, rows, |session| {
                        let facts = &session.facts;
                        // A session that began later is of an instance that started later: the event came twice.
                        facts.node == started.node && facts.instance != started.instance && facts.opened_at <= at
                    });
                    let former = |node: &str, instance: &str| node == started.node && instance != started.instance;
                    self.ended.extend(self.catalogs.forget(former));
                }
                Some(Kind::ProxyStopped(stopped)) => {
                    self.end_where(at, PROXY_STOPPED, rows, |session| {
                        session.facts.node == stopped.node && session.facts.instance == stopped.instance
                    });
                    let gone = |node: &str, instance: &str| node == stopped.node && instance == stopped.instance;
                    self.ended.extend(self.catalogs.forget(gone));
                }
                Some(Kind::CatalogRead(read)) => {
                    let rows = (self.shard == CATALOG_SHARD).then_some(&mut rows.catalog);
                    self.catalogs.read(process, &read, rows);
                }
                Some(Kind::CatalogChanging(changing)) => self.catalogs.changing(process, changing),
                Some(Kind::LeaseIssued(issued)) => self.leases.issued(process, issued, at, rows),
                Some(Kind::LeaseRevoked(revoked)) => self.leases.revoked_one(process, revoked, at, rows),
                Some(Kind::Revoked(revoked)) => self.leases.revoked(&revoked, at, rows),
                _ => {}
            }
        }
    }

    /// Pushes the rows of what has not ended: open sessions, and statements that are not answered.
    pub fn in_flight(&mut self, rows: &mut Rows) {
        self.leases.in_flight(rows);
        for entry in self.entries.values() {
            if let Entry::Open(session) = entry {
                session.in_flight(&mut self.analyses, &mut self.catalogs, rows);
            }
        }
    }

    /// How a session stands; `None` for one of which nothing is known.
    pub fn standing(&self, session_id: &Uuid) -> Option<Standing> {
        match self.entries.get(session_id)? {
            Entry::Open(_) => Some(Standing::Open),
            Entry::Ended(_) => Some(Standing::Ended),
        }
    }

    /// Sessions that have ended, and processes that are gone, since this or [`Projector::take_changes`] was called.
    pub fn take_ended(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.ended)
    }

    /// A block could not be read, or not wholly: how much of the record that takes away depends on how blocks are merged.
    pub fn met_damage(&self) -> bool {
        self.damaged
    }

    /// Goes on as if it had begun with these states, of a place in the log that it has passed: what was forgotten there is
    /// forgotten here. `since` tells of a session how it has changed its standing behind that place.
    ///
    /// False where this one cannot have come by that place with those states; it is of no more use then.
    pub fn follow<'a>(
        &mut self,
        sessions: impl IntoIterator<Item = (Uuid, &'a [u8])>,
        since: impl Fn(&Uuid) -> Since,
    ) -> bool {
        let mut there = HashSet::new();
        for (session_id, state) in sessions {
            let Since { began, ended, .. } = since(&session_id);
            let same = match (self.entries.get(&session_id), state::Of::state(state)) {
                (_, state::Of::Process | state::Of::Lease) => continue,
                // Otherwise it was ended by something else than the log, or begun anew when it was forgotten.
                (Some(Entry::Open(_)), saved) => saved == state::Of::Open && !began,
                (Some(Entry::Ended(_)), saved) => (saved == state::Of::Open) == ended && !began,
                (None, _) => false,
            };
            if !same {
                return false;
            }
            there.insert(session_id);
        }
        let mut follows = !self.damaged;
        self.entries.retain(|session_id, entry| {
            if there.contains(session_id) {
                return true;
            }
            let Since { began, ended, dropped } = since(session_id);
            if matches!(entry, Entry::Open(_)) || ended {
                follows &= began;
                return true;
            }
            // It was forgotten there: what was dropped of it since would have begun it anew.
            follows &= !dropped;
            false
        });
        follows
    }

    /// Sessions that have not ended.
    pub fn open_sessions(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry, Entry::Open(_))).count()
    }

    /// Ends every session that is still open, as incomplete, at `at` (UTC nanoseconds): its proxy is gone.
    pub fn abandon(&mut self, at: i64, reason: &str, rows: &mut Rows) {
        self.latest = self.latest.max(at);
        self.end_where(at, reason, rows, |_| true);
    }

    fn end_where(&mut self, at: i64, reason: &str, rows: &mut Rows, gone: impl Fn(&Session) -> bool) {
        let mut output =
            Output { analyses: &mut self.analyses, catalogs: &mut self.catalogs, events: &mut self.events, rows };
        for (session_id, entry) in &mut self.entries {
            if let Entry::Open(session) = entry
                && gone(session)
            {
                session.end(at, reason, false, &mut output);
                *entry = Entry::Ended(at);
                self.ended.push(*session_id);
            }
        }
    }

    /// The rows that were pushed so far are gone: what becomes of their transactions is told by rows of its own.
    pub fn rows_left(&mut self) {
        for entry in self.entries.values_mut() {
            if let Entry::Open(session) = entry {
                session.statements.rows_left();
            }
        }
    }

    /// The states to save with the rows that were pushed since the last call, which are taken for gone, as by
    /// [`Projector::rows_left`].
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let mut save = |session_id: &Uuid, entry: &Entry| {
            changes.sessions.push(SessionState { session_id: *session_id, state: state::encode(entry) });
        };
        for (session_id, entry) in &mut self.entries {
            if let Entry::Open(session) = entry {
                session.statements.rows_left();
                if std::mem::take(&mut session.changed) {
                    save(session_id, entry);
                }
            }
        }
        let mut gone = Vec::new();
        for session_id in std::mem::take(&mut self.ended) {
            match self.entries.get(&session_id) {
                Some(entry) => save(&session_id, entry),
                None => gone.push(session_id),
            }
        }
        let (changed, forgotten) = self.leases.take_changes();
        for (session_id, lease) in changed {
            changes.sessions.push(SessionState { session_id, state: state::encode_lease(lease) });
        }
        gone.extend(forgotten);
        for (process, known) in self.catalogs.take_changed() {
            changes.sessions.push(SessionState { session_id: *process, state: state::encode_process(known) });
        }
        let mut remembered: Vec<(i64, Uuid)> = self
            .entries
            .iter()
            .filter_map(|(session_id, entry)| match entry {
                Entry::Ended(at) => Some((*at, *session_id)),
                Entry::Open(_) => None,
            })
            .collect();
        remembered.sort_unstable();
        let surplus = remembered.len().saturating_sub(MAX_REMEMBERED);
        let old = self.latest.saturating_sub(REMEMBERED);
        let forgotten = surplus.max(remembered.partition_point(|(at, _)| *at < old));
        changes.ended = remembered[..forgotten].iter().map(|(_, session_id)| *session_id).chain(gone).collect();
        let ended: HashSet<&Uuid> = changes.ended.iter().collect();
        self.entries.retain(|session_id, _| !ended.contains(session_id));
        changes.sessions.retain(|session| !ended.contains(&session.session_id));
        changes
    }
}

/// The open session of an entry, begun where there is none.
fn open(entry: btree_map::Entry<'_, Uuid, Entry>, new: impl FnOnce() -> Session) -> Option<&mut Session> {
    match entry.or_insert_with(|| Entry::Open(Box::new(new()))) {
        Entry::Open(session) => Some(session),
        Entry::Ended(_) => None,
    }
}

/// The events of a payload as they were encoded: the chain is over these bytes. `None` where the payload is damaged.
fn encoded_events(mut payload: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    /// Field 1, length-delimited.
    const EVENTS: u8 = 0x0a;
    std::iter::from_fn(move || {
        let (&key, rest) = payload.split_first()?;
        let mut length: u64 = 0;
        let mut used = 0;
        for (place, byte) in rest.iter().take(10).enumerate() {
            length |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(place).ok()?).unwrap_or(0);
            if byte & 0x80 == 0 {
                used = place + 1;
                break;
            }
        }
        let event = usize::try_from(length).ok().and_then(|length| rest.get(used..)?.get(..length));
        match event {
            Some(event) if key == EVENTS && used > 0 => {
                payload = &rest[used + event.len()..];
                Some(Some(event))
            }
            _ => {
                payload = &[];
                Some(None)
            }
        }
    })
}
