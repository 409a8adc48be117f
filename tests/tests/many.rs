//! Many and much: hundreds of connections at once, thousands one after the other, and values far larger than any
//! buffer; nothing leaks, and memory stays bounded.
//!
//! `HANSARD_CONNECTS` says how many connections come one after the other.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "the figures are worth knowing")]

#[path = "many/raw.rs"]
mod raw;

use std::time::Duration;

use anyhow::ensure;
use futures::StreamExt;
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::usage::{Usage, usage};
use hansard_tests::{Config, Postgres, eventually, record};

use raw::Raw;

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;

fn used(hansard: &Hansard) -> Usage {
    usage(hansard.id()).unwrap()
}

/// As most systems start a service: with few files, and the right to more.
fn start(config: &Config, service: &'static str) -> Hansard {
    config
        .start_with(service, |command| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", "ulimit -S -n 1024; exec \"$0\" \"$@\""]).arg(command.get_program());
            shell.args(command.get_args());
            for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
                shell.env_remove(name);
            }
            let log = std::fs::OpenOptions::new().append(true).open(config.folder().join(format!("{service}.log")));
            let log = log.unwrap();
            shell.stdout(log.try_clone().unwrap()).stderr(log);
            *command = shell;
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_five_hundred_connections_at_once() {
    const JOBS: i32 = 500;
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = start(&config, "up");
    let token = config.token("crowd").unwrap();
    let address = hansard.proxy().unwrap();
    let met = tokio::sync::Barrier::new(JOBS.unsigned_abs().try_into().unwrap());
    let jobs = (0..JOBS).map(|number| {
        let (token, met) = (&token, &met);
        async move {
            let job = hansard_tests::hansard::connect(address, token).await?;
            // All are open before the first one asks.
            tokio::time::timeout(PATIENCE, met.wait()).await?;
            for step in 0..3 {
                let row = job.query_one("SELECT $1::int4 * 10 + $2::int4 AS crowd", &[&number, &step]).await?;
                ensure!(row.get::<_, i32>(0) == number * 10 + step, "another's answer");
            }
            anyhow::Ok(())
        }
    });
    for (number, result) in futures::future::join_all(jobs).await.into_iter().enumerate() {
        result.unwrap_or_else(|error| panic!("job {number}: {error:#}: {}", hansard.logged()));
    }
    let sessions = record::settled(&config, "crowd", PATIENCE).unwrap();
    assert_eq!(sessions.len(), 500);
    assert!(sessions.iter().all(|session| session.complete), "{sessions:#?}");
    let statements = record::statements(&config, "crowd", "AS crowd").unwrap();
    let committed = statements.iter().filter(|statement| statement.outcome == "committed").count();
    assert_eq!((statements.len(), committed), (1500, 1500));
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
}

/// So many connections, 16 at a time, each with a question.
async fn connect(hansard: &Hansard, token: &str, many: usize) {
    let results = futures::stream::iter(0..many)
        .map(|_| async {
            let job = hansard.connect(token).await?;
            job.batch_execute("SELECT 1").await?;
            anyhow::Ok(())
        })
        .buffer_unordered(16);
    results.for_each(|result| async move { result.unwrap() }).await;
}

/// Waits until as few files are open, and threads run, as before; but for a few `spare` ones, of pools that grow to
/// their size when there is work. Memory may have grown by so many MiB.
fn back_to(hansard: &Hansard, before: Usage, what: &str, spare: usize, memory: u64) {
    let back = eventually("files and threads are given back", PATIENCE, || {
        let now = used(hansard);
        let (files, threads) = (before.files + spare, before.threads + spare);
        ensure!(now.files <= files && now.threads <= threads, "{now:?}, before {before:?}");
        Ok(now)
    })
    .unwrap();
    eprintln!("{what}: before {before:?}, after {back:?}");
    let grown = back.resident.saturating_sub(before.resident);
    assert!(grown < memory * MIB, "{what} has grown by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_connections_come_and_go_without_a_leak() {
    let many = std::env::var("HANSARD_CONNECTS").map_or(1000, |text| text.parse().expect("HANSARD_CONNECTS: a number"));
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let (mut proxy, mut recorder) = (start(&config, "proxy"), start(&config, "record"));
    let token = config.token("visitor").unwrap();
    // What is made once is not a leak.
    connect(&proxy, &token, 300).await;
    record::settled(&config, "visitor", PATIENCE).unwrap();
    let quiet = |hansard: &Hansard| {
        let mut last = used(hansard);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(100));
            let now = used(hansard);
            last = Usage { files: last.files.min(now.files), threads: last.threads.max(now.threads), ..now };
        }
        last
    };
    let before = (quiet(&proxy), quiet(&recorder));
    connect(&proxy, &token, many).await;
    let sessions = record::settled(&config, "visitor", PATIENCE).unwrap();
    assert_eq!(sessions.len(), 300 + many);
    assert!(
        sessions.iter().all(|session| session.complete && session.close_reason.as_deref() == Some("terminated by job"))
    );
    back_to(&proxy, before.0, "proxy", 0, 64);
    back_to(&recorder, before.1, "recorder", 8, 64);
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
}

/// One value of that size each way, while the recorder runs beside the proxy: the most memory that both have used.
async fn pass(size: usize) -> (u64, u64) {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let (mut proxy, mut recorder) = (config.start("proxy").unwrap(), config.start("record").unwrap());
    let (address, token) = (proxy.proxy().unwrap(), config.token("bulk").unwrap());
    tokio::task::spawn_blocking(move || {
        let mut job = Raw::connect(address, &token);
        job.send_value(size);
        job.receive_value(size);
        job.terminate();
    })
    .await
    .unwrap();
    let recorded = eventually("it is recorded", Duration::from_secs(300), || {
        let closed =
            config.sql("SELECT bytes_frontend, bytes_backend FROM sessions WHERE complete AND job <> 'hansard'")?;
        ensure!(closed.len() == 1, "open");
        Ok(closed[0].clone())
    })
    .unwrap();
    let size = i64::try_from(size).unwrap();
    for column in ["bytes_frontend", "bytes_backend"] {
        let seen = recorded[column].as_i64().unwrap();
        assert!((size..size + 4096).contains(&seen), "{recorded}");
    }
    let peaks = (used(&proxy).peak, used(&recorder).peak);
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
    peaks
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_megabytes_pass_in_constant_memory() {
    let (proxy, recorder) = pass(64_000_000).await;
    eprintln!("64 MB each way: proxy {} MiB, recorder {} MiB", proxy / MIB, recorder / MIB);
    assert!(proxy < 128 * MIB, "{proxy} bytes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a value of 1 GB each way takes some minutes and some gigabytes of disk"]
async fn alone_a_gigabyte_passes_in_constant_memory() {
    let (proxy, recorder) = pass(1_000_000_000).await;
    eprintln!("1 GB each way: proxy {} MiB, recorder {} MiB", proxy / MIB, recorder / MIB);
    assert!(proxy < 200 * MIB, "{proxy} bytes");
}
