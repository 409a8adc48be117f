//! Every bound is kept, and said.

use std::time::Duration;

use hansard_query::{EngineOptions, ErrorKind};

use crate::bulk;
use crate::fixture::{Fixture, Session};

fn options() -> EngineOptions {
    EngineOptions { target_partitions: 2, ..EngineOptions::default() }
}

#[tokio::test]
async fn more_rows_than_allowed_are_cut_and_marked() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 2, 50).await;
    let engine = fixture.engine_with(EngineOptions { row_limit: 60, ..options() });
    let answer = engine.sql("SELECT * FROM statements ORDER BY started_at").await.unwrap();
    assert_eq!((answer.rows(), answer.truncated), (60, true));
    let exact = engine.sql("SELECT * FROM statements ORDER BY started_at LIMIT 60").await.unwrap();
    assert_eq!((exact.rows(), exact.truncated), (60, false));
}

#[tokio::test]
async fn a_huge_sort_meets_the_memory_limit() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 2_000).await;
    let engine = fixture.engine_with(EngineOptions { memory_limit: 4 * 1024 * 1024, ..options() });
    let sql = "SELECT a.sql || b.sql AS both FROM statements a CROSS JOIN statements b ORDER BY both";
    let error = engine.sql(sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("4 MiB"), "{error}");
    // The next question has its own memory.
    assert_eq!(engine.sql("SELECT count(*) FROM statements").await.unwrap().rows(), 1);
}

#[tokio::test]
async fn an_answer_counts_against_memory() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 2_000).await;
    let engine = fixture.engine_with(EngineOptions { memory_limit: 1024 * 1024, row_limit: 10_000_000, ..options() });
    let error = engine.sql("SELECT a.sql FROM statements a, statements b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_cross_join_meets_the_timeout() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 5_000).await;
    let engine = fixture.engine_with(EngineOptions { timeout: Duration::from_millis(300), ..options() });
    let sql = "SELECT count(*) FROM statements a, statements b, statements c WHERE a.statement_no + b.statement_no + c.statement_no = -1";
    let error = engine.sql(sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t";
    assert_eq!(engine.sql(endless).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_log_longer_than_a_query_reads_is_an_error_that_names_the_way_out() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "loader", "03:00:00").await;
    session.query("03:00:01", &format!("SELECT '{}'", "x".repeat(2 * 1024 * 1024)), &[], "SELECT 1").await;
    let engine = fixture.engine_with(EngineOptions { hot_limit_bytes: 1024 * 1024, ..options() });
    let error = engine.sql("SELECT count(*) FROM sessions").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("query.hot_limit"), "{error}");
    // What needs no table needs no log.
    assert_eq!(engine.sql("SELECT 1").await.unwrap().rows(), 1);
}

#[tokio::test]
async fn what_was_kept_of_the_log_counts_too() {
    let fixture = Fixture::new();
    let engine = fixture.engine_with(EngineOptions { hot_limit_bytes: 1024 * 1024, ..options() });
    let mut session = Session::open(&fixture, 1, "loader", "03:00:00").await;
    let sql = format!("SELECT '{}'", "x".repeat(400 * 1024));
    for _ in 0..2 {
        session.query("03:00:01", &sql, &[], "SELECT 1").await;
        engine.sql("SELECT count(*) FROM sessions").await.unwrap();
    }
    session.query("03:00:01", &sql, &[], "SELECT 1").await;
    for _ in 0..2 {
        let error = engine.sql("SELECT count(*) FROM sessions").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
    // A flush brings it back.
    fixture.flush().await;
    engine.sql("SELECT count(*) FROM sessions").await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_gone_is_said_and_not_skipped() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 10).await;
    let files = fixture.lake.catalog.snapshot(&Default::default()).await.unwrap().files;
    for file in files {
        fixture.remove(&file.path);
    }
    let error = fixture.engine().sql("SELECT job FROM statements").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
