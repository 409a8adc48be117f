//! A reader beside a recorder that flushes, trims and compacts: it never sees less than before, nor anything twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hansard_event_log::{EventLog, Position, shard_of};

use crate::fixture::{House, SHARDS, Session, column};

const SESSIONS: u128 = 4;
const STATEMENTS: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_never_go_down_and_never_double() {
    let house = Arc::new(House::new());
    let written = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));

    let writers: Vec<_> = (1..=SESSIONS)
        .map(|id| {
            let (house, written) = (Arc::clone(&house), Arc::clone(&written));
            tokio::spawn(async move {
                let mut session = Session::open(&house, id, "writer", "03:00:00").await;
                assert!(shard_of(&session.id, SHARDS) < SHARDS);
                for no in 1..=STATEMENTS {
                    let sql = format!("UPDATE rankings SET score = {no} WHERE id = {no}");
                    session.query("03:00:01", &sql, &[], "UPDATE 1").await;
                    written.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
                session.close("03:00:02").await;
            })
        })
        .collect();

    let recorder = tokio::spawn({
        let (house, done) = (Arc::clone(&house), Arc::clone(&done));
        async move {
            while !done.load(Ordering::SeqCst) {
                house.flush().await;
                // Trimmed at once: harder on readers than the recorder, which keeps a little.
                let watermarks = house.lake.catalog.snapshot(&Default::default()).await.unwrap().watermarks;
                for (shard, watermark) in watermarks {
                    house.log.trim(shard, Position(watermark)).await.unwrap();
                }
            }
        }
    });

    let engine = Arc::new(house.engine());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (engine, written, done) = (Arc::clone(&engine), Arc::clone(&written), Arc::clone(&done));
            tokio::spawn(async move {
                let (mut seen, mut questions) = (0, 0);
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
                    questions += 1;
                    if last {
                        return (seen, questions);
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
        let (seen, questions) = reader.await.unwrap();
        assert_eq!(seen, all);
        assert!(questions > 1);
    }
}

#[tokio::test]
async fn one_engine_follows_flush_after_flush() {
    let house = House::new();
    let engine = house.engine();
    let mut session = Session::open(&house, 1, "writer", "03:00:00").await;
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
            house.flush().await;
        }
    }
}
