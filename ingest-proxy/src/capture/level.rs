//! What of a session's frames is recorded, where that is not all of it.
//!
//! A mark takes the place of frames whose content is left out: it has their tag, how many they are and how long they
//! were, and a `seq` of its own, so that the record stays dense. Rows that follow each other are one mark, which grows
//! while it waits to be appended: a result of any size costs one mark for each block that is appended meanwhile.
//!
//! Invariants: nothing is left out without a mark; a frame is recorded whole or not at all, but for the SQLSTATE of an
//! error at [`CaptureLevel::Metadata`]; what goes to the job and to the database is none of this module's business.

use bytes::Bytes;
use hansard_pg_wire::frame::{self, Direction, HEADER, Part};
use hansard_schemas::events::{self, Event, FrameRun, Omitted, event};

use super::{Capture, Run, encode_event};
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
    last: Option<LastMark>,
    /// Empty, kept for its room.
    pieces: Vec<Piece>,
}

/// Some of what came, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Recorded { len: usize, count: u32 },
    LeftOut { len: usize, mark: Mark },
}

/// A frame that comes in parts and is left out.
#[derive(Debug)]
struct LongFrame {
    withheld: &'static str,
    /// Of an error, the beginning.
    error: Option<Vec<u8>>,
}

/// A mark in the pending block that may grow.
#[derive(Debug)]
struct LastMark {
    begin: usize,
    end: usize,
    seq: u64,
    at: u64,
    mark: Mark,
}

