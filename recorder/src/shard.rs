//! One shard: read, project, flush, trim.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{self as log, Batch, EventLog, Position};
use hansard_lake::Lake;
use hansard_lake::catalog::{self, OpenSession, ShardHold};
use hansard_lake::layout::FlushId;
use hansard_lake::orphans;
use hansard_record::{Projector, Rows};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::flush::{Flush, Step, Target};
use crate::thread::Thread;
use crate::trouble::Trouble;
use crate::{Error, Observer, RecorderOptions, metrics};

/// Longest wait at the live end of the log before the shard looks around.
const PATIENCE: Duration = Duration::from_secs(1);

/// Readers begin at the watermark of their snapshot: the log keeps what lies behind this many flushes…
const KEPT_FLUSHES: usize = 6;

/// …or what is younger than this, whichever is less.
const KEPT_TIME: Duration = Duration::from_secs(30);

/// …and of what is in the lake nothing, once the log has been still for that long: a log that is full stays still
/// until it is trimmed, so no later flush would do it.
const STILL: Duration = Duration::from_secs(1);

/// What sessions are closed with whose proxy is gone without a word.
const PROXY_GONE: &str = "proxy ended without closing";

/// The work on one shard.
pub(crate) struct ShardTask {
    pub(crate) shard: u16,
    pub(crate) options: Arc<RecorderOptions>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) lake: Arc<Lake>,
    pub(crate) observer: Option<Observer>,
    pub(crate) failures: Failures,
    pub(crate) cancel: CancellationToken,
}

/// Shards that do not go on, and why.
pub(crate) type Failures = Arc<Mutex<BTreeMap<u16, String>>>;

/// What passes by itself, or when somebody mends it.
type Later = Box<dyn std::error::Error + Send + Sync>;

/// Where the shard is, and what is not in the lake yet.
struct Progress {
    epoch: u64,
    /// Counts the flushes of this epoch.
    flushes: u64,
    watermark: u64,
    position: Position,
    projector: Projector,
    rows: Rows,
    bytes: usize,
    /// Since when there is something to flush.
    waiting: Option<Instant>,
    /// Former watermarks, and since when they are in the past.
    passed: VecDeque<(Instant, u64)>,
    trimmed: u64,
    /// When the last flush was.
    flushed: Instant,
    /// Projects, and writes files.
    thread: Thread,
}

