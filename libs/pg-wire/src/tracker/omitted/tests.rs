//! Sessions without their content, and what is told of them all the same.

use super::super::Command;
use super::super::tests::{Splitter, say, script};
use super::*;

/// What is left of a frame at the lowest capture level: nothing, but for those that hold no content, the command tag,
/// the state of the transaction, and an error's code.
fn told(text: &str) -> Vec<String> {
    let mut tracker = Tracker::new();
    let mut out = Vec::new();
    for (seq, (direction, bytes)) in (1..).zip(script(&format!("<Z I | {text}"))) {
        let whole = bytes.len() == HEADER || direction == Direction::Backend && matches!(bytes[0], b'C' | b'Z');
        let kept = if direction == Direction::Backend && bytes[0] == b'E' {
            let code = bytes.windows(2).position(|pair| pair == [0, b'C']).unwrap() + 1;
            [&b"E\0\0\0\x0c"[..], &bytes[code..code + 7], b"\0"].concat()
        } else {
            Vec::new()
        };
        let mut frame = Frame { seq, at: seq as i64, direction, tag: bytes[0], part: None, bytes: &bytes };
        if whole {
            tracker.feed(&frame, &mut Splitter, &mut out);
        } else {
            frame.bytes = &kept;
            tracker.feed_omitted(&frame, 1, &mut out);
        }
        // Saved and restored between any two frames, it goes on as if nothing had happened.
        tracker = serde_json::from_str(&serde_json::to_string(&tracker).unwrap()).unwrap();
    }
    tracker.close(9, &mut out);
    let command = |event: &Event| match event {
        Event::Finished(finished) => finished.command.clone(),
        _ => None,
    };
    let with_command = |event: &Event| {
        let line = say(event)?.replace("Omitted", "?");
        Some(match command(event) {
            Some(Command { tag, copied_in }) => format!("{line} ({tag}{})", if copied_in { ", data" } else { "" }),
            None => line,
        })
    };
    out.iter().filter_map(with_command).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(told(text), expected);
}

#[test]
fn a_simple_query_holds_as_many_statements_as_are_answered() {
    check(
        ">Q a; b; c | <C UPDATE 3 | <T x | <D 1 | <D 2 | <C SELECT 2 | <C DELETE 0 | <Z I | >Q d | <C SELECT 0 | <Z I",
        &[
            "start 1 ?",
            "done 1 in 1 3 rows (UPDATE 3)",
            "start 2 ?",
            "done 2 in 1 2 rows (SELECT 2)",
            "start 3 ?",
            "done 3 in 1 0 rows (DELETE 0)",
            "1 Committed",
            "start 4 ?",
            "done 4 in 2 0 rows (SELECT 0)",
            "2 Committed",
        ],
    );
}

#[test]
fn the_statement_that_fails_takes_its_implicit_transaction_with_it() {
    check(
        ">Q a; b | <C INSERT 0 1 | <E ERROR 22012 | <Z I",
        &["start 1 ?", "done 1 in 1 1 rows (INSERT 0 1)", "start 2 ?", "done 2 in 1 22012", "1 RolledBack"],
    );
    check(
        ">P :a | >B , | >D P | >E  | >S | <1 | <2 | <n | <E ERROR 23505 | <Z I",
        &["start 1 ?", "done 1 in 1 23505", "1 RolledBack"],
    );
    check(">P :nonsense | >S | <E ERROR 42601 | <Z I", &["start 1 ?", "done 1 in 1 42601", "1 RolledBack"]);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    check(
        ">P a:x | >B ,a | >E  | >B ,a | >E  | >S | <1 | <2 | <D 1 | <D 1 | <C SELECT 2 | <2 | <C SELECT 0 | <Z I",
        &["start 1 ?", "start 2 ?", "done 1 in 1 2 rows (SELECT 2)", "done 2 in 1 0 rows (SELECT 0)", "1 Committed"],
    );
}

#[test]
fn rows_fetched_in_portions_are_one_statement() {
    check(
        ">P :x | >B , | >E  | >H | <1 | <2 | <D 1 | <D 2 | <s | >E  | >S | <D 3 | <C SELECT 1 | <Z I",
        &["start 1 ?", "done 1 in 1 3 rows (SELECT 1)", "1 Committed"],
    );
}

