//! From the spool to the stream.
//!
//! One task a shard: reads what the local log has, merges small blocks of a session, carries on the session's hash chain,
//! compresses, publishes, and lets go of it in the local log when the stream has acknowledged it.
//!
//! Invariants: of one session only one message is under way, so a retry can't overtake; what has not been
//! acknowledged is published again for as long as this runs, and after a restart from where the last one came to;
//! what is under way is bounded in bytes. A restart may cut blocks in another way and publish a second of work again:
//! readers drop what they have by `seq` and `event_no`.

mod prepare;
mod progress;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::local::Spool;
use crate::merge::MERGED_PAYLOAD;
use crate::{Error, JetStreamLog, LocalLog, Position, blocking};
use prepare::{Lane, prepare};
use progress::Progress;

/// Sessions of one shard with a message under way at once.
const LANES: usize = 256;

/// How long small blocks are gathered when nobody waits for the stream, unless there is a message's worth of them. A
/// message has its price here and at the server, however little it holds.
const GATHER: Duration = Duration::from_millis(20);

/// How often progress is saved and the spool trimmed.
const SAVE: Duration = Duration::from_secs(1);

/// How long the stream may take nothing before those who wait for it are told.
const FORBEARANCE: Duration = Duration::from_secs(2);

/// Pauses between tries: the first, doubling up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What an acknowledgement of the local log means while a [`Shipper`] empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The stream has acknowledged the block.
    Stream,
    /// The local log has taken the block.
    Spool,
}

/// How to ship.
#[derive(Debug, Clone)]
pub struct ShipperOptions {
    /// Most bytes that may be under way to the stream, all shards together.
    pub window_bytes: usize,
    /// What acknowledgements mean.
    pub wait_for: WaitFor,
}

/// Ships what the local log takes to the stream.
#[derive(Debug)]
pub struct Shipper {
    spool: Spool,
    stream: Arc<JetStreamLog>,
    wait_for: WaitFor,
    window: usize,
    stop: watch::Receiver<Option<Instant>>,
    troubled: AtomicBool,
}

/// A running [`Shipper`]. Dropped without [`ShipperHandle::stop`], it ends at once, and the next one goes on.
#[derive(Debug)]
pub struct ShipperHandle {
    stop: watch::Sender<Option<Instant>>,
    tasks: JoinSet<()>,
}

impl Shipper {
    /// Starts to ship, in tasks of the current tokio runtime. With [`WaitFor::Stream`], what is appended to `local`
    /// from now on is acknowledged by the stream.
    pub fn start(local: Arc<LocalLog>, stream: Arc<JetStreamLog>, options: ShipperOptions) -> ShipperHandle {
        let (stop, stopped) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let window = options.window_bytes / usize::from(local.shards());
        for spool in local.spools() {
            if options.wait_for == WaitFor::Stream {
                spool.acknowledge_when_shipped();
            }
            let shipper = Shipper {
                spool,
                stream: Arc::clone(&stream),
                wait_for: options.wait_for,
                window: window.max(usize::try_from(MERGED_PAYLOAD).expect("256 KiB")),
                stop: stopped.clone(),
                troubled: AtomicBool::new(false),
            };
            // The folder stays taken as long as it is being emptied.
            let local = Arc::clone(&local);
            tasks.spawn(async move {
                shipper.run().await;
                drop(local);
            });
        }
        ShipperHandle { stop, tasks }
    }

    async fn run(mut self) {
        let Some(mut progress) = self.begin().await else { return };
        let mut saved = (progress.position, Instant::now());
        let mut gathered = Instant::now();
        loop {
            if self.spool.end() <= progress.position {
                if saved.0 < progress.position && (saved.1.elapsed() >= SAVE || self.stop.borrow().is_some()) {
                    saved = self.save(&progress).await;
                }
                if self.stop.borrow().is_some() {
                    return;
                }
                tokio::select! {
                    () = self.spool.grown(progress.position) => {}
                    () = sleep(SAVE), if saved.0 < progress.position => continue,
                    _ = self.stop.changed() => continue,
                }
            }
            if self.wait_for == WaitFor::Spool {
                let waiting = self.spool.end().0.saturating_sub(progress.position.0);
                if waiting < MERGED_PAYLOAD && self.stop.borrow().is_none() {
                    sleep_until(gathered + GATHER).await;
                }
                gathered = Instant::now();
            }
            let Some((after, lanes)) = self.prepare(progress).await else { return };
            progress = after;
            if !self.publish(lanes).await {
                tracing::warn!(
                    shard = self.spool.shard(),
                    "stopped before the stream took all of the spool; the next start ships the rest"
                );
                return;
            }
            self.spool.acknowledge(progress.position);
            if saved.1.elapsed() >= SAVE {
                saved = self.save(&progress).await;
            }
        }
    }

