//! Names, portals, pipelines.

use super::{Direction, check, feed, script, told};

#[test]
fn a_statement_of_the_extended_protocol_is_told_once() {
    check(
        "> P s UPDATE t
         > B - s
         > E -
         > S
         < 1
         < 2
         < C UPDATE 5
         < Z I",
        &["1 started UPDATE t", "1 UPDATE 5", "transaction 1 committed"],
    );
}

#[test]
fn a_name_means_what_it_meant_when_the_server_came_to_it() {
    // A Parse of a name that is taken fails: the former meaning stays.
    check(
        "> P n UPDATE t
         > S
         < 1
         < Z I
         > P n SELECT 1
         > S
         > B - n
         > E -
         > S
         < E 42P05
         < Z I
         < 2
         < C UPDATE 5
         < Z I",
        &[
            "1 started SELECT 1",
            "1 failed 42P05",
            "transaction 1 rolled back",
            "2 started UPDATE t",
            "2 UPDATE 5",
            "transaction 2 committed",
        ],
    );
    // Sent ahead of the answers, in one pipeline.
    check(
        "> P p UPDATE one
         > P p UPDATE two
         > S
         > B - p
         > E -
         > S
         < 1
         < E 42P05
         < Z I
         < 2
         < C UPDATE 1
         < Z I",
        &[
            "1 started UPDATE two",
            "1 failed 42P05",
            "transaction 1 rolled back",
            "2 started UPDATE one",
            "2 UPDATE 1",
            "transaction 2 committed",
        ],
    );
}

#[test]
fn protocol_and_sql_share_the_names_of_prepared_statements() {
    check(
        "> P p SELECT 1
         > S
         < 1
         < Z I
         > Q DEALLOCATE p
         < C DEALLOCATE
         < Z I
         > Q PREPARE p AS UPDATE t
         < C PREPARE
         < Z I
         > B - p
         > E -
         > S
         < 2
         < C UPDATE 5
         < Z I
         > Q EXECUTE p
         < C UPDATE 5
         < Z I
         > C Sp
         > P p DELETE t
         > S
         < 3
         < 1
         < Z I
         > Q EXECUTE p
         < C DELETE 1
         < Z I
         > Q DISCARD ALL
         < C DISCARD ALL
         < Z I
         > B - p
         > E -
         > S
         < E 26000
         < Z I",
        &[
            "1 started DEALLOCATE p",
            "1 DEALLOCATE",
            "transaction 1 committed",
            "2 started PREPARE p AS UPDATE t",
            "2 PREPARE",
            "transaction 2 committed",
            "3 started UPDATE t",
            "3 UPDATE 5",
            "transaction 3 committed",
            "4 started EXECUTE p = UPDATE t",
            "4 UPDATE 5",
            "transaction 4 committed",
            "5 started EXECUTE p = DELETE t",
            "5 DELETE 1",
            "transaction 5 committed",
            "6 started DISCARD ALL",
            "6 DISCARD ALL",
            "transaction 6 committed",
            "7 started name p",
            "7 failed 26000",
            "transaction 7 rolled back",
        ],
    );
}

#[test]
fn a_message_that_is_none_forgets_nothing() {
    let mut messages = script("> P - UPDATE t\n> S\n< 1\n< Z I");
    messages.push((Direction::Frontend, b'Q', Vec::new()));
    messages.extend(script("< E 08P01\n< Z I\n> B - -\n> E -\n> S\n< 2\n< C UPDATE 5\n< Z I").split_off(1));
    let (_, events) = feed(&messages, |_| None, false);
    let told = told(&events);
    assert_eq!(told[told.len() - 3..], ["2 started UPDATE t", "2 UPDATE 5", "transaction 2 committed"]);
}

#[test]
fn names_are_bytes_cut_at_63() {
    let x = "x".repeat(63);
    check(
        &format!(
            "> P {x}1 UPDATE t
             > B - {x}2
             > E -
             > S
             < 1
             < 2
             < C UPDATE 5
             < Z I"
        ),
        &["1 started UPDATE t", "1 UPDATE 5", "transaction 1 committed"],
    );
    // A portal's name that does not fit a buffer hides nothing behind it.
    let long = "y".repeat(400_000);
    check(
        &format!(
            "> P s UPDATE t
             > B {long} s
             > E {long}z
             > S
             < 1
             < 2
             < C UPDATE 5
             < Z I"
        ),
        &["1 started UPDATE t", "1 UPDATE 5", "transaction 1 committed"],
    );
}

