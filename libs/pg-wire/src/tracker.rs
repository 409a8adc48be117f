//! Frames to statements: follows a session and tells its statements, their answers and its transactions.
//!
//! A [`Tracker`] is fed with every frame of both directions in recorded order. It can be serialised between any two
//! frames and goes on as if nothing had happened.
//!
//! Invariants: what it tells depends on the frames alone, not on how they were cut or when it was saved; no frame
//! makes it panic or grow beyond the bounds stated here; an answer that it cannot attribute is ignored, and a
//! statement whose answer it did not see ends as unanswered, never as a success. It does not parse SQL: an
//! [`Analyser`] tells how many statements a text holds and what they do to the transaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::frame::{Direction, HEADER, Part};

mod answers;
pub(crate) mod message;
mod names;
mod omitted;
mod requests;
#[cfg(test)]
mod tests;
mod transaction;

use names::Names;
use transaction::Transaction;

pub use message::{Column, Failure};

/// Most of a statement's text that is kept, in bytes.
pub const MAX_TEXT: usize = 1024 * 1024;

/// Most of a statement's parameters that is kept, in bytes.
pub const MAX_PARAMETERS: usize = 256 * 1024;

/// Most requests that can wait for their answers before the tracker gives up attributing them.
pub const MAX_QUEUE: usize = 262_144;

/// Most that is kept of prepared texts, and of bound parameters that wait for their Execute, in bytes each; texts
/// that were not used for longest go first.
pub const MAX_KEPT: usize = 16 * 1024 * 1024;

/// A frame, or a part of one.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Its place in the session.
    pub seq: u64,
    /// UTC nanoseconds.
    pub at: i64,
    /// Who sent it.
    pub direction: Direction,
    /// The type byte; 0 where there is none on the wire.
    pub tag: u8,
    /// Which part of a long frame; `None` for a whole one.
    pub part: Option<Part>,
    /// As on the wire: tag and length first, except in later parts. Empty where withheld.
    pub bytes: &'a [u8],
}

/// Knows SQL, as the tracker does not.
pub trait Analyser {
    /// How many statements the text holds, and those among them that matter to the transaction; `None` when the text
    /// cannot be understood.
    fn outline(&mut self, text: &Arc<str>) -> Option<Outline>;
}

/// A text's statements, as far as a tracker must know them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// How many.
    pub statements: u32,
    /// Those that matter to the transaction, by place, in order.
    pub controls: Vec<(u32, Control)>,
}

/// What a statement does to the transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// COMMIT.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// Nothing that its tag would not tell.
    Other,
}

/// What the tracker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A statement was asked for.
    Started(Started),
    /// One of several statements of a text has begun: the one before it is done.
    Began {
        /// The statement.
        statement: u64,
        /// UTC nanoseconds.
        at: i64,
    },
    /// A statement was answered. Comes again for a statement whose commit failed after its own answer.
    Finished(Finished),
    /// A statement will never be answered as far as the record goes.
    Unanswered {
        /// The statement.
        statement: u64,
        /// The transaction that it would belong to.
        transaction: u64,
    },
    /// ROLLBACK TO SAVEPOINT: these statements of the transaction have come to nothing.
    RolledBack {
        /// The transaction.
        transaction: u64,
        /// First statement.
        first: u64,
        /// Last statement.
        last: u64,
    },
    /// A transaction is over.
    TransactionEnded {
        /// Counts the session's transactions, from 1.
        transaction: u64,
        /// What became of it.
        outcome: Outcome,
        /// UTC nanoseconds.
        at: i64,
        /// The frame that told.
        seq: u64,
    },
    /// The server told a setting.
    Setting {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// A statement as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Counts the session's statements, from 1.
    pub statement: u64,
    /// UTC nanoseconds.
    pub at: i64,
    /// The first frame that is about this statement alone.
    pub first_seq: u64,
    /// The frame that asked for it to be run.
    pub last_seq: u64,
    /// How it was asked for.
    pub request: Request,
    /// The text of all statements that were sent together.
    pub text: Arc<str>,
    /// Which of the text's statements it is, from 0.
    pub part: u32,
    /// Parameters, of the extended protocol and of function calls.
    pub parameters: Option<Parameters>,
    /// The text is not whole.
    pub truncated: bool,
}

