//! A table for a terminal.

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::value::{printed, value};
use crate::Answer;

/// Widest that cells are padded to, in characters.
const WIDEST: usize = 80;

/// Rows, and bytes of them, that are looked at before a column's width is known.
const LOOKED_AT: usize = 10_000;
const LOOKED_AT_BYTES: usize = 16 * 1024 * 1024;

/// Rows and columns with a line that counts them, as rows come.
///
/// Control characters, those of Unicode's text direction included, are shown as escapes: no text of a job can move the
/// cursor, colour, hide or reorder anything. Columns are as wide as the widest of their first cells; what is wider than
/// 80 characters, or comes later, stands out of its column, and is whole.
#[derive(Debug)]
pub struct Table {
    widths: Vec<usize>,
    right: Vec<bool>,
    /// Not written yet: the headings and the first rows.
    first: Option<Vec<Vec<String>>>,
    bytes: usize,
    rows: usize,
    out: String,
}

impl Table {
    /// Begins a table with these columns.
    pub fn new(schema: &SchemaRef) -> Table {
        let header: Vec<String> = schema.fields().iter().map(|field| shown(field.name())).collect();
        Table {
            widths: vec![0; header.len()],
            right: schema.fields().iter().map(|field| is_number(field.data_type())).collect(),
            first: Some(vec![header]),
            bytes: 0,
            rows: 0,
            out: String::new(),
        }
    }

    /// The next rows.
    pub fn rows(&mut self, batch: &RecordBatch) {
        for row in 0..batch.num_rows() {
            let cell = |column| printed(&value(column, row)).map_or_else(String::new, |text| shown(&text));
            let cells: Vec<String> = batch.columns().iter().map(|column| cell(column.as_ref())).collect();
            self.rows += 1;
            match &mut self.first {
                Some(first) if first.len() <= LOOKED_AT && self.bytes < LOOKED_AT_BYTES => {
                    self.bytes += cells.iter().map(String::len).sum::<usize>();
                    first.push(cells);
                }
                _ => {
                    self.write_first();
                    self.write(&cells, true);
                }
            }
        }
    }

    /// The headings and the first rows, as wide as they are.
    fn write_first(&mut self) {
        let Some(first) = self.first.take() else { return };
        for row in &first {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count().min(WIDEST));
            }
        }
        let mut rows = first.into_iter();
        if let Some(header) = rows.next() {
            self.write(&header, false);
        }
        let line: Vec<String> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
        self.write(&line, false);
        for row in rows {
            self.write(&row, true);
        }
    }

    fn write(&mut self, cells: &[String], is_row: bool) {
        let cells =
            cells.iter().zip(&self.widths).zip(&self.right).map(|((cell, width), right)| match is_row && *right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        let line = cells.collect::<Vec<_>>().join(" | ");
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// After the last row. `truncated`: there were more than are shown.
    pub fn end(&mut self, truncated: bool) {
        self.write_first();
        let count = self.rows;
        self.out.push_str(&format!("({count} row{})", if count == 1 { "" } else { "s" }));
        if truncated {
            self.out.push_str(" cut at the row limit: there are more");
        }
        self.out.push('\n');
    }

    /// What was written since it was last asked for.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }
}

/// A whole answer as a [`Table`].
pub fn table(answer: &Answer) -> String {
    let mut table = Table::new(&answer.schema);
    answer.batches.iter().for_each(|batch| table.rows(batch));
    table.end(answer.truncated);
    table.take()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Characters that take no space but change how others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_job_s_text_cannot_command_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\u{7}\u{9b}1m"), "a\\u{1b}[31mb\\u{7}\\u{9b}1m");
        assert_eq!(shown("x\u{202e}y\nz"), "x\\u{202e}y\\nz");
    }

    #[test]
    fn what_is_wide_or_late_stands_out_of_its_column_and_is_whole() {
        let wide = "w".repeat(300);
        let texts: Vec<&str> =
            std::iter::once(&*wide).chain(std::iter::repeat_n("a", LOOKED_AT)).chain(["late"]).collect();
        let numbers: Vec<i64> = (0..).take(texts.len()).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int64Array::from(numbers))), ("t", Arc::new(StringArray::from(texts)))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut table = Table::new(&batch.schema());
        table.rows(&batch.slice(0, 2));
        assert_eq!(table.take(), "", "widths are not known yet");
        table.rows(&batch.slice(2, batch.num_rows() - 2));
        table.end(false);
        let text = table.take();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), batch.num_rows() + 3);
        assert_eq!((lines[0], lines[1].len()), ("n    | t", 4 + 3 + WIDEST));
        assert_eq!(lines[2], format!("   0 | {wide}"));
        assert_eq!(&lines[lines.len() - 2..], ["10001 | late", "(10002 rows)"]);
    }
}
