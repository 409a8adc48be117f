//! The embedded log when its writer is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hansard_event_log::{Error, EventLog, LocalLogReader, Position};
use hansard_schemas::events::Message;

use crate::blocks::{Session, events, read_all};
use crate::suite::{PLENTY, SHARDS, local};

const FOLDER: &str = "HANSARD_TEST_WRITES_TO";

/// Not a test by itself: what the test below starts as a process of its own, and kills.
#[test]
fn writer_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = local(Path::new(&folder), PLENTY);
    let mut session = Session::new(0, SHARDS);
    for number in 1..u64::MAX {
        let block = session.block(2, usize::try_from(number * 37 % 3000).unwrap());
        log.append_now(0, &block.encode_to_vec()).unwrap();
        println!("took {number} of {}", session.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_of_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded::writer_process", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut taken = None;
        for line in lines.by_ref() {
            if let Some((_, said)) = line.split_once("took ") {
                let (number, session) = said.split_once(" of ").unwrap();
                taken = Some((session.parse::<uuid::Uuid>().unwrap(), number.parse::<u64>().unwrap()));
                if number.parse::<u64>().unwrap() > 40 * round {
                    break;
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        for line in lines {
            if let Some((number, session)) = line.strip_prefix("took ").and_then(|said| said.split_once(" of "))
                && let (Ok(session), Ok(number)) = (session.parse(), number.parse())
            {
                taken = Some((session, number));
            }
        }
        expected.push(taken.expect("the writer took something"));

        let outside = LocalLogReader::open(folder.path()).unwrap();
        let (seen, _) = read_all(&outside, 0, Position::START, 100_000).await;
        let (again, _) = {
            let log = local(folder.path(), PLENTY);
            read_all(&*log, 0, Position::START, usize::MAX).await
        };
        assert_eq!(events(&seen), events(&again));
        let found = events(&again);
        assert_eq!(found.len(), expected.len());
        for (session, number) in &expected {
            let blocks = found[session].len() as u64 / 2;
            assert!(blocks == *number || blocks == number + 1, "{number} were acknowledged, {blocks} are there");
        }
    }
}

/// A reader in this process while another one writes and is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_in_another_process_never_sees_half_a_block() {
    let folder = tempfile::tempdir().unwrap();
    drop(local(folder.path(), PLENTY));
    let outside = LocalLogReader::open(folder.path()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::writer_process", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut blocks = Vec::new();
    let mut at = Position::START;
    let mut last_event = 0;
    while last_event < 3000 {
        assert!(outside.wait(0, at, Duration::from_secs(20)).await.unwrap(), "the writer writes");
        let batch = outside.read(0, at, 20_000).await.unwrap();
        at = batch.next;
        blocks.extend(batch.blocks.into_iter().map(|found| found.block));
        last_event = blocks.last().map_or(0, |block| block.last_event);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(events(&blocks).len(), 1, "and without a hole");
}

/// `mount -t tmpfs -o size=2m tmpfs DIR` makes such a file system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fills the file system that HANSARD_TEST_SMALL_FOLDER lies in, of some megabytes"]
async fn a_full_file_system_is_said_and_service_resumes() {
    let small = std::env::var_os("HANSARD_TEST_SMALL_FOLDER").expect("HANSARD_TEST_SMALL_FOLDER is not set");
    let folder = tempfile::tempdir_in(small).unwrap();
    let ballast = folder.path().join("ballast");
    let path = folder.path().join("log");
    let mut session = Session::new(0, SHARDS);
    let mut written = Vec::new();
    for (bytes, reserve) in [(100, 512 << 10), (3000, 256 << 10), (30_000, 128 << 10)] {
        std::fs::write(&ballast, vec![1; reserve]).unwrap();
        let log = local(&path, PLENTY);
        let refused = loop {
            let block = session.block(1, bytes);
            match log.append_now(0, &block.encode_to_vec()) {
                Ok(_) => written.push(block),
                Err(error) => break (block, error),
            }
            assert!(written.len() < 100_000, "the file system is not small");
        };
        assert!(matches!(refused.1, Error::Full(_)), "{}", refused.1);
        let outside = LocalLogReader::open(&path).unwrap();
        assert_eq!(events(&read_all(&outside, 0, Position::START, 100_000).await.0), events(&written));
        // Still full, and nothing is damaged by that.
        assert!(matches!(log.append_now(0, &refused.0.encode_to_vec()), Err(Error::Full(_))));
        std::fs::remove_file(&ballast).unwrap();
        log.append_now(0, &refused.0.encode_to_vec()).unwrap();
        written.push(refused.0);
        assert_eq!(events(&read_all(&*log, 0, Position::START, 100_000).await.0), events(&written));
        drop(log);
        assert_eq!(events(&read_all(&outside, 0, Position::START, 100_000).await.0), events(&written));
    }
}
