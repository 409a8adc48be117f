//! What comes out when nothing goes wrong, and when a recorder stops and starts again.

use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{EventLog, LocalLog};
use hansard_lake::Lake;
use hansard_lake::catalog::FileFilter;
use hansard_recorder::{Proxies, Recorder, RecorderOptions};
use hansard_schemas::lake::Table;

use crate::feed::Session;
use crate::fixture::*;

const SOON: Duration = Duration::from_millis(30);
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 2), lake(folder.path()));
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    let mut sessions: Vec<_> = (0..6u16).map(|number| session(number % 2, 2)).collect();
    for round in 0..20 {
        for (shard, session) in (0..).map(|number| number % 2).zip(&mut sessions) {
            let block = match round {
                0 => session.open(),
                19 => session.close(),
                _ => session.query(&format!("update public.rankings set score = {round}")),
            };
            log.append_now(shard, &block).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &sessions).await;
    assert!(unfinished(&lake).await.is_empty());
    let closed = rows(folder.path(), &lake, Table::Sessions).await;
    assert_eq!(texts(&closed, "close_reason"), vec!["terminated by job"; 6]);
    let statements = rows(folder.path(), &lake, Table::Statements).await;
    assert_eq!(texts(&statements, "operation"), vec!["update"; 6 * 18]);
    let touches = rows(folder.path(), &lake, Table::Touches).await;
    assert_eq!(texts(&touches, "relation"), vec!["public.rankings"; 6 * 18]);
}

/// A recorder that has begun with a long log, read block by block.
async fn begun(
    log: &Arc<LocalLog>,
    lake: &Arc<Lake>,
    session: &mut Session,
    stop_patience: Duration,
) -> RunningRecorder {
    log.append_now(0, &session.open()).unwrap();
    for number in 0..500 {
        log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
    }
    log.append_now(0, &session.close()).unwrap();
    let options = RecorderOptions { read_bytes: 1, stop_patience, ..options(Duration::ZERO) };
    let running = start(Recorder::new(options, log.clone(), lake.clone()));
    until("the recorder has begun", async || {
        lake.catalog.snapshot(&FileFilter::default()).await.unwrap().watermarks.iter().any(|(_, held)| *held > 0)
    })
    .await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_leaves_nothing_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    begun(&log, &lake, &mut session, LONG).await.stop().await.unwrap();
    let watermarks = lake.catalog.snapshot(&FileFilter::default()).await.unwrap().watermarks;
    assert_eq!(watermarks, [(0, log.bounds(0).await.unwrap().end.0)]);
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    begun(&log, &lake, &mut session, Duration::ZERO).await.stop().await.unwrap();
    assert!(frames(folder.path(), &lake).await.len() < session.frames.len(), "it stopped on the way");
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_flushes_and_starting_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    log.append_now(0, &session.open()).unwrap();
    for number in 0..5 {
        log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
        let running = start(Recorder::new(options(NEVER), log.clone(), lake.clone()));
        // Nothing but stopping flushes here.
        until("the recorder has the shard", async || {
            let snapshot = lake.catalog.snapshot(&FileFilter::default()).await.unwrap();
            !snapshot.watermarks.is_empty()
        })
        .await;
        running.stop().await.unwrap();
    }
    assert_eq!(unfinished(&lake).await, [session.id], "an open session is kept across starts");
    log.append_now(0, &session.close()).unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
    assert_eq!(rows(folder.path(), &lake, Table::Sessions).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_is_flushed_before_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let options = RecorderOptions { buffer_bytes: 1, read_bytes: 1, ..options(NEVER) };
    let running = start(Recorder::new(options, log.clone(), lake.clone()));
    let mut session = session(0, 1);
    log.append_now(0, &session.open()).unwrap();
    for number in 0..4 {
        log.append_now(0, &session.query(&format!("update public.rankings set score = {number}"))).unwrap();
    }
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_trimmed_a_little_behind_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let running = start(Recorder::new(options(Duration::ZERO), log.clone(), lake.clone()));
    let mut session = session(0, 1);
    log.append_now(0, &session.open()).unwrap();
    for _ in 0..30 {
        // Longer than a segment of the log: only whole ones are let go.
        let sql = format!("update public.rankings set note = '{}'", "x".repeat(5000));
        log.append_now(0, &session.query(&sql)).unwrap();
        drained(&*log, &lake).await;
        let (bounds, watermark) = (
            log.bounds(0).await.unwrap(),
            lake.catalog.snapshot(&FileFilter::default()).await.unwrap().watermarks[0].1,
        );
        assert!(bounds.first.0 < watermark, "a reader of this snapshot finds its place in the log");
    }
    until("the log is trimmed", async || log.bounds(0).await.unwrap().first.0 > 0).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_full_is_trimmed_although_nothing_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (log, lake) = (log(folder.path(), 1), lake(folder.path()));
    let mut session = session(0, 1);
    log.append_now(0, &session.open()).unwrap();
    log.append_now(0, &session.query("update public.rankings set score = 1")).unwrap();
    let empty = async || {
        let bounds = log.bounds(0).await.unwrap();
        bounds.first == bounds.end
    };
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    until("all of it is let go", empty).await;
    running.stop().await.unwrap();
    // And by one that was started when everything was in the lake already.
    log.append_now(0, &session.query("update public.rankings set score = 2")).unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    running.stop().await.unwrap();
    let running = start(Recorder::new(options(SOON), log.clone(), lake.clone()));
    until("all of it is let go", empty).await;
    running.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_proxy_that_is_gone_end_as_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let mut session = session(0, 1);
    let proxy = log(folder.path(), 1);
    proxy.append_now(0, &session.open()).unwrap();
    proxy.append_now(0, &session.query("update public.rankings set score = 1")).unwrap();
    let log = reader(folder.path());
    let written = log.clone();
    let proxies = Proxies::OneWriter(std::sync::Arc::new(move || written.is_written()));
    let recorder = start(Recorder::new(RecorderOptions { proxies, ..options(SOON) }, log.clone(), lake.clone()));
    drained(&*log, &lake).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(unfinished(&lake).await, [session.id], "as long as the proxy runs");
    // Its last words are still read.
    proxy.append_now(0, &session.query("update public.rankings set score = 2")).unwrap();
    drop(proxy);
    until("the session is ended", async || unfinished(&lake).await.is_empty()).await;
    recorder.stop().await.unwrap();
    holds(folder.path(), &lake, &[session]).await;
    let ended = rows(folder.path(), &lake, Table::Sessions).await;
    assert_eq!(texts(&ended, "close_reason"), ["proxy ended without closing"]);
}
