//! JSON: one array of objects, a member for every column, nulls included.

use serde_json::{Map, Value};

use super::value::value;
use crate::Answer;

/// The rows as one JSON array of objects, one row a line, members in the order of the columns.
pub fn json(answer: &Answer) -> Vec<u8> {
    let names: Vec<Vec<u8>> =
        answer.schema.fields().iter().map(|field| text(&Value::from(field.name().as_str()))).collect();
    let mut out = Vec::from(b"[");
    let mut first = true;
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if first { b"\n{" } else { b",\n{" });
            first = false;
            for (place, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                out.push(b':');
                out.extend(text(&value(column.as_ref(), row)));
            }
            out.push(b'}');
        }
    }
    out.extend_from_slice(if first { b"]\n" } else { b"\n]\n" });
    out
}

/// The rows as JSON objects.
pub fn objects(answer: &Answer) -> Vec<Map<String, Value>> {
    let mut rows = Vec::with_capacity(answer.rows());
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let schema = batch.schema();
            let cells = schema.fields().iter().zip(batch.columns());
            rows.push(cells.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row))).collect());
        }
    }
    rows
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value always serializes")
}
