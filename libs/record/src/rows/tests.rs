//! Rows and what they are counted with.

use bytes::Bytes;
use hansard_schemas::events::{Direction, Part};

use super::*;

#[test]
fn every_table_without_rows_has_its_schema() {
    for table in Table::ALL {
        let batch = Rows::default().batch(table);
        assert_eq!((batch.schema(), batch.num_rows()), (table.schema(), 0));
    }
}

#[test]
fn frames_come_out_sorted_with_readable_tags() {
    let frame = |seq, tag, part| FrameRow {
        session_id: Uuid::from_u128(7),
        seq,
        at: 5,
        direction: Direction::Frontend,
        tag,
        frame: Bytes::from_static(b"x"),
        masked: false,
        withheld: None,
        part,
        target: "t".into(),
        omitted: None,
    };
    let mut rows = Rows::default();
    for first in [frame(3, b'Q', Part::Whole), frame(1, 0, Part::Whole), frame(2, 0xe9, Part::First)] {
        rows.frames.push(Run { first, count: 1 });
    }
    let batch = rows.batch(Table::Frames);
    let text = |name: &str| -> Vec<String> {
        let column = batch.column_by_name(name).unwrap();
        let column = column.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        column.iter().map(|value| value.unwrap().to_owned()).collect()
    };
    assert_eq!(text("tag"), ["", "é", "Q"]);
    assert_eq!(text("part"), ["whole", "first", "whole"]);
    assert_eq!(text("session_id")[0], "00000000-0000-0000-0000-000000000007");
}

#[test]
fn every_text_of_a_row_is_counted() {
    let text: Arc<str> = "x".repeat(1000).into();
    let empty = StatementRow {
        session_id: Uuid::nil(),
        statement_no: 1,
        target: "t".into(),
        job: "j".into(),
        subject: "s".into(),
        issuer: "i".into(),
        operation: "select",
        sql: "".into(),
        parameters: None,
        fingerprint: None,
        started_at: 1,
        finished_at: None,
        rows: None,
        sqlstate: None,
        error: None,
        verdict: "allow",
        transaction_id: 1,
        transaction_outcome: None,
        committed_at: None,
        outcome_reason: None,
        opaque: None,
        first_seq: 1,
        last_seq: 1,
        truncated: false,
        omitted: None,
        status: Status::Done,
        executed: None,
        severity: None,
        details: None,
        notices: None,
    };
    let mut full = empty.clone();
    full.sql = text.clone();
    full.parameters = Some(text.clone());
    full.error = Some(text.clone());
    full.opaque = Some(text.clone());
    full.outcome_reason = Some(text.clone());
    full.executed = Some(text.clone());
    full.notices = Some(text.clone());
    full.details = Some(Arc::new(Details { hint: Some(text.to_string()), ..Details::default() }));
    let memory = |row| Rows { statements: vec![row], ..Rows::default() }.memory();
    assert_eq!(memory(full) - memory(empty), 8000 + 6 * TEXT + size_of::<Details>());
}
