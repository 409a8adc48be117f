//! `hansard who-updated`: a question in SQL, and what is certain of the answer apart from what is not.

use std::path::Path;
use std::time::Duration;

use hansard_query::{Answer, Moment, format, length_of};

use crate::ask::{Record, Rows, reading};
use crate::cli::{Format, WhoUpdated};
use crate::failure::{Failure, reasons};
use crate::output::{self, safe};
use crate::show::{Chosen, Screen, Writer, broken_off, print, whole, write};

/// What stands above rows that are not certain.
const BELOW: &str = "It may have been (see reason):";

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
    if length_of(&asked.window).is_none() {
        let why =
            format!("--window {:?} is not a length of time such as \"1m\", \"90 seconds\" or \"24h\"", asked.window);
        return Err(Failure::usage(why));
    }
    let at = Moment::parse(&asked.at).map_err(|error| Failure::usage(format!("--at: {error}")))?;
    if asked.parts && asked.format != Format::Json {
        return Err(Failure::usage("--parts is for --format json"));
    }
    // All questions mean the same time, whenever they are asked; a day of a zone is written as it was given.
    let written = Some(at.written()).filter(|text| Moment::parse(text).is_ok_and(|read| read == at));
    let written = written.unwrap_or_else(|| asked.at.clone());
    let arguments = [&asked.relation, &written, &asked.window, &asked.operation].map(|text| literal(text)).join(", ");
    let stretch = [&written, &asked.window].map(|text| literal(text)).join(", ");
    Screen::stdout().bears(asked.format)?;
    reading(file, async |_, record| {
        let updated = format!("SELECT * FROM who_updated({arguments})");
        let looked_at = format!("SELECT * FROM looked_at({stretch})");
        let looked_at = || record.all(&looked_at);
        if i128::from(at.to) > jiff::Timestamp::now().as_nanosecond() {
            output::note("that time is not over yet");
        }
        if !Screen::stdout().is_terminal() {
            let looked_at = match asked.format {
                Format::Json if asked.parts => return Box::pin(in_parts(record, &updated, &looked_at().await?)).await,
                Format::Table | Format::Vertical => {
                    Box::pin(one_below_the_other(record, &updated, asked.format)).await?;
                    looked_at().await?
                }
                _ => {
                    write(record, &updated, asked.format, output::bytes).await?;
                    looked_at().await?
                }
            };
            output::note(&said(&looked_at));
            return Ok(());
        }
        let answer = record.sql(&updated).await?;
        let looked_at = looked_at().await?;
        match asked.format {
            Format::Json if asked.parts => return shown_in_parts(&answer, &looked_at),
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
        output::line(&format!("\n{BELOW}"))?;
        print(&possible, as_format, LEAST_POSSIBLE)?;
    }
    Ok(())
}

/// All of the answer, what is certain before what is not: two answers, as they come.
struct Parts {
    rows: Rows,
    certain: Writer,
    possible: Option<Writer>,
}

impl Parts {
    async fn begin(record: &Record, sql: &str, format: Format) -> Result<Parts, Failure> {
        let rows = record.whole(sql).await?;
        let certain = Writer::new(format, &rows.schema)?;
        Ok(Parts { rows, certain, possible: None })
    }

    /// Writes both; `between` is what stands between them, where there is something to stand before.
    async fn write(&mut self, format: Format, between: &str) -> Result<(), Failure> {
        let mut written = 0;
        while let Some(batch) = self.rows.next().await? {
            let rows = batch.num_rows();
            let whole =
                Answer { schema: batch.schema(), batches: vec![batch], truncated: false, elapsed: Duration::ZERO };
            let (certain, possible) = parted(&whole)?;
            if certain.rows() > 0 {
                if self.possible.is_some() {
                    return Err(Failure::internal("what is certain comes behind what is not"));
                }
                for batch in &certain.batches {
                    put(&self.certain.rows(batch)?, written)?;
                }
            }
            if possible.rows() > 0 {
                let writer = match &mut self.possible {
                    Some(writer) => writer,
                    none => {
                        put(self.certain.end()?.trim_ascii_end(), written)?;
                        put(between.as_bytes(), written)?;
                        none.insert(Writer::new(format, &possible.schema)?)
                    }
                };
                for batch in &possible.batches {
                    put(&writer.rows(batch)?, written)?;
                }
            }
            written += rows;
        }
        let mut last = self.possible.as_mut().unwrap_or(&mut self.certain).end()?;
        last.truncate(last.trim_ascii_end().len());
        put(&last, written)
    }
}

/// Writes a part of an answer; one that has no place is an answer that broke off.
fn put(bytes: &[u8], written: usize) -> Result<(), Failure> {
    output::bytes(bytes).map_err(|failure| broken_off(failure, written))
}

/// All of the answer, to no terminal.
async fn one_below_the_other(record: &Record, sql: &str, format: Format) -> Result<(), Failure> {
    let mut parts = Parts::begin(record, sql, format).await?;
    parts.write(format, &format!("\n\n{BELOW}\n")).await?;
    output::line("")
}

/// All of the answer and what was looked at, as one JSON object.
async fn in_parts(record: &Record, sql: &str, looked_at: &Answer) -> Result<(), Failure> {
    let mut parts = Parts::begin(record, sql, Format::Json).await?;
    let between = ",\n\"may_have\":";
    output::bytes(b"{\n\"updated\":")?;
    parts.write(Format::Json, between).await?;
    if parts.possible.is_none() {
        output::bytes(format!("{between}[]").as_bytes())?;
    }
    output::bytes(b",\n\"looked_at\":")?;
    output::bytes(format::json(looked_at).trim_ascii_end())?;
    output::bytes(b"\n}\n")
}

/// The answer and what was looked at, as one JSON object on a terminal.
fn shown_in_parts(answer: &Answer, looked_at: &Answer) -> Result<(), Failure> {
    let (certain, possible) = parted(answer)?;
    let parts = [("{\n\"updated\":", &certain), (",\n\"may_have\":", &possible), (",\n\"looked_at\":", looked_at)];
    let mut json = Vec::new();
    for (name, part) in parts {
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(format::json(part).trim_ascii_end());
    }
    json.extend_from_slice(b"\n}\n");
    output::bytes(output::safe_json(&String::from_utf8_lossy(&json)).as_bytes())?;
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

/// A text, where `*` stands for any.
pub(crate) fn like(column: &str, wanted: &str) -> String {
    if !wanted.contains('*') {
        return format!("{column} = {}", literal(wanted));
    }
    let mut pattern = String::new();
    for character in wanted.chars() {
        match character {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => pattern.extend(['\\', character]),
            character => pattern.push(character),
        }
    }
    format!("{column} LIKE {}", literal(&pattern))
}
