//! Rows of the tables. Nothing here knows how a row came about.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hansard_pg_wire::conversation::Details;
use hansard_schemas::events::Omitted;
use hansard_schemas::lake::{PREPARED, Table};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod columns;
mod frames;
mod lease;
#[cfg(test)]
mod tests;

pub use frames::{FrameRow, Frames, Run};
pub use lease::LeaseRow;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// The session.
    pub session_id: Uuid,
    /// Place among the session's statements, from 1.
    pub statement_no: u64,
    /// The target.
    pub target: Arc<str>,
    /// The job.
    pub job: Arc<str>,
    /// The identity's subject.
    pub subject: Arc<str>,
    /// The identity's issuer.
    pub issuer: Arc<str>,
    /// `hansard_policy::Operation` in text form.
    pub operation: &'static str,
    /// The text.
    pub sql: Arc<str>,
    /// JSON array of the bound values.
    pub parameters: Option<Arc<str>>,
    /// libpg_query's fingerprint, hex.
    pub fingerprint: Option<Arc<str>>,
    /// UTC nanoseconds.
    pub started_at: i64,
    /// UTC nanoseconds.
    pub finished_at: Option<i64>,
    /// Rows, where the answer told them.
    pub rows: Option<i64>,
    /// The error's SQLSTATE.
    pub sqlstate: Option<Arc<str>>,
    /// The error's message.
    pub error: Option<Arc<str>>,
    /// What policy said.
    pub verdict: &'static str,
    /// Place among the session's transactions, from 1.
    pub transaction_id: u64,
    /// What became of the transaction; `None` when it has not ended yet: a [`TransactionRow`] tells later.
    pub transaction_outcome: Option<Outcome>,
    /// UTC nanoseconds.
    pub committed_at: Option<i64>,
    /// Why the outcome is [`Outcome::Unknown`].
    pub outcome_reason: Option<Arc<str>>,
    /// Why the text, or part of it, was not understood.
    pub opaque: Option<Arc<str>>,
    /// The frame that began it.
    pub first_seq: u64,
    /// The last frame that belongs to it so far.
    pub last_seq: u64,
    /// Text or parameters are longer than what this row keeps.
    pub truncated: bool,
    /// Rows of its result, and their bytes, that the capture level or the limit left out.
    pub omitted: Option<Omitted>,
    /// How it stands.
    pub status: Status,
    /// What EXECUTE, FETCH or MOVE ran.
    pub executed: Option<Arc<str>>,
    /// The error's severity.
    pub severity: Option<Arc<str>>,
    /// What else the error says; its position is in `sql`.
    pub details: Option<Arc<Details>>,
    /// JSON array of what the server said while it ran.
    pub notices: Option<Arc<str>>,
}

/// How a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It was carried out.
    Done,
    /// It failed.
    Failed,
    /// Another one had failed before it.
    NotRun,
    /// It is not answered yet.
    Running,
    /// The record holds no answer to it.
    NoAnswer,
}

impl Status {
    /// As it stands in column `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Failed => "failed",
            Status::NotRun => "not run",
            Status::Running => "running",
            Status::NoAnswer => "no answer",
        }
    }
}

/// A statement's touch of one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchRow {
    /// `schema.table`.
    pub relation: Arc<str>,
    /// `hansard_policy::Operation` in text form.
    pub operation: &'static str,
    /// When the statement began, UTC nanoseconds.
    pub at: i64,
    /// UTC nanoseconds.
    pub committed_at: Option<i64>,
    /// The job.
    pub job: Arc<str>,
    /// The identity's subject.
    pub subject: Arc<str>,
    /// The session.
    pub session_id: Uuid,
    /// The statement.
    pub statement_no: u64,
    /// The target.
    pub target: Arc<str>,
    /// Rows of the statement, where they are this relation's.
    pub rows: Option<i64>,
    /// Place among the session's transactions, from 1.
    pub transaction_id: u64,
    /// What became of the transaction; `None` when it has not ended yet.
    pub transaction_outcome: Option<Outcome>,
    /// Why the outcome is [`Outcome::Unknown`].
    pub outcome_reason: Option<Arc<str>>,
    /// Columns that the text names.
    pub columns: Arc<[Arc<str>]>,
    /// How the relation was reached: `hansard_policy::reach::Via` in text form.
    pub via: &'static str,
    /// Whether the statement touched the relation, or may have.
    pub certainty: Certainty,
    /// Why it is only [`Certainty::Possible`].
    pub reason: Option<Arc<str>>,
}

