//! Frames whose content is not in the record: their tags tell what a session did, but not to what.
//!
//! Names are not known either: a Bind makes the one portal, an Execute runs it, and runs on with it while it is
//! suspended. So a portal that is fetched from in portions, with others between them, counts as several statements.
//!
//! Invariant: content that is missing is never taken for empty: such a statement is [`Request::Omitted`], and an outcome
//! that only its text could tell is unknown.

use super::{Analyser, Body, Conversation, Current, Ending, Event, Frame, Partial, Request, Text};
use crate::frame::{Direction, HEADER, Part};

impl<T: Text> Conversation<T> {
    /// Takes a mark that stands for `frames` frames of one tag, in the place of [`Conversation::feed`]. Its bytes are
    /// empty, or what the record holds of a frame's content, as a frame.
    pub fn feed_omitted(
        &mut self,
        frame: &Frame<'_>,
        frames: u64,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        (self.at, self.seq) = (frame.at, frame.seq);
        if frame.tag == 0 {
            return;
        }
        let side = usize::from(frame.direction == Direction::Backend);
        let mut first = (frame.seq, frame.at);
        match frame.part {
            None => {}
            Some(Part::First) => {
                self.partial[side] = Some(Partial::new(frame.direction, frame.tag, first));
                return;
            }
            Some(Part::Middle) => return,
            Some(Part::Last) => {
                first = self.partial[side].take().map_or(first, |partial| (partial.seq, partial.at));
            }
        }
        match (frame.direction, frame.tag) {
            (Direction::Frontend, _) if !self.ready => {}
            (Direction::Frontend, tag) => {
                self.omitting = true;
                self.asked(
                    tag,
                    None,
                    first,
                    || if tag == b'S' { Body::Sync } else { Body::Omitted { rows: 0 } },
                    analyser,
                    out,
                );
            }
            // A setting without its name: it may be any.
            (Direction::Backend, b'S') => self.settings.forget(),
            (Direction::Backend, tag) => {
                self.answer(tag, frame.bytes.get(HEADER..).unwrap_or_default(), frames, analyser, out);
            }
        }
        self.begin(analyser, out);
    }

    /// A statement that is known by its answers only.
    pub(super) fn begin_omitted(&mut self, out: &mut Vec<Event<T>>) {
        if let Some((statement, _)) = self.omitted_portal
            && self.exchange.front().is_some_and(|front| front.kind == crate::exchange::Kind::Execute)
        {
            let ending = Ending::Unknown;
            self.current = Some(Current { statement, does: None, portal: None, columns: Vec::new(), ending });
            return;
        }
        // The first one begins with its request, further ones of the same query with their answers.
        let started = self.start(Request::Omitted);
        self.tell(started, None, None, out);
    }
}
