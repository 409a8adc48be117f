//! One direction: a buffer, and how far its bytes have come.
//!
//! `written <= cleared <= captured <= filled`: bytes before `written` have been passed on, before `cleared` may be,
//! before `captured` are recorded or about to be, before `filled` have been read.

use std::pin::Pin;
use std::task::{Context, Poll};

use hansard_pg_wire::frame::{Cut, Cutter, Direction, FrameError, Part};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::capture::Capture;
use crate::relay::pool::{BUFFER, Pool};
use crate::relay::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(super) struct Flow {
    direction: Direction,
    cutter: Cutter,
    buffer: Option<Box<[u8]>>,
    written: usize,
    cleared: usize,
    captured: usize,
    filled: usize,
    /// Bytes came with the start-up that have not been looked at.
    fresh: bool,
    source: Source,
    /// Tag of the last frame captured, where it was whole or its last part.
    last_tag: Option<u8>,
    /// What is cleared ends where a frame ends.
    at_boundary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    /// At its end; what was read of it goes on.
    Ended,
    /// At its end, and the other side knows.
    Closed,
    /// Not read any more, for nobody takes it.
    Stopped,
}

/// What [`Flow::poll`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing can be done now.
    Wait,
    /// Something was written, or the end was told.
    Wrote,
    /// There is something to capture: bytes, or the end.
    Read,
    ReadFailed,
    WriteFailed,
}

impl Flow {
    pub(super) fn new(direction: Direction, pool: &Pool, already: &[u8]) -> Flow {
        let buffer = (!already.is_empty()).then(|| {
            let mut buffer = pool.buffer();
            buffer[..already.len()].copy_from_slice(already);
            buffer
        });
        Flow {
            direction,
            cutter: Cutter::new(direction, BUFFER),
            buffer,
            written: 0,
            cleared: 0,
            captured: 0,
            filled: already.len(),
            fresh: !already.is_empty(),
            source: Source::Open,
            last_tag: None,
            at_boundary: true,
        }
    }

