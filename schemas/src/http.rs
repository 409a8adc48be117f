//! The JSON shapes of the HTTP API, shared by the server, the web replay and the command line.
//!
//! Invariant: a field keeps its name and meaning inside `/api/v1`; more may be added, so readers ignore what they
//! do not know. Times are RFC 3339 in UTC with nanoseconds (`2026-11-22T03:12:00.123456789Z`); offsets and
//! durations are nanoseconds. Nothing here formats, fetches or decides: see `web` and `web/ui`.

use serde::{Deserialize, Serialize};

mod changes;
mod flat;
mod grid;
mod leases;
mod replay;
mod said;

pub use changes::{Changes, LookedAt, RelationName, WhoChanged};
pub use grid::{Cell, ResultColumn, ResultGrid, ResultSet};
pub use leases::{LeaseGiven, LeaseRequest, LeaseSummary, RevocationDone, RevocationKind, RevocationRequest};
pub use replay::{CONTROLS, Found, GapPlace, NOT_RUN, Overview, READS, Stretch};
pub use said::{Notice, SaidDetails};

/// Everything below lives under this path.
pub const API: &str = "/api/v1";

/// One page of a listing, in the listing's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PageOf{T}"))]
pub struct Page<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the page after this one; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many there are on all pages; absent where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ApiError {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for a program and for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// A word of a closed set: `unauthenticated`, `forbidden`, `not_found`, `invalid`, `too_large`, `busy`,
    /// `timeout`, `unavailable`, `internal`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The parameter of the request that is at fault, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What may have been meant in its place, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
}

/// `GET /api/v1/status`: what this instance is, and how a job reaches it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Status {
    /// The version of Hansard.
    pub version: String,
    /// Where jobs connect; empty where this process has no proxy.
    #[serde(default)]
    pub targets: Vec<TargetHint>,
}

/// How a job reaches a target through Hansard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TargetHint {
    /// The target's name.
    pub name: String,
    /// `host:port` of the proxy.
    pub listen: String,
    /// The database, where the target names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionOutcome {
    /// Still open.
    Live,
    /// Ended, and recorded from its first frame to its last.
    Complete,
    /// Ended with something not recorded: no closing event, or a gap.
    Incomplete,
    /// The job was not let in.
    Refused,
}

/// `GET /api/v1/sessions`: one session in the list.
///
/// Filters: `job`, `subject`, `target`, `role`, `client`, `application` (`*` stands for any text), `relation` (touched),
/// `operation`, `text` (in a statement, a bound value or an error), `errors` (`true` or `false`), `from`, `to` (opened), `outcome`,
/// `newer_than` (a `cursor`). `sort` is `opened` (without more), `duration` or `statements`, `order` `desc` or `asc`;
/// `limit` and `cursor` for paging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "flat::FlatDetail")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(!from))]
pub struct SessionSummary {
    /// UUIDv7.
    pub session_id: String,
    /// The target's name.
    pub target: String,
    /// The job that the identity's claims name.
    pub job: String,
    /// The identity's subject.
    pub subject: String,
    /// Who vouches for the subject.
    pub issuer: String,
    /// When it was opened.
    pub opened_at: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// Opened to closed; absent while it is open, and where its end was not seen: `closed_at` is when that was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<i64>,
    /// How it stands.
    pub outcome: SessionOutcome,
    /// Statements so far.
    pub statements: i64,
    /// How the session ended, whatever of it is recorded: `open`, `terminated`, `lost`, `ended by database`, `ended by
    /// hansard`, `refused`, `cancel request` or `unknown`; empty of files from before it was written.
    #[serde(default)]
    pub ending: String,
    /// When its last frame came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_frame_at: Option<String>,
    /// Statements that failed; those that were not run because of it are not counted.
    pub errors: i64,
    /// Statements that policy denied.
    pub denied: i64,
    /// The role that it asked for.
    #[serde(default)]
    pub db_user: String,
    /// Why it ended; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<String>,
    /// Places where frames are missing.
    #[serde(default)]
    pub gap_count: i64,
    /// What `newer_than` takes for sessions that were opened after this one.
    #[serde(default)]
    pub cursor: String,
    /// Statements that hold the text that was sought; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<i64>,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_hit: Option<i64>,
}

