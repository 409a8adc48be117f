//! Saved sessions.
//!
//! A version byte, then zstd over JSON. Texts are held once, however many statements share them, and read again when
//! the session goes on. Of a session that has ended, another byte and the time: there are thousands of them, and every
//! reader of the log's end reads them all.
//!
//! Invariant: what [`decode`] gives back goes on exactly as what [`encode`] was given; what this version does not
//! read is an error, never a guess.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use hansard_pg_wire::conversation::{Analyser, Conversation, Reading, Started};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::analyses::{Analyses, SqlText};
use super::catalogs::Process;
use super::leases::Lease;
use super::reports::Reports;
use super::session::{Facts, Identity, Session};
use super::statements::{Context, Pending, Statements};

/// Written before the rest.
const VERSION: u8 = 10;

/// Written before the time at which a session ended, UTC nanoseconds, little-endian.
const ENDED: u8 = 2;

/// Written before what a process has told of catalogs.
const PROCESS: u8 = 11;

/// Written before a lease.
const LEASE: u8 = 12;

/// Longest state in JSON that is read, in bytes: what the bounds of conversation and statements can add up to.
const MAX_STATE: u64 = 1024 * 1024 * 1024;

/// Fast: states are written again at every flush.
const LEVEL: i32 = 1;

/// What is kept of a session.
#[derive(Debug)]
pub(super) enum Entry {
    /// It goes on.
    Open(Box<Session>),
    /// It ended at that time, UTC nanoseconds: what comes of it once more is known.
    Ended(i64),
}

/// What a saved state holds.
#[derive(Debug)]
pub(super) enum Saved {
    /// A session.
    Session(Entry),
    /// Catalogs.
    Process(Box<Process>),
    /// A lease.
    Lease(Box<Lease>),
}

/// As it is written.
#[derive(Serialize)]
struct Saving<'a> {
    identity: [&'a str; 5],
    facts: &'a Facts,
    chain: String,
    context: &'a Context,
    texts: Vec<(&'a str, Reading)>,
    conversation: Conversation<usize>,
    pending: Vec<SavedPending>,
}

/// As it is read.
#[derive(Deserialize)]
struct SavedSession {
    identity: [String; 5],
    facts: Facts,
    chain: String,
    context: Context,
    texts: Vec<(String, Reading)>,
    conversation: Conversation<usize>,
    pending: Vec<SavedPending>,
}

#[derive(Serialize, Deserialize)]
struct SavedPending {
    started: Started<usize>,
    omitted: Option<(u64, u64)>,
    #[serde(default)]
    counted: bool,
    #[serde(default)]
    reports: Reports,
}

/// Numbers equal texts by the order in which they first come.
#[derive(Default)]
struct Table {
    /// By address: long texts are held in many places, and hashing one takes as long as it is.
    held: HashMap<usize, usize>,
    places: HashMap<SqlText, usize>,
    texts: Vec<SqlText>,
}

impl Table {
    fn place(&mut self, text: &SqlText) -> usize {
        if let Some(place) = self.held.get(&text.address()) {
            return *place;
        }
        let place = *self.places.entry(text.clone()).or_insert(self.texts.len());
        if place == self.texts.len() {
            self.texts.push(text.clone());
        }
        self.held.insert(text.address(), place);
        place
    }
}

/// What a saved state is of, as its first byte tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A session that goes on.
    Open,
    /// A session that has ended.
    Ended,
    /// A process with its catalogs.
    Process,
    /// A lease.
    Lease,
}

impl Of {
    pub(super) fn state(state: &[u8]) -> Of {
        match state.first() {
            Some(&ENDED) => Of::Ended,
            Some(&PROCESS) => Of::Process,
            Some(&LEASE) => Of::Lease,
            _ => Of::Open,
        }
    }
}

/// The state of a session, or of its having ended.
pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let json = match entry {
        Entry::Ended(at) => return [&[ENDED][..], &at.to_le_bytes()].concat(),
        Entry::Open(session) => encode_open(session).expect("the state has string keys only"),
    };
    packed(VERSION, &json)
}

/// The state of what a process has told.
pub(super) fn encode_process(process: &Process) -> Vec<u8> {
    packed(PROCESS, &serde_json::to_vec(process).expect("the state has string keys only"))
}

/// The state of a lease.
pub(super) fn encode_lease(lease: &Lease) -> Vec<u8> {
    packed(LEASE, &serde_json::to_vec(lease).expect("the state has string keys only"))
}

fn packed(version: u8, json: &[u8]) -> Vec<u8> {
    let mut state = vec![version];
    state.extend(zstd::bulk::compress(json, LEVEL).expect("compressing in memory takes no input that fails"));
    state
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut json = Vec::new();
    zstd::stream::read::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_STATE).read_to_end(&mut json))
        .map_err(|error| format!("it does not pass zstd: {error}"))?;
    Ok(json)
}

