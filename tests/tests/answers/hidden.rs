//! Code that no text calls by its name: behind types, definitions, views, policies, operators that the syntax means. Whatever
//! is changed by it has a row in the record.

use hansard_tests::wire::Wire;

use crate::resolution::{APP, scene};
use crate::scene::{Row, Scene};

/// Functions that note a number in `s.log`, and what calls them.
const SETUP: &str = "
CREATE SCHEMA s AUTHORIZATION app;
SET ROLE app;
CREATE TABLE s.log (n int);
CREATE FUNCTION s.w(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO s.log VALUES ($1); RETURN true; END';
CREATE FUNCTION s.iw(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN s.w($1); END';
CREATE DOMAIN s.d AS int CHECK (s.w(VALUE));
CREATE TYPE s.c AS (n s.d);
CREATE TABLE s.plain (n int);
INSERT INTO s.plain VALUES (7);
CREATE TABLE s.typed (n s.d);
INSERT INTO s.typed VALUES (7);
CREATE TABLE s.indexed (n int);
INSERT INTO s.indexed VALUES (7);
CREATE INDEX ON s.indexed (s.iw(n));
CREATE TABLE s.parted (n int) PARTITION BY LIST (n);
CREATE TABLE s.rest PARTITION OF s.parted DEFAULT;
CREATE FUNCTION s.same(int, int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN s.w($1); END';
CREATE OPERATOR s.= (FUNCTION = s.same, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR s.>= (FUNCTION = s.same, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION s.fo(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR s.|-| (FUNCTION = s.fo, LEFTARG = int, RIGHTARG = int);
CREATE DOMAIN s.json AS int CHECK (s.w(VALUE));
TRUNCATE s.log;
RESET ROLE;
";

async fn prepared() -> Scene {
    let scene = scene().await;
    scene.superuser.batch_execute(SETUP).await.unwrap();
    scene.catalog_is_read().await;
    scene
}

/// How often something was noted since the last time.
async fn noted(scene: &Scene) -> i64 {
    let count = scene.superuser.query_one("SELECT count(*) FROM s.log", &[]).await.unwrap().get(0);
    scene.superuser.batch_execute("TRUNCATE s.log").await.unwrap();
    count
}

fn tells_of_log(row: &Row) -> bool {
    row.opaque || row.touches.iter().any(|touch| matches!(touch.relation.as_str(), "s.log" | "?" | "?.log"))
}

/// Sessions say these texts, each list in one of its own; of the last of a list, which notes something, the record tells.
async fn are_told(lists: &[&[&str]]) {
    let scene = prepared().await;
    let mut failed = Vec::new();
    for texts in lists {
        let (last, before) = texts.split_last().unwrap();
        let name = scene.name();
        let mut wire: Wire = scene.session_with(&name, APP).await;
        for sql in before {
            wire.query(sql).await.unwrap();
        }
        noted(&scene).await;
        wire.query(last).await.unwrap();
        drop(wire);
        let rows = scene.recorded(&name);
        let row = rows.iter().rfind(|row| row.sql == *last);
        let told = row.is_some_and(|row| row.sqlstate.is_none() && tells_of_log(row));
        if noted(&scene).await == 0 || !told {
            failed.push(format!("{texts:?}: {row:#?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_domain_that_nobody_casts_to_are_told() {
    are_told(&[
        &["DO $$ DECLARE v s.d := 5; BEGIN NULL; END $$"][..],
        &["DO $$ DECLARE v s.typed.n%TYPE := 5; BEGIN NULL; END $$"],
        &["DO $$ DECLARE v s.c; BEGIN v.n := 5; END $$"],
        &["DO $$ DECLARE v s.d[]; BEGIN v := ARRAY[5]; END $$"],
        &["CREATE FUNCTION s.r1() RETURNS s.d LANGUAGE plpgsql AS 'BEGIN RETURN 5; END'", "SELECT s.r1()"],
        &["CREATE FUNCTION s.r2() RETURNS s.d LANGUAGE sql AS 'SELECT 5'", "SELECT s.r2()"],
        &["CREATE FUNCTION s.a1(s.d) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'", "SELECT s.a1(5)"],
        &["CREATE PROCEDURE s.p1(INOUT a s.d) LANGUAGE plpgsql AS 'BEGIN a := 6; END'", "CALL s.p1(5)"],
        &["PREPARE q(s.d) AS SELECT $1", "EXECUTE q(5)"],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_definitions_and_maintenance_evaluate_is_told() {
    are_told(&[
        &["ALTER DOMAIN s.d ADD CONSTRAINT more CHECK (s.w(VALUE + 1))"][..],
        &[
            "ALTER DOMAIN s.d ADD CONSTRAINT late CHECK (s.w(VALUE + 2)) NOT VALID",
            "ALTER DOMAIN s.d VALIDATE CONSTRAINT late",
        ],
        &["ALTER TABLE s.plain ADD CONSTRAINT k CHECK (s.w(n)) NOT VALID", "ALTER TABLE s.plain VALIDATE CONSTRAINT k"],
        &["ALTER TABLE s.plain ADD COLUMN m s.d DEFAULT 5"],
        &["ALTER TABLE s.indexed ALTER n TYPE int USING n + 0"],
        &["ALTER TABLE s.indexed SET UNLOGGED"],
        &["CREATE TABLE s.p1 PARTITION OF s.parted FOR VALUES IN (s.iw(5)::int)"],
        &["ANALYZE s.indexed"],
        &["ANALYZE"],
        &["REINDEX SCHEMA s"],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_or_a_policy_that_has_just_been_made_is_told_where_it_is_read() {
    are_told(&[
        &["CREATE VIEW s.v1 AS SELECT s.w(1)", "SELECT * FROM s.v1"][..],
        &["CREATE OR REPLACE VIEW s.v1 AS SELECT s.w(2)", "TABLE s.v1"],
        &["CREATE TEMP VIEW v2 AS SELECT s.w(1)", "SELECT * FROM v2"],
        &["CREATE VIEW s.v3 AS SELECT s.w(1)", "COPY (SELECT * FROM s.v3) TO STDOUT"],
        &["CREATE MATERIALIZED VIEW s.m AS SELECT s.w(1)", "REFRESH MATERIALIZED VIEW s.m"],
        &[
            "CREATE POLICY p ON s.plain USING (s.w(n)); ALTER TABLE s.plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "SELECT * FROM s.plain",
        ],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_nobody_writes_and_functions_behind_operators_are_told() {
    let path = "SET search_path = s, pg_catalog";
    let replaced =
        "CREATE OR REPLACE FUNCTION s.fo(int, int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN s.w($1); END'";
    are_told(&[
        &[path, "SELECT CASE 5 WHEN 6 THEN 7 END"],
        &[path, "SELECT 5 IN (SELECT 6)"],
        &[path, "SELECT 5 NOT IN (SELECT 6)"],
        &[path, "SELECT 1 FROM (VALUES (5)) a (k) JOIN (VALUES (6)) b (k) USING (k)"],
        &[path, "SELECT 1 FROM (VALUES (5)) a (k) NATURAL JOIN (VALUES (6)) b (k)"],
        &[path, "SELECT 5 BETWEEN 6 AND 7"],
        &[path, "SELECT '5'::json"],
        &[replaced, "SELECT 5 OPERATOR(s.|-|) 5"],
    ])
    .await;
}
