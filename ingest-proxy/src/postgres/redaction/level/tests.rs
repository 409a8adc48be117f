//! What filters make of frames, however these were cut.

use hansard_pg_wire::frame::{Cut, Cutter, frames};
use proptest::prelude::*;

use super::*;
use crate::capture::redactor::{Piece, Recorded};
use crate::postgres::wire;

/// Longer frames come in parts.
const BUFFER: usize = 64;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn filter(level: CaptureLevel, max_result_bytes: Option<u64>) -> Box<Filter> {
    Filter::new(CaptureOptions { level, max_result_bytes }).unwrap()
}

/// What becomes of whole frames.
fn pieces(filter: &mut Filter, direction: Direction, bytes: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for frame in frames(bytes) {
        let mark = filter.frame(direction, &frame);
        let recorded = mark.map_or(Recorded::AsItCame { messages: 1 }, Recorded::LeftOut);
        Piece::add(&mut pieces, frame.bytes.len(), recorded);
    }
    pieces
}

/// What is recorded of a stream that comes in pieces of `step` bytes: bytes, and marks. Says of the bytes where they
/// were, so that they can be compared.
fn recorded(filter: &mut Filter, direction: Direction, stream: &[u8], step: usize) -> (Vec<u8>, Vec<Mark>) {
    let mut cutter = Cutter::new(wire(direction), BUFFER);
    let (mut kept, mut marks) = (Vec::new(), Vec::new());
    let (mut captured, mut filled) = (0, 0);
    while captured < stream.len() {
        filled = (filled + step).min(stream.len()).min(captured + BUFFER);
        loop {
            let bytes = &stream[captured..filled];
            match cutter.cut(bytes).unwrap() {
                Cut::Wait => break,
                Cut::Frames { len, .. } => {
                    for Piece { len, recorded } in pieces(filter, direction, &bytes[..len]) {
                        match recorded {
                            Recorded::LeftOut(mark) => marks.push(mark),
                            _ => kept.extend_from_slice(&stream[captured..captured + len]),
                        }
                        captured += len;
                    }
                }
                Cut::Part { len, tag, part, .. } => {
                    match filter.part(direction, &bytes[..len], tag, part.into()) {
                        Some(mark) => marks.push(mark),
                        None => kept.extend_from_slice(&bytes[..len]),
                    }
                    captured += len;
                }
                Cut::Secret { .. } => unreachable!("there is none in these streams"),
            }
        }
    }
    (kept, marks)
}

