//! The rows of one table that are kept between questions, and which block each of them came of.
//!
//! Invariant: what is left behind a place in the log is the rows of the blocks behind it, whatever was kept together.

use datafusion::common::Result;
use hansard_event_log::Position;
use hansard_schemas::lake::Table;

use super::chunk::Chunk;

/// Rows, or bytes in Arrow, from which on what is kept together is compressed.
const PACKED_ROWS: usize = 4096;
const PACKED_BYTES: usize = 1024 * 1024;

/// A block that rows came of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// It begins at this place, or behind it.
    pub(super) from: Position,
    /// The place behind it.
    pub(super) next: Position,
    /// How many rows there are with its own, from the first of those that are kept together.
    pub(super) rows: usize,
}

/// Rows of a table, in the log's order.
#[derive(Debug)]
pub(super) struct Kept {
    table: Table,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    chunk: Chunk,
    marks: Vec<Mark>,
}

impl Part {
    fn memory(&self) -> usize {
        self.chunk.memory() + self.marks.capacity() * size_of::<Mark>()
    }

    fn is_long(&self) -> bool {
        self.chunk.rows() >= PACKED_ROWS || self.memory() >= PACKED_BYTES
    }
}

impl Kept {
    pub(super) fn new(table: Table) -> Kept {
        Kept { table, parts: Vec::new() }
    }

    pub(super) fn memory(&self) -> usize {
        self.parts.iter().map(Part::memory).sum()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk> {
        self.parts.iter().map(|part| part.chunk.clone())
    }

    /// Adds rows, and which blocks they came of.
    pub(super) fn push(&mut self, chunk: Chunk, mut marks: Vec<Mark>) -> Result<()> {
        let mut chunk = chunk;
        if let Some(last) = self.parts.pop_if(|last| !last.chunk.is_packed()) {
            let (skipped, rows) = (last.chunk.skipped(), last.chunk.rows());
            chunk = last.chunk.and(self.table, &chunk)?;
            marks.iter_mut().for_each(|mark| mark.rows += rows);
            let before = last.marks.into_iter().map(|mark| Mark { rows: mark.rows - skipped, ..mark });
            marks = before.chain(marks).collect();
        }
        let mut part = Part { chunk, marks };
        if part.is_long() {
            part.marks.shrink_to_fit();
            part.chunk.pack()?;
        }
        self.parts.push(part);
        Ok(())
    }

    /// Drops the rows of blocks before a place in the log; false where that lies within a block.
    pub(super) fn drop_before(&mut self, place: Position) -> bool {
        let mut whole = true;
        self.parts.retain_mut(|part| {
            let gone = part.marks.partition_point(|mark| mark.next <= place);
            let Some(first) = part.marks.get(gone) else { return false };
            whole &= first.from >= place;
            if gone > 0 {
                part.chunk.skip(part.marks[gone - 1].rows);
                part.marks.drain(..gone);
            }
            true
        });
        whole
    }
}
