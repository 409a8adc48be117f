//! What became of a transaction: what commits inside a statement, two phases, and what ends in the middle.

use hansard_tests::wire::{bind, execute, extended, parse, query, sync};

use crate::scene::{Scene, UPDATE, turn, update};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_inside_a_pipeline_decides_for_what_came_before() {
    let scene = Scene::start().await;
    let pipeline =
        |inside: &str, last: &str| turn(&[extended(update("early")), extended(inside), extended(last), sync()], 1);
    let told = scene.run(&[pipeline("DO $$ BEGIN COMMIT; END $$", "SELECT 1/0")]).await;
    assert_eq!(told.updates, 1);
    let early = told.statement("early");
    assert!(early.says("committed") || early.may_have_updated(), "{early:?}");
    let told = scene.run(&[pipeline("DO $$ BEGIN ROLLBACK; END $$", "SELECT 1")]).await;
    assert_eq!(told.updates, 0);
    assert!(!told.statement("early").says("committed"), "{:?}", told.statement("early"));
    // What does nothing of the kind leaves nothing unsure behind.
    let told = scene.run(&[pipeline("SELECT 2", "SELECT 1")]).await;
    told.updated_by(&["early"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_block_or_procedure_committed_before_it_failed_is_not_rolled_back() {
    let scene = Scene::start().await;
    let texts = [
        format!("DO $$ BEGIN {UPDATE}; COMMIT; RAISE EXCEPTION 'x'; END $$"),
        "CALL public.commit_and_fail()".to_owned(),
        format!("DO $$ BEGIN {UPDATE}; COMMIT; {UPDATE}; PERFORM 1/0; END $$"),
        format!("DO $$ BEGIN {UPDATE}; COMMIT; END $$"),
    ];
    for text in texts {
        for turn in [turn(&[query(&text)], 1), turn(&[extended(&text), sync()], 1)] {
            let told = scene.run(&[turn]).await;
            assert_eq!(told.updates, 1, "{text}");
            let row = &told.rows[0];
            assert!(row.says("committed") || row.may_have_updated(), "{row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phases_are_followed_to_their_end() {
    let scene = Scene::start().await;
    let simple = |sql: &str| turn(&[query(sql)], 1);
    for (verb, updates, outcome) in [("COMMIT", 1, "committed"), ("ROLLBACK", 0, "rolled back")] {
        scene.catalog_is_read().await;
        let first = ["BEGIN", &update("phases"), "PREPARE TRANSACTION 'x'"].map(simple);
        let end = simple(&format!("{verb} PREPARED 'x'"));
        let told = scene.run(&[&first[..], std::slice::from_ref(&end)].concat()).await;
        assert_eq!(told.updates, updates);
        assert!(told.statement("phases").says(outcome), "{verb}: {:?}", told.statement("phases"));
        // Whatever a prepared transaction changed may be another relation now.
        scene.catalog_is_read().await;
        // Resolved by another session, when the first is gone.
        let name = scene.name();
        let mut wire = scene.session(&name).await;
        for (bytes, _) in first {
            wire.send(&bytes).await.unwrap();
            wire.until(b'Z').await.unwrap();
        }
        drop(wire);
        scene.nobody_is_left().await;
        scene.run(&[end]).await;
        let row = &scene.recorded(&name)[1];
        assert!(row.says(outcome), "{verb}: {row:?}");
    }
    // Resolved past Hansard: nobody knows.
    let name = scene.name();
    let mut wire = scene.session(&name).await;
    for sql in ["BEGIN", &update("phases"), "PREPARE TRANSACTION 'y'"] {
        wire.query(sql).await.unwrap();
    }
    drop(wire);
    scene.nobody_is_left().await;
    scene.superuser.batch_execute("COMMIT PREPARED 'y'").await.unwrap();
    let row = &scene.recorded(&name)[1];
    assert!(row.may_have_updated() || row.outcome == "open", "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_error_skips_is_not_pending_for_ever() {
    let scene = Scene::start().await;
    let told = scene
        .run(&[
            turn(&[parse("", "SELEC", &[]), query(update("skipped")), sync()], 1),
            turn(&[query(update("after"))], 1),
        ])
        .await;
    told.updated_by(&["after"]);
    assert!(told.statements("skipped").iter().all(|row| row.outcome == "rolled back"), "{:#?}", told.rows);
    let skipped =
        [bind("", "nowhere", &[]), execute("", 0), extended(update("skipped")), query(update("skipped")), sync()];
    let told = scene.run(&[turn(&skipped, 1), turn(&[query(update("after"))], 1)]).await;
    told.updated_by(&["after"]);
    assert!(told.statements("skipped").iter().all(|row| row.outcome == "rolled back"), "{:#?}", told.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_and_chains_end_as_the_server_says() {
    let scene = Scene::start().await;
    let simple = |sql: &str| turn(&[query(sql)], 1);
    let sql =
        ["BEGIN", &update("kept"), "SAVEPOINT s", &update("undone"), "SAVEPOINT s", &update("inner"), "RELEASE s"];
    let rest = ["ROLLBACK TO s", "COMMIT AND CHAIN", &update("chained"), "ROLLBACK"];
    let told = scene.run(&sql.iter().chain(&rest).map(|sql| simple(sql)).collect::<Vec<_>>()).await;
    assert_eq!(told.updates, 1);
    for (word, outcome) in
        [("kept", "committed"), ("undone", "rolled back"), ("inner", "rolled back"), ("chained", "rolled back")]
    {
        assert!(told.statement(word).says(outcome), "{:?}", told.statement(word));
    }
    // COMMIT of a transaction that has failed.
    let told = scene.run(&["BEGIN", &update("failed"), "SELECT 1/0", "COMMIT"].map(simple)).await;
    assert_eq!((told.updates, told.statement("failed").says("rolled back")), (0, true), "{:#?}", told.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_updated_shows_what_may_have_been() {
    let scene = Scene::start().await;
    let texts = [
        format!("DO $$ BEGIN {UPDATE}; COMMIT; RAISE EXCEPTION 'x'; END $$"),
        format!("DO $$ BEGIN EXECUTE '{UPDATE}'; END $$"),
        "CALL public.commit_and_fail()".to_owned(),
        // A word that is reserved since version 16 only.
        "UPDATE public.rankings AS system_user SET score = score + 1".to_owned(),
        update("plain"),
    ];
    for text in &texts {
        assert_eq!(scene.run(&[turn(&[query(text)], 1)]).await.updates, 1, "{text}");
    }
    let now = jiff::Timestamp::now().to_string();
    let answer = scene.config.rows("who-updated", &["public.rankings", "--at", &now, "--window", "10m"]).unwrap();
    for text in &texts {
        let row = answer.iter().find(|row| row["sql"] == text.as_str());
        let row = row.unwrap_or_else(|| panic!("{text} is not in the answer: {answer:#?}"));
        assert_ne!(row["transaction_outcome"], "rolled back", "{row}");
        if !text.contains("plain") {
            let sure = row["transaction_outcome"] == "committed" && row["certainty"] == "certain";
            assert!(sure || row["reason"].is_string() || row["outcome_reason"].is_string(), "{row}");
        }
    }
    // And with its own word where nothing is unsure.
    let plain: Vec<_> = answer.iter().filter(|row| row["sql"] == texts[4].as_str()).collect();
    assert_eq!(
        (plain.len(), &plain[0]["transaction_outcome"], &plain[0]["relation"]),
        (1, &"committed".into(), &"public.rankings".into())
    );
}
