//! What a name means that was looked up before: in prepared statements, portals, and functions that were called before.

use std::time::Instant;

use hansard_tests::wire::{bind, execute, parse, query, sync};

use crate::resolution::{APP, certain, say, scene, updated};
use crate::scene::{PATIENCE, Row, Scene, Turn, turn};

/// Plays a session, and looks at the last statement that begins so: it tells of each table that was updated since the
/// statement before, for certain or as possible, and of no other for certain. What it tells for certain.
async fn last(scene: &Scene, before: &[Turn], turns: &[Turn], begins: &str) -> Vec<String> {
    let name = scene.name();
    let mut wire = scene.session_with(&name, APP).await;
    let mut play = async |turns: &[Turn]| {
        for (bytes, ready) in turns {
            wire.send(bytes).await.unwrap();
            for _ in 0..*ready {
                wire.until(b'Z').await.unwrap();
            }
        }
    };
    play(before).await;
    updated(scene).await;
    play(turns).await;
    let updated = updated(scene).await;
    drop(wire);
    let rows = scene.recorded(&name);
    let row: &Row = rows.iter().rfind(|row| row.sql.starts_with(begins)).unwrap();
    let told = |relation: &str| {
        let is = |touch: &&crate::scene::Touch| touch.relation == relation || touch.relation == "?";
        row.opaque || row.touches.iter().any(|touch| is(&touch))
    };
    assert!(updated.iter().all(|relation| told(relation)), "updated {updated:?}: {row:#?}");
    let sure: Vec<String> = certain(row).into_iter().map(str::to_owned).collect();
    assert!(sure.iter().all(|relation| updated.contains(relation) || relation == "pg_temp.t"), "{updated:?}: {row:#?}");
    assert!(updated.is_empty() || !sure.contains(&"pg_temp.t".to_owned()), "{updated:?}: {row:#?}");
    sure
}

/// Plays it until it is told for certain, and that is told: what was made before is known when the catalog has been read again.
async fn certainly(scene: &Scene, before: &[Turn], turns: &[Turn], expected: &[&str]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let sure = last(scene, before, turns, "UPDATE").await;
        if sure == expected {
            return;
        }
        assert!(sure.is_empty() && Instant::now() < until, "{sure:?} is told");
    }
}

/// A schema of its own comes before another on the path, and has no table `t` yet.
fn path(schema: &str, behind: &str) -> Vec<Turn> {
    say(&[&format!("CREATE SCHEMA {schema}"), &format!("SET search_path = {schema}, {behind}")])
}

