//! Rows as plain structs, and their way into Arrow.

use arrow::record_batch::RecordBatch;
use hansard_schemas::lake::Table;

/// A wire frame, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRow {}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {}

/// A statement's touch of one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchRow {}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {}

/// Rows on their way into the lake, in no particular order.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Of table `frames`.
    pub frames: Vec<FrameRow>,
    /// Of table `statements`.
    pub statements: Vec<StatementRow>,
    /// Of table `touches`.
    pub touches: Vec<TouchRow>,
    /// Of table `sessions`.
    pub sessions: Vec<SessionRow>,
}

impl Rows {
    /// About how much memory the rows hold, in bytes.
    pub fn memory(&self) -> usize {
        0
    }

    /// One table's rows in Arrow, sorted by [`Table::sort_columns`].
    pub fn batch(&self, table: Table) -> RecordBatch {
        RecordBatch::new_empty(table.schema())
    }
}
