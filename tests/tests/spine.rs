//! The main job, end to end: a job works through the proxy, and the record says who did it. On both event logs.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::time::Duration;

use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Nats, Postgres, eventually, lake};
use serde_json::Value;

/// The minute that it is now, as somebody would ask for it.
fn now() -> String {
    format!("{:.19}Z", jiff::Timestamp::now().to_string())
}

async fn table(postgres: &Postgres) {
    let client = postgres.superuser("ranking").await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE rankings (film_id int PRIMARY KEY, score float8 NOT NULL); \
             INSERT INTO rankings SELECT n, 0 FROM generate_series(1, 100) AS n; GRANT ALL ON rankings TO app",
        )
        .await
        .unwrap();
}

fn who(config: &Config, at: &str) -> Vec<Value> {
    config.rows("who-updated", &["public.rankings", "--at", at, "--window", "1m"]).unwrap()
}

async fn answers_who_did_it(settings: &Settings) {
    let postgres = Postgres::start().await.unwrap();
    table(&postgres).await;
    let config = Config::new(&postgres, settings).unwrap();
    let mut hansard = config.start("up").unwrap();

    let reranker = hansard.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    let reader = hansard.connect(&config.token("rag-reader").unwrap()).await.unwrap();
    let careless = hansard.connect(&config.token("careless").unwrap()).await.unwrap();

    let at = now();
    let updated =
        reranker.execute("UPDATE rankings SET score = $1 WHERE film_id <= $2", &[&4.5_f64, &40_i32]).await.unwrap();
    assert_eq!(updated, 40);
    assert_eq!(reader.query("SELECT * FROM public.rankings WHERE score > $1", &[&4.0_f64]).await.unwrap().len(), 40);
    careless.batch_execute("BEGIN; UPDATE rankings SET score = 0; ROLLBACK").await.unwrap();
    assert!(careless.batch_execute("UPDATE rankings SET nothing = 1").await.is_err());

    // Hot: at once, with the session still open.
    let check = |rows: &[Value]| {
        assert_eq!(rows.len(), 1, "one update, and no other: {rows:#?}");
        let row = &rows[0];
        assert_eq!(row["job"], "nightly-reranker");
        assert_eq!(row["subject"], "nightly-reranker");
        assert_eq!(row["relation"], "public.rankings");
        assert_eq!(row["operation"], "update");
        assert_eq!(row["rows"], 40);
        assert_eq!(row["transaction_outcome"], "committed");
        assert_eq!(row["target"], "ranking");
        assert!(row["committed_at"].is_string(), "{row}");
        assert!(row["columns"].as_array().unwrap().iter().any(|column| column == "score"), "{row}");
        assert!(row["sql"].as_str().unwrap().contains("SET score = $1"), "{row}");
    };
    // A reply is on its way to the log for some milliseconds; until then a statement is 'open'.
    eventually("the replies are in the record", Duration::from_secs(20), || {
        let open =
            config.sql("SELECT job, sql FROM statements WHERE transaction_outcome = 'open' OR finished_at IS NULL")?;
        if open.is_empty() { Ok(()) } else { anyhow::bail!("open: {open:?}") }
    })
    .unwrap();
    check(&who(&config, &at));

    // What was rolled back is in the record as that.
    let rolled_back =
        config.sql("SELECT job, transaction_outcome FROM touches WHERE job = 'careless' AND rows = 100").unwrap();
    assert_eq!(rolled_back.len(), 1);
    assert_eq!(rolled_back[0]["transaction_outcome"], "rolled back");
    let failed = config.sql("SELECT sqlstate FROM statements WHERE job = 'careless' AND sqlstate IS NOT NULL").unwrap();
    assert_eq!(failed[0]["sqlstate"], "42703");

    drop((reranker, reader, careless));
    eventually("sessions close", Duration::from_secs(20), || {
        let open = config.sql("SELECT job FROM sessions WHERE NOT complete AND job <> 'hansard'")?;
        if open.is_empty() { Ok(()) } else { anyhow::bail!("open: {open:?}") }
    })
    .unwrap();

    // Cold: flushed and stopped, read from the files alone.
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    assert!(!lake::files(&config.data().join("lake/touches")).is_empty());
    check(&who(&config, &at));
    let mut sessions = config.rows("sessions", &[]).unwrap();
    // Hansard's own, which reads the catalog.
    sessions.retain(|session| session["job"] != "hansard");
    assert_eq!(sessions.len(), 3);
    assert!(sessions.iter().all(|session| session["complete"] == true), "{sessions:#?}");

    // A restart over the same data answers the same.
    let mut hansard = config.start("up").unwrap();
    check(&who(&config, &at));
    assert!(hansard.stop().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_names_the_job_that_did_it_embedded() {
    answers_who_did_it(&Settings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_names_the_job_that_did_it_with_nats() {
    let nats = Nats::start().unwrap();
    let event_log = nats.event_log();
    answers_who_did_it(&Settings { event_log, ..Settings::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_recorder_and_query_do_it_as_processes_of_their_own() {
    let postgres = Postgres::start().await.unwrap();
    table(&postgres).await;
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut proxy = config.start("proxy").unwrap();
    let mut recorder = config.start("record").unwrap();
    let mut query = config.start("query").unwrap();

    let job = proxy.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    let at = now();
    job.execute("UPDATE rankings SET score = 1", &[]).await.unwrap();
    assert_eq!(who(&config, &at).len(), 1, "hot, through the query process");
    drop(job);
    for process in [&mut proxy, &mut recorder, &mut query] {
        assert!(process.stop().unwrap().success(), "{}", process.logged());
    }
    assert_eq!(who(&config, &at).len(), 1, "cold, from the files");
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_says_how_it_is() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let admin = hansard.admin().unwrap();
    for path in ["/healthz", "/readyz"] {
        let (status, body) = hansard_tests::hansard::get(admin, path).unwrap();
        assert!(status.contains("200"), "{path}: {status} {body}");
    }
    hansard.connect(&config.token("somebody").unwrap()).await.unwrap().batch_execute("SELECT 1").await.unwrap();
    let (_, metrics) = hansard_tests::hansard::get(admin, "/metrics").unwrap();
    assert!(metrics.contains("hansard_"), "{metrics}");
    assert!(hansard.stop().unwrap().success());
    assert!(!config.data().join("run/up.json").exists(), "the note goes with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_shows_the_session_step_by_step() {
    let postgres = Postgres::start().await.unwrap();
    table(&postgres).await;
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("reader").unwrap()).await.unwrap();
    job.query("SELECT score FROM rankings WHERE film_id = $1", &[&7_i32]).await.unwrap();
    job.batch_execute("SELECT 'a\u{1b}[31mb'").await.unwrap();
    drop(job);
    let sessions = config.rows("sessions", &["--job", "reader"]).unwrap();
    let id = sessions[0]["session_id"].as_str().unwrap();
    let shown = config.ask("replay", &[id]).unwrap();
    assert!(
        shown.contains("SELECT score FROM rankings") && shown.contains("$1 = ") && shown.contains("1 row"),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "control characters are shown, not obeyed: {shown:?}");
    let second = config.ask("replay", &[id, "--from", "2"]).unwrap();
    assert!(!second.contains("FROM rankings") && second.contains("31mb"), "{second}");
    let nobody = config.run("replay", &["0000"]).unwrap();
    assert_eq!((nobody.code, nobody.stderr.lines().count()), (Some(1), 1), "{nobody:?}");
}
