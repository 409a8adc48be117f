//! Frames whose content is not in the record: their tags tell what a session did, but not to what.
//!
//! Names are not known either: a Bind makes the one portal, an Execute runs it, and runs on with it while it is
//! suspended. So a portal that is fetched from in portions, with others between them, counts as several statements.
//!
//! Invariant: content that is missing is never taken for empty: such a statement is [`super::Request::Omitted`], and
//! an outcome that only its text could tell is unknown.

use std::sync::Arc;

use super::{Analyser, Event, Frame, Outline, Partial, Tracker, Waiting};
use crate::frame::{Direction, HEADER, Part};

/// There is no text to be understood.
struct Nothing;

impl Analyser for Nothing {
    fn outline(&mut self, _text: &Arc<str>) -> Option<Outline> {
        None
    }
}

impl Tracker {
    /// Takes a mark that stands for `frames` frames of one tag, in the place of [`Tracker::feed`]. Its bytes are
    /// empty, or what the record holds of a frame's content, as a frame.
    pub fn feed_omitted(&mut self, frame: &Frame<'_>, frames: u64, out: &mut Vec<Event>) {
        (self.at, self.seq) = (frame.at, frame.seq);
        if frame.tag == 0 {
            return;
        }
        let side = usize::from(frame.direction == Direction::Backend);
        let first_seq = match frame.part {
            None => frame.seq,
            Some(Part::First) => {
                self.partial[side] = Some(Partial { tag: frame.tag, seq: frame.seq, kept: Vec::new(), cut: true });
                return;
            }
            Some(Part::Middle) => return,
            Some(Part::Last) => self.partial[side].take().map_or(frame.seq, |partial| partial.seq),
        };
        match (frame.direction, frame.tag) {
            (Direction::Frontend, _) if !self.ready => {}
            // What the job copies in is no request.
            (Direction::Frontend, b'd') => {}
            (Direction::Frontend, tag) => {
                self.omitting = true;
                self.request(tag, first_seq, &[], true, &mut Nothing, out);
            }
            // A setting without its name.
            (Direction::Backend, b'S') => {}
            (Direction::Backend, tag) => {
                self.answer(tag, frame.bytes.get(HEADER..).unwrap_or_default(), frames, out);
            }
        }
    }

    /// The statement that the server answers now.
    pub fn answering(&self) -> Option<u64> {
        match self.queue.front()? {
            Waiting::Query(query) if query.done < query.count => Some(query.first + query.done),
            Waiting::Execute { statement, .. } | Waiting::Function { statement, .. } => Some(*statement),
            _ => None,
        }
    }

    /// An answer comes to a simple Query whose statements were all answered: its text held one more.
    pub(super) fn begin_omitted(&mut self, out: &mut Vec<Event>) {
        let (true, Some(Waiting::Query(query))) = (self.omitting, self.queue.front()) else { return };
        if query.done < query.count {
            return;
        }
        let started = self.start(self.seq);
        if let Some(Waiting::Query(query)) = self.queue.front_mut() {
            (query.first, query.count, query.done) = (started.statement, 1, 0);
        }
        out.push(Event::Started(started));
    }
}

#[cfg(test)]
mod tests;
