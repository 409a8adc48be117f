//! What a session has seen, as the block that is appended next.
//!
//! Frames are encoded straight into the block's bytes: protobuf by hand for [`FrameRun`], because this runs once or
//! twice for each request and a message tree would copy them once more; everything else goes through prost. A test
//! holds both against each other.
//!
//! Invariants: `seq` and `event_no` are dense and in the order of the calls; a block that the log refused stays
//! pending as it is, and more may be added to it. What of a frame is not recorded is the protocol's to say ([`redactor`]);
//! where something is left out a mark says so ([`marks`]).

use std::sync::Arc;

use hansard_event_log::{Error, Position};
use hansard_schemas::events::{self, Event, Message, event};
use uuid::Uuid;

use crate::capture::journal::Journal;
use crate::direction::{Direction, Part};
use crate::worker::Worker;

mod fields;
pub(crate) mod journal;
pub(crate) mod level;
pub(crate) mod marks;
pub(crate) mod process;
pub(crate) mod redactor;
mod unidentified;

use fields::{Fields, varint_len};
use marks::LastMark;
use redactor::{Piece, Redactor};

/// The varint fields of a block between its target and its payload's bytes, at their longest.
const FIELDS: usize = 6 * 11;

/// Fields of a run on one side of its bytes, at their longest.
const RUN: usize = 4 * 11;

/// Pending bytes from which on a block is due.
pub(crate) const DUE: usize = 64 * 1024;

/// See the module.
pub(crate) struct Capture {
    worker: Arc<Worker>,
    session: Uuid,
    /// The block's fields that do not change: session and target.
    constant: Vec<u8>,
    /// `room` bytes that the header is written into in the end, and the payload. Empty: nothing is pending.
    block: Vec<u8>,
    room: usize,
    first_seq: u64,
    next_seq: u64,
    first_event: u64,
    next_event: u64,
    bytes: [u64; 2],
    /// Whether frames are recorded at all.
    frames: bool,
    /// What is recorded as it did not come; without one, all is recorded as it came.
    redactor: Option<Box<dyn Redactor>>,
    last_mark: Option<LastMark>,
    /// By the frames that are recorded next, all that the job asked for is answered.
    settled: bool,
    /// Empty, kept for its room.
    pieces: Vec<Piece>,
}

/// A run of frames or a part of one, beside its bytes.
#[derive(Clone, Copy)]
struct Run<'a> {
    direction: Direction,
    count: u32,
    part: events::Part,
    tag: Option<u8>,
    withheld: &'a str,
    /// There are bytes all the same: those of secrets are overwritten.
    masked: bool,
    origin: events::Origin,
    settled: bool,
}

impl Run<'_> {
    fn of(direction: Direction, count: u32, part: events::Part, tag: Option<u8>) -> Run<'static> {
        Run { direction, count, part, tag, withheld: "", masked: false, origin: events::Origin::Peer, settled: false }
    }
}

impl Capture {
    pub(crate) fn new(worker: Arc<Worker>, session: Uuid, target: &str) -> Capture {
        let constant = events::Block {
            session_id: session.as_bytes().to_vec(),
            target: target.to_owned(),
            ..events::Block::default()
        }
        .encode_to_vec();
        let room = constant.len() + FIELDS;
        let frames = worker.shared.options.durability != crate::Durability::Off;
        Capture {
            worker,
            session,
            constant,
            block: Vec::new(),
            room,
            first_seq: 1,
            next_seq: 1,
            first_event: 1,
            next_event: 1,
            bytes: [0; 2],
            frames,
            redactor: None,
            last_mark: None,
            settled: false,
            pieces: Vec::new(),
        }
    }

    pub(crate) fn session(&self) -> Uuid {
        self.session
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.worker.journal
    }

