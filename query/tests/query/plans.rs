//! What is scanned, and how.

use hansard_query::{Answer, Engine};

use crate::bulk::{self, RELATIONS};
use crate::fixture::{Fixture, column, story};

async fn plan(engine: &Engine, sql: &str) -> String {
    let answer = engine.sql(sql).await.unwrap();
    let text = column(&answer, "plan").join("\n");
    // What a file is called follows from its content.
    let word = |word: &str| match word.split_once("-L0.parquet") {
        Some((_, rest)) => format!("FILE-L0.parquet{rest}"),
        None => word.to_owned(),
    };
    text.split_inclusive(['/', ' ']).map(word).collect()
}

fn scanned(plan: &str) -> usize {
    plan.matches("-L0.parquet").count()
}

#[tokio::test]
async fn who_touched_scans_only_the_file_that_can_hold_it() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 9, 100).await;
    let engine = fixture.engine();
    // Hours 1, 4 and 7 hold updates of rankings.
    let sql = "SELECT * FROM who_touched('rankings', '2026-11-22T04:00', '2026-11-22T04:05', 'update')";
    let answer = engine.sql(sql).await.unwrap();
    assert_eq!(answer.rows(), 100);
    let plan = plan(&engine, &format!("EXPLAIN FORMAT INDENT {sql}")).await;
    let files: Vec<&str> = plan.lines().filter(|line| line.contains("-L0.parquet")).collect();
    assert_eq!(files.len(), 2, "{plan}");
    assert!(files.iter().all(|line| line.matches("-L0.parquet").count() == 1 && line.contains("hour=04")), "{plan}");
    assert!(plan.contains("table=touches") || plan.contains("touches/v1"), "{plan}");
}

#[tokio::test]
async fn who_updated_begins_with_what_was_committed_then() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 9, 100).await;
    let engine = fixture.engine();
    let sql = "SELECT * FROM who_updated('rankings', '2026-11-22T04:00Z')";
    assert_eq!(engine.sql(sql).await.unwrap().rows(), 100);
    let plan = plan(&engine, &format!("EXPLAIN FORMAT INDENT {sql}")).await;
    // Hour 1 has updates of rankings, too, and all hours have statements and sessions.
    let files: Vec<&str> = plan.lines().filter(|line| line.contains("-L0.parquet")).collect();
    assert_eq!(files.len(), 2, "{plan}");
    assert!(files.iter().all(|line| line.matches("-L0.parquet").count() == 1 && line.contains("hour=04")), "{plan}");
}

#[tokio::test]
async fn filters_choose_the_files() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 9, 10).await;
    let engine = fixture.engine();
    let session = "019aa000-0000-7000-9000-000000000003";
    for (filter, files) in [
        ("true", 9),
        ("relation = 'public.rankings'", 3),
        ("relation = 'public.nothing'", 0),
        ("'public.rankings' = relation AND operation = 'delete'", 0),
        ("at >= '2026-11-22T05:00:00Z'", 4),
        ("at BETWEEN '2026-11-22T02:00:00Z' AND '2026-11-22T03:30:00Z'", 2),
        ("at > TIMESTAMP '2026-11-22 07:59:00'", 1),
        (&format!("session_id = '{session}'"), 1),
        ("target = 'elsewhere'", 0),
        ("relation = 'public.rankings' OR relation = 'public.scores'", 6),
        ("relation IN ('?.rankings', 'public.rankings')", 3),
        ("relation = 'public.rankings' OR job = 'nobody'", 9),
    ] {
        let plan = plan(&engine, &format!("EXPLAIN FORMAT INDENT SELECT job FROM touches WHERE {filter}")).await;
        assert_eq!(scanned(&plan), files, "{filter}: {plan}");
        let expected =
            engine.sql(&format!("SELECT count(*) AS n FROM touches WHERE ({filter}) IS TRUE OR job = '?'")).await;
        let pruned = engine.sql(&format!("SELECT count(*) AS n FROM touches WHERE {filter}")).await;
        assert_eq!(column(&pruned.unwrap(), "n"), column(&expected.unwrap(), "n"), "{filter}");
    }
}

#[tokio::test]
async fn a_count_needs_no_scan_and_is_right() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 3, 10).await;
    let engine = fixture.engine();
    let answer = engine.sql("SELECT count(*) AS n, min(started_at) AS first FROM statements").await.unwrap();
    assert_eq!(
        (column(&answer, "n"), column(&answer, "first")),
        (vec!["30".to_owned()], vec!["2026-11-22T00:00:00.001000000Z".to_owned()])
    );
    let plan = plan(&engine, "EXPLAIN FORMAT INDENT SELECT count(*) FROM statements").await;
    assert_eq!(scanned(&plan), 0, "{plan}");
    assert_eq!(RELATIONS.len(), 3);
}

#[tokio::test]
async fn cold_and_hot_are_one_plan() {
    let fixture = story().await;
    let engine = fixture.engine();
    let plan =
        plan(&engine, "EXPLAIN FORMAT INDENT SELECT job FROM touches WHERE relation = 'public.rankings' AND rows > 0")
            .await;
    insta::assert_snapshot!(plan);
}

#[tokio::test]
async fn plans_can_be_explained_and_tables_found() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    for sql in [
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM touches",
        "SHOW TABLES",
        "DESCRIBE sessions",
        "SHOW COLUMNS FROM touches",
    ] {
        let answer: Answer = engine.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(answer.rows() > 0, "{sql}");
    }
    let types = column(&engine.sql("DESCRIBE touches").await.unwrap(), "data_type");
    assert!(
        ["text", "bigint", "timestamptz", "text[]"].iter().all(|kind| types.contains(&(*kind).to_owned())),
        "{types:?}"
    );
    assert!(!types.iter().any(|kind| kind.contains("Utf8") || kind.contains('(')), "{types:?}");
    let tables = engine
        .sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(
        column(&tables, "table_name"),
        ["catalog", "frames", "identities", "leases", "sessions", "statements", "touches", "transactions"]
    );
}