/// Whether a touch is known or feared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// The statement names the relation.
    Certain,
    /// It may have touched it.
    Possible,
}

impl Certainty {
    /// As it stands in column `certainty`.
    pub fn as_str(self) -> &'static str {
        match self {
            Certainty::Certain => "certain",
            Certainty::Possible => "possible",
        }
    }
}

/// The end of a transaction, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRow {
    /// The session.
    pub session_id: Uuid,
    /// Place among the session's transactions, from 1.
    pub transaction_id: u64,
    /// The target.
    pub target: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// What ended.
    pub kind: TransactionKind,
    /// Its first statement; of a savepoint the first that was undone, of a resolution the statement that said it.
    pub first_statement: u64,
    /// Its last statement, likewise.
    pub last_statement: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why the outcome is [`Outcome::Unknown`].
    pub reason: Option<Arc<str>>,
    /// When the server's answer said so, UTC nanoseconds.
    pub ended_at: i64,
    /// UTC nanoseconds.
    pub committed_at: Option<i64>,
    /// The name that a prepared transaction has, in its own row and in that of its resolution.
    pub gid: Option<Arc<str>>,
    /// When the transaction's earliest statement began, UTC nanoseconds; `None` where that is not known, and of a resolution.
    pub started_at: Option<i64>,
}

/// What a [`TransactionRow`] tells the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionKind {
    /// The transaction.
    Transaction,
    /// Statements that ROLLBACK TO SAVEPOINT undid: always [`Outcome::RolledBack`].
    Savepoint,
    /// A prepared transaction, of whichever session: COMMIT PREPARED or ROLLBACK PREPARED.
    Resolution,
}

impl TransactionKind {
    /// As it stands in column `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            TransactionKind::Transaction => "transaction",
            TransactionKind::Savepoint => "savepoint",
            TransactionKind::Resolution => "resolution",
        }
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The session.
    pub session_id: Uuid,
    /// The target.
    pub target: Arc<str>,
    /// The job.
    pub job: Arc<str>,
    /// The identity's subject.
    pub subject: Arc<str>,
    /// The identity's issuer.
    pub issuer: Arc<str>,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// Address and port.
    pub client_addr: String,
    /// As the job named itself.
    pub application_name: String,
    /// The role asked for.
    pub db_user: String,
    /// The database asked for.
    pub database: String,
    /// UTC nanoseconds.
    pub opened_at: i64,
    /// UTC nanoseconds.
    pub closed_at: Option<i64>,
    /// Why it ended.
    pub close_reason: Option<String>,
    /// Closed, and nothing is missing.
    pub complete: bool,
    /// Statements.
    pub statements: u64,
    /// Frames.
    pub frames: u64,
    /// Bytes from the job.
    pub bytes_frontend: u64,
    /// Bytes to the job.
    pub bytes_backend: u64,
    /// Statements that were denied.
    pub denied: u64,
    /// Why the job was not let in.
    pub auth_failure: Option<String>,
    /// JSON array of gaps.
    pub gaps: Option<String>,
    /// The chain over the session's events so far.
    pub chain_head: [u8; 32],
    /// How much of its frames is recorded: `full`, `statements` or `metadata`.
    pub capture: String,
    /// Bytes of one result's rows that are recorded.
    pub max_result_bytes: Option<u64>,
    /// How the job's connection was encrypted.
    pub tls: Option<Encryption>,
    /// How often the server's answers contradicted what the session was taken for.
    pub contradictions: u64,
    /// The role that the database knows it by.
    pub database_role: Option<String>,
    /// The number of the database's process.
    pub backend_pid: Option<u32>,
    /// Statements that failed.
    pub errors: u64,
    /// JSON array of what was said outside of any statement.
    pub notices: Option<Arc<str>>,
    /// How it ended, in a word of a closed set; see the column.
    pub ending: &'static str,
    /// UTC nanoseconds.
    pub last_frame_at: Option<i64>,
    /// What the job said that it was about to do, and of which trace its work is a part.
    pub purpose: Option<String>,
    /// Likewise.
    pub traceparent: Option<String>,
    /// By what it was let in.
    pub credential: Credential,
}

