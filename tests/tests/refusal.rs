//! Nothing unrecorded runs: when the event log is full or gone, jobs are refused with SQLSTATE 58030, nothing reaches
//! the database, and service resumes by itself.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "which disk was filled is worth knowing")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hansard_tests::hansard::{Hansard, Settings, get};
use hansard_tests::process::run;
use hansard_tests::{Config, Nats, Postgres, eventually, lake, record};
use rand::Rng;
use rand::distr::Alphanumeric;
use tokio_postgres::{Client, Error};

/// Ends a wait that would go on for ever; what is promised is 5 s, on a machine that is not also building.
const PATIENCE: Duration = Duration::from_secs(30);

const REFUSED: &str = "58030";

/// A database that counts, and jobs that insert.
struct Scene {
    postgres: Postgres,
    config: Config,
    token: String,
}

impl Scene {
    async fn new(event_log: String) -> Scene {
        let postgres = Postgres::start().await.unwrap();
        let client = postgres.superuser("ranking").await.unwrap();
        client.batch_execute("CREATE TABLE notes (text text); GRANT ALL ON notes TO app").await.unwrap();
        let config = Config::new(&postgres, &Settings { event_log, ..Settings::default() }).unwrap();
        let token = config.token("writer").unwrap();
        Scene { postgres, config, token }
    }

    async fn count(&self) -> i64 {
        let client = self.postgres.superuser("ranking").await.unwrap();
        client.query_one("SELECT count(*) FROM notes", &[]).await.unwrap().get(0)
    }

    /// Inserts values of that length until it is refused; how often it was not.
    async fn fill(&self, job: &Client, length: usize) -> i64 {
        for done in 0..100_000 {
            // Random, so that compression does not make room for ever.
            let text: String = rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect();
            if let Err(error) = insert(job, &text).await {
                assert_refused(&error);
                return done;
            }
        }
        panic!("the log is never full");
    }

    /// Connects and inserts until there is no room for even that; how often an insert was answered, and how often
    /// it was refused although the job had been let in.
    async fn fill_by_newcomers(&self, proxy: &Hansard) -> (i64, i64) {
        let (mut done, mut refused, mut in_a_row) = (0, 0, 0);
        while in_a_row < 8 {
            let job = match bounded(proxy.connect(&self.token)).await {
                Ok(job) => job,
                Err(error) => {
                    assert_refused(error.downcast_ref::<Error>().unwrap());
                    in_a_row += 1;
                    continue;
                }
            };
            in_a_row = 0;
            match insert(&job, "new").await {
                Ok(()) => done += 1,
                Err(error) => {
                    assert_refused(&error);
                    refused += 1;
                }
            }
        }
        (done, refused)
    }

    /// While the log takes nothing: sessions that are open, and new ones, are refused and nothing is done.
    async fn refuses(&self, proxy: &Hansard, open: &Client) {
        let before = self.count().await;
        assert_refused(&insert(open, "open").await.unwrap_err());
        let newcomers = (0..4).map(|_| async {
            match bounded(proxy.connect(&self.token)).await {
                Err(error) => error.downcast::<Error>().unwrap(),
                Ok(job) => insert(&job, "new").await.unwrap_err(),
            }
        });
        for error in futures::future::join_all(newcomers).await {
            assert_refused(&error);
        }
        assert_eq!(self.count().await, before, "what is refused does not reach the database");
    }

    /// Asks until a job is served again.
    async fn resumes(&self, proxy: &Hansard) {
        let before = self.count().await;
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let tried = async {
                let job = proxy.connect(&self.token).await?;
                insert(&job, "resumed").await?;
                anyhow::Ok(())
            };
            match bounded(tried).await {
                Ok(()) => break,
                Err(error) => assert!(Instant::now() < until, "{error:#}: {}", proxy.logged()),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(self.count().await, before + 1);
    }

    /// The record of all this: every session closed, no frame missing, the refused ones with their reason, and what
    /// the database holds as committed.
    async fn recorded(&self, refused_at_least: usize) {
        let sessions = record::settled(&self.config, "writer", Duration::from_secs(60)).unwrap();
        let reason = |session: &&record::Session| session.close_reason.as_deref() == Some("event log unavailable");
        let refused = sessions.iter().filter(reason).count();
        assert!(refused >= refused_at_least, "{sessions:#?}");
        let statements = record::statements(&self.config, "writer", "INSERT INTO notes").unwrap();
        let outcome = |wanted: &str| statements.iter().filter(|statement| statement.outcome == wanted).count();
        let (committed, unknown) = (outcome("committed"), outcome("unknown"));
        let done = usize::try_from(self.count().await).unwrap();
        assert!(
            committed <= done && done <= committed + unknown,
            "{committed} committed, {unknown} unknown, {done} done"
        );
    }
}

async fn bounded<T>(asked: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer, whatever it is")
}

/// Status and body of `/readyz`.
fn ready(hansard: &Hansard) -> (bool, String) {
    let (status, body) = get(hansard.admin().unwrap(), "/readyz").unwrap();
    (status.contains(" 200 "), body)
}

/// Says in one line that it does not serve, and why.
fn not_ready(hansard: &Hansard, reason: &str) {
    let (ready, body) = ready(hansard);
    assert!(!ready && body.contains(reason) && body.lines().count() == 1, "{body:?}");
}

/// Says so again, with no traffic that would tell it.
fn ready_again(hansard: &Hansard) {
    eventually("it is ready again", PATIENCE, || {
        let (ready, body) = ready(hansard);
        anyhow::ensure!(ready, "{body}");
        Ok(())
    })
    .unwrap();
}

/// In one message, so that a refusal is the answer to it and to nothing else.
async fn insert(job: &Client, text: &str) -> Result<(), Error> {
    bounded(job.batch_execute(&format!("INSERT INTO notes VALUES ('{text}')"))).await
}

fn assert_refused(error: &Error) {
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some(REFUSED), "{error:?}");
}

