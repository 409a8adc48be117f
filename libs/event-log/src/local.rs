//! The embedded event log: a folder of segment files on this machine.
//!
//! One process holds the folder for writing ([`LocalLog`]); any process reads it ([`LocalLogReader`]). With NATS the
//! same folder is the spool in front of the stream.
//!
//! Invariants: an append is one write(2) in the caller's thread, so it survives the death of the process as soon as it
//! returns; a torn tail, which a crash leaves, is taken away when the folder is opened, and damage anywhere else is an
//! error; positions are never used again for other blocks.

pub(crate) mod folder;
mod reader;
pub(crate) mod record;
mod shard;
mod spool;
mod sync;
mod view;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hansard_schemas::events::{Block, Message};
use parking_lot::Mutex;
use uuid::Uuid;

pub use reader::LocalLogReader;
use shard::{Acknowledge, Quota, ShardLog};
pub(crate) use spool::Spool;

use crate::control::LocalControl;
use crate::{Batch, Bounds, Error, EventLog, Position, Shard, blocking};

/// How long a reader that found the end rests before it asks to be told of the next append. So a busy log wakes it at
/// most so often, and not once for each append.
const READER_REST: Duration = Duration::from_millis(5);

/// A log with less room than this, in bytes, counts as full: the next long block is refused.
const ROOM: u64 = 256 * 1024;

/// When what was written reaches the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Behind the appends, about this long after them. Acknowledged = written: survives `kill -9` of every
    /// process; a power cut loses at most about this much.
    Interval(Duration),
    /// Before a block is acknowledged; blocks that wait at the same time share one call.
    Always,
}

/// How to open a [`LocalLog`].
#[derive(Debug, Clone)]
pub struct LocalLogOptions {
    /// The folder; created when it is missing.
    pub path: PathBuf,
    /// Number of shards; fixed when the folder is created.
    pub shards: Shard,
    /// When data reaches the disk.
    pub fsync: Fsync,
    /// Length in bytes at which a segment file is closed and the next one begun.
    pub segment_bytes: u64,
    /// Most bytes that all shards together may hold untrimmed; above that, [`Error::Full`]. The files may hold up to
    /// one segment a shard more, because only whole segments are removed.
    pub max_bytes: u64,
}

/// The one writer of a log folder.
#[derive(Debug)]
pub struct LocalLog {
    // Dropped first: the last bytes are on the disk before the folder is let go.
    _syncers: sync::Syncers,
    shards: Vec<Arc<ShardLog>>,
    quota: Arc<Quota>,
    node: String,
    instance: String,
    path: PathBuf,
    lock: Arc<File>,
    control: Mutex<Option<Arc<LocalControl>>>,
}

impl LocalLog {
    /// Opens, or creates, the log folder and takes it over for writing.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while another process has it; [`Error::Incompatible`] for a folder with another number of
    /// shards or of another version; [`Error::Damaged`] where bytes before the end are not what was written;
    /// [`Error::Unavailable`] or [`Error::Full`] where the folder cannot be written.
    pub fn open(options: LocalLogOptions) -> Result<Arc<LocalLog>, Error> {
        let LocalLogOptions { path, shards, fsync, segment_bytes, max_bytes } = options;
        if shards == 0 {
            return Err(Error::Incompatible("a log has at least one shard".to_owned()));
        }
        hansard_private_files::make_folder(&path).map_err(|e| folder::failed("create", &path, &e))?;
        let lock = Arc::new(folder::lock(&path)?);
        match folder::read_meta(&path)? {
            Some(found) if found != shards => {
                return Err(Error::Incompatible(format!(
                    "{} was created with {found} shards, not {shards}; say {found}, or let it run empty and use another folder",
                    path.display()
                )));
            }
            Some(_) => {}
            None => folder::write_meta(&path, shards)?,
        }
        let node = folder::node(&path)?;
        let quota = Arc::new(Quota { held: AtomicU64::new(0), limit: max_bytes });
        let acknowledge = match fsync {
            Fsync::Interval(_) => Acknowledge::Written,
            Fsync::Always => Acknowledge::Synced,
        };
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
        let open = |shard| {
            let dir = folder::shard_dir(&path, shard);
            ShardLog::open(shard, dir, segment_bytes, acknowledge, Arc::clone(&quota), now, Arc::clone(&lock))
                .map(Arc::new)
        };
        let shards = (0..shards).map(open).collect::<Result<Vec<_>, _>>()?;
        let syncers = sync::Syncers::start(&shards, fsync)?;
        let instance = Uuid::now_v7().to_string();
        let control = Mutex::default();
        Ok(Arc::new(LocalLog { _syncers: syncers, shards, quota, node, instance, path, lock, control }))
    }

    /// The control feed in this folder; all who ask get the same one.
    ///
    /// # Errors
    ///
    /// [`Error::Incompatible`] where its file is damaged, [`Error::Unavailable`] or [`Error::Full`] where it cannot be read or
    /// written.
    pub fn control(&self) -> Result<Arc<LocalControl>, Error> {
        let mut control = self.control.lock();
        if let Some(control) = &*control {
            return Ok(Arc::clone(control));
        }
        let opened = Arc::new(LocalControl::open(&self.path, Arc::clone(&self.lock))?);
        Ok(Arc::clone(control.insert(opened)))
    }

