//! Jobs that do nothing, or do it slowly: they cost next to nothing, and nobody else waits for them.
//!
//! `HANSARD_IDLE` says how many sessions are open at once; a database must let so many in.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "the figures are worth knowing")]

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::usage::usage;
use hansard_tests::{Config, Postgres};
use tokio_postgres::Client;

const KIB: u64 = 1024;

/// So many sessions, each of which has asked something and waits.
async fn open(hansard: &Hansard, token: &str, many: usize) -> Vec<Client> {
    let jobs = futures::stream::iter(0..many).map(|_| async {
        let job = hansard.connect(token).await.unwrap();
        job.query_one("SELECT 1", &[]).await.unwrap();
        job
    });
    jobs.buffer_unordered(8).collect().await
}

/// After what was captured has been appended, and its buffers given back.
async fn settled(hansard: &Hansard) -> u64 {
    tokio::time::sleep(Duration::from_secs(1)).await;
    usage(hansard.id()).unwrap().resident
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_costs_less_than_40_kib() {
    idle_sessions(false).await;
}

/// To the job and to the database.
#[tokio::test(flavor = "multi_thread")]
async fn with_tls_an_idle_session_costs_less_than_40_kib() {
    idle_sessions(true).await;
}

async fn idle_sessions(tls: bool) {
    let many = std::env::var("HANSARD_IDLE").map_or(400, |text| text.parse().expect("HANSARD_IDLE: a number"));
    let postgres = Postgres::start_on(None, &["ssl=on"]).await.unwrap();
    let encrypted = tls.then(|| "sslmode=require".to_owned());
    let config = Config::new(&postgres, &Settings { tls: encrypted, ..Settings::default() }).unwrap();
    let mut proxy = config.start("proxy").unwrap();
    let token = config.token("idler").unwrap();
    // What is made once is not a session's.
    let first = open(&proxy, &token, 50).await;
    let before = settled(&proxy).await;
    let rest = open(&proxy, &token, many).await;
    let each = settled(&proxy).await.saturating_sub(before) / u64::try_from(many).unwrap();
    eprintln!("{many} idle sessions, TLS {tls}: {each} bytes each");
    assert!(each < 40 * KIB, "{each} bytes");
    for job in first.iter().chain(&rest) {
        job.query_one("SELECT 1", &[]).await.unwrap();
    }
    drop((first, rest));
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_reads_slowly_slows_nobody_else() {
    const ROWS: usize = 128 * 1024;
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut proxy = config.start("proxy").unwrap();
    let token = config.token("reader").unwrap();
    let others = open(&proxy, &token, 8).await;
    let before = settled(&proxy).await;
    let slow = open(&proxy, &token, 4).await;
    let sql = format!("COPY (SELECT repeat('x', 1023) FROM generate_series(1, {ROWS})) TO STDOUT");
    // Asked for, and not read.
    let results: Vec<_> = futures::future::try_join_all(slow.iter().map(|job| job.copy_out(&sql))).await.unwrap();
    for _ in 0..500 {
        for job in &others {
            job.query_one("SELECT 1", &[]).await.unwrap();
        }
    }
    let grown = usage(proxy.id()).unwrap().peak.saturating_sub(before);
    eprintln!("four results of 128 MiB that nobody reads: {grown} bytes");
    assert!(grown < 8 * KIB * KIB, "what is not read is held: {grown} bytes");
    for result in results {
        let read = result.try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await.unwrap();
        assert_eq!(read, ROWS * 1024);
    }
    drop((slow, others));
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
}
