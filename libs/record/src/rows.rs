//! Rows as plain structs, and their way into Arrow.
//!
//! Invariant: [`Rows::batch`] gives exactly the columns of [`Table::schema`], sorted by
//! [`Table::sort_columns`]. Nothing here knows how a row came about.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int64Array, ListBuilder, StringBuilder, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use hansard_schemas::events::{Direction, Omitted, Part};
use hansard_schemas::lake::{PREPARED, Table};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A wire frame, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRow {
    /// The session.
    pub session_id: Uuid,
    /// Place among the session's frames, from 1.
    pub seq: u64,
    /// When Hansard took it over, UTC nanoseconds.
    pub at: i64,
    /// Who sent it.
    pub direction: Direction,
    /// The type byte; 0 for frames that have none on the wire.
    pub tag: u8,
    /// The bytes as on the wire on the job's side.
    pub frame: Bytes,
    /// Bytes of the frame were masked or withheld.
    pub masked: bool,
    /// Why the bytes are absent.
    pub withheld: Option<Arc<str>>,
    /// Whole, or which part of a long frame.
    pub part: Part,
    /// The target.
    pub target: Arc<str>,
    /// What the row stands for, where the capture level or the limit left content out.
    pub omitted: Option<Omitted>,
}

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
    pub columns: Vec<Arc<str>>,
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
    pub frames: Vec<FrameRow>,
    /// Of table `statements`.
    pub statements: Vec<StatementRow>,
    /// Of table `touches`.
    pub touches: Vec<TouchRow>,
    /// Of table `transactions`.
    pub transactions: Vec<TransactionRow>,
    /// Of table `sessions`.
    pub sessions: Vec<SessionRow>,
}

/// Numbers of rows, by table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lengths {
    frames: usize,
    statements: usize,
    touches: usize,
    transactions: usize,
    sessions: usize,
}

/// Bytes that a row is counted with beside its texts.
const ROW_OVERHEAD: usize = 256;

impl Rows {
    /// About how much memory the rows take in Arrow, in bytes; shared texts count for every row. Rows must be
    /// taken away long before this comes near 2 GiB, which is all that one Arrow column can hold.
    pub fn memory(&self) -> usize {
        self.memory_from(Lengths::default())
    }

    /// How many rows there are.
    pub fn lengths(&self) -> Lengths {
        Lengths {
            frames: self.frames.len(),
            statements: self.statements.len(),
            touches: self.touches.len(),
            transactions: self.transactions.len(),
            sessions: self.sessions.len(),
        }
    }

    /// Likewise, of the rows that have come since there were so many.
    pub fn memory_from(&self, from: Lengths) -> usize {
        let frames: usize = self.frames[from.frames..].iter().map(|row| row.frame.len() + ROW_OVERHEAD).sum();
        let statements: usize = self.statements[from.statements..]
            .iter()
            .map(|row| row.sql.len() + row.parameters.as_ref().map_or(0, |p| p.len()) + ROW_OVERHEAD)
            .sum();
        let touches: usize = self.touches[from.touches..]
            .iter()
            .map(|row| row.relation.len() + row.columns.len() * 16 + ROW_OVERHEAD)
            .sum();
        let transactions = self.transactions[from.transactions..].len() * ROW_OVERHEAD;
        frames + statements + touches + transactions + self.sessions[from.sessions..].len() * 2 * ROW_OVERHEAD
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
        }
    }

    /// One table's rows in Arrow, sorted by [`Table::sort_columns`].
    pub fn batch(&self, table: Table) -> RecordBatch {
        let columns = match table {
            Table::Frames => frames(&sorted(&self.frames, |row| (row.session_id, row.seq))),
            Table::Statements => {
                statements(&sorted(&self.statements, |row| (row.started_at, row.session_id, row.statement_no)))
            }
            Table::Touches => touches(&sorted(&self.touches, |row| {
                (row.relation.clone(), row.operation, row.at, row.session_id, row.statement_no)
            })),
            Table::Transactions => transactions(&sorted(&self.transactions, |row| {
                (row.session_id, row.transaction_id, row.first_statement)
            })),
            Table::Sessions => sessions(&sorted(&self.sessions, |row| (row.opened_at, row.session_id))),
        };
        RecordBatch::try_new(table.schema(), columns).expect("the columns are built to the table's schema")
    }
}

fn sorted<Row, Key: Ord>(rows: &[Row], key: impl Fn(&Row) -> Key) -> Vec<&Row> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_cached_key(|row| key(row));
    sorted
}