/// `GET /api/v1/sessions/{id}`: all that is known of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "flat::FlatDetail")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(!from))]
pub struct SessionDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: SessionSummary,
    /// The identity's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Where the job connected from.
    pub client_addr: String,
    /// What the job called itself.
    pub application_name: String,
    /// The role that the database knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_role: Option<String>,
    /// The number of the database's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_pid: Option<i64>,
    /// What was said outside of any statement.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// The database that it asked for.
    pub database: String,
    /// Why the job was not let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_failure: Option<String>,
    /// Wire frames recorded: their `seq` run from 1 to this.
    pub frames: i64,
    /// Bytes from the job.
    pub bytes_frontend: i64,
    /// Bytes to the job.
    pub bytes_backend: i64,
    /// Hex of the SHA-256 chain over the session's events so far.
    pub chain_head: String,
    /// What was not recorded.
    #[serde(default)]
    pub gaps: Vec<RecordGap>,
    /// How much of its frames is recorded: `full`, `statements` or `metadata`; absent means `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
    /// Bytes of one result's rows that are recorded; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_result_bytes: Option<i64>,
    /// Version of TLS between job and proxy; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// Its cipher suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// Subject of the certificate that the job showed; absent when it showed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_dn: Option<String>,
    /// Hex of that certificate's SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_sha256: Option<String>,
    /// What the job said that it was about to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Of which trace its work is a part (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// How it was let in: `password` (a token as the password) or `oauthbearer`; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<String>,
    /// The token's id (`jti`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When the token expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<String>,
    /// Whom others act for: the token's subject, where it names somebody who acts (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting_for: Option<String>,
    /// Who acts, whoever used the token first; each with its issuer in brackets, where the token says it.
    #[serde(default)]
    pub actors: Vec<String>,
    /// The Parquet files that hold it; empty until the first flush.
    #[serde(default)]
    pub files: Vec<LakeFile>,
}

/// `GET /api/v1/jobs`: an identity, a row of table `identities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct IdentityRow {
    /// The job; empty of a refused one whose token does not name it.
    pub job: String,
    /// The token's subject.
    pub subject: String,
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// When its first recorded session was opened.
    pub first_seen: String,
    /// When its last one was.
    pub last_seen: String,
    /// Sessions that it was let in to.
    pub sessions: i64,
    /// Of those, the ones that are open.
    pub open: i64,
    /// How often it was not let in although its token's signature was good.
    pub refused: i64,
    /// Statements of all its sessions.
    pub statements: i64,
    /// Statements that failed.
    pub errors: i64,
    /// Targets that it has connected to.
    pub targets: i64,
}

/// Something that was not recorded, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RecordGap {
    /// The last frame before it.
    pub after_seq: i64,
    /// Frames missing; absent where nobody can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<i64>,
    /// Why.
    pub reason: String,
}

/// One Parquet file of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LakeFile {
    /// The table.
    pub table: String,
    /// Key in the lake.
    pub path: String,
    /// Rows, of all sessions in the file.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// `GET /api/v1/sessions/{id}/steps` (a page; long texts cut, see `cut`) and `/steps/{no}` (one, whole):
/// a statement as a step of the replay.
///
/// Paging: `limit`, `cursor`, or `from` (a statement number to begin with). In the order of the statements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Step {
    /// Counts the session's statements, from 1.
    pub no: i64,
    /// `select`, `insert`, `update`, ... as in `statements.operation`.
    pub operation: String,
    /// The statement's text.
    pub sql: String,
    /// True where this answer holds less of `sql` or of a parameter than the lake does.
    #[serde(default)]
    pub cut: bool,
    /// True where the row itself holds less than the frames do.
    #[serde(default)]
    pub truncated: bool,
    /// Bound values, in order.
    #[serde(default)]
    pub parameters: Vec<Cell>,
    /// What it read or wrote.
    #[serde(default)]
    pub touches: Vec<Touch>,
    /// When it was started.
    pub started_at: String,
    /// From the session's opening to the statement's start.
    pub offset_ns: i64,
    /// Started to finished; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<i64>,
    /// Rows returned or affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// The error's code; absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The error's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `ERROR`, `FATAL` or `PANIC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_severity: Option<String>,
    /// What else the error says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_details: Option<SaidDetails>,
    /// What the server said while it ran.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// `done`, `failed`, `not run` (another statement had failed before it), `running` or `no answer`; empty of files from
    /// before it was written.
    #[serde(default)]
    pub status: String,
    /// What EXECUTE, FETCH or MOVE ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed: Option<String>,
    /// `allow`, `mask`, `hold` or `deny`.
    pub verdict: String,
    /// Counts the session's transactions, from 1.
    pub transaction_id: i64,
    /// `committed`, `rolled back`, `open` or `unknown`.
    pub transaction_outcome: String,
    /// When its transaction was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<String>,
    /// Why the outcome is `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_reason: Option<String>,
    /// Why the text, or part of it, was not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
    /// First wire frame of the statement.
    pub first_seq: i64,
    /// Last wire frame of the statement.
    pub last_seq: i64,
    /// Rows of its result that the capture level or the limit left out of the record; absent when none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_rows: Option<i64>,
    /// True where the capture level left its text and parameters out of the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text_omitted: bool,
    /// True where the session has ended, and no answer to the statement was recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
}

