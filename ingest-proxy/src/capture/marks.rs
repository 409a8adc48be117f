//! Marks in the place of messages whose content is not recorded.
//!
//! A mark has the tag of the messages that it stands for, how many they are and how long they were, and a `seq` of its own,
//! so that the record stays dense. Rows that follow each other are one mark, which grows while it waits to be appended: a
//! result of any size costs one mark for each block that is appended meanwhile.

use bytes::Bytes;
use hansard_schemas::events::{self, Event, FrameRun, Omitted, event};

use super::{Capture, encode_event};
use crate::direction::Direction;

/// Messages that are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) direction: Direction,
    pub(crate) tag: u8,
    pub(crate) part: events::Part,
    pub(crate) withheld: &'static str,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// What is recorded of the message's content, as a message.
    pub(crate) kept: Vec<u8>,
    /// Whole messages of this kind are told by how many they are.
    pub(crate) counted: bool,
}

/// A mark in the pending block that may grow.
#[derive(Debug)]
pub(super) struct LastMark {
    begin: usize,
    end: usize,
    seq: u64,
    at: u64,
    mark: Mark,
}

impl Mark {
    /// One mark stands for both.
    pub(super) fn joins(&self, next: &Mark) -> bool {
        let counted = self.counted && self.part == events::Part::Whole;
        (counted || self.part == events::Part::Middle)
            && self.kept.is_empty()
            && (self.direction, self.tag, self.part, self.withheld)
                == (next.direction, next.tag, next.part, next.withheld)
    }

    pub(super) fn add(&mut self, next: &Mark) {
        self.frames += next.frames;
        self.bytes += next.bytes;
    }

    /// As it is recorded.
    fn run(&self, first_seq: u64) -> FrameRun {
        FrameRun {
            direction: events::Direction::from(self.direction) as i32,
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

impl Capture {
    pub(super) fn mark(&mut self, at: u64, mark: Mark) {
        self.bytes[usize::from(mark.direction == Direction::Backend)] += mark.bytes;
        self.worker.traffic.add(mark.direction, mark.frames, mark.bytes);
        if self.frames {
            self.open();
            write(&mut self.block, (self.first_seq, &mut self.next_seq), &mut self.last_mark, at, mark);
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

#[cfg(test)]
mod tests {
    use hansard_schemas::events::Message;

    use super::*;

    #[test]
    fn a_mark_grows_until_something_follows_or_it_is_appended() {
        let mark = |tag, frames| Mark {
            direction: Direction::Backend,
            tag,
            part: events::Part::Whole,
            withheld: "result rows",
            frames,
            bytes: 10 * frames,
            kept: Vec::new(),
            counted: true,
        };
        let (mut block, mut next_seq, mut last) = (Vec::new(), 7, None);
        write(&mut block, (7, &mut next_seq), &mut last, 100, mark(b'D', 3));
        write(&mut block, (7, &mut next_seq), &mut last, 200, mark(b'D', 300));
        write(&mut block, (7, &mut next_seq), &mut last, 300, mark(b'd', 1));
        // A frame follows.
        let frame = Event {
            at: 350,
            event_no: 0,
            kind: Some(event::Kind::Frames(FrameRun { first_seq: 9, ..FrameRun::default() })),
        };
        next_seq += 1;
        encode_event(&mut block, &frame);
        write(&mut block, (7, &mut next_seq), &mut last, 400, mark(b'd', 1));
        let told = |block: &[u8]| -> Vec<(u64, u64, Option<Omitted>)> {
            let events = events::Payload::decode(block).unwrap().events.into_iter();
            let told = events.map(|event| match event.kind {
                Some(event::Kind::Frames(run)) => (event.at, run.first_seq, run.omitted),
                other => panic!("{other:?}"),
            });
            told.collect()
        };
        let omitted = |frames| Some(Omitted { frames, bytes: 10 * frames });
        assert_eq!(told(&block), [(100, 7, omitted(303)), (300, 8, omitted(1)), (350, 9, None), (400, 10, omitted(1))]);
        // Appended: the next block begins, by chance at the very length at which the last one ended.
        let mut next = vec![0; block.len()];
        write(&mut next, (next_seq, &mut next_seq.clone()), &mut last, 500, mark(b'd', 1));
        assert_eq!(told(&next[block.len()..]), [(500, 11, omitted(1))]);
    }
}
