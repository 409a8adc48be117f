//! Hostile and mistaken questions: nothing is changed, nothing outside the lake is read, and the answer says why.

use hansard_query::{Engine, ErrorKind};

use crate::fixture::Fixture;

async fn refused(engine: &Engine, sql: &str, kind: ErrorKind, says: &str) {
    let error = engine.sql(sql).await.expect_err(sql);
    assert_eq!(error.kind(), kind, "{sql}: {error}");
    let text = error.to_string();
    assert!(text.contains(says), "{sql}: {text}");
    assert!(!text.contains('\n'), "one line: {text:?}");
}

#[tokio::test]
async fn what_changes_anything_is_refused() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    for (sql, says) in [
        ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
        ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'", "CREATE EXTERNAL TABLE"),
        ("COPY (SELECT * FROM statements) TO '/tmp/stolen.parquet'", "COPY"),
        ("COPY statements TO 'x.csv' STORED AS CSV", "COPY"),
        ("EXPLAIN COPY statements TO 'x.csv' STORED AS CSV", "COPY"),
        ("EXPLAIN ANALYZE INSERT INTO statements SELECT * FROM statements", "INSERT"),
        ("INSERT INTO touches SELECT * FROM touches", "INSERT"),
        ("UPDATE statements SET sql = ''", "UPDATE"),
        ("DELETE FROM frames", "DELETE"),
        ("TRUNCATE TABLE frames", "TRUNCATE"),
        ("DROP TABLE frames", "DROP"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("BEGIN", "BEGIN"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "EXECUTE"),
        ("SELECT 1 INTO t", "read-only"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE FUNCTION"),
    ] {
        refused(&engine, sql, ErrorKind::ReadOnly, says).await;
    }
}

#[tokio::test]
async fn what_reads_files_is_not_there() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    for sql in [
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT load_extension('x')",
    ] {
        let error = engine.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    for (sql, says) in [
        ("", "empty"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELEC 1", "SELEC"),
        ("SELECT nope FROM statements", "nope"),
        ("SELECT * FROM nope", "nope"),
        ("SELECT * FROM who_touched('a')", "who_touched(relation, from, to [, operation])"),
        ("SELECT * FROM who_touched('a', 'noon', NULL)", "'noon' is not a time"),
        ("SELECT * FROM session_steps('x')", "not a session id"),
        ("SELECT 1/0", "division by zero"),
    ] {
        refused(&engine, sql, ErrorKind::Invalid, says).await;
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(engine.sql(&deep).await.unwrap_err().kind(), ErrorKind::Invalid);
    let chain =
        |operators: usize| format!("SELECT {}statement_no AS n FROM statements", "statement_no + ".repeat(operators));
    let error = engine.sql(&chain(5_000)).await.unwrap_err();
    assert!(error.to_string().contains("too complex"), "{error}");
    // As deep as allowed must not exhaust a stack.
    let deepest = engine.sql(&chain(590)).await.unwrap();
    assert_eq!(deepest.rows(), 0);
    let long = format!("SELECT '{}'", "x".repeat(2 * 1024 * 1024));
    assert_eq!(engine.sql(&long).await.unwrap_err().kind(), ErrorKind::Invalid);
}
