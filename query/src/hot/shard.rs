//! One shard of the hot end, read up to a place, and how it goes on when the recorder has.

use std::collections::{HashMap, VecDeque};

use hansard_event_log::{EventLog, Position};
use hansard_lake::catalog::OpenSession;
use hansard_record::{Lengths, Projector, Rows, Since, Standing};
use hansard_schemas::events::{Block, BlockExt};
use hansard_schemas::lake::Table;
use uuid::Uuid;

use super::kept::{Kept, Mark};
use super::{Begin, Budget, Chunk, READ_BYTES, ROW_BYTES, broken, chunk_of};
use crate::Error;

/// The tables whose rows are kept.
const TABLES: [Table; 6] =
    [Table::Statements, Table::Touches, Table::Transactions, Table::Sessions, Table::Catalog, Table::Leases];

/// Bytes that a session is counted with whose standing has changed.
const SESSION: usize = 64;

/// One shard, read up to a place.
#[derive(Debug)]
pub(super) struct Shard {
    number: u16,
    /// Where its rows begin: they hold for this watermark and these states alone.
    watermark: Option<u64>,
    sessions: Vec<OpenSession>,
    projector: Projector,
    at: Position,
    /// Reads of the log: where they ended, and how many bytes of blocks they brought.
    reads: VecDeque<(Position, u64)>,
    kept: Vec<Kept>,
    standings: Standings,
}

/// Where sessions have changed how they stand since the watermark: the places behind those blocks.
#[derive(Debug, Default)]
struct Standings {
    began: HashMap<Uuid, Position>,
    ended: HashMap<Uuid, Position>,
    /// Blocks that came though their session had ended.
    dropped: HashMap<Uuid, Position>,
}

impl Standings {
    fn before(&mut self, block: &Block, next: Position, projector: &Projector) {
        let Some(session_id) = block.session().ok().filter(|_| !block.target.is_empty()) else { return };
        match projector.standing(&session_id) {
            Some(Standing::Open) => {}
            Some(Standing::Ended) => _ = self.dropped.insert(session_id, next),
            None => _ = self.began.insert(session_id, next),
        }
    }

    fn since(&self, session_id: &Uuid, place: Position) -> Since {
        let since = |places: &HashMap<Uuid, Position>| places.get(session_id).is_some_and(|at| *at > place);
        Since { began: since(&self.began), ended: since(&self.ended), dropped: since(&self.dropped) }
    }

    fn forget_before(&mut self, place: Position) {
        for places in [&mut self.began, &mut self.ended, &mut self.dropped] {
            places.retain(|_, at| *at > place);
        }
    }

    fn memory(&self) -> usize {
        (self.began.len() + self.ended.len() + self.dropped.len()) * SESSION
    }
}

/// Rows that are being made, and the blocks that they came of.
#[derive(Default)]
struct Making {
    rows: Rows,
    memory: usize,
    /// The place before each block, the place behind it, and how many rows there were then.
    blocks: Vec<(Position, Position, Lengths)>,
}

impl Shard {
    pub(super) fn begin(number: u16, begin: &Begin) -> Result<Shard, Error> {
        Ok(Shard {
            number,
            watermark: begin.watermark,
            sessions: begin.sessions.clone(),
            projector: begin.projector(number)?,
            at: begin.place(),
            reads: VecDeque::new(),
            kept: TABLES.into_iter().map(Kept::new).collect(),
            standings: Standings::default(),
        })
    }

    /// A later snapshot was asked about.
    pub(super) fn is_past(&self, begin: &Begin) -> bool {
        self.watermark > begin.watermark
    }

