//! Rows of the hot end as they are held: a batch of Arrow, or its bytes as an IPC stream, compressed.
//!
//! Rows of one kind repeat each other: compressed they take a tenth of the memory, and reading them again takes less
//! than making them did.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampNanosecondType;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::outcomes;

/// Fast: most of what repeats is found.
const LEVEL: i32 = 1;

/// Rows of one table.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    content: Content,
    /// Rows that are not shown, at the beginning.
    skipped: usize,
    /// Rows, those that are not shown too.
    length: usize,
    unsettled: Option<Unsettled>,
}

#[derive(Debug, Clone)]
enum Content {
    Plain(RecordBatch),
    Packed { bytes: Arc<[u8]>, unpacked: usize },
}

/// Of the rows whose outcome is told elsewhere, and perhaps of some beside them.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    /// The earliest of the rows, UTC nanoseconds.
    pub(crate) earliest: i64,
    pub(crate) sessions: Arc<HashSet<Uuid>>,
}

impl Chunk {
    pub(crate) fn new(table: Table, batch: RecordBatch) -> Result<Chunk> {
        let unsettled = match outcomes::unsettled(table, &batch)? {
            0 => None,
            _ => {
                let times = batch.column_by_name(table.time_column());
                let times = times.and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
                let earliest = times.and_then(arrow::compute::min).unwrap_or(i64::MIN);
                Some(Unsettled { earliest, sessions: Arc::new(outcomes::sessions(&batch)?) })
            }
        };
        Ok(Chunk { length: batch.num_rows(), content: Content::Plain(batch), skipped: 0, unsettled })
    }

    /// How many rows are not shown any more.
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many rows it shows.
    pub(crate) fn rows(&self) -> usize {
        self.length - self.skipped
    }

    /// Of rows whose outcome is told elsewhere.
    pub(crate) fn unsettled(&self) -> Option<&Unsettled> {
        self.unsettled.as_ref()
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let content = match &self.content {
            Content::Plain(batch) => batch.get_array_memory_size(),
            Content::Packed { bytes, .. } => bytes.len(),
        };
        let sessions = self.unsettled.as_ref().map_or(0, |unsettled| unsettled.sessions.len());
        size_of::<Chunk>() + content + sessions * 2 * size_of::<Uuid>()
    }

    /// Its first `rows` rows are not shown any more.
    pub(super) fn skip(&mut self, rows: usize) {
        self.skipped = rows.min(self.length);
    }

    /// The rows that it shows.
    pub(crate) fn batch(&self) -> Result<RecordBatch> {
        let batch = match &self.content {
            Content::Plain(batch) => batch.clone(),
            Content::Packed { bytes, unpacked } => unpack(bytes, *unpacked)?,
        };
        Ok(batch.slice(self.skipped, self.rows()))
    }

    /// Its rows, and those of `next` behind them.
    pub(super) fn and(&self, table: Table, next: &Chunk) -> Result<Chunk> {
        Chunk::new(table, concat_batches(&table.schema(), [&self.batch()?, &next.batch()?])?)
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.content, Content::Packed { .. })
    }

    /// The same rows, in less memory.
    pub(super) fn pack(&mut self) -> Result<()> {
        if let Content::Plain(batch) = &self.content {
            let mut stream = Vec::new();
            let mut writer = StreamWriter::try_new(&mut stream, &batch.schema())?;
            writer.write(batch)?;
            writer.finish()?;
            drop(writer);
            let bytes = zstd::bulk::compress(&stream, LEVEL)?.into();
            self.content = Content::Packed { bytes, unpacked: stream.len() };
        }
        Ok(())
    }
}

fn unpack(bytes: &[u8], unpacked: usize) -> Result<RecordBatch> {
    let mut stream = Buffer::from_vec(zstd::bulk::decompress(bytes, unpacked)?);
    let batch = StreamDecoder::new().decode(&mut stream)?;
    Ok(batch.ok_or_else(|| ArrowError::IpcError("rows that were packed are gone".to_owned()))?)
}
