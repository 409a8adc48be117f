//! Frames out of bytes, however they are cut.

use proptest::prelude::*;

use super::startup::{Packet, StartupError, parse};
use super::*;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

/// Splits at every given place.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>),
    Error(FrameError),
    Open(Vec<u8>),
}

fn walked(bytes: &[u8], cuts: &[usize], limit: usize) -> Vec<Seen> {
    let mut walker = Walker::new(limit);
    let mut seen = Vec::new();
    let mut open = Vec::new();
    for chunk in pieces(bytes, cuts) {
        for piece in walker.walk(chunk) {
            match piece {
                Ok(piece) => {
                    assert_eq!(piece.first, open.is_empty());
                    open.extend(&chunk[piece.range.clone()]);
                    assert_eq!(piece.tag, open[0]);
                    if piece.last {
                        assert_eq!(piece.length, Some(open.len()));
                        seen.push(Seen::Frame(std::mem::take(&mut open)));
                    }
                }
                Err(error) => {
                    seen.push(Seen::Error(error));
                    return seen;
                }
            }
        }
        assert_eq!(walker.at_boundary(), open.is_empty());
    }
    if !open.is_empty() {
        seen.push(Seen::Open(open));
    }
    seen
}

/// Runs a cutter the way a relay does, with a buffer of `capacity` bytes that is filled by `cuts`.
fn cut(bytes: &[u8], cuts: &[usize], capacity: usize, direction: Direction) -> Vec<Seen> {
    let mut cutter = Cutter::new(direction, capacity);
    let mut buffer: Vec<u8> = Vec::new();
    let mut seen = Vec::new();
    let mut open = Vec::new();
    let mut fill = |buffer: &mut Vec<u8>, seen: &mut Vec<Seen>| -> bool {
        loop {
            let cut = match cutter.cut(buffer) {
                Ok(cut) => cut,
                Err(error) => {
                    seen.push(Seen::Error(error));
                    return false;
                }
            };
            let len = match cut {
                Cut::Wait => {
                    assert!(buffer.len() < capacity.max(HEADER), "waits although its buffer is full");
                    return true;
                }
                Cut::Frames { len, count, last } => {
                    let whole: Vec<_> = frames(&buffer[..len]).collect();
                    assert_eq!(whole.len(), usize::try_from(count).unwrap());
                    assert_eq!(whole.last().unwrap().bytes, &buffer[last..len]);
                    seen.extend(whole.iter().map(|frame| Seen::Frame(frame.bytes.to_vec())));
                    len
                }
                Cut::Secret { len, tag } => {
                    assert_eq!(tag, buffer[0]);
                    seen.push(Seen::Frame(buffer[..len].to_vec()));
                    len
                }
                Cut::Part { len, tag, part, .. } => {
                    assert_eq!(part == Part::First, open.is_empty());
                    open.extend(&buffer[..len]);
                    assert_eq!(tag, open[0]);
                    if part == Part::Last {
                        assert!(open.len() > capacity);
                        seen.push(Seen::Frame(std::mem::take(&mut open)));
                    }
                    len
                }
            };
            assert!(len > 0);
            buffer.drain(..len);
        }
    };
    for mut chunk in pieces(bytes, cuts) {
        while !chunk.is_empty() {
            let room = capacity.max(HEADER) - buffer.len();
            let (now, later) = chunk.split_at(room.min(chunk.len()));
            buffer.extend(now);
            chunk = later;
            if !fill(&mut buffer, &mut seen) {
                return seen;
            }
        }
    }
    open.extend(&buffer);
    if !open.is_empty() {
        seen.push(Seen::Open(open));
    }
    seen
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let good = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(tag, body)| frame(tag, &body));
    let bad = proptest::collection::vec(any::<u8>(), 0..12);
    (proptest::collection::vec(good, 0..12), bad).prop_map(|(frames, tail)| {
        let mut out = frames.concat();
        out.extend(tail);
        out
    })
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_frames(bytes in stream(), cuts in proptest::collection::vec(any::<usize>(), 0..40)) {
        prop_assert_eq!(walked(&bytes, &cuts, MAX_FRAME), walked(&bytes, &[], MAX_FRAME));
    }

    #[test]
    fn cutter_and_walker_agree(
        bytes in stream(),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
        capacity in 5usize..120,
    ) {
        for direction in [Direction::Frontend, Direction::Backend] {
            prop_assert_eq!(cut(&bytes, &cuts, capacity, direction), walked(&bytes, &[], MAX_FRAME));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(walked(&bytes, &cuts, 64), walked(&bytes, &[], 64));
        let _ = parse(&bytes);
    }

    #[test]
    fn a_startup_packet_reads_the_same_however_much_of_it_has_come(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        code in prop_oneof![Just(196_608u32), Just(80_877_102), Just(80_877_103), Just(80_877_104), any::<u32>()],
    ) {
        let mut packet = u32::try_from(bytes.len() + 8).unwrap().to_be_bytes().to_vec();
        packet.extend(code.to_be_bytes());
        packet.extend(&bytes);
        let whole = parse(&packet);
        for cut in 0..packet.len() {
            prop_assert_eq!(parse(&packet[..cut]), Ok(None));
        }
        let longer = [&packet[..], b"following"].concat();
        prop_assert_eq!(parse(&longer), whole);
    }
}

