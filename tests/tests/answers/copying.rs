//! Sync and Flush while the server copies, and after a copy has failed.

use hansard_tests::wire::{copy_data, copy_done, copy_fail, extended, flush, query, sync};

use crate::scene::{Scene, Turn, turn, update};

const COPY: &str = "COPY public.copied FROM STDIN";

fn then(first: Vec<Vec<u8>>, ready: usize, rest: &[String]) -> Vec<Turn> {
    let rest = rest.iter().map(|sql| turn(&[query(sql)], 1));
    [turn(&first, ready)].into_iter().chain(rest).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_failed_copy_with_a_sync_inside_it_is_recorded() {
    let scene = Scene::start().await;
    let bad = || copy_data("bad\n");
    let ways = [
        ("a Sync", vec![extended(COPY), sync(), bad(), copy_done(), sync()]),
        ("a Flush", vec![extended(COPY), flush(), bad(), copy_done(), sync()]),
        ("two Syncs", vec![extended(COPY), sync(), copy_data("1\n"), sync(), bad(), copy_done(), sync()]),
        ("CopyFail", vec![extended(COPY), sync(), copy_data("1\n"), copy_fail(), sync()]),
    ];
    for (way, copy) in ways {
        let rest = [
            update("one"),
            update("two"),
            "CREATE TABLE public.fleeting (n int)".to_owned(),
            "DROP TABLE public.fleeting".to_owned(),
            update("three"),
        ];
        let told = scene.run(&then(copy, 1, &rest)).await;
        told.updated_by(&["one", "two", "three"]);
        let copy = told.statement(COPY);
        assert!(copy.sqlstate.is_some() && copy.outcome == "rolled back", "{way}: {copy:?}");
        for ddl in ["CREATE", "DROP"] {
            assert_eq!(told.statement(ddl).outcome, "committed", "{way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_inside_a_simple_copy_is_answered_by_nothing() {
    let scene = Scene::start().await;
    let inside = [
        vec![sync(), copy_data("1\n"), copy_done()],
        vec![flush(), copy_data("1\n"), sync(), sync(), copy_done()],
        vec![copy_data("1\n"), copy_data("2\n"), sync(), copy_done()],
    ];
    for inside in inside {
        let copy = [vec![query(COPY)], inside].concat();
        let told = scene.run(&then(copy, 1, &["SELECT 1/0".to_owned(), update("after")])).await;
        told.updated_by(&["after"]);
        assert_eq!(told.statement("1/0").sqlstate.as_deref(), Some("22012"));
        assert_eq!(told.statement(COPY).outcome, "committed");
    }
    // In one write with what follows.
    let all = [query(COPY), sync(), copy_data("1\n"), copy_done(), query("SELECT 1/0"), query(update("after"))];
    let told = scene.run(&[turn(&all, 3)]).await;
    told.updated_by(&["after"]);
    assert_eq!(told.statement("1/0").sqlstate.as_deref(), Some("22012"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_behind_a_copy_keeps_each_answer_with_its_statement() {
    let scene = Scene::start().await;
    let copy = [extended(COPY), copy_data("1\n"), copy_done(), sync()];
    let rest =
        [extended("SELECT 1/0 /* a */"), sync(), extended(update("x")), sync(), extended("SELECT 1/0 /* b */"), sync()];
    let told = scene.run(&[turn(&[&copy[..], &rest].concat(), 4)]).await;
    told.updated_by(&["x"]);
    for failed in ["/* a */", "/* b */"] {
        assert_eq!(told.statement(failed).sqlstate.as_deref(), Some("22012"));
    }
    assert_eq!((told.statement(COPY).rows, told.statement(COPY).outcome.as_str()), (Some(1), "committed"));
    // Behind two copies, and behind one that has failed.
    let told = scene.run(&[turn(&[&copy[..], &copy, &rest].concat(), 5)]).await;
    told.updated_by(&["x"]);
    let failing = [extended(COPY), copy_data("bad\n"), copy_done(), sync()];
    let told = scene.run(&[turn(&[&failing[..], &rest].concat(), 4)]).await;
    told.updated_by(&["x"]);
    assert_eq!(told.statement(COPY).sqlstate.as_deref(), Some("22P02"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_copy_skips_to_is_the_next_sync() {
    let scene = Scene::start().await;
    let failing = [extended(COPY), sync(), copy_data("bad\n"), copy_done(), sync()];
    let told = scene.run(&[turn(&[&failing[..], &[extended(update("after")), sync()]].concat(), 2)]).await;
    told.updated_by(&["after"]);
    // Without a Sync of its own, it takes what follows along.
    let failing = [extended(COPY), copy_data("bad\n"), copy_done(), extended(update("skipped")), sync()];
    let told = scene.run(&[turn(&failing, 1), turn(&[query(update("after"))], 1)]).await;
    told.updated_by(&["after"]);
    assert!(told.statements("skipped").iter().all(|row| row.outcome == "rolled back"), "{:?}", told.rows);
    // And a simple copy takes nothing along.
    let failing = [query(COPY), copy_data("bad\n"), copy_done(), extended(update("after")), sync()];
    let told = scene.run(&[turn(&failing, 2)]).await;
    told.updated_by(&["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_among_other_statements_of_one_text_have_their_own_data() {
    let scene = Scene::start().await;
    let text = format!("{}; {COPY} /* one */; {COPY} /* two */; {}", update("before"), update("behind"));
    let copies = [query(text), copy_data("1\n"), copy_done(), copy_data("2\n3\n"), sync(), copy_done()];
    let told = scene.run(&[turn(&copies, 1), turn(&[query(update("after"))], 1)]).await;
    told.statement("before").updated();
    told.statement("behind").updated();
    told.statement("after").updated();
    assert_eq!((told.statement("one").rows, told.statement("two").rows), (Some(1), Some(2)));
    assert_eq!(told.updates, 3);
}
