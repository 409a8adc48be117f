//! Frames to statements: follows a session and tells its statements, their answers and its transactions.
//!
//! A [`Conversation`] is fed with every frame of both directions in the order in which the proxy passed them on. Which
//! answer belongs to which request is [`Exchange`]'s matter. What a request means (its text, the prepared statement or
//! portal behind its name, its encoding) is read when the server has come to it: when everything before it is answered.
//! So names and settings are what they were for the server, whatever was sent ahead.
//!
//! Invariants: what it tells depends on the frames alone, not on how they were cut or when it was saved; no frame makes
//! it panic or grow beyond the bounds stated here; a statement whose answer was not seen is never told as a success, nor
//! a transaction whose end was not seen as committed or rolled back. An answer that contradicts the model is told.
//!
//! It does not parse SQL: an [`Analyser`] tells how many statements a text holds and what they do to the session.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::frame::{Direction, HEADER, Part};

mod answers;
mod ending;
mod events;
pub(crate) mod message;
mod names;
mod omitted;
mod report;
mod requests;
mod saved;
mod settings;
mod statement;
#[cfg(test)]
mod tests;
mod transaction;

pub use ending::Closed;
pub use events::{
    CommandTag, Doubt, Event, Executed, Finished, Moment, Outcome, Parameter, Parameters, Request, Started,
    TransactionEnded,
};
pub use message::{Column, Failure};
pub use report::{Details, Report};
pub use settings::Reading;

use names::Name;
use omitted::OmittedPortals;
use settings::Settings;
use transaction::Transaction;

/// Most of a statement's text that is kept, in bytes.
pub const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Most of a statement's parameters that is kept, in bytes.
pub const MAX_PARAMETERS: usize = 256 * 1024;

/// Most that is kept of prepared texts, in bytes; texts that were not used for longest go first.
pub const MAX_PREPARED: usize = 32 * 1024 * 1024;

/// Most that is kept of requests and bound values that wait, in bytes each. Beyond it values and texts are left out,
/// and the statements say so.
pub const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Most that is kept of the texts behind portals, and likewise behind cursors of SQL, in bytes; a text counts for each of
/// them. What lies behind further ones is not known.
pub const MAX_BOUND: usize = 8 * 1024 * 1024;

/// Most cursors of SQL that are kept.
const MAX_CURSORS: usize = 1024;

/// Most names of prepared statements, or of portals; what lies behind further ones is not known.
const MAX_NAMES: usize = 16_384;

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

/// Knows SQL, as a conversation does not.
pub trait Analyser {
    /// A text as the analyser knows it.
    type Text: Text;

    /// Reads a text as a session with these settings does.
    fn read(&mut self, text: &str, reading: Reading) -> Self::Text;
}

/// A text that was analysed; cheap to clone.
pub trait Text: Clone {
    /// How many statements it holds, one at least; `None` where that is not known.
    fn statements(&self) -> Option<u32>;

    /// Whether it is known what a statement does; `prepared`: what it prepares, rather than itself.
    fn understood(&self, part: u32, prepared: bool) -> bool;

    /// What a statement does beside what its command tag tells, likewise.
    fn notes(&self, part: u32, prepared: bool) -> &[Note];

    /// Its length in bytes.
    fn bytes(&self) -> usize;
}

/// What a statement does to the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
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
    /// PREPARE TRANSACTION.
    PrepareTransaction(String),
    /// COMMIT PREPARED.
    CommitPrepared(String),
    /// ROLLBACK PREPARED.
    RollbackPrepared(String),
    /// PREPARE: what EXECUTE will run stands in the same place of the text.
    Prepare(String),
    /// EXECUTE.
    Execute(String),
    /// DEALLOCATE; of all, without a name.
    Deallocate(Option<String>),
    /// DISCARD ALL.
    DiscardAll,
    /// DECLARE, of a cursor of that name.
    Declare(String),
    /// FETCH or MOVE, from a cursor of that name.
    Fetch(String),
    /// CLOSE; of all cursors, without a name.
    CloseCursor(Option<String>),
    /// A setting that changes how texts read.
    Setting {
        /// Lower case; `all` for RESET ALL.
        name: String,
        /// `None` for its default.
        value: Option<String>,
    },
    /// It may have committed or rolled back inside, where it runs outside of a transaction block.
    MayEndTransaction,
    /// It commits by itself, where it runs outside of a transaction block: VACUUM and its like.
    CommitsByItself,
    /// It may have changed settings.
    MayChangeSettings,
    /// It reads or writes relations, behind which code may stand that changes a setting.
    TouchesRelations,
    /// DO or CALL: it may have changed what names of prepared statements and portals mean.
    RunsCode,
}

