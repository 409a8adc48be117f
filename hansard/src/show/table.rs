//! A table that fits a terminal.
//!
//! Invariant: no line is wider than the terminal; what is left out or made shorter is marked.

use hansard_query::{Answer, format};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::{narrowest, short};
use crate::output::safe;

/// Between two columns.
const BETWEEN: &str = " | ";

/// Which columns are shown where there is no room for all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chosen<'a> {
    /// All, or none: whoever asked named them.
    All,
    /// Those that matter least first: they are left out one by one.
    LeastFirst(&'a [&'a str]),
}

struct Column {
    name: String,
    cells: Vec<String>,
    right: bool,
    width: usize,
    /// The least that it is shown in.
    least: usize,
}

/// The rows as a table of that width; `None` where they do not fit.
pub(super) fn fitted(answer: &Answer, width: usize, chosen: Chosen<'_>) -> Option<String> {
    let rows: Vec<Vec<Value>> = answer.batches.iter().flat_map(format::values).collect();
    let fields = answer.schema.fields();
    let (mut columns, mut left_out) = (Vec::new(), Vec::new());
    for (place, field) in fields.iter().enumerate() {
        let cells: Vec<String> = rows.iter().map(|row| short(&row[place], field.data_type())).collect();
        let name = safe(field.name(), false);
        if !cells.is_empty() && cells.iter().all(String::is_empty) {
            left_out.push(name);
            continue;
        }
        let widest = cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
        columns.push(Column {
            width: widest.max(name.width()),
            least: narrowest(field.data_type(), field.name(), widest).max(name.width().min(4)),
            right: field.data_type().is_numeric(),
            name,
            cells,
        });
    }
    let empty = (!left_out.is_empty()).then(|| format!("empty: {}", left_out.join(", ")));
    let mut hidden = Vec::new();
    if let Chosen::LeastFirst(order) = chosen {
        for name in order {
            if least(&columns) <= width {
                break;
            }
            if let Some(place) = columns.iter().position(|column| column.name == *name) {
                hidden.push(columns.remove(place).name);
            }
        }
    }
    if columns.is_empty() && !rows.is_empty() || least(&columns) > width {
        return None;
    }
    let limit = limit(&columns, width);
    columns.iter_mut().for_each(|column| column.width = column.width.min(limit.max(column.least)));
    let hidden = (!hidden.is_empty()).then(|| format!("no room for: {}", hidden.join(", ")));
    let count = rows.len();
    let count = format!("{count} row{}", if count == 1 { "" } else { "s" });
    let remarks: Vec<String> = [Some(count), empty, hidden].into_iter().flatten().collect();
    let more = if answer.truncated { " cut at the row limit: there are more" } else { "" };
    Some(written(&columns, rows.len()) + &folded(&format!("({}){more}", remarks.join("; ")), width))
}

fn least(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.least).sum::<usize>() + BETWEEN.len() * columns.len().saturating_sub(1)
}

/// How wide texts may be, so that all fit.
fn limit(columns: &[Column], width: usize) -> usize {
    let between = BETWEEN.len() * columns.len().saturating_sub(1);
    let fits = |limit: usize| {
        let wide = |column: &Column| column.width.min(limit.max(column.least));
        columns.iter().map(wide).sum::<usize>() + between <= width
    };
    (0..=width).rev().find(|limit| fits(*limit)).unwrap_or(0)
}

fn written(columns: &[Column], rows: usize) -> String {
    let mut out = String::new();
    let mut line = |cells: Vec<String>| {
        out.push_str(cells.join(BETWEEN).trim_end());
        out.push('\n');
    };
    line(columns.iter().map(|column| padded(&column.name, column.width, false)).collect());
    line(columns.iter().map(|column| "-".repeat(column.width)).collect());
    for row in 0..rows {
        line(columns.iter().map(|column| padded(&column.cells[row], column.width, column.right)).collect());
    }
    out
}

/// In lines of that width, broken between words; a word that is longer is cut.
fn folded(text: &str, width: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let word = padded(word, word.width().min(width), false);
        if used > 0 && used + 1 + word.width() > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        used += word.width();
        out.push_str(&word);
    }
    out + "\n"
}

/// In so many columns, with a mark where that is not all.
fn padded(text: &str, width: usize, right: bool) -> String {
    let mut shown = text.to_owned();
    if text.width() > width {
        shown.clear();
        let mut used = 1;
        for character in text.chars() {
            used += character.width().unwrap_or(0);
            if used > width {
                break;
            }
            shown.push(character);
        }
        shown.push('…');
    }
    let pad = " ".repeat(width.saturating_sub(shown.width()));
    if right { pad + &shown } else { shown + &pad }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::record_batch::RecordBatch;

    use super::*;

    fn answer(columns: Vec<(&str, ArrayRef)>) -> Answer {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        Answer { schema: batch.schema(), batches: vec![batch], truncated: false, elapsed: std::time::Duration::ZERO }
    }

    fn texts(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    fn statements() -> Answer {
        let long = "SELECT größe FROM 映画 WHERE ".to_owned() + &"x".repeat(300);
        answer(vec![
            ("statement_no", Arc::new(Int64Array::from(vec![1, 2]))),
            ("sql", texts(&[Some(&long), Some("a\u{1b}[2J\u{202e}\nb")])),
            ("error", texts(&[None, None])),
            ("job", texts(&[Some("nightly"), Some("")])),
        ])
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_texts_are_marked() {
        for width in [40, 60, 80, 200] {
            let table = fitted(&statements(), width, Chosen::All).unwrap();
            assert!(table.lines().all(|line| line.width() <= width), "{width}:\n{table}");
            assert!(table.contains('…') && table.ends_with("(2 rows; empty: error)\n"), "{table}");
            assert!(!table.contains(['\u{1b}', '\u{202e}']), "{table:?}");
        }
        assert_eq!(fitted(&statements(), 20, Chosen::All), None);
        let id = "01a21bb6-3f31-70f5-9b44-1c4bbaafac1b";
        let sessions = answer(vec![("session_id", texts(&[Some(id)])), ("job", texts(&[Some("nightly-rerank")]))]);
        assert_eq!(
            fitted(&sessions, 34, Chosen::All).unwrap().lines().nth(2),
            Some("01a21bb6-3f31-70f5… | nightly-rer…")
        );
    }

    #[test]
    fn columns_that_matter_least_are_left_out_and_named() {
        let table = fitted(&statements(), 20, Chosen::LeastFirst(&["job", "sql"])).unwrap();
        assert!(table.lines().next().unwrap().starts_with("statem… | sql"), "{table}");
        assert!(table.ends_with("(2 rows; empty:\nerror; no room for:\njob)\n"), "{table}");
    }

    #[test]
    fn without_rows_every_heading_is_there() {
        let none = answer(vec![("a", texts(&[])), ("b", texts(&[]))]);
        assert_eq!(fitted(&none, 80, Chosen::All).unwrap(), "a | b\n- | -\n(0 rows)\n");
    }
}
