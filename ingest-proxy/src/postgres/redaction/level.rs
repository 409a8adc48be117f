//! What of a session's messages is recorded, where that is not all of it: decided by their tags. Marks take the place of
//! the others.
//!
//! Invariants: nothing is left out without a mark; a message is recorded whole or not at all, but for the SQLSTATE of an
//! error at [`CaptureLevel::Metadata`]; what goes to the job and to the database is none of this module's business.

use hansard_pg_wire::frame::{Frame, HEADER};
use hansard_schemas::events;

use crate::capture::marks::Mark;
use crate::direction::{Direction, Part};
use crate::options::{CaptureLevel, CaptureOptions};

const ROWS: &str = "result rows";
const OVER_LIMIT: &str = "result over limit";
const ERROR: &str = "error text";

/// Longest CommandComplete that is taken for one: the server's own tags have up to 63 characters
/// (`COMPLETION_TAG_BUFSIZE`).
const MAX_COMMAND: usize = HEADER + 64;

/// Of an error that comes in parts, bytes that are looked at: severity and SQLSTATE come first.
const MAX_ERROR: usize = 1024;

/// Decides frame by frame. Sessions that are recorded in full have none.
#[derive(Debug)]
pub(super) struct Filter {
    level: CaptureLevel,
    /// Bytes of one result's rows.
    limit: u64,
    /// Bytes of the rows of the result that is being sent; more than `limit` once it was cut.
    sent: u64,
    /// A long frame that is left out, from the job and to it.
    part: [Option<LongFrame>; 2],
}

/// A frame that comes in parts and is left out.
#[derive(Debug)]
struct LongFrame {
    withheld: &'static str,
    /// Of an error, the beginning.
    error: Option<Vec<u8>>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Recorded,
    LeftOut(&'static str),
    /// An error: its SQLSTATE is recorded.
    CodeOnly,
}

impl Filter {
    /// `None` where everything is recorded.
    pub(super) fn new(options: CaptureOptions) -> Option<Box<Filter>> {
        if options.level == CaptureLevel::Full && options.max_result_bytes.is_none() {
            return None;
        }
        let limit = options.max_result_bytes.unwrap_or(u64::MAX);
        Some(Box::new(Filter { level: options.level, limit, sent: 0, part: [None, None] }))
    }

    /// What becomes of a frame of that length, header included.
    fn fate(&mut self, direction: Direction, tag: u8, length: u64) -> Fate {
        match (self.level, direction) {
            (CaptureLevel::Metadata, _) => metadata(direction, tag, length),
            (_, Direction::Frontend) => Fate::Recorded,
            (CaptureLevel::Statements, Direction::Backend) if is_row(tag) => Fate::LeftOut(ROWS),
            (CaptureLevel::Statements, Direction::Backend) => Fate::Recorded,
            (CaptureLevel::Full, Direction::Backend) => self.within_limit(tag, length),
        }
    }

    /// The mark in the place of a whole frame; `None` when the frame is recorded.
    pub(super) fn frame(&mut self, direction: Direction, frame: &Frame<'_>) -> Option<Mark> {
        let bytes = frame.bytes.len() as u64;
        let (withheld, kept) = match self.fate(direction, frame.tag, bytes) {
            Fate::Recorded => return None,
            Fate::LeftOut(withheld) => (withheld, Vec::new()),
            Fate::CodeOnly => (ERROR, code_of(frame.bytes)),
        };
        let (tag, part, counted) = (frame.tag, events::Part::Whole, is_counted(frame.tag));
        Some(Mark { direction, tag, part, withheld, frames: 1, bytes, kept, counted })
    }

