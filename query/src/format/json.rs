//! JSON: one array of objects, a member for every column, nulls included.

use serde_json::{Map, Value};

use super::value::value;
use crate::Answer;

/// The rows as one JSON array of objects, one row a line.
pub fn json(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::from(b"[");
    let mut first = true;
    for row in rows(answer) {
        out.extend_from_slice(if first { b"\n" } else { b",\n" });
        first = false;
        // Maps with text keys always serialize.
        out.extend(serde_json::to_vec(&row).unwrap_or_default());
    }
    out.extend_from_slice(if first { b"]\n" } else { b"\n]\n" });
    out
}

/// The rows as JSON objects.
pub fn objects(answer: &Answer) -> Vec<Map<String, Value>> {
    rows(answer).collect()
}

fn rows(answer: &Answer) -> impl Iterator<Item = Map<String, Value>> + '_ {
    answer.batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| {
            let schema = batch.schema();
            let cells = schema.fields().iter().zip(batch.columns());
            cells.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row))).collect()
        })
    })
}
