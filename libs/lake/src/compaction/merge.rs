//! The merge itself: one cursor per input, the smallest row first.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::new_null_array;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};

use hansard_schemas::lake::Table;

use super::{Error, FileEntry, Lake, Window, layout};
use crate::writer::FileWriter;

/// Rows that leave at a time.
const OUTPUT: usize = 1024;

/// An input of at most so many rows and uncompressed bytes is read at once: held, it takes less memory than the
/// decompressors of its columns would while it is being read, which take about 100 KiB each.
const SMALL_ROWS: i64 = 2048;
const SMALL_BYTES: i64 = 256 * 1024;

/// Writes the rows of `inputs`, in order, to one file; None, and no file, once `stop` is true. Blocks its thread.
pub(super) fn merge(
    lake: &Lake,
    window: Window,
    inputs: &[FileEntry],
    level: u8,
    stop: &AtomicBool,
) -> Result<Option<FileEntry>, Error> {
    let order = Order::of(window.table)?;
    let mut cursors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let file = lake.durable()?.read(&input.path)?;
        cursors.extend(Cursor::open(file, input, &order)?);
    }
    let id = layout::merged_file(&window, inputs.iter().map(|input| input.path.as_str()));
    let mut writer = FileWriter::create(lake, window, id, level)?;
    let mut rows = 0;
    while !cursors.is_empty() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = next_batch(&mut cursors, &order)?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    let stated: u64 = inputs.iter().map(|input| input.rows).sum();
    if rows != stated {
        let path = inputs.first().map_or_else(String::new, |input| input.path.clone());
        return Err(format(
            &path,
            format!("with the files beside it, it holds {rows} rows; the catalog says {stated}"),
        ));
    }
    writer.finish().map(Some)
}

/// The next rows of all inputs together; inputs that are exhausted leave.
fn next_batch(cursors: &mut Vec<Cursor>, order: &Order) -> Result<RecordBatch, Error> {
    // Batches that rows were taken from; a cursor that moves on to its next one leaves the former here.
    let mut batches: Vec<RecordBatch> = cursors.iter().map(|cursor| cursor.batch.clone()).collect();
    let mut place: Vec<usize> = (0..cursors.len()).collect();
    let mut taken: Vec<(usize, usize)> = Vec::with_capacity(OUTPUT);
    while taken.len() < OUTPUT && !cursors.is_empty() {
        let mut smallest = 0;
        let mut second = None;
        for other in 1..cursors.len() {
            if cursors[other].key() < cursors[smallest].key() {
                second = Some(smallest);
                smallest = other;
            } else if second.is_none_or(|second: usize| cursors[other].key() < cursors[second].key()) {
                second = Some(other);
            }
        }
        // Rows of one session lie together: take all that come before the next input's row. An earlier input goes
        // first among equals.
        let mut run = 0;
        {
            let cursor = &cursors[smallest];
            while taken.len() < OUTPUT && cursor.position + run < cursor.keys.num_rows() {
                let key = cursor.keys.row(cursor.position + run);
                if run > 0 && second.is_some_and(|second| key > cursors[second].key()) {
                    break;
                }
                taken.push((place[smallest], cursor.position + run));
                run += 1;
            }
        }
        let cursor = &mut cursors[smallest];
        cursor.position += run;
        if cursor.position == cursor.keys.num_rows() {
            if cursor.advance(order)? {
                place[smallest] = batches.len();
                batches.push(cursor.batch.clone());
            } else {
                cursors.remove(smallest);
                place.remove(smallest);
            }
        }
    }
    let sources: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&sources, &taken).map_err(|error| format(order.table.name(), error.to_string()))
}

/// How rows of a table compare.
struct Order {
    table: Table,
    columns: Vec<usize>,
    converter: RowConverter,
}