#[test]
fn a_failure_skips_to_sync() {
    check(
        "> X UPDATE a
         > X SELECT 1
         > X UPDATE b
         > S
         > X UPDATE c
         > S
         < X UPDATE 1
         < 1
         < 2
         < E 22012
         < Z I
         < X UPDATE 1
         < Z I",
        &[
            "1 started UPDATE a",
            "1 UPDATE 1",
            "2 started SELECT 1",
            "2 failed 22012",
            "3 started UPDATE b",
            "3 not executed",
            "transaction 1 rolled back",
            "4 started UPDATE c",
            "4 UPDATE 1",
            "transaction 2 committed",
        ],
    );
    // Simple queries are passed over too.
    check(
        "> P - ?bad
         > Q UPDATE a
         > S
         < E 42601
         < Z I",
        &["1 started UPDATE a", "1 failed 42601", "transaction 1 rolled back"],
    );
    // Nothing would have run it: an attempt all the same.
    check(
        "> P - ?bad
         > S
         < E 42601
         < Z I",
        &["1 started ?bad", "1 failed 42601", "transaction 1 rolled back"],
    );
}

#[test]
fn texts_are_read_by_the_settings_of_their_moment() {
    // Told by the server before ReadyForQuery, and effective from the answer on.
    check(
        "> X SET standard_conforming_strings off
         > P - a;b
         > B - -
         > E -
         > S
         < X SET
         < 1
         < 2
         < C SELECT 1
         < S standard_conforming_strings off
         < Z I
         > Q c;d
         < C SELECT 1
         < Z I",
        &[
            "1 started SET standard_conforming_strings off",
            "1 SET",
            "2 started a",
            "2 SELECT 1",
            "transaction 1 committed",
            "3 started c",
            "3 SELECT 1",
            "transaction 2 committed",
        ],
    );
}

#[test]
fn a_simple_query_behind_executes_begins_with_its_first_statement() {
    check(
        "> X UPDATE a
         > Q UPDATE b; UPDATE c
         < X UPDATE 1
         < C UPDATE 2
         < C UPDATE 3
         < Z I",
        &[
            "1 started UPDATE a",
            "1 UPDATE 1",
            "2 started UPDATE b",
            "2 UPDATE 2",
            "3 started UPDATE c",
            "3 UPDATE 3",
            "transaction 1 committed",
        ],
    );
}

#[test]
fn a_function_call_is_told_once() {
    let mut messages = script("");
    messages.push((Direction::Frontend, b'F', vec![0, 0, 0, 89, 0, 0, 0, 0, 0, 0]));
    messages.extend(script("< V\n< Z I").split_off(1));
    let (conversation, events) = feed(&messages, |_| None, false);
    assert_eq!(told(&events), ["1 started function 89", "1 CALL", "transaction 1 committed"]);
    assert_eq!(conversation.contradictions(), 0);
}

#[test]
fn code_may_change_what_names_mean() {
    check(
        "> Q PREPARE p AS UPDATE t
         < C PREPARE
         < Z I
         > Q DO deallocate p
         < C DO
         < Z I
         > Q EXECUTE p
         < C UPDATE 1
         < Z I",
        &[
            "1 started PREPARE p AS UPDATE t",
            "1 PREPARE",
            "transaction 1 committed",
            "2 started DO deallocate p",
            "2 DO",
            "transaction 2 unknown",
            "3 started EXECUTE p = UPDATE t, doubted",
            "3 UPDATE 1",
            "transaction 3 committed",
        ],
    );
}

#[test]
fn settings_told_inside_of_a_transaction_may_be_undone_with_it() {
    let (conversation, _) = feed(
        &script(
            "> Q BEGIN\n< C BEGIN\n< Z T\n> Q SET standard_conforming_strings off\n< C SET
             < S standard_conforming_strings off\n< Z T\n> X ROLLBACK\n< X ROLLBACK",
        ),
        |_| None,
        false,
    );
    assert_eq!(conversation.settings.text(b"").1.standard_conforming_strings, None);
}
