//! The recorder: event log to lake, every acknowledged event once.
//!
//! One task per shard of the log reads from the catalog's watermark on, projects, and flushes: files, then one
//! catalog transaction with index, unfinished sessions and watermark, then the log is trimmed, in this order. A
//! crash between any two of these repeats work and changes nothing.
//!
//! Invariants: nothing in the log is skipped (what cannot be read stops its shard, loudly); nothing is trimmed that
//! the catalog does not hold; a recorder that lost a shard to another commits nothing more there; memory is bounded
//! by the buffer's bytes and one read. It knows nothing of SQL or wire formats: projection does.

mod error;
mod flush;
mod metrics;
mod presence;
mod shard;
mod thread;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansard_event_log::EventLog;
use hansard_lake::Lake;
use hansard_lake::compaction::{self, CompactionOptions, Report};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use flush::Step;
pub use presence::Proxies;

/// Nanoseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Called after each step of a flush, on the recorder's own task: the recorder waits for it.
pub type Observer = Arc<dyn Fn(u16, Step) + Send + Sync>;

/// How often windows of the lake are looked at for files to merge.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(30);

/// What a shard holds of [`RecorderOptions::buffer_bytes`] however many there are, in bytes: files must not get too small.
const LEAST_SHARE: usize = 4 * 1024 * 1024;

/// How a recorder works.
#[derive(Clone)]
pub struct RecorderOptions {
    /// Who holds the shards, for people who read the catalog.
    pub holder: String,
    /// How long something may lie in the log before it is in the lake.
    pub flush_interval: Duration,
    /// About how many bytes of rows are held in memory, of all shards together. A shard holds its share, but
    /// [`LEAST_SHARE`] where it is less.
    pub buffer_bytes: usize,
    /// About how much is read from the log at a time, in bytes.
    pub read_bytes: usize,
    /// How the end of a proxy is noticed that did not write it down.
    pub proxies: Proxies,
    /// How long a recorder that is told to stop goes on reading, up to where the log ended when it was told.
    pub stop_patience: Duration,
    /// Whether, and how, small files are merged.
    pub compaction: Option<CompactionOptions>,
    /// The time.
    pub clock: Clock,
}

impl RecorderOptions {
    /// The usual options for a flush interval.
    pub fn new(flush_interval: Duration, clock: Clock) -> RecorderOptions {
        RecorderOptions {
            holder: "recorder".to_owned(),
            flush_interval,
            buffer_bytes: 24 * 1024 * 1024,
            read_bytes: 1024 * 1024,
            proxies: Proxies::WriteTheirEnd,
            stop_patience: Duration::from_secs(30),
            compaction: Some(CompactionOptions::default()),
            clock,
        }
    }
}

/// Records all shards of a log.
pub struct Recorder {
    options: Arc<RecorderOptions>,
    log: Arc<dyn EventLog>,
    lake: Arc<Lake>,
    observer: Option<Observer>,
    failures: shard::Failures,
}

impl Recorder {
    /// A recorder from `log` to `lake`.
    pub fn new(options: RecorderOptions, log: Arc<dyn EventLog>, lake: Arc<Lake>) -> Recorder {
        Recorder { options: Arc::new(options), log, lake, observer: None, failures: Arc::default() }
    }

    /// Has `observer` called after each step of each flush.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Recorder {
        self.observer = Some(observer);
        self
    }

    /// Shards that do not go on, for now or for good, and why, in one line each: readiness depends on there being
    /// none.
    pub fn failures(&self) -> Vec<(u16, String)> {
        self.failures.lock().iter().map(|(shard, line)| (*shard, line.clone())).collect()
    }

    /// Records until cancelled; then brings what the log holds at that moment into the lake, for at most
    /// [`RecorderOptions::stop_patience`]. A shard that cannot go on stops with its error logged, the others
    /// go on; the first such error is returned when all have stopped.
    pub async fn run(&self, cancel: CancellationToken) -> Result<(), Error> {
        // Ending here, for whatever reason, must not end what the token's owner has beside it.
        let cancel = cancel.child_token();
        metrics::describe();
        let mut shards = JoinSet::new();
        let all = self.options.buffer_bytes;
        let share = (all / usize::from(self.log.shards()).max(1)).max(LEAST_SHARE.min(all));
        let options = Arc::new(RecorderOptions { buffer_bytes: share, ..(*self.options).clone() });
        for shard in 0..self.log.shards() {
            let task = shard::ShardTask {
                shard,
                options: Arc::clone(&options),
                log: Arc::clone(&self.log),
                lake: Arc::clone(&self.lake),
                observer: self.observer.clone(),
                failures: Arc::clone(&self.failures),
                cancel: cancel.clone(),
            };
            let failures = Arc::clone(&self.failures);
            shards.spawn(async move {
                let result = task.run().await;
                if let Err(error) = &result {
                    let line = error::chain(error);
                    tracing::error!(shard, error = %line, "recording of a shard has stopped");
                    failures.lock().insert(shard, line);
                }
                result
            });
        }
        let stop = Arc::new(AtomicBool::new(false));
        let merging = merge_files(Arc::clone(&self.options), Arc::clone(&self.lake), Arc::clone(&stop), cancel.clone());
        let merging = tokio::spawn(merging);
        let mut first = Ok(());
        while let Some(ended) = shards.join_next().await {
            let result = ended.unwrap_or_else(|stopped| Err(Error::Stopped(stopped.to_string())));
            if first.is_ok() {
                first = result;
            }
        }
        // A merge under way is not worth waiting for: its inputs are still the lake.
        stop.store(true, Ordering::Relaxed);
        cancel.cancel();
        if let Err(stopped) = merging.await {
            tracing::error!(error = %stopped, "merging of files ended unexpectedly");
        }
        first
    }
}

/// Merges small files now and then, until there is nothing left that is worth it.
async fn merge_files(options: Arc<RecorderOptions>, lake: Arc<Lake>, stop: Arc<AtomicBool>, cancel: CancellationToken) {
    let Some(compaction) = &options.compaction else { return };
    let mut trouble = trouble::Trouble::new("files of the lake cannot be merged");
    let mut pause = COMPACTION_INTERVAL;
    let thread = match thread::Thread::start("merge".to_owned()) {
        Ok(thread) => thread,
        Err(error) => return trouble.met(&error),
    };
    while cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = COMPACTION_INTERVAL;
        let (lake, compaction, now, stop) =
            (Arc::clone(&lake), compaction.clone(), (options.clock)(), Arc::clone(&stop));
        let round = move || merge_once(&lake, &compaction, now, &stop);
        match thread.run(round).await {
            Ok(Ok(report)) => {
                trouble.over();
                metrics::merged(&report);
                if report.replaced > 0 {
                    pause = Duration::ZERO;
                }
            }
            Ok(Err(error)) => trouble.met(&*error),
            Err(error) => trouble.met(&error),
        }
    }
}

/// One round, on this thread. The catalog does its own waiting on one more.
fn merge_once(
    lake: &Lake,
    options: &CompactionOptions,
    now: i64,
    stop: &AtomicBool,
) -> Result<Report, Box<dyn std::error::Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build()?;
    Ok(runtime.block_on(compaction::compact(lake, options, now, stop))?)
}
