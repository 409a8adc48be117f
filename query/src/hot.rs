//! The hot end of the record: what the log holds above the lake's watermarks, as rows.
//!
//! Invariant: begins with the states of the very snapshot whose files are the cold part, and projects with the
//! recorder's own code, so a row is either in a file or here. Bounded in bytes: beyond that it is an error, never a part.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use hansard_event_log::{EventLog, Position, Positioned};
use hansard_lake::catalog::{OpenSession, Snapshot};
use hansard_record::{Projector, Rows};
use hansard_schemas::events::BlockExt;
use hansard_schemas::lake::Table;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Error;
use crate::pruning::Scan;

/// Bytes of blocks that one read of the log asks for.
const READ_BYTES: usize = 1024 * 1024;

/// Bytes of rows that are made before they are kept in Arrow.
const ROW_BYTES: usize = 8 * 1024 * 1024;

/// Batches of a table that are kept before they are made one.
const MAX_BATCHES: usize = 64;

const MIB: u64 = 1024 * 1024;

/// Rows by table.
pub(crate) type Hot = HashMap<Table, Vec<RecordBatch>>;

/// Reads the hot end, and keeps what it read for the next question: all tables but `frames`, whose bytes are the
/// log's own over again and which few questions ask for.
#[derive(Debug, Default)]
pub(crate) struct HotEnd {
    kept: Mutex<HashMap<u16, Shard>>,
}

/// One shard, read up to a position.
#[derive(Debug)]
struct Shard {
    number: u16,
    /// Where reading began: what is kept holds for this watermark and these states alone.
    watermark: Option<u64>,
    sessions: Vec<OpenSession>,
    projector: Projector,
    at: Position,
    /// Bytes of blocks read.
    read: u64,
    /// Those of them that the question in hand has not been charged with.
    uncounted: u64,
    batches: Hot,
}

impl HotEnd {
    /// The hot rows of the tables asked for.
    pub(crate) async fn read(
        &self,
        log: Option<&dyn EventLog>,
        snapshot: &Snapshot,
        scans: &[Scan],
        limit: u64,
    ) -> Result<Hot, Error> {
        let mut shards: BTreeMap<u16, Begin> = BTreeMap::new();
        for session in &snapshot.sessions {
            shards.entry(session.shard).or_default().sessions.push(session.clone());
        }
        // All ends before the first read: nothing that was acknowledged before the question is missing.
        if let Some(log) = log {
            for shard in 0..log.shards() {
                shards.entry(shard).or_default().end = log.bounds(shard).await?.end;
            }
        }
        for (shard, watermark) in &snapshot.watermarks {
            if let Some(begin) = shards.get_mut(shard) {
                begin.watermark = Some(*watermark);
            }
        }
        let tables = tables(scans);
        if tables.contains(&Table::Frames) {
            return with_frames(log, shards, scans, &tables, limit).await;
        }
        let mut hot = Hot::new();
        let mut budget = Budget { limit, left: limit };
        let mut kept = self.kept.lock().await;
        for (number, begin) in shards {
            // Taken out: whatever ends this question half-way leaves nothing half-read behind.
            let shard = kept.remove(&number).filter(|kept| kept.began_as(&begin));
            let mut shard = match shard {
                Some(shard) => Shard { uncounted: shard.read, ..shard },
                None => Shard::begin(number, &begin)?,
            };
            if let Some(log) = log {
                let mut rows = Rows::default();
                while shard.advance(log, begin.end, &mut budget, None, &mut rows).await? {
                    rows.frames.clear();
                    if rows.memory() >= ROW_BYTES {
                        shard.keep(std::mem::take(&mut rows));
                    }
                }
                shard.keep(rows);
            }
            let mut open = Rows::default();
            shard.projector.in_flight(&mut open);
            for table in &tables {
                let batches = hot.entry(*table).or_default();
                batches.extend(shard.batches.get(table).into_iter().flatten().cloned());
                batches.push(open.batch(*table));
            }
            kept.insert(number, shard);
        }
        Ok(hot)
    }
}

/// The tables that are read: those asked for, and what tells their outcomes.
fn tables(scans: &[Scan]) -> BTreeSet<Table> {
    let facts = scans.iter().filter(|scan| scan.outcomes).map(|_| Table::Transactions);
    scans.iter().map(|scan| scan.table).chain(facts).collect()
}

/// How a shard stands in a snapshot, and where its log ends.
#[derive(Debug, Default)]
struct Begin {
    watermark: Option<u64>,
    sessions: Vec<OpenSession>,
    end: Position,
}