/// Fills the log while nobody records it, and lets the recorder make room.
async fn full_until_recorded(scene: &Scene, reason: &str) {
    let mut proxy = scene.config.start("proxy").unwrap();
    assert!(ready(&proxy).0);
    let open = [proxy.connect(&scene.token).await.unwrap(), proxy.connect(&scene.token).await.unwrap()];
    let busy = [proxy.connect(&scene.token).await.unwrap(), proxy.connect(&scene.token).await.unwrap()];
    let mut done = 0;
    for job in &busy {
        done += scene.fill(job, 60_000).await;
    }
    assert!(done > 2, "there was room before");
    // Where no long value fits, short ones may.
    done += scene.fill(&open[0], 100).await;
    let (more, refused) = scene.fill_by_newcomers(&proxy).await;
    done += more;
    let inserted = scene.count().await;
    // The answer of a statement that ran may have been what no longer fitted.
    let at_most = done + refused + 3;
    assert!((done..=at_most).contains(&inserted), "{done} to {at_most} can have run, {inserted} reached the database");
    scene.refuses(&proxy, &open[1]).await;
    not_ready(&proxy, reason);

    let mut recorder = scene.config.start("record").unwrap();
    ready_again(&proxy);
    scene.resumes(&proxy).await;
    drop((open, busy));
    scene.recorded(3).await;
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_embedded_log_refuses_until_it_is_recorded() {
    let limits = "segment_size = \"64KiB\"\nmax_size = \"2MiB\"".to_owned();
    full_until_recorded(&Scene::new(limits).await, "the event log is full").await;
}

/// A small file system, unmounted in the end.
struct Disk(PathBuf);

impl Disk {
    /// None where this user may not mount.
    fn mount(folder: &Path) -> Option<Disk> {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "hansard-test"]).arg(folder);
        match run(&mut mount) {
            Ok(ended) if ended.code == Some(0) => Some(Disk(folder.to_path_buf())),
            refused => {
                eprintln!("no small disk can be mounted here: {refused:?}");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = run(Command::new("umount").arg("-l").arg(&self.0));
        if !matches!(&unmounted, Ok(ended) if ended.code == Some(0)) {
            eprintln!("{} stays mounted: {unmounted:?}", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_until_there_is_room() {
    let scene = Scene::new("segment_size = \"1MiB\"".to_owned()).await;
    let log = scene.config.data().join("log");
    let Some(_disk) = Disk::mount(&log) else {
        eprintln!("max_size stands in for a full disk");
        let limits = "segment_size = \"1MiB\"\nmax_size = \"16MiB\"".to_owned();
        return full_until_recorded(&Scene::new(limits).await, "the event log is full").await;
    };
    full_until_recorded(&scene, "No space left on device").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_jobs_are_refused_until_it_is_back() {
    let mut nats = Nats::start().unwrap();
    let scene = Scene::new(nats.event_log()).await;
    let mut hansard = scene.config.start("up").unwrap();
    let open = hansard.connect(&scene.token).await.unwrap();
    insert(&open, "before").await.unwrap();
    nats.kill().unwrap();
    scene.refuses(&hansard, &open).await;
    not_ready(&hansard, "not connected to NATS");
    nats.serve().unwrap();
    ready_again(&hansard);
    scene.resumes(&hansard).await;
    drop(open);
    scene.recorded(1).await;
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    assert!(!lake::files(&scene.config.data().join("lake/statements")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_refuses_until_it_is_recorded() {
    let nats = Nats::start().unwrap();
    let scene = Scene::new(nats.event_log_of("2MiB")).await;
    full_until_recorded(&scene, "the stream does not take more").await;
}
