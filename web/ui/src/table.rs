//! Rows as text with tabs, as spreadsheets take it from the clipboard.
//!
//! Invariant: a cell is a cell: tabs, line breaks and quotes inside it are quoted, and nothing becomes a formula.

use hansard_schemas::http::{Cell, ResultSet};

/// The rows of a set, with a line of names above.
pub fn tabbed(set: &ResultSet) -> String {
    let mut out = String::new();
    line(&mut out, set.columns.iter().map(|column| cell(&column.name)));
    for row in &set.rows {
        line(
            &mut out,
            row.iter().map(|value| match value {
                Cell::Null => String::new(),
                Cell::Text(text) => cell(text),
                Cell::Bytes { hex } => format!("\\x{hex}"),
            }),
        );
    }
    out
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push('\t');
        }
        out.push_str(&cell);
    }
    out.push('\n');
}

fn cell(text: &str) -> String {
    // A number with its sign is none of the formulas that a spreadsheet would run.
    let formula = text.starts_with(['=', '+', '-', '@']) && !is_number(text);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.is_empty() || text.contains(['\t', '\n', '\r', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A number as databases write it. (Whoever reads a float carries all the code for reading any.)
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let part = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E' | '+' | '-');
    text.len() - digits.len() <= 1 && digits.starts_with(|letter: char| letter.is_ascii_digit()) && digits.chars().all(part)
        // A sum of numbers is a formula.
        && digits.char_indices().all(|(at, letter)| !matches!(letter, '+' | '-') || digits[..at].ends_with(['e', 'E']))
}

#[cfg(test)]
mod tests {
    use hansard_schemas::http::{ResultColumn, SessionDetail};

    use super::*;

    #[test]
    fn a_cell_is_null_a_text_or_bytes() {
        let cells =
            [Cell::Null, Cell::Text(String::new()), Cell::Text("é\n".into()), Cell::Bytes { hex: "00ff".into() }];
        let json = serde_json::to_string(&cells).unwrap();
        assert_eq!(json, r#"[null,"","é\n",{"hex":"00ff"}]"#);
        assert_eq!(serde_json::from_str::<Vec<Cell>>(&json).unwrap(), cells);
        for wrong in ["1", "{}", "true", "[]", r#"{"hex":1}"#] {
            assert!(serde_json::from_str::<Cell>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_nested_is_read_as_it_is_written() {
        let json = r#"{"client_addr":"","application_name":"","database":"d","frames":3,"bytes_frontend":0,"bytes_backend":0,
            "chain_head":"","notices":[{"at":"x","severity":"FATAL","sqlstate":"57P01","message":"over","hint":"h","position":4,
            "constraint":"k"},{"more":2}],"session_id":"a","target":"t","job":"j","subject":"","issuer":"","opened_at":"",
            "outcome":"live","statements":1,"errors":2,"denied":0,"later":[1]}"#;
        let read: SessionDetail = serde_json::from_str(json).unwrap();
        assert_eq!((read.summary.errors, read.frames, read.database.as_str()), (2, 3, "d"));
        let details = &read.notices[0].details;
        assert_eq!((details.position, details.constraint.as_deref()), (Some(4), Some("k")));
        assert_eq!(read.notices[1].more, Some(2));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<SessionDetail>(&written).unwrap(), read);
    }

    #[test]
    fn numbers_are_told_from_formulas() {
        for number in ["-1", "+2.5", "-1e-5", "0", "3E+7"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["-", "--1", "-1+1", "-1-2", "+a", "=1", "-.5x", ""] {
            assert!(!is_number(other), "{other}");
        }
    }

    #[test]
    fn cells_stay_cells() {
        let column = |name: &str| ResultColumn { name: name.into(), ..ResultColumn::default() };
        let text = |text: &str| Cell::Text(text.into());
        let set = ResultSet {
            columns: vec![column("id"), column("a\tb")],
            rows: vec![
                vec![text("-1.5"), text("=1+1")],
                vec![Cell::Null, text("")],
                vec![Cell::Bytes { hex: "00".into() }, text("x\n\"y\"")],
            ],
            total_rows: 3,
            first_row: 1,
        };
        assert_eq!(tabbed(&set), "id\t\"a\tb\"\n-1.5\t'=1+1\n\t\"\"\n\\x00\t\"x\n\"\"y\"\"\"\n");
    }
}
