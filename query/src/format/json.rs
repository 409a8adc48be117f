//! JSON: one array of objects, a member for every column, nulls included.

use std::collections::HashMap;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value};

use super::value::value;
use crate::Answer;

/// The rows as one JSON array of objects, one row a line, members in the order of the columns.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    names: Vec<Vec<u8>>,
    any: bool,
}

impl Writer {
    pub(super) fn new(schema: &SchemaRef) -> Writer {
        let names = names(schema).into_iter().map(|name| text(&Value::from(name))).collect();
        Writer { out: Vec::from(b"["), names, any: false }
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch) {
        for row in 0..batch.num_rows() {
            self.out.extend_from_slice(if self.any { b",\n{" } else { b"\n{" });
            self.any = true;
            for (place, (name, column)) in self.names.iter().zip(batch.columns()).enumerate() {
                if place > 0 {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(name);
                self.out.push(b':');
                self.out.extend(text(&value(column.as_ref(), row)));
            }
            self.out.push(b'}');
        }
    }

    pub(super) fn end(&mut self) {
        self.out.extend_from_slice(if self.any { b"\n]\n" } else { b"]\n" });
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

/// The members' names: of columns with the same heading, the later ones have their number behind it, so that none hides another.
fn names(schema: &Schema) -> Vec<String> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let name = |heading: &'_ str, times: usize| match times {
        1 => heading.to_owned(),
        times => format!("{heading} ({times})"),
    };
    let fields = schema.fields().iter();
    fields
        .map(|field| {
            let times = seen.entry(field.name().as_str()).or_default();
            *times += 1;
            name(field.name(), *times)
        })
        .collect()
}

/// The values of each row, in the order of the columns, as JSON has them.
pub fn values(batch: &RecordBatch) -> impl Iterator<Item = Vec<Value>> + use<'_> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| value(column.as_ref(), row)).collect())
}

/// The rows as JSON objects.
pub fn objects(answer: &Answer) -> Vec<Map<String, Value>> {
    let names = names(&answer.schema);
    let mut rows = Vec::with_capacity(answer.rows());
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let cells = names.iter().zip(batch.columns());
            rows.push(cells.map(|(name, column)| (name.clone(), value(column.as_ref(), row))).collect());
        }
    }
    rows
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value always serializes")
}
