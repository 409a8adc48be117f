//! The log takes nothing: then nothing reaches the database.

use std::time::Duration;

use hansard_event_log::{EventLog, Position};
use hansard_ingest_proxy::Durability;

use crate::proxy::{Plan, RunningProxy, claims, connect, token};
use crate::record;

/// A log of little room, and a job that fills it.
async fn full(durability: Durability) -> (RunningProxy, tokio_postgres::Client) {
    let mut plan = Plan::new().durability(durability);
    plan.max_bytes = 1024 * 1024;
    plan.options.log_patience = Duration::from_millis(600);
    let proxy = plan.start().await;
    let client = proxy.client().await;
    (proxy, client)
}

/// Fills the log; returns how many statements were answered, and how the next one ended.
async fn fill(client: &tokio_postgres::Client) -> (i64, tokio_postgres::Error) {
    let text = "x".repeat(20_000);
    for done in 0..10_000 {
        if let Err(error) = client.batch_execute(&format!("INSERT INTO filled VALUES ('{text}')")).await {
            return (done, error);
        }
    }
    panic!("the log does not fill");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_unrecorded_reaches_the_database_and_service_resumes() {
    let (proxy, client) = full(Durability::WriteAhead).await;
    let direct = format!("host=127.0.0.1 port={} user=postgres dbname=ranking", crate::cluster::Cluster::get().port);
    let direct = connect(&direct).await.unwrap();
    direct
        .batch_execute("DROP TABLE IF EXISTS filled; CREATE TABLE filled (t text); GRANT ALL ON filled TO PUBLIC")
        .await
        .unwrap();

    let (answered, error) = fill(&client).await;
    let told = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
    assert_eq!((told.code().code(), told.severity()), ("58030", "FATAL"));
    assert!(told.detail().is_some() && told.hint().is_some());
    let count = || async { direct.query_one("SELECT count(*) FROM filled", &[]).await.unwrap().get::<_, i64>(0) };
    assert_eq!(count().await, answered, "a statement that was refused was run");

    // New sessions are refused as well, once not even their own small records fit.
    let mut refused = None;
    for _ in 0..2000 {
        if let Err(error) = connect(&proxy.dsn(&token(&claims()))).await {
            refused = error.code().cloned();
            break;
        }
    }
    assert_eq!(refused.expect("the log does not fill").code(), "58030");
    assert_eq!(count().await, answered);

    // Room again: service goes on by itself, and what could not be said is said.
    for shard in 0..proxy.log.shards() {
        let end = proxy.log.bounds(shard).await.unwrap().end;
        proxy.log.trim(shard, end).await.unwrap();
    }
    let mut served = false;
    for _ in 0..100 {
        if let Ok(client) = connect(&proxy.dsn(&token(&claims()))).await {
            client.batch_execute("SELECT 1").await.unwrap();
            served = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(served, "service does not resume");
    let mut reasons = Vec::new();
    for _ in 0..100 {
        reasons = ends(&proxy).await;
        if reasons.iter().filter(|reason| *reason == "event log unavailable").count() >= 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the sessions that were refused are not closed in the record: {reasons:?}");
}

/// Closing reasons in the part of the log that is still there.
async fn ends(proxy: &RunningProxy) -> Vec<String> {
    use hansard_schemas::events::{BlockExt, event::Kind};
    let mut reasons = Vec::new();
    for shard in 0..proxy.log.shards() {
        let mut from: Position = proxy.log.bounds(shard).await.unwrap().first;
        loop {
            let batch = proxy.log.read(shard, from, 1 << 20).await.unwrap();
            if batch.blocks.is_empty() {
                break;
            }
            from = batch.next;
            for event in batch.blocks.iter().flat_map(|positioned| positioned.block.events().unwrap()) {
                if let Some(Kind::SessionClosed(closed)) = event.kind {
                    reasons.push(closed.reason);
                }
            }
        }
    }
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrecorded_reply_does_not_reach_the_job() {
    let (proxy, client) = full(Durability::BeforeReply).await;
    let mut rows = 0;
    let error = loop {
        match client.query("SELECT repeat('x', 20000)", &[]).await {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
        assert!(rows < 10_000);
    };
    assert_eq!(error.as_db_error().unwrap_or_else(|| panic!("{error}")).code().code(), "58030");
    // Everything the job got is there.
    let jobs = record::jobs(&proxy.log).await;
    let got = jobs[0].bytes(hansard_schemas::events::Direction::Backend);
    let recorded = hansard_pg_wire::frame::frames(&got).filter(|frame| frame.bytes.len() > 20_000).count();
    assert!(recorded >= rows, "{recorded} rows recorded, {rows} received");
}
