//! `hansard replay`: a session in the terminal, statement by statement, as it ran.
//!
//! What a job sent is shown, never obeyed: control characters are escaped. Colours only on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use hansard_query::Omission;
use serde_json::{Map, Value};

use crate::ask::Record;
use crate::cli::Replay;
use crate::failure::Failure;
use crate::output;
use crate::questions::literal;

/// Steps that are fetched at a time.
const PAGE: usize = 200;
/// A night's pause is not worth waiting for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Most characters of a statement or a parameter that are shown; `hansard sql` shows all.
const LONGEST_TEXT: usize = 4_000;

type Row = Map<String, Value>;

pub(crate) fn run(file: &std::path::Path, asked: &Replay) -> Result<(), Failure> {
    if let Some(speed) = asked.speed
        && !(speed.is_finite() && speed > 0.0)
    {
        return Err(Failure::usage("--speed is a factor above 0, such as 1 or 10"));
    }
    crate::ask::reading(file, async |_, record| {
        let session = find(record, &asked.session).await?;
        let style = Style { on: std::io::stdout().is_terminal() };
        output::line(&heading(&session, &style))?;
        play(record, &session, asked, &style).await
    })
}

async fn find(record: &Record, id: &str) -> Result<Row, Failure> {
    let given = id.trim().to_ascii_lowercase();
    if given.is_empty() || given.len() > 36 || !given.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::usage(format!("{id:?} is not a session's id; `hansard sessions` lists them")));
    }
    let pattern = literal(&format!("{given}%"));
    let sql = format!("SELECT * FROM sessions WHERE session_id LIKE {pattern} ORDER BY opened_at LIMIT 3");
    let mut rows = record.sql(&sql).await?.objects();
    match rows.len() {
        0 => Err(Failure::finding(format!("no session's id begins with {given}; `hansard sessions` lists them"))),
        1 => Ok(rows.remove(0)),
        _ => Err(Failure::usage(format!("several sessions' ids begin with {given}; give more of it"))),
    }
}

fn heading(session: &Row, style: &Style) -> String {
    let text = |key: &str| safe(session.get(key).and_then(Value::as_str).unwrap_or("?"), false);
    let end = match (session.get("closed_at").and_then(Value::as_str), session.get("complete").and_then(Value::as_bool))
    {
        (None, _) => "still open".to_owned(),
        (Some(closed), Some(true)) => format!("closed {closed}, complete"),
        (Some(closed), _) => format!("ended {closed}, incomplete: {}", text("close_reason")),
    };
    let capture = match text("capture") {
        level if matches!(level.as_str(), "full" | "?") => String::new(),
        level => format!("; capture level {level}"),
    };
    let who = format!("{} on {}, as {} in {}", text("job"), text("target"), text("db_user"), text("database"));
    format!(
        "session {}\n{}\nopened {} from {}; {end}{capture}",
        text("session_id"),
        style.bold(&who),
        text("opened_at"),
        text("client_addr")
    )
}

