//! What is recorded of somebody who has not shown who it is: how much it sent, and a digest. The words are its own, and
//! nobody vouches for them.

use hansard_schemas::events::{self, Event, FrameRun, Omitted, event};

use super::{Capture, encode_event};
use crate::direction::Direction;

const NOT_IDENTIFIED: &str = "not identified";

impl Capture {
    /// A frame, or a packet (tag 0), of which size and SHA-256 are recorded.
    pub(crate) fn digest(&mut self, direction: Direction, at: u64, tag: u8, bytes: &[u8]) {
        self.bytes[usize::from(direction == Direction::Backend)] += bytes.len() as u64;
        self.worker.traffic.add(direction, 1, bytes.len() as u64);
        if !self.frames {
            return;
        }
        self.open();
        let run = FrameRun {
            direction: events::Direction::from(direction) as i32,
            first_seq: self.next_seq,
            count: 1,
            tag: Some(u32::from(tag)),
            withheld: NOT_IDENTIFIED.to_owned(),
            omitted: Some(Omitted { frames: 1, bytes: bytes.len() as u64 }),
            sha256: ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec(),
            ..FrameRun::default()
        };
        self.next_seq += 1;
        encode_event(&mut self.block, &Event { at, event_no: 0, kind: Some(event::Kind::Frames(run)) });
    }
}