/// Frames that are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    direction: Direction,
    tag: u8,
    part: events::Part,
    withheld: &'static str,
    frames: u64,
    bytes: u64,
    /// What is recorded of the frame's content, as a frame.
    kept: Vec<u8>,
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
    fn new(options: CaptureOptions) -> Option<Box<Filter>> {
        if options.level == CaptureLevel::Full && options.max_result_bytes.is_none() {
            return None;
        }
        let limit = options.max_result_bytes.unwrap_or(u64::MAX);
        Some(Box::new(Filter {
            level: options.level,
            limit,
            sent: 0,
            part: [None, None],
            last: None,
            pieces: Vec::new(),
        }))
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

    /// What becomes of whole frames: pieces that add up to `bytes`.
    fn frames(&mut self, direction: Direction, bytes: &[u8], pieces: &mut Vec<Piece>) {
        let mut seen = 0;
        for frame in frame::frames(bytes) {
            let length = frame.bytes.len();
            seen += length;
            let (withheld, kept) = match self.fate(direction, frame.tag, length as u64) {
                Fate::Recorded => {
                    match pieces.last_mut() {
                        Some(Piece::Recorded { len, count }) => (*len, *count) = (*len + length, *count + 1),
                        _ => pieces.push(Piece::Recorded { len: length, count: 1 }),
                    }
                    continue;
                }
                Fate::LeftOut(withheld) => (withheld, Vec::new()),
                Fate::CodeOnly => (ERROR, code_of(frame.bytes)),
            };
            let part = events::Part::Whole;
            let next = Mark { direction, tag: frame.tag, part, withheld, frames: 1, bytes: length as u64, kept };
            match pieces.last_mut() {
                Some(Piece::LeftOut { len, mark }) if mark.joins(&next) => {
                    *len += length;
                    mark.add(&next);
                }
                _ => pieces.push(Piece::LeftOut { len: length, mark: next }),
            }
        }
        debug_assert_eq!(seen, bytes.len(), "only whole frames come here");
    }

    /// The mark in the place of a part of a long frame; `None` when the frame is recorded.
    fn part(&mut self, direction: Direction, bytes: &[u8], tag: u8, part: Part) -> Option<Mark> {
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
            part: match part {
                Part::First => events::Part::First,
                Part::Middle => events::Part::Middle,
                Part::Last => events::Part::Last,
            },
            withheld: long.withheld,
            frames: 0,
            bytes: bytes.len() as u64,
            kept: Vec::new(),
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

impl Mark {
    /// One mark stands for both.
    fn joins(&self, next: &Mark) -> bool {
        let rows = matches!(self.tag, b'D' | b'd') && self.part == events::Part::Whole;
        (rows || self.part == events::Part::Middle)
            && self.kept.is_empty()
            && (self.direction, self.tag, self.part, self.withheld)
                == (next.direction, next.tag, next.part, next.withheld)
    }

    fn add(&mut self, next: &Mark) {
        self.frames += next.frames;
        self.bytes += next.bytes;
    }
}

impl Capture {
    /// Records what follows as the session's target and role ask for.
    pub(crate) fn record_as(&mut self, options: CaptureOptions) {
        self.filter = Filter::new(options);
    }

    /// [`Capture::frames`] where not everything is recorded.
    pub(super) fn filter_frames(&mut self, mut filter: Box<Filter>, direction: Direction, at: u64, mut bytes: &[u8]) {
        let mut pieces = std::mem::take(&mut filter.pieces);
        filter.frames(direction, bytes, &mut pieces);
        for piece in pieces.drain(..) {
            match piece {
                Piece::Recorded { len, count } => {
                    let (now, after) = bytes.split_at(len);
                    self.whole(direction, at, now, count);
                    bytes = after;
                }
                Piece::LeftOut { len, mark } => {
                    self.mark(&mut filter, at, mark);
                    bytes = &bytes[len..];
                }
            }
        }
        filter.pieces = pieces;
        self.filter = Some(filter);
    }

    /// [`Capture::part`] where not everything is recorded; false when this part is.
    pub(super) fn filter_part(&mut self, direction: Direction, at: u64, bytes: &[u8], tag: u8, part: Part) -> bool {
        let Some(mut filter) = self.filter.take() else { return false };
        let mark = filter.part(direction, bytes, tag, part);
        let left_out = mark.is_some();
        if let Some(mark) = mark {
            self.mark(&mut filter, at, mark);
        }
        self.filter = Some(filter);
        left_out
    }

    fn whole(&mut self, direction: Direction, at: u64, bytes: &[u8], count: u32) {
        self.run(at, bytes, Run::of(direction, count, events::Part::Whole, None));
    }

    fn mark(&mut self, filter: &mut Filter, at: u64, mark: Mark) {
        self.bytes[usize::from(mark.direction == Direction::Backend)] += mark.bytes;
        self.worker.traffic.add(mark.direction, mark.frames, mark.bytes);
        if self.frames {
            self.open();
            write(&mut self.block, (self.first_seq, &mut self.next_seq), &mut filter.last, at, mark);
        }
    }
}

/// Writes a mark to a block that begins with `first_seq`, or lets the last one in it grow.
fn write(
    block: &mut Vec<u8>,
    (first_seq, next_seq): (u64, &mut u64),
    last: &mut Option<LastMark>,
    at: u64,
    mark: Mark,
) {
    // Nothing was written behind it, and it was not appended.
    let grows = |last: &LastMark| {
        last.seq >= first_seq && last.seq + 1 == *next_seq && last.end == block.len() && last.mark.joins(&mark)
    };
    let now = match last.take().filter(grows) {
        Some(mut last) => {
            block.truncate(last.begin);
            last.mark.add(&mark);
            last
        }
        None => {
            *next_seq += 1;
            LastMark { begin: block.len(), end: 0, seq: *next_seq - 1, at, mark }
        }
    };
    let event = Event { at: now.at, event_no: 0, kind: Some(event::Kind::Frames(now.mark.run(now.seq))) };
    encode_event(block, &event);
    *last = Some(LastMark { end: block.len(), ..now });
}

impl Mark {
    /// As it is recorded.
    fn run(&self, first_seq: u64) -> FrameRun {
        FrameRun {
            direction: match self.direction {
                Direction::Frontend => events::Direction::Frontend,
                Direction::Backend => events::Direction::Backend,
            } as i32,
            first_seq,
            count: 1,
            frames: Bytes::copy_from_slice(&self.kept),
            part: self.part as i32,
            tag: Some(u32::from(self.tag)),
            withheld: self.withheld.to_owned(),
            omitted: Some(Omitted { frames: self.frames, bytes: self.bytes }),
            ..FrameRun::default()
        }
    }
}

#[cfg(test)]
mod tests;
