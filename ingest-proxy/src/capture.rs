//! What a session has seen, as the block that is appended next.
//!
//! Frames are encoded straight into the block's bytes: protobuf by hand for [`FrameRun`], because this runs once or
//! twice for each request and a message tree would copy them once more; everything else goes through prost. A test
//! holds both against each other.
//!
//! Invariants: `seq` and `event_no` are dense and in the order of the calls; a block that the log refused stays
//! pending as it is, and more may be added to it; a secret's bytes are never taken.

use std::sync::Arc;

use hansard_event_log::{Error, Position};
use hansard_pg_wire::frame::{Direction, Part};
use hansard_schemas::events::{self, Event, Message, event};
use uuid::Uuid;

use crate::journal::Journal;
use crate::worker::Worker;

mod level;

use level::Filter;

/// The varint fields of a block between its target and its payload's bytes, at their longest.
const FIELDS: usize = 6 * 11;

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
    /// Where not everything is recorded.
    filter: Option<Box<Filter>>,
}

/// A run of frames or a part of one, beside its bytes.
#[derive(Clone, Copy)]
struct Run<'a> {
    direction: Direction,
    count: u32,
    part: events::Part,
    tag: Option<u8>,
    withheld: &'a str,
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
        let frames = worker.house.options.durability != crate::Durability::Off;
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
            filter: None,
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
        if let Some(filter) = self.filter.take() {
            return self.filter_frames(filter, direction, at, bytes);
        }
        self.run(at, bytes, Run { direction, count, part: events::Part::Whole, tag: None, withheld: "" });
    }

    /// Part of a frame that is too long to be recorded whole.
    pub(crate) fn part(&mut self, direction: Direction, at: u64, bytes: &[u8], tag: u8, part: Part) {
        if self.filter_part(direction, at, bytes, tag, part) {
            return;
        }
        let part = match part {
            Part::First => events::Part::First,
            Part::Middle => events::Part::Middle,
            Part::Last => events::Part::Last,
        };
        self.run(at, bytes, Run { direction, count: 1, part, tag: Some(tag), withheld: "" });
    }

    /// A packet without a tag: what opens a connection.
    pub(crate) fn untagged(&mut self, direction: Direction, at: u64, bytes: &[u8]) {
        self.run(at, bytes, Run { direction, count: 1, part: events::Part::Whole, tag: Some(0), withheld: "" });
    }

    /// A frame whose bytes are not recorded.
    pub(crate) fn withheld(&mut self, direction: Direction, at: u64, tag: u8, what: &str) {
        self.run(at, &[], Run { direction, count: 1, part: events::Part::Whole, tag: Some(tag), withheld: what });
    }

    /// Anything but frames.
    pub(crate) fn event(&mut self, at: u64, kind: event::Kind) {
        self.open();
        let event = Event { at, event_no: self.next_event, kind: Some(kind) };
        self.next_event += 1;
        key(&mut self.block, 1, 2);
        varint(&mut self.block, event.encoded_len() as u64);
        event.encode(&mut self.block).expect("a vector grows as needed");
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

    #[inline]
    fn run(&mut self, at: u64, bytes: &[u8], run: Run<'_>) {
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
        let mut fields = [0u8; FIELDS];
        let mut len = 0;
        let payload = (self.block.len() - self.room) as u64;
        for (number, value) in
            [(3, self.first_seq), (4, self.next_seq - 1), (5, self.first_event), (6, self.next_event - 1), (9, payload)]
        {
            fields[len] = number << 3;
            len += 1 + put_varint(&mut fields[len + 1..], value);
        }
        fields[len] = (10 << 3) | 2;
        len += 1 + put_varint(&mut fields[len + 1..], payload);
        let middle = self.room - len;
        self.block[middle..self.room].copy_from_slice(&fields[..len]);
        let begin = middle - self.constant.len();
        self.block[begin..middle].copy_from_slice(&self.constant);
        begin
    }
}

fn encode_run(block: &mut Vec<u8>, at: u64, first_seq: u64, bytes: &[u8], run: Run<'_>) {
    let direction = match run.direction {
        Direction::Frontend => events::Direction::Frontend,
        Direction::Backend => events::Direction::Backend,
    };
    let (direction, part) = (direction as u8, run.part as u8);
    let mut run_len = 2 + 1 + varint_len(first_seq) + 1 + varint_len(u64::from(run.count));
    let bytes_len = bytes.len() as u64;
    if !bytes.is_empty() {
        run_len += 1 + varint_len(bytes_len) + bytes.len();
    }
    if part != 0 {
        run_len += 2;
    }
    if let Some(tag) = run.tag {
        run_len += 1 + varint_len(u64::from(tag));
    }
    if !run.withheld.is_empty() {
        run_len += 1 + varint_len(run.withheld.len() as u64) + run.withheld.len();
    }
    let event_len = 9 + 1 + varint_len(run_len as u64) + run_len;
    block.reserve(11 + event_len);
    key(block, 1, 2);
    varint(block, event_len as u64);
    key(block, 1, 1);
    block.extend_from_slice(&at.to_le_bytes());
    key(block, 3, 2);
    varint(block, run_len as u64);
    block.extend_from_slice(&[1 << 3, direction]);
    key(block, 2, 0);
    varint(block, first_seq);
    key(block, 3, 0);
    varint(block, u64::from(run.count));
    if !bytes.is_empty() {
        key(block, 4, 2);
        varint(block, bytes_len);
        block.extend_from_slice(bytes);
    }
    if part != 0 {
        block.extend_from_slice(&[5 << 3, part]);
    }
    if let Some(tag) = run.tag {
        key(block, 6, 0);
        varint(block, u64::from(tag));
    }
    if !run.withheld.is_empty() {
        key(block, 7, 2);
        varint(block, run.withheld.len() as u64);
        block.extend_from_slice(run.withheld.as_bytes());
    }
}

/// A field's key; numbers up to 15 take one byte.
#[inline]
fn key(out: &mut Vec<u8>, number: u8, wire_type: u8) {
    out.push((number << 3) | wire_type);
}

#[inline]
fn varint(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 10];
    let len = put_varint(&mut buffer, value);
    out.extend_from_slice(&buffer[..len]);
}

/// Needs up to 10 bytes; returns how many it took.
#[inline]
fn put_varint(out: &mut [u8], mut value: u64) -> usize {
    let mut at = 0;
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out[at] = low;
            return at + 1;
        }
        out[at] = low | 0x80;
        at += 1;
    }
}

#[inline]
fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests;
