//! What an append costs. Not a test: figures to be read, in an optimised build.
//!
//! `cargo test --release -p hansard-event-log -- --ignored --nocapture measure`

use std::time::{Duration, Instant};

use hansard_event_log::{EventLog, Fsync, LocalLog, LocalLogOptions, Position};

const APPENDS: u32 = 400_000;

fn open(path: &std::path::Path, fsync: Fsync) -> std::sync::Arc<LocalLog> {
    let options =
        LocalLogOptions { path: path.to_owned(), shards: 2, fsync, segment_bytes: 64 << 20, max_bytes: 16 << 30 };
    LocalLog::open(options).unwrap()
}

fn appends(log: &LocalLog, shard: u16, bytes: usize, count: u32) -> Duration {
    let body = vec![7; bytes];
    let began = Instant::now();
    for _ in 0..count {
        log.append_now(shard, &body).unwrap();
    }
    began.elapsed()
}

#[test]
#[ignore = "measures"]
fn measure_appends() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), Fsync::Interval(Duration::from_millis(50)));
    appends(&log, 0, 200, 10_000);
    for bytes in [50, 200, 2000, 16_000, 64_000] {
        let count = APPENDS.min(u32::try_from(2_000_000_000 / bytes).unwrap());
        let took = appends(&log, 0, bytes, count);
        println!("one appender, {bytes} bytes: {} ns", (took / count).as_nanos());
    }
    let took = std::thread::scope(|threads| {
        let appenders = [0, 1].map(|shard| {
            let log = &log;
            threads.spawn(move || appends(log, shard, 200, APPENDS))
        });
        appenders.map(|appender| appender.join().unwrap())
    });
    println!("two appenders in two shards, 200 bytes: {:?} ns", took.map(|took| (took / APPENDS).as_nanos()));
}

#[test]
#[ignore = "measures"]
fn measure_bare_writes() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::options().create(true).append(true).open(folder.path().join("bare")).unwrap();
    let body = [7; 212];
    let began = Instant::now();
    for _ in 0..APPENDS {
        assert_eq!(file.write(&body).unwrap(), body.len());
    }
    println!("bare write(2), 212 bytes: {} ns", (began.elapsed() / APPENDS).as_nanos());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_appends_while_a_reader_follows() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), Fsync::Interval(Duration::from_millis(50)));
    let follower = {
        let log = std::sync::Arc::clone(&log);
        tokio::spawn(async move {
            let mut at = log.bounds(0).await.unwrap().first;
            let (mut waits, mut bytes) = (0u32, 0u64);
            while log.wait(0, at, Duration::from_millis(300)).await.unwrap() {
                let next = log.read(0, at, 1 << 20).await.unwrap().next;
                bytes += next.0 - at.0;
                at = next;
                waits += 1;
            }
            (waits, bytes)
        })
    };
    let block = hansard_schemas::events::Message::encode_to_vec(&crate::blocks::Session::new(0, 2).block(1, 100));
    let appending = std::sync::Arc::clone(&log);
    let took = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        for _ in 0..APPENDS {
            appending.append_now(0, &block).unwrap();
        }
        (began.elapsed(), block.len())
    });
    let (took, bytes) = took.await.unwrap();
    let (waits, read) = follower.await.unwrap();
    println!(
        "with a reader that follows, {bytes} bytes: {} ns; it read {read} bytes in {waits} reads",
        (took / APPENDS).as_nanos()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_acknowledgements_with_fsync_always() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), Fsync::Always);
    for waiters in [1, 8, 64] {
        let mut tasks = tokio::task::JoinSet::new();
        let began = Instant::now();
        for _ in 0..waiters {
            let log = std::sync::Arc::clone(&log);
            tasks.spawn(async move {
                for _ in 0..100 {
                    let position: Position = log.append_now(0, &[7; 200]).unwrap();
                    log.acknowledged(0, position).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        println!("fsync always, {waiters} at once: {:?} each", began.elapsed() / 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_acknowledgements_by_the_stream() {
    use hansard_event_log::{JetStreamLog, Shipper, ShipperOptions, WaitFor};
    let server = crate::nats::NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), Fsync::Interval(Duration::from_millis(50)));
    let stream = JetStreamLog::connect(server.options(2, 8 << 30)).await.unwrap();
    let options = ShipperOptions { window_bytes: 16 << 20, wait_for: WaitFor::Stream };
    let shipper = Shipper::start(std::sync::Arc::clone(&log), stream, options);
    for jobs in [1, 8, 64] {
        let mut tasks = tokio::task::JoinSet::new();
        let began = Instant::now();
        for job in 0..jobs {
            let (log, shard) = (std::sync::Arc::clone(&log), job % 2);
            tasks.spawn(async move {
                let mut session = crate::blocks::Session::new(shard, 2);
                for _ in 0..500 {
                    let block = hansard_schemas::events::Message::encode_to_vec(&session.block(1, 100));
                    let position = log.append_now(shard, &block).unwrap();
                    log.acknowledged(shard, position).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        println!("acknowledged by the stream, {jobs} jobs: {:?} each", began.elapsed() / 500);
    }
    let mut session = crate::blocks::Session::new(0, 2);
    let began = Instant::now();
    let mut bytes = 0;
    let mut position = Position::START;
    for _ in 0..4000 {
        let block = hansard_schemas::events::Message::encode_to_vec(&session.block(1, 64_000));
        bytes += block.len() as u64;
        position = log.append_now(0, &block).unwrap();
    }
    log.acknowledged(0, position).await.unwrap();
    println!("one session of 64 kB blocks: {} MB/s", u128::from(bytes) / began.elapsed().as_micros());
    shipper.stop(Duration::from_secs(30)).await;
}
