//! Frames of a byte stream that comes in pieces of any size.
//!
//! Holds the five bytes of a header that was cut, and how much of the body is still to come; never a body.

use std::ops::Range;

use super::{FrameError, HEADER, frame_length};

/// Follows the frames of one direction.
#[derive(Debug, Clone)]
pub struct Walker {
    limit: usize,
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of the frame that have not been seen, once its header is complete.
    remaining: usize,
}

/// A frame, or as much of it as one piece of the stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Of the frame.
    pub tag: u8,
    /// Whole frame in bytes, tag included; `None` while the header is not complete.
    pub length: Option<usize>,
    /// Where in the chunk.
    pub range: Range<usize>,
    /// The frame begins here.
    pub first: bool,
    /// The frame ends here.
    pub last: bool,
}

impl Walker {
    /// For frames of at most `limit` bytes, tag included.
    pub fn new(limit: usize) -> Walker {
        Walker { limit, header: [0; HEADER], header_len: 0, remaining: 0 }
    }

    /// True where one frame has ended and the next has not begun.
    pub fn at_boundary(&self) -> bool {
        self.header_len == 0
    }

    /// The frames and parts of frames in the next bytes of the stream. All of them must be taken; after an error
    /// the stream has no frames any more.
    pub fn walk<'a>(&'a mut self, chunk: &'a [u8]) -> Pieces<'a> {
        Pieces { walker: self, chunk, at: 0, failed: false }
    }

    fn step(&mut self, chunk: &[u8], at: usize) -> Result<Piece, FrameError> {
        let first = self.header_len == 0;
        let mut end = at;
        if self.header_len < HEADER {
            let take = (HEADER - self.header_len).min(chunk.len() - at);
            self.header[self.header_len..self.header_len + take].copy_from_slice(&chunk[at..at + take]);
            self.header_len += take;
            end += take;
            if self.header_len < HEADER {
                return Ok(Piece { tag: self.header[0], length: None, range: at..end, first, last: false });
            }
            self.remaining = frame_length(&self.header, self.limit)? - HEADER;
        }
        let take = self.remaining.min(chunk.len() - end);
        self.remaining -= take;
        end += take;
        let last = self.remaining == 0;
        if last {
            self.header_len = 0;
        }
        let length = frame_length(&self.header, self.limit)?;
        Ok(Piece { tag: self.header[0], length: Some(length), range: at..end, first, last })
    }
}

/// See [`Walker::walk`].
#[derive(Debug)]
pub struct Pieces<'a> {
    walker: &'a mut Walker,
    chunk: &'a [u8],
    at: usize,
    failed: bool,
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.chunk.len() {
            return None;
        }
        let piece = self.walker.step(self.chunk, self.at);
        match &piece {
            Ok(piece) => self.at = piece.range.end,
            Err(_) => self.failed = true,
        }
        Some(piece)
    }
}
