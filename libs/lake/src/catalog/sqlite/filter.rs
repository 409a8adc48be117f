//! A [`FileFilter`] as SQL: pruning happens in the database's indexes, not in the reader.

use rusqlite::types::Value;

use super::super::{EndSpan, FileFilter};
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
    if let Some(sessions) = &filter.sessions {
        // As arrays, since SQLite bounds how many values are bound.
        let others = sessions.others.iter().map(|session| session.simple().to_string());
        let [paths, others] = [sessions.of_files.iter().cloned().collect(), others.collect::<serde_json::Value>()]
            .map(|array| bind(array.to_string().into()));
        conditions.push(format!(
            "f.id IN (SELECT s.file FROM file_sessions s WHERE s.session_id IN (
               SELECT o.session_id FROM json_each({paths}) p JOIN files g ON g.path = p.value
               JOIN file_sessions o ON o.file = g.id UNION SELECT unhex(value) FROM json_each({others})))"
        ));
    }
    if let Some((from, to)) = filter.lost {
        let [from, to] = [EndSpan::minute_of(from), to].map(|bound| bind(bound.into()));
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM file_ends e WHERE e.file = f.id AND e.minute >= {from} AND e.started_at <= {to})"
        ));
    }
    if let Some(began_to) = filter.began_to {
        let began_to = bind(began_to.into());
        conditions
            .push(format!("EXISTS (SELECT 1 FROM file_ends e WHERE e.file = f.id AND e.started_at <= {began_to})"));
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
