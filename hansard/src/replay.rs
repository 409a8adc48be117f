//! `hansard replay`: a session in the terminal, statement by statement, as it ran.
//!
//! What a job sent is shown, never obeyed: control characters are escaped. Colours only on a terminal.

use std::path::Path;
use std::time::Duration;

use hansard_schemas::http::ResultGrid;
use serde_json::{Map, Value};

use crate::ask::{Record, reading};
use crate::cli::{Only, Replay, ReplayFormat};
use crate::failure::Failure;
use crate::output;
use crate::questions::literal;
use crate::show::Screen;
use crate::times::Stretch;

mod describe;
mod grid;
mod heading;
mod said;

/// Steps that are fetched first, and most that are fetched at a time: the first ones are there at once.
const FIRST_PAGE: usize = 50;
const MOST: usize = 2_000;

/// A night's pause is not worth waiting for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Most characters of a statement or a parameter that are shown; `hansard sql` shows all.
const LONGEST_TEXT: usize = 4_000;

/// Rows of a result that are shown where nobody says how many.
const ROWS: usize = 5;

/// Frames of a session from which on results are shown only where somebody says so: each is looked for in all the frames
/// before it.
const MANY_FRAMES: i64 = 20_000;

type Row = Map<String, Value>;

pub(crate) fn run(file: &Path, asked: &Replay) -> Result<(), Failure> {
    if let Some(speed) = asked.speed
        && !(speed.is_finite() && speed > 0.0)
    {
        return Err(Failure::usage("--speed is a factor above 0, such as 1 or 10"));
    }
    if asked.to.is_some_and(|to| to < asked.from) {
        return Err(Failure::usage("--to lies before --from"));
    }
    let stretch = Stretch::parse(asked.since.as_deref(), asked.until.as_deref())?;
    reading(file, async |_, record| {
        let session = find(record, &asked.session).await?;
        let screen = Screen::stdout();
        let style = Style { on: screen.is_terminal() };
        let many = number(&session, "frames").unwrap_or(0) > MANY_FRAMES;
        let rows = asked.rows.unwrap_or(if many { 0 } else { ROWS });
        let mut player =
            Player { record, session: &session, asked, stretch, rows, style, screen, shown: 0, clock: None };
        match asked.format {
            ReplayFormat::Text => {
                output::line(&heading::heading(&session, &player.style))?;
                if many && asked.rows.is_none() {
                    output::line("results are not shown of so many frames, unless --rows says how many rows of each")?;
                }
                player.play().await?;
                let after = heading::closing(&session, &player.style);
                if after.is_empty() { Ok(()) } else { output::line(&after) }
            }
            ReplayFormat::Json => {
                output::bytes(b"[")?;
                player.play().await?;
                output::bytes(b"\n]\n")
            }
        }
    })
}

async fn find(record: &Record, id: &str) -> Result<Row, Failure> {
    // As a narrow table shows it.
    let given = id.trim().trim_end_matches('…').to_ascii_lowercase();
    if given.is_empty() || given.len() > 36 || !given.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::usage(format!("{id:?} is not a session's id; `hansard sessions` lists them")));
    }
    // A whole id is looked up, the beginning of one is looked for.
    let is = match given.len() {
        36 => format!("= {}", literal(&given)),
        _ => format!("LIKE {}", literal(&format!("{given}%"))),
    };
    let sql = format!("SELECT * FROM sessions WHERE session_id {is} ORDER BY opened_at LIMIT 3");
    let mut rows = record.all(&sql).await?.objects();
    match rows.len() {
        0 => Err(Failure::finding(format!("no session's id begins with {given}; `hansard sessions` lists them"))),
        1 => Ok(rows.remove(0)),
        _ => Err(Failure::usage(format!("several sessions' ids begin with {given}; give more of it"))),
    }
}

struct Player<'a> {
    record: &'a Record,
    session: &'a Row,
    asked: &'a Replay,
    stretch: Stretch,
    rows: usize,
    style: Style,
    screen: Screen,
    shown: usize,
    clock: Option<i64>,
}

