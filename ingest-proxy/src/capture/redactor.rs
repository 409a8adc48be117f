//! What is recorded of messages, where that is not what came: the protocol decides, capture writes it.

use super::marks::Mark;
use super::{Capture, Run};
use crate::direction::{Direction, Part};
use hansard_schemas::events;

/// Knows one session's messages.
pub(crate) trait Redactor: std::fmt::Debug + Send {
    /// What is recorded of whole messages: adds pieces that add up to `bytes`. False, and nothing added, where all of them
    /// are recorded as they came.
    fn whole(&mut self, direction: Direction, bytes: &[u8], pieces: &mut Vec<Piece>) -> bool;

    /// What is recorded of a part of a message that is too long to be recorded whole.
    fn part(&mut self, direction: Direction, bytes: &[u8], tag: u8, part: Part) -> Recorded;
}

/// Some of what came, and what is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Bytes that came.
    pub(crate) len: usize,
    pub(crate) recorded: Recorded,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// What came: so many messages, or a part of one.
    AsItCame { messages: u32 },
    /// One message or part, in which something is overwritten; and the word for that.
    Masked { bytes: Vec<u8>, withheld: &'static str },
    /// A mark.
    LeftOut(Mark),
}

impl Piece {
    /// Adds a message to what becomes of those before it.
    pub(crate) fn add(pieces: &mut Vec<Piece>, len: usize, recorded: Recorded) {
        let joined = match (pieces.last_mut().map(|last| (&mut last.len, &mut last.recorded)), &recorded) {
            (Some((before, Recorded::AsItCame { messages })), Recorded::AsItCame { messages: more }) => {
                (*before, *messages) = (*before + len, *messages + more);
                true
            }
            (Some((before, Recorded::LeftOut(mark))), Recorded::LeftOut(next)) if mark.joins(next) => {
                *before += len;
                mark.add(next);
                true
            }
            _ => false,
        };
        if !joined {
            pieces.push(Piece { len, recorded });
        }
    }
}

impl Capture {
    /// Records what follows as the protocol says.
    pub(crate) fn redact_by(&mut self, redactor: Box<dyn Redactor>) {
        self.redactor = Some(redactor);
    }

    /// [`Capture::frames`] where not everything is recorded as it came; false, and nothing done, where it is.
    pub(super) fn redact_frames(&mut self, direction: Direction, at: u64, mut bytes: &[u8]) -> bool {
        let Some(redactor) = &mut self.redactor else { return false };
        let mut pieces = std::mem::take(&mut self.pieces);
        let redacted = redactor.whole(direction, bytes, &mut pieces);
        debug_assert!(!redacted || pieces.iter().map(|piece| piece.len).sum::<usize>() == bytes.len());
        let settled = redacted && self.settled;
        for Piece { len, recorded } in pieces.drain(..) {
            let (now, after) = bytes.split_at(len);
            self.settled = settled && after.is_empty();
            self.redacted(direction, at, now, (None, events::Part::Whole), recorded);
            bytes = after;
        }
        self.pieces = pieces;
        // A mark does not say it.
        self.settled &= !redacted;
        redacted
    }

    /// [`Capture::part`] likewise.
    pub(super) fn redact_part(&mut self, direction: Direction, at: u64, bytes: &[u8], tag: u8, part: Part) {
        let recorded = match &mut self.redactor {
            Some(redactor) => redactor.part(direction, bytes, tag, part),
            None => Recorded::AsItCame { messages: 1 },
        };
        self.redacted(direction, at, bytes, (Some(tag), part.into()), recorded);
    }

    fn redacted(
        &mut self,
        direction: Direction,
        at: u64,
        bytes: &[u8],
        (tag, part): (Option<u8>, events::Part),
        recorded: Recorded,
    ) {
        match recorded {
            Recorded::AsItCame { messages } => self.run(at, bytes, Run::of(direction, messages, part, tag)),
            Recorded::Masked { bytes, withheld } => {
                let run = Run::of(direction, 1, part, tag);
                self.run(at, &bytes, Run { withheld, masked: true, ..run });
            }
            Recorded::LeftOut(mark) => self.mark(at, mark),
        }
    }
}
