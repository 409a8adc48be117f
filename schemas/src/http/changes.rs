//! Who changed a relation, as `GET /api/v1/who-changed` answers it, and the relations that can be asked for.

use serde::{Deserialize, Serialize};

use super::TouchRow;

/// `GET /api/v1/who-changed?relation&at[&window][&operation][&target][&limit]`: what `hansard who-updated` says, in three
/// parts. Without a window it is `1m`, without an operation `update`; several have commas between them, `any` is all.
///
/// With `format=csv`, `parquet` or `arrow` the answer is all the rows of `who_updated` instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct WhoChanged {
    /// The relation that was asked for, as it was written.
    pub relation: String,
    /// The operations, each once; `any` alone where all are meant.
    pub operations: Vec<String>,
    /// The only target that was asked about; absent where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The first instant that was looked at.
    pub from: String,
    /// The last instant that was looked at.
    pub to: String,
    /// What certainly was done, in the order of commits.
    pub certain: Changes,
    /// What may have been done, each row with its reason.
    pub possible: Changes,
    /// What was looked at, a row for each target with sessions that were open then.
    pub looked_at: Vec<LookedAt>,
}

/// One part of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Changes {
    /// How many there are.
    pub total: u64,
    /// The first of them, as many as `limit` said. Statement 0 is no statement, but the session: frames of it are missing.
    pub rows: Vec<TouchRow>,
}

/// What was looked at in one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LookedAt {
    /// The target.
    pub target: String,
    /// Sessions in the record that were open then.
    pub sessions: i64,
    /// Those of them that have gaps in the record, at whatever time.
    pub with_gaps: i64,
    /// When the catalog was read that was in force; absent where none was recorded.
    #[serde(default)]
    pub catalog: Option<String>,
}

/// `GET /api/v1/relations?prefix[&limit]`: a relation that a recorded catalog has or had, for completion. Names that begin
/// with the prefix come first, then those that hold it; with a dot, what is before it is the schema's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RelationName {
    /// As SQL writes it, with its schema.
    pub relation: String,
    /// `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
    pub kind: String,
    /// Where it is, or was.
    pub targets: Vec<String>,
}
