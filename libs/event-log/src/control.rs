//! The control feed: small facts that every proxy must know at once, such as a lease, or that it was revoked.
//!
//! Records by key: a later one of a key takes the place of the one before. Whoever follows is given all that there is, and
//! then what comes. One trait, two adapters: *embedded*, a file in the log's folder ([`LocalControl`]), and *JetStream*, a
//! stream of its own beside that of the blocks ([`JetStreamControl`]). The contract suite in `tests/` holds for both.
//!
//! Invariants: a record that was acknowledged survives `kill -9` of every process involved; of those who put a record of one
//! key where nobody has put one before, one alone succeeds; a follower that cannot keep up is cut off, and begins anew with
//! all that there is, so it never misses a record in silence. Records, keys, values and what waits for a follower are bounded.

mod file;
mod jetstream;
mod local;

pub use jetstream::{JetStreamControl, JetStreamControlOptions};
pub use local::LocalControl;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::Error;

/// Longest key in bytes.
pub const MAX_KEY: usize = 128;

/// Longest value in bytes.
pub const MAX_VALUE: usize = 16 * 1024;

/// Most keys that have a record.
pub const MAX_RECORDS: usize = 100_000;

/// What may wait for a follower beside what there is when it begins.
const WAITING: usize = 1024;

/// A fact, and until when it matters.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// Letters and digits of ASCII, `-` and `_`, in parts with dots between them.
    pub key: String,
    /// What there is to know. It is in no message and in no log line.
    pub value: Vec<u8>,
    /// UTC nanoseconds; from then on the record may be gone.
    pub expires_at: u64,
}

impl std::fmt::Debug for ControlRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlRecord")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// Which record of its key a record is: a later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// That of a key that has no record.
    pub const NONE: Revision = Revision(0);
}

/// What a follower is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// A record: one that there was, or one that came.
    Record(ControlRecord, Revision),
    /// All that there was when the follower began has been given.
    Current,
}

/// Records as they come.
#[derive(Debug)]
pub struct Follower {
    inbox: mpsc::Receiver<Followed>,
}

impl Follower {
    /// The next one; `None` where this follower is cut off: too much waited for it, or the feed is not there any more. It
    /// goes on by [`ControlLog::follow`], with all that there is.
    pub async fn next(&mut self) -> Option<Followed> {
        self.inbox.recv().await
    }
}

/// A control feed.
#[async_trait]
pub trait ControlLog: Send + Sync + 'static {
    /// Puts a record in the place of the one that its key has; it is kept when this returns.
    async fn put(&self, record: ControlRecord) -> Result<Revision, Error>;

    /// The same where the key's record is `expected` ([`Revision::NONE`]: it has none). `None` where it is another one:
    /// somebody else was first. Where it is an error, it may have been put all the same.
    async fn put_if(&self, record: ControlRecord, expected: Revision) -> Result<Option<Revision>, Error>;

    /// The record of a key.
    async fn get(&self, key: &str) -> Result<Option<(ControlRecord, Revision)>, Error>;

    /// All records, and then those that come.
    async fn follow(&self) -> Result<Follower, Error>;

    /// Why the feed cannot be reached at present, in one line; `None` where it can.
    fn trouble(&self) -> Option<String>;
}

/// Pauses before a feed that was lost is followed anew: the first, doubling up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Follows a feed for ever, and begins anew with all that there is whenever it was lost.
pub async fn keep_following(feed: &dyn ControlLog, mut take: impl FnMut(Followed)) {
    let mut pause = PAUSES.0;
    loop {
        match feed.follow().await {
            Ok(mut follower) => {
                while let Some(followed) = follower.next().await {
                    pause = PAUSES.0;
                    take(followed);
                }
            }
            Err(error) => tracing::debug!(%error, "the control feed cannot be followed"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Refuses what no feed takes.
fn check(record: &ControlRecord) -> Result<(), Error> {
    check_key(&record.key)?;
    match record.value.len() {
        length if length > MAX_VALUE => Err(Error::TooLong(length)),
        _ => Ok(()),
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let parts = key.split('.').all(|part| !part.is_empty() && part.bytes().all(is_plain));
    match parts && key.len() <= MAX_KEY {
        true => Ok(()),
        false => {
            Err(Error::Incompatible("a key of the control feed has letters, digits, -, _ and single dots".to_owned()))
        }
    }
}

/// Whether a record matters no more.
fn is_expired(record: &ControlRecord) -> bool {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    u128::from(record.expires_at) <= now
}
