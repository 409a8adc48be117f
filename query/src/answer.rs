//! What came back.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
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
