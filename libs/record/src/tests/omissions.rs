//! Marks in the place of content, and the rows that sessions with a capture level or a limit become.

use hansard_schemas::events::Omitted;

use super::*;

/// A mark in the place of frames that end there, or of a part of one.
fn mark(direction: Direction, tag: u8, withheld: &str, (frames, bytes): (u64, u64)) -> FrameRun {
    FrameRun {
        direction: direction as i32,
        count: 1,
        tag: Some(u32::from(tag)),
        withheld: withheld.to_owned(),
        omitted: Some(Omitted { frames, bytes }),
        ..FrameRun::default()
    }
}

fn rows_left_out(frames: u64, bytes: u64, withheld: &str) -> FrameRun {
    mark(Direction::Backend, b'D', withheld, (frames, bytes))
}

fn whole((direction, bytes): (Direction, Vec<u8>)) -> FrameRun {
    FrameRun { direction: direction as i32, count: 1, frames: bytes.into(), ..FrameRun::default() }
}

/// A closed session of that capture level, one event a frame.
fn leveled(capture: &str, max_result_bytes: u64, runs: Vec<FrameRun>) -> Vec<Event> {
    let mut events = opening();
    if let Some(Kind::SessionOpened(opened)) = &mut events[0].kind {
        opened.capture = capture.to_owned();
        opened.max_result_bytes = max_result_bytes;
    }
    events.push(run(200, 1, &[ready(b'I')]));
    let frames = runs.len() as u64 + 1;
    for (first_seq, run) in (2..).zip(runs) {
        events.push(event(200 + first_seq * 10, 0, Kind::Frames(FrameRun { first_seq, ..run })));
    }
    events.push(closing(3, frames));
    events
}

#[track_caller]
fn rows_of(events: Vec<Event>) -> Rows {
    let rows = resolved(interrupted(&events));
    let at_once = project(&[block(SESSION, "ranking", events.clone())]);
    assert_eq!(
        (frames_of(&rows, false), &rows.statements, &rows.sessions),
        (frames_of(&at_once, false), &at_once.statements, &at_once.sessions)
    );
    // The marks are in the chain like everything else.
    let chain = events.iter().fold(CHAIN_START, |chain, event| extend_chain(&chain, &event.encode_to_vec()));
    assert_eq!(rows.sessions[0].chain_head, chain);
    assert!(rows.sessions[0].complete);
    assert!((1..).zip(rows.frames.iter()).all(|(seq, row)| row.seq == seq), "gapless by seq");
    rows
}

#[test]
fn rows_that_were_left_out_are_counted_and_the_statement_is_known() {
    let events = leveled(
        "statements",
        0,
        vec![
            whole(query("select * from t; delete from t")),
            rows_left_out(1000, 60_000, "result rows"),
            FrameRun { part: Part::First as i32, ..rows_left_out(0, 65_536, "result rows") },
            FrameRun { part: Part::Last as i32, ..rows_left_out(1, 30, "result rows") },
            whole(done("SELECT 1001")),
            whole(done("DELETE 4")),
            whole(ready(b'I')),
        ],
    );
    let rows = rows_of(events);
    assert_eq!(told(&rows), ["1 select committed, public.t select 1001", "2 delete committed, public.t delete 4"]);
    let omitted = |frames, bytes| Some(Omitted { frames, bytes });
    assert_eq!(rows.statements[0].omitted, omitted(1001, 125_566));
    assert_eq!(rows.statements[1].omitted, None);
    let marks: Vec<_> = rows.frames.iter().filter_map(|row| Some((row.seq, row.part, row.omitted?))).collect();
    assert_eq!(
        marks,
        [
            (3, Part::Whole, Omitted { frames: 1000, bytes: 60_000 }),
            (4, Part::First, Omitted { frames: 0, bytes: 65_536 }),
            (5, Part::Last, Omitted { frames: 1, bytes: 30 }),
        ]
    );
    assert!(rows.frames.iter().all(|row| row.masked == row.omitted.is_some() && row.masked == row.frame.is_empty()));
    let session = &rows.sessions[0];
    assert_eq!((session.capture.as_str(), session.max_result_bytes), ("statements", None));
    let recorded: usize =
        rows.frames.iter().filter(|row| row.direction == Direction::Backend).map(|row| row.frame.len()).sum();
    assert_eq!(session.bytes_backend, 125_566 + recorded as u64);
}

