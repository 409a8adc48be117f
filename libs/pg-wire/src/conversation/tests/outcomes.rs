//! What becomes of transactions.

use super::{Closed, check, check_contradicted, closed};

#[test]
fn a_simple_query_is_one_transaction_unless_it_says_otherwise() {
    check(
        "> Q UPDATE a; UPDATE b
         < C UPDATE 1
         < C UPDATE 2
         < Z I",
        &["1 started UPDATE a", "1 UPDATE 1", "2 started UPDATE b", "2 UPDATE 2", "transaction 1 committed"],
    );
    check(
        "> Q UPDATE a; SELECT 1; UPDATE b
         < C UPDATE 1
         < E 22012
         < Z I",
        &[
            "1 started UPDATE a",
            "1 UPDATE 1",
            "2 started SELECT 1",
            "2 failed 22012",
            "3 started UPDATE b",
            "3 not executed",
            "transaction 1 rolled back",
        ],
    );
    check(
        "> Q UPDATE a; COMMIT; UPDATE b; SELECT 1
         < C UPDATE 1
         < C COMMIT
         < C UPDATE 1
         < E 22012
         < Z I",
        &[
            "1 started UPDATE a",
            "1 UPDATE 1",
            "2 started COMMIT",
            "2 COMMIT",
            "transaction 1 committed",
            "3 started UPDATE b",
            "3 UPDATE 1",
            "4 started SELECT 1",
            "4 failed 22012",
            "transaction 2 rolled back",
        ],
    );
}

#[test]
fn savepoints_roll_back_what_came_after_them() {
    check(
        "> Q BEGIN
         < C BEGIN
         < Z T
         > Q SAVEPOINT a
         < C SAVEPOINT
         < Z T
         > Q UPDATE t
         < C UPDATE 1
         < Z T
         > Q SELECT 1
         < E 22012
         < Z E
         > Q ROLLBACK TO a
         < C ROLLBACK
         < Z T
         > Q COMMIT AND CHAIN
         < C COMMIT
         < Z T
         > Q UPDATE u
         < C UPDATE 1
         < Z T
         > Q ROLLBACK
         < C ROLLBACK
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started SAVEPOINT a",
            "2 SAVEPOINT",
            "3 started UPDATE t",
            "3 UPDATE 1",
            "4 started SELECT 1",
            "4 failed 22012",
            "5 started ROLLBACK TO a",
            "5 ROLLBACK",
            "3 to 4 rolled back",
            "6 started COMMIT AND CHAIN",
            "6 COMMIT",
            "transaction 1 committed",
            "7 started UPDATE u",
            "7 UPDATE 1",
            "8 started ROLLBACK",
            "8 ROLLBACK",
            "transaction 2 rolled back",
        ],
    );
}

#[test]
fn code_that_may_commit_leaves_its_outcome_unknown() {
    check(
        "> X UPDATE t
         > X DO commit
         > X SELECT 1
         > S
         < X UPDATE 1
         < X DO
         < 1
         < 2
         < E 22012
         < Z I",
        &[
            "1 started UPDATE t",
            "1 UPDATE 1",
            "2 started DO commit",
            "2 DO",
            "transaction 1 unknown",
            "3 started SELECT 1",
            "3 failed 22012",
            "transaction 2 rolled back",
        ],
    );
    check(
        "> Q DO commit and fail
         < E P0001
         < Z I",
        &["1 started DO commit and fail", "1 failed P0001, may have stayed", "transaction 1 unknown"],
    );
    // In a transaction block it cannot.
    check(
        "> Q BEGIN; DO commit; COMMIT
         < C BEGIN
         < C DO
         < C COMMIT
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started DO commit",
            "2 DO",
            "3 started COMMIT",
            "3 COMMIT",
            "transaction 1 committed",
        ],
    );
}

