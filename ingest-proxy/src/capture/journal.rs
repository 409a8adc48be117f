//! One worker's way into its shard of the event log.
//!
//! Invariants: what a thread appends stays in its order; what had to be said about ended sessions while the log took nothing is
//! said first when it takes something again, within [`MAX_BACKLOG`]; until then nothing else is appended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hansard_event_log::{Error, LocalLog, Position, Shard};
use parking_lot::Mutex;

/// Bytes of blocks that a shard keeps in memory while its log takes nothing.
const MAX_BACKLOG: usize = 4 * 1024 * 1024;

/// One append in so many is timed.
const TIMED: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    log: Arc<LocalLog>,
    shard: Shard,
    has_backlog: AtomicBool,
    refusing: AtomicBool,
    state: Mutex<State>,
    /// Held while what was kept is appended, so that it stays in its order.
    draining: Mutex<()>,
    appends: AtomicU32,
    latency: metrics::Histogram,
    refusals: metrics::Counter,
}

#[derive(Debug, Default)]
struct State {
    backlog: VecDeque<Vec<u8>>,
    backlog_bytes: usize,
    refusing_since: Option<Instant>,
}

impl Journal {
    pub(crate) fn new(log: Arc<LocalLog>, shard: Shard) -> Journal {
        Journal {
            log,
            shard,
            has_backlog: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            state: Mutex::default(),
            draining: Mutex::default(),
            appends: AtomicU32::new(0),
            latency: crate::metrics::append_latency(),
            refusals: crate::metrics::log_refusals(),
        }
    }

    pub(crate) fn log(&self) -> &Arc<LocalLog> {
        &self.log
    }

    pub(crate) fn shard(&self) -> Shard {
        self.shard
    }

    /// Appends an encoded block.
    pub(crate) fn append(&self, block: &[u8]) -> Result<Position, Error> {
        if self.has_backlog.load(Ordering::Relaxed) {
            self.append_backlog()?;
        }
        self.append_one(block)
    }

    pub(crate) fn is_acknowledged(&self, position: Position) -> bool {
        self.log.is_acknowledged(self.shard, position)
    }

    /// How long the log has been taking nothing.
    pub(crate) fn refusing_for(&self) -> Option<Duration> {
        self.state.lock().refusing_since.map(|since| since.elapsed())
    }

    /// Keeps a block until the log takes it; false when there is no room for it.
    pub(crate) fn keep(&self, block: Vec<u8>) -> bool {
        let mut state = self.state.lock();
        if state.backlog_bytes + block.len() > MAX_BACKLOG {
            return false;
        }
        state.backlog_bytes += block.len();
        state.backlog.push_back(block);
        self.has_backlog.store(true, Ordering::Relaxed);
        true
    }

    /// Appends what was kept, as far as the log takes it.
    pub(crate) fn append_backlog(&self) -> Result<(), Error> {
        let _draining = self.draining.lock();
        loop {
            let Some(block) = self.state.lock().backlog.pop_front() else {
                self.has_backlog.store(false, Ordering::Relaxed);
                return Ok(());
            };
            let result = self.append_one(&block);
            let mut state = self.state.lock();
            if let Err(error) = result {
                state.backlog.push_front(block);
                return Err(error);
            }
            state.backlog_bytes -= block.len();
        }
    }

    fn append_one(&self, block: &[u8]) -> Result<Position, Error> {
        let number = self.appends.load(Ordering::Relaxed);
        self.appends.store(number.wrapping_add(1), Ordering::Relaxed);
        if !number.is_multiple_of(TIMED) {
            let result = self.log.append_now(self.shard, block);
            return self.note(result);
        }
        let begun = Instant::now();
        let result = self.log.append_now(self.shard, block);
        self.latency.record(begun.elapsed());
        self.note(result)
    }

    /// Tells the operator once when the log stops and once when it goes on.
    fn note(&self, result: Result<Position, Error>) -> Result<Position, Error> {
        match &result {
            Ok(_) if !self.refusing.load(Ordering::Relaxed) => {}
            Ok(_) => {
                self.refusing.store(false, Ordering::Relaxed);
                if let Some(since) = self.state.lock().refusing_since.take() {
                    tracing::info!(
                        shard = self.shard,
                        seconds = since.elapsed().as_secs(),
                        "the event log takes records again"
                    );
                }
            }
            Err(error) => {
                self.refusing.store(true, Ordering::Relaxed);
                self.refusals.increment(1);
                let mut state = self.state.lock();
                if state.refusing_since.is_none() {
                    state.refusing_since = Some(Instant::now());
                    tracing::error!(shard = self.shard, %error, "the event log takes no records; jobs are refused until it does");
                }
            }
        }
        result
    }
}
