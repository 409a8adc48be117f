//! The event log: where blocks wait, durably, between the proxy and the recorder.
//!
//! One trait, two adapters. *Embedded*: a folder of segment files on this machine. *JetStream*: a NATS stream,
//! with the same folder as its spool in front. The contract suite in `tests/` holds for both. Beside it lies the control
//! feed ([`ControlLog`]), for what every proxy must know at once.
//!
//! Invariants: an acknowledged block survives `kill -9` of every process involved; blocks of one session are
//! read in the order in which they were appended; a reader never sees half a block; nothing here decides
//! what a block means.

#![warn(missing_docs)]

mod control;
mod jetstream;
mod local;
mod merge;
mod session;
mod shipper;

pub use control::{
    ControlLog, ControlRecord, Followed, Follower, JetStreamControl, JetStreamControlOptions, LocalControl, MAX_KEY,
    MAX_RECORDS, MAX_VALUE, Revision, keep_following,
};
pub use jetstream::{JetStreamLog, JetStreamOptions};
pub use local::{Fsync, LocalLog, LocalLogOptions, LocalLogReader};
pub use session::{mint_session_id, shard_of, subject};
pub use shipper::{Shipper, ShipperHandle, ShipperOptions, WaitFor};

use async_trait::async_trait;
use hansard_schemas::events::Block;

/// A place in one shard of the log, between two blocks. Grows along the log; says nothing else (a byte offset in
/// the embedded log, a stream sequence in JetStream).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before the first block that a log can hold.
    pub const START: Position = Position(0);
}

/// A shard of the log: recorders divide the work by shard. A session lies in one shard, whole.
pub type Shard = u16;

/// A block as read, and where reading goes on after it.
#[derive(Debug, Clone)]
pub struct Positioned {
    /// The place after the block.
    pub next: Position,
    /// The block.
    pub block: Block,
}

/// What one call of [`EventLog::read`] found.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Blocks in log order; may be empty at the live end.
    pub blocks: Vec<Positioned>,
    /// Where the next read begins.
    pub next: Position,
}

/// The readable part of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first place that has not been trimmed.
    pub first: Position,
    /// The live end.
    pub end: Position,
}

/// A log of blocks in shards.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// How many shards there are; fixed for the life of a log.
    fn shards(&self) -> Shard;

    /// Appends a block and waits for its acknowledgement. Appending the same block again may, but need not, add
    /// it a second time: readers drop what they have by `seq` and `event_no`.
    async fn append(&self, shard: Shard, block: Block) -> Result<Position, Error>;

    /// Reads whole blocks from `from` on, about `max_bytes` of them (at least one, where there is one). Reading
    /// below the trimmed part is [`Error::Trimmed`], never a silent skip.
    ///
    /// Consecutive blocks of one session may come as one.
    async fn read(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error>;

    /// As [`EventLog::read`], but each block comes as it was appended, with the place behind it.
    async fn read_unmerged(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error>;

    /// Waits until there is something to read at `from`, or until `patience` is over. True when there is.
    async fn wait(&self, shard: Shard, from: Position, patience: std::time::Duration) -> Result<bool, Error>;

    /// What can be read now.
    async fn bounds(&self, shard: Shard) -> Result<Bounds, Error>;

    /// Lets go of everything before `up_to`; space returns in the log's own units, at some later time.
    async fn trim(&self, shard: Shard, up_to: Position) -> Result<(), Error>;
}

/// Why the log could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No space: the disk is full, or the log has reached its configured size.
    #[error("the event log is full: {0}")]
    Full(String),
    /// The log, or the server behind it, cannot be reached or written now.
    #[error("the event log is unavailable: {0}")]
    Unavailable(String),
    /// The place asked for is no longer, or was never, in the log.
    #[error("position {asked:?} is not in the log, which begins at {first:?}")]
    Trimmed {
        /// Asked for.
        asked: Position,
        /// First readable.
        first: Position,
    },
    /// The place asked for lies behind the live end: the log lost its tail, or it is another log.
    #[error("position {asked:?} lies behind the end of the log, {end:?}: it lost its tail, or is another log")]
    Rewound {
        /// Asked for.
        asked: Position,
        /// The live end.
        end: Position,
    },
    /// What is there is not a log that this version, or these options, can open.
    #[error("the event log cannot be opened: {0}")]
    Incompatible(String),
    /// Bytes in the middle of the log are not what was written.
    #[error("the event log is damaged at {at:?} of shard {shard}: {reason}")]
    Damaged {
        /// The shard.
        shard: Shard,
        /// Where.
        at: Position,
        /// What is wrong.
        reason: String,
    },
    /// The block is longer than a log accepts.
    #[error("a block of {0} bytes is longer than the log accepts")]
    TooLong(usize),
    /// Another process has this log's folder open for writing.
    #[error("the log folder {0} is in use by another process")]
    InUse(String),
}

impl Error {
    /// The same error once more, for the next one who asks.
    pub(crate) fn again(&self) -> Error {
        match self {
            Error::Full(reason) => Error::Full(reason.clone()),
            Error::Unavailable(reason) => Error::Unavailable(reason.clone()),
            other => Error::Unavailable(other.to_string()),
        }
    }
}

/// Runs file I/O on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Unavailable(format!("a file operation was given up: {error}"))),
    }
}
