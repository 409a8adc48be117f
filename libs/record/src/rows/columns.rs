//! Rows to Arrow.
//!
//! Invariant: a batch has exactly the columns of [`Table::schema`], and its rows are in the order asked for.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, StringBuilder, TimestampNanosecondArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use hansard_pg_wire::conversation::Details;
use hansard_schemas::lake::Table;
use uuid::Uuid;

use super::{CatalogRow, LeaseRow, Outcome, Rows, SessionRow, StatementRow, TouchRow, TransactionRow};

/// In which order rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By [`Table::sort_columns`].
    Sorted,
    /// As they were pushed. Frames come sorted all the same.
    Pushed,
}

/// A table's rows.
pub(super) fn batch(rows: &Rows, table: Table, order: Order) -> RecordBatch {
    let columns = match table {
        Table::Frames => rows.frames.columns(),
        Table::Statements => {
            statements(&ordered(&rows.statements, order, |row| (row.started_at, row.session_id, row.statement_no)))
        }
        Table::Touches => touches(&ordered(&rows.touches, order, |row| {
            (&*row.relation, row.operation, row.at, row.session_id, row.statement_no)
        })),
        Table::Transactions => transactions(&ordered(&rows.transactions, order, |row| {
            (row.session_id, row.transaction_id, row.first_statement)
        })),
        Table::Sessions => sessions(&ordered(&rows.sessions, order, |row| (row.opened_at, row.session_id))),
        Table::Catalog => catalog(&ordered(&rows.catalog, order, |row| {
            (row.kind, &*row.name, row.read_at, &*row.database, row.version, row.oid)
        })),
        Table::Leases => leases(&ordered(&rows.leases, order, |row| (row.issued_at, &*row.id))),
    };
    RecordBatch::try_new(table.schema(), columns).expect("the columns are built to the table's schema")
}

/// Rows come in runs that are in order already, one of each block, which a stable sort only merges.
fn ordered<'a, Row, Key: Ord>(rows: &'a [Row], order: Order, key: impl Fn(&'a Row) -> Key) -> Vec<&'a Row> {
    let mut ordered: Vec<&Row> = rows.iter().collect();
    if order == Order::Sorted {
        ordered.sort_by_key(|row| key(row));
    }
    ordered
}

/// An outcome that a statement's row can tell by itself.
fn settled(outcome: Option<Outcome>) -> Option<&'static str> {
    outcome.filter(|outcome| *outcome != Outcome::Prepared).map(Outcome::as_str)
}

fn statements(rows: &[&StatementRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows.iter().map(|row| row.session_id), rows.len()),
        numbers(rows.iter().map(|row| row.statement_no)),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        texts(rows, |row| &row.issuer),
        texts(rows, |row| row.operation),
        texts(rows, |row| &row.sql),
        optional_texts(rows.iter().map(|row| row.parameters.as_deref())),
        optional_texts(rows.iter().map(|row| row.fingerprint.as_deref())),
        times(rows.iter().map(|row| Some(row.started_at))),
        times(rows.iter().map(|row| row.finished_at)),
        optional_numbers(rows.iter().map(|row| row.rows)),
        optional_texts(rows.iter().map(|row| row.sqlstate.as_deref())),
        optional_texts(rows.iter().map(|row| row.error.as_deref())),
        texts(rows, |row| row.verdict),
        numbers(rows.iter().map(|row| row.transaction_id)),
        optional_texts(rows.iter().map(|row| settled(row.transaction_outcome))),
        times(rows.iter().map(|row| row.committed_at)),
        numbers(rows.iter().map(|row| row.first_seq)),
        numbers(rows.iter().map(|row| row.last_seq)),
        booleans(rows.iter().map(|row| row.truncated)),
        optional_counts(rows.iter().map(|row| row.omitted.map(|omitted| omitted.frames))),
        optional_counts(rows.iter().map(|row| row.omitted.map(|omitted| omitted.bytes))),
        optional_texts(rows.iter().map(|row| row.outcome_reason.as_deref())),
        optional_texts(rows.iter().map(|row| row.opaque.as_deref())),
        texts(rows, |row| row.status.as_str()),
        optional_texts(rows.iter().map(|row| row.executed.as_deref())),
        optional_texts(rows.iter().map(|row| row.severity.as_deref())),
        details(rows, |details| &details.detail),
        details(rows, |details| &details.hint),
        places(rows, |details| details.position),
        details(rows, |details| &details.context),
        details(rows, |details| &details.internal_query),
        places(rows, |details| details.internal_position),
        details(rows, |details| &details.schema),
        details(rows, |details| &details.table),
        details(rows, |details| &details.column),
        details(rows, |details| &details.data_type),
        details(rows, |details| &details.constraint),
        optional_texts(rows.iter().map(|row| row.notices.as_deref())),
    ]
}

