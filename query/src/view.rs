//! One moment of the record: what every table of one query reads.
//!
//! Invariant: all tables of a view belong to the same watermarks, and its hot rows begin exactly there. A commit
//! moves its shard's watermark or the states of unfinished sessions, so snapshots in which both are equal are one
//! moment, however many there are; a compaction in between swaps files for others with the same rows.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow::record_batch::RecordBatch;
use hansard_event_log::EventLog;
use hansard_lake::catalog::{Catalog, FileEntry, FileFilter};
use hansard_schemas::lake::Table;

use crate::Error;
use crate::hot::HotEnd;

/// How often a view is tried while commits or trims come in between.
pub(crate) const ATTEMPTS: u32 = 5;

/// What one table reads.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) files: Vec<FileEntry>,
    pub(crate) hot: Vec<RecordBatch>,
}

/// A view, empty until the plan is known.
#[derive(Debug, Default)]
pub(crate) struct View {
    parts: OnceLock<HashMap<Table, Part>>,
}

impl View {
    /// What a table reads; `None` when the plan did not mention it when the view was taken.
    pub(crate) fn part(&self, table: Table) -> Option<&Part> {
        self.parts.get().and_then(|parts| parts.get(&table))
    }

    /// Takes the moment, for the tables in `scans`.
    pub(crate) async fn take(
        &self,
        catalog: &dyn Catalog,
        log: Option<&dyn EventLog>,
        hot: &HotEnd,
        scans: &[FileFilter],
        hot_limit: u64,
    ) -> Result<(), Error> {
        if scans.is_empty() {
            return Ok(());
        }
        for attempt in 0..ATTEMPTS {
            match once(catalog, log, hot, scans, hot_limit).await {
                Ok(Some(parts)) => {
                    // A view is taken once; a second value could only come from a second call.
                    let _ = self.parts.set(parts);
                    return Ok(());
                }
                // The recorder committed between two snapshots, or trimmed what the snapshot still needs.
                Ok(None) | Err(Error::Log(hansard_event_log::Error::Trimmed { .. })) => {
                    tracing::debug!(attempt, "the record moved while a view was taken");
                    tokio::task::yield_now().await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unsettled { attempts: ATTEMPTS })
    }
}

async fn once(
    catalog: &dyn Catalog,
    log: Option<&dyn EventLog>,
    hot: &HotEnd,
    scans: &[FileFilter],
    hot_limit: u64,
) -> Result<Option<HashMap<Table, Part>>, Error> {
    let mut files = HashMap::new();
    let mut moment: Option<hansard_lake::catalog::Snapshot> = None;
    for scan in scans {
        let Some(table) = scan.table else { continue };
        let mut snapshot = catalog.snapshot(scan).await?;
        snapshot.watermarks.sort_unstable();
        snapshot.sessions.sort_unstable_by_key(|session| (session.shard, session.session_id));
        files.insert(table, std::mem::take(&mut snapshot.files));
        match &moment {
            Some(first) if first.watermarks != snapshot.watermarks || first.sessions != snapshot.sessions => {
                return Ok(None);
            }
            Some(_) => {}
            None => moment = Some(snapshot),
        }
    }
    let moment = moment.unwrap_or_default();
    let mut hot = hot.read(log, &moment, scans, hot_limit).await?;
    let part = |(table, files): (Table, Vec<FileEntry>)| {
        let hot = hot.remove(&table).unwrap_or_default();
        (table, Part { files, hot })
    };
    Ok(Some(files.into_iter().map(part).collect()))
}
