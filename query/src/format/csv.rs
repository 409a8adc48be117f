//! CSV after RFC 4180, safe to open in a spreadsheet.

use arrow::datatypes::DataType;

use super::value::{printed, value};
use crate::Answer;

/// A header and the rows. NULL is an empty cell, the empty text is `""`.
///
/// A text that begins with `=`, `+`, `-`, `@`, tab or carriage return gets an apostrophe in front, since spreadsheets
/// would take it for a formula, and texts in the record are what a job chose. Columns of numbers are exempt.
pub fn csv(answer: &Answer) -> Vec<u8> {
    let mut out = String::new();
    let header: Vec<String> = answer.schema.fields().iter().map(|field| cell(field.name(), false)).collect();
    out.push_str(&header.join(","));
    out.push_str("\r\n");
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if let Some(text) = printed(&value(column.as_ref(), row)) {
                    out.push_str(&cell(&text, is_number(column.data_type())));
                }
            }
            out.push_str("\r\n");
        }
    }
    out.into_bytes()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn cell(text: &str, number: bool) -> String {
    let formula = !number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if formula { format!("'{text}") } else { text.to_owned() };
    if guarded.is_empty() || guarded.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_numbers_are_not() {
        assert_eq!(cell("=HYPERLINK(\"x\")", false), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("-- drop", false), "'-- drop");
        assert_eq!(cell("@a", false), "'@a");
        assert_eq!(cell("\t=1", false), "'\t=1");
        assert_eq!(cell("\r=1", false), "\"'\r=1\"");
        assert_eq!(cell("-5", true), "-5");
        assert_eq!(cell("a,b", false), "\"a,b\"");
        assert_eq!(cell("", false), "\"\"");
    }
}
