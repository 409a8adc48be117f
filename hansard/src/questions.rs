//! The commands that ask: each is a question in SQL and a way to show the answer.

use std::path::Path;

use hansard_query::{Answer, Moment, format};

use crate::ask::{Record, cut, print};
use crate::cli::{Format, Sessions, Sql, WhoUpdated};
use crate::config::duration;
use crate::failure::{Failure, reasons};
use crate::output::{self, safe};
use crate::parts::with_config;

fn ask(file: &Path, sql: &str, as_format: Format) -> Result<(), Failure> {
    with_config(file, async |config| {
        let answer = Record::open(config).await?.sql(sql).await?;
        print(&answer, as_format)
    })
}

pub(crate) fn sql(asked: &Sql) -> Result<(), Failure> {
    ask(&asked.configured.config, &asked.sql, asked.format)
}

/// The table function decides what an update at that time is; so every way in means the same.
pub(crate) fn who_updated(asked: &WhoUpdated) -> Result<(), Failure> {
    // None at all is a window, too: `at` is as long as its last unit.
    let none = asked.window.strip_prefix('0').is_some_and(|unit| ["ms", "s", "m", "h", "d"].contains(&unit));
    if !none && duration(&asked.window).is_none() {
        return Err(Failure::usage(format!("--window {:?} is not a time such as \"1m\" or \"24h\"", asked.window)));
    }
    if asked.parts && asked.format != Format::Json {
        return Err(Failure::usage("--parts is for --format json"));
    }
    let arguments = [&asked.relation, &asked.at, &asked.window, &asked.operation].map(|text| literal(text)).join(", ");
    let stretch = [&asked.at, &asked.window].map(|text| literal(text)).join(", ");
    with_config(&asked.configured.config, async |config| {
        let record = Record::open(config).await?;
        let answer = record.sql(&format!("SELECT * FROM who_updated({arguments})")).await?;
        let looked_at = record.sql(&format!("SELECT * FROM looked_at({stretch})")).await?;
        if Moment::parse(&asked.at).is_ok_and(|at| i128::from(at.to) > jiff::Timestamp::now().as_nanosecond()) {
            output::note("that time is not over yet");
        }
        match asked.format {
            Format::Json if asked.parts => return in_parts(&answer, &looked_at),
            Format::Table => tables(&answer)?,
            _ => print(&answer, asked.format)?,
        }
        output::note(&said(&looked_at));
        Ok(())
    })
}

/// What is certain, and then what is not.
fn tables(answer: &Answer) -> Result<(), Failure> {
    // That it is not all is said once, of both.
    let (certain, possible) = parted(&Answer { truncated: false, ..answer.clone() })?;
    print(&certain, Format::Table)?;
    if possible.rows() > 0 {
        output::line("\nIt may have been (see reason):")?;
        print(&possible, Format::Table)?;
    }
    if answer.truncated {
        output::note(&cut(answer));
    }
    Ok(())
}

/// The answer and what was looked at, as one JSON object.
fn in_parts(answer: &Answer, looked_at: &Answer) -> Result<(), Failure> {
    let (certain, possible) = parted(answer)?;
    let parts = [("{\n\"updated\":", &certain), (",\n\"may_have\":", &possible), (",\n\"looked_at\":", looked_at)];
    let mut json = Vec::new();
    for (name, part) in parts {
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(format::json(part).trim_ascii_end());
    }
    json.extend_from_slice(b"\n}\n");
    output::bytes(&json)?;
    if answer.truncated {
        output::note(&cut(answer));
    }
    Ok(())
}

fn parted(answer: &Answer) -> Result<(Answer, Answer), Failure> {
    answer.parted("certainty", "certain").map_err(|error| Failure::usage(reasons(&error)))
}

/// What was looked at, in a line.
fn said(looked_at: &Answer) -> String {
    let of = |row: serde_json::Map<String, serde_json::Value>| {
        let text = |name: &str| match row.get(name) {
            Some(serde_json::Value::String(text)) => safe(text, false),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let catalog = match row.get("catalog") {
            Some(serde_json::Value::String(at)) => format!("catalog of {at}"),
            _ => "no catalog".to_owned(),
        };
        format!("target {}: {} sessions, {} with gaps, {catalog}", text("target"), text("sessions"), text("with_gaps"))
    };
    let targets: Vec<String> = looked_at.objects().into_iter().map(of).collect();
    if targets.is_empty() {
        "looked at: no session was open then".to_owned()
    } else {
        format!("looked at: {}", targets.join("; "))
    }
}

pub(crate) fn sessions(asked: &Sessions) -> Result<(), Failure> {
    let columns = match asked.format {
        Format::Table => "session_id, job, target, opened_at, closed_at, statements, complete, capture, close_reason",
        Format::Json | Format::Csv | Format::Parquet => "*",
    };
    let job = asked.job.as_ref().map(|job| format!("WHERE job = {} ", literal(job))).unwrap_or_default();
    let sql =
        format!("SELECT {columns} FROM sessions {job}ORDER BY opened_at DESC, session_id DESC LIMIT {}", asked.limit);
    ask(&asked.configured.config, &sql, asked.format)
}

/// Text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
