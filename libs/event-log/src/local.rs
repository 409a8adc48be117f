//! The embedded event log: a folder of segment files on this machine.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hansard_schemas::events::Block;

use crate::{Batch, Bounds, Error, EventLog, Position, Shard};

/// When what was written reaches the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Behind the appends, at most this long after them. Acknowledged = written: survives `kill -9` of every
    /// process; a power cut loses at most this much.
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
    /// Most bytes that all shards together may hold untrimmed; above that, [`Error::Full`].
    pub max_bytes: u64,
}

/// The one writer of a log folder.
#[derive(Debug)]
pub struct LocalLog {}

impl LocalLog {
    /// Opens, or creates, the log folder and takes it over for writing.
    pub fn open(_options: LocalLogOptions) -> Result<Arc<LocalLog>, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    /// Appends one encoded [`Block`] with one write(2), in the caller's thread. Returns the place after it.
    pub fn append_now(&self, _shard: Shard, _encoded_block: &[u8]) -> Result<Position, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    /// Whether everything up to `position` is acknowledged: one atomic load.
    pub fn is_acknowledged(&self, _shard: Shard, _position: Position) -> bool {
        false
    }
    /// Waits until everything up to `position` is acknowledged.
    pub async fn acknowledged(&self, _shard: Shard, _position: Position) -> Result<(), Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    /// The folder's identity, for life.
    pub fn node(&self) -> &str {
        ""
    }
    /// The identity of this opening of the folder.
    pub fn instance(&self) -> &str {
        ""
    }
    /// Number of shards.
    pub fn shards(&self) -> Shard {
        0
    }
}

/// Reads a log folder that another process, or nobody, writes.
#[derive(Debug)]
pub struct LocalLogReader {}

impl LocalLogReader {
    /// Opens an existing log folder for reading; takes no lock.
    pub fn open(_path: &Path) -> Result<LocalLogReader, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
}

macro_rules! skeleton {
    ($t:ty) => {
        #[async_trait]
        impl EventLog for $t {
            fn shards(&self) -> Shard {
                0
            }
            async fn append(&self, _shard: Shard, _block: Block) -> Result<Position, Error> {
                Err(Error::Unavailable("not yet".into()))
            }
            async fn read(&self, _shard: Shard, _from: Position, _max_bytes: usize) -> Result<Batch, Error> {
                Err(Error::Unavailable("not yet".into()))
            }
            async fn wait(&self, _shard: Shard, _from: Position, _patience: Duration) -> Result<bool, Error> {
                Err(Error::Unavailable("not yet".into()))
            }
            async fn bounds(&self, _shard: Shard) -> Result<Bounds, Error> {
                Err(Error::Unavailable("not yet".into()))
            }
            async fn trim(&self, _shard: Shard, _up_to: Position) -> Result<(), Error> {
                Err(Error::Unavailable("not yet".into()))
            }
        }
    };
}
skeleton!(LocalLog);
skeleton!(LocalLogReader);
skeleton!(crate::JetStreamLog);