/// By what a job was let in.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The way in which it was shown.
    pub authentication: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// UTC nanoseconds.
    pub token_expires_at: Option<i64>,
    /// JSON array of who acts for the subject.
    pub actors: Option<String>,
    /// The lease, where it was one.
    pub lease: Option<String>,
}

/// TLS between job and proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `TLSv1.3`, for instance.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The certificate that the job showed.
    pub client: Option<ClientCertificate>,
}

/// A certificate that a job showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// Its subject.
    pub subject: String,
    /// Hex of its SHA-256.
    pub sha256: String,
}

/// An object of a database's schema that a version of it brought, changed or took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogRow {
    /// The target.
    pub target: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// The node of the process that read it.
    pub node: Arc<str>,
    /// That process.
    pub instance: Arc<str>,
    /// Counts what that process has told of the database, from 1.
    pub version: u64,
    /// The version that is changed; 0: all that was known is replaced.
    pub base_version: u64,
    /// UTC nanoseconds: it was so between this moment
    pub begun_at: i64,
    /// and this one.
    pub read_at: i64,
    /// `hansard_policy::catalog::Kind` in text form, or [`CatalogRow::MISSING`].
    pub kind: &'static str,
    /// PostgreSQL's number of it.
    pub oid: u32,
    /// Its schema, where it has one of its own.
    pub schema: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// JSON of `hansard_policy::catalog::Object`; `None`: it is gone.
    pub definition: Option<Arc<str>>,
}

impl CatalogRow {
    /// Stands for the kind of what could not be read: `name` says which kind, `definition` why.
    pub const MISSING: &'static str = "missing";
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is in force.
    Committed,
    /// It never was in force.
    RolledBack,
    /// It cannot be known: the answer to its COMMIT never came, or it is missing in the record.
    Unknown,
    /// PREPARE TRANSACTION ended it: in table `transactions` only, where a resolution tells the rest.
    Prepared,
}

impl Outcome {
    /// As it stands in the columns `transaction_outcome` and `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Committed => "committed",
            Outcome::RolledBack => "rolled back",
            Outcome::Unknown => "unknown",
            Outcome::Prepared => PREPARED,
        }
    }
}

/// Rows on their way into the lake, in no particular order.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Of table `frames`.
    pub frames: Frames,
    /// Of table `statements`.
    pub statements: Vec<StatementRow>,
    /// Of table `touches`.
    pub touches: Vec<TouchRow>,
    /// Of table `transactions`.
    pub transactions: Vec<TransactionRow>,
    /// Of table `sessions`.
    pub sessions: Vec<SessionRow>,
    /// Of table `catalog`.
    pub catalog: Vec<CatalogRow>,
    /// Of table `leases`.
    pub leases: Vec<LeaseRow>,
}

/// Numbers of rows, by table; of frames, of their runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lengths {
    frames: usize,
    statements: usize,
    touches: usize,
    transactions: usize,
    sessions: usize,
    catalog: usize,
    leases: usize,
}

impl Lengths {
    /// How many rows of one table; of frames, how many runs.
    pub fn of(&self, table: Table) -> usize {
        match table {
            Table::Frames => self.frames,
            Table::Statements => self.statements,
            Table::Touches => self.touches,
            Table::Transactions => self.transactions,
            Table::Sessions => self.sessions,
            Table::Catalog => self.catalog,
            Table::Leases => self.leases,
        }
    }
}

/// Bytes that a frame is counted with beside its own: its row in Arrow.
const FRAME: usize = 256;

/// Bytes that a text is counted with beside its own: two counters, and what the allocator needs.
const TEXT: usize = 32;

/// Bytes that a statement is counted with while its transaction has not ended: where its rows are.
const OPEN_ROW: usize = 96;

fn text(text: &str) -> usize {
    text.len() + TEXT
}

fn length(of: &Option<Arc<str>>) -> usize {
    of.as_deref().map_or(0, text)
}

impl StatementRow {
    fn memory(&self) -> usize {
        let others = length(&self.parameters) + length(&self.error) + length(&self.sqlstate);
        let reasons = length(&self.opaque) + length(&self.outcome_reason);
        let said = length(&self.severity) + length(&self.notices) + length(&self.executed);
        let details = self.details.as_ref().map_or(0, |details| size_of::<Details>() + details.bytes());
        let texts = text(&self.sql) + length(&self.fingerprint) + others + reasons + said;
        size_of::<StatementRow>() + OPEN_ROW + texts + details
    }
}

