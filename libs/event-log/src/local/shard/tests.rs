//! The writer of a shard when the device refuses, in ways that only its inside can bring about.

use super::*;

fn open(dir: &std::path::Path) -> ShardLog {
    let quota = Arc::new(Quota { held: AtomicU64::new(0), limit: 1 << 20 });
    let lock = Arc::new(File::create(dir.join("lock")).unwrap());
    ShardLog::open(0, dir.to_owned(), 4096, Acknowledge::Written, quota, 1_700_000_000_000, lock).unwrap()
}

fn bodies(log: &ShardLog) -> usize {
    log.view().read(0, usize::MAX).unwrap().blocks.len()
}

fn body(session: u8) -> Vec<u8> {
    use hansard_schemas::events::{Block, Message};
    Block { session_id: vec![session; 16], target: "t".repeat(50), ..Block::default() }.encode_to_vec()
}

#[test]
fn a_full_device_is_said_and_forgotten_when_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = log.append(&body(1)).unwrap();
    let held = log.quota.held.load(SeqCst);

    let full = Arc::new(File::options().append(true).open("/dev/full").unwrap());
    let real = std::mem::replace(&mut log.writer.lock().file, full);
    assert!(matches!(log.append(&body(2)), Err(Error::Full(_))));
    // The device can't be shortened either: nothing is appended until it can.
    let again = log.append(&body(2)).unwrap_err();
    assert!(again.to_string().contains("cannot shorten"), "{again}");
    assert_eq!((log.end(), log.quota.held.load(SeqCst)), (first, held));

    log.writer.lock().file = real;
    assert!(log.append(&body(3)).unwrap() > first);
    assert_eq!(bodies(&log), 2);
}

#[test]
fn what_a_short_write_left_is_taken_back_before_the_next_append() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(&body(1)).unwrap();
    {
        let mut writer = log.writer.lock();
        (&*writer.file).write_all(&[7; 30]).unwrap();
        writer.torn = true;
    }
    log.append(&body(2)).unwrap();
    assert_eq!(bodies(&log), 2);
    let view = View::of_files(0, dir.path().to_owned()).unwrap();
    assert_eq!(view.read(0, usize::MAX).unwrap().blocks.len(), 2);
    assert_eq!(view.bounds().end.0, log.end());
}

#[test]
fn a_failed_fsync_ends_appends_and_acknowledgements() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.acknowledge_on(Acknowledge::Synced);
    let end = log.append(&body(1)).unwrap();
    // fdatasync of a pipe is EINVAL.
    let (_reader, pipe) = io::pipe().unwrap();
    let file = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
    log.sync(&Unsynced { files: vec![file], new_names: false, end });
    assert!(!log.is_acknowledged(end));
    assert!(matches!(log.hindrance(), Some(Error::Unavailable(_))));
    assert!(matches!(log.append(&body(2)), Err(Error::Unavailable(_))));
    assert!(log.take_unsynced().is_none());
}

#[test]
fn an_acknowledgement_never_moves_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = log.append(&body(1)).unwrap();
    log.acknowledge_on(Acknowledge::Shipped);
    let second = log.append(&body(1)).unwrap();
    assert!(log.is_acknowledged(first) && !log.is_acknowledged(second));
    log.acknowledge(second);
    log.acknowledge(first);
    assert!(log.is_acknowledged(second));
}