    /// Where to go on. None when it is to stop before that could be read.
    async fn begin(&mut self) -> Option<Progress> {
        let mut pause = PAUSES.0;
        loop {
            let spool = self.spool.clone();
            let noted = blocking(move || {
                let first = spool.first();
                let mut progress = match spool.noted()? {
                    Some(text) => Progress::from_text(&text)?,
                    None => Progress { position: first, ..Progress::default() },
                };
                if progress.position < first {
                    // A power cut took a note that was newer. Only what was shipped is ever trimmed.
                    tracing::warn!(shard = spool.shard(), "the spool was shipped further than was noted");
                    progress.position = first;
                }
                Ok(progress)
            });
            match noted.await {
                Ok(progress) => return Some(progress),
                Err(error) => self.hindered(&error),
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Reads on in the spool. None when it is to stop.
    async fn prepare(&mut self, progress: Progress) -> Option<(Progress, Vec<Lane>)> {
        let mut pause = PAUSES.0;
        let mut progress = progress;
        loop {
            let (spool, window, longest) = (self.spool.clone(), self.window, self.stream.longest_message());
            let prepared = blocking(move || {
                let batch = match spool.read(progress.position, window) {
                    Ok(batch) => batch,
                    Err(error) => return Ok((progress, Err(error))),
                };
                let lanes = prepare(spool.shard(), batch.blocks, spool.opened_at(), longest, &mut progress);
                progress.position = batch.next;
                Ok((progress, Ok(lanes)))
            });
            let (after, lanes) = prepared.await.ok()?;
            match lanes {
                Ok(lanes) => return Some((after, lanes)),
                Err(error) => self.hindered(&error),
            }
            progress = after;
            self.pause(&mut pause).await?;
        }
    }

    /// Publishes until the stream has taken all. False when it is to stop before that.
    async fn publish(&mut self, lanes: Vec<Lane>) -> bool {
        let began = Instant::now();
        let mut stop = self.stop.clone();
        let published = {
            let this = &*self;
            let lanes = futures::stream::iter(lanes.into_iter().map(|lane| this.publish_lane(lane, began)));
            let all = lanes.buffer_unordered(LANES).try_collect::<()>();
            tokio::select! {
                published = all => published.is_ok(),
                () = deadline(&mut stop) => false,
            }
        };
        if published && self.troubled.swap(false, Relaxed) {
            tracing::info!(shard = self.spool.shard(), "the spool is being emptied again");
            self.spool.set_trouble(None);
        }
        published
    }

    async fn publish_lane(&self, lane: Lane, began: Instant) -> Result<(), Error> {
        for message in lane {
            let mut pause = PAUSES.0;
            while let Err(error) =
                self.stream.publish(message.subject.clone(), &message.id, message.block.clone()).await
            {
                if began.elapsed() >= FORBEARANCE {
                    self.hindered(&error);
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
        Ok(())
    }

    fn hindered(&self, error: &Error) {
        if !self.troubled.swap(true, Relaxed) {
            tracing::error!(shard = self.spool.shard(), %error, "the spool cannot be emptied");
        }
        self.spool.set_trouble(Some(error.again()));
    }

    /// Rests before the next try. None when it is to stop.
    async fn pause(&mut self, pause: &mut Duration) -> Option<()> {
        let stop = deadline(&mut self.stop);
        tokio::select! {
            () = sleep(*pause) => {}
            () = stop => return None,
        }
        *pause = (*pause * 2).min(PAUSES.1);
        Some(())
    }

    /// Saves how far it came and lets go of it in the spool. Where that fails, the next time does it.
    async fn save(&self, progress: &Progress) -> (Position, Instant) {
        let (spool, text, position) = (self.spool.clone(), progress.to_text(), progress.position);
        let saved = blocking(move || match spool.note(&text) {
            Ok(()) => spool.trim(position),
            // What was shipped makes room for the note.
            Err(Error::Full(_)) => {
                spool.trim(position)?;
                spool.note(&text)
            }
            Err(error) => Err(error),
        });
        if let Err(error) = saved.await {
            tracing::warn!(shard = self.spool.shard(), %error, "cannot save how far the spool was shipped");
        }
        (position, Instant::now())
    }
}

impl ShipperHandle {
    /// Ships what the local log holds, for at most `patience`, saves how far it came, and ends.
    pub async fn stop(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        let _ = self.stop.send(Some(until));
        // Saving is not bounded by `until`; a disk that hangs is.
        let _ = timeout_at(until + patience, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

/// Ends when the time that was given to stop is over.
async fn deadline(stop: &mut watch::Receiver<Option<Instant>>) {
    let until = match stop.wait_for(Option::is_some).await {
        Ok(until) => *until,
        // The handle is gone; the tasks with it.
        Err(_) => None,
    };
    if let Some(until) = until {
        sleep_until(until).await;
    }
}