/// Every shard from its watermark on, with those frames that a scan wants.
async fn with_frames(
    log: Option<&dyn EventLog>,
    shards: BTreeMap<u16, Begin>,
    scans: &[Scan],
    tables: &BTreeSet<Table>,
    limit: u64,
) -> Result<Hot, Error> {
    // Where one session is asked for, the others need not be projected: they do not depend on each other, but for
    // outcomes of what was prepared.
    let only = scans.first().and_then(|scan| scan.filter.session_id);
    let only = only.filter(|_| scans.iter().all(|scan| scan.filter.session_id == only && !scan.outcomes));
    let mut rows = Rows::default();
    let mut budget = Budget { limit, left: limit };
    for (number, mut begin) in shards {
        begin.sessions.retain(|session| only.is_none_or(|only| only == session.session_id));
        let mut shard = Shard::begin(number, &begin)?;
        if let Some(log) = log {
            while shard.advance(log, begin.end, &mut budget, only, &mut rows).await? {
                keep_wanted(&mut rows, scans);
            }
        }
        shard.projector.in_flight(&mut rows);
    }
    Ok(tables.iter().map(|table| (*table, vec![rows.batch(*table)])).collect())
}

/// Bytes of blocks that a question may read.
struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        let limit = self.limit.div_ceil(MIB);
        self.left = self.left.checked_sub(bytes).ok_or(Error::HotTail { limit })?;
        Ok(())
    }
}

impl Shard {
    fn begin(number: u16, begin: &Begin) -> Result<Shard, Error> {
        Ok(Shard {
            number,
            watermark: begin.watermark,
            sessions: begin.sessions.clone(),
            projector: Projector::restore(number, begin.sessions.iter().map(OpenSession::saved))?,
            at: Position(begin.watermark.unwrap_or(0)),
            read: 0,
            uncounted: 0,
            batches: Hot::new(),
        })
    }

    fn began_as(&self, begin: &Begin) -> bool {
        self.watermark == begin.watermark && self.sessions == begin.sessions
    }

    /// Projects the next part of the log; false when it is at `end`.
    async fn advance(
        &mut self,
        log: &dyn EventLog,
        end: Position,
        budget: &mut Budget,
        only: Option<Uuid>,
        rows: &mut Rows,
    ) -> Result<bool, Error> {
        if let Some(watermark) = self.watermark.filter(|watermark| *watermark > end.0) {
            return Err(Error::LogBehind { shard: self.number, end: end.0, watermark });
        }
        // What was read for an earlier question counts too: it is in memory.
        budget.spend(std::mem::take(&mut self.uncounted))?;
        if self.at >= end {
            return Ok(false);
        }
        let batch = log.read(self.number, self.at, READ_BYTES).await?;
        if batch.next <= self.at {
            return Ok(false);
        }
        // A block that reaches beyond the end may be several, merged; the older ones are wanted.
        for Positioned { block, .. } in &batch.blocks {
            // Blocks without a target are a proxy's own: they can end any session.
            if only.is_some() && !block.target.is_empty() && block.session().ok() != only {
                continue;
            }
            budget.spend(block.payload_length)?;
            self.read += block.payload_length;
            self.projector.apply(block, rows);
        }
        self.at = batch.next;
        tokio::task::yield_now().await;
        Ok(true)
    }

    /// Keeps rows for this question and the next. What becomes of their transactions is told by rows of its own.
    fn keep(&mut self, rows: Rows) {
        self.projector.rows_left();
        for table in [Table::Statements, Table::Touches, Table::Transactions, Table::Sessions, Table::Catalog] {
            let batch = rows.batch(table);
            if batch.num_rows() == 0 {
                continue;
            }
            let batches = self.batches.entry(table).or_default();
            batches.push(batch);
            if batches.len() > MAX_BATCHES
                && let Ok(all) = concat_batches(&table.schema(), batches.iter())
            {
                *batches = vec![all];
            }
        }
    }
}

/// Drops frames that no scan can want, so that a question about a minute does not hold those of an hour.
fn keep_wanted(rows: &mut Rows, scans: &[Scan]) {
    let Some(Scan { filter: scan, .. }) = scans.iter().find(|scan| scan.table == Table::Frames) else { return };
    rows.frames.retain(|session_id, at| {
        scan.session_id.is_none_or(|wanted| wanted == *session_id)
            && scan.at_from.is_none_or(|from| from <= at)
            && scan.at_to.is_none_or(|to| at <= to)
    });
}