/// Follows one session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversation<T> {
    /// The first ReadyForQuery has come: start-up is over.
    ready: bool,
    /// Time and place of the frame in hand.
    at: i64,
    seq: u64,
    /// Statements and transactions counted so far.
    statements: u64,
    transactions: u64,
    transaction: Option<Transaction>,
    exchange: Exchange<Asked>,
    /// Bytes kept of what waits.
    waiting_bytes: usize,
    /// The statement that the first request is at.
    current: Option<Current<T>>,
    /// Statements of the first request that were answered.
    answered: u32,
    /// The text of the first request, a simple query, once the server has come to it.
    text: Option<T>,
    /// Which answer belongs to which request is not known, until [`Conversation::settled`].
    lost: Option<Lost>,
    /// Where the requests since the last Sync or Query began.
    segment: u64,
    /// Counts uses of prepared statements.
    uses: u64,
    /// That count when code ran last that may have changed what names mean.
    code_ran: u64,
    prepared: BTreeMap<Name, Prepared<T>>,
    prepared_bytes: usize,
    /// Names of prepared statements by when they were last used.
    prepared_by_use: BTreeMap<u64, Name>,
    portals: BTreeMap<Name, Portal<T>>,
    portal_bytes: usize,
    /// Bytes of the portals' texts.
    portal_texts: usize,
    /// Names of portals by when they were bound.
    portals_by_bind: BTreeSet<(u64, Name)>,
    /// Names of portals that are suspended, by the statement.
    suspended: BTreeMap<u64, Name>,
    /// Cursors of SQL: the statements that declared them.
    cursors: BTreeMap<Name, Executed<T>>,
    /// Bytes of the cursors' texts.
    cursor_texts: usize,
    settings: Settings,
    /// Long frames that have not ended, of the job and of the server.
    partial: [Option<Partial>; 2],
    /// Keep what results look like.
    columns: bool,
    /// The server ended the session.
    fatal: bool,
    /// Requests come without what they ask for.
    omitting: bool,
    /// Where names are not known.
    omitted_portals: OmittedPortals,
    /// The server took COPY data for the statement that it answers.
    copied_in: bool,
    /// Answers that contradicted the model.
    contradictions: u64,
}

/// Since when answers cannot be attributed: why, and what ReadyForQuery said last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lost {
    reason: String,
    status: Option<u8>,
}

/// A request, as far as it is kept until it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Asked {
    seq: u64,
    /// The frame that ends it, where it came in parts.
    last_seq: u64,
    at: i64,
    /// Where the requests since the last Sync or Query before it began.
    segment: u64,
    bytes: usize,
    body: Body,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Body {
    Query(RawText),
    Parse {
        name: Vec<u8>,
        text: RawText,
        types: Vec<u32>,
    },
    Bind {
        portal: Vec<u8>,
        statement: Vec<u8>,
        parameters: Parameters,
        formats: Vec<i16>,
    },
    DescribeStatement(Vec<u8>),
    DescribePortal(Vec<u8>),
    Execute {
        portal: Vec<u8>,
        rows: u64,
    },
    ClosePortal(Vec<u8>),
    CloseStatement(Vec<u8>),
    Function {
        oid: u32,
        parameters: Parameters,
    },
    Sync,
    /// The record does not hold what was asked for.
    Omitted {
        rows: u64,
    },
}

/// A text as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RawText {
    #[serde(with = "hex_bytes")]
    bytes: Vec<u8>,
    /// There was more.
    cut: bool,
    /// A simple query that the server refuses before it looks at the text.
    malformed: bool,
}

/// A statement that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Current<T> {
    statement: u64,
    /// When it began, or went on.
    began: i64,
    /// Of a text whose statements are known; what it does is told by the text then.
    does: Option<Executed<T>>,
    /// Of an Execute.
    portal: Option<Name>,
    columns: Vec<Column>,
    /// What it may do to the transaction that it runs in, where that is no transaction block.
    ending: Ending,
}

/// Whether a statement may have committed or rolled back inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    /// It cannot.
    Never,
    /// It runs code that may.
    Possible,
    /// Its text is not known, or not understood: unless the server did not understand it either, it may.
    Unknown,
}

/// A prepared statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Prepared<T> {
    text: Executed<T>,
    truncated: bool,
    types: Vec<u32>,
    /// The Parse frame.
    seq: u64,
    /// When it was last used.
    used: u64,
    /// When the name was given, in uses: doubtful where code ran since.
    since: u64,
    bytes: usize,
    columns: Vec<Column>,
}

