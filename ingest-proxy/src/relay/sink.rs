//! Where one direction's bytes go: a queue of spans, each with what it waits for.
//!
//! A span is a range of the direction's read buffer, or bytes of its own. Ranges that follow each other are one span, so
//! plain traffic is one span and one write for each read.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::source::Source;
use super::stream::Stream;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sink {
    spans: VecDeque<Span>,
}

#[derive(Debug)]
struct Span {
    bytes: Bytes,
    /// Not before the log has acknowledged what was recorded of it.
    waits: bool,
}

#[derive(Debug)]
enum Bytes {
    Borrowed(Range<usize>),
    /// From that place on.
    Owned(Cow<'static, [u8]>, usize),
}

/// What [`Sink::poll_write`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Some,
    /// Nothing can be written now.
    Wait,
    Failed,
}

impl Sink {
    /// Adds a range of the source's buffer.
    #[inline]
    pub(super) fn borrow(&mut self, range: Range<usize>, waits: bool) {
        if let Some(Span { bytes: Bytes::Borrowed(last), waits: like }) = self.spans.back_mut()
            && last.end == range.start
            && *like == waits
        {
            last.end = range.end;
        } else {
            self.spans.push_back(Span { bytes: Bytes::Borrowed(range), waits });
        }
    }

    /// Adds bytes that are in no buffer.
    pub(super) fn own(&mut self, bytes: Cow<'static, [u8]>, waits: bool) {
        self.spans.push_back(Span { bytes: Bytes::Owned(bytes, 0), waits });
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Some of it waits for the log.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.spans.iter().any(|span| span.waits)
    }

    /// The log has acknowledged everything that was recorded.
    pub(super) fn release(&mut self) {
        for span in &mut self.spans {
            span.waits = false;
        }
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
    }

    /// Writes of the first span, if it waits for nothing.
    #[inline]
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, source: &Source, stream: &mut Stream) -> Write {
        let Some(span) = self.spans.front_mut().filter(|span| !span.waits) else { return Write::Wait };
        match Pin::new(stream).poll_write(cx, span.bytes.rest(source)) {
            Poll::Pending => Write::Wait,
            Poll::Ready(Ok(0) | Err(_)) => Write::Failed,
            Poll::Ready(Ok(written)) => {
                if span.bytes.advance(written) {
                    self.spans.pop_front();
                }
                Write::Some
            }
        }
    }

    /// What may be written and has not been.
    pub(super) fn unwritten(&self, source: &Source) -> Vec<u8> {
        let free = self.spans.iter().take_while(|span| !span.waits);
        free.flat_map(|span| span.bytes.rest(source).iter().copied()).collect()
    }
}

impl Bytes {
    fn rest<'a>(&'a self, source: &'a Source) -> &'a [u8] {
        match self {
            Bytes::Borrowed(range) => source.bytes(range.clone()),
            Bytes::Owned(bytes, from) => &bytes[*from..],
        }
    }

    /// True when nothing is left.
    fn advance(&mut self, written: usize) -> bool {
        match self {
            Bytes::Borrowed(range) => {
                range.start += written;
                range.start >= range.end
            }
            Bytes::Owned(bytes, from) => {
                *from += written;
                *from >= bytes.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::relay::pool::Pool;

    /// A stream, and what comes out of it.
    async fn stream() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (written, read) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (Stream::Plain(written.unwrap()), read.unwrap().0)
    }

    async fn write(sink: &mut Sink, source: &Source, stream: &mut Stream) -> Write {
        std::future::poll_fn(|cx| Poll::Ready(sink.poll_write(cx, source, stream))).await
    }

    #[tokio::test]
    async fn ranges_that_follow_each_other_are_one_write() {
        let source = Source::new(&Pool::default(), b"0123456789");
        let (mut stream, mut out) = stream().await;
        let mut sink = Sink::default();
        sink.borrow(0..3, false);
        sink.borrow(3..6, false);
        assert_eq!(write(&mut sink, &source, &mut stream).await, Write::Some);
        assert!(sink.is_empty(), "one write took both");
        let mut bytes = [0; 6];
        out.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"012345");
    }

    #[tokio::test]
    async fn spans_go_in_order_and_wait_for_what_waits() {
        let source = Source::new(&Pool::default(), b"0123456789");
        let (mut stream, mut out) = stream().await;
        let mut sink = Sink::default();
        sink.borrow(0..2, false);
        sink.borrow(2..4, true);
        sink.own(Cow::Borrowed(b"own"), false);
        sink.borrow(4..6, false);
        assert_eq!(sink.unwritten(&source), b"01");
        assert_eq!(write(&mut sink, &source, &mut stream).await, Write::Some);
        assert_eq!(write(&mut sink, &source, &mut stream).await, Write::Wait);
        assert!(sink.waits());
        sink.release();
        assert_eq!(sink.unwritten(&source), b"23own45");
        for _ in 0..3 {
            assert_eq!(write(&mut sink, &source, &mut stream).await, Write::Some);
        }
        assert!(sink.is_empty());
        let mut bytes = [0; 9];
        out.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"0123own45");
    }
}
