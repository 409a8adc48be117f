//! One moment of the record: what every table of one query reads.
//!
//! Invariant: all tables of a view belong to the same watermarks, and its hot rows begin exactly there. A commit
//! moves its shard's watermark or the states of unfinished sessions, so snapshots in which both are equal are one
//! moment, however many there are; a compaction in between swaps files for others with the same rows.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow::array::AsArray;
use arrow::datatypes::TimestampNanosecondType;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use hansard_event_log::EventLog;
use hansard_lake::catalog::{Catalog, FileEntry, FileFilter, Sessions, Snapshot};
use hansard_lake::layout::HOUR;
use hansard_schemas::lake::Table;

use crate::Error;
use crate::hot::HotEnd;
use crate::outcomes;
use crate::pruning::Scan;

/// How often a view is tried while commits or trims come in between.
pub(crate) const ATTEMPTS: u32 = 5;

/// What one table reads.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) files: Vec<FileEntry>,
    pub(crate) hot: Vec<RecordBatch>,
    /// Where [`FileFilter::ended`] asked: of older rows, none belongs to a transaction that ended then, UTC nanoseconds.
    pub(crate) began: Option<i64>,
}

/// All that a query reads.
#[derive(Debug, Default)]
struct Parts {
    tables: HashMap<Table, Part>,
    /// Rows of `transactions` that may tell outcomes of other rows.
    facts: Option<Part>,
}

/// A view, empty until the plan is known.
#[derive(Debug, Default)]
pub(crate) struct View {
    parts: OnceLock<Parts>,
}

/// How much later than a statement the end of its transaction may seem to lie before it, by a clock that was set back, in
/// nanoseconds.
const CLOCK_CHANGE: i64 = 24 * HOUR;

impl View {
    /// What a table reads; `None` when the plan did not mention it when the view was taken.
    pub(crate) fn part(&self, table: Table) -> Option<&Part> {
        self.parts.get().and_then(|parts| parts.tables.get(&table))
    }

    /// What tells outcomes; `None` when every row that was asked for has its own.
    pub(crate) fn facts(&self) -> Option<&Part> {
        self.parts.get().and_then(|parts| parts.facts.as_ref())
    }

    /// Takes the moment, for the tables in `scans`.
    pub(crate) async fn take(
        &self,
        catalog: &dyn Catalog,
        log: Option<&dyn EventLog>,
        hot: &HotEnd,
        scans: &[Scan],
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

/// Snapshots of one moment.
#[derive(Default)]
struct Moment(Option<Snapshot>);

impl Moment {
    /// The files that pass a filter; `None` when the record has moved since the first call.
    async fn part(&mut self, catalog: &dyn Catalog, filter: &FileFilter) -> Result<Option<Part>, Error> {
        let mut snapshot = catalog.snapshot(filter).await?;
        snapshot.watermarks.sort_unstable();
        snapshot.sessions.sort_unstable_by_key(|session| (session.shard, session.session_id));
        let part = Part { files: std::mem::take(&mut snapshot.files), hot: Vec::new(), began: snapshot.began };
        match &self.0 {
            Some(first) if first.watermarks != snapshot.watermarks || first.sessions != snapshot.sessions => {
                return Ok(None);
            }
            Some(_) => {}
            None => self.0 = Some(snapshot),
        }
        Ok(Some(part))
    }
}

async fn once(
    catalog: &dyn Catalog,
    log: Option<&dyn EventLog>,
    hot: &HotEnd,
    scans: &[Scan],
    hot_limit: u64,
) -> Result<Option<Parts>, Error> {
    let mut moment = Moment::default();
    let mut tables: HashMap<Table, Part> = HashMap::new();
    for scan in scans {
        let Some(part) = moment.part(catalog, &scan.filter).await? else { return Ok(None) };
        tables.insert(scan.table, part);
    }
    let mut hot = hot.read(log, moment.0.get_or_insert_default(), scans, hot_limit).await?;
    let told = hot.get(&Table::Transactions).cloned().unwrap_or_default();
    for scan in scans {
        let (Some((from, to)), Some(part)) = (scan.filter.ended, tables.get_mut(&scan.table)) else { continue };
        let began = match hot.contains_key(&Table::Transactions) {
            true => outcomes::earliest_start(&told, from, to).map_err(broken)?,
            false => i64::MIN,
        };
        if part.began.is_some_and(|known| began < known) {
            let filter =
                FileFilter { ended: None, at_from: scan.filter.at_from.max(Some(began)), ..scan.filter.clone() };
            let Some(wider) = moment.part(catalog, &filter).await? else { return Ok(None) };
            *part = Part { began: Some(began), ..wider };
        }
    }
    for (table, part) in &mut tables {
        part.hot = hot.remove(table).unwrap_or_default();
    }
    let mut facts: Option<Part> = None;
    for scan in scans.iter().filter(|scan| scan.outcomes) {
        for filter in filters_of_facts(scan, &tables[&scan.table])? {
            let Some(part) = moment.part(catalog, &filter).await? else { return Ok(None) };
            let facts = facts.get_or_insert_with(|| Part { files: Vec::new(), hot: told.clone(), began: None });
            facts.files.extend(part.files);
        }
    }
    if let Some(facts) = &mut facts {
        facts.files.sort_by(|a, b| a.path.cmp(&b.path));
        facts.files.dedup_by(|a, b| a.path == b.path);
    }
    Ok(Some(Parts { tables, facts }))
}

fn broken(error: DataFusionError) -> Error {
    Error::Internal(error.to_string())
}

/// Which files of `transactions` may tell outcomes of what a scan reads; none where all rows have theirs.
fn filters_of_facts(scan: &Scan, part: &Part) -> Result<Vec<FileFilter>, Error> {
    let mut first: Option<i64> = None;
    let mut earliest = |at: i64| first = Some(first.map_or(at, |first| first.min(at)));
    let mut sessions = Sessions::default();
    for file in part.files.iter().filter(|file| file.unsettled > 0) {
        earliest(file.min_at);
        sessions.of_files.push(file.path.clone());
    }
    for batch in &part.hot {
        if outcomes::unsettled(scan.table, batch).map_err(broken)? > 0 {
            let times = batch.column_by_name(scan.table.time_column());
            let times = times.and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
            earliest(times.and_then(arrow::compute::min).unwrap_or(i64::MIN));
            sessions.others.extend(outcomes::sessions(batch).map_err(broken)?);
        }
    }
    let Some(first) = first else { return Ok(Vec::new()) };
    let FileFilter { target, session_id, at_from, at_to, .. } = scan.filter.clone();
    // What ends a statement's transaction comes after it.
    let facts = FileFilter {
        table: Some(Table::Transactions),
        target,
        at_from: Some(at_from.unwrap_or(first).max(first).saturating_sub(CLOCK_CHANGE)),
        ..FileFilter::default()
    };
    // A prepared transaction may be resolved in any session, and its name be given again in any.
    let kinds = ["resolution", "transaction"].map(str::to_owned);
    let prepared = FileFilter { operations: Some(kinds.to_vec()), ..facts.clone() };
    // A transaction began no later than any of its statements.
    let facts = FileFilter { began_to: at_to, ..facts };
    Ok(match (scan.table, session_id) {
        (Table::Transactions, _) => vec![prepared],
        (_, Some(_)) => vec![prepared, FileFilter { session_id, ..facts }],
        (_, None) => vec![prepared, FileFilter { sessions: Some(sessions), ..facts }],
    })
}