#[test]
fn lengths_below_four_and_over_the_limit_are_refused() {
    for length in [0u32, 3, u32::MAX, i32::MIN.cast_unsigned(), u32::MAX - 4] {
        let mut bytes = vec![b'Q'];
        bytes.extend(length.to_be_bytes());
        let error = FrameError::TooShort { tag: b'Q', length: length.cast_signed() };
        assert_eq!(walked(&bytes, &[], MAX_FRAME), [Seen::Error(error)]);
        assert_eq!(Cutter::new(Direction::Frontend, 64).cut(&bytes), Err(error));
    }
    let mut bytes = vec![b'd'];
    bytes.extend(u32::try_from(MAX_FRAME).unwrap().to_be_bytes());
    let error = FrameError::TooLong { tag: b'd', length: MAX_FRAME + 1, limit: MAX_FRAME };
    assert_eq!(walked(&bytes, &[], MAX_FRAME), [Seen::Error(error)]);
    let longest = [b'd', 0x40, 0, 0xff, 0xff];
    assert_eq!(walked(&longest, &[], MAX_FRAME), [Seen::Open(longest.to_vec())]);
}

#[test]
fn a_secret_is_never_in_a_run() {
    let bytes = [frame(b'S', b""), frame(b'p', b"hunter2\0"), frame(b'S', b"")].concat();
    let mut cutter = Cutter::new(Direction::Frontend, 64);
    assert_eq!(cutter.cut(&bytes), Ok(Cut::Frames { len: 5, count: 1, last: 0 }));
    assert_eq!(cutter.cut(&bytes[5..]), Ok(Cut::Secret { len: 13, tag: b'p' }));
    assert_eq!(cutter.cut(&bytes[18..]), Ok(Cut::Frames { len: 5, count: 1, last: 0 }));
    let mut cutter = Cutter::new(Direction::Backend, 64);
    assert!(matches!(cutter.cut(&bytes), Ok(Cut::Frames { count: 3, .. })));
}

#[test]
fn what_is_not_postgresql_is_told_at_once() {
    assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(StartupError::Http));
    assert_eq!(parse(b"GE"), Ok(None));
    assert_eq!(parse(&[0x16, 3, 1]), Err(StartupError::DirectTls));
    assert!(matches!(parse(b"SSH-2.0-OpenSSH"), Err(StartupError::Length(_))));
    assert_eq!(parse(&[0, 0, 0, 7, 0, 0, 0, 0]), Err(StartupError::Length(7)));
    assert_eq!(parse(&10_001u32.to_be_bytes()), Err(StartupError::Length(10_001)));
    assert_eq!(parse(&[0, 0, 0, 8, 0, 2, 0, 0]), Err(StartupError::Protocol { major: 2, minor: 0 }));
    assert_eq!(parse(b"\0\0\0\x0d\0\x03\0\0user\0"), Err(StartupError::Layout));
}

#[test]
fn startup_packets_are_read() {
    let packet = b"\0\0\0\x1b\0\x03\0\x02user\0job\0user\0two\0\0";
    let Ok(Some((Packet::Startup(startup), 27))) = parse(packet) else { panic!("{:?}", parse(packet)) };
    assert_eq!((startup.minor, startup.parameter("user"), startup.parameter("database")), (2, Some(&b"two"[..]), None));
    assert_eq!(parse(b"\0\0\0\x08\x04\xd2\x16\x2f"), Ok(Some((Packet::SslRequest, 8))));
    assert_eq!(parse(b"\0\0\0\x08\x04\xd2\x16\x30"), Ok(Some((Packet::GssEncRequest, 8))));
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x09abcd";
    assert_eq!(parse(cancel), Ok(Some((Packet::CancelRequest { process_id: 9, secret_key: b"abcd" }, 16))));
    assert_eq!(parse(b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x09"), Err(StartupError::Length(12)));
}

#[test]
fn a_stream_that_ends_within_a_frame_is_not_at_a_boundary() {
    let mut cutter = Cutter::new(Direction::Backend, 64);
    assert_eq!(cutter.cut(b"T\0\0"), Ok(Cut::Wait));
    assert!(cutter.at_boundary());
    assert_eq!(cutter.cut_off(b"T\0\0"), Cut::Part { len: 3, tag: b'T', part: Part::First, secret: false });
    assert!(!cutter.at_boundary());
    assert_eq!(cutter.cut_off(b""), Cut::Wait);
}
