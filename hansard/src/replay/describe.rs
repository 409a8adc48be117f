//! One step in words, and as JSON.

use std::time::Duration;

use hansard_query::{Omission, rfc3339};
use hansard_schemas::http::ResultGrid;
use serde_json::Value;

use super::{Row, Style, number, safe, said};

/// What stands before each line of a step but its first.
pub(super) const INDENT: &str = "     ";

pub(super) fn describe(step: &Row, capture: &str, style: &Style) -> String {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    let started = number(step, "started").unwrap_or(0);
    let took = number(step, "finished").map(|finished| {
        format!("{:.1} ms", Duration::from_nanos(u64::try_from(finished - started).unwrap_or(0)).as_secs_f64() * 1e3)
    });
    // Files from before there was a status tell less.
    let status = match (text("status"), &took) {
        (Some(status), _) => status,
        (None, None) => "no answer",
        (None, Some(_)) if text("sqlstate").is_some() => "failed",
        (None, Some(_)) => "done",
    };
    let rows = number(step, "rows").map(|rows| format!("{rows} row{}", if rows == 1 { "" } else { "s" }));
    let how = match status {
        "done" => None,
        "failed" => Some("failed".to_owned()),
        "not run" => Some("not run".to_owned()),
        "running" => Some("still running".to_owned()),
        other => Some(other.to_owned()),
    };
    let took = took.filter(|_| status != "not run");
    let transaction = format!(
        "transaction {} {}",
        number(step, "transaction_id").unwrap_or(0),
        safe(text("transaction_outcome").unwrap_or("?"), false)
    );
    let operation = safe(text("operation").unwrap_or("?"), false);
    let what: Vec<String> = [Some(operation), how, rows, took, Some(transaction)].into_iter().flatten().collect();
    let mut lines = vec![
        String::new(),
        format!(
            "{} {}  {}",
            style.bold(&format!("{:>4}", number(step, "statement_no").unwrap_or(0))),
            style.dim(&rfc3339(started)),
            what.join(", ")
        ),
    ];
    match text("sql").unwrap_or("") {
        "" if capture == "metadata" => lines.push("(text not recorded: capture level metadata)".to_owned()),
        sql => lines.extend(safe(sql, true).lines().map(str::to_owned)),
    }
    if let Some(executed) = text("executed") {
        lines.push(format!("(it ran: {})", safe(executed, false)));
    }
    for (column, says) in
        [("opaque", "not all of it was understood"), ("outcome_reason", "what became of it is not known")]
    {
        let says = match (column, text("transaction_outcome")) {
            ("outcome_reason", Some(outcome)) if outcome != "unknown" => outcome,
            _ => says,
        };
        lines.extend(text(column).map(|reason| format!("({says}: {})", safe(reason, false))));
    }
    if let Some(parameters) = text("parameters") {
        lines.extend(parameters_of(parameters));
    }
    if let Some(notices) = text("notices") {
        lines.extend(said::notices(notices, style));
    }
    match status {
        "not run" => lines.push("(not run: an earlier statement had failed)".to_owned()),
        "no answer" => lines.push("(the record holds no answer: whether it was carried out is not known)".to_owned()),
        _ => {
            if let Some(code) = text("sqlstate") {
                let unknown = if capture == "metadata" { "(text not recorded)" } else { "(no message)" };
                let message = safe(text("error").unwrap_or(unknown), false);
                let severity = text("error_severity").unwrap_or("ERROR").to_lowercase();
                lines.push(style.red(&format!("{} {code}: {message}", safe(&severity, false))));
                lines.extend(said::error_details(step));
            }
        }
    }
    if let Some(rows) = number(step, "omitted_rows") {
        let bytes = number(step, "omitted_bytes").unwrap_or(0);
        lines.push(safe(&Omission { capture, rows, bytes }.to_string(), false));
    }
    if step.get("truncated").and_then(Value::as_bool) == Some(true) {
        lines.push("(shortened here: the frames hold all of it)".to_owned());
    }
    let indented = |(place, line): (usize, String)| if place < 2 { line } else { format!("{INDENT}{line}") };
    lines.into_iter().enumerate().map(indented).collect::<Vec<_>>().join("\n")
}

fn parameters_of(json: &str) -> Vec<String> {
    match serde_json::from_str(json) {
        Ok(Value::Array(values)) => values
            .iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::String(text) => format!("${} = {}", index + 1, safe(&format!("'{text}'"), false)),
                other => format!("${} = {}", index + 1, safe(&other.to_string(), false)),
            })
            .collect(),
        _ => vec![format!("parameters {}", safe(json, false))],
    }
}

