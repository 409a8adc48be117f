//! Names of prepared statements and portals: which statement is run by Bind, EXECUTE and FETCH.

use hansard_tests::wire::{bind, close, execute, extended, flush, parse, query, sync};

use crate::scene::{Scene, turn, update};

const X63: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

fn run(name: impl AsRef<[u8]>) -> Vec<u8> {
    [bind("", name, &[]), execute("", 0)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_keeps_its_meaning() {
    let scene = Scene::start().await;
    let told = scene
        .run(&[
            turn(&[parse("n", update("first"), &[]), sync()], 1),
            turn(&[parse("n", "SELECT 1", &[]), sync(), run("n"), sync()], 2),
        ])
        .await;
    told.updated_by(&["first"]);
    // In one group, the duplicate takes the rest of it along.
    let told = scene
        .run(&[
            turn(&[parse("p", update("first"), &[]), parse("p", update("second"), &[]), sync()], 1),
            turn(&[run("p"), sync()], 1),
        ])
        .await;
    told.updated_by(&["first"]);
    // The unnamed statement is never taken.
    let told =
        scene.run(&[turn(&[parse("", "SELECT 1", &[]), parse("", update("second"), &[]), run(""), sync()], 1)]).await;
    told.updated_by(&["second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_and_sql_share_their_prepared_statements() {
    let scene = Scene::start().await;
    let told = scene
        .run(&[
            turn(&[parse("p", "SELECT 1", &[]), sync()], 1),
            turn(&[query("DEALLOCATE p")], 1),
            turn(&[query(format!("PREPARE p AS {}", update("prepared")))], 1),
            turn(&[run("p"), sync()], 1),
        ])
        .await;
    assert_eq!(told.updates, 1);
    let updates: Vec<_> = told.rows.iter().filter(|row| row.says("committed")).collect();
    assert!(updates.len() == 1 && updates[0].rows == Some(5), "{:#?}", told.rows);
    // Prepared by SQL, closed and parsed again by the protocol, executed by SQL.
    let told = scene
        .run(&[
            turn(&[query("PREPARE s AS SELECT 1")], 1),
            turn(&[close(b'S', "s"), parse("s", update("parsed"), &[]), sync()], 1),
            turn(&[query("EXECUTE s /* run */")], 1),
        ])
        .await;
    told.updated_by(&["run"]);
    // Prepared by SQL, run by the protocol; and the other way round.
    let told =
        scene.run(&[turn(&[query(format!("PREPARE p AS {}", update("x")))], 1), turn(&[run("p"), sync()], 1)]).await;
    assert_eq!(
        (told.updates, told.rows.iter().filter(|row| row.says("committed")).count()),
        (1, 1),
        "{:#?}",
        told.rows
    );
    let told =
        scene.run(&[turn(&[parse("p", update("x"), &[]), sync()], 1), turn(&[query("EXECUTE p /* run */")], 1)]).await;
    told.updated_by(&["run"]);
    for forget in ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE PREPARE p"] {
        let told = scene
            .run(&[
                turn(&[parse("p", "SELECT 1", &[]), sync()], 1),
                turn(&[query(forget)], 1),
                turn(&[parse("p", update("anew"), &[]), sync(), run("p"), sync()], 2),
            ])
            .await;
        told.updated_by(&["anew"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_cut_as_the_server_cuts_them() {
    let scene = Scene::start().await;
    let told = scene
        .run(&[
            turn(&[query(format!("PREPARE \"{X63}1\" AS {}", update("cut")))], 1),
            turn(&[query(format!("EXECUTE \"{X63}2\" /* run */"))], 1),
        ])
        .await;
    told.updated_by(&["run"]);
    // The protocol's names are as long as they are sent.
    let told = scene
        .run(&[
            turn(&[parse(format!("{X63}1"), update("cut"), &[]), sync()], 1),
            turn(&[run(format!("{X63}2")), sync()], 1),
            turn(&[run(format!("{X63}1")), sync()], 1),
        ])
        .await;
    let said = told.rows.iter().filter(|row| row.says("committed")).count();
    assert_eq!(i64::try_from(said).unwrap(), told.updates, "{:#?}", told.rows);
    assert!(told.updates > 0);
    // And unquoted ones are in small letters.
    let told = scene
        .run(&[turn(&[parse("p", update("small"), &[]), sync()], 1), turn(&[query("EXECUTE P /* run */")], 1)])
        .await;
    told.updated_by(&["run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_longer_than_any_buffer_is_read_whole() {
    let scene = Scene::start().await;
    // Execute takes no more than 10,000 bytes, but the server knows a portal by its first 63.
    let long = "p".repeat(400_000);
    let known = &long[..63];
    let told = scene
        .run(&[
            turn(&[parse("s", update("named"), &[]), parse("", "SELECT 1", &[]), sync()], 1),
            turn(&[bind(&long, "s", &[]), execute(known, 0), sync()], 1),
            turn(&[bind("", "", &[]), bind(&long, "s", &[]), execute(known, 0), sync()], 1),
        ])
        .await;
    assert_eq!(told.updates, 2);
    let named = told.statements("named");
    assert_eq!(named.len(), 2, "{:#?}", told.rows);
    named.iter().for_each(|row| row.updated());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_bytes() {
    let scene = Scene::start().await;
    let latin1 = || turn(&[query("SET client_encoding = 'LATIN1'")], 1);
    let told = scene
        .run(&[
            latin1(),
            turn(&[parse(b"\xe9", update("acute"), &[]), parse(b"\xe8", "SELECT 1", &[]), sync()], 1),
            turn(&[run(b"\xe9"), sync()], 1),
        ])
        .await;
    told.updated_by(&["acute"]);
    // The same name in two encodings.
    let told = scene
        .run(&[
            latin1(),
            turn(&[parse(b"\xe9", update("acute"), &[]), sync()], 1),
            turn(&[query("SET client_encoding = 'UTF8'")], 1),
            turn(&[run("\u{e9}"), sync()], 1),
        ])
        .await;
    told.updated_by(&["acute"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_sql_fetches_from_is_run_by_it() {
    let scene = Scene::start().await;
    let returning = format!("{} RETURNING id", update("portal"));
    let bound = || [parse("", &returning, &[]), bind("c", "", &[])].concat();
    let told = scene.run(&[turn(&[bound(), query("FETCH ALL FROM c")], 1)]).await;
    assert_eq!(told.updates, 1);
    assert!(told.rows.iter().any(|row| row.says("committed")), "{:#?}", told.rows);
    for read in ["FETCH ALL FROM c", "FETCH 1 FROM c", "MOVE ALL IN c"] {
        let told = scene
            .run(&[turn(&[query("BEGIN"), bound(), flush()], 1), turn(&[query(read)], 1), turn(&[query("COMMIT")], 1)])
            .await;
        assert_eq!(told.updates, 1, "{read}");
        assert!(told.rows.iter().any(|row| row.says("committed")), "{read}: {:#?}", told.rows);
    }
    // Bound, and nobody reads from it.
    let told = scene.run(&[turn(&[query("BEGIN"), bound(), sync(), query("COMMIT")], 3)]).await;
    assert_eq!((told.updates, told.rows.iter().any(|row| row.says("committed"))), (0, false), "{:#?}", told.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_executed_again_keeps_what_it_did() {
    let scene = Scene::start().await;
    let select = "SELECT g FROM generate_series(1, 5) AS g";
    let rows =
        |told: &crate::scene::Told| told.statements("generate_series").iter().filter_map(|row| row.rows).sum::<i64>();
    for counts in [&[0, 0][..], &[2, 0, 0], &[2, 2, 2], &[5, 1]] {
        let executes = counts.iter().map(|count| execute("c", *count)).collect::<Vec<_>>();
        let group = [vec![parse("", select, &[]), bind("c", "", &[])], executes, vec![sync()]].concat();
        let told = scene.run(&[turn(&group, 1)]).await;
        assert_eq!(rows(&told), 5, "{counts:?}: {:#?}", told.rows);
    }
    let returning = format!("{} RETURNING id", update("returning"));
    let group = [extended("BEGIN"), parse("", returning, &[]), bind("c", "", &[]), execute("c", 2), execute("c", 0)];
    let told = scene.run(&[turn(&[&group[..], &[extended("COMMIT"), sync()]].concat(), 1)]).await;
    assert_eq!(told.updates, 1);
    assert!(told.statements("returning").iter().any(|row| row.says("committed")), "{:#?}", told.rows);
}
