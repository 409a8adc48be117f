//! `hansard sql`: questions from the command line, a file, standard input, or a shell where that is a terminal.

use std::io::{IsTerminal, Read};
use std::path::Path;

use crate::ask::reading;
use crate::cli::{Format, Sql};
use crate::failure::Failure;
use crate::shell::{Shell, pieces};
use crate::show::Screen;

/// Longest text with questions, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

pub(crate) fn run(file: &Path, asked: &Sql) -> Result<(), Failure> {
    Screen::stdout().bears(asked.format)?;
    let Some(text) = text(asked)? else {
        return reading(file, async |_, record| Shell::new(record, asked.format, true).talk().await);
    };
    let pieces = pieces::all(&text);
    if pieces.is_empty() {
        return Err(Failure::usage("there is no question: give one in SQL, or call `hansard sql` on a terminal"));
    }
    if pieces.len() > 1 && asked.format == Format::Parquet {
        return Err(Failure::usage("a Parquet file holds one answer: ask one question"));
    }
    reading(file, async |_, record| {
        let mut shell = Shell::new(record, asked.format, false);
        for piece in &pieces {
            if shell.execute(piece).await?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

/// The questions; `None` where a person at a terminal is to ask them.
fn text(asked: &Sql) -> Result<Option<String>, Failure> {
    if let Some(sql) = &asked.sql {
        return Ok(Some(sql.clone()));
    }
    if !asked.command.is_empty() {
        return Ok(Some(asked.command.join(";\n")));
    }
    match &asked.file {
        Some(file) if file.as_os_str() != "-" => {
            let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", file.display()));
            read(std::fs::File::open(file).map_err(failed)?).map(Some)
        }
        None if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => Ok(None),
        _ => read(std::io::stdin().lock()).map(Some),
    }
}

fn read(from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the questions cannot be read: {error}")))?;
    match text.len() as u64 > LONGEST {
        true => Err(Failure::usage(format!("the questions are longer than {LONGEST} bytes"))),
        false => Ok(text),
    }
}
