//! The thread behind a shard: puts what was written on the disk, and trims where another process asked for it.
//!
//! Invariant: appends never wait for it. It sleeps while there is nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::shard::ShardLog;
use super::{Fsync, folder};
use crate::Error;

/// How often a request to trim is looked for.
const REQUESTS: Duration = Duration::from_millis(500);

/// The threads of a log; stops them and puts the rest on the disk when dropped.
#[derive(Debug)]
pub(super) struct Syncers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Syncers {
    pub(super) fn start(shards: &[Arc<ShardLog>], fsync: Fsync) -> Result<Syncers, Error> {
        let mut syncers = Syncers { stop: Arc::default(), threads: Vec::new() };
        for log in shards {
            let (shard, stop) = (Arc::clone(log), Arc::clone(&syncers.stop));
            let thread = thread::Builder::new()
                .name(format!("log-sync-{}", log.shard))
                .spawn(move || run(&shard, fsync, &stop))
                .map_err(|e| folder::failed("start a thread for", std::path::Path::new("the log"), &e))?;
            log.set_syncer(thread.thread().clone());
            syncers.threads.push(thread);
        }
        Ok(syncers)
    }
}

impl Drop for Syncers {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(log: &ShardLog, fsync: Fsync, stop: &AtomicBool) {
    let mut asked = Instant::now();
    loop {
        let stopping = stop.load(SeqCst);
        match log.take_unsynced() {
            Some(unsynced) => log.sync(&unsynced),
            None if stopping => return,
            None => thread::park_timeout(REQUESTS),
        }
        if asked.elapsed() >= REQUESTS {
            asked = Instant::now();
            if let Err(error) = log.honour_trim_request() {
                tracing::warn!(shard = log.shard, %error, "cannot trim the event log");
            }
        }
        if let Fsync::Interval(interval) = fsync {
            pause(interval, stop);
        }
    }
}

/// Sleeps for `interval`, or until the log is to stop; appends do not end it.
fn pause(interval: Duration, stop: &AtomicBool) {
    let until = Instant::now() + interval;
    while !stop.load(SeqCst) {
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            _ => return,
        }
    }
}
