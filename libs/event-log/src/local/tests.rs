//! The embedded log against torn tails, flipped bits, missing files and other folders.

use std::fs;
use std::path::Path;

use hansard_schemas::events::{Event, Gap, Payload, event};

use super::*;

fn options(path: &Path) -> LocalLogOptions {
    LocalLogOptions {
        path: path.to_owned(),
        shards: 1,
        fsync: Fsync::Interval(Duration::from_millis(20)),
        segment_bytes: 1 << 20,
        max_bytes: 1 << 30,
    }
}

/// A block that no other merges with: event `no` of a session of its own.
fn block(no: u64) -> Block {
    let kind = Some(event::Kind::Gap(Gap { reason: format!("number {no}"), frames: no }));
    let payload = Payload { events: vec![Event { at: no, event_no: 1, kind }] }.encode_to_vec();
    Block {
        session_id: u128::from(no).to_be_bytes().to_vec(),
        target: "ranking".to_owned(),
        first_seq: 1,
        last_seq: 0,
        first_event: 1,
        last_event: 1,
        payload_length: payload.len() as u64,
        payload,
        ..Block::default()
    }
}

fn append(log: &LocalLog, no: u64) -> Position {
    log.append_now(0, &block(no).encode_to_vec()).unwrap()
}

async fn all(log: &dyn EventLog, from: Position) -> Result<Vec<Block>, Error> {
    let batch = log.read(0, from, usize::MAX).await?;
    Ok(batch.blocks.into_iter().map(|found| found.block).collect())
}

fn segments(path: &Path) -> Vec<std::path::PathBuf> {
    let found = folder::segments(&path.join("shard-0000")).unwrap();
    found.iter().map(|s| folder::segment_path(&path.join("shard-0000"), s.base)).collect()
}

#[tokio::test]
async fn blocks_of_one_session_come_as_one_or_as_they_were_appended() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(options(dir.path())).unwrap();
    let blocks = [1, 2, 3].map(|no| Block { session_id: vec![7; 16], first_event: no, last_event: no, ..block(no) });
    let places: Vec<Position> = blocks.iter().map(|block| log.append_now(0, &block.encode_to_vec()).unwrap()).collect();
    let outside = LocalLogReader::open(dir.path()).unwrap();
    for log in [&*log as &dyn EventLog, &outside] {
        let merged = log.read(0, Position::START, usize::MAX).await.unwrap();
        assert_eq!((merged.blocks.len(), merged.next), (1, places[2]));
        let found = log.read_unmerged(0, Position::START, usize::MAX).await.unwrap();
        assert_eq!(found.next, places[2]);
        assert_eq!(found.blocks.iter().map(|found| found.next).collect::<Vec<_>>(), places);
        assert!(found.blocks.iter().map(|found| &found.block).eq(&blocks));
    }
}

