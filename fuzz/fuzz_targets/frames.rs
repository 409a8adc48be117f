//! Frames: the walker finds the same ones however the bytes are cut, and the cutter agrees with it.
#![no_main]

use hansard_pg_wire::frame::{Cut, Cutter, Direction, FrameError, MAX_FRAME, Part, Walker};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>),
    Error(FrameError),
    Open(Vec<u8>),
}

fn walk(chunks: &[&[u8]]) -> Vec<Seen> {
    let mut walker = Walker::new(MAX_FRAME);
    let (mut seen, mut open) = (Vec::new(), Vec::new());
    for chunk in chunks {
        for piece in walker.walk(chunk) {
            match piece {
                Err(error) => {
                    seen.push(Seen::Error(error));
                    return seen;
                }
                Ok(piece) => {
                    assert_eq!(piece.first, open.is_empty());
                    open.extend(&chunk[piece.range]);
                    if piece.last {
                        seen.push(Seen::Frame(std::mem::take(&mut open)));
                    }
                }
            }
        }
    }
    if !open.is_empty() {
        seen.push(Seen::Open(open));
    }
    seen
}

fn cut(bytes: &[u8], capacity: usize) -> Vec<Seen> {
    let mut cutter = Cutter::new(Direction::Frontend, capacity);
    let (mut seen, mut open, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at((capacity - buffer.len()).min(rest.len()));
        buffer.extend(now);
        rest = later;
        let len = match cutter.cut(&buffer) {
            Err(error) => {
                seen.push(Seen::Error(error));
                return seen;
            }
            Ok(Cut::Wait) if rest.is_empty() => break,
            Ok(Cut::Wait) => {
                assert!(buffer.len() < capacity, "waits although its buffer is full");
                continue;
            }
            Ok(Cut::Frames { len, count, .. }) => {
                let whole: Vec<_> = hansard_pg_wire::frame::frames(&buffer[..len]).collect();
                assert_eq!(whole.len(), count as usize);
                seen.extend(whole.iter().map(|frame| Seen::Frame(frame.bytes.to_vec())));
                len
            }
            Ok(Cut::Secret { len, .. }) => {
                seen.push(Seen::Frame(buffer[..len].to_vec()));
                len
            }
            Ok(Cut::Part { len, part, .. }) => {
                open.extend(&buffer[..len]);
                if part == Part::Last {
                    seen.push(Seen::Frame(std::mem::take(&mut open)));
                }
                len
            }
        };
        assert!(len > 0);
        buffer.drain(..len);
    }
    open.extend(buffer);
    if !open.is_empty() {
        seen.push(Seen::Open(open));
    }
    seen
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (step, capacity, bytes) = input;
    let whole = walk(&[bytes]);
    let chunks: Vec<&[u8]> = bytes.chunks(usize::from(step).max(1)).collect();
    assert_eq!(walk(&chunks), whole);
    assert_eq!(cut(bytes, usize::from(capacity).max(5)), whole);
});
