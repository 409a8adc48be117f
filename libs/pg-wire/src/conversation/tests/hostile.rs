//! Bounds.

use super::*;

#[test]
fn work_stays_linear_when_many_fail() {
    // Each failure looks at what fails, not at all that was prepared: 15,000 names and 15,000 failures take a moment.
    let mut lines = String::new();
    for number in 0..15_000 {
        lines.push_str(&format!("> P n{number} SELECT 1\n< 1\n"));
    }
    for _ in 0..15_000 {
        lines.push_str("> P - ?x\n> S\n< E 42601\n< Z I\n");
    }
    let (conversation, events) = feed(&script(&lines), |_| None, false);
    assert_eq!(conversation.prepared.len(), 15_000);
    assert_eq!(events.len(), 3 * 15_000);
}

#[test]
fn code_savepoints_and_names_take_no_turn_over_all_that_is_kept() {
    let mut lines = "> Q BEGIN\n< C BEGIN\n< Z T\n> P p SELECT 1\n< 1\n".to_owned();
    for number in 0..15_000 {
        lines.push_str(&format!("> P n{number} SELECT 1\n< 1\n> B c{number} p\n< 2\n"));
    }
    lines.push_str("> S\n< Z T\n> Q SAVEPOINT s\n< C SAVEPOINT\n< Z T\n");
    for _ in 0..15_000 {
        lines.push_str("> Q DO x\n< C DO\n< Z T\n> Q ROLLBACK TO s\n< C ROLLBACK\n< Z T\n");
    }
    let (conversation, events) = feed(&script(&lines), |_| None, false);
    assert_eq!(conversation.portals.len(), 15_000);
    assert!(events.len() > 60_000);
}

#[test]
fn beyond_as_many_savepoints_as_are_kept_none_is_known() {
    let mut lines = "> Q BEGIN\n< C BEGIN\n< Z T\n".to_owned();
    for number in 0..10_000 {
        lines.push_str(&format!("> Q SAVEPOINT s{number}\n< C SAVEPOINT\n< Z T\n"));
    }
    lines.push_str("> Q ROLLBACK TO s9999\n< C ROLLBACK\n< Z T\n> Q COMMIT\n< C COMMIT\n< Z I\n");
    let (_, events) = feed(&script(&lines), |_| None, false);
    assert_eq!(told(&events).last().unwrap(), "transaction 1 unknown");
}

#[test]
fn texts_behind_portals_and_cursors_are_bounded() {
    let text = "u".repeat(MAX_BOUND / 2);
    let mut lines = "> Q BEGIN\n< C BEGIN\n< Z T\n".to_owned();
    for number in 0..3 {
        lines.push_str(&format!("> P - {text}{number}\n> B c{number} -\n< 1\n< 2\n"));
    }
    lines.push_str("> E c0\n> E c2\n> S\n< C UPDATE 1\n< C UPDATE 1\n< Z T\n");
    let (conversation, events) = feed(&script(&lines), |_| None, false);
    assert!(conversation.portal_texts <= MAX_BOUND);
    let told = told(&events);
    assert!(told.contains(&format!("2 started {text}0")), "what fits is known");
    assert!(told.contains(&"3 started name ".to_owned()), "what does not is not");
    lines = "> P p SELECT 1\n> B c p\n> S\n< 1\n< 2\n< Z T\n> Q COMMIT\n< C COMMIT\n< Z I\n".to_owned();
    for number in 0..3 {
        lines.push_str(&format!("> Q DECLARE c{number} {text}\n< C DECLARE CURSOR\n< Z I\n"));
    }
    let (conversation, _) = feed(&script(&lines), |_| None, false);
    assert_eq!((conversation.portal_texts, conversation.portals_by_bind.len()), (0, 0));
    assert!(conversation.cursor_texts <= MAX_BOUND && conversation.cursors.len() == 1);
}

#[test]
fn what_waits_and_what_is_prepared_is_bounded() {
    let text = "u".repeat(MAX_PREPARED / 8);
    let mut lines = String::new();
    for number in 0..20 {
        lines.push_str(&format!("> P n{number} {text}\n< 1\n"));
    }
    let (conversation, _) = feed(&script(&lines), |_| None, false);
    assert!(conversation.prepared_bytes <= MAX_PREPARED && conversation.prepared.len() >= 7);
    let mut lines = String::new();
    for _ in 0..20 {
        lines.push_str(&format!("> P - {text}\n"));
    }
    let (conversation, _) = feed(&script(&lines), |_| None, false);
    assert!(conversation.waiting_bytes <= 2 * MAX_WAITING_BYTES, "{}", conversation.waiting_bytes);
    // Names that nobody can hold are not known, rather than known wrongly.
    let mut lines = String::new();
    for number in 0..=MAX_NAMES {
        lines.push_str(&format!("> P n{number} SELECT 1\n< 1\n"));
    }
    lines.push_str(&format!("> B - n{MAX_NAMES}\n> E -\n> S\n< 2\n< C UPDATE 1\n< Z I\n"));
    let (_, events) = feed(&script(&lines), |_| None, false);
    assert_eq!(told(&events)[0], format!("1 started name n{MAX_NAMES}"));
}

#[test]
fn frames_that_are_missing_make_names_unknown() {
    let (mut conversation, mut events) =
        feed(&script("> P s UPDATE t\n> S\n< 1\n< Z I\n> Q UPDATE u"), |_| None, false);
    events.clear();
    conversation.gap(&mut Words, &mut events);
    assert_eq!(told(&events), ["1 unanswered", "transaction 1 unknown"]);
    // Whose answer this is nobody knows, before the proxy says that everything is answered.
    for expected in [
        ["2 started name s", "2 unanswered", "transaction 2 unknown"],
        ["3 started name s", "3 UPDATE 1", "transaction 3 committed"],
    ] {
        events.clear();
        for (seq, message) in (100..).zip(script("> B - s\n> E -\n> S\n< 2\n< C UPDATE 1\n< Z I")) {
            let bytes = encoded(&message);
            let frame = Frame { seq, at: 0, direction: message.0, tag: message.1, part: None, bytes: &bytes };
            conversation.feed(&frame, &mut Words, &mut events);
        }
        conversation.settled(&mut Words, &mut events);
        assert_eq!(told(&events), expected);
    }
}