/// How a statement was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A text, or a prepared text.
    Text,
    /// A name whose text is not known to the protocol: of a statement prepared in SQL, or of a cursor.
    Name(String),
    /// The protocol's function call, with the function's OID.
    Function(u32),
    /// The record does not hold what was asked for.
    Omitted,
}

/// Values bound to a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The values.
    pub values: Vec<Parameter>,
    /// Their types as far as they are known; 0 or absent where not.
    pub types: Vec<u32>,
    /// Some values are missing at the end.
    pub truncated: bool,
}

/// One bound value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// In binary format.
    pub binary: bool,
    /// `None` for NULL.
    #[serde(with = "hex_option")]
    pub value: Option<Vec<u8>>,
}

/// A statement as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The statement.
    pub statement: u64,
    /// The transaction that it belongs to.
    pub transaction: u64,
    /// UTC nanoseconds.
    pub at: i64,
    /// The frame that answered it.
    pub seq: u64,
    /// From the command tag; for results fetched in portions, the sum.
    pub rows: Option<u64>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What the server called it, of a statement that was asked for as [`Request::Omitted`].
    pub command: Option<Command>,
}

/// What the server calls a statement that it has carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command tag.
    pub tag: String,
    /// The server took COPY data for it.
    pub copied_in: bool,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// In force.
    Committed,
    /// Never in force.
    RolledBack,
    /// The record does not tell.
    Unknown,
}

/// Follows one session.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tracker {
    /// The first ReadyForQuery has come: start-up is over.
    ready: bool,
    /// Time and place of the frame in hand.
    at: i64,
    seq: u64,
    /// Statements and transactions counted so far.
    statements: u64,
    transactions: u64,
    transaction: Option<Transaction>,
    /// Waiting for their answers, in order.
    queue: VecDeque<Waiting>,
    /// An error was answered: the server skips everything up to Sync.
    skipping: bool,
    /// The server takes COPY data: it ignores Sync and Flush.
    copying_in: bool,
    /// The server ended the session.
    fatal: bool,
    /// So many ReadyForQuery to come before answers can be attributed again.
    lost: u64,
    /// Where the requests since the last Sync or Query began.
    segment: u64,
    /// Counts prepared statements, portals and changes of their names.
    ids: u64,
    prepared_names: Names,
    prepared: BTreeMap<u64, Prepared>,
    prepared_bytes: usize,
    portal_names: Names,
    portals: BTreeMap<u64, Portal>,
    portal_bytes: usize,
    /// Long frames that have not ended, of the job and of the server.
    partial: [Option<Partial>; 2],
    /// Keep what results look like.
    columns: bool,
    /// The last answered statement, until ReadyForQuery: an error then is the commit's.
    last_answered: Option<u64>,
    /// Requests come without what they ask for.
    #[serde(default)]
    omitting: bool,
    /// The server took COPY data for the statement that it answers.
    #[serde(default)]
    copied_in: bool,
}

/// A request that waits for its answer.
#[derive(Debug, Serialize, Deserialize)]
enum Waiting {
    Query(Query),
    Parse { name: String, id: u64, seq: u64, at: i64 },
    Bind { name: String, id: u64 },
    DescribeStatement { id: Option<u64> },
    DescribePortal { id: Option<u64> },
    Execute { statement: u64, portal: Option<u64>, control: Option<Control>, rows: u64 },
    Close { portal: bool, name: String, id: u64 },
    Sync,
    Function { statement: u64, answered: bool },
}

/// A simple Query.
#[derive(Debug, Serialize, Deserialize)]
struct Query {
    first: u64,
    count: u64,
    done: u64,
    /// `None` when the text is not understood.
    controls: Option<VecDeque<(u32, Control)>>,
    /// Without controls: the tags that came.
    tags: Vec<String>,
    columns: Vec<Column>,
}