impl TouchRow {
    fn memory(&self) -> usize {
        let columns = self.columns.iter().map(|column| size_of::<Arc<str>>() + column.len()).sum::<usize>();
        let reasons = length(&self.reason) + length(&self.outcome_reason);
        size_of::<TouchRow>() + text(&self.relation) + reasons + columns
    }
}

impl TransactionRow {
    fn memory(&self) -> usize {
        size_of::<TransactionRow>() + length(&self.reason) + length(&self.gid)
    }
}

impl SessionRow {
    fn memory(&self) -> usize {
        let texts = [&self.client_addr, &self.application_name, &self.db_user, &self.database, &self.capture];
        let Credential { authentication, token_id, token_expires_at: _, actors, lease } = &self.credential;
        let optional = [&self.close_reason, &self.auth_failure, &self.gaps, &self.database_role];
        let optional =
            optional.into_iter().chain([&self.purpose, &self.traceparent, authentication, token_id, actors, lease]);
        let groups = self.groups.iter().map(|group| size_of::<String>() + text(group)).sum::<usize>();
        let texts = texts.into_iter().chain(optional.flatten()).map(|of| text(of)).sum::<usize>();
        let tls = self.tls.as_ref().map_or(0, |tls| {
            let client = tls.client.as_ref().map_or(0, |client| text(&client.subject) + text(&client.sha256));
            text(&tls.version) + text(&tls.cipher) + client
        });
        size_of::<SessionRow>() + texts + groups + tls + length(&self.notices)
    }
}

impl CatalogRow {
    fn memory(&self) -> usize {
        let texts = [&self.target, &self.database, &self.node, &self.instance, &self.name];
        let texts = texts.into_iter().map(|of| text(of)).sum::<usize>();
        size_of::<CatalogRow>() + texts + length(&self.schema) + length(&self.definition)
    }
}

impl Rows {
    /// About how much memory the rows take, in bytes; shared texts count for every row, as they do in Arrow. Rows must be
    /// taken away long before this comes near 2 GiB, which is all that one Arrow column can hold.
    pub fn memory(&self) -> usize {
        self.memory_from(Lengths::default())
    }

    /// How many rows there are.
    pub fn lengths(&self) -> Lengths {
        Lengths {
            frames: self.frames.runs(),
            statements: self.statements.len(),
            touches: self.touches.len(),
            transactions: self.transactions.len(),
            sessions: self.sessions.len(),
            catalog: self.catalog.len(),
            leases: self.leases.len(),
        }
    }

    /// Likewise, of the rows that have come since there were so many.
    pub fn memory_from(&self, from: Lengths) -> usize {
        let statements = self.statements[from.statements..].iter().map(StatementRow::memory).sum::<usize>();
        let touches = self.touches[from.touches..].iter().map(TouchRow::memory).sum::<usize>();
        let transactions = self.transactions[from.transactions..].iter().map(TransactionRow::memory).sum::<usize>();
        let sessions = self.sessions[from.sessions..].iter().map(SessionRow::memory).sum::<usize>();
        let catalog = self.catalog[from.catalog..].iter().map(CatalogRow::memory).sum::<usize>();
        let leases = self.leases[from.leases..].iter().map(LeaseRow::memory).sum::<usize>();
        self.frames.memory_from(from.frames) + statements + touches + transactions + sessions + catalog + leases
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        Table::ALL.into_iter().all(|table| self.len(table) == 0)
    }

    /// How many rows of one table there are.
    fn len(&self, table: Table) -> usize {
        match table {
            Table::Frames => self.frames.len(),
            Table::Statements => self.statements.len(),
            Table::Touches => self.touches.len(),
            Table::Transactions => self.transactions.len(),
            Table::Sessions => self.sessions.len(),
            Table::Catalog => self.catalog.len(),
            Table::Leases => self.leases.len(),
        }
    }

    /// One table's rows in Arrow, sorted by [`Table::sort_columns`].
    pub fn batch(&self, table: Table) -> RecordBatch {
        columns::batch(self, table, columns::Order::Sorted)
    }

    /// One table's rows in Arrow, in the order in which they were pushed; of frames, sorted.
    pub fn batch_as_pushed(&self, table: Table) -> RecordBatch {
        columns::batch(self, table, columns::Order::Pushed)
    }
}
