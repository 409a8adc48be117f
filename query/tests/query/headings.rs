//! What heads a result is what was written; and a fault of the engine is told from one of the question.

use hansard_query::{Engine, ErrorKind};

use crate::fixture::story;

async fn headings(engine: &Engine, sql: &str) -> Vec<String> {
    let answer = engine.sql(sql).await.expect(sql);
    assert!(answer.batches.iter().all(|batch| batch.schema() == answer.schema), "{sql}");
    answer.schema.fields().iter().map(|field| field.name().clone()).collect()
}

#[tokio::test]
async fn a_result_s_headings_are_what_was_written() {
    let fixture = story().await;
    let engine = fixture.engine();
    for (sql, expected) in [
        ("SELECT count(*) FROM sessions", &["count(*)"][..]),
        ("SELECT 1 + 1, now(), 'x'", &["1 + 1", "now()", "'x'"]),
        ("SELECT lower(s.job), s.job, job AS who FROM sessions s LIMIT 1", &["lower(s.job)", "job", "who"]),
        (
            "SELECT count(*), x.* FROM (SELECT job, target FROM sessions) x GROUP BY job, target LIMIT 1",
            &["count(*)", "job", "target"],
        ),
        ("SELECT x.*, 1 + 1 FROM (SELECT job, target FROM sessions) x LIMIT 1", &["job", "target", "1 + 1"]),
        ("SELECT max(opened_at)::date FROM sessions UNION ALL SELECT current_date", &["max(opened_at)::DATE"]),
        ("SELECT a.job, b.job FROM sessions a, sessions b LIMIT 1", &["job", "job"]),
        ("SELECT count(*), count(*) FROM sessions", &["count(*)", "count(*)"]),
    ] {
        assert_eq!(headings(&engine, sql).await, expected, "{sql}");
    }
    // In JSON none hides another.
    let both = engine.sql("SELECT a.job, b.job FROM sessions a, sessions b WHERE a.job < b.job LIMIT 1").await.unwrap();
    assert_eq!(both.objects()[0].keys().collect::<Vec<_>>(), ["job", "job (2)"]);
}

#[tokio::test]
async fn errors_hold_nothing_of_the_engine_s_insides() {
    let fixture = story().await;
    let engine = fixture.engine();
    for sql in [
        "SELECT sum(sql) FROM statements",
        "SELECT lower(1, 2)",
        "SELECT sql + 1 FROM statements",
        "SELECT 'a'::int",
        "SELECT * FROM nowhere.nothing",
        "SELECT interval '1 hour' * 2",
        "SELECT job LIKE ANY (ARRAY['r%']) FROM statements",
        "SELECT * FROM statements WHERE \"SQL\" = 1",
        "SELECT x.job FROM statements s",
        "SELEC 1",
        "SELECT 'unfinished",
        "SELECT encode(frame, 'escape') FROM frames",
    ] {
        let error = engine.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        let text = error.to_string();
        for inside in [
            "DataFusion",
            "Arrow",
            "Utf8",
            "Int64",
            "Error during",
            "ParserError",
            "TokenizerError",
            "Optimizer",
            "hansard.public",
            "Internal",
            "not implemented",
            "Schema error",
        ] {
            assert!(!text.contains(inside), "{sql}: {text}");
        }
    }
}
