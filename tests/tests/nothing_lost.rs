//! Nothing lost: under load, Hansard, its event log and its recorder are killed at random moments, and afterwards the
//! record holds every frame once and in order, and every row that the database has.
//!
//! `HANSARD_KILL_ROUNDS` says how often each is killed, `HANSARD_SEED` repeats a run's moments.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "whoever repeats a run needs its seed")]

#[path = "nothing_lost/load.rs"]
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::record::PROXY_GONE;
use hansard_tests::{Config, Nats, Postgres, eventually, lake};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use load::{CLIENTS, Load};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

fn rounds() -> u64 {
    variable("HANSARD_KILL_ROUNDS").unwrap_or(2)
}

/// Everything of a test but the processes of Hansard.
struct Scene {
    postgres: Postgres,
    nats: Option<Nats>,
    config: Config,
    random: StdRng,
}

impl Scene {
    async fn new(nats: Option<Nats>) -> Scene {
        Scene::with(nats, "", "").await
    }

    /// With keys of `[recording]`, and further tables.
    async fn with(nats: Option<Nats>, recording: &str, more: &str) -> Scene {
        let seed = variable("HANSARD_SEED").unwrap_or_else(rand::random);
        eprintln!("HANSARD_SEED={seed}");
        let postgres = Postgres::start().await.unwrap();
        load::table(&postgres).await.unwrap();
        let servers = nats.as_ref().map(Nats::event_log);
        let settings = Settings {
            event_log: servers.unwrap_or_default(),
            recording: recording.to_owned(),
            more: format!("[query]\nrow_limit = 5000000\n{more}"),
            ..Settings::default()
        };
        let config = Config::new(&postgres, &settings).unwrap();
        Scene { postgres, nats, config, random: StdRng::seed_from_u64(seed) }
    }

    /// A load that flows; a longer one where that many seconds were not enough to begin.
    async fn load(&self, proxy: &Hansard, round: u64, seconds: u32) -> Load {
        let address = proxy.proxy().unwrap();
        for attempt in 0..4 {
            let seconds = seconds << (2 * attempt);
            let load = Load::start(&self.config, &self.postgres, address, round, attempt, seconds);
            let mut load = load.unwrap();
            if load.flows(&self.postgres).await.unwrap() {
                return load;
            }
        }
        panic!("no load within two minutes");
    }

    /// Lets a random while of the load go by.
    async fn while_it_works(&mut self, at_most: u64) {
        let pause = Duration::from_micros(self.random.random_range(0..at_most * 1000));
        eprintln!("killing after {pause:?}");
        tokio::time::sleep(pause).await;
    }

    /// Once the recorder has come to the end, the files alone, read by a stranger, hold all frames without a hole.
    fn reaches_the_files(&self) {
        eventually("all frames are in files", Duration::from_secs(60), || {
            let mut sessions = lake::frames(&self.config.data().join("lake"))?;
            let own = hansards_own(&self.config)?;
            sessions.retain(|session, _| !own.contains(session));
            for (session, frames) in &sessions {
                let last = i64::try_from(frames.len())?;
                ensure!(frames.keys().copied().eq(1..=last), "session {session} has holes");
            }
            // Hansard's own session goes on meanwhile.
            let sql = "SELECT count(*) AS n, count(DISTINCT session_id) AS sessions FROM frames \
                       WHERE session_id NOT IN (SELECT session_id FROM sessions WHERE job = 'hansard')";
            let rows = self.config.sql(sql)?;
            let found: usize = sessions.values().map(BTreeMap::len).sum();
            ensure!(rows[0]["n"] == found && rows[0]["sessions"] == sessions.len(), "{found} frames, not {rows:?}");
            Ok(())
        })
        .unwrap();
    }
}

async fn kill_all_of_hansard(nats: Option<Nats>) {
    let mut scene = Scene::new(nats).await;
    let mut hansard = scene.config.start("up").unwrap();
    for round in 0..rounds() {
        let load = scene.load(&hansard, round, 20).await;
        scene.while_it_works(1500).await;
        hansard.kill().unwrap();
        assert!(!load.end().await.unwrap(), "pgbench notices");
        hansard = scene.config.start("up").unwrap();
        let sessions = load::check(&scene.config, &scene.postgres, round).await.unwrap();
        let cut: Vec<_> = sessions.iter().filter(|session| !session.complete).collect();
        assert_eq!(cut.len(), 2 * CLIENTS, "each client's session was cut: {sessions:#?}");
        assert!(cut.iter().all(|session| session.close_reason.as_deref() == Some(PROXY_GONE)), "{cut:#?}");
    }
    scene.reaches_the_files();
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
}

