//! Barriers: the places where the job's messages wait until the database has answered.
//!
//! A COPY that takes data changes what the job's messages mean: Sync and Flush are ignored, and any request is an
//! error. So whatever follows a request that may be one waits until it is known, and again behind the data's end.
//!
//! When the data has failed, the server ignored a Sync that it read before, and answers one that it read after. Where
//! Syncs were passed, a Close of a statement that does not exist marks the place behind which nothing of them is
//! answered any more. Where the server may be skipping, a Sync of Hansard's own goes before it, and the last
//! ReadyForQuery is its answer. Where it made the server stop skipping, what the job sends up to its next Sync is dropped
//! in the server's place. Where a Close of the job's own stands before the marker, there are two Closes in it: what is
//! answered twice in a row is the marker. Where the job has ended its side, nothing of its is left to be told apart, and
//! there is no marker.

use hansard_pg_wire::exchange::Exchange;

use super::FLUSH;

/// A message that was kept, and was the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// With its status.
    Ready(u8),
    CloseComplete,
}

/// What a marker would be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Markers {
    /// The server knows its messages.
    pub(super) known: bool,
    /// The job has ended its side.
    pub(super) job_ended: bool,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barrier {
    None,
    /// Behind a request that may be a COPY.
    Answer,
    /// The server takes data.
    Data {
        extended: bool,
        syncs: u32,
    },
    /// The end of the data was passed, or a request that COPY does not know.
    End {
        extended: bool,
        syncs: u32,
        request: Option<u8>,
    },
    /// Up to the ReadyForQuery of a simple query that has failed.
    Ready,
    /// Up to the answer to the marker. What may be part of it is kept: with a Sync, the last ReadyForQuery; of a double
    /// one, a CloseComplete behind that.
    Marker {
        sync: bool,
        double: bool,
        ready: Option<u8>,
        closed: bool,
    },
    /// The job's messages are dropped up to Sync, which this status answers.
    Skip {
        status: u8,
    },
}

impl Barrier {
    /// The job's messages wait.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        matches!(self, Barrier::Answer | Barrier::End { .. } | Barrier::Ready | Barrier::Marker { .. })
    }

    /// The job's messages are dropped.
    #[inline]
    pub(super) fn drops(&self) -> bool {
        matches!(self, Barrier::Skip { .. })
    }

    /// A message of the job is passed; what is inserted behind it.
    #[inline]
    pub(super) fn request(&mut self, tag: u8, copy: bool) -> Option<&'static [u8]> {
        match *self {
            Barrier::Data { extended, ref mut syncs } => match tag {
                b'd' | b'H' => None,
                b'S' => {
                    *syncs = syncs.saturating_add(1);
                    None
                }
                _ => {
                    let (syncs, request) = (*syncs, (!matches!(tag, b'c' | b'f')).then_some(tag));
                    *self = Barrier::End { extended, syncs, request };
                    extended.then_some(FLUSH)
                }
            },
            Barrier::None if copy => {
                *self = Barrier::Answer;
                (tag == b'E').then_some(FLUSH)
            }
            _ => None,
        }
    }

    /// A message of the database is passed; `extended`: it answers a request that does not end with ReadyForQuery. True
    /// when a marker is to be sent.
    #[inline]
    pub(super) fn answer<R>(&mut self, tag: u8, extended: bool, exchange: &Exchange<R>, markers: Markers) -> bool {
        *self = match *self {
            Barrier::None if tag != b'G' => return false,
            Barrier::Skip { .. } | Barrier::Marker { .. } => return false,
            Barrier::None | Barrier::Answer if tag == b'G' && exchange.takes_copy_data() => {
                Barrier::Data { extended, syncs: 0 }
            }
            Barrier::Answer if exchange.waiting().is_empty() || exchange.copies_both_ways() => Barrier::None,
            Barrier::Ready if tag == b'Z' => Barrier::None,
            Barrier::Data { extended, syncs } if tag == b'E' => {
                return self.failed(extended, syncs, None, markers);
            }
            Barrier::End { extended, syncs, request } if tag == b'E' => {
                return self.failed(extended, syncs, request, markers);
            }
            Barrier::Data { extended, .. } | Barrier::End { extended, .. } if tag == b'C' => {
                if extended {
                    Barrier::None
                } else {
                    Barrier::Answer
                }
            }
            same => same,
        };
        false
    }

    /// The data failed; true when a marker is to be sent.
    fn failed(&mut self, extended: bool, syncs: u32, request: Option<u8>, markers: Markers) -> bool {
        let marks = syncs > 0 && markers.known && !markers.job_ended;
        let (sync, double) = (extended || request.is_some(), request == Some(b'C'));
        *self = match marks {
            true => Barrier::Marker { sync, double, ready: None, closed: false },
            false if extended => Barrier::None,
            false => Barrier::Ready,
        };
        marks
    }

    /// The marker begins with a Sync; and whether it is a double one.
    pub(super) fn marks_with(&self) -> (bool, bool) {
        match *self {
            Barrier::Marker { sync, double, .. } => (sync, double),
            _ => (false, false),
        }
    }

    /// A message of the database with this tag answers a marker, or may do so.
    #[inline]
    pub(super) fn takes(&self, tag: u8) -> bool {
        match self {
            Barrier::Marker { sync, .. } => tag == b'3' || *sync && tag == b'Z',
            _ => false,
        }
    }

    /// Something was kept that was the job's, as a message with this tag behind it shows.
    #[inline]
    pub(super) fn has_kept(&self, tag: u8) -> bool {
        match *self {
            Barrier::Marker { ready, closed, .. } => match tag {
                b'Z' => closed,
                b'3' | b'N' | b'A' | b'S' => false,
                _ => closed || ready.is_some(),
            },
            _ => false,
        }
    }

    /// The first of what was kept is passed.
    pub(super) fn pass_kept(&mut self) -> Option<Kept> {
        let Barrier::Marker { ready, closed, .. } = self else { return None };
        match ready.take() {
            Some(status) => Some(Kept::Ready(status)),
            None => std::mem::take(closed).then_some(Kept::CloseComplete),
        }
    }

    /// It came: the status of the ReadyForQuery that is passed in its place. `skipping`: without it, the server would
    /// still be skipping.
    pub(super) fn marked(&mut self, tag: u8, status: u8, skipping: bool) -> Option<u8> {
        let Barrier::Marker { double, ready, closed, .. } = self else { return None };
        if tag == b'Z' {
            return ready.replace(status);
        }
        if *double && !std::mem::replace(closed, true) {
            return None;
        }
        *self = match *ready {
            Some(status) if skipping => Barrier::Skip { status },
            _ => Barrier::None,
        };
        None
    }

    /// The Sync that ends what is dropped has come: the status that answers it.
    pub(super) fn skipped(&mut self) -> u8 {
        match std::mem::replace(self, Barrier::None) {
            Barrier::Skip { status } => status,
            _ => b'I',
        }
    }
}