    /// Bytes of payload that wait to be appended.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.block.len().saturating_sub(self.room)
    }

    /// Frames recorded, bytes of the job and bytes to the job.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        (self.next_seq - 1, self.bytes[0], self.bytes[1])
    }

    /// `count` whole frames.
    #[inline]
    pub(crate) fn frames(&mut self, direction: Direction, at: u64, bytes: &[u8], count: u32) {
        if !self.redact_frames(direction, at, bytes) {
            self.run(at, bytes, Run::of(direction, count, events::Part::Whole, None));
        }
    }

    /// A whole frame to the job that is Hansard's own. It is recorded whatever the session's level leaves out.
    pub(crate) fn own(&mut self, at: u64, bytes: &[u8]) {
        let run = Run::of(Direction::Backend, 1, events::Part::Whole, None);
        self.run(at, bytes, Run { origin: events::Origin::Hansard, ..run });
    }

    /// Part of a frame that is too long to be recorded whole.
    pub(crate) fn part(&mut self, direction: Direction, at: u64, bytes: &[u8], tag: u8, part: Part) {
        self.redact_part(direction, at, bytes, tag, part);
    }

    /// A packet without a tag: what opens a connection.
    pub(crate) fn untagged(&mut self, direction: Direction, at: u64, bytes: &[u8]) {
        self.run(at, bytes, Run::of(direction, 1, events::Part::Whole, Some(0)));
    }

    /// A frame whose bytes are not recorded.
    pub(crate) fn withheld(&mut self, direction: Direction, at: u64, tag: u8, what: &str) {
        let run = Run::of(direction, 1, events::Part::Whole, Some(tag));
        self.run(at, &[], Run { withheld: what, ..run });
    }

    /// Anything but frames.
    pub(crate) fn event(&mut self, at: u64, kind: event::Kind) {
        self.open();
        let event = Event { at, event_no: self.next_event, kind: Some(kind) };
        self.next_event += 1;
        encode_event(&mut self.block, &event);
    }

    /// Appends what is pending; `None` when nothing is. On an error all of it stays pending.
    #[inline]
    pub(crate) fn append(&mut self) -> Result<Option<Position>, Error> {
        if self.block.is_empty() {
            return Ok(None);
        }
        let begin = self.seal();
        let position = self.worker.journal.append(&self.block[begin..])?;
        self.worker.pool.return_block(std::mem::take(&mut self.block));
        self.first_seq = self.next_seq;
        self.first_event = self.next_event;
        Ok(Some(position))
    }

    /// Hands the pending block to the journal, which appends it once the log takes something; false, and nothing
    /// done, where there is no room for that.
    pub(crate) fn keep_pending(&mut self) -> bool {
        if self.block.is_empty() {
            return true;
        }
        let begin = self.seal();
        if !self.worker.journal.keep(self.block[begin..].to_vec()) {
            return false;
        }
        self.worker.pool.return_block(std::mem::take(&mut self.block));
        self.first_seq = self.next_seq;
        self.first_event = self.next_event;
        true
    }

    /// Ends the record although the log takes nothing: the pending block is kept in memory until it does; where
    /// there is no room for that, a gap in its place says what is missing.
    pub(crate) fn keep(mut self, at: u64, reason: &str, closed: event::Kind) {
        let (waiting, next_event) = (self.pending(), self.next_event);
        self.event(at, closed.clone());
        if self.keep_pending() {
            return;
        }
        let missing = self.next_seq - self.first_seq;
        self.block.clear();
        self.next_event = next_event;
        self.first_event = next_event;
        self.first_seq = self.next_seq;
        if waiting > 0 {
            self.event(at, event::Kind::Gap(events::Gap { reason: reason.to_owned(), frames: missing }));
        }
        self.event(at, closed);
        if !self.keep_pending() {
            tracing::error!(session = %self.session, frames = missing, "the end of a session could not be recorded");
        }
    }

    fn open(&mut self) {
        if self.block.is_empty() {
            self.block = self.worker.pool.block();
            self.block.resize(self.room, 0);
        }
    }

    /// Whether all that the job asked for is answered by the frames that are recorded next.
    #[inline]
    pub(crate) fn settles(&mut self, settled: bool) {
        self.settled = settled;
    }

    #[inline]
    fn run(&mut self, at: u64, bytes: &[u8], run: Run<'_>) {
        let run = Run { settled: std::mem::take(&mut self.settled), ..run };
        self.bytes[usize::from(run.direction == Direction::Backend)] += bytes.len() as u64;
        self.worker.traffic.add(run.direction, u64::from(run.count), bytes.len() as u64);
        if !self.frames {
            return;
        }
        self.open();
        encode_run(&mut self.block, at, self.next_seq, bytes, run);
        self.next_seq += u64::from(run.count);
    }

    /// Writes the header right before the payload; the block begins at the place returned.
    fn seal(&mut self) -> usize {
        let payload = self.block.len() - self.room;
        let mut fields = Fields::<FIELDS>::new();
        fields.number(3, self.first_seq);
        fields.number(4, self.next_seq - 1);
        fields.number(5, self.first_event);
        fields.number(6, self.next_event - 1);
        fields.number(9, payload as u64);
        fields.length(10, payload);
        let middle = self.room - fields.as_slice().len();
        self.block[middle..self.room].copy_from_slice(fields.as_slice());
        let begin = middle - self.constant.len();
        self.block[begin..middle].copy_from_slice(&self.constant);
        begin
    }
}

fn encode_run(block: &mut Vec<u8>, at: u64, first_seq: u64, bytes: &[u8], run: Run<'_>) {
    let direction = events::Direction::from(run.direction);
    let mut begin = Fields::<RUN>::new();
    begin.number(1, direction as u64);
    begin.number(2, first_seq);
    begin.number(3, u64::from(run.count));
    if !bytes.is_empty() {
        begin.length(4, bytes.len());
    }
    let mut end = Fields::<RUN>::new();
    if run.part != events::Part::Whole {
        end.number(5, run.part as u64);
    }
    if let Some(tag) = run.tag {
        end.number(6, u64::from(tag));
    }
    if !run.withheld.is_empty() {
        end.length(7, run.withheld.len());
    }
    let mut marks = Fields::<6>::new();
    if run.masked {
        marks.number(9, 1);
    }
    if run.origin != events::Origin::Peer {
        marks.number(12, run.origin as u64);
    }
    if run.settled {
        marks.number(13, 1);
    }
    let run_len =
        begin.as_slice().len() + bytes.len() + end.as_slice().len() + run.withheld.len() + marks.as_slice().len();
    let mut event = Fields::<RUN>::new();
    event.length(1, 9 + 1 + varint_len(run_len as u64) + run_len);
    event.fixed(1, at);
    event.length(3, run_len);
    let withheld = run.withheld.as_bytes();
    for part in [event.as_slice(), begin.as_slice(), bytes, end.as_slice(), withheld, marks.as_slice()] {
        block.extend_from_slice(part);
    }
}

/// Adds an event as prost encodes it.
fn encode_event(block: &mut Vec<u8>, event: &Event) {
    let mut length = Fields::<11>::new();
    length.length(1, event.encoded_len());
    block.extend_from_slice(length.as_slice());
    event.encode(block).expect("a vector grows as needed");
}

#[cfg(test)]
mod tests;
