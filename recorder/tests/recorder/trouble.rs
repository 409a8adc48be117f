//! What is in the way of recording: it waits, or stops with a clear error; it never skips.

use std::path::Path;
use std::time::Duration;

use hansard_event_log::EventLog;
use hansard_recorder::{Error, Recorder};

use crate::fixture::*;

const SOON: Duration = Duration::from_millis(30);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_recorders_the_first_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    let first = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    log.append_now(0, &session.open()).unwrap();
    drained(&*log, &lake).await;
    // Another process would have a connection of its own.
    let elsewhere = crate::fixture::lake(folder.path());
    let second = start(Recorder::new(options(SOON), reader(folder.path()), elsewhere));
    let mut number = 0;
    until("the first recorder stops", async || {
        number += 1;
        log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
        !first.recorder.failures().is_empty()
    })
    .await;
    let error = first.ended().await.unwrap_err();
    assert!(matches!(error, Error::Fenced(_)) && error.to_string().contains("only one recorder"), "{error}");
    drained(&*log, &lake).await;
    second.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_takes_nothing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    // A file where a folder should be: no user can write there.
    let obstacle = folder.path().join("lake/frames");
    std::fs::write(&obstacle, b"").unwrap();
    log.append_now(0, &session.open()).unwrap();
    log.append_now(0, &session.query("update public.rankings set score = 1")).unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    until("the trouble is known", async || !running.recorder.failures().is_empty()).await;
    let (_, line) = running.recorder.failures().remove(0);
    assert!(line.contains("lake/frames"), "{line}");
    assert_eq!(frames(folder.path(), &lake).await, []);
    log.append_now(0, &session.query("update public.rankings set score = 2")).unwrap();
    std::fs::remove_file(&obstacle).unwrap();
    drained(&*log, &lake).await;
    assert_eq!(running.recorder.failures(), []);
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_without_a_lake_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    let obstacle = folder.path().join("lake/frames");
    std::fs::write(&obstacle, b"").unwrap();
    log.append_now(0, &session.open()).unwrap();
    log.append_now(0, &session.query("update public.rankings set score = 1")).unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    until("the trouble is known", async || !running.recorder.failures().is_empty()).await;
    let error = running.stop().await.unwrap_err();
    assert!(matches!(error, Error::GivenUp { shard: 0 }), "{error}");
    std::fs::remove_file(&obstacle).unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_stops_its_shard() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let mut session = session(0, 1);
    {
        let log = log(folder.path(), 1);
        log.append_now(0, &session.open()).unwrap();
        for number in 0..40 {
            log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
        }
    }
    let segment = segments(&folder.path().join("log")).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let running = start(Recorder::new(options(SOON), reader(folder.path()), lake.clone()));
    let recorder = running.recorder.clone();
    let error = running.ended().await.unwrap_err();
    assert!(matches!(error, Error::Log(hansard_event_log::Error::Damaged { .. })), "{error}");
    assert!(recorder.failures()[0].1.contains("damaged"), "{:?}", recorder.failures());
    let recorded = frames(folder.path(), &lake).await;
    assert!(session.frames.starts_with(&recorded), "what comes after the damage is not in the lake");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_set_back_is_said_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let mut session = session(0, 1);
    let (old, new) = (folder.path().join("old"), folder.path().join("log"));
    {
        let log = log(folder.path(), 1);
        log.append_now(0, &session.open()).unwrap();
        copy(&new, &old);
        for number in 0..10 {
            log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
        }
        let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
        drained(&*log, &lake).await;
        running.stop().await.unwrap();
    }
    std::fs::rename(&new, folder.path().join("kept")).unwrap();
    std::fs::rename(&old, &new).unwrap();
    let log = reader(folder.path());
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    until("the trouble is known", async || !running.recorder.failures().is_empty()).await;
    let (_, line) = running.recorder.failures().remove(0);
    assert!(line.contains("was set back") && line.contains("bring back"), "{line}");
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_is_not_taken_for_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let mut session = session(0, 1);
    {
        let log = log(folder.path(), 1);
        log.append_now(0, &session.open()).unwrap();
        let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
        drained(&*log, &lake).await;
        running.stop().await.unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("log")).unwrap();
    // The new log's positions begin with the clock's second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let log = log(folder.path(), 1);
    log.append_now(0, &session.query("update public.rankings set score = 1")).unwrap();
    assert!(log.bounds(0).await.unwrap().end.0 > 0);
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    let error = running.ended().await.unwrap_err();
    assert!(matches!(error, Error::LogTrimmed { .. }) && error.to_string().contains("was replaced"), "{error}");
}

/// Files with blocks in a log's folder, in order.
fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(segments(&entry));
        } else if entry.metadata().unwrap().len() > 1000 {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).unwrap();
        }
    }
}
