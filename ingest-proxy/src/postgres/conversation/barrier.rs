//! Barriers: the places where the job's messages wait until the database has answered.
//!
//! A COPY that takes data changes what the job's messages mean: Sync and Flush are ignored, and any request is an
//! error. So whatever follows a request that may be one waits until it is known, and again behind the data's end.
//!
//! When the data has failed, the server ignored a Sync that it read before, and answers one that it read after. Where
//! Syncs were passed, a Close of a statement that does not exist marks the place behind which nothing of them is
//! answered any more. In the extended protocol a Sync of Hansard's own goes before it. Did the server take that one for
//! the first, then it has stopped skipping: what the job sends up to its next Sync is dropped in the server's place.

use hansard_pg_wire::exchange::Exchange;

use super::FLUSH;

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
    /// The end of the data was passed.
    End {
        extended: bool,
        syncs: u32,
    },
    /// Up to the ReadyForQuery of a simple query that has failed.
    Ready,
    /// Up to the answer to the marker; of the extended protocol the last ReadyForQuery, and how many were passed.
    Marker {
        extended: bool,
        ready: Option<u8>,
        passed: u32,
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
                    let syncs = *syncs;
                    *self = Barrier::End { extended, syncs };
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
    pub(super) fn answer<R>(&mut self, tag: u8, extended: bool, exchange: &Exchange<R>, replication: bool) -> bool {
        *self = match *self {
            Barrier::None if tag != b'G' => return false,
            Barrier::Skip { .. } | Barrier::Marker { .. } => return false,
            Barrier::None | Barrier::Answer if tag == b'G' && exchange.takes_copy_data() => {
                Barrier::Data { extended, syncs: 0 }
            }
            Barrier::Answer if exchange.waiting().is_empty() || exchange.copies_both_ways() => Barrier::None,
            Barrier::Ready if tag == b'Z' => Barrier::None,
            Barrier::Data { extended, syncs } | Barrier::End { extended, syncs } if tag == b'E' => {
                if syncs > 0 && !replication {
                    *self = Barrier::Marker { extended, ready: None, passed: 0 };
                    return true;
                }
                if extended { Barrier::None } else { Barrier::Ready }
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

    /// A message of the database with this tag answers a marker, or may do so.
    #[inline]
    pub(super) fn takes(&self, tag: u8) -> bool {
        match self {
            Barrier::Marker { extended, .. } => tag == b'3' || *extended && tag == b'Z',
            _ => false,
        }
    }

    /// It came: the status of the ReadyForQuery that is passed in its place.
    pub(super) fn marked(&mut self, tag: u8, status: u8) -> Option<u8> {
        let Barrier::Marker { extended, ready, passed } = *self else { return None };
        if tag == b'Z' {
            *self = Barrier::Marker { extended, ready: Some(status), passed: passed + u32::from(ready.is_some()) };
            return ready;
        }
        *self = match ready {
            Some(status) if passed == 0 => Barrier::Skip { status },
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