#[test]
fn a_rollback_is_told_from_one_to_a_savepoint_by_what_follows() {
    let begun = ">Q begin | <C BEGIN | <Z T | >Q a | <C INSERT 0 1 | <Z T";
    let savepoint = ">Q savepoint s | <C SAVEPOINT | <Z T";
    let rollback = ">Q rollback | <C ROLLBACK";
    let told_begun = ["start 1 ?", "done 1 in 1 (BEGIN)", "start 2 ?", "done 2 in 1 1 rows (INSERT 0 1)"];
    let and = |rest: &[&'static str]| [&told_begun[..], rest].concat();
    check(&format!("{begun} | {rollback} | <Z I"), &and(&["start 3 ?", "done 3 in 1 (ROLLBACK)", "1 RolledBack"]));
    let saved = ["start 3 ?", "done 3 in 1 (SAVEPOINT)", "start 4 ?", "done 4 in 1 (ROLLBACK)"];
    check(&format!("{begun} | {savepoint} | {rollback} | <Z I"), &and(&[&saved[..], &["1 RolledBack"]].concat()));
    check(
        &format!("{begun} | {savepoint} | {rollback} | <Z T | >Q commit | <C COMMIT | <Z I"),
        &and(&[&saved[..], &["1 Unknown", "start 5 ?", "done 5 in 2 (COMMIT)", "2 Committed"]].concat()),
    );
    check(
        &format!("{begun} | {savepoint} | {rollback} | <C INSERT 0 1 | <Z T"),
        &and(&[&saved[..], &["start 5 ?", "1 Unknown", "done 5 in 2 1 rows (INSERT 0 1)", "2 RolledBack"]].concat()),
    );
}

#[test]
fn copy_tells_its_direction() {
    check(
        ">Q copy | <G | >d 1 | >d 2 | >c | <C COPY 2 | <Z I | >Q copy | <H | <d 1 | <d 2 | <c | <C COPY 2 | <Z I",
        &[
            "start 1 ?",
            "done 1 in 1 2 rows (COPY 2, data)",
            "1 Committed",
            "start 2 ?",
            "done 2 in 2 2 rows (COPY 2)",
            "2 Committed",
        ],
    );
}

#[test]
fn what_was_under_way_at_the_end_is_not_taken_for_a_success() {
    check(">Q a", &["start 1 ?", "unanswered 1 in 1", "1 Unknown"]);
    check(">F | >S", &["start 1 ?", "unanswered 1 in 1", "1 Unknown"]);
    check(">F | <V | <Z I", &["start 1 ?", "done 1 in 1 (CALL)", "1 Committed"]);
}

#[test]
fn a_mark_counts_for_the_rows_that_it_stands_for() {
    let mut tracker = Tracker::new();
    let mut out = Vec::new();
    let mut seq = 0;
    let mut feed = |tracker: &mut Tracker, text: &str| {
        for (direction, bytes) in script(text) {
            seq += 1;
            let frame = Frame { seq, at: 1, direction, tag: bytes[0], part: None, bytes: &bytes };
            tracker.feed(&frame, &mut Splitter, &mut out);
        }
    };
    feed(&mut tracker, "<Z I | >P :x | >B , | >E  | >H | <1 | <2 | <D 1");
    let mark = |tag, part| Frame { seq: 9, at: 1, direction: Direction::Backend, tag, part, bytes: &[] };
    let mut none = Vec::new();
    assert_eq!(tracker.answering(), Some(1));
    tracker.feed_omitted(&mark(b'D', None), 1233, &mut none);
    for (part, frames) in [(Part::First, 0), (Part::Middle, 0), (Part::Last, 1)] {
        tracker.feed_omitted(&mark(b'D', Some(part)), frames, &mut none);
    }
    assert_eq!(none, []);
    feed(&mut tracker, "<s | >E  | >S | <D 2 | <C SELECT 1 | <Z I");
    let lines: Vec<String> = out.iter().filter_map(say).collect();
    assert_eq!(lines, ["start 1 x#0", "done 1 in 1 1236 rows", "1 Committed"]);
}

proptest::proptest! {
    /// Marks anywhere among frames, of any tag and part: no panic, and no statement is told twice as begun.
    #[test]
    fn hostile_marks_do_no_harm(
        marks in proptest::collection::vec(
            (proptest::prelude::any::<u8>(), 0usize..5, proptest::prelude::any::<(bool, u64)>()), 0..200),
        requests in ">[QPBESFC]",
    ) {
        let tags = b"QPBDESFCHdcfTtD12sIEZGVn";
        let mut tracker = Tracker::new();
        let mut out = Vec::new();
        let whole = script("<Z I | >Q begin; u | <C BEGIN | >P a:x | >B p,a | >E p | >S | <1 | <2 | <s | <Z T");
        for (seq, (tag, part, (mark, frames))) in (1..).zip(marks) {
            let direction = if tag & 1 == 0 { Direction::Frontend } else { Direction::Backend };
            let part = [None, None, Some(Part::First), Some(Part::Middle), Some(Part::Last)][part];
            let tag = tags[usize::from(tag) % tags.len()];
            if mark {
                let frame = Frame { seq, at: 1, direction, tag, part, bytes: requests.as_bytes() };
                tracker.feed_omitted(&frame, frames, &mut out);
            } else {
                let (direction, bytes) = &whole[usize::from(tag) % whole.len()];
                let frame = Frame { seq, at: 1, direction: *direction, tag: bytes[0], part: None, bytes };
                tracker.feed(&frame, &mut Splitter, &mut out);
            }
        }
        tracker.close(1, &mut out);
        let begun: Vec<u64> = out.iter().filter_map(|event| match event {
            Event::Started(started) => Some(started.statement),
            _ => None,
        }).collect();
        proptest::prop_assert!(begun.is_sorted_by(|a, b| a < b), "{:?}", begun);
    }
}