/// A prepared statement.
#[derive(Debug, Serialize, Deserialize)]
struct Prepared {
    #[serde(with = "shared_text")]
    text: Arc<str>,
    truncated: bool,
    types: Vec<u32>,
    control: Option<Control>,
    /// The Parse frame.
    seq: u64,
    /// Last used by the request of this number.
    used: u64,
    columns: Vec<Column>,
}

/// A bound statement.
#[derive(Debug, Serialize, Deserialize)]
struct Portal {
    prepared: Option<u64>,
    /// Of the prepared statement, when nothing is known of it.
    prepared_name: String,
    /// Until its statement has started.
    parameters: Option<Parameters>,
    bytes: usize,
    first_seq: u64,
    /// Once executed.
    statement: Option<u64>,
    /// Fetched by Executes that were suspended: rows, and the time and place of the last.
    suspended: Option<(u64, i64, u64)>,
    result_formats: Vec<i16>,
}

/// The beginning of a long frame.
#[derive(Debug, Serialize, Deserialize)]
struct Partial {
    tag: u8,
    seq: u64,
    #[serde(with = "hex_bytes")]
    kept: Vec<u8>,
    cut: bool,
}

/// Where a row that the server sends now belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The statement.
    pub statement: u64,
    /// Its columns; empty where they were not described.
    pub columns: Vec<Column>,
}

impl Tracker {
    /// Begins with a session's first frame.
    pub fn new() -> Tracker {
        Tracker::default()
    }

    /// As [`Tracker::new`], and keeps descriptions of results for [`Tracker::current`].
    pub fn with_columns() -> Tracker {
        Tracker { columns: true, ..Tracker::default() }
    }

