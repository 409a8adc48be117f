//! What the job asks: kept as it came, until the server has come to it.

use super::message::{self, NAME_KEPT};
use super::{
    Analyser, Asked, Body, Conversation, Direction, Event, Failure, MAX_PARAMETERS, MAX_TEXT, MAX_WAITING_BYTES,
    Outcome, Partial, Text,
};
use crate::exchange::{MAX_WAITING, Requested};

impl<T: Text> Conversation<T> {
    /// A request that began with the frame `first`, in place and time.
    pub(super) fn request(
        &mut self,
        tag: u8,
        first: (u64, i64),
        body: &[u8],
        cut: bool,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        let room = MAX_WAITING_BYTES.saturating_sub(self.waiting_bytes);
        self.asked(tag, body.first().copied(), first, || message::body(tag, body, cut, room), analyser, out);
    }

    pub(super) fn asked(
        &mut self,
        tag: u8,
        first_byte: Option<u8>,
        (seq, at): (u64, i64),
        body: impl FnOnce() -> Body,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        if self.exchange.waiting().len() >= MAX_WAITING {
            self.lose("more requests wait for their answers than are followed", analyser, out);
        }
        let (last_seq, segment) = (self.seq, self.segment);
        let mut kept = 0;
        let requested = self.exchange.request(tag, first_byte, || {
            let body = body();
            kept = body.bytes();
            Asked { seq, last_seq, at, segment, bytes: kept, body }
        });
        if self.exchange.has_discarded() {
            let failure = Failure {
                sqlstate: "08P01".to_owned(),
                message: "not executed: it came while COPY took data".to_owned(),
                not_run: true,
                ..Failure::default()
            };
            self.tell_discarded(&failure, analyser, out);
            self.failed(false, out);
        }
        match requested {
            Requested::Queued => {
                self.waiting_bytes += kept;
                if matches!(tag, b'Q' | b'S' | b'F') {
                    self.segment = self.seq;
                    if let Some(lost) = &self.lost {
                        self.abandon(Outcome::Unknown(lost.reason.clone()), analyser, out);
                    }
                }
            }
            // The server discards it, ignores it, or ends the session because of it; none waits behind a full queue.
            Requested::Skipped | Requested::Unanswered | Requested::Unknown | Requested::Full => {}
        }
    }
}

impl Partial {
    /// The beginning of a long frame, behind its header.
    pub(super) fn new(direction: Direction, tag: u8, (seq, at): (u64, i64)) -> Partial {
        // Parse and Execute begin with one name, Bind with two, Describe and Close with one behind a letter.
        let (prefix, names) = match (direction, tag) {
            (Direction::Frontend, b'P' | b'E') => (0, 1),
            (Direction::Frontend, b'B') => (0, 2),
            (Direction::Frontend, b'D' | b'C') => (1, 1),
            _ => (0, 0),
        };
        Partial { tag, seq, at, kept: Vec::new(), cut: false, prefix, names, name: 0 }
    }

    /// Keeps what a message of that kind is read for. Names are cut, so that what stands behind them is not lost.
    pub(super) fn add(&mut self, direction: Direction, mut bytes: &[u8]) {
        while self.prefix > 0 || self.names > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            if self.prefix > 0 {
                self.prefix -= 1;
                self.kept.push(byte);
            } else if byte == 0 {
                self.kept.push(0);
                self.names -= 1;
                self.name = 0;
            } else if self.name < NAME_KEPT {
                self.kept.push(byte);
                self.name += 1;
            }
        }
        let limit = match (direction, self.tag) {
            (Direction::Frontend, b'Q' | b'P') => MAX_TEXT + 64 * 1024,
            (Direction::Frontend, b'B' | b'F') => MAX_PARAMETERS + 64 * 1024,
            (_, b'd') | (Direction::Backend, b'D') => 0,
            (Direction::Backend, b'T' | b't') => 256 * 1024,
            _ => 64 * 1024,
        };
        let room = limit.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.cut |= room < bytes.len();
    }
}