/// Marks of one kind, one after the other, as one.
fn joined(marks: &[Mark]) -> Vec<(u8, &'static str, u64, u64)> {
    let mut joined: Vec<(u8, &'static str, u64, u64)> = Vec::new();
    for mark in marks {
        match joined.last_mut() {
            Some(last) if (last.0, last.1) == (mark.tag, mark.withheld) && (is_row(mark.tag) || last.2 == 0) => {
                (last.2, last.3) = (last.2 + mark.frames, last.3 + mark.bytes);
            }
            _ => joined.push((mark.tag, mark.withheld, mark.frames, mark.bytes)),
        }
    }
    joined
}

fn row(size: usize) -> Vec<u8> {
    frame(b'D', &vec![b'v'; size])
}

#[test]
fn everything_without_a_limit_needs_no_filter() {
    assert!(Filter::new(CaptureOptions::default()).is_none());
}

#[test]
fn statements_are_recorded_without_the_rows_of_their_results() {
    let job = [frame(b'Q', b"COPY t FROM STDIN\0"), frame(b'd', b"1\n"), frame(b'c', b"")].concat();
    let mut all = filter(CaptureLevel::Statements, None);
    assert_eq!(recorded(&mut all, Direction::Frontend, &job, 7), (job, Vec::new()));
    let head = frame(b'T', &[0; 20]);
    let tail = [frame(b'C', b"SELECT 3\0"), frame(b'Z', b"I")].concat();
    let stream = [&head[..], &row(3), &row(4), &row(200), &tail].concat();
    for step in [1, 5, 64, 500] {
        let (kept, marks) = recorded(&mut all, Direction::Backend, &stream, step);
        assert_eq!(kept, [&head[..], &tail].concat());
        assert_eq!(joined(&marks), [(b'D', "result rows", 3, 8 + 9 + 205)], "{step}");
        assert!(marks.iter().all(|mark| mark.kept.is_empty()));
    }
    let copied = [frame(b'H', &[0; 3]), frame(b'd', b"1\t2\n"), frame(b'd', b"3\n"), frame(b'c', b"")].concat();
    let (kept, marks) = recorded(&mut all, Direction::Backend, &copied, 500);
    assert_eq!(kept, [frame(b'H', &[0; 3]), frame(b'c', b"")].concat());
    assert_eq!(joined(&marks), [(b'd', "result rows", 2, 16)]);
    let (kept, marks) = recorded(&mut all, Direction::Backend, &frame(b'V', b"\0\0\0\x01x"), 500);
    assert_eq!((kept.len(), joined(&marks)), (0, vec![(b'V', "result rows", 1, 10)]));
}

#[test]
fn a_run_of_rows_is_one_mark() {
    let stream = row(1).repeat(6);
    let pieces = pieces(&mut filter(CaptureLevel::Statements, None), Direction::Backend, &stream);
    let [Piece { len, recorded: Recorded::LeftOut(mark) }] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!((*len, mark.frames, mark.bytes), (36, 6, 36));
}

#[test]
fn metadata_keeps_tags_codes_and_the_state_of_the_transaction() {
    let mut least = filter(CaptureLevel::Metadata, None);
    let sync = frame(b'S', b"");
    let parts = [
        frame(b'Q', b"SELECT 'secret'\0"),
        frame(b'P', b"secret\0\0\0\0"),
        frame(b'B', b"secret"),
        frame(b'E', b"secret\0\0\0\0\0"),
        frame(b'd', b"secret"),
        frame(b'Q', &[b's'; 300]),
        sync.clone(),
    ];
    let (kept, marks) = recorded(&mut least, Direction::Frontend, &parts.concat(), 40);
    assert_eq!(kept, sync);
    let words: Vec<_> = joined(&marks).into_iter().map(|(tag, word, frames, _)| (tag, word, frames)).collect();
    assert_eq!(
        words,
        [
            (b'Q', "statement text", 1),
            (b'P', "statement text", 1),
            (b'B', "parameters", 1),
            (b'E', "content", 1),
            (b'd', "copied data", 1),
            (b'Q', "statement text", 1),
        ]
    );
    let done = [frame(b'C', b"SELECT 1\0"), frame(b'Z', b"T"), frame(b'1', b""), frame(b'R', &[0; 4])].concat();
    let secrets = [
        frame(b'T', b"secret"),
        frame(b'S', b"application_name\0secret\0"),
        frame(b'N', b"Msecret\0\0"),
        frame(b'A', b"\0\0\0\x01news\0secret\0"),
        frame(b'Z', b"secret"),
        frame(b'C', &[b's'; 100]),
        row(6),
    ];
    let (kept, marks) = recorded(&mut least, Direction::Backend, &[done.clone(), secrets.concat()].concat(), 30);
    assert_eq!(kept, done);
    assert_eq!(marks.iter().map(|mark| mark.frames).sum::<u64>(), 7);
    assert!(marks.iter().all(|mark| mark.kept.is_empty()));
}

#[test]
fn of_an_error_the_code_is_kept() {
    let fields = b"SFEHLER\0VERROR\0C23505\0MKey (secret) exists\0Dsecret\0Ftable.c\0\0";
    let long = [&fields[..fields.len() - 1], b"W", &[b's'; 500], b"\0\0"].concat();
    for (body, step) in [(&fields[..], 500), (&long, 64), (&long, 7)] {
        let stream = frame(b'E', body);
        let (kept, marks) = recorded(&mut filter(CaptureLevel::Metadata, None), Direction::Backend, &stream, step);
        assert_eq!(kept, b"");
        assert_eq!(joined(&marks), [(b'E', "error text", 1, stream.len() as u64)]);
        assert_eq!(marks.last().unwrap().kept, frame(b'E', b"VERROR\0C23505\0\0"), "step {step}");
    }
    // What does not look like a code is none.
    assert_eq!(code_of(&frame(b'E', b"VSECRET\0Csecret\0\0")), frame(b'E', b"\0"));
    assert_eq!(code_of(b"E\0"), frame(b'E', b"\0"));
}

#[test]
fn a_result_over_the_limit_keeps_its_first_rows_whole() {
    let done = frame(b'C', b"SELECT\0");
    // Rows of 15 bytes: two fit into 40.
    let long = [row(10).repeat(4), done.clone()].concat();
    let short = [row(10), done.clone()].concat();
    let stream = [&long[..], &short, &row(100), &row(10), &done].concat();
    for step in [1, 13, 64, 500] {
        let mut limited = filter(CaptureLevel::Full, Some(40));
        let (kept, marks) = recorded(&mut limited, Direction::Backend, &stream, step);
        assert_eq!(kept, [&row(10).repeat(2)[..], &done, &short, &done].concat(), "step {step}");
        // The long row is over it, so the one behind it is left out, too.
        let rows: Vec<_> = marks.iter().filter(|mark| mark.frames > 0).map(|mark| mark.withheld).collect();
        assert!(rows.iter().all(|word| *word == "result over limit"));
        assert_eq!(marks.iter().map(|mark| mark.frames).sum::<u64>(), 4);
        assert_eq!(marks.iter().map(|mark| mark.bytes).sum::<u64>(), 30 + 105 + 15);
    }
}

#[test]
fn portions_of_one_result_count_together() {
    let mut limited = filter(CaptureLevel::Full, Some(40));
    let bound = frame(b'2', b"");
    let portion = [row(10), frame(b's', b""), frame(b'Z', b"T")].concat();
    let stream = [&bound[..], &portion.repeat(4), &bound, &portion].concat();
    let (kept, marks) = recorded(&mut limited, Direction::Backend, &stream, 500);
    assert_eq!(kept.iter().filter(|byte| **byte == b'D').count(), 3);
    assert_eq!(joined(&marks), [(b'D', "result over limit", 2, 30)]);
}

proptest! {
    /// Every byte is recorded or stands in a mark, wherever the stream is cut.
    #[test]
    fn what_is_left_out_is_marked(
        sizes in proptest::collection::vec((0usize..6, 0usize..150), 1..20),
        step in 1usize..200,
        which in 0usize..4,
        backend in any::<bool>(),
    ) {
        let direction = if backend { Direction::Backend } else { Direction::Frontend };
        let tags = if backend { b"DdTCEZ" } else { b"QPBEdS" };
        let frames: Vec<Vec<u8>> = sizes.iter().map(|(tag, size)| frame(tags[*tag], &vec![b'x'; *size])).collect();
        let stream = frames.concat();
        let (level, limit) = [
            (CaptureLevel::Full, Some(60)),
            (CaptureLevel::Statements, None),
            (CaptureLevel::Metadata, None),
            (CaptureLevel::Metadata, Some(1)),
        ][which];
        let (kept, marks) = recorded(&mut filter(level, limit), direction, &stream, step);
        let left_out: u64 = marks.iter().map(|mark| mark.bytes).sum();
        prop_assert_eq!(kept.len() as u64 + left_out, stream.len() as u64);
        let whole = hansard_pg_wire::frame::frames(&kept).count() as u64;
        prop_assert_eq!(whole + marks.iter().map(|mark| mark.frames).sum::<u64>(), frames.len() as u64);
        // And it does not matter where.
        let again = recorded(&mut filter(level, limit), direction, &stream, 200);
        prop_assert_eq!(kept, again.0);
        prop_assert_eq!(left_out, again.1.iter().map(|mark| mark.bytes).sum::<u64>());
    }
}
