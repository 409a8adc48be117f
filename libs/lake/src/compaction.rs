//! Small files into large ones: a sorted merge inside one window.
//!
//! Invariants: rows are never changed, added or lost (an input that is not byte for byte what the catalog says is
//! not merged); files of different windows never meet; the swap is one catalog transaction; a replaced file stays
//! readable for a while, since a reader's snapshot may still name it. Memory is bounded by the number of inputs.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::catalog::{self, Compaction, FileEntry, FileFilter};
use crate::layout::{self, HOUR, Window};
use crate::{Error, Lake};

mod merge;

/// When to merge, and how long replaced files stay.
#[derive(Debug, Clone)]
pub struct CompactionOptions {
    /// Files of one level in a window that make a merge worth its while.
    pub enough: usize,
    /// How long a replaced file stays in the store.
    pub linger: Duration,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        CompactionOptions { enough: 8, linger: Duration::from_secs(60) }
    }
}

/// Inputs of one merge: bounds open readers and their memory, about 2 MiB each beside the rows.
const MOST_INPUTS: usize = 16;

/// Bytes of all inputs of one merge: bounds the size of a file, and of the work that a crash repeats.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// A file of this size is large enough not to be merged again.
const LARGE: u64 = 64 * 1024 * 1024;

/// How long after an hour's end its flushes may still be on their way.
const SETTLED: i64 = 2 * 60 * 1_000_000_000;

/// How long a few late files of an hour wait for more.
const LATE: i64 = 24 * HOUR;

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were merged away.
    pub replaced: usize,
    /// Files that took their place.
    pub created: usize,
    /// Rows that were moved.
    pub rows: u64,
    /// Files deleted from the store.
    pub deleted: usize,
}

/// One merge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Merge {
    window: Window,
    inputs: Vec<FileEntry>,
    level: u8,
}

/// Merges what is worth it at `now` (UTC nanoseconds), and deletes files that left the lake long enough ago.
///
/// May run in several processes at once: one of them wins each window. Ends early, with nothing half done, once
/// `stop` is true. Blocks its thread for as long as merges take: call it on one of its own.
pub async fn compact(lake: &Lake, options: &CompactionOptions, now: i64, stop: &AtomicBool) -> Result<Report, Error> {
    let mut report = Report::default();
    for job in plan(lake.catalog.windows_below(2).await?, options, now) {
        let replaced: Vec<String> = job.inputs.iter().map(|file| file.path.clone()).collect();
        let window = job.window.clone();
        let Some(file) = merge::merge(lake, job.window, &job.inputs, job.level, stop)? else { return Ok(report) };
        let (path, rows) = (file.path.clone(), file.rows);
        let swap = Compaction { replaced: replaced.clone(), files: vec![file] };
        match lake.catalog.compact(swap).await {
            Ok(()) => {
                report.replaced += replaced.len();
                report.created += 1;
                report.rows += rows;
            }
            Err(catalog::Error::Conflict(_)) => discard(lake, &window, path).await?,
            Err(other) => return Err(other.into()),
        }
    }
    report.deleted = delete_expired(lake, options.linger).await?;
    Ok(report)
}

/// Deletes the files that left the lake at least `linger` ago.
async fn delete_expired(lake: &Lake, linger: Duration) -> Result<usize, Error> {
    let paths = lake.catalog.expired(linger).await?;
    if paths.is_empty() {
        return Ok(0);
    }
    for path in &paths {
        lake.durable()?.delete(path)?;
    }
    lake.catalog.forget(&paths).await?;
    Ok(paths.len())
}

/// Deletes a merged file that lost against another process's merge, unless that one made the very same file. Its
/// inputs have left the lake, so nobody can add it any more.
async fn discard(lake: &Lake, window: &Window, path: String) -> Result<(), Error> {
    let filter = FileFilter {
        table: Some(window.table),
        target: Some(window.target.clone()),
        at_from: Some(window.hour),
        at_to: Some(window.hour.saturating_add(HOUR)),
        ..FileFilter::default()
    };
    if lake.catalog.snapshot(&filter).await?.files.iter().any(|file| file.path == path) {
        return Ok(());
    }
    lake.durable()?.delete(&path)
}

/// Which merges are worth it: the files of windows that hold a file below level 2, as the catalog orders them.
fn plan(files: Vec<FileEntry>, options: &CompactionOptions, now: i64) -> Vec<Merge> {
    let mut windows: BTreeMap<Window, Vec<FileEntry>> = BTreeMap::new();
    for file in files {
        let window = Window { table: file.table, target: file.target.clone(), hour: file.hour };
        windows.entry(window).or_default().push(file);
    }
    windows.into_iter().filter_map(|(window, files)| plan_window(window, files, options, now)).collect()
}

fn plan_window(window: Window, files: Vec<FileEntry>, options: &CompactionOptions, now: i64) -> Option<Merge> {
    let age = now.saturating_sub(window.hour).saturating_sub(HOUR);
    let young = files.iter().filter(|file| file.level < 2).count();
    let level = if age < SETTLED {
        // The hour goes on: keep the number of files low, and leave the large ones alone.
        let of_level = |level| files.iter().filter(|file| file.level == level && file.bytes < LARGE).count();
        let merged = (0..2).find(|level| of_level(*level) >= options.enough)?;
        let inputs = files.into_iter().filter(|file| file.level == merged && file.bytes < LARGE);
        return Some(Merge { window, inputs: bounded(inputs), level: 1 });
    } else if young == files.len() || young >= options.enough || age >= LATE {
        2
    } else {
        // A few rows came late, of a session or transaction that lasted long: wait for more of them.
        return None;
    };
    let inputs = bounded(files.into_iter().filter(|file| file.level < 2 || file.bytes < LARGE));
    Some(Merge { window, inputs, level })
}

/// As many as one merge takes, young ones first; the next round goes on with the rest.
fn bounded(files: impl Iterator<Item = FileEntry>) -> Vec<FileEntry> {
    let mut files: Vec<FileEntry> = files.collect();
    files.sort_by(|a, b| (a.level, &a.path).cmp(&(b.level, &b.path)));
    let mut bytes = 0;
    let mut taken = 0;
    while taken < files.len() && taken < MOST_INPUTS && (taken == 0 || bytes + files[taken].bytes <= MOST_BYTES) {
        bytes += files[taken].bytes;
        taken += 1;
    }
    files.truncate(taken);
    files
}

#[cfg(test)]
mod tests;
