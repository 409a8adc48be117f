//! A line for each value: whole texts, for what fits no table.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use hansard_query::{Answer, format};
use unicode_width::UnicodeWidthStr;

use super::cells::text;
use crate::output::safe;

/// Longest value that is shown on a terminal, in characters.
const LONGEST: usize = 10_000;

/// The rows one below the other, as they come; what is empty is left out.
pub(crate) struct Vertical {
    names: Vec<String>,
    widest: usize,
    longest: usize,
    rows: usize,
    out: String,
}

impl Vertical {
    /// `longest` characters of a value are shown.
    fn new(schema: &SchemaRef, longest: usize) -> Vertical {
        let names: Vec<String> = schema.fields().iter().map(|field| safe(field.name(), false)).collect();
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        Vertical { names, widest, longest, rows: 0, out: String::new() }
    }

    /// With each value as long as it is.
    pub(super) fn whole(schema: &SchemaRef) -> Vertical {
        Vertical::new(schema, usize::MAX)
    }

    /// The next rows.
    pub(super) fn rows(&mut self, batch: &RecordBatch) {
        for row in format::values(batch) {
            self.rows += 1;
            self.out.push_str(&format!("-- row {} {}\n", self.rows, "-".repeat(self.widest.saturating_sub(8))));
            for (value, name) in row.iter().zip(&self.names) {
                let value = text(value);
                if value.is_empty() {
                    continue;
                }
                let pad = " ".repeat(self.widest - name.width());
                let begin = format!("\n{} | ", " ".repeat(self.widest));
                let value = cut(&value, self.longest).replace('\n', &begin);
                self.out.push_str(&format!("{name}{pad} | {value}\n"));
            }
        }
    }

    /// After the last row.
    pub(super) fn end(&mut self, truncated: bool) {
        let (rows, more) = (self.rows, if truncated { " cut at the row limit: there are more" } else { "" });
        self.out.push_str(&format!("({rows} row{}){more}\n", if rows == 1 { "" } else { "s" }));
    }

    /// What was written since it was last asked for.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }
}

/// A whole answer, for a terminal.
pub(super) fn vertical(answer: &Answer) -> String {
    let mut vertical = Vertical::new(&answer.schema, LONGEST);
    answer.batches.iter().for_each(|batch| vertical.rows(batch));
    vertical.end(answer.truncated);
    vertical.take()
}

fn cut(value: &str, longest: usize) -> String {
    match value.char_indices().nth(longest) {
        None => safe(value, true),
        Some((end, _)) => {
            let more = value[end..].chars().count();
            format!("{}… ({more} more characters; --format json has them)", safe(&value[..end], true))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn texts_are_whole_and_obeyed_by_nobody() {
        let column = |texts: Vec<Option<&str>>| Arc::new(StringArray::from(texts)) as ArrayRef;
        let columns = [("sql", column(vec![Some("a\n\u{1b}[2Jb")])), ("nothing", column(vec![None]))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let schema = batch.schema();
        let answer = Answer { schema, batches: vec![batch], truncated: true, elapsed: std::time::Duration::ZERO };
        let expected = "-- row 1 \nsql     | a\n        | \\u{1b}[2Jb\n(1 row) cut at the row limit: there are more\n";
        assert_eq!(vertical(&answer), expected);
        let mut whole = Vertical::whole(&answer.schema);
        whole.rows(&answer.batches[0]);
        whole.end(false);
        assert_eq!(whole.take(), expected.replace(" cut at the row limit: there are more", ""));
        assert!(cut(&"x".repeat(LONGEST + 7), LONGEST).ends_with("x… (7 more characters; --format json has them)"));
    }
}