async fn kill_the_recorder(nats: Option<Nats>) {
    let mut scene = Scene::new(nats).await;
    let mut proxy = scene.config.start("proxy").unwrap();
    let mut recorder = scene.config.start("record").unwrap();
    for round in 0..rounds() {
        let load = scene.load(&proxy, round, 2).await;
        scene.while_it_works(1500).await;
        recorder.kill().unwrap();
        // Back at once, or away for longer than the load lasts.
        let late: bool = scene.random.random();
        if !late {
            recorder = scene.config.start("record").unwrap();
        }
        assert!(load.end().await.unwrap(), "jobs do not notice");
        if late {
            recorder = scene.config.start("record").unwrap();
        }
        let sessions = load::check(&scene.config, &scene.postgres, round).await.unwrap();
        assert!(sessions.iter().all(|session| session.complete), "{sessions:#?}");
    }
    scene.reaches_the_files();
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_killing_hansard_loses_nothing_embedded() {
    kill_all_of_hansard(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_killing_hansard_loses_nothing_with_nats() {
    kill_all_of_hansard(Some(Nats::start().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_killing_the_recorder_loses_nothing_embedded() {
    kill_the_recorder(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_killing_the_recorder_loses_nothing_with_nats() {
    kill_the_recorder(Some(Nats::start().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_killing_nats_loses_nothing() {
    let mut scene = Scene::new(Some(Nats::start().unwrap())).await;
    let mut hansard = scene.config.start("up").unwrap();
    for round in 0..rounds() {
        // Back at once, so that sessions go on; or away until they were all refused, however long that takes.
        let back_at_once: bool = scene.random.random();
        let load = scene.load(&hansard, round, if back_at_once { 3 } else { 20 }).await;
        scene.while_it_works(1500).await;
        scene.nats.as_mut().unwrap().kill().unwrap();
        if back_at_once {
            scene.nats.as_mut().unwrap().serve().unwrap();
            load.end().await.unwrap();
        } else {
            assert!(!load.end().await.unwrap(), "jobs were refused");
            scene.nats.as_mut().unwrap().serve().unwrap();
        }
        let sessions = load::check(&scene.config, &scene.postgres, round).await.unwrap();
        assert!(sessions.iter().all(|session| session.close_reason.as_deref() != Some(PROXY_GONE)), "{sessions:#?}");
    }
    scene.reaches_the_files();
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
}

/// NATS takes nothing for ten seconds and then goes on as if nothing had been.
async fn stall_nats(wait_for: &str, jobs_notice: bool) {
    let scene = Scene::with(Some(Nats::start().unwrap()), &format!("wait_for = \"{wait_for}\""), "").await;
    let mut hansard = scene.config.start("up").unwrap();
    let nats = scene.nats.as_ref().unwrap();
    let load = scene.load(&hansard, 0, 15).await;
    nats.signal("STOP").unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    nats.signal("CONT").unwrap();
    assert_eq!(load.end().await.unwrap(), !jobs_notice, "{}", hansard.logged());
    load::check(&scene.config, &scene.postgres, 0).await.unwrap();
    let load = scene.load(&hansard, 1, 2).await;
    assert!(load.end().await.unwrap(), "all goes on by itself: {}", hansard.logged());
    load::check(&scene.config, &scene.postgres, 1).await.unwrap();
    scene.reaches_the_files();
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_a_stalled_nats_loses_nothing_and_refuses_jobs_that_wait_for_the_stream() {
    stall_nats("stream", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_a_stalled_nats_loses_nothing_and_is_not_noticed_by_jobs_that_wait_for_the_spool() {
    stall_nats("spool", false).await;
}

/// Sessions in which Hansard reads catalogs.
fn hansards_own(config: &Config) -> anyhow::Result<BTreeSet<String>> {
    let rows = config.sql("SELECT session_id FROM sessions WHERE job = 'hansard'")?;
    Ok(rows.iter().filter_map(|row| Some(row["session_id"].as_str()?.to_owned())).collect())
}

/// The recorder is still at the job's text, which is long to analyse, when the database has answered, the job has gone and
/// Hansard is asked to stop: the files alone then hold the whole session.
async fn stop_behind_a_long_text(nats: Option<Nats>) {
    const STATEMENTS: usize = 9000;
    let scene = Scene::with(nats, "", "[proxy]\nshutdown_grace = \"30s\"").await;
    let mut hansard = scene.config.start("up").unwrap();
    let job = hansard.connect(&scene.config.token("hasty").unwrap()).await.unwrap();
    let text: String = (0..STATEMENTS).map(|number| format!("SELECT {number};")).collect();
    job.batch_execute(&text).await.unwrap();
    drop(job);
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    let mut sessions = lake::frames(&scene.config.data().join("lake")).unwrap();
    let own = hansards_own(&scene.config).unwrap();
    sessions.retain(|session, _| !own.contains(session));
    assert_eq!(sessions.len(), 1, "{}", hansard.logged());
    let frames: Vec<_> = sessions.values().flatten().collect();
    assert!(frames.iter().map(|(seq, _)| **seq).eq(1..=i64::try_from(frames.len()).unwrap()), "without a hole");
    let rows = frames.iter().filter(|(_, frame)| frame.tag == "D").count();
    assert_eq!(rows, STATEMENTS, "{}", hansard.logged());
    assert_ne!(frames.last().unwrap().1.tag, "D", "{}", hansard.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_records_everything_embedded() {
    stop_behind_a_long_text(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_records_everything_with_nats() {
    stop_behind_a_long_text(Some(Nats::start().unwrap())).await;
}
