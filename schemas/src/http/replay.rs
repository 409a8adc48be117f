//! A session at a glance, and where something is in it.

use serde::{Deserialize, Serialize};

/// Operations that only read.
pub const READS: [&str; 5] = ["select", "copy_out", "show", "explain", "fetch"];

/// Operations that neither read nor change data: the session, its transactions, its cursors.
pub const CONTROLS: [&str; 9] =
    ["transaction", "set", "prepare", "deallocate", "declare", "close", "listen", "lock", "empty"];

/// How the error of a statement begins that the database did not run, because one before it had failed.
pub const NOT_RUN: &str = "not executed: ";

/// `GET /api/v1/sessions/{id}/overview[?stretches=N]`: a session's statements by time, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Overview {
    /// How many statements the record holds of it.
    pub statements: i64,
    /// The number of the last of them; 0 without any.
    pub last: i64,
    /// From the session's opening to where the first stretch begins.
    pub from_ns: i64,
    /// How long each stretch is.
    pub width_ns: i64,
    /// How many there are, with statements or without.
    pub stretches: i64,
    /// Those in which statements were begun, in order.
    pub busy: Vec<Stretch>,
    /// Where to begin to look: the first denial, else the first error, else the first write, else the first statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<i64>,
    /// Statements that were denied or failed by themselves.
    pub troubles: i64,
    /// Where frames are missing; at most the first 50, see `more_gaps`.
    #[serde(default)]
    pub gaps: Vec<GapPlace>,
    /// Gaps that are not in `gaps`.
    #[serde(default)]
    pub more_gaps: i64,
}

/// Statements of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Stretch {
    /// Which stretch, from 0.
    pub no: i64,
    /// The first statement begun in it; where it only went on with one, that one.
    pub first: i64,
    /// Statements begun in it.
    pub statements: i64,
    /// Those that only read, or a read that went on in it.
    pub reads: i64,
    /// Those that changed something, or may have, or one of them that went on in it.
    pub writes: i64,
    /// Those that were denied.
    pub denied: i64,
    /// Those that failed by themselves.
    pub failed: i64,
}

/// Where frames of a session are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct GapPlace {
    /// The last statement before it; 0 where there is none.
    pub after: i64,
    /// From the session's opening to the last frame before it; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ns: Option<i64>,
    /// Frames missing; absent where nobody can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<i64>,
    /// Why.
    pub reason: String,
}

/// `GET /api/v1/sessions/{id}/find?of=trouble|text|transaction|time[&text][&offset_ns]&from=N[&back=true]`: the next
/// statement of that kind after `from`, or before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Found {
    /// The statement; absent where there is none that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<i64>,
    /// Which of all of them it is, from 1; 0 without one, and of transactions and times, which are not counted.
    #[serde(default)]
    pub place: i64,
    /// How many there are in the session; likewise.
    #[serde(default)]
    pub total: i64,
}
