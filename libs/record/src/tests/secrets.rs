//! Frames that are withheld or overwritten, or come in parts.

use super::*;

#[test]
fn secrets_and_parts_are_frames_too() {
    let mut events = opening();
    let part = |at, seq, bytes: &[u8], part: Part| {
        let mut event = run(at, seq, &[(Direction::Frontend, bytes.to_vec())]);
        if let Some(Kind::Frames(run)) = &mut event.kind {
            (run.part, run.tag) = (part as i32, Some(u32::from(b'Q')));
        }
        event
    };
    let mut withheld = run(150, 1, &[(Direction::Frontend, Vec::new())]);
    if let Some(Kind::Frames(run)) = &mut withheld.kind {
        (run.tag, run.withheld) = (Some(u32::from(b'p')), "password".into());
    }
    let (_, text) = query("delete from t");
    events.extend([withheld, run(200, 2, &[ready(b'I')]), part(300, 3, &text[..8], Part::First)]);
    events.extend([part(310, 4, &text[8..10], Part::Middle), part(320, 5, &text[10..], Part::Last)]);
    events.extend([run(400, 6, &[done("DELETE 1"), ready(b'I')]), closing(3, 7)]);
    let rows = project(&[block(SESSION, "ranking", events)]);
    assert_eq!(told(&rows), ["1 delete committed, public.t delete 1"]);
    let first = rows.frames.iter().next().unwrap();
    assert_eq!((first.withheld.as_deref(), first.masked, first.tag), (Some("password"), true, b'p'));
    assert_eq!(
        rows.frames
            .iter()
            .filter(|row| row.part != Part::Whole)
            .map(|row| row.frame.to_vec())
            .collect::<Vec<_>>()
            .concat(),
        text
    );
    assert!(rows.sessions[0].complete);
}

#[test]
fn a_statement_with_a_password_is_one_all_the_same() {
    let mut events = opening();
    let packet = FrameRun {
        direction: Direction::Frontend as i32,
        first_seq: 1,
        count: 1,
        tag: Some(0),
        withheld: "not identified".into(),
        omitted: Some(hansard_schemas::events::Omitted { frames: 1, bytes: 41 }),
        sha256: vec![0xab; 32],
        ..FrameRun::default()
    };
    let mut masked = run(210, 3, &[query("update t set x = dblink('password=****')")]);
    if let Some(Kind::Frames(run)) = &mut masked.kind {
        (run.withheld, run.masked) = ("password in SQL".into(), true);
    }
    events.extend([event(150, 0, Kind::Frames(packet)), run(200, 2, &[ready(b'I')]), masked]);
    events.extend([run(400, 4, &[done("UPDATE 1"), ready(b'I')]), closing(3, 5)]);
    let rows = project(&[block(SESSION, "ranking", events)]);
    assert_eq!(told(&rows), ["1 update committed, public.t update 1, ? call - possibly"]);
    assert_eq!(&*rows.statements[0].sql, "update t set x = dblink('password=****')");
    let marks: Vec<_> = rows.frames.iter().filter(|row| row.masked).collect();
    assert_eq!(marks.len(), 2);
    let digest = format!("not identified, sha256 {}", "ab".repeat(32));
    assert_eq!((marks[0].withheld.as_deref(), marks[0].frame.len()), (Some(&digest[..]), 0));
    assert_eq!((marks[1].withheld.as_deref(), marks[1].frame[0]), (Some("password in SQL"), b'Q'));
}
