//! Commands that begin with a backslash.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::ValueEnum;

use super::{Shell, copy, pieces};
use crate::cli::Format;
use crate::failure::Failure;
use crate::output;
use crate::questions::literal;
use crate::show::Screen;

const HELP: &str = "\
A question ends with ; and may have several lines. Tab completes tables, columns, functions and, in quotes, jobs.
Ctrl-C gives up a line or a running question; Ctrl-D leaves.

  \\dt                    tables
  \\d [TABLE]             the columns of a table
  \\df                    functions
  \\dj                    jobs, with their sessions
  \\x [on|off]            a line for each value
  \\format NAME           table, vertical, json or csv
  \\timing [on|off]       how long answers take
  \\pager [on|off]        long answers through $PAGER
  \\g                     asks the last question again
  \\watch [SECONDS]       asks it again and again, until Ctrl-C
  \\copy (SQL) TO FILE    all of the answer as a file: .csv, .json or .parquet
  \\i FILE                questions from a file
  \\q                     leaves";

/// Files that ask files that ask files.
const DEEPEST: usize = 8;

pub(super) async fn execute(shell: &mut Shell<'_>, command: &str) -> Result<ControlFlow<()>, Failure> {
    at_depth(shell, command, 0).await
}

async fn at_depth(shell: &mut Shell<'_>, command: &str, depth: usize) -> Result<ControlFlow<()>, Failure> {
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let (name, rest) = (name.trim_end_matches(';'), rest.trim().trim_end_matches(';').trim_end());
    match name {
        "q" | "quit" => return Ok(ControlFlow::Break(())),
        "?" | "h" | "help" => output::line(HELP)?,
        "dt" | "d" if rest.is_empty() => {
            shell
                .ask(
                    "SELECT table_name, count(*) AS columns FROM information_schema.columns \
                       WHERE table_schema = 'public' GROUP BY table_name ORDER BY table_name",
                )
                .await?;
        }
        "d" => {
            // As PostgreSQL calls the types.
            let sql = format!(
                "SELECT column_name, CASE WHEN data_type = 'Utf8' THEN 'text' WHEN data_type = 'Int64' THEN 'bigint' \
                 WHEN data_type = 'Boolean' THEN 'boolean' WHEN data_type = 'Binary' THEN 'bytea' \
                 WHEN data_type LIKE 'Timestamp%' THEN 'timestamptz' WHEN data_type LIKE 'List%' THEN 'text[]' \
                 ELSE data_type END AS type, CASE WHEN is_nullable = 'NO' THEN 'not null' END AS nullable \
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name = {} ORDER BY ordinal_position",
                literal(&rest.to_lowercase())
            );
            let answer = shell.interruptible(shell.record.all(&sql)).await?;
            if answer.rows() == 0 {
                return Err(Failure::finding(format!("there is no table {rest:?}; \\dt lists them")));
            }
            shell.show(&answer, Format::Table)?;
        }
        "df" => {
            shell.ask("SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY routine_name").await?;
        }
        "dj" => {
            shell
                .ask(
                    "SELECT job, count(*) AS sessions, max(opened_at) AS latest FROM sessions GROUP BY job \
                       ORDER BY job LIMIT 1000",
                )
                .await?;
        }
        "x" => {
            let on = switch(rest, shell.format == Format::Vertical)?;
            shell.format = if on { Format::Vertical } else { Format::Table };
            output::line(&format!("A line for each value is {}.", word(on)))?;
        }
        "format" => {
            let format = Format::from_str(rest, true)
                .map_err(|_| Failure::usage("\\format is followed by table, vertical, json or csv"))?;
            Screen::stdout().bears(format)?;
            shell.format = format;
        }
        "timing" => {
            shell.timing = switch(rest, shell.timing)?;
            output::line(&format!("Timing is {}.", word(shell.timing)))?;
        }
        "pager" => {
            shell.pager = switch(rest, shell.pager)?;
            output::line(&format!("The pager is {}.", word(shell.pager)))?;
        }
        "g" => {
            let sql = last(shell)?;
            shell.ask(&sql).await?;
        }
        "watch" => watch(shell, rest).await?,
        "copy" => copy::copy(shell, rest).await?,
        "i" => {
            if depth >= DEEPEST {
                return Err(Failure::usage("files ask files that ask files: too deep"));
            }
            let text = std::fs::read_to_string(rest).map_err(|error| Failure::usage(format!("{rest}: {error}")))?;
            for piece in pieces::all(&text) {
                let done = match &piece {
                    pieces::Piece::Command(command) => Box::pin(at_depth(shell, command, depth + 1)).await?,
                    sql => Box::pin(shell.execute(sql)).await?,
                };
                if done.is_break() {
                    return Ok(done);
                }
            }
        }
        other => return Err(Failure::usage(format!("there is no command \\{other}; \\? lists them"))),
    }
    Ok(ControlFlow::Continue(()))
}

fn last(shell: &Shell<'_>) -> Result<String, Failure> {
    shell.last.clone().ok_or_else(|| Failure::usage("no question was asked yet"))
}

fn switch(given: &str, now: bool) -> Result<bool, Failure> {
    match given {
        "" => Ok(!now),
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Failure::usage("say on or off")),
    }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

async fn watch(shell: &mut Shell<'_>, seconds: &str) -> Result<(), Failure> {
    let seconds: f64 = if seconds.is_empty() { 2.0 } else { seconds.parse().unwrap_or(-1.0) };
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| *time >= Duration::from_millis(100));
    let time = time.ok_or_else(|| Failure::usage("\\watch is followed by seconds, 0.1 at least"))?;
    let sql = last(shell)?;
    let paged = std::mem::take(&mut shell.pager);
    loop {
        if let Err(failure) = shell.ask(&sql).await {
            shell.pager = paged;
            return Err(failure);
        }
        if Shell::wait(time).await.is_break() {
            shell.pager = paged;
            return Ok(());
        }
    }
}