    /// Writes what is cleared; once that is done, reads.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        pool: &Pool,
        source: &mut Stream,
        sink: &mut Stream,
        may_read: bool,
    ) -> Step {
        if self.written < self.cleared {
            let Some(buffer) = &self.buffer else { return Step::Wait };
            return match Pin::new(sink).poll_write(cx, &buffer[self.written..self.cleared]) {
                Poll::Pending => Step::Wait,
                Poll::Ready(Ok(0) | Err(_)) => Step::WriteFailed,
                Poll::Ready(Ok(wrote)) => {
                    self.written += wrote;
                    Step::Wrote
                }
            };
        }
        if self.written < self.captured {
            return Step::Wait;
        }
        match self.source {
            Source::Open if may_read && self.fresh => {
                self.fresh = false;
                Step::Read
            }
            Source::Open if may_read => self.poll_read(cx, pool, source),
            Source::Open | Source::Closed | Source::Stopped => Step::Wait,
            // To the job there may be a last word to say.
            Source::Ended if self.direction == Direction::Backend => Step::Wait,
            Source::Ended => match Pin::new(sink).poll_shutdown(cx) {
                Poll::Pending => Step::Wait,
                // A side that is gone needs no telling.
                Poll::Ready(_) => {
                    self.source = Source::Closed;
                    self.release(pool);
                    Step::Wrote
                }
            },
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, pool: &Pool, source: &mut Stream) -> Step {
        self.compact();
        let buffer = self.buffer.get_or_insert_with(|| pool.buffer());
        let mut room = ReadBuf::new(&mut buffer[self.filled..]);
        let result = Pin::new(source).poll_read(cx, &mut room);
        let read = room.filled().len();
        match result {
            Poll::Pending => {
                if self.filled == 0 {
                    self.release(pool);
                }
                Step::Wait
            }
            Poll::Ready(Err(_)) => Step::ReadFailed,
            Poll::Ready(Ok(())) => {
                self.filled += read;
                if read == 0 {
                    self.source = Source::Ended;
                }
                Step::Read
            }
        }
    }

    /// Cuts and captures what has been read. With `look`, tells whether a statement is among it.
    pub(super) fn capture(&mut self, capture: &mut Capture, now: u64, look: bool) -> Result<bool, FrameError> {
        let mut statement = false;
        let Some(buffer) = &self.buffer else { return Ok(false) };
        loop {
            let bytes = &buffer[self.captured..self.filled];
            let mut cut = self.cutter.cut(bytes)?;
            if cut == Cut::Wait && self.source != Source::Open {
                cut = self.cutter.cut_off(bytes);
            }
            match cut {
                Cut::Wait => return Ok(statement),
                Cut::Frames { len, count, last } => {
                    capture.frames(self.direction, now, &bytes[..len], count);
                    self.last_tag = Some(bytes[last]);
                    statement |=
                        look && hansard_pg_wire::frame::frames(&bytes[..len]).any(|frame| is_statement(frame.tag));
                    self.captured += len;
                }
                Cut::Secret { len, tag } => {
                    capture.withheld(self.direction, now, tag, secret(tag));
                    self.last_tag = Some(tag);
                    self.captured += len;
                }
                Cut::Part { len, tag, part, secret: true } => {
                    if part == Part::First {
                        capture.withheld(self.direction, now, tag, secret(tag));
                    }
                    self.last_tag = None;
                    self.captured += len;
                }
                Cut::Part { len, tag, part, secret: false } => {
                    capture.part(self.direction, now, &bytes[..len], tag, part);
                    self.last_tag = (part == Part::Last).then_some(tag);
                    statement |= look && part == Part::First && is_statement(tag);
                    self.captured += len;
                }
            }
        }
    }

    /// Lets everything captured go on.
    pub(super) fn clear(&mut self) {
        self.cleared = self.captured;
        self.at_boundary = self.cutter.at_boundary();
    }

    pub(super) fn has_uncleared(&self) -> bool {
        self.cleared < self.captured
    }

    /// What may be passed on and has not been.
    pub(super) fn cleared_bytes(&self) -> &[u8] {
        self.buffer.as_deref().map(|buffer| &buffer[self.written..self.cleared]).unwrap_or_default()
    }

    /// True when some bytes have not been passed on.
    pub(super) fn holds_bytes(&self) -> bool {
        self.written < self.filled
    }

    /// True when what is cleared ends where a frame ends.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.at_boundary
    }

    pub(super) fn last_tag(&self) -> Option<u8> {
        self.last_tag
    }

    /// True when the source has ended and everything of it has been passed on.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.source, Source::Ended | Source::Closed) && self.written == self.captured
    }

    /// The source is gone.
    pub(super) fn end(&mut self) {
        self.source = Source::Ended;
    }

    /// Gives up on what has been read and on reading more.
    pub(super) fn stop(&mut self, pool: &Pool) {
        self.source = Source::Stopped;
        (self.written, self.cleared, self.captured, self.filled) = (0, 0, 0, 0);
        self.release(pool);
    }

    /// Moves what has not been captured to the front.
    fn compact(&mut self) {
        if self.captured > 0
            && let Some(buffer) = &mut self.buffer
        {
            buffer.copy_within(self.captured..self.filled, 0);
            self.filled -= self.captured;
            (self.written, self.cleared, self.captured) = (0, 0, 0);
        }
    }

    fn release(&mut self, pool: &Pool) {
        if let Some(buffer) = self.buffer.take() {
            pool.return_buffer(buffer);
        }
    }
}

fn secret(tag: u8) -> &'static str {
    if tag == b'K' { "cancel key" } else { "password" }
}

/// Query, Parse, Bind, Execute and FunctionCall begin something; Sync, CopyData and the like belong to what has begun.
fn is_statement(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'E' | b'F')
}
