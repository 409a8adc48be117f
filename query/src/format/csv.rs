//! CSV after RFC 4180, safe to open in a spreadsheet.

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::value::{printed, value};

/// A header and the rows. NULL is an empty cell, the empty text is `""`.
///
/// Whatever is no number is in quotes, since in many countries spreadsheets part cells at `;`. A text that begins with
/// `=`, `+`, `-`, `@`, one of their wide forms, a tab or a line's end gets an apostrophe in front, since spreadsheets
/// would take it for a formula, and texts in the record are what a job chose. Columns of numbers are exempt.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
}

impl Writer {
    pub(super) fn new(schema: &SchemaRef) -> Writer {
        let header: Vec<String> = schema.fields().iter().map(|field| cell(field.name(), false)).collect();
        Writer { out: header.join(",") + "\r\n" }
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch) {
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    self.out.push(',');
                }
                if let Some(text) = printed(&value(column.as_ref(), row)) {
                    self.out.push_str(&cell(&text, is_number(column.data_type())));
                }
            }
            self.out.push_str("\r\n");
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out).into_bytes()
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn cell(text: &str, number: bool) -> String {
    if number {
        return text.to_owned();
    }
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let guard = if text.starts_with(begins) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_numbers_are_not() {
        assert_eq!(cell("=HYPERLINK(\"x\")", false), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("-- drop", false), "\"'-- drop\"");
        assert_eq!(cell("@a", false), "\"'@a\"");
        assert_eq!(cell("\t=1", false), "\"'\t=1\"");
        assert_eq!(cell("\r=1", false), "\"'\r=1\"");
        assert_eq!(cell("\n=1", false), "\"'\n=1\"");
        assert_eq!(cell("＝1", false), "\"'＝1\"");
        assert_eq!(cell("-5", true), "-5");
    }

    #[test]
    fn every_text_is_quoted() {
        assert_eq!(cell("a;=1+1", false), "\"a;=1+1\"");
        assert_eq!(cell("a,b", false), "\"a,b\"");
        assert_eq!(cell("plain", false), "\"plain\"");
        assert_eq!(cell("", false), "\"\"");
    }
}
