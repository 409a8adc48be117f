//! The engine's errors as an asker reads them: what is wrong in the question, in the question's own terms.
//!
//! Invariant: an error names the column, table or function that it is about, the nearest that there is, and types as SQL
//! writes them; nothing of the engine's insides.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, DataFusionError, SchemaError};
use hansard_schemas::lake::Table;

use crate::Error;

const MIB: usize = 1024 * 1024;

/// Most names that are told.
const NAMES: usize = 5;

/// The engine's error as ours.
pub(crate) fn explain(error: DataFusionError, memory_limit: usize) -> Error {
    let error = match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => return *error,
            Err(other) => DataFusionError::External(other),
        },
        other => other,
    };
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::Memory { limit: memory_limit.div_ceil(MIB) },
        root @ (DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_)) => {
            Error::Lake(one_line(root))
        }
        root @ DataFusionError::Internal(_) => Error::Internal(one_line(root)),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            // Wrapped in a context: its kind cannot be moved out, its sentence can.
            Some(Error::Internal(text)) => Error::Internal(text.clone()),
            Some(error) => Error::Invalid(error.to_string()),
            None => Error::Internal(inner.to_string()),
        },
        DataFusionError::SchemaError(error, _) => Error::Invalid(of_names(error)),
        root => Error::Invalid(of_text(&one_line(root))),
    }
}

fn one_line(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let text = text.split("\n\nBug report").next().unwrap_or_default();
    let text = text.split(" This issue was likely caused by a bug in DataFusion").next().unwrap_or_default();
    let text = text.split("\nThis issue was likely caused by a bug in DataFusion").next().unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn of_names(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => no_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            format!(
                "column {} is in several of the tables: write it with its table, as in t.{}",
                field.name, field.name
            )
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("two columns are named {name}: give one of them another name with AS")
        }
    }
}

fn no_column(field: &Column, valid: &[Column]) -> String {
    let table = |column: &Column| column.relation.as_ref().map(|table| table.table().to_owned());
    let of = match table(field) {
        Some(asked) if valid.iter().any(|column| table(column).as_ref() == Some(&asked)) => format!(" in {asked}"),
        Some(asked) => {
            return format!("there is no table {asked} in this query, of which a column {} is asked", field.name);
        }
        None => {
            let mut tables: Vec<String> = valid.iter().filter_map(table).collect();
            tables.sort_unstable();
            tables.dedup();
            if tables.is_empty() || tables.len() > NAMES { String::new() } else { format!(" in {}", tables.join(", ")) }
        }
    };
    let here = valid.iter().filter(|column| field.relation.is_none() || table(column) == table(field));
    let names: Vec<&str> = here.map(|column| column.name.as_str()).collect();
    let case = names.iter().any(|name| *name == field.name.to_lowercase() && **name != field.name);
    let quotes = if case { " (in double quotes, capital letters count)" } else { "" };
    format!("there is no column {}{of}{}{quotes}", field.name, nearest(&field.name, &names))
}

/// The names that are nearest, as the end of a sentence.
pub(crate) fn nearest(name: &str, names: &[&str]) -> String {
    let name = name.to_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|other| (levenshtein(&name, &other.to_lowercase()), *other))
        .filter(|(distance, other)| *distance <= 1 + name.len().max(other.len()) / 3 || other.contains(&name))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(NAMES);
    if near.is_empty() {
        return String::new();
    }
    format!("; nearest: {}", near.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "))
}

