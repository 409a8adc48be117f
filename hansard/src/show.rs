//! Answers as they are shown: in the format that was asked for, and so that a terminal can bear it.
//!
//! Invariants: only on a terminal is an answer cut, and then it is no success; to a terminal goes nothing that it would
//! obey, in any format.

use std::io::IsTerminal;

use hansard_query::{Answer, format};

use crate::ask::Record;
use crate::cli::Format;
use crate::failure::{Failure, reasons};
use crate::output;

mod cells;
mod table;
mod vertical;
mod whole;

pub(crate) use table::Chosen;
pub(crate) use whole::{Writer, broken_off, write};

/// Where an answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Columns of the terminal; `None` where it is none.
    width: Option<usize>,
}

impl Screen {
    /// Standard output.
    pub(crate) fn stdout() -> Screen {
        let width = std::io::stdout().is_terminal().then(|| {
            let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
            let asked = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
            asked.filter(|width| *width > 0).or(told).unwrap_or(80).max(20)
        });
        Screen { width }
    }

    pub(crate) fn is_terminal(self) -> bool {
        self.width.is_some()
    }

    /// Says no to what a terminal cannot show, before anything is asked.
    pub(crate) fn bears(self, as_format: Format) -> Result<(), Failure> {
        if as_format == Format::Parquet && self.is_terminal() {
            return Err(Failure::usage("a Parquet file says nothing to a terminal: send it to a file with > FILE"));
        }
        Ok(())
    }

    /// The answer as bytes. `chosen` says which columns matter most, where not all of them fit.
    pub(crate) fn bytes(self, answer: &Answer, as_format: Format, chosen: Chosen<'_>) -> Result<Vec<u8>, Failure> {
        self.bears(as_format)?;
        Ok(match (as_format, self.width) {
            (Format::Table, None) => format::table(answer).into_bytes(),
            (Format::Table, Some(width)) => {
                table::fitted(answer, width, chosen).unwrap_or_else(|| vertical::vertical(answer)).into_bytes()
            }
            (Format::Vertical, _) => vertical::vertical(answer).into_bytes(),
            (Format::Json, width) => {
                let mut json = format::json(answer);
                if !json.ends_with(b"\n") {
                    json.push(b'\n');
                }
                match (width, String::from_utf8(json)) {
                    (Some(_), Ok(json)) => output::safe_json(&json).into_bytes(),
                    (_, Ok(json)) => json.into_bytes(),
                    (_, Err(error)) => error.into_bytes(),
                }
            }
            (Format::Csv, None) => format::csv(answer),
            (Format::Csv, Some(_)) => {
                let csv = format::csv(answer);
                output::safe(&String::from_utf8_lossy(&csv).replace("\r\n", "\n"), true).into_bytes()
            }
            (Format::Parquet, _) => format::parquet(answer).map_err(|error| Failure::internal(reasons(&error)))?,
        })
    }
}

/// Asks, and prints the answer: on a terminal as much as the row limit allows, elsewhere all of it.
pub(crate) async fn answer(record: &Record, sql: &str, as_format: Format, chosen: Chosen<'_>) -> Result<(), Failure> {
    match Screen::stdout().is_terminal() {
        true => print(&record.sql(sql).await?, as_format, chosen),
        false => write(record, sql, as_format, output::bytes).await.map(drop),
    }
}

/// Prints an answer; one that is not whole is a finding.
pub(crate) fn print(answer: &Answer, as_format: Format, chosen: Chosen<'_>) -> Result<(), Failure> {
    output::bytes(&Screen::stdout().bytes(answer, as_format, chosen)?)?;
    whole(answer)
}

/// Says of an answer that was cut that it is not all.
pub(crate) fn whole(answer: &Answer) -> Result<(), Failure> {
    match answer.truncated {
        true => Err(Failure::finding(format!(
            "the answer is cut: these are the first {} rows; narrow the question, or send the answer to a file or a pipe, where all of it goes",
            answer.rows()
        ))),
        false => Ok(()),
    }
}
