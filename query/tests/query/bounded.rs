//! What a function makes is bounded, while a plan is made as well as while it runs.

use hansard_query::{EngineOptions, ErrorKind};

use crate::bulk;
use crate::fixture::{Fixture, column};

#[tokio::test]
async fn values_of_constants_are_bounded_while_the_plan_is_made() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    for sql in [
        "SELECT repeat('x', 1000000000)",
        "SELECT length(repeat('x', 1000000000))",
        "SELECT lpad('x', 1000000000)",
        "SELECT rpad('x', 1000000000, 'y')",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT array_repeat(repeat('x', 1000000), 1000)",
        "SELECT array_resize(ARRAY[1], 1000000000, 0)",
        "SELECT range(0, 1000000000)",
        "SELECT replace(repeat('x', 10000000), 'x', repeat('y', 1000))",
        "SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000), 'g')",
        "SELECT levenshtein(repeat('x', 1000000), repeat('y', 1000000))",
        "SELECT array_to_string(array_repeat('x', 100000), repeat('y', 10000))",
    ] {
        let error = engine.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.to_string().contains("16 MiB allowed"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn values_of_rows_are_bounded() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 8_000).await;
    let engine = fixture.engine_with(EngineOptions {
        memory_limit: 256 * 1024 * 1024,
        target_partitions: 2,
        ..EngineOptions::default()
    });
    for sql in [
        // Each value is short enough; all of a batch are not.
        "SELECT max(length(repeat(sql, 1000))) FROM statements",
        "SELECT max(length(concat(repeat('x', 1000000), sql))) FROM statements",
        "SELECT max(length(repeat('x', 1000000) || sql)) FROM statements",
        "SELECT max(length(lpad(sql, 1000000))) FROM statements",
        "SELECT max(cardinality(array_repeat(sql, 10000))) FROM statements",
        // Each row's value is as long as all before it.
        "SELECT max(length(t)) FROM (SELECT string_agg(sql || sql, '') OVER (ORDER BY statement_no) AS t FROM statements)",
        "SELECT max(cardinality(t)) FROM (SELECT array_agg(sql) OVER (ORDER BY statement_no) AS t FROM statements)",
    ] {
        let error = engine.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_is_within_bounds_is_as_ever() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, 8_000).await;
    let engine = fixture.engine();
    for (sql, is) in [
        ("SELECT repeat('ab', 3) AS x", "ababab"),
        ("SELECT lpad('7', 3, '0') AS x", "007"),
        ("SELECT 'a' || NULL AS x", "null"),
        ("SELECT 'a' || 1 || 'b' AS x", "a1b"),
        ("SELECT concat('a', NULL, 'b') AS x", "ab"),
        ("SELECT array_to_string(ARRAY[1] || ARRAY[2], '-') AS x", "1-2"),
        ("SELECT regexp_replace('aaa', 'a', 'b', 'g') AS x", "bbb"),
        // In more than one part.
        ("SELECT sum(length(repeat(sql, 70))) = sum(length(sql)) * 70 AS x FROM statements", "true"),
        (
            "SELECT sum(length(replace(sql, 'x', repeat('y', 3000)))) = sum(length(sql)) AS x FROM statements WHERE sql NOT LIKE '%x%'",
            "true",
        ),
        ("SELECT count(DISTINCT job || statement_no) AS x FROM statements", "8000"),
        ("SELECT length(string_agg(sql, '' ORDER BY statement_no)) = sum(length(sql)) AS x FROM statements", "true"),
    ] {
        assert_eq!(column(&engine.sql(sql).await.expect(sql), "x"), [is], "{sql}");
    }
}
