//! The record that the process keeps of itself, in every shard of the log.
//!
//! Invariants: a shard's first block says which process writes from here on, and the record's last event there that it
//! stopped; what is told to all shards is in each of them once, or, where the log takes nothing, in none of those that it
//! takes nothing for.

use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{Error, Position};
use hansard_schemas::events::{self, event};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Capture;
use crate::clock;
use crate::worker::Worker;

/// Between two attempts to append what the log refused.
const RETRY: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct ProcessRecords {
    records: Vec<Mutex<Record>>,
    node: String,
    instance: String,
}

impl std::fmt::Debug for ProcessRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessRecords").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Of one shard.
struct Record {
    capture: Capture,
    worker: Arc<Worker>,
    stopped: bool,
}

impl ProcessRecords {
    /// Begins the record in each worker's shard. Nothing else is appended before.
    pub(crate) fn begin(workers: &[Arc<Worker>]) -> ProcessRecords {
        let log = workers.first().map(|worker| worker.journal.log());
        let (node, instance) = log.map(|log| (log.node().to_owned(), log.instance().to_owned())).unwrap_or_default();
        let begin = |worker: &Arc<Worker>| {
            let session = hansard_event_log::mint_session_id(worker.journal.shard(), worker.journal.log().shards());
            let mut capture = Capture::new(worker.clone(), session, "");
            let (node, instance) = (node.clone(), instance.clone());
            let hansard_version = env!("CARGO_PKG_VERSION").to_owned();
            let started = events::ProxyStarted { node, instance, hansard_version };
            capture.event(clock::now(), event::Kind::ProxyStarted(started));
            capture.keep_pending();
            // A refusal has been told by the journal, and sessions wait for this block.
            let _ = worker.journal.append_backlog();
            Mutex::new(Record { capture, worker: worker.clone(), stopped: false })
        };
        let records = workers.iter().map(begin).collect();
        ProcessRecords { records, node, instance }
    }

    /// A sign of life in a shard.
    pub(crate) fn alive(&self, shard: usize) {
        let Some(record) = self.records.get(shard) else { return };
        let mut record = record.lock();
        // A sign of life that the log cannot take is no sign; the next one will be.
        if record.capture.pending() == 0 {
            let (node, instance) = (self.node.clone(), self.instance.clone());
            record.capture.event(clock::now(), event::Kind::ProxyAlive(events::ProxyAlive { node, instance }));
        }
        let _ = record.capture.append();
    }

    /// Ends the record in a shard.
    pub(crate) fn stop(&self, shard: usize) {
        let Some(record) = self.records.get(shard) else { return };
        let mut record = record.lock();
        let (node, instance) = (self.node.clone(), self.instance.clone());
        let reason = "asked to stop".to_owned();
        record.capture.event(clock::now(), event::Kind::ProxyStopped(events::ProxyStopped { node, instance, reason }));
        record.stopped = true;
        let appended = record.worker.journal.append_backlog().and_then(|()| record.capture.append());
        if let Err(error) = appended {
            tracing::error!(%error, "the end of the proxy could not be recorded; its open sessions are closed when it starts again");
        }
    }

    /// Tells all shards, however long the log takes nothing. A shard whose record has ended is told nothing more.
    pub(crate) async fn tell(&self, kind: &event::Kind) {
        // It ends without an error only.
        let _ = self.append(kind, None).await;
    }

    /// Tells all shards, and waits until the log has acknowledged it in each, for at most `patience`.
    pub(crate) async fn tell_surely(&self, kind: &event::Kind, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        for (worker, position) in self.append(kind, Some(deadline)).await? {
            let journal = &worker.journal;
            if journal.is_acknowledged(position) {
                continue;
            }
            match tokio::time::timeout_at(deadline, journal.log().acknowledged(journal.shard(), position)).await {
                Ok(acknowledged) => acknowledged?,
                Err(_) => return Err(Error::Unavailable("the event log did not acknowledge it in time".to_owned())),
            }
        }
        Ok(())
    }

    /// Appends to each shard once.
    async fn append(
        &self,
        kind: &event::Kind,
        deadline: Option<Instant>,
    ) -> Result<Vec<(Arc<Worker>, Position)>, Error> {
        let mut positions = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let mut told = false;
            loop {
                let appended = {
                    let mut record = record.lock();
                    record
                        .tell(kind, &mut told)
                        .map(|position| position.map(|position| (record.worker.clone(), position)))
                };
                match appended {
                    Ok(position) => positions.extend(position),
                    Err(error) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Err(error),
                    Err(_) => {
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(positions)
    }

    /// Who writes.
    pub(crate) fn node(&self) -> (String, String) {
        (self.node.clone(), self.instance.clone())
    }
}

impl Record {
    /// Appends the event behind what is pending; `told` once it is in the record, be it appended or not.
    fn tell(&mut self, kind: &event::Kind, told: &mut bool) -> Result<Option<Position>, Error> {
        if self.stopped {
            return Ok(None);
        }
        if !*told {
            self.capture.append()?;
            self.capture.event(clock::now(), kind.clone());
            *told = true;
        }
        self.capture.append()
    }
}