/// A bound statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Portal<T> {
    /// `None` when nothing is known of what it was bound from.
    text: Option<Executed<T>>,
    truncated: bool,
    prepared_name: String,
    /// The last statement that had begun before.
    bound_at: u64,
    /// When it was bound, in uses, or 0: doubtful where code ran since.
    since: u64,
    /// Until its statement has begun.
    parameters: Option<Parameters>,
    bytes: usize,
    first_seq: u64,
    /// Once executed.
    statement: Option<u64>,
    /// Fetched by Executes that were suspended: rows, and the time and place of the last.
    suspended: Option<(u64, i64, u64)>,
    /// It was run to its end.
    finished: bool,
    columns: Vec<Column>,
    formats: Vec<i16>,
}

/// The beginning of a long frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Partial {
    tag: u8,
    seq: u64,
    at: i64,
    #[serde(with = "hex_bytes")]
    kept: Vec<u8>,
    cut: bool,
    /// Bytes before the first name, names to come, and bytes of the one that is coming.
    prefix: u8,
    names: u8,
    name: usize,
}

/// Where a row that the server sends now belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// The statement.
    pub statement: u64,
    /// Its columns; empty where they were not described.
    pub columns: Vec<Column>,
}

impl<T> Default for Conversation<T> {
    fn default() -> Self {
        Conversation {
            ready: false,
            at: 0,
            seq: 0,
            statements: 0,
            transactions: 0,
            transaction: None,
            exchange: Exchange::default(),
            waiting_bytes: 0,
            current: None,
            answered: 0,
            text: None,
            lost: None,
            segment: 0,
            uses: 0,
            code_ran: 0,
            prepared: BTreeMap::new(),
            prepared_bytes: 0,
            prepared_by_use: BTreeMap::new(),
            portals: BTreeMap::new(),
            portal_bytes: 0,
            portal_texts: 0,
            portals_by_bind: BTreeSet::new(),
            suspended: BTreeMap::new(),
            cursors: BTreeMap::new(),
            cursor_texts: 0,
            settings: Settings::default(),
            partial: [None, None],
            columns: false,
            fatal: false,
            omitting: false,
            omitted_portals: OmittedPortals::default(),
            copied_in: false,
            contradictions: 0,
        }
    }
}

impl<T: Text> Conversation<T> {
    /// Begins with a session's first frame.
    pub fn new() -> Conversation<T> {
        Conversation::default()
    }

    /// As [`Conversation::new`], and keeps descriptions of results for [`Conversation::answering`].
    pub fn with_columns() -> Conversation<T> {
        Conversation { columns: true, ..Conversation::default() }
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        (self.at, self.seq) = (frame.at, frame.seq);
        if frame.tag == 0 {
            return;
        }
        let side = usize::from(frame.direction == Direction::Backend);
        match frame.part {
            None => {
                let body = frame.bytes.get(HEADER..).unwrap_or_default();
                self.message(frame.direction, frame.tag, (frame.seq, frame.at), body, false, analyser, out);
            }
            Some(Part::First) => {
                let mut partial = Partial::new(frame.direction, frame.tag, (frame.seq, frame.at));
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
                    let Partial { tag, seq, at, kept, cut, .. } = partial;
                    self.message(frame.direction, tag, (seq, at), &kept, cut, analyser, out);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn message(
        &mut self,
        direction: Direction,
        tag: u8,
        first: (u64, i64),
        body: &[u8],
        cut: bool,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        match direction {
            Direction::Frontend if self.ready => {
                self.request(tag, first, body, cut, analyser, out);
                self.begin(analyser, out);
            }
            Direction::Frontend => {}
            Direction::Backend => {
                self.answer(tag, body, 1, analyser, out);
                self.begin(analyser, out);
            }
        }
    }

    /// Statements told so far.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// How often an answer contradicted the model.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// The statement that a row sent by the server now belongs to.
    pub fn answering(&self) -> Option<Answering> {
        let current = self.current.as_ref()?;
        let mut columns = current.columns.clone();
        if let Some(portal) = current.portal.as_ref().and_then(|name| self.portals.get(name)) {
            columns = portal.columns.clone();
            for (place, column) in columns.iter_mut().enumerate() {
                column.binary = message::format_of(&portal.formats, place) == 1;
            }
        }
        Some(Answering { statement: current.statement, columns })
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