/// The step's columns, those that hold JSON as what they hold, and its result.
pub(super) fn object(step: &Row, result: Option<&ResultGrid>) -> Value {
    let mut object = step.clone();
    object.retain(|key, _| !matches!(key.as_str(), "started" | "finished"));
    for key in ["parameters", "notices"] {
        let held = object.get(key).and_then(Value::as_str).and_then(|json| serde_json::from_str(json).ok());
        if let Some(held) = held {
            object.insert(key.to_owned(), held);
        }
    }
    if let Some(result) = result {
        object.insert("result".to_owned(), serde_json::to_value(result).unwrap_or(Value::Null));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_statement_cannot_command_the_terminal() {
        let step = serde_json::json!({
            "statement_no": 3, "operation": "select", "sql": "SELECT '\u{1b}]0;owned\u{7}'\n-- \u{202e}drawkcab",
            "parameters": "[\"\\u001b[2J\", null, {\"hex\": \"00ff\"}]", "rows": 1, "sqlstate": "22012", "error": "divi\u{1b}[31m",
            "transaction_id": 1, "transaction_outcome": "rolled back", "truncated": true, "started": 1_000_000_000_i64, "finished": 1_001_500_000_i64,
        });
        let shown = describe(step.as_object().unwrap(), "full", &Style { on: false });
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
        for part in [
            "   3 1970-01-01T00:00:01",
            "1 row, 1.5 ms, transaction 1 rolled back",
            "$2 = null",
            "error 22012",
            "shortened",
        ] {
            assert!(shown.contains(part), "{shown} lacks {part}");
        }
    }

    #[test]
    fn what_is_not_recorded_is_said() {
        let mut step = serde_json::json!({
            "statement_no": 1, "operation": "select", "sql": "SELECT title FROM films", "rows": 1234, "transaction_id": 1,
            "transaction_outcome": "unknown", "started": 0, "finished": 1, "omitted_rows": 1234, "omitted_bytes": 5_600_000,
            "outcome_reason": "its answer never came", "opaque": "too long",
        });
        let shown = |step: &Value, capture| describe(step.as_object().unwrap(), capture, &Style { on: false });
        let line = shown(&step, "statements");
        assert!(line.contains("(not all of it was understood: too long)"), "{line}");
        assert!(line.contains("(what became of it is not known: its answer never came)"), "{line}");
        assert!(line.contains("FROM films"), "{line}");
        assert!(line.ends_with("     rows not recorded (capture level statements): 1,234 rows, 5.6 MB"), "{line}");
        let line = shown(&step, "full");
        assert!(
            line.ends_with("     result cut in the record at the limit: 1,234 rows more, 5.6 MB, not recorded"),
            "{line}"
        );
        step["sql"] = "".into();
        step["sqlstate"] = "23505".into();
        let line = shown(&step, "metadata");
        assert!(line.contains("(text not recorded: capture level metadata)"), "{line}");
        assert!(line.contains("error 23505: (text not recorded)"), "{line}");
    }

    #[test]
    fn what_psql_shows_of_an_error_is_there_and_no_answer_is_none() {
        let style = Style { on: false };
        let mut step = serde_json::json!({
            "statement_no": 2, "operation": "insert", "sql": "INSERT INTO films VALUES (1)", "transaction_id": 1, "status": "failed",
            "transaction_outcome": "rolled back", "outcome_reason": "the connection ended", "started": 0, "finished": 2_000_000,
            "sqlstate": "23505", "error": "duplicate key", "error_severity": "ERROR", "error_detail": "Key (id)=(1)",
            "error_hint": "take another", "error_position": 13, "error_constraint": "films_pkey", "error_table": "films",
            "executed": "PREPARE x", "notices": "[{\"severity\": \"NOTICE\", \"message\": \"careful\"}]",
        });
        let line = describe(step.as_object().unwrap(), "full", &style);
        let expected = "
   2 1970-01-01T00:00:00.000000000Z  insert, failed, 2.0 ms, transaction 1 rolled back
     INSERT INTO films VALUES (1)
     (it ran: PREPARE x)
     (rolled back: the connection ended)
     notice: careful
     error 23505: duplicate key
     line 1: INSERT INTO films VALUES (1)
                         ^
     detail: Key (id)=(1)
     hint: take another
     about: table films, constraint films_pkey";
        assert_eq!(line, expected);
        step["status"] = "not run".into();
        let line = describe(step.as_object().unwrap(), "full", &style);
        assert!(line.contains("insert, not run, transaction") && !line.contains("error 23505"), "{line}");
        step["status"] = "no answer".into();
        step["finished"] = Value::Null;
        let line = describe(step.as_object().unwrap(), "full", &style);
        assert!(line.contains("insert, no answer, transaction") && line.contains("holds no answer"), "{line}");
        assert!(!line.contains("row"), "{line}");
    }
}
