//! One moment of the record: what every table of one query reads.
//!
//! Invariant: all tables of a view belong to the same watermarks, and its hot rows begin exactly there. A commit
//! moves its shard's watermark or the states of unfinished sessions, so snapshots in which both are equal are one
//! moment, however many there are; a compaction in between swaps files for others with the same rows.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use datafusion::common::DataFusionError;
use hansard_event_log::EventLog;
use hansard_lake::catalog::{Catalog, FileEntry, FileFilter, Sessions, Snapshot};
use hansard_lake::layout::HOUR;
use hansard_schemas::lake::Table;

use crate::Error;
use crate::hot::{Chunk, HotEnd};
use crate::outcomes;
use crate::pruning::Scan;

/// How often a question is tried while compactions take away files that its view names.
pub(crate) const ATTEMPTS: u32 = 5;

/// How often a view is tried while commits or trims come in between.
const TAKES: u32 = 20;

/// Takes after which a view is taken even where a later one was read in the meantime.
const PATIENT_TAKES: u32 = 10;

/// After each take that failed a little longer, so that a recorder in a hurry gets on.
const PAUSE: Duration = Duration::from_millis(2);

/// What one table reads.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) files: Vec<FileEntry>,
    pub(crate) hot: Vec<Chunk>,
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
        let mut seen = Seen::default();
        for attempt in 0..TAKES {
            let patient = attempt < PATIENT_TAKES;
            match once(catalog, log, hot, scans, hot_limit, patient, &mut seen).await {
                Ok(Some(parts)) => {
                    // A view is taken once; a second value could only come from a second call.
                    let _ = self.parts.set(parts);
                    return Ok(());
                }
                // The recorder committed between two snapshots, or trimmed what the snapshot still needs.
                Ok(None) | Err(Error::Log(hansard_event_log::Error::Trimmed { .. })) => {
                    tracing::debug!(attempt, "the record moved while a view was taken");
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unsettled { attempts: TAKES })
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

    /// Takes files with older rows, too, where a transaction that ended when the scan asks about began before; `false` when
    /// the record has moved since the first call.
    async fn widen(&mut self, catalog: &dyn Catalog, scan: &Scan, part: &mut Part, began: i64) -> Result<bool, Error> {
        if part.began.is_some_and(|known| began < known) {
            let at_from = scan.filter.at_from.max(Some(began));
            let filter = FileFilter { ended: None, at_from, ..scan.filter.clone() };
            let Some(wider) = self.part(catalog, &filter).await? else { return Ok(false) };
            *part = Part { began: Some(began), ..wider };
        }
        Ok(true)
    }
}

/// What a try found out that the next one asks the catalog for before it reads the log, UTC nanoseconds.
///
/// Which files are needed is known only when the log has been read, which takes its time: the next try asks for enough of
/// them beforehand, so that the recorder may go on while the log is read.
#[derive(Default)]
struct Seen {
    /// From when on facts about outcomes were needed.
    facts_from: Option<i64>,
    /// When the earliest of the transactions began that ended, by the log, when [`FileFilter::ended`] asked.
    began: Option<i64>,
}

/// One try.
async fn once(
    catalog: &dyn Catalog,
    log: Option<&dyn EventLog>,
    hot: &HotEnd,
    scans: &[Scan],
    hot_limit: u64,
    patient: bool,
    seen: &mut Seen,
) -> Result<Option<Parts>, Error> {
    let mut moment = Moment::default();
    let mut tables: HashMap<Table, Part> = HashMap::new();
    for scan in scans {
        let Some(mut part) = moment.part(catalog, &scan.filter).await? else { return Ok(None) };
        if let Some(began) = seen.began
            && !moment.widen(catalog, scan, &mut part, began).await?
        {
            return Ok(None);
        }
        tables.insert(scan.table, part);
    }
    let known_from = seen.facts_from;
    let mut known = Vec::new();
    if known_from.is_some() {
        let all = FileFilter { table: Some(Table::Transactions), at_from: known_from, ..FileFilter::default() };
        let Some(part) = moment.part(catalog, &all).await? else { return Ok(None) };
        known = part.files;
    }
    let hot = hot.read(log, moment.0.get_or_insert_default(), scans, hot_limit, !patient).await?;
    let Some(mut hot) = hot else { return Ok(None) };
    let told = hot.get(&Table::Transactions).cloned().unwrap_or_default();
    for scan in scans {
        let (Some((from, to)), Some(part)) = (scan.filter.ended, tables.get_mut(&scan.table)) else { continue };
        let began = outcomes::earliest_start(&told, from, to).map_err(broken)?;
        seen.began = Some(seen.began.map_or(began, |other| other.min(began)));
        if !moment.widen(catalog, scan, part, began).await? {
            return Ok(None);
        }
    }
    for (table, part) in &mut tables {
        part.hot = hot.remove(table).unwrap_or_default();
    }
    let mut facts: Option<Part> = None;
    for scan in scans.iter().filter(|scan| scan.outcomes) {
        for filter in filters_of_facts(scan, &tables[&scan.table]) {
            let from = filter.at_from.unwrap_or(i64::MIN);
            let files = if known_from.is_some_and(|known_from| known_from <= from) {
                known.iter().filter(|file| file.max_at >= from).cloned().collect()
            } else {
                seen.facts_from = Some(seen.facts_from.map_or(from, |other| other.min(from)));
                let Some(part) = moment.part(catalog, &filter).await? else { return Ok(None) };
                part.files
            };
            let facts = facts.get_or_insert_with(|| Part { files: Vec::new(), hot: told.clone(), began: None });
            facts.files.extend(files);
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
fn filters_of_facts(scan: &Scan, part: &Part) -> Vec<FileFilter> {
    let mut first: Option<i64> = None;
    let mut earliest = |at: i64| first = Some(first.map_or(at, |first| first.min(at)));
    let mut sessions = Sessions::default();
    for file in part.files.iter().filter(|file| file.unsettled > 0) {
        earliest(file.min_at);
        sessions.of_files.push(file.path.clone());
    }
    for unsettled in part.hot.iter().filter_map(Chunk::unsettled) {
        earliest(unsettled.earliest);
        sessions.others.extend(unsettled.sessions.iter().copied());
    }
    sessions.others.sort_unstable();
    sessions.others.dedup();
    let Some(first) = first else { return Vec::new() };
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
    match (scan.table, session_id) {
        (Table::Transactions, _) => vec![prepared],
        (_, Some(_)) => vec![prepared, FileFilter { session_id, ..facts }],
        (_, None) => vec![prepared, FileFilter { sessions: Some(sessions), ..facts }],
    }
}