async fn play(record: &Record, session: &Row, asked: &Replay, style: &Style) -> Result<(), Failure> {
    let id = literal(session.get("session_id").and_then(Value::as_str).unwrap_or_default());
    let capture = session.get("capture").and_then(Value::as_str).unwrap_or("full");
    let mut next = i64::try_from(asked.from.max(1)).unwrap_or(i64::MAX);
    let mut clock: Option<i64> = None;
    let mut shown = 0_usize;
    loop {
        let sql = format!(
            "SELECT statement_no, operation, sql, parameters, rows, sqlstate, error, transaction_id, transaction_outcome, \
             outcome_reason, opaque, truncated, omitted_rows, omitted_bytes, CAST(started_at AS BIGINT) AS started, CAST(finished_at AS BIGINT) AS finished \
             FROM statements WHERE session_id = {id} AND statement_no >= {next} ORDER BY statement_no LIMIT {PAGE}"
        );
        let steps = record.sql(&sql).await?.objects();
        for step in &steps {
            let started = number(step, "started").unwrap_or(0);
            let opened = *clock.get_or_insert(started);
            if let (Some(speed), true) = (asked.speed, shown > 0) {
                let pause = Duration::from_nanos(u64::try_from(started - opened).unwrap_or(0)).div_f64(speed);
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
            clock = Some(started);
            output::line(&describe(step, capture, style))?;
            shown += 1;
            next = number(step, "statement_no").unwrap_or(next).saturating_add(1);
        }
        if steps.len() < PAGE {
            break;
        }
    }
    match shown {
        0 if asked.from > 1 => Err(Failure::finding(format!("the session has no step {}", asked.from))),
        0 => output::line("\nno statement"),
        _ => Ok(()),
    }
}

fn number(row: &Row, key: &str) -> Option<i64> {
    row.get(key).and_then(Value::as_i64)
}

fn describe(step: &Row, capture: &str, style: &Style) -> String {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    let started = number(step, "started").unwrap_or(0);
    let took = match number(step, "finished") {
        Some(finished) => format!(
            "{:.1} ms",
            Duration::from_nanos(u64::try_from(finished - started).unwrap_or(0)).as_secs_f64() * 1e3
        ),
        None => "unfinished".to_owned(),
    };
    let rows = number(step, "rows")
        .map(|rows| format!(", {rows} row{}", if rows == 1 { "" } else { "s" }))
        .unwrap_or_default();
    let mut lines = vec![
        String::new(),
        format!(
            "{} {}  {}{rows}, {took}, transaction {} {}",
            style.bold(&format!("{:>4}", number(step, "statement_no").unwrap_or(0))),
            style.dim(&hansard_query::rfc3339(started)),
            safe(text("operation").unwrap_or("?"), false),
            number(step, "transaction_id").unwrap_or(0),
            safe(text("transaction_outcome").unwrap_or("?"), false),
        ),
    ];
    match text("sql").unwrap_or("") {
        "" if capture == "metadata" => lines.push("     (text not recorded: capture level metadata)".to_owned()),
        sql => lines.extend(safe(sql, true).lines().map(|line| format!("     {line}"))),
    }
    for (column, says) in
        [("opaque", "not all of it was understood"), ("outcome_reason", "what became of it is not known")]
    {
        lines.extend(text(column).map(|reason| format!("     ({says}: {})", safe(reason, false))));
    }
    if let Some(parameters) = text("parameters") {
        lines.extend(parameters_of(parameters));
    }
    if let Some(code) = text("sqlstate") {
        let unknown = if capture == "metadata" { "(text not recorded)" } else { "refused" };
        let message = safe(text("error").unwrap_or(unknown), false);
        lines.push(format!("     {}", style.red(&format!("error {code}: {message}"))));
    }
    if let Some(rows) = number(step, "omitted_rows") {
        let bytes = number(step, "omitted_bytes").unwrap_or(0);
        lines.push(format!("     {}", safe(&Omission { capture, rows, bytes }.to_string(), false)));
    }
    if step.get("truncated").and_then(Value::as_bool) == Some(true) {
        lines.push("     (shortened here: the frames hold all of it)".to_owned());
    }
    lines.join("\n")
}

fn parameters_of(json: &str) -> Vec<String> {
    match serde_json::from_str(json) {
        Ok(Value::Array(values)) => values
            .iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::String(text) => format!("     ${} = {}", index + 1, safe(&format!("'{text}'"), false)),
                other => format!("     ${} = {}", index + 1, safe(&other.to_string(), false)),
            })
            .collect(),
        _ => vec![format!("     parameters {}", safe(json, false))],
    }
}

fn safe(text: &str, multiline: bool) -> String {
    let shown: String = text.chars().take(LONGEST_TEXT).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    output::safe(&shown, multiline) + more
}

struct Style {
    on: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }
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
            "transaction_outcome": "committed", "started": 0, "finished": 1, "omitted_rows": 1234, "omitted_bytes": 5_600_000,
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
}
