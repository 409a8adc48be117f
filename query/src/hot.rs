//! The hot end of the record: what the log holds above the lake's watermarks, as rows.
//!
//! Invariant: begins with the states of the very snapshot whose files are the cold part, and projects with the
//! recorder's own code, so a row is either in a file or here. Bounded in bytes: beyond that it is an error, never a part.

use std::collections::HashMap;

use arrow::record_batch::RecordBatch;
use hansard_event_log::{EventLog, Position};
use hansard_lake::catalog::{FileFilter, OpenSession, Snapshot};
use hansard_lake::projection::{Projector, Rows};
use hansard_schemas::lake::Table;

use crate::Error;

/// Bytes of blocks that one read of the log asks for.
const READ_BYTES: usize = 1024 * 1024;

const MIB: u64 = 1024 * 1024;

/// The hot rows of the tables asked for.
pub(crate) async fn read(
    log: Option<&dyn EventLog>,
    snapshot: &Snapshot,
    scans: &[FileFilter],
    limit: u64,
) -> Result<HashMap<Table, RecordBatch>, Error> {
    let watermarks: HashMap<u16, u64> = snapshot.watermarks.iter().copied().collect();
    let mut sessions: HashMap<u16, Vec<OpenSession>> = HashMap::new();
    for session in &snapshot.sessions {
        sessions.entry(session.shard).or_default().push(session.clone());
    }
    // All ends before the first read: the same moment for every shard.
    let mut ends: HashMap<u16, u64> = HashMap::new();
    if let Some(log) = log {
        for shard in 0..log.shards() {
            ends.insert(shard, log.bounds(shard).await?.end.0);
        }
    }
    let mut shards: Vec<u16> = ends.keys().chain(sessions.keys()).copied().collect();
    shards.sort_unstable();
    shards.dedup();

    let mut rows = Rows::default();
    let mut left = limit;
    for shard in shards {
        let mut projector = Projector::restore(shard, sessions.get(&shard).map_or(&[], Vec::as_slice))?;
        let from = watermarks.get(&shard).copied();
        if let (Some(log), Some(&end)) = (log, ends.get(&shard)) {
            if let Some(watermark) = from.filter(|watermark| *watermark > end) {
                return Err(Error::LogBehind { shard, end, watermark });
            }
            let mut at = Position(from.unwrap_or(0));
            while at.0 < end {
                let batch = log.read(shard, at, READ_BYTES).await?;
                if batch.next <= at {
                    break;
                }
                for block in &batch.blocks {
                    // A block that reaches beyond the end may be several, merged; the older ones are wanted.
                    if at.0 >= end {
                        break;
                    }
                    at = block.next;
                    let Some(rest) = left.checked_sub(block.block.payload_length) else {
                        return Err(Error::HotTail { found: limit / MIB, limit: limit / MIB });
                    };
                    left = rest;
                    projector.apply(&block.block, &mut rows);
                }
                keep(&mut rows, scans);
                at = at.max(batch.next);
                tokio::task::yield_now().await;
            }
        }
        projector.unfinished(&mut rows);
        keep(&mut rows, scans);
    }
    Ok(scans.iter().filter_map(|scan| scan.table).map(|table| (table, rows.batch(table))).collect())
}

/// Drops what no scan can want, so that a question about statements does not hold the frames.
fn keep(rows: &mut Rows, scans: &[FileFilter]) {
    let wanted = |table| scans.iter().find(|scan| scan.table == Some(table));
    match wanted(Table::Frames) {
        None => rows.frames = Vec::new(),
        Some(scan) => rows.frames.retain(|row| session(scan, row.session_id) && time(scan, row.at)),
    }
    match wanted(Table::Statements) {
        None => rows.statements = Vec::new(),
        Some(scan) => rows.statements.retain(|row| session(scan, row.session_id) && time(scan, row.started_at)),
    }
    match wanted(Table::Touches) {
        None => rows.touches = Vec::new(),
        Some(scan) => rows.touches.retain(|row| {
            session(scan, row.session_id)
                && time(scan, row.at)
                && scan.relation.as_deref().is_none_or(|relation| relation == &*row.relation)
        }),
    }
    match wanted(Table::Sessions) {
        None => rows.sessions = Vec::new(),
        Some(scan) => rows.sessions.retain(|row| session(scan, row.session_id) && time(scan, row.opened_at)),
    }
}

fn session(scan: &FileFilter, id: uuid::Uuid) -> bool {
    scan.session_id.is_none_or(|wanted| wanted == id)
}

fn time(scan: &FileFilter, at: i64) -> bool {
    scan.at_from.is_none_or(|from| from <= at) && scan.at_to.is_none_or(|to| at <= to)
}