impl ShardTask {
    /// Works until cancelled, or until something no retry can mend.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let Some(hold) = self.take().await? else { return Ok(()) };
        tracing::info!(
            shard = self.shard,
            epoch = hold.epoch.0,
            watermark = hold.watermark,
            unfinished_sessions = hold.sessions.len(),
            "recording"
        );
        let mut progress = Progress {
            epoch: hold.epoch.0,
            flushes: 0,
            watermark: hold.watermark,
            position: Position(hold.watermark),
            projector: Projector::restore(self.shard, hold.sessions.iter().map(OpenSession::saved))?,
            rows: Rows::default(),
            bytes: 0,
            waiting: None,
            passed: VecDeque::new(),
            trimmed: 0,
            flushed: Instant::now(),
            thread: Thread::start(format!("shard {}", self.shard))?,
        };
        let mut trouble = Trouble::new("the event log cannot be read");
        while !self.cancel.is_cancelled() {
            match self.step(&mut progress).await? {
                Ok(()) => {
                    trouble.over();
                    self.failures.lock().remove(&self.shard);
                }
                Err(error) => {
                    trouble.met(&*error);
                    self.failures.lock().insert(self.shard, chain(&*error));
                    let pause = trouble.pause();
                    self.cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
                    // What was read before goes to the lake, even while the log is away.
                    if progress.is_due(&self.options) {
                        self.flush(&mut progress).await?;
                    }
                }
            }
        }
        self.finish(&mut progress).await
    }

    /// Told to stop: what the log holds by now goes to the lake, if that can be done in time. What is left is in the
    /// log; the next start records it.
    async fn finish(&self, progress: &mut Progress) -> Result<(), Error> {
        if let Err(error) = self.catch_up(progress).await? {
            let reason = chain(&*error);
            tracing::warn!(
                shard = self.shard,
                reason,
                "stopped before the end of the log; the next start records the rest"
            );
        }
        if progress.waiting.is_some() {
            self.flush(progress).await?;
        }
        Ok(())
    }

    /// Reads up to where the log ends now. The inner error might pass, but is not waited for.
    async fn catch_up(&self, progress: &mut Progress) -> Result<Result<(), Later>, Error> {
        let deadline = Instant::now() + self.options.stop_patience;
        // Only the log is given a time: a batch, once read, is projected whole.
        let end = match timeout_at(deadline, self.log.bounds(self.shard)).await {
            Ok(Ok(bounds)) => bounds.end,
            Ok(Err(error)) => return Ok(Err(error.into())),
            Err(late) => return Ok(Err(late.into())),
        };
        while progress.position < end {
            if progress.bytes >= self.options.buffer_bytes {
                self.flush(progress).await?;
            }
            let read = self.log.read(self.shard, progress.position, self.options.read_bytes);
            match timeout_at(deadline, read).await {
                Ok(Ok(batch)) if batch.blocks.is_empty() => break,
                Ok(Ok(batch)) => progress.apply(batch, self.options.buffer_bytes).await?,
                Ok(Err(error)) => return self.sort(error, progress).map(Err),
                Err(late) => return Ok(Err(late.into())),
            }
            if progress.position < end && Instant::now() >= deadline {
                return Ok(Err(format!("{:?} were not enough", self.options.stop_patience).into()));
            }
        }
        Ok(Ok(()))
    }

    /// Takes the shard over; None when cancelled before that worked.
    async fn take(&self) -> Result<Option<ShardHold>, Error> {
        let mut trouble = Trouble::new("the lake's catalog cannot be reached");
        while !self.cancel.is_cancelled() {
            match self.lake.catalog.take_shard(self.shard, &self.options.holder).await {
                Ok(hold) => {
                    trouble.over();
                    self.failures.lock().remove(&self.shard);
                    return Ok(Some(hold));
                }
                Err(error @ catalog::Error::Unavailable { .. }) => {
                    trouble.met(&error);
                    self.failures.lock().insert(self.shard, chain(&error));
                }
                Err(error) => return Err(Error::Catalog(error)),
            }
            let pause = trouble.pause();
            self.cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        Ok(None)
    }

    /// One round. The inner error may pass by itself.
    async fn step(&self, progress: &mut Progress) -> Result<Result<(), Later>, Error> {
        if progress.is_due(&self.options) {
            self.flush(progress).await?;
        }
        let batch = match self.log.read(self.shard, progress.position, self.options.read_bytes).await {
            Ok(batch) => batch,
            Err(error) => return self.sort(error, progress).map(Err),
        };
        if batch.blocks.is_empty() {
            progress.position = batch.next;
            return self.idle(progress).await;
        }
        progress.apply(batch, self.options.buffer_bytes).await?;
        Ok(Ok(()))
    }

    /// At the live end of the log.
    async fn idle(&self, progress: &mut Progress) -> Result<Result<(), Later>, Error> {
        let bounds = match self.log.bounds(self.shard).await {
            Ok(bounds) => bounds,
            Err(error) => return Ok(Err(error.into())),
        };
        metrics::lag(self.shard, 0);
        if bounds.end < progress.position {
            return Ok(Err(self.rewound(bounds.end, progress).into()));
        }
        if self.options.proxies.are_gone() {
            // Nobody writes the log: when there is nothing more to read now, whoever left sessions open is gone.
            match self.log.read(self.shard, progress.position, self.options.read_bytes).await {
                Ok(batch) if batch.blocks.is_empty() => progress.abandon((self.options.clock)()),
                Ok(batch) => return progress.apply(batch, self.options.buffer_bytes).await.map(Ok),
                Err(error) => return self.sort(error, progress).map(Err),
            }
        }
        if progress.is_still() {
            self.trim(progress, progress.watermark).await;
        }
        let patience = progress.waiting.map_or(PATIENCE, |since| {
            (since + self.options.flush_interval).saturating_duration_since(Instant::now()).min(PATIENCE)
        });
        let wait = self.log.wait(self.shard, progress.position, patience);
        match self.cancel.run_until_cancelled(wait).await {
            Some(Err(error)) => self.sort(error, progress).map(Err),
            _ => Ok(Ok(())),
        }
    }

    /// Errors of the log that may pass, and errors that cannot.
    fn sort(&self, error: log::Error, progress: &Progress) -> Result<Later, Error> {
        match error {
            log::Error::Unavailable(_) | log::Error::Full(_) | log::Error::InUse(_) => Ok(error.into()),
            log::Error::Trimmed { first, .. } if first > progress.position => {
                Err(Error::LogTrimmed { shard: self.shard, first: first.0, position: progress.position.0 })
            }
            log::Error::Rewound { end, .. } => Ok(self.rewound(end, progress).into()),
            error => Err(Error::Log(error)),
        }
    }

    /// The log ends before what was read of it. After a power cut that mends itself when the log's writer starts.
    fn rewound(&self, end: Position, progress: &Progress) -> Error {
        Error::LogRewound { shard: self.shard, end: end.0, position: progress.position.0 }
    }

    /// Brings everything that was read into the lake, then trims the log a little behind it.
    async fn flush(&self, progress: &mut Progress) -> Result<(), Error> {
        let flush = Flush {
            id: FlushId {
                shard: self.shard,
                epoch: progress.epoch,
                flush: progress.flushes,
                from: progress.watermark,
                watermark: progress.position.0,
            },
            rows: Arc::new(std::mem::take(&mut progress.rows)),
            changes: progress.projector.take_changes(),
        };
        let (observer, failures) = (self.observer.as_ref(), &self.failures);
        let target = Target { lake: &self.lake, observer, failures, cancel: &self.cancel, thread: &progress.thread };
        if !flush.complete(&target).await? {
            return Err(Error::GivenUp { shard: self.shard });
        }
        progress.passed.push_back((Instant::now(), progress.watermark));
        progress.flushes += 1;
        progress.watermark = flush.id.watermark;
        progress.bytes = 0;
        progress.waiting = None;
        progress.flushed = Instant::now();
        if progress.flushes == 1 {
            self.delete_orphans(progress.epoch).await;
        }
        if let Some(up_to) = progress.trimmable() {
            self.trim(progress, up_to).await;
        }
        if let Ok(bounds) = self.log.bounds(self.shard).await {
            metrics::lag(self.shard, bounds.end.0.saturating_sub(progress.position.0));
        }
        Ok(())
    }

    /// What a crash left before its commit is in the lake by another name as soon as this holder has committed.
    async fn delete_orphans(&self, epoch: u64) {
        match orphans::delete(&self.lake, self.shard, epoch).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(shard = self.shard, files, "files that a crash had left were deleted"),
            // The next start tries again; until then they only take up room.
            Err(error) => {
                tracing::warn!(shard = self.shard, error = %chain(&error), "files that a crash had left stay");
            }
        }
    }

    async fn trim(&self, progress: &mut Progress, up_to: u64) {
        match self.log.trim(self.shard, Position(up_to)).await {
            Ok(()) => {
                progress.trimmed = up_to;
                if let Some(observer) = &self.observer {
                    observer(self.shard, Step::Trimmed);
                }
            }
            // A later one trims this too; until then the log is only longer.
            Err(error) => tracing::warn!(shard = self.shard, %error, "the log could not be trimmed"),
        }
    }
}

