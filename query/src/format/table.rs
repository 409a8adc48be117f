//! A table for a terminal.

use arrow::datatypes::DataType;

use super::value::{printed, value};
use crate::Answer;

/// Widest column, in characters.
const WIDEST: usize = 80;

/// The rows as a table with a line that counts them.
///
/// Control characters, those of Unicode's text direction included, are shown as escapes: no text of a job can move the cursor, colour, hide
/// or reorder anything. Longer cells are cut and end in `…`.
pub fn table(answer: &Answer) -> String {
    let fields = answer.schema.fields();
    let header: Vec<String> = fields.iter().map(|field| shown(field.name())).collect();
    let right: Vec<bool> = fields.iter().map(|field| is_number(field.data_type())).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let cell = |column| printed(&value(column, row)).map_or_else(String::new, |text| shown(&text));
            rows.push(batch.columns().iter().map(|column| cell(column.as_ref())).collect());
        }
    }
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: &[String], right: &dyn Fn(usize) -> bool| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(index, (cell, width))| {
            if right(index) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join(" | ").trim_end());
        out.push('\n');
    };
    line(&header, &|_| false);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), &|_| false);
    for row in &rows {
        line(row, &|index| right.get(index).copied().unwrap_or(false));
    }
    let count = rows.len();
    out.push_str(&format!("({count} row{})", if count == 1 { "" } else { "s" }));
    if answer.truncated {
        out.push_str(" cut at the row limit: there are more");
    }
    out.push('\n');
    out
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.chars() {
        let piece = match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            c if c.is_control() || is_invisible(c) => format!("\\u{{{:x}}}", u32::from(c)),
            c => c.to_string(),
        };
        length += piece.chars().count();
        if length > WIDEST {
            out.push('…');
            return out;
        }
        out.push_str(&piece);
    }
    out
}

/// Characters that take no space but change how others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_s_text_cannot_command_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\u{7}\u{9b}1m"), "a\\u{1b}[31mb\\u{7}\\u{9b}1m");
        assert_eq!(shown("x\u{202e}y\nz"), "x\\u{202e}y\\nz");
        assert_eq!(shown(&"w".repeat(200)).chars().count(), WIDEST + 1);
    }
}
