//! A shard of the local log as the spool in front of a stream: what the shipper needs of it.

use std::io;
use std::sync::Arc;

use super::folder;
use super::shard::{Acknowledge, ShardLog};
use crate::{Batch, Error, LocalLog, Position, Shard};

/// The file that holds how far the shipper came.
const SHIPPED: &str = "shipped";

/// One shard, to be emptied.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    log: Arc<ShardLog>,
}

impl LocalLog {
    /// All shards, to be emptied.
    pub(crate) fn spools(&self) -> Vec<Spool> {
        self.shards.iter().map(|log| Spool { log: Arc::clone(log) }).collect()
    }
}

impl Spool {
    pub(crate) fn shard(&self) -> Shard {
        self.log.shard
    }

    /// Reads at once, in this thread.
    pub(crate) fn read(&self, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        self.log.view().read(from.0, max_bytes)
    }

    pub(crate) fn first(&self) -> Position {
        self.log.view().bounds().first
    }

    pub(crate) fn end(&self) -> Position {
        Position(self.log.end())
    }

    /// Where this process began to write.
    pub(crate) fn opened_at(&self) -> Position {
        Position(self.log.opened_at)
    }

    /// Waits until the log ends behind `position`; is told of it at once.
    pub(crate) async fn grown(&self, position: Position) {
        self.log.grown(position.0).await;
    }

    /// From now on, what is appended is acknowledged by [`Self::acknowledge`] alone.
    pub(crate) fn acknowledge_when_shipped(&self) {
        self.log.acknowledge_on(Acknowledge::Shipped);
    }

    pub(crate) fn acknowledge(&self, up_to: Position) {
        self.log.acknowledge(up_to.0);
    }

    pub(crate) fn set_trouble(&self, trouble: Option<Error>) {
        self.log.set_trouble(trouble);
    }

    pub(crate) fn trim(&self, up_to: Position) -> Result<(), Error> {
        self.log.trim(up_to.0)
    }

    /// What was last noted by [`Self::note`].
    pub(crate) fn noted(&self) -> Result<Option<String>, Error> {
        let path = self.log.dir.join(SHIPPED);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(folder::failed("read", &path, &e)),
        }
    }

    /// Keeps how far the shipper came; it is on the disk when this returns.
    pub(crate) fn note(&self, text: &str) -> Result<(), Error> {
        folder::replace(&self.log.dir, SHIPPED, text)
    }
}
