//! The hot end of the record: what the log holds above the lake's watermarks, as rows.
//!
//! Invariants: its rows are those that projecting the log from the states of the very snapshot on gives whose files are
//! the cold part, with the recorder's own code, so a row is either in a file or here; that holds as well for what was
//! kept from question to question while the recorder went on. Bounded, in bytes of the log and in memory: beyond that it
//! is an error, never a part.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use datafusion::common::DataFusionError;
use hansard_event_log::{EventLog, Position, Positioned};
use hansard_lake::catalog::{OpenSession, Snapshot};
use hansard_record::{Projector, Rows};
use hansard_schemas::events::BlockExt;
use hansard_schemas::lake::Table;
use tokio::sync::Mutex;

use crate::Error;
use crate::pruning::Scan;

mod chunk;
mod kept;
mod scan;
mod shard;
#[cfg(test)]
mod tests;

pub(crate) use chunk::Chunk;
pub(crate) use scan::HotExec;
use shard::Shard;

/// Bytes of blocks that one read of the log asks for.
const READ_BYTES: usize = 1024 * 1024;

/// Bytes of rows that are made before they are kept in Arrow.
const ROW_BYTES: usize = 2 * 1024 * 1024;

const MIB: u64 = 1024 * 1024;

/// Rows by table.
pub(crate) type Hot = HashMap<Table, Vec<Chunk>>;

/// Reads the hot end, and keeps what it read for the next question: all tables but `frames`, whose bytes are the
/// log's own over again and which few questions ask for.
#[derive(Debug, Default)]
pub(crate) struct HotEnd {
    kept: Mutex<HashMap<u16, Shard>>,
}

impl HotEnd {
    /// The hot rows of the tables asked for; `None` where a later snapshot than this one was asked about, which is not
    /// undone for it, unless that is `wanted`.
    pub(crate) async fn read(
        &self,
        log: Option<&dyn EventLog>,
        snapshot: &Snapshot,
        scans: &[Scan],
        limit: u64,
        wanted: bool,
    ) -> Result<Option<Hot>, Error> {
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
            return with_frames(log, shards, scans, &tables, limit).await.map(Some);
        }
        let mut hot = Hot::new();
        let mut budget = Budget::new(limit);
        let mut kept = self.kept.lock().await;
        let passed = |number: &u16, begin: &Begin| kept.get(number).is_some_and(|shard| shard.is_past(begin));
        if !wanted && shards.iter().any(|(number, begin)| passed(number, begin)) {
            return Ok(None);
        }
        for (number, begin) in shards {
            // Taken out: whatever ends this question half-way leaves nothing half-read behind.
            let mut shard = match kept.remove(&number).and_then(|shard| shard.follow(&begin)) {
                Some(shard) => shard,
                None => Shard::begin(number, &begin)?,
            };
            budget.charge(&shard)?;
            if let Some(log) = log {
                while shard.advance(log, begin.end, &mut budget).await? {}
            }
            let open = shard.in_flight();
            budget.hold(open.memory())?;
            for table in &tables {
                let chunks = hot.entry(*table).or_default();
                chunks.extend(shard.chunks(*table));
                chunks.extend(chunk_of(*table, &open)?);
            }
            kept.insert(number, shard);
        }
        Ok(Some(hot))
    }
}

fn broken(error: DataFusionError) -> Error {
    Error::Internal(error.to_string())
}

/// A table's rows; `None` where there are none.
fn chunk_of(table: Table, rows: &Rows) -> Result<Option<Chunk>, Error> {
    let batch = rows.batch_as_pushed(table);
    (batch.num_rows() > 0).then(|| Chunk::new(table, batch).map_err(broken)).transpose()
}

/// The tables that are read: those asked for, and what tells their outcomes or when transactions ended.
fn tables(scans: &[Scan]) -> BTreeSet<Table> {
    let facts = scans.iter().filter(|scan| scan.outcomes || scan.filter.ended.is_some()).map(|_| Table::Transactions);
    scans.iter().map(|scan| scan.table).chain(facts).collect()
}

/// How a shard stands in a snapshot, and where its log ends.
#[derive(Debug, Default)]
struct Begin {
    watermark: Option<u64>,
    sessions: Vec<OpenSession>,
    end: Position,
}

impl Begin {
    /// Where its rows begin.
    fn place(&self) -> Position {
        Position(self.watermark.unwrap_or(0))
    }

    fn projector(&self, shard: u16) -> Result<Projector, Error> {
        Ok(Projector::restore(shard, self.sessions.iter().map(OpenSession::saved))?)
    }

    /// The log may have lost its end.
    fn verify(&self, shard: u16) -> Result<(), Error> {
        match self.watermark {
            Some(watermark) if watermark > self.end.0 => Err(Error::LogBehind { shard, end: self.end.0, watermark }),
            _ => Ok(()),
        }
    }
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
    let mut budget = Budget::new(limit);
    for (number, mut begin) in shards {
        begin.sessions.retain(|session| only.is_none_or(|only| only == session.session_id));
        let mut projector = begin.projector(number)?;
        let mut at = begin.place();
        while let Some(log) = log.filter(|_| at < begin.end) {
            let batch = log.read(number, at, READ_BYTES).await?;
            if batch.next <= at {
                break;
            }
            // A block that reaches beyond the end may be several, merged; the older ones are wanted.
            for Positioned { block, .. } in &batch.blocks {
                // Blocks without a target are a proxy's own: they can end any session.
                if only.is_some() && !block.target.is_empty() && block.session().ok() != only {
                    continue;
                }
                budget.spend(block.payload_length)?;
                projector.apply(block, &mut rows);
            }
            at = batch.next;
            keep_wanted(&mut rows, scans);
            budget.fits(rows.memory())?;
            tokio::task::yield_now().await;
        }
        if log.is_some() {
            begin.verify(number)?;
        }
        projector.in_flight(&mut rows);
    }
    tables.iter().map(|table| Ok((*table, chunk_of(*table, &rows)?.into_iter().collect()))).collect()
}

/// What a question may read, and what it may hold, in bytes.
struct Budget {
    limit: u64,
    /// Bytes of blocks that are left.
    blocks: u64,
    /// Bytes of memory that are left.
    memory: u64,
}

impl Budget {
    fn new(limit: u64) -> Budget {
        Budget { limit, blocks: limit, memory: limit }
    }

    fn exceeded(&self) -> Error {
        Error::HotTail { limit: self.limit.div_ceil(MIB) }
    }

    /// What was read for an earlier question counts too: it is in memory.
    fn charge(&mut self, shard: &Shard) -> Result<(), Error> {
        self.spend(shard.read_bytes())?;
        self.hold(shard.memory())
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        self.blocks = self.blocks.checked_sub(bytes).ok_or_else(|| self.exceeded())?;
        Ok(())
    }

    /// So much is held to the question's end.
    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        self.memory = self.memory.checked_sub(bytes as u64).ok_or_else(|| self.exceeded())?;
        Ok(())
    }

    /// So much is not held any more.
    fn release(&mut self, bytes: usize) {
        self.memory = self.memory.saturating_add(bytes as u64).min(self.limit);
    }

    /// So much is held for now.
    fn fits(&self, bytes: usize) -> Result<(), Error> {
        if bytes as u64 > self.memory { Err(self.exceeded()) } else { Ok(()) }
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
