//! A connection of Hansard's own to a database, over which it reads the catalog.
//!
//! It is recorded like a job's session, as job `hansard` of no issuer, but for the rows that come back: what they say is
//! told by the events that are made of them. Invariants: nothing is asked that is not in the log; a row, and all that is
//! kept of an answer, is bounded by the caller.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use hansard_event_log::mint_session_id;
use hansard_pg_wire::frame::{HEADER, frames};
use hansard_schemas::events::{self, event};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::capture::{Capture, DUE};
use crate::clock;
use crate::direction::Direction;
use crate::options::{CaptureLevel, CaptureOptions, TargetOptions};
use crate::postgres::redaction::Redaction;
use crate::postgres::upstream::{self, Failure, Route, Upstream};
use crate::relay::stream::Stream;
use crate::worker::Worker;

/// The name of Hansard's own job, and of its subject. No issuer vouches for it: the name of one is never empty.
pub(crate) const JOB: &str = "hansard";

/// Longest message that is taken from the database.
const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// Most columns that are asked for.
const MAX_COLUMNS: usize = 9;

/// Most of an error's text that is kept.
const MAX_ERROR: usize = 500;

/// For an answer: the database itself gives up before.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// The connection is of no use any more.
    #[error("{0}")]
    Lost(String),
    /// The database's own error; SQLSTATE and message.
    #[error("{message}")]
    Refused { code: String, message: String },
    /// More than what is taken; the connection is of no use any more.
    #[error("{0}")]
    TooMuch(String),
}

/// The columns of a row, as text.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    values: [Option<&'a str>; MAX_COLUMNS],
}

impl<'a> Row<'a> {
    /// Of a DataRow's body; `None` where it is none, or not UTF-8.
    fn read(body: &'a [u8]) -> Option<Row<'a>> {
        let (count, mut rest) = body.split_first_chunk::<2>()?;
        let mut row = Row::default();
        for at in 0..usize::from(u16::from_be_bytes(*count)) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
                *row.values.get_mut(at)? = Some(std::str::from_utf8(rest.get(..length)?).ok()?);
                rest = &rest[length..];
            }
        }
        Some(row)
    }

    /// The value; "" where it is null.
    pub(super) fn text(&self, column: usize) -> &'a str {
        self.get(column).unwrap_or_default()
    }

    pub(super) fn get(&self, column: usize) -> Option<&'a str> {
        self.values.get(column).copied().flatten()
    }

    /// An OID; 0 where it is none.
    pub(super) fn oid(&self, column: usize) -> u32 {
        self.text(column).parse().unwrap_or(0)
    }
}

/// See the module.
pub(super) struct Connection {
    stream: Stream,
    inbox: BytesMut,
    /// Bytes that came, all answers together.
    pub(super) received: u64,
    /// The other side is gone.
    lost: bool,
    /// Not where nothing is recorded: `hansard check` asks beside a running proxy.
    capture: Option<Capture>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, within `patience`.
    pub(super) async fn open(
        worker: Option<&Arc<Worker>>,
        target: &TargetOptions,
        route: &Route,
        database: &str,
        patience: Duration,
    ) -> Result<Connection, Problem> {
        let mut capture = worker.map(|worker| record(worker, target, database));
        let parameters = [("application_name", JOB)].into_iter();
        let upstream = match upstream::connect(target, route, database, parameters, patience).await {
            Ok(upstream) => upstream,
            Err(failure) => {
                if let Some(mut capture) = capture {
                    if let Failure::Passed(frame) = &failure {
                        capture.frames(Direction::Backend, clock::now(), frame, 1);
                    }
                    close(capture, "database unavailable");
                }
                return Err(Problem::Lost(failure.line()));
            }
        };
        let Upstream { stream, greeting, greetings, ready, rest, .. } = upstream;
        if let Some(capture) = &mut capture {
            let now = clock::now();
            if greetings > 0 {
                capture.frames(Direction::Backend, now, &greeting, greetings);
            }
            capture.withheld(Direction::Backend, now, b'K', "cancel key");
            capture.frames(Direction::Backend, now, &ready, 1);
        }
        Ok(Connection { stream, inbox: BytesMut::from(&rest[..]), received: 0, lost: false, capture })
    }

