//! Which statement the server's words belong to.

use super::check;

#[test]
fn a_notice_belongs_to_the_statement_under_way() {
    check(
        "> Q UPDATE a; UPDATE b
         < N 01000
         < C UPDATE 1
         < N 00000
         < N 00001
         < C UPDATE 2
         < Z I
         < N 00002
         > X SELECT 1
         > S
         < N 00003
         < X SELECT 1
         < N 00004
         < Z I",
        &[
            "1 started UPDATE a",
            "1 said NOTICE 01000",
            "1 UPDATE 1",
            "2 started UPDATE b",
            "2 said NOTICE 00000",
            "2 said NOTICE 00001",
            "2 UPDATE 2",
            "transaction 1 committed",
            "session said NOTICE 00002",
            // Before it was bound.
            "session said NOTICE 00003",
            "3 started SELECT 1",
            "3 SELECT 1",
            // At the commit.
            "session said NOTICE 00004",
            "transaction 2 committed",
        ],
    );
}

#[test]
fn an_error_that_is_no_statements_is_told() {
    check("< FATAL 57P01", &["session said FATAL 57P01"]);
    check(
        "> X UPDATE a
         > S
         < X UPDATE 1
         < E 23503
         < Z I",
        &["1 started UPDATE a", "1 UPDATE 1", "session said ERROR 23503", "transaction 1 rolled back"],
    );
    // With its statement it is told there, and once.
    check(
        "> Q UPDATE a
         < FATAL 57P01",
        &["1 started UPDATE a", "1 failed 57P01", "transaction 1 rolled back"],
    );
}
