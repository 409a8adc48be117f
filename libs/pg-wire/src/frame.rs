//! Byte streams to frames: where each begins and ends, and nothing else.
//!
//! [`Walker`] takes the bytes of one direction in any pieces and tells each frame's tag, length and place in the
//! piece. [`Cutter`] looks at a buffer of waiting bytes and tells how much of it can be recorded and passed on
//! now. [`startup`] reads the packets without a tag that open a connection.
//!
//! Invariants: bodies are neither copied nor decoded; however the bytes were cut on the way, the frames found are
//! the same; a stated length is checked before anything is done with it. Source: the PostgreSQL manual, "Message
//! Flow" and "Message Formats".

mod cutter;
pub mod startup;
#[cfg(test)]
mod tests;
mod walker;

pub use cutter::{Cut, Cutter};
pub use walker::{Piece, Pieces, Walker};

/// Tag and length of a frame, in bytes.
pub const HEADER: usize = 5;

/// Longest start-up packet, as in the server (`MAX_STARTUP_PACKET_LENGTH`), its length field included.
pub const MAX_STARTUP: usize = 10_000;

/// Longest frame after authentication, tag included: 1 GiB, the largest value that the server can hold, and 64 KiB
/// for what frames it.
pub const MAX_FRAME: usize = (1 << 30) + 64 * 1024;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the job.
    Frontend,
    /// To the job.
    Backend,
}

/// Part of a frame that is too long to be handled whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// With tag and length.
    First,
    /// Neither.
    Middle,
    /// Up to the frame's end.
    Last,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length counts itself, so it is 4 at least.
    #[error("frame '{}' has the invalid length {length}", tag.escape_ascii())]
    TooShort {
        /// Of the frame.
        tag: u8,
        /// As stated, taken as the signed number that the protocol has there.
        length: i32,
    },
    /// Over the limit of this direction and phase.
    #[error("frame '{}' of {length} bytes is longer than the {limit} allowed", tag.escape_ascii())]
    TooLong {
        /// Of the frame.
        tag: u8,
        /// Whole frame in bytes, tag included.
        length: usize,
        /// In bytes.
        limit: usize,
    },
}

/// One whole frame in a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// First byte.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
    /// All of it, as on the wire.
    pub bytes: &'a [u8],
}

/// The whole frames at the beginning of `bytes`, in order; ends before the first that is cut, too long or invalid.
pub fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<HEADER>()?;
        let length = frame_length(header, MAX_FRAME).ok()?;
        let (frame, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Frame { tag: frame[0], body: &frame[HEADER..], bytes: frame })
    })
}

/// Length of the whole frame in bytes, tag included.
#[inline]
pub(crate) fn frame_length(header: &[u8; HEADER], limit: usize) -> Result<usize, FrameError> {
    let [tag, length @ ..] = *header;
    let stated = i32::from_be_bytes(length);
    match usize::try_from(stated) {
        Ok(length) if length >= 4 => {
            if length < limit {
                Ok(length + 1)
            } else {
                Err(FrameError::TooLong { tag, length: length.saturating_add(1), limit })
            }
        }
        _ => Err(FrameError::TooShort { tag, length: stated }),
    }
}
