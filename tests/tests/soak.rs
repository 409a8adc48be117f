//! Millions of statements in one go: proxy and recorder use as much memory in the end as in the beginning, and the
//! record has them all.
//!
//! `HANSARD_SOAK` says how many statements, `HANSARD_PROGRAM` names an optimised build to run.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "the figures are worth knowing")]

use std::time::Duration;

use anyhow::ensure;
use hansard_tests::hansard::Settings;
use hansard_tests::process::Running;
use hansard_tests::usage::usage;
use hansard_tests::{Config, Postgres, eventually};

const CLIENTS: usize = 8;
const MIB: u64 = 1024 * 1024;

/// The most memory in the second quarter of the samples, and in the last one.
fn quarters(samples: &[u64]) -> (u64, u64) {
    let quarter = samples.len() / 4;
    let most = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
    (most(&samples[quarter..2 * quarter]), most(&samples[3 * quarter..]))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten million statements take many minutes"]
async fn alone_millions_of_statements_in_flat_memory() {
    let statements: usize = std::env::var("HANSARD_SOAK").map_or(10_000_000, |text| text.parse().unwrap());
    let postgres = Postgres::start().await.unwrap();
    let settings = Settings { lake: "flush_interval = \"5s\"".to_owned(), ..Settings::default() };
    let mut config = Config::new(&postgres, &settings).unwrap();
    if let Some(program) = std::env::var_os("HANSARD_PROGRAM") {
        config.use_program(program.as_ref());
    }
    let (mut proxy, mut recorder) = (config.start("proxy").unwrap(), config.start("record").unwrap());
    std::fs::write(config.folder().join("soak.sql"), "SELECT :client_id AS soak;\n").unwrap();
    let mut pgbench = postgres.client_program("pgbench");
    pgbench.env("PGPASSWORD", config.token("soak").unwrap()).current_dir(config.folder());
    pgbench.args(["-h", "127.0.0.1", "-p", &proxy.proxy().unwrap().port().to_string(), "-U", "app", "-n"]);
    pgbench.args(["-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2", "-f", "soak.sql"]);
    pgbench.args(["-t", &(statements / CLIENTS).to_string(), "ranking"]);
    let log = std::fs::File::create(config.folder().join("pgbench.log")).unwrap();
    pgbench.stdout(log.try_clone().unwrap()).stderr(log);
    let mut load = Running::start("pgbench", &mut pgbench).unwrap();
    let mut samples = (Vec::new(), Vec::new());
    let ended = loop {
        if let Some(status) = load.ended() {
            break status;
        }
        samples.0.push(usage(proxy.id()).unwrap().resident);
        samples.1.push(usage(recorder.id()).unwrap().resident);
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(ended.success(), "{}", std::fs::read_to_string(config.folder().join("pgbench.log")).unwrap());
    for (name, samples) in [("proxy", &samples.0), ("recorder", &samples.1)] {
        let (early, late) = quarters(samples);
        eprintln!("{name}: {} MiB early, {} MiB late", early / MIB, late / MIB);
        assert!(late < early + 64 * MIB, "{name} has grown from {early} to {late} bytes");
    }
    let expected = statements / CLIENTS * CLIENTS;
    eventually("all statements are recorded", Duration::from_secs(3600), || {
        let rows = config.sql("SELECT count(*) AS n FROM statements WHERE job = 'soak' AND sql LIKE '%soak%'")?;
        ensure!(rows[0]["n"] == expected, "{} of {expected}", rows[0]["n"]);
        Ok(())
    })
    .unwrap();
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
}
