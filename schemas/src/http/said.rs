//! What the server said in words.

use serde::{Deserialize, Serialize};

/// What an error or a notice says beside its code and message; what it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "super::flat::FlatNotice")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(!from))]
pub struct SaidDetails {
    /// DETAIL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// HINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The character that it points at, from 1: of an error, of the statement's text; of a notice, of all that was sent
    /// with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// What was being run, the innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// A statement that the server made itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_query: Option<String>,
    /// The character of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_position: Option<i64>,
    /// The schema of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The data type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// The constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
}

/// A notice, or an error that is no statement's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "super::flat::FlatNotice")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(!from))]
pub struct Notice {
    /// When it came.
    #[serde(default)]
    pub at: String,
    /// `hansard` where they are Hansard's own words; absent where the database's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `NOTICE`, `WARNING`, `ERROR`, `FATAL`, ...
    #[serde(default)]
    pub severity: String,
    /// Five characters.
    #[serde(default)]
    pub sqlstate: String,
    /// The message.
    #[serde(default)]
    pub message: String,
    /// The rest.
    #[serde(flatten)]
    pub details: SaidDetails,
    /// In place of all that: how many more there were than are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}