impl Order {
    fn of(table: Table) -> Result<Order, Error> {
        let schema = table.schema();
        let columns: Vec<usize> = table
            .sort_columns()
            .iter()
            .map(|name| schema.index_of(name).expect("tables are sorted by columns that they have"))
            .collect();
        let fields = columns.iter().map(|column| SortField::new(schema.field(*column).data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(|error| format(table.name(), error.to_string()))?;
        Ok(Order { table, columns, converter })
    }

    fn keys(&self, batch: &RecordBatch) -> Result<Rows, Error> {
        let columns: Vec<_> = self.columns.iter().map(|column| batch.column(*column).clone()).collect();
        self.converter.convert_columns(&columns).map_err(|error| format(self.table.name(), error.to_string()))
    }

    /// With the columns that were added since the file was written, all of them null.
    fn widened(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema = self.table.schema();
        if batch.num_columns() == schema.fields().len() {
            return Ok(batch);
        }
        let column = |field: &Arc<Field>| {
            let found = batch.column_by_name(field.name()).cloned();
            found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
        };
        let columns = schema.fields().iter().map(column).collect();
        RecordBatch::try_new(schema, columns)
    }

    /// Rows that an input is read by: frames may be 64 KiB each.
    fn batch_size(&self) -> usize {
        if self.table == Table::Frames { 128 } else { 1024 }
    }
}

/// What of an input is still to come.
enum Rest {
    Reader(ParquetRecordBatchReader),
    Held(std::vec::IntoIter<Result<RecordBatch, ArrowError>>),
}

impl Iterator for Rest {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rest::Reader(reader) => reader.next(),
            Rest::Held(batches) => batches.next(),
        }
    }
}

/// A place in an input.
struct Cursor {
    path: String,
    rest: Rest,
    batch: RecordBatch,
    keys: Rows,
    position: usize,
}

impl Cursor {
    /// None for a file without rows.
    fn open(mut file: File, entry: &FileEntry, order: &Order) -> Result<Option<Cursor>, Error> {
        let failed = |source| Error::file(&entry.path, "read", source);
        if sha256(&mut file).map_err(failed)? != entry.sha256 {
            let reason = "its SHA-256 is not the one in the catalog; the file was changed or damaged".to_owned();
            return Err(format(&entry.path, reason));
        }
        file.rewind().map_err(failed)?;
        let unreadable = |error: ParquetError| format(&entry.path, error.to_string());
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
        let groups = builder.metadata().row_groups();
        let (rows, bytes): (i64, i64) = (
            groups.iter().map(|group| group.num_rows()).sum(),
            groups.iter().map(|group| group.total_byte_size()).sum(),
        );
        let reader = builder.with_batch_size(order.batch_size()).build().map_err(unreadable)?;
        let rest = if rows <= SMALL_ROWS && bytes <= SMALL_BYTES {
            Rest::Held(reader.collect::<Vec<_>>().into_iter())
        } else {
            Rest::Reader(reader)
        };
        let batch = RecordBatch::new_empty(order.table.schema());
        let keys = order.keys(&batch)?;
        let mut cursor = Cursor { path: entry.path.clone(), rest, batch, keys, position: 0 };
        Ok(cursor.advance(order)?.then_some(cursor))
    }

    /// Goes to the next batch; false at the end.
    fn advance(&mut self, order: &Order) -> Result<bool, Error> {
        for batch in self.rest.by_ref() {
            let batch = batch.map_err(|error| format(&self.path, error.to_string()))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = order.widened(batch).map_err(|error| format(&self.path, error.to_string()))?;
            let keys = order.keys(&batch)?;
            (self.batch, self.keys, self.position) = (batch, keys, 0);
            return Ok(true);
        }
        Ok(false)
    }

    fn key(&self) -> arrow::row::Row<'_> {
        self.keys.row(self.position)
    }
}

fn sha256(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn format(path: &str, reason: String) -> Error {
    Error::Format { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use hansard_record::Rows as Record;

    use super::*;

    #[test]
    fn a_file_from_before_a_column_has_nulls_there() {
        let mut rows = Record::default();
        rows.frames.push(crate::writer::tests::frame(uuid::Uuid::from_u128(1), 1, 7, 3));
        let today = rows.batch(Table::Frames);
        let older = today.project(&(0..10).collect::<Vec<_>>()).unwrap();
        let order = Order::of(Table::Frames).unwrap();
        assert_eq!(order.widened(older).unwrap(), today);
        assert_eq!(order.widened(today.clone()).unwrap(), today);
        // A touch of then has its outcome, and no number of its transaction.
        rows.touches.push(crate::writer::tests::touch(uuid::Uuid::from_u128(1), 1, "public.t", "update", 7));
        let older = rows.batch(Table::Touches).project(&(0..12).collect::<Vec<_>>()).unwrap();
        let widened = Order::of(Table::Touches).unwrap().widened(older).unwrap();
        assert!(widened.schema() == Table::Touches.schema() && widened["transaction_id"].is_null(0));
    }
}
