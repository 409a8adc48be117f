//! The catalog: the one truth about what the lake holds.
//!
//! Invariant: a commit by a holder whose epoch is no longer the shard's own changes nothing, whatever else
//! has been committed in between.

use async_trait::async_trait;
use hansard_schemas::lake::Table;
use uuid::Uuid;

mod sqlite;

pub use sqlite::SqliteCatalog;

#[cfg(test)]
mod contract;

/// The trust that a recorder holds in one shard: taking the shard again ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u64);

/// A shard as its new holder finds it.
#[derive(Debug, Clone)]
pub struct ShardHold {
    /// The shard.
    pub shard: u16,
    /// What commits must show.
    pub epoch: Epoch,
    /// Everything in the log before this place is in the lake.
    pub watermark: u64,
    /// State of the sessions that were not finished there, as the projection wrote it.
    pub sessions: Vec<OpenSession>,
}

/// A session that had not ended at a shard's watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The shard that it lies in.
    pub shard: u16,
    /// The session.
    pub session_id: Uuid,
    /// What the projection needs to go on.
    pub state: Vec<u8>,
}

impl OpenSession {
    /// The session and its state, as the projection takes them.
    pub fn saved(&self) -> (Uuid, &[u8]) {
        (self.session_id, &self.state)
    }
}

/// One Parquet file of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Key in the object store, relative to the lake's root.
    pub path: String,
    /// The table.
    pub table: Table,
    /// The target whose sessions it holds.
    pub target: String,
    /// Start of the hour that its rows lie in, UTC nanoseconds.
    pub hour: i64,
    /// 0 flushed, 1 and 2 compacted.
    pub level: u8,
    /// Rows.
    pub rows: u64,
    /// Those of them whose outcome another row tells ([`Table::is_unsettled`]).
    pub unsettled: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Earliest value of the table's time column, UTC nanoseconds.
    pub min_at: i64,
    /// Latest value of the table's time column, UTC nanoseconds.
    pub max_at: i64,
    /// Index rows that belong to this file. Written with a commit, used by the catalog's filters; empty in what a
    /// catalog returns.
    pub index: FileIndex,
}

/// What a file can be found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileIndex {
    /// `touches`: each relation and operation in the file, with the earliest and latest `at`. `transactions`: each
    /// `gid` and kind, with the earliest and latest `ended_at`.
    pub relations: Vec<RelationSpan>,
    /// Sessions with rows in the file.
    pub sessions: Vec<Uuid>,
    /// `touches` and `transactions`: when transactions of the file ended, in the order of time. `sessions`: likewise sessions
    /// with gaps.
    pub ends: Vec<EndSpan>,
}

/// Transactions, or sessions with gaps, that ended in one minute, by one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndSpan {
    /// The minute, since 1970: of commits in `touches`, of ends in `transactions`. [`i64::MAX`] of what has not ended.
    pub minute: i64,
    /// When the earliest of their statements began, UTC nanoseconds: of those that have rows in `touches`, and of all in
    /// `transactions`; of sessions when they were opened. [`i64::MIN`] where that is not known.
    pub started_at: i64,
}

impl EndSpan {
    /// The minute that a time lies in.
    pub fn minute_of(at: i64) -> i64 {
        at.div_euclid(60_000_000_000)
    }
}

/// A relation and operation inside one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationSpan {
    /// `schema.table`, or a `gid`.
    pub relation: String,
    /// The operation, or the kind.
    pub operation: String,
    /// UTC nanoseconds.
    pub min_at: i64,
    /// UTC nanoseconds.
    pub max_at: i64,
}

/// What one flush of one shard adds: all or nothing.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The shard.
    pub shard: u16,
    /// The holder's epoch.
    pub epoch: Epoch,
    /// Where the log had been read up to before.
    pub from: u64,
    /// Where it has been read up to now: the new watermark.
    pub watermark: u64,
    /// New files, already durable under their paths.
    pub files: Vec<FileEntry>,
    /// Sessions whose unfinished state changed.
    pub sessions: Vec<OpenSession>,
    /// Sessions that have ended.
    pub ended: Vec<Uuid>,
}

/// A sorted merge of files inside one window: the old ones leave, the new one enters, in one step.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// Paths that leave.
    pub replaced: Vec<String>,
    /// Files that enter, with the same rows.
    pub files: Vec<FileEntry>,
}