/// A sentence of the engine's in plain words.
fn of_text(text: &str) -> String {
    let text = without_beginnings(text);
    if let Some(rest) = text.strip_prefix("table '")
        && let Some((name, _)) = rest.split_once("' not found")
    {
        let name = name.strip_prefix("hansard.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        let tables: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        return format!("there is no table {name}{}; SHOW TABLES lists all", nearest(name, &tables));
    }
    if let Some(rest) = text.strip_prefix("Invalid function '").or_else(|| text.strip_prefix("Table function '"))
        && let Some((name, rest)) = rest.split_once('\'')
    {
        let near = rest.split_once("Did you mean '").and_then(|(_, rest)| rest.split_once('\'')).map(|(near, _)| near);
        let near = near.map_or_else(String::new, |near| nearest(name, &[near]));
        return format!("there is no function {name} here{near}; docs/sql.md lists what there is");
    }
    if let Some((_, rest)) = text.split_once("Projections require unique expression names but the expression \"")
        && let Some((name, _)) = rest.split_once("\" at position")
    {
        let name = name.split_once(" AS ").map_or(name, |(_, name)| name);
        return format!("two columns are the same {}: give one of them a name with AS", plain(name));
    }
    if let Some((_, rest)) = text
        .split_once("must be part of an aggregate function")
        .map(|(before, _)| before.split_once("column \"").unwrap_or((before, "")))
        && let Some((name, _)) = rest.split_once('"')
    {
        return format!("column {name} has to be in GROUP BY, or inside of an aggregate such as max({name})");
    }
    if let Some(rest) = text.strip_prefix("Failed to coerce arguments to satisfy a call to '")
        && let Some((name, rest)) = rest.split_once("' function: coercion from ")
    {
        let given = rest.split_once(" to the signature").map_or(rest, |(given, _)| given);
        return format!("{name} does not take ({})", plain(given));
    }
    if let Some((_, rest)) = text.split_once("No function matches the given name and argument types '")
        && let Some((call, _)) = rest.split_once("'. You might")
    {
        let numbers =
            if call.starts_with("to_char(") { "; of numbers write round(number, 2) or number::text" } else { "" };
        return format!("there is no {}{numbers}", plain(call));
    }
    if let Some((_, rest)) = text.split_once("Function '")
        && let Some((name, rest)) = rest.split_once('\'')
        && rest.contains("failed to match any signature")
    {
        return format!("{name} takes no values of this type; write {name}(CAST(value AS ...))");
    }
    for (inside, plain) in [
        ("logical expression Exists(", "EXISTS stands in WHERE only; elsewhere write (SELECT count(*) > 0 FROM ...)"),
        (
            "logical expression ScalarSubquery(",
            "a subquery that depends on the row outside of it does not stand here; write a JOIN with GROUP BY",
        ),
        (
            "logical expression InSubquery(",
            "IN (SELECT ...) stands in WHERE only; elsewhere write (SELECT count(*) > 0 FROM ... WHERE ...)",
        ),
        (
            "logical expression SetComparison(",
            "ANY and ALL of a query stand in WHERE only; elsewhere write (SELECT count(*) > 0 FROM ... WHERE ...)",
        ),
        ("ANY in LIKE expression", "LIKE ANY is not here; write text ~ 'one|other', or LIKE several times with OR"),
        ("Unsupported binary operator: Overlaps", "OVERLAPS is not here; compare the times with < and >"),
        (
            "Invalid interval arithmetic operation",
            "intervals are not multiplied or divided here; write INTERVAL '2 hours'",
        ),
        (
            "There is no built-in encoding named 'escape'",
            "encode knows 'hex' and 'base64'; for texts write convert_from(bytes, 'UTF8')",
        ),
    ] {
        if text.contains(inside) {
            return plain.to_owned();
        }
    }
    if let Some(rest) = text.strip_prefix("Divide by zero") {
        return format!("division by zero{}", rest.strip_prefix(" error").unwrap_or(rest));
    }
    plain(text)
}

/// Without where in the engine an error arose.
fn without_beginnings(mut text: &str) -> &str {
    const BEGINNINGS: [&str; 11] = [
        "Error during planning: ",
        "Arrow error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Schema error: ",
        "Cast error: ",
        "Parser error: ",
        "Compute error: ",
        "Invalid argument error: ",
        "Optimizer rule 'simplify_expressions' failed caused by ",
        "type_coercion caused by ",
    ];
    while let Some(rest) = BEGINNINGS.iter().find_map(|beginning| text.strip_prefix(beginning)) {
        text = rest;
    }
    text
}

/// What DESCRIBE says, with types as SQL writes them: they are in the second column.
pub(crate) fn described(batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let mut columns = batch.columns().to_vec();
    if let Some(types) = columns.get_mut(1)
        && let Some(written) = types.as_string_opt::<i32>()
    {
        let of = |kind: &str| {
            let kind = plain(kind);
            match kind.strip_prefix("List(").and_then(|item| item.strip_suffix(')')) {
                Some(item) => format!("{}[]", item.trim_start_matches("non-null ")),
                None => kind,
            }
        };
        *types = Arc::new(written.iter().map(|kind| kind.map(of)).collect::<StringArray>());
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// Types, values and errors of the parser as SQL writes them.
fn plain(text: &str) -> String {
    const TYPES: [(&str, &str); 26] = [
        ("Timestamp(Nanosecond, Some(\"+00:00\"))", "timestamptz"),
        ("Timestamp(ns, \"+00:00\")", "timestamptz"),
        ("Timestamp(Nanosecond, None)", "timestamp"),
        ("Timestamp(ns)", "timestamp"),
        ("Interval(MonthDayNano)", "interval"),
        ("Interval(DayTime)", "interval"),
        ("Duration(Nanosecond)", "interval"),
        ("Duration(ns)", "interval"),
        ("LargeUtf8", "text"),
        ("Utf8View", "text"),
        ("Utf8", "text"),
        ("LargeBinary", "bytea"),
        ("BinaryView", "bytea"),
        ("Binary", "bytea"),
        ("UInt64", "bigint"),
        ("UInt32", "bigint"),
        ("UInt16", "integer"),
        ("UInt8", "smallint"),
        ("Int64", "bigint"),
        ("Int32", "integer"),
        ("Int16", "smallint"),
        ("Int8", "smallint"),
        ("Float64", "double precision"),
        ("Float32", "real"),
        ("Date32", "date"),
        ("Boolean", "boolean"),
    ];
    let mut text = text.to_owned();
    for (inside, written) in TYPES {
        // Values come with their types in the engine's own form: text("x") is 'x'.
        text = text.replace(inside, written);
    }
    for (before, after) in [
        ("SQL error: ParserError(\"", "SQL: "),
        ("SQL error: TokenizerError(\"", "SQL: "),
        ("DataFusion", "the engine"),
    ] {
        text = text.replace(before, after);
    }
    if text.starts_with("SQL: ") {
        text = text.trim_end_matches("\")").replace("\\\"", "\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_words_are_put_into_the_asker_s() {
        for (engine, plain) in [
            (
                "Error during planning: table 'hansard.public.statement' not found",
                "there is no table statement; nearest: statements; SHOW TABLES lists all",
            ),
            (
                "Error during planning: Invalid function 'lenght'. Did you mean 'length'?",
                "there is no function lenght here; nearest: length; docs/sql.md lists what there is",
            ),
            (
                "Error during planning: Invalid function 'pg_xyz'. Did you mean 'to_hex'?",
                "there is no function pg_xyz here; docs/sql.md lists what there is",
            ),
            ("Arrow error: Divide by zero error", "division by zero"),
            (
                "Error during planning: Cannot coerce arithmetic expression Utf8 + Int64 to valid types",
                "Cannot coerce arithmetic expression text + bigint to valid types",
            ),
            (
                "SQL error: ParserError(\"Expected: an SQL statement, found: SELEC at Line: 1, Column: 1\")",
                "SQL: Expected: an SQL statement, found: SELEC at Line: 1, Column: 1",
            ),
        ] {
            assert_eq!(of_text(engine), plain);
        }
    }
}
