//! A line for each value: whole texts, for what fits no table.

use hansard_query::Answer;
use unicode_width::UnicodeWidthStr;

use super::cells::text;
use crate::output::safe;

/// Longest value that is shown, in characters.
const LONGEST: usize = 10_000;

/// The rows one below the other; what is empty is left out.
pub(super) fn vertical(answer: &Answer) -> String {
    let names: Vec<String> = answer.schema.fields().iter().map(|field| safe(field.name(), false)).collect();
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let mut out = String::new();
    let mut rows = 0;
    for row in answer.objects() {
        rows += 1;
        out.push_str(&format!("-- row {rows} {}\n", "-".repeat(widest.saturating_sub(8))));
        for (field, name) in answer.schema.fields().iter().zip(&names) {
            let value = row.get(field.name()).map(text).unwrap_or_default();
            if value.is_empty() {
                continue;
            }
            let pad = " ".repeat(widest - name.width());
            let begin = format!("\n{} | ", " ".repeat(widest));
            out.push_str(&format!("{name}{pad} | {}\n", cut(&value).replace('\n', &begin)));
        }
    }
    let more = if answer.truncated { " cut at the row limit: there are more" } else { "" };
    out.push_str(&format!("({rows} row{}){more}\n", if rows == 1 { "" } else { "s" }));
    out
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
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
    use arrow::record_batch::RecordBatch;

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
        assert!(cut(&"x".repeat(LONGEST + 7)).ends_with("x… (7 more characters; --format json has them)"));
    }
}