#[test]
fn a_result_over_the_limit_keeps_its_beginning() {
    let row = (Direction::Backend, frame(b'D', &[0, 1, 0, 0, 0, 1, b'x']));
    let events = leveled(
        "full",
        12,
        vec![
            whole(query("select * from t")),
            whole(row.clone()),
            rows_left_out(9, 108, "result over limit"),
            whole(done("SELECT 10")),
            whole(ready(b'I')),
            whole(query("select 1")),
            whole(row),
            whole(done("SELECT 1")),
            whole(ready(b'I')),
        ],
    );
    let rows = rows_of(events);
    assert_eq!(rows.statements[0].omitted, Some(Omitted { frames: 9, bytes: 108 }));
    assert_eq!((rows.statements[0].rows, rows.statements[1].omitted), (Some(10), None));
    assert_eq!(frames_of(&rows, false)[3].withheld.as_deref(), Some("result over limit"));
    assert_eq!((rows.sessions[0].capture.as_str(), rows.sessions[0].max_result_bytes), ("full", Some(12)));
}

#[test]
fn metadata_tells_what_was_done_but_not_to_what() {
    let from_job = |tag, withheld: &str| mark(Direction::Frontend, tag, withheld, (1, 40));
    let code = FrameRun {
        frames: frame(b'E', b"VERROR\0C23505\0\0").into(),
        ..mark(Direction::Backend, b'E', "error text", (1, 90))
    };
    let events = leveled(
        "metadata",
        0,
        vec![
            from_job(b'Q', "statement text"),
            rows_left_out(5, 300, "result rows"),
            whole(done("SELECT 5")),
            whole(done("UPDATE 2")),
            whole(ready(b'I')),
            from_job(b'P', "statement text"),
            from_job(b'B', "parameters"),
            from_job(b'E', "content"),
            whole((Direction::Frontend, frame(b'S', b""))),
            whole((Direction::Backend, frame(b'1', b""))),
            whole((Direction::Backend, frame(b'2', b""))),
            code,
            whole(ready(b'I')),
        ],
    );
    let rows = rows_of(events);
    // A statement that failed may have been a procedure that committed before.
    assert_eq!(
        told(&rows),
        [
            "1 select committed, ? opaque - possibly",
            "2 update committed, ? update - possibly",
            "3 opaque unknown, ? opaque - possibly"
        ]
    );
    let statements: Vec<_> = rows
        .statements
        .iter()
        .map(|row| (&*row.sql, row.rows, row.sqlstate.as_deref(), row.error.as_deref(), row.parameters.as_deref()))
        .collect();
    assert_eq!(
        statements,
        [("", Some(5), None, None, None), ("", Some(2), None, None, None), ("", None, Some("23505"), None, None)]
    );
    assert!(rows.statements.iter().all(|row| row.finished_at.is_some() && !row.truncated && row.fingerprint.is_none()));
    assert_eq!(rows.statements[0].omitted, Some(Omitted { frames: 5, bytes: 300 }));
    assert_eq!(rows.sessions[0].capture, "metadata");
}

#[test]
fn sessions_from_before_there_were_levels_are_full() {
    let rows = all(&simple("select 1", &["SELECT 1"]));
    assert_eq!((rows.sessions[0].capture.as_str(), rows.sessions[0].max_result_bytes), ("full", None));
}