fn encode_open(session: &Session) -> Result<Vec<u8>, serde_json::Error> {
    let mut table = Table::default();
    let conversation = session.conversation.map(&mut |text| table.place(text));
    let pending = session.statements.pending.values();
    let pending = pending.map(|pending| SavedPending {
        started: pending.started.map(&mut |text| table.place(text)),
        omitted: pending.omitted,
        counted: pending.counted,
        reports: pending.reports.clone(),
    });
    let pending = pending.collect();
    let Identity { session_id: _, target, job, subject, issuer, database } = &session.identity;
    serde_json::to_vec(&Saving {
        identity: [target, job, subject, issuer, database],
        facts: &session.facts,
        chain: hex::encode(session.chain),
        context: &session.statements.context,
        texts: table.texts.iter().map(|text| (&**text.sql(), text.reading())).collect(),
        conversation,
        pending,
    })
}

/// What [`encode`] was given; or what is wrong with the state.
pub(super) fn decode(session_id: Uuid, state: &[u8], analyses: &mut Analyses) -> Result<Saved, String> {
    let packed = match state.split_first() {
        Some((&ENDED, at)) => {
            let at = at.try_into().map_err(|_| "its end is not 8 bytes".to_owned())?;
            return Ok(Saved::Session(Entry::Ended(i64::from_le_bytes(at))));
        }
        Some((&PROCESS, packed)) => {
            let process = serde_json::from_slice(&unpacked(packed)?).map_err(|error| error.to_string())?;
            return Ok(Saved::Process(Box::new(process)));
        }
        Some((&LEASE, packed)) => {
            let lease = serde_json::from_slice(&unpacked(packed)?).map_err(|error| error.to_string())?;
            return Ok(Saved::Lease(Box::new(lease)));
        }
        Some((&VERSION, packed)) => packed,
        Some((version, _)) => return Err(format!("it holds version {version}, not version {VERSION}")),
        None => return Err("it holds nothing".to_owned()),
    };
    let json = unpacked(packed)?;
    let saved: SavedSession = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let texts: Vec<SqlText> = saved.texts.iter().map(|(text, reading)| analyses.read(text, *reading)).collect();
    let highest = std::cell::Cell::new(0);
    let mut text = |place: &usize| {
        highest.set(highest.get().max(place + 1));
        texts.get(*place).or(texts.first()).cloned()
    };
    let conversation = saved.conversation.map(&mut text);
    let pending: Vec<_> = saved
        .pending
        .iter()
        .map(|pending| (pending.started.map(&mut text), pending.omitted, pending.counted, pending.reports.clone()))
        .collect();
    if highest.get() > texts.len() {
        return Err(format!("it has no text {}", highest.get() - 1));
    }
    // Each place was looked at above.
    let conversation = conversation.map(&mut |text| text.clone().expect("the text is there"));
    let mut statements = Statements::default();
    statements.context = saved.context;
    for (started, omitted, counted, reports) in pending {
        let started = started.map(&mut |text| text.clone().expect("the text is there"));
        statements.pending.insert(started.statement, Pending { started, omitted, counted, reports });
    }
    let chain = hex::decode(&saved.chain).ok().and_then(|chain| chain.try_into().ok());
    let [target, job, subject, issuer, database] = saved.identity.map(Arc::from);
    Ok(Saved::Session(Entry::Open(Box::new(Session {
        identity: Identity { session_id, target, job, subject, issuer, database },
        facts: saved.facts,
        chain: chain.ok_or("its chain head is not 32 bytes")?,
        conversation,
        statements,
        changed: false,
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_it_is_written() {
        let at = 1_795_317_120_123_456_789;
        let read = |state: &[u8]| decode(Uuid::nil(), state, &mut Analyses::default());
        assert!(matches!(read(&encode(&Entry::Ended(at))), Ok(Saved::Session(Entry::Ended(found))) if found == at));
        assert!(read(&[ENDED, 1]).is_err() && read(&[1]).is_err() && read(&[]).is_err());
    }
    #[test]
    fn a_text_is_hashed_once_however_often_it_is_held() {
        let reading = Reading { readable: false, whole: true, standard_conforming_strings: None };
        let sql = "x".repeat(4 * 1024 * 1024);
        let (mut table, mut held) = (Table::default(), Vec::new());
        // Two texts that are equal.
        for _ in 0..2 {
            held.push(analyses_of(&sql, reading));
        }
        let begun = std::time::Instant::now();
        for _ in 0..10_000 {
            assert!(held.iter().all(|text| table.place(text) == 0));
        }
        assert_eq!(table.texts.len(), 1);
        // Hashing 80 GB takes longer on any machine.
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    fn analyses_of(sql: &str, reading: Reading) -> SqlText {
        Analyses::default().read(sql, reading)
    }
}
