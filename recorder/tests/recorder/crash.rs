//! The recorder killed between any two steps of a flush, again and again, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hansard_lake::catalog::FileFilter;
use hansard_recorder::{Recorder, RecorderOptions, Step};

use crate::fixture::*;

const FOLDER: &str = "HANSARD_TEST_CRASH_FOLDER";
const PLACE: &str = "HANSARD_TEST_CRASH_PLACE";

/// What the child says when it stands where it is to be killed.
const REACHED: &str = "reached the place";

/// Options of a recorder that flushes after every block.
fn every_block() -> RecorderOptions {
    RecorderOptions { read_bytes: 1, ..options(Duration::ZERO) }
}

/// Not a test: the process that the test kills. It records until it has reached a step a number of times, says so, and
/// stands still.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by `killed_between_any_two_steps`"]
async fn child() {
    let (Ok(folder), Ok(place)) = (std::env::var(FOLDER), std::env::var(PLACE)) else { return };
    let folder = PathBuf::from(folder);
    let reached = AtomicU32::new(0);
    let (step, times) = place.split_once(' ').unwrap();
    let (step, times) = (step.to_owned(), times.parse::<u32>().unwrap());
    let recorder =
        Recorder::new(every_block(), reader(&folder), lake(&folder)).observed_by(Arc::new(move |_, at: Step| {
            if format!("{at:?}") == step && reached.fetch_add(1, Ordering::SeqCst) + 1 == times {
                println!("{REACHED}");
                loop {
                    std::thread::park();
                }
            }
        }));
    start(recorder).ended().await.unwrap();
}

/// Starts the child, and kills it where it is told to.
fn killed_at(folder: &Path, place: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reached = output.lines().any(|line| line.unwrap().contains(REACHED));
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "the recorder reached {place}");
}

fn parquet_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => parquet_files(&path),
            false => usize::from(path.extension().is_some_and(|extension| extension == "parquet")),
        })
        .sum()
}

async fn known_files(lake: &hansard_lake::Lake) -> usize {
    lake.catalog.snapshot(&FileFilter::default()).await.unwrap().files.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut sessions = vec![session(0, 1), session(0, 1)];
    for session in &mut sessions {
        log.append_now(0, &session.open()).unwrap();
    }
    let mut number = 0;
    for place in [
        "FilesWritten 1",
        "Committed 1",
        "FilesWritten 1",
        "FilesWritten 3",
        "Trimmed 1",
        "Committed 2",
        "FilesWritten 1",
        "Committed 1",
        "Trimmed 2",
    ] {
        for _ in 0..8 {
            for session in &mut sessions {
                number += 1;
                log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
            }
        }
        let folder = folder.path().to_owned();
        tokio::task::spawn_blocking(move || killed_at(&folder, place)).await.unwrap();
    }
    for session in &mut sessions {
        log.append_now(0, &session.close()).unwrap();
    }
    let running = start(Recorder::new(every_block(), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &sessions).await;
    assert!(unfinished(&lake).await.is_empty());
    assert_eq!(parquet_files(folder.path()), known_files(&lake).await, "no file is left that nobody knows");
    let statements = rows(folder.path(), &lake, hansard_schemas::lake::Table::Statements).await;
    assert_eq!(texts(&statements, "sql").len(), number, "each statement once");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    log.append_now(0, &session.open()).unwrap();
    for round in 0..6u64 {
        let path = folder.path().to_owned();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--ignored"])
            .env(FOLDER, path)
            .env(PLACE, "Never 1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for number in 0..25 {
            log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
            // Some rounds end while the child still starts, some far into its work.
            tokio::time::sleep(Duration::from_micros(round * 900)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    log.append_now(0, &session.close()).unwrap();
    let running = start(Recorder::new(every_block(), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}