    /// Asks, and gives each row of the answer to `each`, with the number of the result that it is in.
    pub(super) async fn ask(
        &mut self,
        question: &str,
        each: impl FnMut(usize, Row<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        match tokio::time::timeout(PATIENCE, self.exchange(question, each)).await {
            Ok(result) => result,
            Err(_) => Err(Problem::Lost(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// [`Connection::ask`] for the effect alone.
    pub(super) async fn run(&mut self, question: &str) -> Result<(), Problem> {
        self.ask(question, |_, _| Ok(())).await
    }

    async fn exchange(
        &mut self,
        question: &str,
        mut each: impl FnMut(usize, Row<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut message = BytesMut::new();
        frontend::query(question, &mut message).map_err(|error| Problem::Lost(error.to_string()))?;
        if let Some(capture) = &mut self.capture {
            capture.frames(Direction::Frontend, clock::now(), &message, 1);
            append(capture)?;
        }
        self.stream.write_all(&message).await.map_err(|error| Problem::Lost(error.to_string()))?;
        let (mut result, mut problem) = (0, None);
        loop {
            let (mut taken, mut count, mut is_ready) = (0, 0, false);
            for frame in frames(&self.inbox) {
                (taken, count) = (taken + frame.bytes.len(), count + 1);
                match frame.tag {
                    b'D' if problem.is_none() => {
                        let row = Row::read(frame.body);
                        let row = row.ok_or_else(|| Problem::Refused {
                            code: "22021".to_owned(),
                            message: "a name or definition is not valid UTF-8".to_owned(),
                        });
                        problem = row.and_then(|row| each(result, row)).err();
                    }
                    b'C' => result += 1,
                    b'E' => problem = Some(refused(frame.body)),
                    b'Z' => {
                        is_ready = true;
                        break;
                    }
                    _ => {}
                }
            }
            if let Some(capture) = &mut self.capture
                && count > 0
            {
                capture.frames(Direction::Backend, clock::now(), &self.inbox[..taken], count);
                if is_ready || capture.pending() >= DUE {
                    append(capture)?;
                }
            }
            let _ = self.inbox.split_to(taken);
            if is_ready {
                return problem.map_or(Ok(()), Err);
            }
            // The rest of the answer is not waited for: the connection ends.
            if let Some(problem @ Problem::TooMuch(_)) = problem {
                return Err(problem);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<(), Problem> {
        if let Some([_, length @ ..]) = self.inbox.first_chunk::<HEADER>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > MAX_MESSAGE {
                return Err(Problem::Lost(format!("a row is longer than {MAX_MESSAGE} bytes")));
            }
        }
        self.inbox.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.inbox).await {
            Ok(0) => {
                self.lost = true;
                Err(Problem::Lost("the database closed the connection".to_owned()))
            }
            Ok(read) => {
                self.received += read as u64;
                Ok(())
            }
            Err(error) => Err(Problem::Lost(error.to_string())),
        }
    }

    /// Ends the session.
    pub(super) async fn close(mut self, reason: &str) {
        const TERMINATE: &[u8] = b"X\0\0\0\x04";
        if let Some(mut capture) = self.capture.take() {
            capture.frames(Direction::Frontend, clock::now(), TERMINATE, 1);
            close(capture, reason);
        }
        // A Terminate that does not arrive changes nothing: the connection is closed either way.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.stream.write_all(TERMINATE)).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(capture) = self.capture.take() {
            close(capture, if self.lost { "closed by database" } else { "closed by job" });
        }
    }
}

/// The record of a session of Hansard's own.
fn record(worker: &Arc<Worker>, target: &TargetOptions, database: &str) -> Capture {
    let log = worker.journal.log();
    let session = mint_session_id(worker.journal.shard(), log.shards());
    let mut capture = Capture::new(worker.clone(), session, &target.name);
    let level = CaptureLevel::Statements;
    let options = CaptureOptions { level, ..CaptureOptions::default() };
    capture.redact_by(Box::new(Redaction::new(options)));
    let now = clock::now();
    capture.event(
        now,
        event::Kind::SessionOpened(events::SessionOpened {
            application_name: JOB.to_owned(),
            db_user: target.upstream.user.clone(),
            database: database.to_owned(),
            protocol_version: 3 << 16,
            node: log.node().to_owned(),
            instance: log.instance().to_owned(),
            hansard_version: env!("CARGO_PKG_VERSION").to_owned(),
            capture: level.as_str().to_owned(),
            ..events::SessionOpened::default()
        }),
    );
    let authenticated =
        events::Authenticated { subject: JOB.to_owned(), job: JOB.to_owned(), ..events::Authenticated::default() };
    capture.event(now, event::Kind::Authenticated(authenticated));
    capture
}

fn close(mut capture: Capture, reason: &str) {
    let (frames, bytes_frontend, bytes_backend) = capture.totals();
    let closed = events::SessionClosed { reason: reason.to_owned(), frames, bytes_frontend, bytes_backend };
    capture.event(clock::now(), event::Kind::SessionClosed(closed));
    if capture.append().is_err() {
        capture.keep_pending();
    }
}

fn append(capture: &mut Capture) -> Result<(), Problem> {
    match capture.append() {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::Lost(format!("it cannot be recorded: {error}"))),
    }
}

/// An ErrorResponse.
fn refused(body: &[u8]) -> Problem {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|&byte| byte == 0) {
        match field.split_first() {
            Some((b'C', value)) => code = String::from_utf8_lossy(value).into_owned(),
            Some((b'M', value)) => message = String::from_utf8_lossy(value).chars().take(MAX_ERROR).collect(),
            _ => {}
        }
    }
    Problem::Refused { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_what_is_none_is_not() {
        let body = [&[0, 3][..], &[0, 0, 0, 2], b"12", &[0xff; 4], &[0, 0, 0, 3], "dö".as_bytes()].concat();
        let row = Row::read(&body).unwrap();
        assert_eq!((row.oid(0), row.get(1), row.text(2)), (12, None, "dö"));
        assert_eq!(row.get(7), None);
        for end in 0..body.len() {
            assert!(Row::read(&body[..end]).is_none(), "{end}");
        }
        assert!(Row::read(&[0, 1, 0, 0, 0, 1, 0xff]).is_none(), "not UTF-8");
        assert!(Row::read(&[0, 9, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn errors_are_told_by_code_and_message() {
        let problem = refused(b"SERROR\0C42501\0Mpermission denied for table pg_proc\0\0");
        let message = "permission denied for table pg_proc".to_owned();
        assert_eq!(problem, Problem::Refused { code: "42501".to_owned(), message });
    }
}
