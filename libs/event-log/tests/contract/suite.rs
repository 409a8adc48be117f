//! The cases that hold for every event log.

use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{Error, EventLog, Fsync, JetStreamLog, LocalLog, LocalLogOptions, LocalLogReader, Position};
use tempfile::TempDir;

use crate::blocks::{Session, events, read_all};
use crate::nats::NatsServer;

pub(crate) const SHARDS: u16 = 2;
pub(crate) const PLENTY: u64 = 64 << 20;
pub(crate) const LITTLE: u64 = 200 << 10;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A log to append to, and to open once more for reading.
pub(crate) struct Fixture {
    pub(crate) log: Arc<dyn EventLog>,
    kind: Kind,
}

enum Kind {
    Embedded(#[allow(dead_code)] TempDir),
    FromOutside(TempDir),
    JetStream(NatsServer, u64),
}

impl Fixture {
    pub(crate) async fn embedded(max_bytes: u64) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        Fixture { log: local(folder.path(), max_bytes), kind: Kind::Embedded(folder) }
    }

    pub(crate) async fn embedded_from_outside(max_bytes: u64) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        Fixture { log: local(folder.path(), max_bytes), kind: Kind::FromOutside(folder) }
    }

    pub(crate) async fn jetstream(max_bytes: u64) -> Fixture {
        let server = NatsServer::start().await;
        let log = JetStreamLog::connect(server.options(SHARDS, max_bytes)).await.unwrap();
        Fixture { log, kind: Kind::JetStream(server, max_bytes) }
    }

    /// A reader with no memory of another.
    async fn reader(&self) -> Arc<dyn EventLog> {
        match &self.kind {
            Kind::Embedded(_) => Arc::clone(&self.log),
            Kind::FromOutside(folder) => Arc::new(LocalLogReader::open(folder.path()).unwrap()),
            Kind::JetStream(server, max_bytes) => {
                JetStreamLog::connect(server.options(SHARDS, *max_bytes)).await.unwrap()
            }
        }
    }
}

pub(crate) fn local(path: &std::path::Path, max_bytes: u64) -> Arc<LocalLog> {
    let fsync = Fsync::Interval(Duration::from_millis(20));
    let options = LocalLogOptions { path: path.to_owned(), shards: SHARDS, fsync, segment_bytes: 16 << 10, max_bytes };
    LocalLog::open(options).unwrap()
}

pub(crate) async fn blocks_are_read_in_order_and_whole(fixture: &Fixture) {
    let mut sessions = [0, 1, 1].map(|shard| (shard, Session::new(shard, SHARDS)));
    let mut written = [Vec::new(), Vec::new()];
    for round in 0..40 {
        for (shard, session) in &mut sessions {
            let block = session.block(round % 4, 40 * round as usize);
            fixture.log.append(*shard, block.clone()).await.unwrap();
            written[usize::from(*shard)].push(block);
        }
    }
    let reader = fixture.reader().await;
    assert_eq!(reader.shards(), SHARDS);
    for shard in 0..SHARDS {
        let written = &written[usize::from(shard)];
        let bounds = reader.bounds(shard).await.unwrap();
        for max_bytes in [1, 3000, usize::MAX] {
            let (read, end) = read_all(&*reader, shard, Position::START, max_bytes).await;
            assert_eq!(events(&read), events(written));
            assert_eq!(end, bounds.end);
            let (from_first, _) = read_all(&*reader, shard, bounds.first, max_bytes).await;
            assert_eq!(events(&from_first), events(written));
        }
    }
}

pub(crate) async fn the_same_block_twice_is_read_once_or_twice(fixture: &Fixture) {
    let mut session = Session::new(0, SHARDS);
    let (first, second) = (session.block(1, 10), session.block(1, 10));
    for block in [&first, &first, &second, &first] {
        fixture.log.append(0, block.clone()).await.unwrap();
    }
    let (read, _) = read_all(&*fixture.reader().await, 0, Position::START, usize::MAX).await;
    assert!((1..=4).contains(&read.len()));
    assert_eq!(events(&read), events(&[first, second]));
}

