//! Saved sessions.
//!
//! A version byte, then zstd over JSON. Texts are held once, however many statements share them. Of a session that has
//! ended, another byte and the time: there are thousands of them, and every reader of the log's end reads them all.
//!
//! Invariant: what [`decode`] gives back goes on exactly as what [`encode`] was given; what this version does not
//! read is an error, never a guess.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use hansard_pg_wire::tracker::Tracker;
use hansard_policy::Operation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::analyses::Analyses;
use super::session::{Facts, Identity, Session};
use super::statements::{Asking, Context, Kept, Pending, Statements, Touched};

/// Written before the rest.
const VERSION: u8 = 1;

/// Written before the time at which a session ended, UTC nanoseconds, little-endian.
const ENDED: u8 = 2;

/// Longest state in JSON that is read, in bytes: what the bounds of tracker and statements can add up to.
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

/// As it is written.
#[derive(Serialize)]
enum Saving<'a> {
    Open(SavingSession<'a>),
}

#[derive(Serialize)]
struct SavingSession<'a> {
    target: &'a str,
    job: &'a str,
    subject: &'a str,
    issuer: &'a str,
    facts: &'a Facts,
    chain: String,
    tracker: &'a Tracker,
    context: &'a Context,
    texts: Vec<&'a str>,
    touched: Vec<Vec<SavedTouched>>,
    pending: BTreeMap<u64, SavedPending>,
}

/// As it is read. An end was written here, too, before it had a byte of its own.
#[derive(Deserialize)]
enum Saved {
    Ended(i64),
    Open(Box<SavedSession>),
}

#[derive(Deserialize)]
struct SavedSession {
    target: String,
    job: String,
    subject: String,
    issuer: String,
    facts: Facts,
    chain: String,
    tracker: Tracker,
    context: Context,
    texts: Vec<String>,
    touched: Vec<Vec<SavedTouched>>,
    pending: BTreeMap<u64, SavedPending>,
}

#[derive(Serialize, Deserialize)]
struct SavedPending {
    kept: Kept,
    sql: usize,
    parameters: Option<String>,
    fingerprint: Option<usize>,
    asked: Option<(usize, u32, Asking)>,
    touched: usize,
}

#[derive(Serialize, Deserialize)]
struct SavedTouched {
    relation: String,
    operation: Operation,
    columns: Vec<String>,
    counted: bool,
}

/// Numbers equal things by the order in which they first come.
struct Table<T> {
    places: HashMap<T, usize>,
    things: Vec<T>,
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn new() -> Table<T> {
        Table { places: HashMap::new(), things: Vec::new() }
    }

    fn place(&mut self, thing: &T) -> usize {
        if let Some(place) = self.places.get(thing) {
            return *place;
        }
        self.things.push(thing.clone());
        self.places.insert(thing.clone(), self.things.len() - 1);
        self.things.len() - 1
    }
}

/// The state of a session, or of its having ended.
pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let json = match entry {
        Entry::Ended(at) => return [&[ENDED][..], &at.to_le_bytes()].concat(),
        Entry::Open(session) => encode_open(session).expect("the state has string keys only"),
    };
    let mut state = vec![VERSION];
    state.extend(zstd::bulk::compress(&json, LEVEL).expect("compressing in memory takes no input that fails"));
    state
}

fn encode_open(session: &Session) -> Result<Vec<u8>, serde_json::Error> {
    let mut texts: Table<Arc<str>> = Table::new();
    let mut touches: Table<Arc<[Touched]>> = Table::new();
    let mut pending = BTreeMap::new();
    for (number, statement) in &session.statements.pending {
        let asked = statement.asked.as_ref();
        let saved = SavedPending {
            kept: statement.kept.clone(),
            sql: texts.place(&statement.sql),
            parameters: statement.parameters.as_deref().map(str::to_owned),
            fingerprint: statement.fingerprint.as_ref().map(|fingerprint| texts.place(fingerprint)),
            asked: asked.map(|asked| (texts.place(&asked.text), asked.part, asked.request.clone())),
            touched: touches.place(&statement.touched),
        };
        pending.insert(*number, saved);
    }
    let touched = touches.things.iter().map(|all| all.iter().map(SavedTouched::of).collect()).collect();
    serde_json::to_vec(&Saving::Open(SavingSession {
        target: &session.identity.target,
        job: &session.identity.job,
        subject: &session.identity.subject,
        issuer: &session.identity.issuer,
        facts: &session.facts,
        chain: hex::encode(session.chain),
        tracker: &session.tracker,
        context: &session.statements.context,
        texts: texts.things.iter().map(|text| &**text).collect(),
        touched,
        pending,
    }))
}

