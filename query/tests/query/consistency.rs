//! A reader beside a recorder that flushes, trims and compacts: it never sees less than before, nor anything twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hansard_event_log::{EventLog, Position, shard_of};
use hansard_lake::Lake;
use hansard_lake::catalog::{Catalog, Commit, Compaction, Error, FileEntry, FileFilter, ShardHold, Snapshot};
use hansard_query::{Engine, EngineOptions, ErrorKind};
use uuid::Uuid;

use crate::fixture::{Fixture, SHARDS, Session, column};

const SESSIONS: u128 = 4;
const STATEMENTS: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_never_go_down_and_never_double() {
    let fixture = Arc::new(Fixture::new());
    let written = Arc::new(AtomicU64::new(0));
    let asked = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));

    let writers: Vec<_> = (1..=SESSIONS)
        .map(|id| {
            let (fixture, written, asked) = (Arc::clone(&fixture), Arc::clone(&written), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut session = Session::open(&fixture, id, "writer", "03:00:00").await;
                assert!(shard_of(&session.id, SHARDS) < SHARDS);
                for no in 1..=STATEMENTS {
                    let sql = format!("UPDATE rankings SET score = {no} WHERE id = {no}");
                    session.query("03:00:01", &sql, &[], "UPDATE 1").await;
                    written.fetch_add(1, Ordering::SeqCst);
                    if no % 15 == 0 {
                        // However slow the machine: questions are asked all the while.
                        let before = asked.load(Ordering::SeqCst);
                        while asked.load(Ordering::SeqCst) == before {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                session.close("03:00:02").await;
            })
        })
        .collect();

    let recorder = tokio::spawn({
        let (fixture, done) = (Arc::clone(&fixture), Arc::clone(&done));
        async move {
            while !done.load(Ordering::SeqCst) {
                fixture.flush().await;
                // Trimmed at once: harder on readers than the recorder, which keeps a little.
                let watermarks = fixture.lake.catalog.snapshot(&Default::default()).await.unwrap().watermarks;
                for (shard, watermark) in watermarks {
                    fixture.log.trim(shard, Position(watermark)).await.unwrap();
                }
            }
        }
    });

    let engine = Arc::new(fixture.engine());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (engine, written, done) = (Arc::clone(&engine), Arc::clone(&written), Arc::clone(&done));
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let mut seen = 0;
                loop {
                    let last = done.load(Ordering::SeqCst);
                    let before = written.load(Ordering::SeqCst);
                    let sql = "SELECT count(*) AS n, count(DISTINCT t.session_id || '/' || t.statement_no) AS different, \
                               count(u.relation) AS touched, count(s.session_id) AS owned FROM statements t \
                               LEFT JOIN touches u ON u.session_id = t.session_id AND u.statement_no = t.statement_no \
                               LEFT JOIN sessions s ON s.session_id = t.session_id";
                    let answer = engine.sql(sql).await.unwrap();
                    let number = |name| column(&answer, name)[0].parse::<u64>().unwrap();
                    let found = number("n");
                    assert_eq!(found, number("different"), "a statement twice");
                    assert_eq!(found, number("touched"), "statements and touches of different moments");
                    assert_eq!(found, number("owned"), "statements and sessions of different moments");
                    assert!(found >= before, "{before} were acknowledged before, {found} are there");
                    assert!(found >= seen, "{seen} were there, now {found}");
                    seen = found;
                    asked.fetch_add(1, Ordering::SeqCst);
                    if last {
                        return seen;
                    }
                }
            })
        })
        .collect();

    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    recorder.await.unwrap();
    let all = u64::try_from(SESSIONS).unwrap() * STATEMENTS;
    for reader in readers {
        assert_eq!(reader.await.unwrap(), all);
    }
}

/// Statements with the same place among the rows of two questions are not taken for each other.
#[tokio::test]
async fn the_end_of_a_transaction_is_of_its_own_session_in_later_questions() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    let of = |id: Uuid| {
        format!("SELECT transaction_outcome FROM statements WHERE session_id = '{id}' ORDER BY statement_no")
    };
    // Both are of one shard.
    let mut first = Session::open(&fixture, 1, "first", "03:12:00").await;
    first.query("03:12:01", "BEGIN", &[], "BEGIN").await.query("03:12:02", "UPDATE t SET a = 1", &[], "UPDATE 1").await;
    assert_eq!(column(&engine.sql(&of(first.id)).await.unwrap(), "transaction_outcome"), ["open", "open"]);
    let mut number = 2;
    let mut second = Session::open(&fixture, number, "second", "03:12:03").await;
    while shard_of(&second.id, SHARDS) != shard_of(&first.id, SHARDS) {
        number += 1;
        second = Session::open(&fixture, number, "second", "03:12:03").await;
    }
    second
        .query("03:12:04", "BEGIN", &[], "BEGIN")
        .await
        .query("03:12:05", "UPDATE t SET a = 2", &[], "UPDATE 1")
        .await;
    first.query("03:12:06", "COMMIT", &[], "COMMIT").await;
    assert_eq!(column(&engine.sql(&of(second.id)).await.unwrap(), "transaction_outcome"), ["open", "open"]);
    let outcomes = column(&engine.sql(&of(first.id)).await.unwrap(), "transaction_outcome");
    assert_eq!(outcomes, ["committed", "committed", "committed"]);
}

