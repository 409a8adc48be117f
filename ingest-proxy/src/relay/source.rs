//! Where one direction's bytes come from: a connection and a buffer.
//!
//! `taken <= filled`: bytes before `taken` have been given to the conversation, bytes before `filled` have been read.
//! While nothing may be taken, reading goes on until the buffer is full, so that the connection's end is noticed.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::pool::Pool;
use super::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    buffer: Option<Box<[u8]>>,
    taken: usize,
    filled: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// At its end; what was read of it goes on.
    Ended,
    /// At its end, and the other side knows.
    Closed,
    /// Not read any more, for nobody takes it.
    Stopped,
}

/// What [`Source::poll_read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes, or the end.
    Some,
    /// Nothing can be read now.
    Wait,
    Failed,
}

impl Source {
    pub(super) fn new(pool: &Pool, already: &[u8]) -> Source {
        let buffer = (!already.is_empty()).then(|| {
            let mut buffer = pool.buffer();
            buffer[..already.len()].copy_from_slice(already);
            buffer
        });
        Source { buffer, taken: 0, filled: already.len(), state: State::Open }
    }

    /// Reads what there is room for. `unused`: no bytes that were taken are needed any more.
    #[inline]
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, pool: &Pool, stream: &mut Stream, unused: bool) -> Read {
        if self.state != State::Open {
            return Read::Wait;
        }
        if unused {
            self.compact();
        }
        let buffer = self.buffer.get_or_insert_with(|| pool.buffer());
        if self.filled == buffer.len() {
            return Read::Wait;
        }
        let mut room = ReadBuf::new(&mut buffer[self.filled..]);
        let result = Pin::new(stream).poll_read(cx, &mut room);
        let read = room.filled().len();
        match result {
            Poll::Pending => {
                if self.filled == 0 {
                    self.release(pool);
                }
                Read::Wait
            }
            Poll::Ready(Err(_)) => Read::Failed,
            Poll::Ready(Ok(())) => {
                self.filled += read;
                if read == 0 {
                    self.state = State::Ended;
                }
                Read::Some
            }
        }
    }

    /// What has been read and not taken.
    #[inline]
    pub(super) fn waiting(&self) -> &[u8] {
        self.buffer.as_deref().map(|buffer| &buffer[self.taken..self.filled]).unwrap_or_default()
    }

    /// Takes so many bytes; where they are in the buffer.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Range<usize> {
        let begin = self.taken;
        self.taken += len;
        begin..self.taken
    }

    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.as_deref().map(|buffer| &buffer[range]).unwrap_or_default()
    }

    /// No more will be read.
    pub(super) fn has_ended(&self) -> bool {
        self.state != State::Open
    }

    /// At its end, and the other side does not know.
    pub(super) fn has_end_to_tell(&self) -> bool {
        self.state == State::Ended
    }

    /// The other side knows of the end.
    pub(super) fn close(&mut self, pool: &Pool) {
        self.state = State::Closed;
        self.clear(pool);
    }

    /// The connection is gone.
    pub(super) fn end(&mut self) {
        self.state = State::Ended;
    }

    /// Gives up on what has been read and on reading more.
    pub(super) fn stop(&mut self, pool: &Pool) {
        self.state = State::Stopped;
        self.clear(pool);
    }

    fn clear(&mut self, pool: &Pool) {
        (self.taken, self.filled) = (0, 0);
        self.release(pool);
    }

    /// Moves what has not been taken to the front.
    fn compact(&mut self) {
        if self.taken > 0
            && let Some(buffer) = &mut self.buffer
        {
            buffer.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
        }
    }

    fn release(&mut self, pool: &Pool) {
        if let Some(buffer) = self.buffer.take() {
            pool.return_buffer(buffer);
        }
    }
}