#[test]
fn a_transaction_at_level_metadata_ends_as_its_tags_say() {
    let from_job = |tag| mark(Direction::Frontend, tag, "content", (1, 40));
    let sync = || whole((Direction::Frontend, frame(b'S', b"")));
    let short = |tag| whole((Direction::Backend, frame(tag, b"")));
    let events = leveled(
        "metadata",
        0,
        vec![
            from_job(b'Q'),
            whole(done("BEGIN")),
            whole(ready(b'T')),
            from_job(b'P'),
            from_job(b'D'),
            sync(),
            short(b'1'),
            mark(Direction::Backend, b't', "content", (1, 10)),
            mark(Direction::Backend, b'T', "content", (1, 30)),
            whole(ready(b'T')),
            from_job(b'B'),
            sync(),
            short(b'2'),
            whole(ready(b'T')),
            from_job(b'E'),
            sync(),
            rows_left_out(400, 9000, "result rows"),
            short(b's'),
            whole(ready(b'T')),
            from_job(b'E'),
            sync(),
            rows_left_out(600, 9000, "result rows"),
            whole(done("SELECT 600")),
            whole(ready(b'T')),
            from_job(b'Q'),
            whole(done("ROLLBACK")),
            whole(ready(b'I')),
        ],
    );
    let rows = rows_of(events);
    assert_eq!(
        told(&rows),
        ["1 transaction rolled back", "2 select rolled back, ? opaque - possibly", "3 transaction rolled back",]
    );
    assert_eq!((rows.statements[1].rows, rows.sessions[0].contradictions), (Some(1000), 0));
}

#[test]
fn portals_without_names_are_not_taken_for_each_other() {
    let from_job = |tag| mark(Direction::Frontend, tag, "content", (1, 40));
    let sync = || whole((Direction::Frontend, frame(b'S', b"")));
    let short = |tag| whole((Direction::Backend, frame(tag, b"")));
    let begin = [from_job(b'Q'), whole(done("BEGIN")), whole(ready(b'T'))];
    let end = [from_job(b'Q'), whole(done("COMMIT")), whole(ready(b'I'))];
    let bind = || [from_job(b'B'), sync(), short(b'2'), whole(ready(b'T'))];
    let portion =
        |rows| [from_job(b'E'), sync(), rows_left_out(rows, 9, "result rows"), short(b's'), whole(ready(b'T'))];
    let last = |rows, tag| {
        [from_job(b'E'), sync(), rows_left_out(rows, 9, "result rows"), whole(done(tag)), whole(ready(b'T'))]
    };
    let rows_of = |runs: Vec<FrameRun>| {
        let rows = rows_of(leveled("metadata", 0, [&begin[..], &runs, &end].concat()));
        rows.statements
            .iter()
            .skip(1)
            .map(|row| (row.rows, row.opaque.as_deref().is_some_and(|why| why.contains("portals"))))
            .collect::<Vec<_>>()
    };
    // One after the other: the second is no more of the first, though that was not fetched to its end. How many rows a
    // statement had is not told without its end.
    assert_eq!(
        rows_of([&bind()[..], &portion(10), &bind(), &last(1, "SELECT 1")].concat()),
        [(None, false), (Some(1), true), (None, false)]
    );
    // One that is fetched from in portions alone.
    assert_eq!(
        rows_of(
            [&bind()[..], &portion(10), &portion(10), &last(1, "SELECT 1"), &bind(), &last(2, "SELECT 2")].concat()
        ),
        [(Some(21), false), (Some(2), false), (None, false)]
    );
    // Two by turns: no row is put on another statement than the one that the Execute may have fetched it for.
    assert_eq!(
        rows_of([&bind()[..], &bind(), &portion(10), &portion(3), &last(1, "SELECT 1"), &last(2, "SELECT 2")].concat()),
        [(None, true), (None, true), (Some(1), true), (Some(2), true), (None, false)]
    );
}
