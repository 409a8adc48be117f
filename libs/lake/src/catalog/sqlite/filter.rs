//! A [`FileFilter`] as SQL: pruning happens in the database's indexes, not in the reader.

use rusqlite::types::Value;

use super::super::FileFilter;
use hansard_schemas::lake::Table;

/// Columns of a file, in the order that `file_entry` reads.
pub(super) const COLUMNS: &str =
    "f.path, f.table_name, f.target, f.hour, f.level, f.rows, f.bytes, f.sha256, f.min_at, f.max_at, f.unsettled";

/// The query for the files that pass, and its parameters.
pub(super) fn select(filter: &FileFilter) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut conditions = Vec::new();
    if let Some(table) = filter.table {
        conditions.push(format!("f.table_name = {}", bind(table.name().to_owned().into())));
    }
    if let Some(target) = &filter.target {
        conditions.push(format!("f.target = {}", bind(target.clone().into())));
    }
    let from = filter.at_from.map(|at| bind(at.into()));
    let to = filter.at_to.map(|at| bind(at.into()));
    conditions.extend(from.iter().map(|from| format!("f.max_at >= {from}")));
    conditions.extend(to.iter().map(|to| format!("f.min_at <= {to}")));
    if let Some(session_id) = filter.session_id {
        let session = bind(session_id.as_bytes().to_vec().into());
        conditions.push(format!("f.id IN (SELECT s.file FROM file_sessions s WHERE s.session_id = {session})"));
    }
    let mut spans = Vec::new();
    for (column, texts) in [("relation", &filter.relations), ("operation", &filter.operations)] {
        if let Some(texts) = texts {
            let texts: Vec<String> = texts.iter().map(|text| bind(text.clone().into())).collect();
            spans.push(format!("r.{column} IN ({})", texts.join(", ")));
        }
    }
    if !spans.is_empty() {
        spans.extend(from.iter().map(|from| format!("r.max_at >= {from}")));
        spans.extend(to.iter().map(|to| format!("r.min_at <= {to}")));
        let touched = format!("f.id IN (SELECT r.file FROM file_relations r WHERE {})", spans.join(" AND "));
        // It says nothing about files of other tables.
        conditions.push(match filter.table {
            Some(Table::Touches | Table::Transactions) => touched,
            _ => format!("(f.table_name NOT IN ('touches', 'transactions') OR {touched})"),
        });
    }
    let mut sql = format!("SELECT {COLUMNS} FROM files f");
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    sql.push_str(" ORDER BY f.table_name, f.hour, f.path");
    (sql, values)
}
