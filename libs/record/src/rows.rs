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
use hansard_schemas::lake::Table;
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
    /// What became of the transaction.
    pub transaction_outcome: Outcome,
    /// UTC nanoseconds.
    pub committed_at: Option<i64>,
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
    /// What became of the transaction.
    pub transaction_outcome: Outcome,
    /// Columns that the text names.
    pub columns: Vec<Arc<str>>,
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
    /// It has not ended.
    Open,
    /// It cannot be known: the answer to its COMMIT never came, or it is missing in the record.
    Unknown,
}

impl Outcome {
    /// As it stands in column `transaction_outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Committed => "committed",
            Outcome::RolledBack => "rolled back",
            Outcome::Open => "open",
            Outcome::Unknown => "unknown",
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
    /// Of table `sessions`.
    pub sessions: Vec<SessionRow>,
}

/// Numbers of rows, by table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lengths {
    frames: usize,
    statements: usize,
    touches: usize,
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
        frames + statements + touches + self.sessions[from.sessions..].len() * 2 * ROW_OVERHEAD
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.statements.is_empty() && self.touches.is_empty() && self.sessions.is_empty()
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
        texts(rows, |row| row.transaction_outcome.as_str()),
        times(rows, |row| row.committed_at),
        numbers(rows, |row| row.first_seq),
        numbers(rows, |row| row.last_seq),
        booleans(rows, |row| row.truncated),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.frames)),
        optional_counts(rows, |row| row.omitted.map(|omitted| omitted.bytes)),
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
        texts(rows, |row| row.transaction_outcome.as_str()),
        lists(rows, |row| row.columns.iter().map(|column| &**column).collect()),
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
