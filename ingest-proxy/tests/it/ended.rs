//! How sessions end: each side may go at any moment, and the other side and the record are told.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::cluster::Cluster;
use crate::proxy::{Plan, RunningProxy, claims, connect, now, token};
use crate::raw::{Raw, frame, query};
use crate::record;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_ends_the_session_at_the_next_statement() {
    let proxy = RunningProxy::start().await;
    let mut short = claims();
    short["exp"] = json!(now() + 2);
    let mut raw = Raw::session(proxy.address, &token(&short)).await;
    raw.send(&query("SELECT 1")).await;
    assert_eq!(raw.until(b'Z').await.last().unwrap().0, b'Z');
    while now() < short["exp"].as_u64().unwrap() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    raw.send(&query("CREATE TABLE too_late ()")).await;
    let (sqlstate, message) = raw.fatal().await;
    assert_eq!(sqlstate, "28000");
    assert!(message.starts_with("the token of this session expired at 20"), "{message}");
    assert_eq!(record::closed(&proxy.log).await.end(), Some("token expired"));
    let direct = format!("host=127.0.0.1 port={} user=postgres dbname=ranking", Cluster::get().port);
    let direct = connect(&direct).await.unwrap();
    let row = direct.query_one("SELECT to_regclass('too_late') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "the statement after the expiry was run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_ends_a_session() {
    let proxy = RunningProxy::start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    raw.send(&query("SELECT pg_backend_pid()")).await;
    let messages = raw.until(b'Z').await;
    let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
    let pid: i32 = std::str::from_utf8(&row[6..]).unwrap().parse().unwrap();
    let direct = format!("host=127.0.0.1 port={} user=postgres dbname=ranking", Cluster::get().port);
    let direct = connect(&direct).await.unwrap();
    direct.query("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    // The server's own word for it, and nothing added.
    assert_eq!(raw.fatal().await.0, "57P01");
    assert_eq!(record::closed(&proxy.log).await.end(), Some("closed by database"));
}

/// A server that lets everybody in and dies at the first query of a job, after `words`.
async fn dying_server(words: &'static [u8]) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
                let welcome = [frame(b'R', &[0; 4]), frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]), frame(b'Z', b"I")];
                let _ = stream.write_all(&welcome.concat()).await;
                // What Hansard asks before.
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
                let _ = stream.write_all(&frame(b'Z', b"I")).await;
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
                let _ = stream.write_all(words).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_is_told_to_the_job() {
    // Nothing, a whole message, half a message that is held back, and the beginning of a long one that is not.
    static LONG: [u8; 40_005] = {
        let mut long = [b'x'; 40_005];
        (long[0], long[1], long[2], long[3], long[4]) = (b'D', 0, 1, 0, 0);
        long
    };
    for (words, told) in [(&b""[..], true), (b"C\0\0\0\x0dSELECT 1\0", true), (b"T\0\0\0", false), (&LONG, false)] {
        let mut plan = Plan::new();
        plan.options.targets[0].upstream.port = dying_server(words).await.port();
        let proxy = plan.start().await;
        let mut raw = Raw::session(proxy.address, &token(&claims())).await;
        raw.send(&query("SELECT 1")).await;
        if told {
            assert_eq!(raw.fatal().await, ("08006".to_owned(), "the database closed the connection".to_owned()));
        } else {
            assert_eq!(raw.rest().await, words);
        }
        let recorded = record::closed(&proxy.log).await;
        assert_eq!(recorded.end(), Some("closed by database"));
        let backend = recorded.bytes(hansard_schemas::events::Direction::Backend);
        assert!(backend.windows(words.len().max(1)).any(|window| words.is_empty() || window == words));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_without_a_word() {
    let proxy = RunningProxy::start().await;
    // Half close: what was asked is still answered.
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    raw.close_half_and_read_the_answer().await;
    assert_eq!(record::closed(&proxy.log).await.end(), Some("closed by job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_reset() {
    let proxy = RunningProxy::start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    raw.send(&query("SELECT generate_series(1, 10000000)")).await;
    raw.message().await.unwrap();
    raw.stream.set_zero_linger().unwrap();
    drop(raw);
    let recorded = record::closed(&proxy.log).await;
    assert_eq!(recorded.end(), Some("connection to job lost"));
    // The statement does not go on at the database for nobody.
    let direct = format!("host=127.0.0.1 port={} user=postgres dbname=ranking", Cluster::get().port);
    let direct = connect(&direct).await.unwrap();
    for _ in 0..200 {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT generate_series%'";
        if direct.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the database still works for a job that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_idle_sessions_at_once_and_lets_others_finish() {
    let proxy = RunningProxy::start().await;
    let mut idle = Raw::session(proxy.address, &token(&claims())).await;
    let mut busy = Raw::session(proxy.address, &token(&claims())).await;
    busy.send(&query("SELECT pg_sleep(1)")).await;
    // The statement has to be on its way before the stop.
    record::until(&proxy.log, |jobs| {
        jobs.iter()
            .any(|job| job.bytes(hansard_schemas::events::Direction::Frontend).windows(8).any(|w| w == b"pg_sleep"))
    })
    .await;
    let stopped = tokio::spawn(proxy.stop());
    assert_eq!(idle.fatal().await.0, "57P01");
    let messages = busy.until(b'Z').await;
    assert!(messages.iter().any(|(tag, _)| *tag == b'D'), "{messages:?}");
    assert_eq!(busy.fatal().await.0, "57P01");
    let (log, _folder) = stopped.await.unwrap();
    let jobs = record::jobs(&log).await;
    assert_eq!(jobs.iter().map(|job| job.end()).collect::<Vec<_>>(), [Some("proxy stopped"); 2]);
}
