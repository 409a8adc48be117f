//! Answers that are shown to no terminal: whole, as they come, in the format that was asked for.
//!
//! Invariant: what is held of an answer is bounded, however long it is: some rows of a table, a row group of a Parquet file.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hansard_query::format::{self, Encoder};
use hansard_schemas::http::QueryFormat;

use super::vertical::Vertical;
use crate::ask::Record;
use crate::cli::Format;
use crate::failure::{Failure, reasons};

/// Writes rows in a format.
pub(crate) enum Writer {
    Table(format::Table),
    Vertical(Vertical),
    Encoded(Box<Encoder>),
}

impl Writer {
    pub(crate) fn new(as_format: Format, schema: &SchemaRef) -> Result<Writer, Failure> {
        let encoded = match as_format {
            Format::Table => return Ok(Writer::Table(format::Table::new(schema))),
            Format::Vertical => return Ok(Writer::Vertical(Vertical::whole(schema))),
            Format::Json => QueryFormat::Json,
            Format::Csv => QueryFormat::Csv,
            Format::Parquet => QueryFormat::Parquet,
        };
        Ok(Writer::Encoded(Box::new(Encoder::new(encoded, schema).map_err(unwritten)?)))
    }

    /// What is to be written with the next rows.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
        match self {
            Writer::Table(table) => table.rows(batch),
            Writer::Vertical(vertical) => vertical.rows(batch),
            Writer::Encoded(encoder) => encoder.rows(batch).map_err(unwritten)?,
        }
        Ok(self.take())
    }

    /// What is to be written behind the last row.
    pub(crate) fn end(&mut self) -> Result<Vec<u8>, Failure> {
        match self {
            Writer::Table(table) => table.end(false),
            Writer::Vertical(vertical) => vertical.end(false),
            Writer::Encoded(encoder) => encoder.end().map_err(unwritten)?,
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Writer::Table(table) => table.take().into_bytes(),
            Writer::Vertical(vertical) => vertical.take().into_bytes(),
            Writer::Encoded(encoder) => encoder.take(),
        }
    }
}

fn unwritten(error: hansard_query::Error) -> Failure {
    Failure::internal(reasons(&error))
}

/// A failure in the middle of an answer.
pub(crate) fn broken_off(failure: Failure, written: usize) -> Failure {
    failure.after(&format!("the answer broke off after {written} rows"))
}

/// Asks, and gives all of the answer to `take`; returns how many rows that were.
pub(crate) async fn write(
    record: &Record,
    sql: &str,
    as_format: Format,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut rows = record.whole(sql).await?;
    let mut writer = Writer::new(as_format, &rows.schema)?;
    let mut written = 0;
    while let Some(batch) = rows.next().await? {
        // An answer that has no place is one that broke off.
        take(&writer.rows(&batch)?).map_err(|failure| broken_off(failure, written))?;
        written += batch.num_rows();
    }
    take(&writer.end()?).map_err(|failure| broken_off(failure, written))?;
    Ok(rows.taken())
}
