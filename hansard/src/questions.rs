//! The commands that ask: each is a question in SQL and a way to show the answer.

use std::path::Path;

use crate::ask::{Record, print};
use crate::cli::{Format, Sessions, Sql, WhoUpdated};
use crate::config::duration;
use crate::failure::Failure;
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
    if duration(&asked.window).is_none() {
        return Err(Failure::usage(format!("--window {:?} is not a time such as \"1m\" or \"24h\"", asked.window)));
    }
    let arguments = [&asked.relation, &asked.at, &asked.window].map(|text| literal(text)).join(", ");
    ask(&asked.configured.config, &format!("SELECT * FROM who_updated({arguments})"), asked.format)
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
