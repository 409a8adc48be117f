//! `hansard who-updated`: a question in SQL, and what is certain of the answer apart from what is not.

use std::path::Path;

use hansard_query::{Answer, Moment, format};

use crate::ask::reading;
use crate::cli::{Format, WhoUpdated};
use crate::config::duration;
use crate::failure::{Failure, reasons};
use crate::output::{self, safe};
use crate::show::{Chosen, Screen, print, whole};

/// Columns of an answer that matter least, where a terminal has no room for all.
const LEAST: Chosen<'_> = Chosen::LeastFirst(&[
    "transaction_id",
    "outcome_reason",
    "target",
    "columns",
    "subject",
    "via",
    "at",
    "certainty",
    "relation",
    "reason",
    "operation",
    "transaction_outcome",
    "rows",
]);

/// Likewise of what is not certain: why it is not matters more than its text.
const LEAST_POSSIBLE: Chosen<'_> = Chosen::LeastFirst(&[
    "transaction_id",
    "outcome_reason",
    "target",
    "columns",
    "subject",
    "via",
    "at",
    "certainty",
    "rows",
    "transaction_outcome",
    "operation",
    "relation",
    "sql",
]);

/// The table function decides what an update at that time is; so every way in means the same.
pub(crate) fn who_updated(file: &Path, asked: &WhoUpdated) -> Result<(), Failure> {
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
    Screen::stdout().bears(asked.format)?;
    reading(file, async |_, record| {
        let answer = record.sql(&format!("SELECT * FROM who_updated({arguments})")).await?;
        let looked_at = record.sql(&format!("SELECT * FROM looked_at({stretch})")).await?;
        if Moment::parse(&asked.at).is_ok_and(|at| i128::from(at.to) > jiff::Timestamp::now().as_nanosecond()) {
            output::note("that time is not over yet");
        }
        match asked.format {
            Format::Json if asked.parts => return in_parts(&answer, &looked_at),
            Format::Table | Format::Vertical => tables(&answer, asked.format)?,
            _ => output::bytes(&Screen::stdout().bytes(&answer, asked.format, LEAST)?)?,
        }
        output::note(&said(&looked_at));
        whole(&answer)
    })
}

/// What is certain, and then what is not.
fn tables(answer: &Answer, as_format: Format) -> Result<(), Failure> {
    // That it is not all is said once, of both.
    let (certain, possible) = parted(&Answer { truncated: false, ..answer.clone() })?;
    print(&certain, as_format, LEAST)?;
    if possible.rows() > 0 {
        output::line("\nIt may have been (see reason):")?;
        print(&possible, as_format, LEAST_POSSIBLE)?;
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
    let json = match (Screen::stdout().is_terminal(), String::from_utf8(json)) {
        (true, Ok(json)) => output::safe_json(&json).into_bytes(),
        (_, Ok(json)) => json.into_bytes(),
        (_, Err(error)) => error.into_bytes(),
    };
    output::bytes(&json)?;
    whole(answer)
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

/// Text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