fn details(rows: &[&StatementRow], field: impl Fn(&Details) -> &Option<String> + Copy) -> ArrayRef {
    optional_texts(rows.iter().map(|row| field(row.details.as_deref()?).as_deref()))
}

fn places(rows: &[&StatementRow], field: impl Fn(&Details) -> Option<u64> + Copy) -> ArrayRef {
    optional_counts(rows.iter().map(|row| field(row.details.as_deref()?)))
}

fn touches(rows: &[&TouchRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |row| &row.relation),
        texts(rows, |row| row.operation),
        times(rows.iter().map(|row| Some(row.at))),
        times(rows.iter().map(|row| row.committed_at)),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        uuids(rows.iter().map(|row| row.session_id), rows.len()),
        numbers(rows.iter().map(|row| row.statement_no)),
        texts(rows, |row| &row.target),
        optional_numbers(rows.iter().map(|row| row.rows)),
        optional_texts(rows.iter().map(|row| settled(row.transaction_outcome))),
        lists(rows, |row| row.columns.iter().map(|column| &**column).collect()),
        numbers(rows.iter().map(|row| row.transaction_id)),
        texts(rows, |row| row.certainty.as_str()),
        optional_texts(rows.iter().map(|row| row.reason.as_deref())),
        optional_texts(rows.iter().map(|row| row.outcome_reason.as_deref())),
        texts(rows, |row| row.via),
    ]
}

fn transactions(rows: &[&TransactionRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows.iter().map(|row| row.session_id), rows.len()),
        numbers(rows.iter().map(|row| row.transaction_id)),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.database),
        texts(rows, |row| row.kind.as_str()),
        numbers(rows.iter().map(|row| row.first_statement)),
        numbers(rows.iter().map(|row| row.last_statement)),
        texts(rows, |row| row.outcome.as_str()),
        optional_texts(rows.iter().map(|row| row.reason.as_deref())),
        times(rows.iter().map(|row| Some(row.ended_at))),
        times(rows.iter().map(|row| row.committed_at)),
        optional_texts(rows.iter().map(|row| row.gid.as_deref())),
        times(rows.iter().map(|row| row.started_at)),
    ]
}

fn sessions(rows: &[&SessionRow]) -> Vec<ArrayRef> {
    vec![
        uuids(rows.iter().map(|row| row.session_id), rows.len()),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        texts(rows, |row| &row.issuer),
        lists(rows, |row| row.groups.iter().map(String::as_str).collect()),
        texts(rows, |row| &row.client_addr),
        texts(rows, |row| &row.application_name),
        texts(rows, |row| &row.db_user),
        texts(rows, |row| &row.database),
        times(rows.iter().map(|row| Some(row.opened_at))),
        times(rows.iter().map(|row| row.closed_at)),
        optional_texts(rows.iter().map(|row| row.close_reason.as_deref())),
        booleans(rows.iter().map(|row| row.complete)),
        numbers(rows.iter().map(|row| row.statements)),
        numbers(rows.iter().map(|row| row.frames)),
        numbers(rows.iter().map(|row| row.bytes_frontend)),
        numbers(rows.iter().map(|row| row.bytes_backend)),
        numbers(rows.iter().map(|row| row.denied)),
        optional_texts(rows.iter().map(|row| row.auth_failure.as_deref())),
        optional_texts(rows.iter().map(|row| row.gaps.as_deref())),
        chain_heads(rows),
        texts(rows, |row| &row.capture),
        optional_counts(rows.iter().map(|row| row.max_result_bytes)),
        optional_texts(rows.iter().map(|row| Some(&*row.tls.as_ref()?.version))),
        optional_texts(rows.iter().map(|row| Some(&*row.tls.as_ref()?.cipher))),
        optional_texts(rows.iter().map(|row| Some(&*row.tls.as_ref()?.client.as_ref()?.subject))),
        optional_texts(rows.iter().map(|row| Some(&*row.tls.as_ref()?.client.as_ref()?.sha256))),
        numbers(rows.iter().map(|row| row.contradictions)),
        optional_texts(rows.iter().map(|row| row.database_role.as_deref())),
        optional_counts(rows.iter().map(|row| row.backend_pid.map(u64::from))),
        numbers(rows.iter().map(|row| row.errors)),
        optional_texts(rows.iter().map(|row| row.notices.as_deref())),
        texts(rows, |row| row.ending),
        times(rows.iter().map(|row| row.last_frame_at)),
        optional_texts(rows.iter().map(|row| row.purpose.as_deref())),
        optional_texts(rows.iter().map(|row| row.traceparent.as_deref())),
        optional_texts(rows.iter().map(|row| row.credential.authentication.as_deref())),
        optional_texts(rows.iter().map(|row| row.credential.token_id.as_deref())),
        times(rows.iter().map(|row| row.credential.token_expires_at)),
        // Whom others act for is the token's subject.
        optional_texts(rows.iter().map(|row| row.credential.actors.as_ref().map(|_| &*row.subject))),
        optional_texts(rows.iter().map(|row| row.credential.actors.as_deref())),
        optional_texts(rows.iter().map(|row| row.credential.lease.as_deref())),
    ]
}

