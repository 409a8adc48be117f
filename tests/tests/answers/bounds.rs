//! What a job's bytes cost in rows and memory: no more than a few times themselves.

use hansard_tests::usage::usage;
use hansard_tests::wire::{bind, execute, extended, parse, query, sync, terminate};

use crate::scene::{PATIENCE, Scene, Turn, turn, update};

/// More than what an unoptimised build needs for any of this, buffers and the question at the end included; unbounded
/// state took gigabytes.
const MORE: u64 = 320 * 1024 * 1024;

/// Plays turns, and says how much more memory Hansard has used at its most.
async fn cost(scene: &Scene, turns: &[Turn]) -> (String, u64) {
    // Whatever is only once set up is set up.
    scene.run(&[turn(&[query(update("first"))], 1), turn(&[extended(update("second")), sync()], 1)]).await;
    let before = usage(scene.hansard.id()).unwrap().resident;
    let name = scene.name();
    let wire = scene.session(&name).await;
    let (mut read, mut write) = wire.stream.into_split();
    let bytes = [turns.iter().flat_map(|(bytes, _)| bytes.clone()).collect(), terminate()].concat();
    let sent = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut write, &bytes).await.unwrap();
        write
    });
    let mut nowhere = tokio::io::sink();
    let read = tokio::io::copy(&mut read, &mut nowhere);
    tokio::time::timeout(PATIENCE * 2, read).await.expect("the session ends").unwrap();
    drop(sent.await.unwrap());
    // Until it is written, which costs too; nothing is asked before, for an answer may cost what it likes.
    assert_eq!(scene.count(&name, "sessions", "complete"), 1);
    let after = usage(scene.hansard.id()).unwrap().peak;
    (name, after.saturating_sub(before))
}

fn assert_small(more: u64) {
    assert!(more < MORE, "{} MiB more", more / 1024 / 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_text_executed_often_is_kept_once() {
    let scene = Scene::start().await;
    let sql = format!("SELECT 1 /* {} */", "x".repeat(900_000));
    let mut turns = vec![turn(&[parse("p", sql, &[]), sync()], 1)];
    turns.extend((0..3000).map(|_| turn(&[bind("", "p", &[]), execute("", 0), sync()], 1)));
    let (name, more) = cost(&scene, &turns).await;
    assert_eq!(scene.count(&name, "statements", "operation = 'select' AND rows = 1"), 3000);
    assert_small(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_many_statements_is_exact_in_bounded_memory() {
    let scene = Scene::start().await;
    scene.superuser.batch_execute("CREATE TABLE lines (n int); GRANT ALL ON lines TO app").await.unwrap();
    let sql = "INSERT INTO public.lines VALUES (1)";
    let mut turns = vec![turn(&[query("BEGIN"), parse("p", sql, &[]), sync()], 2)];
    turns.extend((0..60_000).map(|_| turn(&[bind("", "p", &[]), execute("", 0)], 0)));
    turns.push(turn(&[sync(), query("COMMIT")], 2));
    let (_, more) = cost(&scene, &turns).await;
    let counted = scene
        .config
        .sql(
            "SELECT transaction_outcome, count(*) AS n, sum(rows) AS rows FROM touches \
             WHERE relation = 'public.lines' GROUP BY transaction_outcome",
        )
        .unwrap();
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!(
        (&counted[0]["transaction_outcome"], counted[0]["n"].as_i64(), counted[0]["rows"].as_i64()),
        (&"committed".into(), Some(60_000), Some(60_000))
    );
    assert_small(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_fail_are_each_recorded() {
    let scene = Scene::start().await;
    let turns: Vec<Turn> = (0..12_000).map(|_| turn(&[parse("", "x", &[]), sync()], 1)).collect();
    let (name, more) = cost(&scene, &turns).await;
    assert_eq!(scene.count(&name, "statements", "sqlstate = '42601'"), 12_000);
    assert_small(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_very_many_relations_or_statements_is_told_in_bounded_rows() {
    let scene = Scene::start().await;
    // None of them is there, so that it costs the database nothing.
    let relations = (0..110_000).map(|n| format!("a{n}")).collect::<Vec<_>>().join(",");
    let (name, more) = cost(&scene, &[turn(&[query(format!("SELECT FROM {relations}"))], 1)]).await;
    assert_eq!(scene.count(&name, "statements", "sqlstate IS NOT NULL"), 1);
    let touches = scene.count(&name, "touches", "true");
    assert!(touches <= 10_000, "{touches} rows of touches");
    assert_small(more);
    let statements = "SELECT;".repeat(100_000);
    let (name, more) = cost(&scene, &[turn(&[query(format!("{}; {statements}", update("head")))], 1)]).await;
    let said = scene.count(&name, "touches", "relation = 'public.rankings' AND operation = 'update'");
    let may = scene.count(
        &name,
        "touches",
        "relation = '?' AND operation = 'update' AND certainty = 'possible' AND transaction_outcome <> 'rolled back'",
    );
    assert!(said + may > 0, "the update is told, or that something may have been updated");
    assert_small(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_many_relations_executed_often_costs_what_its_bytes_cost() {
    let scene = Scene::start().await;
    let tables = (0..200).map(|n| format!("CREATE TABLE public.t{n} (n int);")).collect::<String>();
    scene.superuser.batch_execute(&format!("{tables} GRANT ALL ON ALL TABLES IN SCHEMA public TO app")).await.unwrap();
    let relations = (0..200).map(|n| format!("public.t{n}")).collect::<Vec<_>>().join(" UNION ALL SELECT n FROM ");
    let mut turns = vec![turn(&[query("BEGIN"), query(format!("PREPARE p AS SELECT n FROM {relations}"))], 2)];
    turns.extend((0..3000).map(|_| turn(&[query("EXECUTE p")], 1)));
    turns.push(turn(&[query("COMMIT")], 1));
    let (name, more) = cost(&scene, &turns).await;
    assert_eq!(scene.count(&name, "statements", "sql = 'EXECUTE p' AND transaction_outcome = 'committed'"), 3000);
    assert_small(more);
}