#[tokio::test]
async fn every_torn_tail_is_taken_away_and_its_positions_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let written = {
        let log = LocalLog::open(options(dir.path())).unwrap();
        [1, 2, 3].map(|no| append(&log, no))
    };
    let file = segments(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    let third = usize::try_from(written[2].0 - written[1].0).unwrap();
    for cut in 1..=third {
        for name in segments(dir.path()) {
            fs::remove_file(name).unwrap();
        }
        fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let outside = LocalLogReader::open(dir.path()).unwrap();
        assert_eq!(all(&outside, Position::START).await.unwrap(), [block(1), block(2)], "cut {cut}");

        let log = LocalLog::open(options(dir.path())).unwrap();
        assert_eq!(all(&*log, Position::START).await.unwrap(), [block(1), block(2)], "cut {cut}");
        assert!(append(&log, 4) > written[2]);
        // Whoever had read the lost record goes on with the first one after it.
        assert_eq!(all(&*log, written[2]).await.unwrap(), [block(4)]);
        assert_eq!(all(&outside, written[2]).await.unwrap(), [block(4)]);
    }
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_record_is_damage_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let written = {
        let log = LocalLog::open(options(dir.path())).unwrap();
        [1, 2, 3].map(|no| append(&log, no))
    };
    let file = segments(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    let last = bytes.len() - usize::try_from(written[2].0 - written[1].0).unwrap();
    for at in 0..last {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&file, &flipped).unwrap();
        let error = LocalLog::open(options(dir.path())).unwrap_err();
        assert!(matches!(error, Error::Damaged { shard: 0, .. }), "byte {at}: {error}");
        assert_eq!(fs::read(&file).unwrap(), flipped, "damage is left as it is");
    }
    let error = all(&LocalLogReader::open(dir.path()).unwrap(), Position::START).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn segments_follow_one_another_and_go_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(LocalLogOptions { segment_bytes: 400, ..options(dir.path()) }).unwrap();
    let ends: Vec<Position> = (0..40).map(|no| append(&log, no)).collect();
    let expected: Vec<Block> = (0..40).map(block).collect();
    assert!(segments(dir.path()).len() > 5);
    assert_eq!(all(&*log, Position::START).await.unwrap(), expected);
    let outside = LocalLogReader::open(dir.path()).unwrap();
    assert_eq!(all(&outside, ends[6]).await.unwrap(), expected[7..]);

    let held = log.held_bytes();
    let files = segments(dir.path()).len();
    log.trim(0, ends[20]).await.unwrap();
    assert!(log.held_bytes() < held / 2 + 200);
    assert!(segments(dir.path()).len() < files);
    assert_eq!(all(&*log, ends[20]).await.unwrap(), expected[21..]);
    assert!(matches!(all(&*log, ends[19]).await, Err(Error::Trimmed { first, .. }) if first == ends[20]));
    assert!(matches!(all(&outside, ends[19]).await, Err(Error::Trimmed { first, .. }) if first == ends[20]));
    assert!(matches!(all(&*log, Position::START).await, Err(Error::Trimmed { .. })));
    drop(log);
    let log = LocalLog::open(options(dir.path())).unwrap();
    assert_eq!(log.bounds(0).await.unwrap().first, ends[20], "a trim is for ever");
    assert_eq!(all(&*log, ends[20]).await.unwrap(), expected[21..]);
}

#[tokio::test]
async fn a_missing_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(LocalLogOptions { segment_bytes: 400, ..options(dir.path()) }).unwrap();
    for no in 0..20 {
        append(&log, no);
    }
    let files = segments(dir.path());
    fs::rename(&files[2], dir.path().join("aside")).unwrap();
    let outside = LocalLogReader::open(dir.path()).unwrap();
    assert!(matches!(all(&outside, Position::START).await, Err(Error::Damaged { .. })));
    drop(log);
    assert!(matches!(LocalLog::open(options(dir.path())), Err(Error::Damaged { .. })));
    fs::rename(dir.path().join("aside"), &files[2]).unwrap();
    fs::remove_file(&files[0]).unwrap();
    assert!(matches!(all(&outside, Position::START).await, Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn a_deleted_folder_is_not_taken_for_the_former_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (read_up_to, node) = {
        let log = LocalLog::open(options(&path)).unwrap();
        (append(&log, 1), log.node().to_owned())
    };
    fs::remove_dir_all(&path).unwrap();
    // Positions begin anew each second of the clock.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let log = LocalLog::open(options(&path)).unwrap();
    append(&log, 2);
    assert_ne!(log.node(), node);
    assert!(matches!(all(&*log, read_up_to).await, Err(Error::Trimmed { .. })));
    assert_eq!(all(&*log, Position::START).await.unwrap(), [block(2)]);
    let beyond = Position(u64::MAX / 2);
    assert!(matches!(all(&*log, beyond).await, Err(Error::Rewound { asked, .. }) if asked == beyond));
}

#[tokio::test]
async fn the_folder_has_one_writer_one_number_of_shards_and_one_identity() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(LocalLogReader::open(dir.path()), Err(Error::Unavailable(_))));
    let log = LocalLog::open(options(dir.path())).unwrap();
    let (node, instance) = (log.node().to_owned(), log.instance().to_owned());
    assert!(matches!(LocalLog::open(options(dir.path())), Err(Error::InUse(_))));
    drop(log);
    let other = LocalLog::open(LocalLogOptions { shards: 2, ..options(dir.path()) }).unwrap_err();
    assert!(other.to_string().contains("was created with 1 shards, not 2"), "{other}");
    let log = LocalLog::open(options(dir.path())).unwrap();
    assert_eq!(log.node(), node);
    assert_ne!(log.instance(), instance);
    assert!(matches!(log.append_now(1, b"x"), Err(Error::Incompatible(_))));
    drop(log);
    fs::write(dir.path().join("meta"), "hansard event log 9\nshards 1\n").unwrap();
    assert!(matches!(LocalLog::open(options(dir.path())), Err(Error::Incompatible(_))));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let error = LocalLog::open(options(Path::new("/proc/nowhere/log"))).unwrap_err();
    assert!(error.to_string().contains("cannot create /proc/nowhere/log"), "{error}");
}

