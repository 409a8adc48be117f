//! The local log as the spool in front of a stream.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{
    Error, EventLog, JetStreamLog, LocalLog, Position, Shipper, ShipperHandle, ShipperOptions, WaitFor,
};
use hansard_schemas::events::{Block, Event, Message};
use uuid::Uuid;

use crate::blocks::{Session, events, read_all};
use crate::nats::NatsServer;
use crate::suite::{PLENTY, SHARDS, local};

const PATIENCE: Duration = Duration::from_secs(30);

fn ship(local: &Arc<LocalLog>, stream: &Arc<JetStreamLog>, wait_for: WaitFor) -> ShipperHandle {
    let options = ShipperOptions { window_bytes: 1 << 20, wait_for };
    Shipper::start(Arc::clone(local), Arc::clone(stream), options)
}

async fn connect(server: &NatsServer, max_bytes: u64) -> Arc<JetStreamLog> {
    JetStreamLog::connect(server.options(SHARDS, max_bytes)).await.unwrap()
}

async fn all(stream: &JetStreamLog) -> BTreeMap<Uuid, Vec<Event>> {
    let mut blocks = Vec::new();
    for shard in 0..SHARDS {
        blocks.extend(read_all(stream, shard, Position::START, usize::MAX).await.0);
    }
    assert!(blocks.iter().all(|block| block.chain_head.len() == 32));
    events(&blocks)
}

fn append(log: &LocalLog, shard: u16, block: &Block) -> Position {
    log.append_now(shard, &block.encode_to_vec()).unwrap()
}

/// Appends from several sessions of each shard, each waiting for its acknowledgement before it goes on.
async fn jobs(log: &Arc<LocalLog>, count: usize, blocks: usize) -> Vec<Block> {
    let mut jobs = tokio::task::JoinSet::new();
    for job in 0..count {
        let (log, shard) = (Arc::clone(log), u16::try_from(job).unwrap() % SHARDS);
        jobs.spawn(async move {
            let mut session = Session::new(shard, SHARDS);
            let mut written = Vec::new();
            for number in 0..blocks {
                let block = session.block(u32::try_from(number % 3).unwrap(), number * 31 % 2000);
                let position = append(&log, shard, &block);
                written.push(block);
                for tries in 0.. {
                    match log.acknowledged(shard, position).await {
                        Ok(()) => break,
                        Err(error) => assert!(tries < 500, "{error}"),
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                assert!(log.is_acknowledged(shard, position));
            }
            written
        });
    }
    jobs.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_is_what_the_stream_has_though_its_server_is_killed() {
    let mut server = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (log, stream) = (local(folder.path(), PLENTY), connect(&server, PLENTY).await);
    let shipper = ship(&log, &stream, WaitFor::Stream);
    let jobs = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { jobs(&log, 8, 60).await })
    };
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        server.restart().await;
    }
    let written = jobs.await.unwrap();
    // Without waiting for the shipper's end: what was acknowledged is there.
    assert_eq!(all(&stream).await, events(&written));
    shipper.stop(PATIENCE).await;
    assert_eq!(all(&stream).await, events(&written));
    for shard in 0..SHARDS {
        let bounds = log.bounds(shard).await.unwrap();
        assert_eq!(bounds.first, bounds.end, "the spool is empty");
    }
    assert_eq!(log.held_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_takes_nothing_is_said_and_service_resumes() {
    let mut server = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (log, stream) = (local(folder.path(), PLENTY), connect(&server, PLENTY).await);
    let shipper = ship(&log, &stream, WaitFor::Stream);
    let mut session = Session::new(0, SHARDS);
    let mut written = vec![session.block(1, 10)];
    let position = append(&log, 0, &written[0]);
    tokio::time::timeout(PATIENCE, log.acknowledged(0, position)).await.unwrap().unwrap();
    assert_eq!(log.trouble(), None);

    server.kill();
    written.push(session.block(1, 10));
    let position = append(&log, 0, &written[1]);
    let error = tokio::time::timeout(PATIENCE, log.acknowledged(0, position)).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(!log.is_acknowledged(0, position));
    assert!(log.trouble().is_some());

    server.restart().await;
    let again = async {
        while log.acknowledged(0, position).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(log.trouble(), None);
    shipper.stop(PATIENCE).await;
    assert_eq!(all(&stream).await, events(&written));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_is_said_and_service_resumes() {
    let server = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (log, stream) = (local(folder.path(), PLENTY), connect(&server, 30_000).await);
    let shipper = ship(&log, &stream, WaitFor::Stream);
    let mut session = Session::new(0, SHARDS);
    let mut written = Vec::new();
    let error = loop {
        let block = session.block(1, 900);
        let position = append(&log, 0, &block);
        written.push(block);
        assert!(written.len() < 100);
        match tokio::time::timeout(PATIENCE, log.acknowledged(0, position)).await.unwrap() {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full(_)), "{error}");
    assert_eq!(read_all(&*stream, 0, Position::START, usize::MAX).await.0.len(), written.len() - 1);
    // A recorder takes it over.
    let (mut read, end) = read_all(&*stream, 0, Position::START, usize::MAX).await;
    stream.trim(0, end).await.unwrap();
    let position = log.bounds(0).await.unwrap().end;
    let again = async {
        while log.acknowledged(0, position).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    shipper.stop(PATIENCE).await;
    read.extend(read_all(&*stream, 0, end, usize::MAX).await.0);
    assert_eq!(events(&read), events(&written));
}

/// A proxy that dies at any moment: its tasks end, nothing is saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_start_ships_the_rest_and_carries_the_chain_on() {
    let server = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let stream = connect(&server, PLENTY).await;
    let mut sessions = [0, 1, 0].map(|shard| (shard, Session::new(shard, SHARDS)));
    let mut written = Vec::new();
    for round in 0..12 {
        let log = local(folder.path(), PLENTY);
        let handle = ship(&log, &stream, WaitFor::Spool);
        for number in 0..40 {
            for (shard, session) in &mut sessions {
                let block = session.block(number % 2, 500);
                let position = append(&log, *shard, &block);
                assert!(log.is_acknowledged(*shard, position), "the spool has it");
                written.push(block);
            }
            if number % 8 == 0 {
                tokio::time::sleep(Duration::from_millis(round)).await;
            }
        }
        if round % 4 == 3 {
            handle.stop(PATIENCE).await;
        } else {
            // Long enough, now and then, for something to be saved.
            tokio::time::sleep(Duration::from_millis(100 * (round % 3) * 6)).await;
            drop(handle);
        }
        close(folder.path(), log).await;
        // A session does not outlive its process.
        sessions = [0, 1, 0].map(|shard| (shard, Session::new(shard, SHARDS)));
    }
    let log = local(folder.path(), PLENTY);
    ship(&log, &stream, WaitFor::Spool).stop(PATIENCE).await;
    assert_eq!(log.held_bytes(), 0, "all was shipped");
    assert_eq!(all(&stream).await, events(&written));
}

/// Waits until aborted tasks have let the folder go.
async fn close(folder: &Path, log: Arc<LocalLog>) {
    drop(log);
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let lock = std::fs::File::open(folder.join("lock")).unwrap();
        if lock.try_lock().is_ok() {
            return;
        }
    }
    panic!("the folder is still in use");
}
