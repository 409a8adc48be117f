//! Why a question got no answer.
//!
//! Invariant: the text of an error is one line that a person can act on; causes inside are in `source`.

use std::time::Duration;

use hansard_lake::catalog;
use hansard_record as record;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question itself is wrong: its syntax, a name in it, an argument, a value that cannot be computed.
    #[error("{0}")]
    Invalid(String),
    /// It would change something, or leave the record.
    #[error("the record is read-only: {0} is refused; ask with SELECT, EXPLAIN, SHOW or DESCRIBE")]
    ReadOnly(String),
    /// Nothing is known under that name.
    #[error("{0}")]
    NotFound(String),
    /// No catalog has such a relation, and nothing is recorded of one.
    #[error("no target has a relation {relation}{}", listed(.nearest))]
    NoRelation {
        /// As it was asked for.
        relation: String,
        /// Those whose names are nearest, as SQL writes them, the nearest first.
        nearest: Vec<String>,
    },
    /// It needs more memory than is left of what all questions share.
    #[error(
        "the query needs more memory than is left of the {limit} MiB that all queries share; narrow it by time, target or session, try again when others have ended, or raise query.memory_limit"
    )]
    Memory {
        /// MiB.
        limit: usize,
    },
    /// It took too long.
    #[error("the query took longer than {} s; narrow it by time, target or session, or raise {setting}", .limit.as_secs_f64())]
    Timeout {
        /// The limit in force.
        limit: Duration,
        /// What sets it.
        setting: &'static str,
    },
    /// Whoever asked takes nothing of the answer.
    #[error("nothing of the answer was taken for {} s", .patience.as_secs())]
    NotTaken {
        /// How long an answer waits to be taken.
        patience: Duration,
    },
    /// Others are being answered.
    #[error("{heavy} heavy queries are being answered and {waiting} wait, no more at once; try again in a moment")]
    Busy {
        /// How many heavy ones run at most.
        heavy: usize,
        /// How many wait.
        waiting: usize,
    },
    /// Nobody waited for the answer any more: this is told to nobody.
    #[error("the query was given up")]
    GivenUp,
    /// More lies in the event log, not yet in the lake, than a question may read.
    #[error(
        "what the event log holds and the lake does not yet takes more than {limit} MiB, which is all that a query reads: is a recorder running? Start one (`hansard record`), or raise query.hot_limit"
    )]
    HotTail {
        /// MiB.
        limit: u64,
    },
    /// The log ends before the lake's watermark: it is not the log that this lake was recorded from, or it lost its end.
    #[error(
        "shard {shard} of the event log ends at {end}, the lake holds it up to {watermark}: this is not the log that the lake was recorded from, or its end was lost"
    )]
    LogBehind {
        /// The shard.
        shard: u16,
        /// The log's end.
        end: u64,
        /// The lake's watermark.
        watermark: u64,
    },
    /// A result that is wanted whole is too large for that.
    #[error("the result is larger than {limit} MiB: the session's frames hold all of it")]
    Result {
        /// MiB.
        limit: usize,
    },
    /// The record moved on faster than a view of it could be taken, again and again.
    #[error("the record kept moving while it was read ({attempts} attempts); ask again")]
    Unsettled {
        /// Attempts.
        attempts: u32,
    },
    /// The catalog does not answer.
    #[error("the lake's catalog cannot be read: {}", with_causes(.0))]
    Catalog(#[from] catalog::Error),
    /// The event log does not answer.
    #[error("the live end of the record cannot be read: {}", with_causes(.0))]
    Log(#[from] hansard_event_log::Error),
    /// Saved states in the catalog cannot be used.
    #[error("the lake's catalog holds what this version cannot read: {0}")]
    Projection(#[from] record::Error),
    /// A file of the lake cannot be read.
    #[error("a file of the lake cannot be read: {0}")]
    Lake(String),
    /// A fault of our own.
    #[error("the query engine failed: {0}")]
    Internal(String),
}

/// The closed set of kinds that edges (HTTP status, exit code, metric label) tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The question is wrong.
    Invalid,
    /// It would change something.
    ReadOnly,
    /// Nothing under that name.
    NotFound,
    /// A limit was reached that a narrower question keeps.
    TooLarge,
    /// It took too long.
    Timeout,
    /// Too many others are being answered now.
    Busy,
    /// The log, the catalog or the lake's store cannot be read now.
    Unavailable,
    /// A fault of our own.
    Internal,
}

impl ErrorKind {
    /// One word: a metric label, and the code in HTTP bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::ReadOnly => "read_only",
            ErrorKind::NotFound => "not_found",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Busy => "busy",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Internal => "internal",
        }
    }
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Invalid(_) => ErrorKind::Invalid,
            Error::ReadOnly(_) => ErrorKind::ReadOnly,
            Error::NotFound(_) | Error::NoRelation { .. } => ErrorKind::NotFound,
            Error::Memory { .. } | Error::HotTail { .. } | Error::Result { .. } => ErrorKind::TooLarge,
            Error::Timeout { .. } | Error::NotTaken { .. } | Error::GivenUp => ErrorKind::Timeout,
            Error::Busy { .. } => ErrorKind::Busy,
            Error::LogBehind { .. }
            | Error::Unsettled { .. }
            | Error::Catalog(_)
            | Error::Log(_)
            | Error::Projection(_)
            | Error::Lake(_) => ErrorKind::Unavailable,
            Error::Internal(_) => ErrorKind::Internal,
        }
    }
}

fn listed(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; nearest: {}", nearest.join(", ")) }
}

/// An error and its causes as one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.lines().collect::<Vec<_>>().join(" ")
}
