//! One flush: files, then the catalog. Tried until it is done, always with the same content under the same names.

use std::sync::Arc;

use hansard_lake::catalog::{self, Commit, Epoch, FileEntry, OpenSession};
use hansard_lake::layout::FlushId;
use hansard_lake::{Lake, writer};
use hansard_record::{Changes, Rows, SessionState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::shard::Failures;
use crate::thread::Thread;
use crate::trouble::Trouble;
use crate::{Error, Observer, metrics};

/// Tries that a flush has left once the recorder is told to stop.
const LAST_TRIES: u32 = 3;

/// What a flush has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Files are durable; the catalog does not know them.
    FilesWritten,
    /// The catalog has files, states and watermark.
    Committed,
    /// The log was trimmed behind the watermark.
    Trimmed,
}

/// Everything that one flush brings into the lake.
pub(crate) struct Flush {
    pub(crate) id: FlushId,
    pub(crate) rows: Arc<Rows>,
    pub(crate) changes: Changes,
}

/// Where flushes go.
pub(crate) struct Target<'a> {
    pub(crate) lake: &'a Arc<Lake>,
    pub(crate) observer: Option<&'a Observer>,
    pub(crate) failures: &'a Failures,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) thread: &'a Thread,
}

/// Why a try failed.
enum Failure {
    /// It may work later.
    Later(Box<dyn std::error::Error + Send + Sync>),
    /// It never will.
    Never(Error),
}

impl Flush {
    /// Brings the flush into the lake, however long that takes. False when it was given up because the recorder
    /// is told to stop: everything is still in the log then.
    pub(crate) async fn complete(&self, target: &Target<'_>) -> Result<bool, Error> {
        let begun = Instant::now();
        let mut trouble = Trouble::new("the lake takes no rows");
        let mut last_tries = LAST_TRIES;
        loop {
            match self.attempt(target).await {
                Ok(files) => {
                    trouble.over();
                    target.failures.lock().remove(&self.id.shard);
                    let contradictions = self.rows.sessions.iter().map(|session| session.contradictions).sum();
                    metrics::flushed(&files, contradictions, begun.elapsed());
                    return Ok(true);
                }
                Err(Failure::Never(error)) => return Err(error),
                Err(Failure::Later(error)) => {
                    metrics::failed();
                    trouble.met(&*error);
                    target.failures.lock().insert(self.id.shard, chain(&*error));
                }
            }
            let pause = trouble.pause();
            if target.cancel.is_cancelled() {
                last_tries -= 1;
                if last_tries == 0 {
                    return Ok(false);
                }
                tokio::time::sleep(pause).await;
            } else {
                target.cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
    }

    /// Files first, then the catalog. Every try writes all files anew: whatever an earlier one left is replaced.
    async fn attempt(&self, target: &Target<'_>) -> Result<Vec<FileEntry>, Failure> {
        let FlushId { shard, watermark, .. } = self.id;
        let (lake, rows, id) = (Arc::clone(target.lake), Arc::clone(&self.rows), self.id);
        let written = target.thread.run(move || writer::write_rows(&lake, |table| rows.batch(table), &id)).await;
        let files = written.map_err(Failure::Never)?.map_err(|error| {
            if error.is_transient() { Failure::Later(error.into()) } else { Failure::Never(Error::Lake(error)) }
        })?;
        self.observe(target, Step::FilesWritten);
        let open = |SessionState { session_id, state }: SessionState| OpenSession { shard, session_id, state };
        let commit = Commit {
            shard,
            epoch: Epoch(self.id.epoch),
            from: self.id.from,
            watermark,
            files: files.clone(),
            sessions: self.changes.sessions.iter().cloned().map(open).collect(),
            ended: self.changes.ended.clone(),
        };
        match target.lake.catalog.commit(commit).await {
            Ok(()) => {}
            Err(error @ catalog::Error::Unavailable { .. }) => return Err(Failure::Later(error.into())),
            Err(error @ catalog::Error::Fenced { .. }) => return Err(Failure::Never(Error::Fenced(error))),
            // An earlier try of this very flush was committed and its answer lost: nobody else holds this epoch, or
            // makes these names.
            Err(catalog::Error::Discontinuous { watermark: held, .. }) if held == watermark => {}
            Err(catalog::Error::Conflict(_)) => {}
            Err(error) => return Err(Failure::Never(Error::Catalog(error))),
        }
        self.observe(target, Step::Committed);
        Ok(files)
    }

    fn observe(&self, target: &Target<'_>, step: Step) {
        if let Some(observer) = target.observer {
            observer(self.id.shard, step);
        }
    }
}
