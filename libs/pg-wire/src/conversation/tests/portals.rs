//! Portals and cursors: fetched from in portions, run by FETCH, and ended.

use super::*;

#[test]
fn a_simple_query_forgets_the_unnamed_statement_and_portal() {
    check(
        "> P - UPDATE t
         > S
         < 1
         < Z I
         > Q SELECT 1
         < C SELECT 1
         < Z I
         > B - -
         > E -
         > S
         < E 26000
         < Z I",
        &[
            "1 started SELECT 1",
            "1 SELECT 1",
            "transaction 1 committed",
            "2 started name ",
            "2 failed 26000",
            "transaction 2 rolled back",
        ],
    );
}

#[test]
fn a_portal_goes_on_and_ends() {
    check(
        "> P s SELECT 1
         > B c s
         > E c
         > E c
         > E c
         > S
         < 1
         < 2
         < D
         < D
         < s
         < D
         < C SELECT 1
         < C SELECT 0
         < Z I",
        &["1 started SELECT 1", "1 SELECT 3", "2 started again SELECT 1", "2 SELECT 0", "transaction 1 committed"],
    );
    // Left where it is, it ends with its transaction.
    check(
        "> P s SELECT 1
         > B c s
         > E c
         > S
         < 1
         < 2
         < D
         < s
         < Z I",
        &["1 started SELECT 1", "1 - 1", "transaction 1 committed"],
    );
}

#[test]
fn fetch_runs_what_was_bound_to_a_portal() {
    check(
        "> Q BEGIN
         < C BEGIN
         < Z T
         > P - UPDATE t
         > B c -
         > S
         < 1
         < 2
         < Z T
         > Q FETCH c
         < D
         < C FETCH 1
         < Z T
         > Q FETCH c
         < C FETCH 0
         < Z T
         > Q COMMIT
         < C COMMIT
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started FETCH c = UPDATE t",
            "2 FETCH 1",
            "3 started FETCH c again",
            "3 FETCH 0",
            "4 started COMMIT",
            "4 COMMIT",
            "transaction 1 committed",
        ],
    );
}

#[test]
fn a_suspended_portal_is_told_whatever_ends_it() {
    // A simple query replaces the unnamed one.
    check(
        "> Q BEGIN
         < C BEGIN
         < Z T
         > X INSERT t
         > S
         < 1
         < 2
         < D
         < s
         < Z T
         > Q COMMIT
         < C COMMIT
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started INSERT t",
            "2 - 1",
            "3 started COMMIT",
            "3 COMMIT",
            "transaction 1 committed",
        ],
    );
    // It is undone with what a savepoint undoes, and runs nothing more.
    check(
        "> Q BEGIN; SAVEPOINT s
         < C BEGIN
         < C SAVEPOINT
         < Z T
         > P - INSERT t
         > B c -
         > E c
         > S
         < 1
         < 2
         < D
         < s
         < Z T
         > Q ROLLBACK TO s; COMMIT
         < C ROLLBACK
         < C COMMIT
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started SAVEPOINT s",
            "2 SAVEPOINT",
            "3 started INSERT t",
            "4 started ROLLBACK TO s",
            "4 ROLLBACK",
            "3 - 1",
            "3 to 3 rolled back",
            "5 started COMMIT",
            "5 COMMIT",
            "transaction 1 committed",
        ],
    );
}

#[test]
fn a_statement_that_is_fetched_from_in_portions_ends_once() {
    let begin = "> P - UPDATE t\n> B - -\n> E -\n> H\n< 1\n< 2\n< D 1\n< s\n> E -";
    for (rest, expected) in [
        ("", "1 unanswered"),
        ("\n< E 22012\n> S\n< Z I", "1 failed 22012"),
        ("\n> S\n< Z I", "1 unanswered"),
        ("\n< 3\n< Z I", "1 unanswered"),
    ] {
        let (mut conversation, mut events) = feed(&script(&format!("{begin}{rest}")), |_| None, false);
        conversation.close(1000, Closed::Recorded, &mut Words, &mut events);
        let ends: Vec<_> =
            told(&events).into_iter().filter(|line| line.starts_with("1 ") && !line.contains("started")).collect();
        assert_eq!(ends, [expected], "{rest}");
    }
}

#[test]
fn a_statement_without_a_name_that_is_fetched_from_in_portions_ends_once() {
    let begin = "> Q BEGIN\n< C BEGIN\n< Z T\n> B\n> E\n> H\n< 2\n< D 1\n< s\n> E";
    for (rest, expected) in [
        ("", "2 unanswered"),
        ("\n< E 22012\n> S\n< Z E\n> Q\n< C ROLLBACK\n< Z I", "2 failed 22012"),
        ("\n> S\n< Z T", "2 unanswered"),
        ("\n< C SELECT 1", "2 SELECT 2"),
    ] {
        let (mut conversation, mut events) = (Conversation::new(), Vec::new());
        for (seq, message) in (1..).zip(script(&format!("{begin}{rest}"))) {
            let bytes = encoded(&message);
            let mut frame = Frame { seq, at: 0, direction: message.0, tag: message.1, part: None, bytes: &bytes };
            if message.0 == Direction::Frontend || message.1 == b'D' {
                frame.bytes = &[];
                conversation.feed_omitted(&frame, 1, &mut Words, &mut events);
            } else {
                conversation.feed(&frame, &mut Words, &mut events);
            }
        }
        conversation.close(1000, Closed::Recorded, &mut Words, &mut events);
        let ends: Vec<_> =
            told(&events).into_iter().filter(|line| line.starts_with("2 ") && !line.contains("started")).collect();
        assert_eq!(ends, [expected], "{rest}");
    }
}