impl Progress {
    /// True when it is time for what waits.
    fn is_due(&self, options: &RecorderOptions) -> bool {
        self.bytes >= options.buffer_bytes
            || self.waiting.is_some_and(|since| since.elapsed() >= options.flush_interval)
    }

    /// Projects a batch, on the shard's thread, up to a full buffer: what compressed to little may unfold to much. The
    /// rest is read again.
    async fn apply(&mut self, batch: Batch, room: usize) -> Result<(), Error> {
        let (from, start) = (self.position, self.bytes);
        // An empty projector stands in: when projecting panics, the shard stops and this one is never used.
        let mut projector = std::mem::take(&mut self.projector);
        let mut rows = std::mem::take(&mut self.rows);
        let projected = self.thread.run(move || {
            let (mut bytes, mut next) = (start, from);
            for positioned in &batch.blocks {
                let before = rows.lengths();
                projector.apply(&positioned.block, &mut rows);
                bytes += rows.memory_from(before);
                next = positioned.next;
                if bytes >= room {
                    break;
                }
            }
            (projector, rows, bytes, next)
        });
        (self.projector, self.rows, self.bytes, self.position) = projected.await?;
        self.waiting.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Ends the sessions that are open: their proxy is gone.
    fn abandon(&mut self, at: i64) {
        self.projector.abandon(at, PROXY_GONE, &mut self.rows);
        if !self.rows.is_empty() {
            self.bytes = self.rows.memory();
            self.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// True when everything that was read is in the lake, and nothing has followed, but the log still holds it.
    fn is_still(&self) -> bool {
        self.waiting.is_none() && self.trimmed < self.watermark && self.flushed.elapsed() >= STILL
    }

    /// Up to where the log may be trimmed while it goes on.
    fn trimmable(&mut self) -> Option<u64> {
        let mut up_to = None;
        while let Some((since, passed)) = self.passed.front() {
            if self.passed.len() < KEPT_FLUSHES && since.elapsed() < KEPT_TIME {
                break;
            }
            up_to = Some(*passed);
            self.passed.pop_front();
        }
        up_to.filter(|up_to| *up_to > self.trimmed)
    }
}
