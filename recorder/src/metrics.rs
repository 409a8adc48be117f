//! What the recorder counts. Labels are closed sets: table names, shard numbers.

use std::time::Duration;

use hansard_lake::catalog::FileEntry;
use hansard_lake::compaction::Report;

const LAG: &str = "hansard_recorder_lag_bytes";
const ROWS: &str = "hansard_recorder_rows_total";
const FILES: &str = "hansard_recorder_files_total";
const FLUSH: &str = "hansard_recorder_flush_seconds";
const CONTRADICTIONS: &str = "hansard_recorder_contradictions_total";
const FAILED: &str = "hansard_recorder_failed_flushes_total";
const MERGED: &str = "hansard_recorder_merged_files_total";
const DELETED: &str = "hansard_recorder_deleted_files_total";

/// Tells the exporter what the names mean.
pub(crate) fn describe() {
    metrics::describe_gauge!(LAG, "How far the lake is behind the end of a shard (bytes; with NATS, messages)");
    metrics::describe_counter!(ROWS, "Rows committed to the lake");
    metrics::describe_counter!(FILES, "Files committed to the lake");
    metrics::describe_histogram!(FLUSH, metrics::Unit::Seconds, "Duration of a flush, retries included");
    metrics::describe_counter!(
        CONTRADICTIONS,
        "Answers of databases that did not fit what was asked, of ended sessions"
    );
    metrics::describe_counter!(FAILED, "Tries of a flush that failed");
    metrics::describe_counter!(MERGED, "Files merged into larger ones");
    metrics::describe_counter!(DELETED, "Merged files deleted from the store");
}

/// How far a shard is behind.
pub(crate) fn lag(shard: u16, bytes: u64) {
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!(LAG, "shard" => shard.to_string()).set(bytes as f64);
}

/// A flush was committed; `contradictions`: of the sessions that it ended.
pub(crate) fn flushed(files: &[FileEntry], contradictions: u64, duration: Duration) {
    metrics::counter!(CONTRADICTIONS).increment(contradictions);
    for file in files {
        metrics::counter!(ROWS, "table" => file.table.name()).increment(file.rows);
        metrics::counter!(FILES, "table" => file.table.name()).increment(1);
    }
    metrics::histogram!(FLUSH).record(duration.as_secs_f64());
}

/// A try of a flush failed.
pub(crate) fn failed() {
    metrics::counter!(FAILED).increment(1);
}

/// Files were merged.
pub(crate) fn merged(report: &Report) {
    metrics::counter!(MERGED).increment(report.replaced as u64);
    metrics::counter!(DELETED).increment(report.deleted as u64);
}
