//! Frames whose content is not in the record: their tags tell what a session did, but not to what.
//!
//! Names are not known either: an Execute runs what was bound last, and runs on with it while it is suspended. Where more
//! than one portal may be there to run on with, as one was bound behind a suspended one, or two in a row, each
//! Execute up to the transaction's end is told as a statement with its rows and a doubt: it may be more of one before.
//!
//! Invariant: content that is missing is never taken for empty: such a statement is [`Request::Omitted`], and an outcome
//! that only its text could tell is unknown.

use serde::{Deserialize, Serialize};

use super::{Analyser, Body, Conversation, Current, Doubt, Ending, Event, Frame, Partial, Request, Text};
use crate::exchange::Kind;
use crate::frame::{Direction, HEADER, Part};

/// What is known of portals without their names, in one transaction.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct OmittedPortals {
    /// The statement that was fetched from in portions, and its rows.
    pub(super) suspended: Option<(u64, u64)>,
    /// Bound since the last Execute.
    bound: u32,
    /// Which one an Execute runs is not known.
    several: bool,
}

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
        let executes = self.exchange.front().is_some_and(|front| front.kind == Kind::Execute);
        if executes {
            self.omitted_portals.several |= self.omitted_portals.bound > 1;
            self.omitted_portals.bound = 0;
            if let Some((statement, _)) = self.omitted_portals.suspended {
                let ending = Ending::Unknown;
                let (began, columns) = (self.at, Vec::new());
                self.current = Some(Current { statement, began, does: None, portal: None, columns, ending });
                return;
            }
        }
        // The first one begins with its request, further ones of the same query with their answers.
        let mut started = self.start(Request::Omitted);
        started.doubt = (executes && self.omitted_portals.several).then_some(Doubt::SeveralPortals);
        self.tell(started, None, None, out);
    }

    /// A portal was bound. One that is suspended may run on behind it, or not.
    pub(super) fn bind_omitted(&mut self, out: &mut Vec<Event<T>>) {
        self.omitted_portals.bound = self.omitted_portals.bound.saturating_add(1);
        if let Some((statement, rows)) = self.omitted_portals.suspended.take() {
            self.omitted_portals.several = true;
            self.finish(statement, Some(rows), None, None, out);
        }
    }

    /// An Execute brought a portion.
    pub(super) fn suspend_omitted(&mut self, rows: u64, out: &mut Vec<Event<T>>) {
        let Some(current) = self.current.take() else { return };
        if self.omitted_portals.several {
            return self.finish(current.statement, Some(rows), None, None, out);
        }
        let before = self.omitted_portals.suspended.map_or(0, |(_, rows)| rows);
        self.omitted_portals.suspended = Some((current.statement, before.saturating_add(rows)));
        self.transaction_of(current.statement, out);
    }

    /// All portals are gone.
    pub(super) fn end_omitted_portals(&mut self, out: &mut Vec<Event<T>>) {
        let OmittedPortals { suspended, .. } = std::mem::take(&mut self.omitted_portals);
        if let Some((statement, rows)) = suspended {
            self.finish(statement, Some(rows), None, None, out);
        }
    }
}