pub(crate) async fn two_appenders_keep_their_orders(fixture: &Fixture) {
    let appenders = [(); 2].map(|()| {
        let log = Arc::clone(&fixture.log);
        tokio::spawn(async move {
            let mut session = Session::new(1, SHARDS);
            let mut written = Vec::new();
            let mut last = Position::START;
            for _ in 0..150 {
                let block = session.block(2, 100);
                let position = log.append(1, block.clone()).await.unwrap();
                assert!(position > last);
                last = position;
                written.push(block);
            }
            written
        })
    });
    let mut written = Vec::new();
    for appender in appenders {
        written.extend(appender.await.unwrap());
    }
    let (read, _) = read_all(&*fixture.reader().await, 1, Position::START, 5000).await;
    assert_eq!(events(&read), events(&written));
}

pub(crate) async fn a_reader_goes_on_where_another_ended(fixture: &Fixture) {
    let mut session = Session::new(0, SHARDS);
    let mut other = Session::new(0, SHARDS);
    let mut written = Vec::new();
    let mut read = Vec::new();
    let mut at = Position::START;
    for _ in 0..6 {
        for _ in 0..10 {
            for block in [session.block(1, 300), other.block(0, 0)] {
                fixture.log.append(0, block.clone()).await.unwrap();
                written.push(block);
            }
        }
        let batch = fixture.reader().await.read(0, at, 2000).await.unwrap();
        at = batch.next;
        read.extend(batch.blocks.into_iter().map(|found| found.block));
    }
    read.extend(read_all(&*fixture.reader().await, 0, at, 2000).await.0);
    let exactly_once: usize =
        read.iter().map(|block| hansard_schemas::events::BlockExt::events(block).unwrap().len()).sum();
    assert_eq!(exactly_once, 60 * 3);
    assert_eq!(events(&read), events(&written));
}

pub(crate) async fn a_reader_follows_the_live_end(fixture: &Fixture) {
    let mut session = Session::new(1, SHARDS);
    let mut elsewhere = Session::new(0, SHARDS);
    let reader = fixture.reader().await;
    assert!(!reader.wait(1, Position::START, Duration::from_millis(30)).await.unwrap());
    let mut at = Position::START;
    for round in 0..5 {
        let (follower, from) = (Arc::clone(&reader), at);
        let waiting = tokio::spawn(async move { follower.wait(1, from, PATIENCE).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 40 } else { 0 })).await;
        // What comes in another shard is none of its business.
        fixture.log.append(0, elsewhere.block(1, 1)).await.unwrap();
        let block = session.block(3, 1000);
        fixture.log.append(1, block.clone()).await.unwrap();
        assert!(waiting.await.unwrap());
        let batch = reader.read(1, at, usize::MAX).await.unwrap();
        assert_eq!(batch.blocks.len(), 1);
        assert_eq!(batch.blocks[0].block, block);
        at = batch.next;
        assert!(reader.wait(1, from, PATIENCE).await.unwrap());
        assert!(!reader.wait(1, at, Duration::from_millis(30)).await.unwrap());
        assert!(reader.read(1, at, usize::MAX).await.unwrap().blocks.is_empty());
    }
}

