//! Answers as bytes: JSON, CSV, a table for a terminal, Parquet, Arrow IPC.
//!
//! Invariant: times are RFC 3339 in UTC with nanoseconds and bytes are `\x` and hex, in every textual format. What came
//! from a job can neither command a terminal ([`table`]) nor become a formula in a spreadsheet ([`csv`]). What is written
//! row by row ([`Encoder`]) is what is written at once; without its end it is no valid file of its format, but for CSV.

mod binary;
mod csv;
mod json;
mod table;
pub(crate) mod value;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use hansard_schemas::http::QueryFormat;

use crate::{Answer, Error};

pub use json::{objects, values};
pub use table::{Table, table};

/// Bytes of rows that are encoded in one step, about.
const STEP: usize = 1024 * 1024;

/// Writes an answer in a format, as its rows come. What was written is taken away in between.
#[derive(Debug)]
pub struct Encoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Json(json::Writer),
    Csv(csv::Writer),
    Parquet(binary::Parquet),
    Arrow(binary::Arrow),
}

impl Encoder {
    /// Begins an answer with these columns.
    pub fn new(format: QueryFormat, schema: &SchemaRef) -> Result<Encoder, Error> {
        let kind = match format {
            QueryFormat::Json => Kind::Json(json::Writer::new(schema)),
            QueryFormat::Csv => Kind::Csv(csv::Writer::new(schema)),
            QueryFormat::Parquet => Kind::Parquet(binary::Parquet::new(schema)?),
            QueryFormat::Arrow => Kind::Arrow(binary::Arrow::new(schema)?),
        };
        Ok(Encoder { kind })
    }

    /// The next rows.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Json(writer) => writer.rows(batch),
            Kind::Csv(writer) => writer.rows(batch),
            Kind::Parquet(writer) => writer.rows(batch)?,
            Kind::Arrow(writer) => writer.rows(batch)?,
        }
        Ok(())
    }

    /// After the last row.
    pub fn end(&mut self) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Json(writer) => writer.end(),
            Kind::Csv(_) => {}
            Kind::Parquet(writer) => writer.end()?,
            Kind::Arrow(writer) => writer.end()?,
        }
        Ok(())
    }

    /// What was written since it was last asked for.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.kind {
            Kind::Json(writer) => writer.take(),
            Kind::Csv(writer) => writer.take(),
            Kind::Parquet(writer) => writer.take(),
            Kind::Arrow(writer) => writer.take(),
        }
    }
}

/// A batch in parts that are encoded in one step each.
pub fn steps(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + use<'_> {
    let rows = batch.num_rows();
    let each = (STEP * rows).checked_div(batch.get_array_memory_size()).unwrap_or(rows).max(1);
    (0..rows).step_by(each).map(move |from| batch.slice(from, each.min(rows - from)))
}

/// A whole answer in a format.
pub fn encode(answer: &Answer, format: QueryFormat) -> Result<Vec<u8>, Error> {
    let mut encoder = Encoder::new(format, &answer.schema)?;
    for batch in &answer.batches {
        encoder.rows(batch)?;
    }
    encoder.end()?;
    Ok(encoder.take())
}

/// The rows as one JSON array of objects, one row a line, members in the order of the columns.
pub fn json(answer: &Answer) -> Vec<u8> {
    let mut writer = json::Writer::new(&answer.schema);
    answer.batches.iter().for_each(|batch| writer.rows(batch));
    writer.end();
    writer.take()
}

/// A header and the rows, after RFC 4180: see [`Encoder`].
pub fn csv(answer: &Answer) -> Vec<u8> {
    let mut writer = csv::Writer::new(&answer.schema);
    answer.batches.iter().for_each(|batch| writer.rows(batch));
    writer.take()
}

/// One Parquet file, zstd, with the answer's own column types.
pub fn parquet(answer: &Answer) -> Result<Vec<u8>, Error> {
    encode(answer, QueryFormat::Parquet)
}

/// One Arrow IPC stream, with the answer's own column types.
pub fn arrow_stream(answer: &Answer) -> Result<Vec<u8>, Error> {
    encode(answer, QueryFormat::Arrow)
}
