//! What of a buffer can be recorded and passed on now.
//!
//! Invariants: a frame that fits the buffer is never split; one that does not is let through in parts as its bytes
//! come, so that a frame of any length needs one buffer; a frame that may hold a secret is never in a run with
//! others.

use super::{Direction, FrameError, HEADER, MAX_FRAME, Part, frame_length};

/// Cuts the waiting bytes of one direction.
#[derive(Debug, Clone)]
pub struct Cutter {
    /// Longest frame that is held back until it is whole: the size of the buffer.
    capacity: usize,
    /// Frames with this tag come alone.
    secret_tag: u8,
    inside: Option<Inside>,
}

/// A long frame of which the beginning has been let through.
#[derive(Debug, Clone, Copy)]
struct Inside {
    tag: u8,
    remaining: usize,
}

/// What the bytes at the beginning of the buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// `count` whole frames.
    Frames {
        /// Bytes in all.
        len: usize,
        /// At least 1.
        count: u32,
        /// Where the last of them begins.
        last: usize,
    },
    /// One whole frame that may hold a secret: a password from the job, a cancel key to it.
    Secret {
        /// Bytes.
        len: usize,
        /// Its tag.
        tag: u8,
    },
    /// Some of a long frame.
    Part {
        /// Bytes.
        len: usize,
        /// Of the frame.
        tag: u8,
        /// Which part.
        part: Part,
        /// As [`Cut::Secret`].
        secret: bool,
    },
    /// Nothing before more bytes have come.
    Wait,
}

impl Cutter {
    /// `capacity` is what the caller's buffer can hold, [`HEADER`] at least.
    pub fn new(direction: Direction, capacity: usize) -> Cutter {
        let secret_tag = match direction {
            Direction::Frontend => b'p',
            Direction::Backend => b'K',
        };
        Cutter { capacity: capacity.max(HEADER), secret_tag, inside: None }
    }

    /// True when everything that was cut off so far ends where a frame ends.
    pub fn at_boundary(&self) -> bool {
        self.inside.is_none()
    }

    /// Cuts at the beginning of `bytes`. The caller takes the `len` bytes away before it calls again.
    pub fn cut(&mut self, bytes: &[u8]) -> Result<Cut, FrameError> {
        if let Some(Inside { tag, remaining }) = self.inside {
            return Ok(self.go_on(tag, remaining, bytes.len()));
        }
        let (mut len, mut count, mut last) = (0, 0, 0);
        while let Some(header) = bytes.get(len..).and_then(|rest| rest.first_chunk::<HEADER>()) {
            let length = match frame_length(header, MAX_FRAME) {
                Ok(length) => length,
                // What came before it is still good.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            };
            let tag = header[0];
            let whole = bytes.len() - len >= length;
            if tag == self.secret_tag || !whole {
                if count == 0 {
                    return Ok(self.alone(tag, length, bytes.len()));
                }
                break;
            }
            last = len;
            len += length;
            count += 1;
        }
        Ok(if count == 0 { Cut::Wait } else { Cut::Frames { len, count, last } })
    }

    /// All that has come, of a frame that will not be completed: the stream has ended.
    pub fn cut_off(&mut self, bytes: &[u8]) -> Cut {
        let Some(&first) = bytes.first() else { return Cut::Wait };
        let (tag, part) = self.inside.map_or((first, Part::First), |inside| (inside.tag, Part::Middle));
        self.inside = Some(Inside { tag, remaining: usize::MAX });
        Cut::Part { len: bytes.len(), tag, part, secret: tag == self.secret_tag }
    }

    fn alone(&mut self, tag: u8, length: usize, available: usize) -> Cut {
        let secret = tag == self.secret_tag;
        if available >= length {
            Cut::Secret { len: length, tag }
        } else if length > self.capacity {
            self.inside = Some(Inside { tag, remaining: length - available });
            Cut::Part { len: available, tag, part: Part::First, secret }
        } else {
            Cut::Wait
        }
    }

    fn go_on(&mut self, tag: u8, remaining: usize, available: usize) -> Cut {
        if available == 0 {
            return Cut::Wait;
        }
        let len = remaining.min(available);
        let part = if len == remaining { Part::Last } else { Part::Middle };
        self.inside = (len < remaining).then_some(Inside { tag, remaining: remaining - len });
        Cut::Part { len, tag, part, secret: tag == self.secret_tag }
    }
}