    /// The next frame is not the session's first: start-up is over, no answer is waited for that could be told.
    pub(crate) fn join(&mut self) {
        self.ready = true;
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>, analyser: &mut dyn Analyser, out: &mut Vec<Event>) {
        (self.at, self.seq) = (frame.at, frame.seq);
        if frame.tag == 0 {
            return;
        }
        let side = usize::from(frame.direction == Direction::Backend);
        match frame.part {
            None => {
                let body = frame.bytes.get(HEADER..).unwrap_or_default();
                self.message(frame.direction, frame.tag, frame.seq, body, false, analyser, out);
            }
            Some(Part::First) => {
                let mut partial = Partial { tag: frame.tag, seq: frame.seq, kept: Vec::new(), cut: false };
                partial.add(frame.direction, frame.bytes.get(HEADER..).unwrap_or_default());
                self.partial[side] = Some(partial);
            }
            Some(Part::Middle) => {
                if let Some(partial) = &mut self.partial[side] {
                    partial.add(frame.direction, frame.bytes);
                }
            }
            Some(Part::Last) => {
                if let Some(mut partial) = self.partial[side].take() {
                    partial.add(frame.direction, frame.bytes);
                    let Partial { tag, seq, kept, cut } = partial;
                    self.message(frame.direction, tag, seq, &kept, cut, analyser, out);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn message(
        &mut self,
        direction: Direction,
        tag: u8,
        first_seq: u64,
        body: &[u8],
        cut: bool,
        analyser: &mut dyn Analyser,
        out: &mut Vec<Event>,
    ) {
        match direction {
            Direction::Frontend if self.ready => self.request(tag, first_seq, body, cut, analyser, out),
            Direction::Frontend => {}
            Direction::Backend => self.answer(tag, body, 1, out),
        }
    }

    /// Frames are missing before the next one: what is under way can no longer be told.
    pub fn gap(&mut self, out: &mut Vec<Event>) {
        self.partial = [None, None];
        self.ready = true;
        self.abandon(Outcome::Unknown, Outcome::Unknown, out);
        self.lost = 1;
    }

    /// The connection is gone.
    pub fn close(&mut self, at: i64, out: &mut Vec<Event>) {
        self.at = at;
        let commits = self.queue.iter().any(|waiting| match waiting {
            Waiting::Query(query) => match &query.controls {
                Some(controls) => controls.iter().any(|(_, control)| matches!(control, Control::Commit { .. })),
                None => true,
            },
            Waiting::Execute { control, .. } => !matches!(control, Some(Control::Other)),
            _ => false,
        });
        // Whatever commits by itself, once it is all there.
        let complete = self
            .queue
            .iter()
            .any(|waiting| matches!(waiting, Waiting::Query(_) | Waiting::Sync | Waiting::Function { .. }));
        let explicit = if commits && !self.fatal { Outcome::Unknown } else { Outcome::RolledBack };
        let implicit = if complete && !self.fatal { Outcome::Unknown } else { Outcome::RolledBack };
        self.abandon(explicit, implicit, out);
    }

    /// Ends everything under way, with the outcome of an explicit or implicit transaction.
    fn abandon(&mut self, explicit: Outcome, implicit: Outcome, out: &mut Vec<Event>) {
        let outcome = if self.is_explicit() { explicit } else { implicit };
        for waiting in std::mem::take(&mut self.queue) {
            self.unanswered(&waiting, out);
        }
        self.prepared_names.forget_pending();
        self.portal_names.forget_pending();
        (self.skipping, self.copying_in) = (false, false);
        self.end_transaction(outcome, out);
    }

    /// The statements of a request that gets no answer.
    fn unanswered(&mut self, waiting: &Waiting, out: &mut Vec<Event>) {
        let statements = match waiting {
            Waiting::Query(query) => query.first + query.done..query.first + query.count,
            Waiting::Execute { statement, .. } | Waiting::Function { statement, answered: false } => {
                *statement..*statement + 1
            }
            _ => return,
        };
        for statement in statements {
            let transaction = self.transaction_id();
            out.push(Event::Unanswered { statement, transaction });
        }
    }

    /// Statements told so far.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// The number of the transaction that the session is in, or will be in with its next statement.
    pub fn transaction(&self) -> u64 {
        self.transaction.as_ref().map_or(self.transactions + 1, |transaction| transaction.id)
    }

    /// The text behind the name of a prepared statement.
    pub fn prepared_text(&self, name: &str) -> Option<Arc<str>> {
        let id = self.prepared_names.get(name)?;
        self.prepared.get(&id).map(|prepared| prepared.text.clone())
    }

    /// The statement that a row sent by the server now belongs to.
    pub fn current(&self) -> Option<Current> {
        match self.queue.front()? {
            Waiting::Query(query) if query.done < query.count => {
                Some(Current { statement: query.first + query.done, columns: query.columns.clone() })
            }
            Waiting::Execute { statement, portal, .. } => {
                let portal = portal.and_then(|portal| self.portals.get(&portal));
                let prepared = portal.and_then(|portal| portal.prepared).and_then(|id| self.prepared.get(&id));
                let mut columns = prepared.map(|prepared| prepared.columns.clone()).unwrap_or_default();
                for (place, column) in columns.iter_mut().enumerate() {
                    let formats = portal.map(|portal| &portal.result_formats[..]).unwrap_or_default();
                    column.binary = message::format_of(formats, place) == 1;
                }
                Some(Current { statement: *statement, columns })
            }
            _ => None,
        }
    }
}

impl Partial {
    fn add(&mut self, direction: Direction, bytes: &[u8]) {
        let limit = match (direction, self.tag) {
            (Direction::Frontend, b'Q' | b'P') => MAX_TEXT + 64 * 1024,
            (Direction::Frontend, b'B' | b'F') => MAX_PARAMETERS + 64 * 1024,
            (_, b'd') | (Direction::Backend, b'D') => 0,
            (Direction::Backend, b'T' | b't') => 256 * 1024,
            _ => 64 * 1024,
        };
        let room = limit.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.cut |= room < bytes.len();
    }
}

/// `Arc<str>` as a string.
mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

/// Bytes as hexadecimal text, which any serde format holds.
mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

mod hex_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(hex::encode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(hex::decode).transpose().map_err(D::Error::custom)
    }
}