fn frames(rows: &[&FrameRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows, |row| row.session_id),
        numbers(rows, |row| row.seq),
        times(rows, |row| Some(row.at)),
        texts(rows, |row| match row.direction {
            Direction::Frontend => "frontend",
            Direction::Backend => "backend",
            Direction::Unspecified => "unknown",
        }),
        tags(rows),
        binaries(rows),
        booleans(rows, |row| row.masked),
        optional_texts(rows, |row| row.withheld.as_deref()),
        texts(rows, |row| match row.part {
            Part::Whole => "whole",
            Part::First => "first",
            Part::Middle => "middle",
            Part::Last => "last",
        }),
        texts(rows, |row| &row.target),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.frames)),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.bytes)),
    ]
}

/// An outcome that a statement's row can tell by itself.
fn settled(outcome: Option<Outcome>) -> Option<&'static str> {
    outcome.filter(|outcome| *outcome != Outcome::Prepared).map(Outcome::as_str)
}

fn statements(rows: &[&StatementRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows, |row| row.session_id),
        numbers(rows, |row| row.statement_no),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        texts(rows, |row| &row.issuer),
        texts(rows, |row| row.operation),
        texts(rows, |row| &row.sql),
        optional_texts(rows, |row| row.parameters.as_deref()),
        optional_texts(rows, |row| row.fingerprint.as_deref()),
        times(rows, |row| Some(row.started_at)),
        times(rows, |row| row.finished_at),
        optional_numbers(rows, |row| row.rows),
        optional_texts(rows, |row| row.sqlstate.as_deref()),
        optional_texts(rows, |row| row.error.as_deref()),
        texts(rows, |row| row.verdict),
        numbers(rows, |row| row.transaction_id),
        optional_texts(rows, |row| settled(row.transaction_outcome)),
        times(rows, |row| row.committed_at),
        numbers(rows, |row| row.first_seq),
        numbers(rows, |row| row.last_seq),
        booleans(rows, |row| row.truncated),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.frames)),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.bytes)),
        optional_texts(rows, |row| row.outcome_reason.as_deref()),
        optional_texts(rows, |row| row.opaque.as_deref()),
    ]
}

fn touches(rows: &[&TouchRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |row| &row.relation),
        texts(rows, |row| row.operation),
        times(rows, |row| Some(row.at)),
        times(rows, |row| row.committed_at),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        uuids(rows, |row| row.session_id),
        numbers(rows, |row| row.statement_no),
        texts(rows, |row| &row.target),
        optional_numbers(rows, |row| row.rows),
        optional_texts(rows, |row| settled(row.transaction_outcome)),
        lists(rows, |row| row.columns.iter().map(|column| &**column).collect()),
        numbers(rows, |row| row.transaction_id),
        texts(rows, |row| row.certainty.as_str()),
        optional_texts(rows, |row| row.reason.as_deref()),
        optional_texts(rows, |row| row.outcome_reason.as_deref()),
    ]
}

fn transactions(rows: &[&TransactionRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows, |row| row.session_id),
        numbers(rows, |row| row.transaction_id),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.database),
        texts(rows, |row| row.kind.as_str()),
        numbers(rows, |row| row.first_statement),
        numbers(rows, |row| row.last_statement),
        texts(rows, |row| row.outcome.as_str()),
        optional_texts(rows, |row| row.reason.as_deref()),
        times(rows, |row| Some(row.ended_at)),
        times(rows, |row| row.committed_at),
        optional_texts(rows, |row| row.gid.as_deref()),
    ]
}

fn sessions(rows: &[&SessionRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows, |row| row.session_id),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        texts(rows, |row| &row.issuer),
        lists(rows, |row| row.groups.iter().map(String::as_str).collect()),
        texts(rows, |row| &row.client_addr),
        texts(rows, |row| &row.application_name),
        texts(rows, |row| &row.db_user),
        texts(rows, |row| &row.database),
        times(rows, |row| Some(row.opened_at)),
        times(rows, |row| row.closed_at),
        optional_texts(rows, |row| row.close_reason.as_deref()),
        booleans(rows, |row| row.complete),
        numbers(rows, |row| row.statements),
        numbers(rows, |row| row.frames),
        numbers(rows, |row| row.bytes_frontend),
        numbers(rows, |row| row.bytes_backend),
        numbers(rows, |row| row.denied),
        optional_texts(rows, |row| row.auth_failure.as_deref()),
        optional_texts(rows, |row| row.gaps.as_deref()),
        chain_heads(rows),
        texts(rows, |row| &row.capture),
        optional_counts(rows, |row| row.max_result_bytes),
        optional_texts(rows, |row| Some(&*row.tls.as_ref()?.version)),
        optional_texts(rows, |row| Some(&*row.tls.as_ref()?.cipher)),
        optional_texts(rows, |row| Some(&*row.tls.as_ref()?.client.as_ref()?.subject)),
        optional_texts(rows, |row| Some(&*row.tls.as_ref()?.client.as_ref()?.sha256)),
        numbers(rows, |row| row.contradictions),
    ]
}

