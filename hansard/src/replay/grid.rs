//! What a statement gave back, below it.

use hansard_schemas::http::{Cell, ResultGrid};
use unicode_width::UnicodeWidthStr;

use super::describe::INDENT;
use crate::output;

/// Most characters of a value, and most columns, that are shown.
const LONGEST: usize = 40;
const MOST_COLUMNS: usize = 12;

/// Lines that each begin with a line break. `omitted`: what is not recorded of it is said already.
pub(super) fn lines(grid: &ResultGrid, omitted: bool) -> String {
    let mut out = String::new();
    let mut line = |text: &str| out.push_str(format!("\n{INDENT}  {text}").trim_end());
    for set in &grid.sets {
        let shown = set.columns.len().min(MOST_COLUMNS);
        let mut rows: Vec<Vec<String>> =
            vec![set.columns.iter().take(shown).map(|column| short(&column.name)).collect()];
        rows.extend(set.rows.iter().map(|row| row.iter().take(shown).map(cell).collect()));
        let width =
            |place: usize| rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..shown).map(width).collect();
        for row in &rows {
            let padded =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
            line(&padded.collect::<Vec<_>>().join(" | "));
        }
        if set.columns.len() > shown {
            line(&format!("(and {} more columns)", set.columns.len() - shown));
        }
        if set.total_rows > set.rows.len() as u64 {
            line(&format!("(the first {} of {} rows)", set.rows.len(), set.total_rows));
        }
    }
    for notice in grid.notices.iter().filter(|notice| !omitted && !notice.starts_with("Only the first")) {
        line(&format!("({})", output::safe(notice.trim_end_matches('.'), false)));
    }
    out
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Text(text) => short(text),
        Cell::Bytes { hex } => short(&format!("\\x{hex}")),
    }
}

fn short(text: &str) -> String {
    let mut letters = text.chars();
    let shown: String = letters.by_ref().take(LONGEST).collect();
    output::safe(&shown, false) + if letters.next().is_some() { "…" } else { "" }
}

#[cfg(test)]
mod tests {
    use hansard_schemas::http::{ResultColumn, ResultSet};

    use super::*;

    #[test]
    fn rows_stand_below_their_columns() {
        let column = |name: &str| ResultColumn { name: name.to_owned(), ..ResultColumn::default() };
        let set = ResultSet {
            columns: vec![column("id"), column("title")],
            rows: vec![
                vec![Cell::Text("1".into()), Cell::Text("a\u{1b}[2J".into())],
                vec![Cell::Null, Cell::Bytes { hex: "00".into() }],
            ],
            first_row: 1,
            total_rows: 7,
        };
        let grid = ResultGrid { sets: vec![set], notices: vec!["Long values are cut.".to_owned()] };
        let expected = "
       id   | title
       1    | a\\u{1b}[2J
       NULL | \\x00
       (the first 2 of 7 rows)
       (Long values are cut)";
        assert_eq!(lines(&grid, false), expected);
        assert!(!lines(&grid, true).contains("cut"));
    }
}