#[test]
fn a_prepared_transaction_is_left_to_whoever_ends_it() {
    check(
        "> Q BEGIN; UPDATE t; PREPARE TRANSACTION x
         < C BEGIN
         < C UPDATE 1
         < C PREPARE TRANSACTION
         < Z I
         > Q COMMIT PREPARED x
         < C COMMIT PREPARED
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started UPDATE t",
            "2 UPDATE 1",
            "3 started PREPARE TRANSACTION x",
            "3 PREPARE TRANSACTION",
            "transaction 1 prepared x",
            "4 started COMMIT PREPARED x",
            "4 COMMIT PREPARED",
            "x committed true",
            "transaction 2 committed",
        ],
    );
}

#[test]
fn a_commit_that_fails_at_sync_undoes_what_was_answered() {
    check(
        "> X INSERT t
         > S
         < X INSERT 0 1
         < E 23505
         < Z I",
        &["1 started INSERT t", "1 INSERT 1", "session said ERROR 23505", "transaction 1 rolled back"],
    );
}

#[test]
fn a_text_that_is_not_understood_is_told_by_its_answers() {
    check(
        "> Q ?one
         < C UPDATE 3
         < C DELETE 1
         < Z I",
        &[
            "1 started not understood ?one",
            "1 UPDATE 3",
            "2 started not understood ?one",
            "2 DELETE 1",
            "transaction 1 committed",
        ],
    );
    // The server did not understand it either.
    check(
        "> Q ?one\n< E 42601\n< Z I",
        &["1 started not understood ?one", "1 failed 42601", "transaction 1 rolled back"],
    );
    // It may have been a procedure that committed.
    check(
        "> Q ?one\n< E P0001\n< Z I",
        &["1 started not understood ?one", "1 failed P0001, may have stayed", "transaction 1 unknown"],
    );
}

#[test]
fn what_is_not_answered_may_be_in_force() {
    assert_eq!(closed("> Q UPDATE t", Closed::Recorded), ["1 unanswered", "transaction 1 unknown"]);
    assert_eq!(
        closed("> Q UPDATE a\n> Q UPDATE b", Closed::Recorded),
        ["1 unanswered", "2 started UPDATE b", "2 unanswered", "transaction 1 unknown"]
    );
    assert_eq!(
        closed("> Q UPDATE a; UPDATE b; UPDATE c\n< C UPDATE 1", Closed::Recorded),
        ["3 started UPDATE c", "2 unanswered", "3 unanswered", "transaction 1 unknown"]
    );
    assert_eq!(
        closed("> X UPDATE t\n> S", Closed::Recorded),
        ["1 started UPDATE t", "1 unanswered", "transaction 1 unknown"]
    );
    let open = "> Q BEGIN\n< C BEGIN\n< Z T\n> Q UPDATE t\n< C UPDATE 1\n< Z T";
    assert_eq!(closed(open, Closed::Recorded), ["transaction 1 rolled back"]);
    assert_eq!(closed(open, Closed::Lost), ["transaction 1 unknown"]);
    assert_eq!(closed(&format!("{open}\n> Q COMMIT"), Closed::Recorded), ["3 unanswered", "transaction 1 unknown"]);
    // The database's own last word.
    assert_eq!(closed("> Q UPDATE t\n< FATAL 57P01", Closed::Recorded), [] as [&str; 0]);
    assert_eq!(closed("> X UPDATE t\n> S\n< X UPDATE 1\n< FATAL 57P01", Closed::Recorded), [] as [&str; 0]);
}

