//! What came back.

use std::time::Duration;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// The rows of an answer, bounded by the engine's limits.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows, in order.
    pub batches: Vec<RecordBatch>,
    /// There were more rows than the row limit; the first ones are here.
    pub truncated: bool,
    /// From the question to its last row.
    pub elapsed: Duration,
}

impl Answer {
    /// Rows here.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Keeps the first `rows` rows.
    pub(crate) fn cut(&mut self, mut rows: usize) {
        for batch in &mut self.batches {
            *batch = batch.slice(0, batch.num_rows().min(rows));
            rows -= batch.num_rows();
        }
    }

    /// Two answers: the rows whose column holds a text, and the others.
    pub fn parted(&self, column: &str, text: &str) -> Result<(Answer, Answer), crate::Error> {
        let failed = |error: ArrowError| crate::Error::Internal(format!("the answer cannot be parted: {error}"));
        let part = |of: &dyn Fn(bool) -> bool| {
            let batch = |batch: &RecordBatch| {
                let column = batch.column(batch.schema().index_of(column)?);
                let texts = column
                    .as_string_opt::<i32>()
                    .ok_or_else(|| ArrowError::CastError(column.data_type().to_string()))?;
                let rows: BooleanArray = texts.iter().map(|value| Some(of(value == Some(text)))).collect();
                filter_record_batch(batch, &rows)
            };
            let batches = self.batches.iter().map(batch).collect::<Result<_, _>>().map_err(failed)?;
            Ok::<_, crate::Error>(Answer { batches, ..self.clone() })
        };
        Ok((part(&|is| is)?, part(&|is| !is)?))
    }

    /// The rows as JSON objects, as [`crate::format::json`] writes them.
    pub fn objects(&self) -> Vec<serde_json::Map<String, serde_json::Value>> {
        crate::format::objects(self)
    }

    /// The rows as values of a type whose fields have the columns' names.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<Vec<T>, crate::Error> {
        self.objects()
            .into_iter()
            .map(|row| serde_json::from_value(serde_json::Value::Object(row)))
            .collect::<Result<_, _>>()
            .map_err(|error| crate::Error::Internal(format!("the answer is not of the expected shape: {error}")))
    }
}