impl Step {
    /// The database did not run it, because a statement before it had failed.
    pub fn is_not_run(&self) -> bool {
        match self.status.as_str() {
            // Files from before there was a status tell it by the error.
            "" => self.sqlstate.is_some() && self.error.as_deref().is_some_and(|error| error.starts_with(NOT_RUN)),
            status => status == "not run",
        }
    }
}

/// A relation that a statement touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Touch {
    /// `schema.table`.
    pub relation: String,
    /// What was done to it.
    pub operation: String,
    /// The columns named.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// `POST /api/v1/query`: a question in SQL, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// One statement; with the rest of the request at most 256 KiB.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 262_144), extend("format" = "hansard-sql")))]
    pub sql: String,
    /// How to answer.
    #[serde(default)]
    pub format: QueryFormat,
}

/// How rows are given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum QueryFormat {
    /// An array of objects.
    #[default]
    Json,
    /// Comma-separated, with a header.
    Csv,
    /// One Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

impl QueryFormat {
    /// All formats.
    pub const ALL: [QueryFormat; 4] = [QueryFormat::Json, QueryFormat::Csv, QueryFormat::Parquet, QueryFormat::Arrow];

    /// Its name in a request.
    pub fn name(self) -> &'static str {
        match self {
            QueryFormat::Json => "json",
            QueryFormat::Csv => "csv",
            QueryFormat::Parquet => "parquet",
            QueryFormat::Arrow => "arrow",
        }
    }

    /// The media type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            QueryFormat::Json => "application/json",
            QueryFormat::Csv => "text/csv; charset=utf-8",
            QueryFormat::Parquet => "application/vnd.apache.parquet",
            QueryFormat::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// `GET /api/v1/who-touched?relation&from&to[&operation][&format]`: one row of the answer, with `format=json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TouchRow {
    /// `schema.table`.
    pub relation: String,
    /// What was done to it.
    pub operation: String,
    /// When the statement was started.
    pub at: String,
    /// When its transaction was committed.
    #[serde(default)]
    pub committed_at: Option<String>,
    /// The job.
    pub job: String,
    /// The identity's subject.
    pub subject: String,
    /// The session.
    pub session_id: String,
    /// The statement in it.
    pub statement_no: i64,
    /// The target.
    pub target: String,
    /// Rows returned or affected.
    #[serde(default)]
    pub rows: Option<i64>,
    /// `committed`, `rolled back`, `open` or `unknown`.
    pub transaction_outcome: String,
    /// The columns named.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Counts the session's transactions, from 1.
    #[serde(default)]
    pub transaction_id: Option<i64>,
    /// `certain`, or `possible`: it may be this relation, or may have come to nothing.
    pub certainty: String,
    /// Why it is only possible.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why the outcome is `unknown`.
    #[serde(default)]
    pub outcome_reason: Option<String>,
    /// How the relation was reached: `direct`, `view`, `rule`, `trigger`, `function`, `cascade`, `partition` or
    /// `inheritance`.
    #[serde(default)]
    pub via: Option<String>,
    /// The statement's text.
    #[serde(default)]
    pub sql: Option<String>,
    /// True where `sql` is the beginning of it.
    #[serde(default)]
    pub cut: bool,
}

/// `POST /api/v1/login-links`: a fresh way in for a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LoginLink {
    /// Works once.
    pub url: String,
    /// For so long.
    pub valid_seconds: u64,
}