#[test]
fn contradictions_are_counted_and_nothing_is_certain_then() {
    let contradicted = |text: &str, expected: &[&str]| assert!(check_contradicted(text, expected) > 0, "{text}");
    // One more answer than statements.
    contradicted(
        "> Q UPDATE t\n< C UPDATE 1\n< C UPDATE 1\n< Z I",
        &[
            "1 started UPDATE t",
            "1 UPDATE 1",
            "transaction 1 committed",
            "2 started not understood UPDATE t",
            "2 UPDATE 1",
            "transaction 2 committed",
        ],
    );
    // One less.
    contradicted(
        "> Q UPDATE a; UPDATE b\n< C UPDATE 1\n< Z I",
        &["1 started UPDATE a", "1 UPDATE 1", "2 started UPDATE b", "2 unanswered", "transaction 1 unknown"],
    );
    // A transaction that nobody began, or that nobody ended.
    contradicted("> Q UPDATE t\n< C UPDATE 1\n< Z T", &["1 started UPDATE t", "1 UPDATE 1", "transaction 1 committed"]);
    contradicted("> Q BEGIN\n< C BEGIN\n< Z I", &["1 started BEGIN", "1 BEGIN", "transaction 1 unknown"]);
    // Nobody asked.
    contradicted("< C UPDATE 1", &[]);
}

#[test]
fn to_prepare_outside_of_a_transaction_block_undoes_nothing() {
    check(
        "> X UPDATE t
         > Q PREPARE TRANSACTION x
         < X UPDATE 1
         < C ROLLBACK
         < Z I",
        &[
            "1 started UPDATE t",
            "1 UPDATE 1",
            "2 started PREPARE TRANSACTION x",
            "2 ROLLBACK",
            "transaction 1 committed",
        ],
    );
}

#[test]
fn what_commits_by_itself_may_stay_though_its_pipeline_fails() {
    check(
        "> X UPDATE t
         > X VACUUM t
         > X SELECT 1
         > S
         < X UPDATE 1
         < X VACUUM
         < 1
         < 2
         < E 22012
         < Z I",
        &[
            "1 started UPDATE t",
            "1 UPDATE 1",
            "2 started VACUUM t",
            "2 VACUUM",
            "3 started SELECT 1",
            "3 failed 22012",
            "transaction 1 unknown",
        ],
    );
    check("> Q VACUUM t\n< C VACUUM\n< Z I", &["1 started VACUUM t", "1 VACUUM", "transaction 1 committed"]);
}

#[test]
fn what_was_sent_behind_a_rollback_or_a_commit_may_be_in_force() {
    let open = "> Q BEGIN\n< C BEGIN\n< Z T";
    assert!(
        closed(&format!("{open}\n> Q ROLLBACK\n> Q UPDATE t"), Closed::Recorded)
            .contains(&"transaction 1 unknown".to_owned())
    );
    assert!(closed("> X UPDATE t\n> X COMMIT", Closed::Recorded).contains(&"transaction 1 unknown".to_owned()));
    assert!(closed("> X DO commit", Closed::Recorded).contains(&"transaction 1 unknown".to_owned()));
    assert_eq!(closed("> X UPDATE t\n< X UPDATE 1", Closed::Recorded), ["transaction 1 rolled back"]);
}

#[test]
fn savepoints_that_are_not_known_leave_doubt() {
    check(
        "> Q BEGIN; SAVEPOINT a; UPDATE one
         < C BEGIN
         < C SAVEPOINT
         < C UPDATE 1
         < Z T
         > Q ?savepoint a
         < C SAVEPOINT
         < Z T
         > Q UPDATE two; ROLLBACK TO a; COMMIT
         < C UPDATE 1
         < C ROLLBACK
         < C COMMIT
         < Z I",
        &[
            "1 started BEGIN",
            "1 BEGIN",
            "2 started SAVEPOINT a",
            "2 SAVEPOINT",
            "3 started UPDATE one",
            "3 UPDATE 1",
            "4 started not understood ?savepoint a",
            "4 SAVEPOINT",
            "5 started UPDATE two",
            "5 UPDATE 1",
            "6 started ROLLBACK TO a",
            "6 ROLLBACK",
            "7 started COMMIT",
            "7 COMMIT",
            "transaction 1 unknown",
        ],
    );
}
