//! What a conversation tells.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Failure, Report};

/// What a conversation tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    /// The server has come to a statement.
    Started(Started<T>),
    /// A statement was answered.
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
        /// UTC nanoseconds.
        at: i64,
    },
    /// A transaction is over.
    TransactionEnded(TransactionEnded),
    /// COMMIT PREPARED or ROLLBACK PREPARED: a transaction of whatever session is over.
    Resolved {
        /// Its global identifier.
        gid: String,
        /// Whether it was committed.
        committed: bool,
        /// The statement that said so, and the transaction that this statement was in.
        statement: u64,
        /// The transaction that the statement was in.
        transaction: u64,
        /// UTC nanoseconds.
        at: i64,
    },
    /// NoticeResponse, or an error that is no statement's.
    Reported {
        /// The statement that was under way, where one was.
        statement: Option<u64>,
        /// UTC nanoseconds.
        at: i64,
        /// What the server said.
        report: Report,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started<T> {
    /// Counts the session's statements, from 1.
    pub statement: u64,
    /// UTC nanoseconds.
    pub at: i64,
    /// The first frame that is about this statement alone.
    pub first_seq: u64,
    /// The frame that asked for it to be run.
    pub last_seq: u64,
    /// What was asked for.
    pub request: Request<T>,
    /// Parameters, of the extended protocol and of function calls.
    pub parameters: Option<Parameters>,
    /// The text is not whole.
    pub truncated: bool,
    /// Why it may be something else.
    pub doubt: Option<Doubt>,
}

/// Why a statement may be something else than it is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The server had not come to it: it supposes that everything before it succeeded.
    SentAhead,
    /// DO or CALL ran since its name was given: such code can give the name to something else.
    CodeRan,
    /// It may be more of a statement before: names are not recorded, and several portals may be there to run on with.
    SeveralPortals,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<T> {
    /// A statement of a text, and what it executes that was prepared or bound before.
    Text {
        /// Where it stands.
        own: Executed<T>,
        /// Of EXECUTE, and of FETCH.
        executes: Option<Executed<T>>,
        /// What it executes was run before: functions alone are called again.
        again: bool,
    },
    /// A portal that was run to its end before: it runs nothing more.
    Again(Executed<T>),
    /// A text whose statements are not known one by one, or had one more answer than statements.
    Unforeseen {
        /// The text.
        text: T,
        /// How many of its statements were answered before.
        before: u32,
    },
    /// A name whose text is not known.
    Name(String),
    /// The protocol's function call, with the function's OID.
    Function(u32),
    /// The record does not hold what was asked for.
    Omitted,
}

/// A statement of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed<T> {
    /// The text.
    pub text: T,
    /// Which of its statements, from 0.
    pub part: u32,
    /// What the statement prepares, rather than the statement itself: it was prepared by PREPARE.
    pub prepared_in_sql: bool,
    /// When it was prepared, of a prepared statement: what it names was looked up then, and perhaps never since.
    pub prepared: Option<Moment>,
    /// When it was bound to a portal, as the last statement that had begun before: nothing it names was looked up since.
    pub bound: Option<u64>,
}

/// A moment in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// The last statement that had begun before.
    pub statement: u64,
    /// UTC nanoseconds, not later.
    pub at: i64,
}

impl<T> Executed<T> {
    /// A statement of a text that runs as it is read.
    pub fn new(text: T, part: u32) -> Executed<T> {
        Executed { text, part, prepared_in_sql: false, prepared: None, bound: None }
    }
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

impl Parameters {
    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.value.as_ref().map_or(0, Vec::len) + 32).sum()
    }
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
    /// It failed, and nothing of what it did stayed.
    pub undone: bool,
    /// What the server called it, of a statement that was carried out.
    pub tag: Option<CommandTag>,
}

/// What the server calls a statement that it has carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTag {
    /// Without its numbers; empty for an empty query.
    pub words: String,
    /// The server took COPY data for it.
    pub copied_in: bool,
}

/// A transaction that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionEnded {
    /// Counts the session's transactions, from 1.
    pub transaction: u64,
    /// Its first statement; none of a transaction without statements.
    pub first: Option<u64>,
    /// What became of it.
    pub outcome: Outcome,
    /// UTC nanoseconds.
    pub at: i64,
    /// The frame that told.
    pub seq: u64,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In force.
    Committed,
    /// Never in force; with the reason where its statements don't tell.
    RolledBack(Option<String>),
    /// Prepared under this global identifier: any session may commit it or roll it back.
    Prepared(String),
    /// The record does not tell, and why.
    Unknown(String),
}

mod hex_option {
    use super::*;
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(hex::encode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(hex::decode).transpose().map_err(D::Error::custom)
    }
}
