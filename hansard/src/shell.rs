//! The shell of `hansard sql`: questions that end with a semicolon, and commands that begin with a backslash, as psql has
//! them.
//!
//! Invariant: a question that was interrupted, or whose answer is not whole, is told as that; the shell itself goes on.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hansard_query::Answer;

use crate::ask::Record;
use crate::cli::Format;
use crate::failure::Failure;
use crate::output;
use crate::show::{Chosen, Screen, whole, write};

mod commands;
mod copy;
mod editor;
mod history;
mod keys;
mod line;
pub(crate) mod pieces;
mod words;

use editor::{Editor, Typed};
use pieces::Piece;
use words::Words;

/// Longest question that is typed, in bytes.
const LONGEST: usize = 1024 * 1024;

/// How questions are asked and answers shown.
pub(crate) struct Shell<'a> {
    record: &'a Record,
    format: Format,
    timing: bool,
    pager: bool,
    /// The last question, for \watch and \g.
    last: Option<String>,
    /// A person sits there.
    talks: bool,
}

impl<'a> Shell<'a> {
    /// `talks`: a person asks, who can be told of errors one by one.
    pub(crate) fn new(record: &'a Record, format: Format, talks: bool) -> Shell<'a> {
        Shell { record, format, timing: false, pager: talks, last: None, talks }
    }

    /// Asks the person at the terminal until that has enough.
    pub(crate) async fn talk(mut self) -> Result<(), Failure> {
        output::line("Hansard: what jobs did, in SQL. \\? for help, \\dt for tables, \\q to leave.")?;
        let words = Words::read(self.record).await;
        let mut editor = Editor::new(words);
        let mut typed = String::new();
        loop {
            let prompt = if typed.is_empty() { "hansard=> " } else { "hansard-> " };
            let (back, line) = tokio::task::spawn_blocking(move || {
                let line = editor.read(prompt);
                (editor, line)
            })
            .await
            .map_err(Failure::internal)?;
            editor = back;
            match line {
                Typed::Line(line) => typed.push_str(&line),
                Typed::Interrupted => {
                    typed.clear();
                    continue;
                }
                Typed::End => return Ok(()),
            }
            typed.push('\n');
            if typed.len() > LONGEST {
                output::error(&Failure::usage(format!("a question is at most {LONGEST} bytes long")));
                typed.clear();
                continue;
            }
            let (pieces, rest) = pieces::split(&typed);
            let rest = if rest.trim().is_empty() { String::new() } else { rest.to_owned() };
            for piece in pieces {
                match self.execute(&piece).await {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(()),
                    // Nobody reads any more.
                    Err(failure) if failure.code == 0 => return Err(failure),
                    Err(failure) => {
                        output::error(&failure);
                        break;
                    }
                }
            }
            typed = rest;
        }
    }

    /// Carries out a piece; breaks where there is to be no further one.
    pub(crate) async fn execute(&mut self, piece: &Piece) -> Result<ControlFlow<()>, Failure> {
        match piece {
            Piece::Sql(sql) => {
                self.last = Some(sql.clone());
                self.ask(sql).await?;
            }
            Piece::Command(command) => return commands::execute(self, command).await,
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Asks, and shows the answer.
    async fn ask(&self, sql: &str) -> Result<(), Failure> {
        self.ask_as(sql, self.format).await
    }

    /// Likewise, in a format.
    async fn ask_as(&self, sql: &str, format: Format) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut all = Ok(());
        if Screen::stdout().is_terminal() {
            let answer = self.interruptible(self.record.sql(sql)).await?;
            self.show(&answer, format)?;
            all = whole(&answer);
        } else {
            self.interruptible(write(self.record, sql, format, output::bytes)).await?;
        }
        if self.timing {
            output::line(&format!("Time: {:.3} ms", begun.elapsed().as_secs_f64() * 1e3))?;
        }
        all
    }

    /// Ctrl-C gives it up.
    async fn interruptible<T>(&self, asked: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if !self.talks {
            return asked.await;
        }
        tokio::select! {
            done = asked => done,
            _ = tokio::signal::ctrl_c() => Err(Failure::finding("the question was interrupted")),
        }
    }

    fn show(&self, answer: &Answer, as_format: Format) -> Result<(), Failure> {
        let shown = Screen::stdout().bytes(answer, as_format, Chosen::All)?;
        let height = terminal_size::terminal_size().map_or(24, |(_, height)| usize::from(height.0));
        let lines = shown.iter().filter(|byte| **byte == b'\n').count();
        if self.pager && lines + 1 > height && page(&shown) {
            return Ok(());
        }
        output::bytes(&shown)
    }

    /// Waits, unless it is interrupted.
    async fn wait(time: Duration) -> ControlFlow<()> {
        tokio::select! {
            () = tokio::time::sleep(time) => ControlFlow::Continue(()),
            _ = tokio::signal::ctrl_c() => ControlFlow::Break(()),
        }
    }
}

/// Shows a long answer with $PAGER; false where that cannot be had.
fn page(shown: &[u8]) -> bool {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    let mut words = pager.split_whitespace();
    let Some(program) = words.next() else { return false };
    let started = Command::new(program).args(words).env("LESS", "FSX").stdin(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever leaves the pager early has read enough.
        let _ = stdin.write_all(shown);
    }
    child.wait().is_ok()
}
