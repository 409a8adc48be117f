//! Passwords in SQL: overwritten in the record, and in what the database repeats of them in errors and notices.
//!
//! Most frames are searched for a few words and pass. Where one of them is there, a scanner finds the secrets, and a copy
//! with asterisks in their places is recorded, in a run of its own with a mark. A message that comes in parts is looked at
//! byte by byte, since a word may be cut.
//!
//! Invariants: what the database and the job get is not touched; a frame is recorded with the length it had.

use std::ops::Range;

use hansard_pg_wire::frame::{self, HEADER};
use hansard_pg_wire::secrets::{Echo, Scanner, may_hold_secret};

use crate::direction::{Direction, Part};

/// What is withheld: of the job, and where the database repeats it.
pub(super) const IN_SQL: &str = "password in SQL";

/// ReadyForQuery without the state of the transaction.
const READY: &[u8] = b"Z\0\0\0\x05";

/// What a session's record has to know of secrets.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Of the message of the job that comes in parts.
    scanner: Option<Scanner>,
    /// Of requests that are not answered.
    echo: Echo,
    /// ReadyForQuery messages that are due since then. None is known where something was unanswered before.
    due: Option<u64>,
    /// Nothing has come from the job since the database was ready.
    idle: bool,
    /// Empty, kept for its room.
    places: Vec<Range<usize>>,
}

impl Secrets {
    /// Whether there may be secrets in whole frames.
    #[inline]
    pub(super) fn concern(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let concerned = !self.echo.is_empty() || direction == Direction::Frontend && may_hold_secret(bytes);
        if !concerned {
            self.passes(direction, bytes);
        }
        concerned
    }

    /// A copy of a part without the secrets in it; `None` where there are none.
    pub(super) fn part(&mut self, direction: Direction, bytes: &[u8], tag: u8, part: Part) -> Option<Vec<u8>> {
        let body = if part == Part::First { HEADER.min(bytes.len()) } else { 0 };
        let mut places = std::mem::take(&mut self.places);
        match direction {
            Direction::Frontend => {
                if part == Part::First {
                    self.scanner = Scanner::new(tag);
                    self.asks(tag);
                }
                if let Some(scanner) = &mut self.scanner {
                    scanner.feed(&bytes[body..], &mut places);
                }
                self.remember(&bytes[body..], &places, tag);
                if part == Part::Last {
                    self.scanner = None;
                }
                self.idle = false;
            }
            Direction::Backend if self.echo.is_empty() || !is_quoting(tag) => {}
            Direction::Backend if part == Part::First => self.echo.places(&bytes[body..], &mut places),
            // What its fields are is not known here; zero bytes end them.
            Direction::Backend => {
                let texts = bytes.split_inclusive(|byte| *byte == 0).scan(0, |end, text| {
                    let begin = *end;
                    *end += text.len();
                    Some(begin..*end - usize::from(text.ends_with(&[0])))
                });
                places.extend(texts);
            }
        }
        let masked = (!places.is_empty()).then(|| overwritten(bytes, body, &places));
        places.clear();
        self.places = places;
        masked
    }

    /// A copy of a whole frame without the secrets in it; `None` where there are none.
    pub(super) fn frame(&mut self, direction: Direction, frame: &frame::Frame<'_>) -> Option<Vec<u8>> {
        let mut places = std::mem::take(&mut self.places);
        match direction {
            Direction::Frontend => {
                self.asks(frame.tag);
                if let Some(mut scanner) = Scanner::new(frame.tag).filter(|_| may_hold_secret(frame.body)) {
                    scanner.feed(frame.body, &mut places);
                }
                self.remember(frame.body, &places, frame.tag);
            }
            Direction::Backend if is_quoting(frame.tag) => self.echo.places(frame.body, &mut places),
            Direction::Backend => {}
        }
        let masked = (!places.is_empty()).then(|| overwritten(frame.bytes, HEADER, &places));
        places.clear();
        self.places = places;
        self.passes(direction, frame.bytes);
        if direction == Direction::Backend && frame.tag == b'Z' {
            self.answered();
        }
        masked
    }

    #[inline]
    fn passes(&mut self, direction: Direction, bytes: &[u8]) {
        self.idle = direction == Direction::Backend
            && (self.idle || bytes.len().checked_sub(READY.len() + 1).is_some_and(|at| bytes[at..].starts_with(READY)));
    }

    /// A message that the database answers with ReadyForQuery in the end.
    fn asks(&mut self, tag: u8) {
        if !self.echo.is_empty() && is_asking(tag) {
            self.due = self.due.map(|due| due + 1);
        }
    }

    fn remember(&mut self, bytes: &[u8], places: &[Range<usize>], tag: u8) {
        if places.is_empty() {
            return;
        }
        if self.echo.is_empty() {
            self.due = self.idle.then_some(u64::from(is_asking(tag)));
        }
        self.echo.remember(bytes, places);
    }

    fn answered(&mut self) {
        if let Some(due) = &mut self.due {
            *due = due.saturating_sub(1);
            if *due == 0 {
                self.echo.clear();
            }
        }
    }
}

/// Query, Sync and FunctionCall.
fn is_asking(tag: u8) -> bool {
    matches!(tag, b'Q' | b'S' | b'F')
}

/// ErrorResponse and NoticeResponse.
fn is_quoting(tag: u8) -> bool {
    matches!(tag, b'E' | b'N')
}

/// A copy with asterisks at these places of what follows `body`.
fn overwritten(bytes: &[u8], body: usize, places: &[Range<usize>]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    for place in places {
        copy[body + place.start..body + place.end].fill(b'*');
    }
    copy
}

#[cfg(test)]
mod tests;