pub(crate) async fn what_was_trimmed_is_not_read_silently(fixture: &Fixture) {
    let mut sessions = [0, 1].map(|shard| Session::new(shard, SHARDS));
    let mut places = Vec::new();
    let mut written = Vec::new();
    for _ in 0..60 {
        let block = sessions[0].block(1, 900);
        places.push(fixture.log.append(0, block.clone()).await.unwrap());
        written.push(block);
        fixture.log.append(1, sessions[1].block(1, 900)).await.unwrap();
    }
    let reader = fixture.reader().await;
    let (others, _) = read_all(&*reader, 1, Position::START, usize::MAX).await;
    for (place, again) in [(19, 19), (40, 19), (59, 59)] {
        reader.trim(0, places[place]).await.unwrap();
        reader.trim(0, places[again]).await.unwrap();
        for log in [&reader, &fixture.reader().await] {
            assert_eq!(log.bounds(0).await.unwrap().first, places[place]);
            for below in [Position::START, places[0], places[place - 1]] {
                let error = log.read(0, below, usize::MAX).await.unwrap_err();
                assert!(
                    matches!(error, Error::Trimmed { asked, first } if asked == below && first == places[place]),
                    "{error}"
                );
            }
            let (rest, end) = read_all(&**log, 0, places[place], usize::MAX).await;
            assert_eq!(end, places[59]);
            let expected = &written[place + 1..];
            assert_eq!(rest.first().map(|b| b.first_seq), expected.first().map(|b| b.first_seq));
            assert_eq!(rest.last().map(|b| b.last_seq), expected.last().map(|b| b.last_seq));
        }
    }
    let (untouched, _) = read_all(&*reader, 1, Position::START, usize::MAX).await;
    assert_eq!(untouched, others);
    // It goes on behind what was trimmed.
    let block = sessions[0].block(1, 10);
    fixture.log.append(0, block.clone()).await.unwrap();
    assert_eq!(read_all(&*reader, 0, places[59], usize::MAX).await.0, [block]);
}

pub(crate) async fn a_place_behind_the_end_is_an_error(fixture: &Fixture) {
    fixture.log.append(0, Session::new(0, SHARDS).block(1, 10)).await.unwrap();
    let beyond = Position(u64::MAX / 4);
    let error = fixture.reader().await.read(0, beyond, 1).await.unwrap_err();
    assert!(matches!(error, Error::Rewound { asked, .. } if asked == beyond), "{error}");
}

pub(crate) async fn a_shard_that_does_not_exist_is_an_error(fixture: &Fixture) {
    let block = Session::new(0, SHARDS).block(1, 10);
    assert!(fixture.log.append(SHARDS, block).await.is_err());
    let reader = fixture.reader().await;
    assert!(reader.read(SHARDS, Position::START, 1).await.is_err());
    assert!(reader.bounds(SHARDS).await.is_err());
    assert!(reader.trim(SHARDS, Position::START).await.is_err());
    assert!(reader.wait(SHARDS, Position::START, Duration::from_millis(1)).await.is_err());
}

/// With a log of [`LITTLE`] bytes.
pub(crate) async fn full_and_trimmed(fixture: &Fixture) {
    let mut session = Session::new(0, SHARDS);
    let reader = fixture.reader().await;
    let mut at = Position::START;
    let mut last_seq = 0;
    for round in 0..3 {
        let mut taken = Vec::new();
        let refused = loop {
            assert!(taken.len() < 200, "the log takes more than it may");
            let block = session.block(1, 5000);
            match fixture.log.append(0, block.clone()).await {
                Ok(_) => taken.push(block),
                Err(error) => break (block, error),
            }
        };
        assert!(matches!(refused.1, Error::Full(_)), "{}", refused.1);
        assert!(taken.len() > 10, "only {} blocks in round {round}", taken.len());
        let (read, end) = read_all(&*reader, 0, at, usize::MAX).await;
        assert_eq!(events_of(&read, last_seq), events_of(&taken, last_seq), "nothing of what was refused is there");
        last_seq = taken.last().unwrap().last_seq;
        reader.trim(0, end).await.unwrap();
        at = end;
        // Space returns in the log's own time; then the same block is taken.
        for tries in 0.. {
            match fixture.log.append(0, refused.0.clone()).await {
                Ok(_) => break,
                Err(error) => assert!(matches!(error, Error::Full(_)) && tries < 200, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (read, end) = read_all(&*reader, 0, at, usize::MAX).await;
        assert_eq!(events_of(&read, last_seq), events_of(std::slice::from_ref(&refused.0), last_seq));
        last_seq = refused.0.last_seq;
        at = end;
    }
}

/// Events of blocks that begin behind `last_seq` (and, alike, the event of that number).
fn events_of(blocks: &[hansard_schemas::events::Block], last_seq: u64) -> Vec<hansard_schemas::events::Event> {
    use hansard_schemas::events::BlockExt;
    assert_eq!(blocks[0].first_seq, last_seq + 1);
    blocks.iter().flat_map(|block| block.events().unwrap()).collect()
}