fn texts<'a, Row>(rows: &[&'a Row], get: impl Fn(&'a Row) -> &'a str) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_value(get(row)));
    Arc::new(builder.finish())
}

fn optional_texts<'a, Row>(rows: &[&'a Row], get: impl Fn(&'a Row) -> Option<&'a str>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_option(get(row)));
    Arc::new(builder.finish())
}

fn uuids<Row>(rows: &[&Row], get: impl Fn(&Row) -> Uuid) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * uuid::fmt::Hyphenated::LENGTH);
    let mut text = Uuid::encode_buffer();
    rows.iter().for_each(|row| builder.append_value(get(row).hyphenated().encode_lower(&mut text)));
    Arc::new(builder.finish())
}

fn chain_heads(rows: &[&SessionRow]) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_value(hex::encode(row.chain_head)));
    Arc::new(builder.finish())
}

fn tags(rows: &[&FrameRow]) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let mut text = [0; 2];
    for row in rows {
        builder.append_value(if row.tag == 0 { "" } else { char::from(row.tag).encode_utf8(&mut text) });
    }
    Arc::new(builder.finish())
}

fn binaries(rows: &[&FrameRow]) -> ArrayRef {
    let mut builder = BinaryBuilder::with_capacity(rows.len(), rows.iter().map(|row| row.frame.len()).sum());
    rows.iter().for_each(|row| builder.append_value(&row.frame));
    Arc::new(builder.finish())
}

fn booleans<Row>(rows: &[&Row], get: impl Fn(&Row) -> bool) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(get(row))).collect::<BooleanArray>())
}

/// Counters that have passed `i64::MAX` stay there.
fn numbers<Row>(rows: &[&Row], get: impl Fn(&Row) -> u64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::try_from(get(row)).unwrap_or(i64::MAX))))
}

fn optional_numbers<Row>(rows: &[&Row], get: impl Fn(&Row) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| get(row)).collect::<Int64Array>())
}

fn optional_counts<Row>(rows: &[&Row], get: impl Fn(&Row) -> Option<u64>) -> ArrayRef {
    optional_numbers(rows, |row| get(row).map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
}

fn times<Row>(rows: &[&Row], get: impl Fn(&Row) -> Option<i64>) -> ArrayRef {
    let times = rows.iter().map(|row| get(row)).collect::<TimestampNanosecondArray>();
    Arc::new(times.with_timezone("+00:00"))
}

fn lists<'a, Row>(rows: &[&'a Row], get: impl Fn(&'a Row) -> Vec<&'a str>) -> ArrayRef {
    let field = Arc::new(Field::new("item", DataType::Utf8, false));
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in rows {
        get(row).into_iter().for_each(|item| builder.values().append_value(item));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_without_rows_has_its_schema() {
        for table in Table::ALL {
            let batch = Rows::default().batch(table);
            assert_eq!((batch.schema(), batch.num_rows()), (table.schema(), 0));
        }
    }

    #[test]
    fn frames_come_out_sorted_with_readable_tags() {
        let frame = |seq, tag, part| FrameRow {
            session_id: Uuid::from_u128(7),
            seq,
            at: 5,
            direction: Direction::Frontend,
            tag,
            frame: Bytes::from_static(b"x"),
            masked: false,
            withheld: None,
            part,
            target: "t".into(),
            omitted: None,
        };
        let rows = Rows {
            frames: vec![frame(3, b'Q', Part::Whole), frame(1, 0, Part::Whole), frame(2, 0xe9, Part::First)],
            ..Rows::default()
        };
        let batch = rows.batch(Table::Frames);
        let text = |name: &str| -> Vec<String> {
            let column = batch.column_by_name(name).unwrap();
            let column = column.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
            column.iter().map(|value| value.unwrap().to_owned()).collect()
        };
        assert_eq!(text("tag"), ["", "é", "Q"]);
        assert_eq!(text("part"), ["whole", "first", "whole"]);
        assert_eq!(text("session_id")[0], "00000000-0000-0000-0000-000000000007");
    }
}