    /// Whether a process has the log in that folder open for writing.
    pub fn is_in_use(path: &std::path::Path) -> bool {
        folder::is_held(path)
    }

    /// How many shards the log in that folder has; none where there is no log.
    ///
    /// # Errors
    ///
    /// [`Error::Incompatible`] where the folder is of another version, [`Error::Unavailable`] where it cannot be read.
    pub fn shards_of(path: &std::path::Path) -> Result<Option<Shard>, Error> {
        folder::read_meta(path)
    }

    /// Appends one encoded [`Block`] with one write(2), in the caller's thread. Returns the place after it.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] without space on the disk or within `max_bytes`, [`Error::Unavailable`] when the disk refuses,
    /// [`Error::TooLong`] above what a record holds. Nothing is left of a failed append, and a later one may do.
    pub fn append_now(&self, shard: Shard, encoded_block: &[u8]) -> Result<Position, Error> {
        self.shard(shard)?.append(encoded_block).map(Position)
    }

    /// Whether everything up to `position` is acknowledged: one atomic load. Once true, always true.
    pub fn is_acknowledged(&self, shard: Shard, position: Position) -> bool {
        self.shards.get(usize::from(shard)).is_some_and(|log| log.is_acknowledged(position.0))
    }

    /// Waits until everything up to `position` is acknowledged.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] or [`Error::Full`] when it is not going to be for now: the disk failed, or the
    /// stream behind has not taken what it was sent for more than two seconds. The block may still be acknowledged later.
    pub async fn acknowledged(&self, shard: Shard, position: Position) -> Result<(), Error> {
        let log = self.shard(shard)?;
        loop {
            let acknowledgement = log.acknowledgement.notified();
            tokio::pin!(acknowledgement);
            acknowledgement.as_mut().enable();
            if log.is_acknowledged(position.0) {
                return Ok(());
            }
            if let Some(error) = log.hindrance() {
                return Err(error);
            }
            acknowledgement.await;
        }
    }

    /// The folder's identity, for life: a UUID.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The identity of this opening of the folder: a UUID.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Number of shards.
    pub fn shards(&self) -> Shard {
        Shard::try_from(self.shards.len()).expect("made from a Shard's range")
    }

    /// Bytes that all shards together hold untrimmed.
    pub fn held_bytes(&self) -> u64 {
        self.quota.held.load(SeqCst)
    }

    /// Why blocks are not acknowledged at present, in one shard or more; None when all is well.
    pub fn trouble(&self) -> Option<String> {
        self.shards.iter().find_map(|log| log.hindrance()).map(|error| error.to_string())
    }

    /// Why jobs cannot be recorded at present, in one line; None when they can. A disk that refused is tried again, by
    /// writing to it: call this from a thread that may block.
    pub fn refusal(&self) -> Option<String> {
        let (held, limit) = (self.held_bytes(), self.quota.limit);
        if held.saturating_add(ROOM.min(limit / 8)) > limit {
            return Some(format!("the event log is full: it holds {held} of the {limit} bytes that it may"));
        }
        self.trouble().or_else(|| self.shards.iter().find_map(|log| log.refusal()).map(|error| error.to_string()))
    }

    fn shard(&self, shard: Shard) -> Result<&Arc<ShardLog>, Error> {
        self.shards.get(usize::from(shard)).ok_or_else(|| no_such_shard(shard, self.shards()))
    }
}

#[async_trait]
impl EventLog for LocalLog {
    fn shards(&self) -> Shard {
        self.shards()
    }

    async fn append(&self, shard: Shard, block: Block) -> Result<Position, Error> {
        let position = self.append_now(shard, &block.encode_to_vec())?;
        self.acknowledged(shard, position).await?;
        Ok(position)
    }

    async fn read(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        let log = Arc::clone(self.shard(shard)?);
        blocking(move || log.view().read(from.0, max_bytes)).await
    }

    async fn read_unmerged(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        let log = Arc::clone(self.shard(shard)?);
        blocking(move || log.view().read_unmerged(from.0, max_bytes)).await
    }

    async fn wait(&self, shard: Shard, from: Position, patience: Duration) -> Result<bool, Error> {
        let log = self.shard(shard)?;
        if log.view().holds(from.0)? {
            return Ok(true);
        }
        let grown = async {
            tokio::time::sleep(READER_REST).await;
            log.grown(log.opened_at.max(from.0)).await;
        };
        Ok(tokio::time::timeout(patience, grown).await.is_ok() || log.view().holds(from.0)?)
    }

    async fn bounds(&self, shard: Shard) -> Result<Bounds, Error> {
        Ok(self.shard(shard)?.view().bounds())
    }

    async fn trim(&self, shard: Shard, up_to: Position) -> Result<(), Error> {
        let log = Arc::clone(self.shard(shard)?);
        blocking(move || log.trim(up_to.0)).await
    }
}

fn no_such_shard(shard: Shard, shards: Shard) -> Error {
    Error::Incompatible(format!("shard {shard} was asked for; there are {shards}, counted from 0"))
}

#[cfg(test)]
mod tests;