/// Which files a reader wants; every `None` means any.
#[derive(Debug, Clone, Default)]
pub struct FileFilter {
    /// The table.
    pub table: Option<Table>,
    /// Rows at or after, UTC nanoseconds.
    pub at_from: Option<i64>,
    /// Rows at or before, UTC nanoseconds.
    pub at_to: Option<i64>,
    /// `touches`: one of these relations. `transactions`: one of these `gid`s.
    pub relations: Option<Vec<String>>,
    /// `touches`: one of these operations. `transactions`: one of these kinds, of a row with a `gid`.
    pub operations: Option<Vec<String>>,
    /// The session.
    pub session_id: Option<Uuid>,
    /// One of many sessions.
    pub sessions: Option<Sessions>,
    /// The target.
    pub target: Option<String>,
    /// `touches` and `statements`: rows of transactions that ended between these times, both in it, and any rows since the first of them.
    pub ended: Option<(i64, i64)>,
    /// `sessions`: sessions with gaps that were open between these times, both in it.
    pub lost: Option<(i64, i64)>,
    /// `transactions`: ends of transactions that began at or before, UTC nanoseconds.
    pub began_to: Option<i64>,
}

/// Sessions: those of some files, and others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Paths of files of the lake.
    pub of_files: Vec<String>,
    /// Sessions.
    pub others: Vec<Uuid>,
}

/// The lake at one moment. Cold is `files`; hot is the log from each watermark on, begun with `sessions`.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Files that pass the filter.
    pub files: Vec<FileEntry>,
    /// `(shard, watermark)` of every shard that was ever held.
    pub watermarks: Vec<(u16, u64)>,
    /// All unfinished sessions.
    pub sessions: Vec<OpenSession>,
    /// Where [`FileFilter::ended`] asked: files hold no row of such a transaction from before, UTC nanoseconds.
    pub began: Option<i64>,
}

/// The catalog of a lake.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Takes a shard over, ends the former holder's epoch.
    async fn take_shard(&self, shard: u16, holder: &str) -> Result<ShardHold, Error>;

    /// Adds a flush. [`Error::Fenced`] when the shard has another holder by now, [`Error::Discontinuous`] when the
    /// watermark is not `from`; nothing changes then.
    async fn commit(&self, commit: Commit) -> Result<(), Error>;

    /// Swaps files. [`Error::Conflict`] when one of the replaced is no longer in the lake; nothing changes then.
    async fn compact(&self, compaction: Compaction) -> Result<(), Error>;

    /// All files of every window (table, target, hour) that holds one below `level`, ordered by window and path: what
    /// a compaction looks at.
    async fn windows_below(&self, level: u8) -> Result<Vec<FileEntry>, Error>;

    /// One consistent view.
    async fn snapshot(&self, filter: &FileFilter) -> Result<Snapshot, Error>;

    /// Paths that left the lake at least `linger` ago and may be deleted from the store.
    async fn expired(&self, linger: std::time::Duration) -> Result<Vec<String>, Error>;

    /// Those of `paths` that are neither in the lake nor have left it lately.
    async fn unknown(&self, paths: Vec<String>) -> Result<Vec<String>, Error>;

    /// Forgets paths that were deleted from the store.
    async fn forget(&self, paths: &[String]) -> Result<(), Error>;
}

/// Why the catalog could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else holds the shard now.
    #[error("shard {shard} was taken over by another recorder (epoch {current:?}, ours was {ours:?})")]
    Fenced {
        /// The shard.
        shard: u16,
        /// The epoch shown.
        ours: Epoch,
        /// The epoch in force.
        current: Epoch,
    },
    /// A commit does not continue where the last one ended.
    #[error("shard {shard} is recorded up to {watermark}, the commit begins at {from}")]
    Discontinuous {
        /// The shard.
        shard: u16,
        /// In force.
        watermark: u64,
        /// Of the commit.
        from: u64,
    },
    /// A file to be replaced is not in the lake, or one to be added is there already.
    #[error("{0} is not in the lake as expected: another process changed it meanwhile")]
    Conflict(String),
    /// The catalog cannot be read or written.
    #[error("the catalog at {place} does not answer")]
    Unavailable {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The catalog holds something that this version cannot read.
    #[error("the catalog at {place} is damaged or of another version: {reason}")]
    Incompatible {
        /// Where it is.
        place: String,
        /// What is wrong.
        reason: String,
    },
}