impl SavedTouched {
    fn of(touched: &Touched) -> SavedTouched {
        SavedTouched {
            relation: touched.relation.as_ref().to_owned(),
            operation: touched.operation,
            columns: touched.columns.iter().map(|column| column.as_ref().to_owned()).collect(),
            counted: touched.counted,
        }
    }

    fn restore(self) -> Touched {
        Touched {
            relation: self.relation.into(),
            operation: self.operation,
            columns: self.columns.into_iter().map(Arc::from).collect(),
            counted: self.counted,
        }
    }
}

/// What [`encode`] was given; or what is wrong with the state.
pub(super) fn decode(session_id: Uuid, state: &[u8], analyses: &mut Analyses) -> Result<Entry, String> {
    if let Some((&ENDED, at)) = state.split_first() {
        let at = at.try_into().map_err(|_| "its end is not 8 bytes".to_owned())?;
        return Ok(Entry::Ended(i64::from_le_bytes(at)));
    }
    let Some((&VERSION, packed)) = state.split_first() else {
        let version = state.first().map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"));
        return Err(format!("it holds {version}, not version {VERSION}"));
    };
    let mut json = Vec::new();
    zstd::stream::read::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_STATE).read_to_end(&mut json))
        .map_err(|error| format!("it does not pass zstd: {error}"))?;
    let saved = match serde_json::from_slice(&json).map_err(|error| error.to_string())? {
        Saved::Ended(at) => return Ok(Entry::Ended(at)),
        Saved::Open(saved) => saved,
    };
    let texts: Vec<Arc<str>> = saved.texts.iter().map(|text| Arc::from(text.as_str())).collect();
    let touches: Vec<Arc<[Touched]>> =
        saved.touched.into_iter().map(|touched| touched.into_iter().map(SavedTouched::restore).collect()).collect();
    let text = |place: usize| texts.get(place).cloned().ok_or_else(|| format!("it has no text {place}"));
    let mut statements = Statements { context: saved.context, ..Statements::default() };
    analyses.read_as(statements.context.reading());
    for (number, pending) in saved.pending {
        let asked = match pending.asked {
            Some((place, part, request)) => {
                let asked = statements.context.understand(&text(place)?, part, &request, &saved.tracker, analyses).0;
                Some(asked)
            }
            None => None,
        };
        let pending = Pending {
            kept: pending.kept,
            sql: text(pending.sql)?,
            parameters: pending.parameters.map(Arc::from),
            fingerprint: pending.fingerprint.map(text).transpose()?,
            asked,
            touched: touches.get(pending.touched).cloned().ok_or("it has no such touches")?,
        };
        statements.bytes += pending.size();
        statements.pending.insert(number, pending);
    }
    let chain = hex::decode(&saved.chain).ok().and_then(|chain| chain.try_into().ok());
    Ok(Entry::Open(Box::new(Session {
        identity: Identity {
            session_id,
            target: saved.target.into(),
            job: saved.job.into(),
            subject: saved.subject.into(),
            issuer: saved.issuer.into(),
        },
        facts: saved.facts,
        chain: chain.ok_or("its chain head is not 32 bytes")?,
        tracker: saved.tracker,
        statements,
        changed: false,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_it_is_written_and_as_it_was() {
        let at = 1_795_317_120_123_456_789;
        let read = |state: &[u8]| decode(Uuid::nil(), state, &mut Analyses::default());
        assert!(matches!(read(&encode(&Entry::Ended(at))), Ok(Entry::Ended(found)) if found == at));
        let former = zstd::bulk::compress(format!("{{\"Ended\":{at}}}").as_bytes(), LEVEL).unwrap();
        assert!(matches!(read(&[&[VERSION][..], &former].concat()), Ok(Entry::Ended(found)) if found == at));
        assert!(read(&[ENDED, 1]).is_err() && read(&[3]).is_err() && read(&[]).is_err());
    }
}