    /// The mark in the place of a part of a long frame; `None` when the frame is recorded.
    pub(super) fn part(&mut self, direction: Direction, bytes: &[u8], tag: u8, part: Part) -> Option<Mark> {
        let side = usize::from(direction == Direction::Backend);
        if part == Part::First {
            let stated = bytes.first_chunk::<HEADER>().map(|[_, a, b, c, d]| u32::from_be_bytes([*a, *b, *c, *d]));
            let length = stated.map_or(bytes.len() as u64, |stated| u64::from(stated) + 1);
            self.part[side] = match self.fate(direction, tag, length) {
                Fate::Recorded => None,
                Fate::LeftOut(withheld) => Some(LongFrame { withheld, error: None }),
                Fate::CodeOnly => Some(LongFrame { withheld: ERROR, error: Some(Vec::new()) }),
            };
        }
        let long = self.part[side].as_mut()?;
        if let Some(error) = &mut long.error {
            let room = (MAX_ERROR - error.len()).min(bytes.len());
            error.extend_from_slice(&bytes[..room]);
        }
        let mut mark = Mark {
            direction,
            tag,
            part: part.into(),
            withheld: long.withheld,
            frames: 0,
            bytes: bytes.len() as u64,
            kept: Vec::new(),
            counted: is_counted(tag),
        };
        if part == Part::Last {
            mark.frames = 1;
            mark.kept = long.error.as_deref().map(code_of).unwrap_or_default();
            self.part[side] = None;
        }
        Some(mark)
    }

    fn within_limit(&mut self, tag: u8, length: u64) -> Fate {
        if is_row(tag) {
            self.sent = if self.sent.saturating_add(length) > self.limit { u64::MAX } else { self.sent + length };
        }
        let fate = if is_row(tag) && self.sent == u64::MAX { Fate::LeftOut(OVER_LIMIT) } else { Fate::Recorded };
        // The result has ended, or another begins. A portal that is fetched from in portions goes on.
        if matches!(tag, b'C' | b'I' | b'E' | b'V' | b'2') {
            self.sent = 0;
        }
        fate
    }
}

/// DataRow, CopyData and FunctionCallResponse.
fn is_row(tag: u8) -> bool {
    matches!(tag, b'D' | b'd' | b'V')
}

/// DataRow and CopyData, of which a result may have any number.
fn is_counted(tag: u8) -> bool {
    matches!(tag, b'D' | b'd')
}

fn metadata(direction: Direction, tag: u8, length: u64) -> Fate {
    match (direction, tag) {
        // Without content.
        _ if length == HEADER as u64 => Fate::Recorded,
        (Direction::Frontend, b'Q' | b'P') => Fate::LeftOut("statement text"),
        (Direction::Frontend, b'B' | b'F') => Fate::LeftOut("parameters"),
        (Direction::Frontend, b'd') => Fate::LeftOut("copied data"),
        (Direction::Backend, b'C') if length <= MAX_COMMAND as u64 => Fate::Recorded,
        (Direction::Backend, b'Z') if length == HEADER as u64 + 1 => Fate::Recorded,
        // AuthenticationOk and what asks for a password.
        (Direction::Backend, b'R') if length == HEADER as u64 + 4 => Fate::Recorded,
        (Direction::Backend, b'E') => Fate::CodeOnly,
        (Direction::Backend, tag) if is_row(tag) => Fate::LeftOut(ROWS),
        _ => Fate::LeftOut("content"),
    }
}

/// An ErrorResponse with severity and SQLSTATE alone.
fn code_of(error: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = error.get(HEADER..).unwrap_or_default();
    while let Some((&field, after)) = rest.split_first().filter(|(field, _)| **field != 0) {
        let end = after.iter().position(|&byte| byte == 0).unwrap_or(after.len());
        let value = &after[..end];
        let is_code = field == b'C' && value.len() == 5 && value.iter().all(u8::is_ascii_alphanumeric);
        if is_code || field == b'V' && matches!(value, b"ERROR" | b"FATAL" | b"PANIC") {
            body.push(field);
            body.extend_from_slice(value);
            body.push(0);
        }
        rest = after.get(end + 1..).unwrap_or_default();
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("two short fields").to_be_bytes();
    [&b"E"[..], &length, &body].concat()
}

#[cfg(test)]
mod tests;