fn catalog(rows: &[&CatalogRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.database),
        texts(rows, |row| &row.node),
        texts(rows, |row| &row.instance),
        numbers(rows.iter().map(|row| row.version)),
        numbers(rows.iter().map(|row| row.base_version)),
        times(rows.iter().map(|row| Some(row.begun_at))),
        times(rows.iter().map(|row| Some(row.read_at))),
        texts(rows, |row| row.kind),
        numbers(rows.iter().map(|row| u64::from(row.oid))),
        optional_texts(rows.iter().map(|row| row.schema.as_deref())),
        texts(rows, |row| &row.name),
        optional_texts(rows.iter().map(|row| row.definition.as_deref())),
        booleans(rows.iter().map(|row| row.definition.is_none())),
    ]
}

fn leases(rows: &[&LeaseRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |row| &row.id),
        texts(rows, |row| &row.target),
        texts(rows, |row| &row.role),
        optional_texts(rows.iter().map(|row| row.database.as_deref())),
        texts(rows, |row| &row.job),
        texts(rows, |row| &row.subject),
        texts(rows, |row| &row.issuer),
        lists(rows, |row| row.groups.iter().map(String::as_str).collect()),
        optional_texts(rows.iter().map(|row| row.token_id.as_deref())),
        optional_texts(rows.iter().map(|row| row.purpose.as_deref())),
        optional_texts(rows.iter().map(|row| row.actors.as_ref().map(|_| &*row.subject))),
        optional_texts(rows.iter().map(|row| row.actors.as_deref())),
        times(rows.iter().map(|row| Some(row.issued_at))),
        times(rows.iter().map(|row| Some(row.expires_at))),
        optional_counts(rows.iter().map(|row| row.max_connections.map(u64::from))),
        optional_texts(rows.iter().map(|row| row.certificate_sha256.as_deref())),
        times(rows.iter().map(|row| row.revoked_at)),
        optional_texts(rows.iter().map(|row| row.revoked_by.as_deref())),
        optional_texts(rows.iter().map(|row| row.reason.as_deref())),
    ]
}

fn texts<'a, Row>(rows: &[&'a Row], get: impl Fn(&'a Row) -> &'a str) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.iter().map(|row| get(row).len()).sum());
    rows.iter().for_each(|row| builder.append_value(get(row)));
    Arc::new(builder.finish())
}

pub(super) fn optional_texts<'a>(texts: impl Iterator<Item = Option<&'a str>> + Clone) -> ArrayRef {
    if texts.clone().all(|text| text.is_none()) {
        return new_null_array(&DataType::Utf8, texts.count());
    }
    let mut builder = StringBuilder::new();
    texts.for_each(|text| builder.append_option(text));
    Arc::new(builder.finish())
}

pub(super) fn uuids(ids: impl Iterator<Item = Uuid>, rows: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows, rows * uuid::fmt::Hyphenated::LENGTH);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let mut last = None;
    for id in ids {
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

pub(super) fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(BooleanBuffer::from_iter(values)))
}

/// Counters that have passed `i64::MAX` stay there.
pub(super) fn numbers(numbers: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(numbers.map(|number| i64::try_from(number).unwrap_or(i64::MAX))))
}

fn optional_numbers(numbers: impl Iterator<Item = Option<i64>> + Clone) -> ArrayRef {
    if numbers.clone().all(|number| number.is_none()) {
        return new_null_array(&DataType::Int64, numbers.count());
    }
    Arc::new(numbers.collect::<Int64Array>())
}

pub(super) fn optional_counts(counts: impl Iterator<Item = Option<u64>> + Clone) -> ArrayRef {
    optional_numbers(counts.map(|count| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))))
}

pub(super) fn times(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("+00:00"))
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
