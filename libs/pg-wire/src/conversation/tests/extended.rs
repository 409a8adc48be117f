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
fn copy_in_a_pipeline_shifts_no_answer() {
    // Sync is ignored while data is taken, in the extended protocol and in the simple one.
    check(
        "> X COPY t
         < 1
         < 2
         < G
         > S
         > d 1
         > c
         < C COPY 1
         > S
         > X SELECT 1
         > S
         < Z I
         < 1
         < 2
         < E 22012
         < Z I
         > X UPDATE t
         > S
         < X UPDATE 5
         < Z I",
        &[
            "1 started COPY t",
            "1 COPY 1",
            "transaction 1 committed",
            "2 started SELECT 1",
            "2 failed 22012",
            "transaction 2 rolled back",
            "3 started UPDATE t",
            "3 UPDATE 5",
            "transaction 3 committed",
        ],
    );
    // The data fails: everything up to the next Sync is passed over.
    check(
        "> X COPY t
         < 1
         < 2
         < G
         > d bad
         > c
         < E 22P02
         > S
         > X UPDATE t
         > S
         < Z I
         < X UPDATE 5
         < Z I",
        &[
            "1 started COPY t",
            "1 failed 22P02",
            "transaction 1 rolled back",
            "2 started UPDATE t",
            "2 UPDATE 5",
            "transaction 2 committed",
        ],
    );
    // A Sync among the data that was answered, as its ReadyForQuery shows.
    check(
        "> Q COPY t
         < G
         > d bad
         > S
         > c
         < E 22P02
         < Z I
         < Z I
         > Q UPDATE t
         < C UPDATE 5
         < Z I",
        &[
            "1 started COPY t",
            "1 failed 22P02",
            "transaction 1 rolled back",
            "2 started UPDATE t",
            "2 UPDATE 5",
            "transaction 2 committed",
        ],
    );
    // What COPY does not know is not carried out.
    check(
        "> Q COPY t
         < G
         > Q UPDATE a
         < E 08P01
         < Z I
         > Q UPDATE b
         < C UPDATE 5
         < Z I",
        &[
            "1 started COPY t",
            "2 started UPDATE a",
            "2 failed 08P01",
            "1 failed 08P01",
            "transaction 1 rolled back",
            "3 started UPDATE b",
            "3 UPDATE 5",
            "transaction 2 committed",
        ],
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
fn what_stands_behind_a_sync_among_failed_copy_data_runs_if_that_is_answered() {
    let head = "> X COPY t\n< 1\n< 2\n< G\n> d bad\n> S\n> P - UPDATE a\n< E 22P02";
    check(
        &format!("{head}\n< Z I\n< 1\n> B - -\n> E -\n> S\n< 2\n< C UPDATE 1\n< Z I"),
        &[
            "1 started COPY t",
            "1 failed 22P02",
            "transaction 1 rolled back",
            "2 started UPDATE a",
            "2 UPDATE 1",
            "transaction 2 committed",
        ],
    );
    check(
        &format!("{head}\n> S\n< Z I\n> Q UPDATE b\n< C UPDATE 1\n< Z I"),
        &[
            "1 started COPY t",
            "1 failed 22P02",
            "transaction 1 rolled back",
            "2 started UPDATE a",
            "2 not executed",
            "transaction 2 rolled back",
            "3 started UPDATE b",
            "3 UPDATE 1",
            "transaction 3 committed",
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
