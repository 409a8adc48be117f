//! COPY, and what is sent among its data and behind it.

use super::check;

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