    /// The same, as it is where the recorder has come to meanwhile; `None` where that cannot be told from what is kept.
    ///
    /// The recorder has projected the same blocks from the same states, so it has come by the same states and rows: those
    /// of the blocks before its watermark are in the lake now, and those behind it are kept.
    pub(super) fn follow(mut self, begin: &Begin) -> Option<Shard> {
        if begin.end < self.at {
            // The log lost its end: what was read there may never have been.
            return None;
        }
        if self.watermark == begin.watermark {
            return (self.sessions == begin.sessions).then_some(self);
        }
        // Where nothing is left, beginning anew costs no more.
        let place = begin.place();
        if self.is_past(begin) || place >= self.at {
            return None;
        }
        let saved = begin.sessions.iter().map(OpenSession::saved);
        if !self.projector.follow(saved, |session_id| self.standings.since(session_id, place)) {
            return None;
        }
        if !self.kept.iter_mut().all(|kept| kept.drop_before(place)) {
            return None;
        }
        self.standings.forget_before(place);
        while self.reads.pop_front_if(|(end, _)| *end <= place).is_some() {}
        (self.watermark, self.sessions) = (begin.watermark, begin.sessions.clone());
        Some(self)
    }

    /// Bytes of blocks that were read since the watermark, and perhaps some before it.
    pub(super) fn read_bytes(&self) -> u64 {
        self.reads.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes of memory that the rows take.
    pub(super) fn memory(&self) -> usize {
        self.kept.iter().map(Kept::memory).sum::<usize>() + self.standings.memory()
    }

    pub(super) fn chunks(&self, table: Table) -> impl Iterator<Item = Chunk> {
        let place = TABLES.iter().position(|kept| *kept == table);
        place.into_iter().flat_map(move |place| self.kept[place].chunks())
    }

    /// Rows of what has not ended.
    pub(super) fn in_flight(&mut self) -> Rows {
        let mut rows = Rows::default();
        self.projector.in_flight(&mut rows);
        rows
    }

    /// Projects the next part of the log; false when it is at `end`.
    pub(super) async fn advance(
        &mut self,
        log: &dyn EventLog,
        end: Position,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        if let Some(watermark) = self.watermark.filter(|watermark| *watermark > end.0) {
            return Err(Error::LogBehind { shard: self.number, end: end.0, watermark });
        }
        if self.at >= end {
            return Ok(false);
        }
        // The recorder's watermark lies between two blocks as they were appended, though perhaps within merged ones.
        let batch = log.read_unmerged(self.number, self.at, READ_BYTES).await?;
        if batch.next <= self.at {
            return Ok(false);
        }
        let (mut making, mut read) = (Making::default(), 0);
        let mut from = self.at;
        for positioned in &batch.blocks {
            budget.spend(positioned.block.payload_length)?;
            read += positioned.block.payload_length;
            self.apply(&positioned.block, from, positioned.next, &mut making);
            from = positioned.next;
            budget.fits(making.memory)?;
            if making.memory >= ROW_BYTES {
                self.keep(std::mem::take(&mut making), budget)?;
            }
        }
        self.keep(making, budget)?;
        self.at = batch.next;
        self.reads.push_back((batch.next, read));
        tokio::task::yield_now().await;
        Ok(true)
    }

    fn apply(&mut self, block: &Block, from: Position, next: Position, making: &mut Making) {
        let Making { rows, memory, blocks } = making;
        let before = rows.lengths();
        self.standings.before(block, next, &self.projector);
        self.projector.apply(block, rows);
        let ended = self.projector.take_ended().into_iter().map(|session_id| (session_id, next));
        self.standings.ended.extend(ended);
        rows.frames.clear();
        let after = rows.lengths();
        if before != after {
            *memory += rows.memory_from(before);
            blocks.push((from, next, after));
        }
    }

    /// Keeps rows for this question and the next. What becomes of their transactions is told by rows of its own.
    fn keep(&mut self, making: Making, budget: &mut Budget) -> Result<(), Error> {
        self.projector.rows_left();
        for (kept, table) in self.kept.iter_mut().zip(TABLES) {
            let Some(chunk) = chunk_of(table, &making.rows)? else { continue };
            let mut marks: Vec<Mark> = Vec::new();
            for (from, next, lengths) in &making.blocks {
                let rows = lengths.of(table);
                if marks.last().map_or(0, |mark| mark.rows) < rows {
                    marks.push(Mark { from: *from, next: *next, rows });
                }
            }
            let before = kept.memory();
            kept.push(chunk, marks).map_err(broken)?;
            // What was kept before may take less memory with it.
            budget.release(before);
            budget.hold(kept.memory())?;
        }
        Ok(())
    }
}