#[tokio::test]
async fn with_fsync_always_an_acknowledgement_follows_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log =
        LocalLog::open(LocalLogOptions { fsync: Fsync::Always, segment_bytes: 2000, ..options(dir.path()) }).unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for no in 0..200 {
        let position = append(&log, no);
        let log = Arc::clone(&log);
        waiting.spawn(async move {
            log.acknowledged(0, position).await.unwrap();
            assert!(log.is_acknowledged(0, position));
        });
    }
    waiting.join_all().await;
}

#[tokio::test]
async fn a_too_long_block_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(options(dir.path())).unwrap();
    let first = append(&log, 1);
    assert!(matches!(log.append_now(0, &vec![0; record::MAX_BODY + 1]), Err(Error::TooLong(_))));
    assert_eq!(log.bounds(0).await.unwrap().end, first);
    let mut long = block(2);
    long.payload = vec![1; 4 << 20];
    log.append_now(0, &long.encode_to_vec()).unwrap();
    append(&log, 3);
    assert_eq!(all(&*log, Position::START).await.unwrap(), [block(1), long, block(3)]);
}

#[tokio::test]
async fn a_log_that_takes_nothing_says_so_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(LocalLogOptions { max_bytes: 4096, ..options(dir.path()) }).unwrap();
    assert_eq!(log.refusal(), None);
    let filled = (0..1000).find(|no| log.append_now(0, &block(*no).encode_to_vec()).is_err());
    assert!(filled.is_some(), "there is a limit");
    let reason = log.refusal().unwrap();
    assert!(reason.contains("full") && reason.contains("4096"), "{reason}");
    log.trim(0, log.bounds(0).await.unwrap().end).await.unwrap();
    // By itself: nothing has been appended since.
    assert_eq!(log.refusal(), None);
    assert_eq!(fs::read_dir(dir.path().join("shard-0000")).unwrap().count(), 3, "the probe is gone");
}

#[test]
fn a_position_that_is_half_written_is_known() {
    let folder = tempfile::tempdir().unwrap();
    folder::make_positions(folder.path()).unwrap();
    assert_eq!((folder::trimmed(folder.path()).unwrap(), folder::trim_request(folder.path()).unwrap()), (0, 0));
    folder::set_trimmed(folder.path(), u64::MAX).unwrap();
    assert_eq!(folder::trimmed(folder.path()).unwrap(), u64::MAX);
    // One that is being written over: its halves differ.
    std::fs::write(folder.path().join("trimmed"), "00000000000000000299 00000000000000000199\n").unwrap();
    let error = folder::trimmed(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Incompatible(_)), "{error}");
    folder::set_trimmed(folder.path(), 7).unwrap();
    folder::make_positions(folder.path()).unwrap();
    assert_eq!(folder::trimmed(folder.path()).unwrap(), 7);
}