fn make(schema: &str) -> Turn {
    turn(&[query(format!("CREATE TABLE {schema}.t (n int); INSERT INTO {schema}.t VALUES (0)"))], 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_means_what_it_did_when_it_was_prepared() {
    let scene = scene().await;
    let sql = "UPDATE t SET n = 1";
    // By PREPARE.
    let before = [path("a1", "sp1"), say(&["PREPARE p AS UPDATE t SET n = 1"])].concat();
    assert_eq!(last(&scene, &before, &say(&["EXECUTE p"]), "EXECUTE").await, ["sp1.t"]);
    let before = [path("a2", "sp1"), say(&["PREPARE p AS UPDATE t SET n = 1"]), vec![make("a2")]].concat();
    last(&scene, &before, &say(&["EXECUTE p"]), "EXECUTE").await;
    // By Parse.
    let run = vec![turn(&[bind("", "p", &[]), execute("", 0), sync()], 1)];
    let before = [path("a3", "sp1"), vec![turn(&[parse("p", sql, &[]), sync()], 1), make("a3")]].concat();
    last(&scene, &before, &run, "UPDATE").await;
    // With another path it is looked up again. What was made of that name before is known by then.
    scene.catalog_is_read().await;
    let before = [before, say(&["SET search_path = sp2"])].concat();
    let before: Vec<Turn> =
        before.into_iter().filter(|(bytes, _)| !bytes.windows(6).any(|at| at == b"CREATE")).collect();
    certainly(&scene, &before, &run, &["sp2.t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_table_that_came_later_may_not_be_meant() {
    let scene = scene().await;
    let temporary = "CREATE TEMP TABLE t (n int)";
    let prepare = "PREPARE p AS UPDATE t SET n = 1";
    // The first one changes the path, and so what is looked up; a later one does not.
    for first in [&[][..], &["CREATE TEMP TABLE other (n int)"]] {
        let before = say(&[&["SET search_path = sp1"], first, &[prepare, temporary]].concat());
        last(&scene, &before, &say(&["EXECUTE p"]), "EXECUTE").await;
    }
    // What it meant in between counts.
    let texts = ["SET search_path = sp1", temporary, prepare, "DROP TABLE t", "EXECUTE p", temporary];
    last(&scene, &say(&texts), &say(&["EXECUTE p"]), "EXECUTE").await;
    // One that was there before is meant.
    let before = say(&["SET search_path = sp1", temporary, prepare]);
    assert_eq!(last(&scene, &before, &say(&["EXECUTE p"]), "EXECUTE").await, ["pg_temp.t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_looked_up_while_a_name_was_gone_stays_when_a_rollback_gives_it_back() {
    let scene = scene().await;
    for (schema, gone) in [("r1", "DROP TABLE r1.t"), ("r2", "ALTER TABLE r2.t RENAME TO away")] {
        let prepare = ["BEGIN", "SAVEPOINT s", gone, "PREPARE p AS UPDATE t SET n = 1", "ROLLBACK TO s", "COMMIT"];
        let before = [path(schema, "sp1"), vec![make(schema)], say(&prepare)].concat();
        let sure = last(&scene, &before, &say(&["EXECUTE p"]), "EXECUTE").await;
        assert_eq!(sure, [""; 0], "PostgreSQL goes by what the name meant without {schema}.t");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_runs_what_it_was_bound_to() {
    let scene = scene().await;
    let sql = "UPDATE t SET n = 1";
    let bound = vec![turn(&[parse("p", sql, &[]), bind("c", "p", &[]), sync()], 1)];
    let run = vec![turn(&[execute("c", 0), sync()], 1), turn(&[query("COMMIT")], 1)];
    let begin = say(&["SET search_path = sp1", "BEGIN"]);
    assert_eq!(last(&scene, &[begin.clone(), bound.clone()].concat(), &run, "UPDATE").await, ["sp1.t"]);
    for between in [
        "SET search_path = sp2",
        "SET LOCAL search_path = sp2",
        "CREATE TEMP TABLE t (n int)",
        "SELECT set_config('search_path', 'sp2', false)",
        "DO $$ BEGIN SET search_path = sp2; END $$",
    ] {
        last(&scene, &[begin.clone(), bound.clone(), say(&[between])].concat(), &run, "UPDATE").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_keeps_what_its_names_meant_when_it_was_called_first() {
    let scene = scene().await;
    for (schema, language) in [("f1", "plpgsql"), ("f2", "sql")] {
        let body = if language == "sql" { "UPDATE t SET n = 1" } else { "BEGIN UPDATE t SET n = 1; END" };
        let create = format!("CREATE PROCEDURE {schema}.p() LANGUAGE {language} AS $$ {body} $$");
        let calls = [path(schema, "sp1"), say(&[&create]), say(&["CALL p()"])].concat();
        let before = [calls, vec![make(schema)]].concat();
        last(&scene, &before, &say(&["CALL p()"]), "CALL").await;
    }
    // A trigger's.
    let own = [
        "CREATE FUNCTION f3.g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET n = 1; RETURN NULL; END $$",
        "CREATE TABLE f3.fires (n int)",
        "CREATE TRIGGER g AFTER INSERT ON f3.fires FOR EACH ROW EXECUTE FUNCTION f3.g()",
        "INSERT INTO f3.fires VALUES (1)",
    ];
    let before = [path("f3", "sp1"), say(&own), vec![make("f3")]].concat();
    last(&scene, &before, &say(&["INSERT INTO f3.fires VALUES (2)"]), "INSERT INTO f3.fires").await;
    // The catalog has them all by then.
    scene.catalog_is_read().await;
    let before = [
        path("f4", "sp1"),
        say(&["CREATE PROCEDURE f4.p() LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET n = 1; END $$", "CALL p()"]),
    ]
    .concat();
    let name = scene.name();
    let mut wire = scene.session_with(&name, APP).await;
    for (bytes, _) in before.iter().chain([&make("f4")]) {
        wire.send(bytes).await.unwrap();
        wire.until(b'Z').await.unwrap();
    }
    scene.catalog_is_read().await;
    updated(&scene).await;
    wire.query("CALL p()").await.unwrap();
    assert_eq!(updated(&scene).await, ["sp1.t"]);
    drop(wire);
    let rows = scene.recorded(&name);
    let row = rows.iter().rfind(|row| row.sql.starts_with("CALL")).unwrap();
    assert!(!certain(row).contains(&"f4.t"), "{row:#?}");
    assert!(row.touches.iter().any(|touch| touch.relation == "sp1.t" || touch.relation == "?"), "{row:#?}");
}
