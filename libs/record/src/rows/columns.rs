//! Rows to Arrow.
//!
//! Invariant: a batch has exactly the columns of [`Table::schema`], sorted by [`Table::sort_columns`].

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int64Array, ListBuilder, StringBuilder, TimestampNanosecondArray,
    new_null_array,
};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use hansard_schemas::events::{Direction, Part};
use hansard_schemas::lake::Table;
use uuid::Uuid;

use super::{FrameRow, Outcome, Rows, SessionRow, StatementRow, TouchRow, TransactionRow};

/// A table's rows.
pub(super) fn batch(rows: &Rows, table: Table) -> RecordBatch {
    let columns = match table {
        Table::Frames => frames(&sorted(&rows.frames, |row| (row.session_id, row.seq))),
        Table::Statements => {
            statements(&sorted(&rows.statements, |row| (row.started_at, row.session_id, row.statement_no)))
        }
        Table::Touches => touches(&sorted(&rows.touches, |row| {
            (&*row.relation, row.operation, row.at, row.session_id, row.statement_no)
        })),
        Table::Transactions => {
            transactions(&sorted(&rows.transactions, |row| (row.session_id, row.transaction_id, row.first_statement)))
        }
        Table::Sessions => sessions(&sorted(&rows.sessions, |row| (row.opened_at, row.session_id))),
    };
    RecordBatch::try_new(table.schema(), columns).expect("the columns are built to the table's schema")
}

/// Rows come in runs that are in order already, one of each block, which a stable sort only merges.
fn sorted<'a, Row, Key: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> Key) -> Vec<&'a Row> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| key(row));
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
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.iter().map(|row| get(row).len()).sum());
    rows.iter().for_each(|row| builder.append_value(get(row)));
    Arc::new(builder.finish())
}

fn optional_texts<'a, Row>(rows: &[&'a Row], get: impl Fn(&'a Row) -> Option<&'a str>) -> ArrayRef {
    if rows.iter().all(|row| get(row).is_none()) {
        return new_null_array(&DataType::Utf8, rows.len());
    }
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_option(get(row)));
    Arc::new(builder.finish())
}

fn uuids<Row>(rows: &[&Row], get: impl Fn(&Row) -> Uuid) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * uuid::fmt::Hyphenated::LENGTH);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let mut last = None;
    for row in rows {
        let id = get(row);
        // Neighbours are mostly of one session.
        if last.replace(id) != Some(id) {
            id.hyphenated().encode_lower(&mut text);
        }
        builder.append_value(std::str::from_utf8(&text).unwrap_or_default());
    }
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
    if rows.iter().all(|row| get(row).is_none()) {
        return new_null_array(&DataType::Int64, rows.len());
    }
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