#[tokio::test]
async fn one_engine_follows_flush_after_flush() {
    let fixture = Fixture::new();
    let engine = fixture.engine();
    let mut session = Session::open(&fixture, 1, "writer", "03:00:00").await;
    for no in 1..=6 {
        session.query("03:00:01", "UPDATE rankings SET score = 1", &[], "UPDATE 1").await;
        // Twice: from the log, and from what was kept of it.
        for _ in 0..2 {
            let sql = "SELECT count(*) AS n, max(statement_no) AS last FROM statements";
            let answer = engine.sql(sql).await.unwrap();
            assert_eq!((column(&answer, "n"), column(&answer, "last")), (vec![no.to_string()], vec![no.to_string()]));
            let frames = engine.sql("SELECT count(*) AS n FROM frames").await.unwrap();
            assert_eq!(column(&frames, "n"), [(2 + 3 * no).to_string()]);
        }
        if no % 2 == 0 {
            fixture.flush().await;
        }
    }
}

/// A catalog whose recorder commits just after each of the first snapshots that are taken of it.
struct Busy {
    fixture: Arc<Fixture>,
    commits: AtomicU64,
}

#[async_trait::async_trait]
impl Catalog for Busy {
    async fn take_shard(&self, shard: u16, holder: &str) -> Result<ShardHold, Error> {
        self.fixture.lake.catalog.take_shard(shard, holder).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), Error> {
        self.fixture.lake.catalog.commit(commit).await
    }

    async fn compact(&self, compaction: Compaction) -> Result<(), Error> {
        self.fixture.lake.catalog.compact(compaction).await
    }

    async fn snapshot(&self, filter: &FileFilter) -> Result<Snapshot, Error> {
        let snapshot = self.fixture.lake.catalog.snapshot(filter).await;
        let left = self.commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if let Ok(left) = left {
            let mut session = Session::open(&self.fixture, 100 + u128::from(left), "late", "03:00:00").await;
            session.query("03:00:01", "UPDATE rankings SET score = 1", &[], "UPDATE 1").await;
            session.close("03:00:02").await;
            self.fixture.flush().await;
        }
        snapshot
    }

    async fn windows_below(&self, level: u8) -> Result<Vec<FileEntry>, Error> {
        self.fixture.lake.catalog.windows_below(level).await
    }

    async fn expired(&self, linger: Duration) -> Result<Vec<String>, Error> {
        self.fixture.lake.catalog.expired(linger).await
    }

    async fn unknown(&self, paths: Vec<String>) -> Result<Vec<String>, Error> {
        self.fixture.lake.catalog.unknown(paths).await
    }

    async fn forget(&self, paths: &[String]) -> Result<(), Error> {
        self.fixture.lake.catalog.forget(paths).await
    }
}

#[tokio::test]
async fn a_commit_between_two_tables_is_noticed() {
    let sql = "SELECT count(*) AS n, count(u.relation) AS touched, count(s.session_id) AS owned FROM statements t \
               LEFT JOIN touches u ON u.session_id = t.session_id LEFT JOIN sessions s ON s.session_id = t.session_id";
    let busy = async |commits: u64| {
        let fixture = Arc::new(Fixture::new());
        let mut session = Session::open(&fixture, 1, "first", "03:00:00").await;
        session.query("03:00:01", "UPDATE rankings SET score = 1", &[], "UPDATE 1").await;
        let catalog = Arc::new(Busy { fixture: Arc::clone(&fixture), commits: AtomicU64::new(commits) });
        let mut lake: Lake = (*fixture.lake).clone();
        lake.catalog = catalog;
        let log: Arc<dyn EventLog> = fixture.log.clone();
        let engine = Engine::new(Arc::new(lake), Some(log), EngineOptions::default());
        engine.sql(sql).await
    };
    for commits in 0..4 {
        let answer = busy(commits).await.unwrap();
        let all = [(commits + 1).to_string()];
        let found = ["n", "touched", "owned"].map(|name| column(&answer, name));
        assert!(found.iter().all(|found| *found == all), "{commits}: {found:?}");
    }
    // One that never rests is an error, not a wrong answer.
    let error = busy(u64::MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