impl Player<'_> {
    async fn play(&mut self) -> Result<(), Failure> {
        let id = self.session.get("session_id").and_then(Value::as_str).unwrap_or_default();
        let mut next = i64::try_from(self.asked.from.max(1)).unwrap_or(i64::MAX);
        let mut page = FIRST_PAGE;
        loop {
            let steps = self.record.all(&question(id, next, page, self.asked, &self.stretch)).await?.objects();
            for step in &steps {
                self.pause(step).await;
                let result = self.result(id, step).await?;
                self.show(step, result.as_ref())?;
                next = number(step, "statement_no").unwrap_or(next).saturating_add(1);
            }
            if steps.len() < page {
                break;
            }
            page = (page * 4).min(MOST);
        }
        match self.shown {
            0 if self.asked.format == ReplayFormat::Json => Ok(()),
            0 if self.asked.only.is_some() || self.asked.since.is_some() || self.asked.until.is_some() => {
                output::line("\nno such step")
            }
            0 if self.asked.from > 1 => Err(Failure::finding(format!("the session has no step {}", self.asked.from))),
            0 => output::line("\nno statement"),
            _ => Ok(()),
        }
    }

    /// As long as the session paused.
    async fn pause(&mut self, step: &Row) {
        let started = number(step, "started").unwrap_or(0);
        let before = self.clock.replace(started).unwrap_or(started);
        if let (Some(speed), true) = (self.asked.speed, self.shown > 0) {
            let pause = Duration::from_nanos(u64::try_from(started - before).unwrap_or(0));
            tokio::time::sleep(
                Duration::try_from_secs_f64(pause.as_secs_f64() / speed).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE),
            )
            .await;
        }
    }

    /// What it gave back, or was given, where it may have been something.
    async fn result(&self, id: &str, step: &Row) -> Result<Option<ResultGrid>, Failure> {
        let is = |operation: &str| step.get("operation").and_then(Value::as_str) == Some(operation);
        let ended = number(step, "finished").is_some();
        let some = number(step, "rows").is_some_and(|rows| rows > 0) || is("call") || is("show") || is("copy_in");
        match number(step, "statement_no") {
            Some(no) if self.rows > 0 && ended && some => self.record.result(id, no, self.rows).await.map(Some),
            _ => Ok(None),
        }
    }

    fn show(&mut self, step: &Row, result: Option<&ResultGrid>) -> Result<(), Failure> {
        match self.asked.format {
            ReplayFormat::Text => {
                let capture = self.session.get("capture").and_then(Value::as_str).unwrap_or("full");
                let mut text = describe::describe(step, capture, &self.style);
                if let Some(result) = result {
                    text.push_str(&grid::lines(result, number(step, "omitted_rows").is_some()));
                }
                output::line(&text)?;
            }
            ReplayFormat::Json => {
                let object = describe::object(step, result).to_string();
                let object = if self.screen.is_terminal() { output::safe_json(&object) } else { object };
                output::bytes(format!("{}\n{object}", if self.shown > 0 { "," } else { "" }).as_bytes())?;
            }
        }
        self.shown += 1;
        Ok(())
    }
}

/// The next steps.
fn question(id: &str, from: i64, page: usize, asked: &Replay, stretch: &Stretch) -> String {
    let id = literal(id);
    let mut all = vec![format!("session_id = {id}"), format!("statement_no >= {from}")];
    all.extend(asked.to.map(|to| format!("statement_no <= {}", i64::try_from(to).unwrap_or(i64::MAX))));
    all.extend(stretch.conditions("started_at"));
    all.extend(asked.only.map(|only| match only {
        Only::Errors => "(status IN ('failed', 'not run', 'no answer') OR status IS NULL AND sqlstate IS NOT NULL)".to_owned(),
        Only::Writes => format!(
            "(operation IN ('ddl', 'grant') OR statement_no IN (SELECT statement_no FROM touches WHERE session_id = {id} \
             AND operation NOT IN ('select', 'copy_out', 'explain', 'lock')))"
        ),
        Only::Denied => "verdict = 'deny'".to_owned(),
    }));
    format!(
        "SELECT statement_no, operation, sql, executed, parameters, rows, status, sqlstate, error, error_severity, error_detail, \
         error_hint, error_position, error_context, error_internal_query, error_internal_position, error_schema, error_table, \
         error_column, error_data_type, error_constraint, notices, verdict, transaction_id, transaction_outcome, outcome_reason, \
         opaque, truncated, omitted_rows, omitted_bytes, first_seq, last_seq, started_at, finished_at, committed_at, \
         CAST(started_at AS BIGINT) AS started, CAST(finished_at AS BIGINT) AS finished \
         FROM statements WHERE {} ORDER BY statement_no LIMIT {page}",
        all.join(" AND ")
    )
}

fn number(row: &Row, key: &str) -> Option<i64> {
    row.get(key).and_then(Value::as_i64)
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
