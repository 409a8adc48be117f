//! Results as text, for those who replay a session.
//!
//! A [`ResultReader`] is fed with a session's frames in recorded order and gives the rows of the statements that were
//! asked for. Fed from the session's first frame on it numbers statements as [`crate::tracker`] does, and knows columns
//! that were described long before; fed from a later frame on, numbers begin there and columns may have no names.
//!
//! Invariant: bounded by [`Limits`] for each statement; what is left out is marked, never silently missing.

use std::collections::BTreeMap;

use crate::frame::{Direction, HEADER, Part};
use crate::tracker::message::Reader;
use crate::tracker::{Analyser, Column, Event, Frame, Tracker};
use crate::value::text_of_binary;

/// How much of each statement's result is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Bytes of all values together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rows: 200, value_bytes: 4096, bytes: 1024 * 1024 }
    }
}

/// The result of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementResult {
    /// Columns as described; `column1`, ... where the frames do not tell.
    pub columns: Vec<Column>,
    /// The first rows; a value is `None` where it is NULL.
    pub rows: Vec<Vec<Option<Cell>>>,
    /// Rows that the server sent.
    pub sent: u64,
    /// Rows are missing here.
    pub truncated: bool,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text form.
    pub text: String,
    /// `text` is the hexadecimal form of bytes whose type is not known.
    pub hex: bool,
    /// There is more of it than `text` holds.
    pub truncated: bool,
}

/// Collects results from frames.
#[derive(Debug)]
pub struct ResultReader {
    tracker: Tracker,
    limits: Limits,
    /// Statement numbers that are wanted; all when `None`.
    wanted: Option<std::ops::RangeInclusive<u64>>,
    results: BTreeMap<u64, StatementResult>,
    bytes: BTreeMap<u64, usize>,
    /// The beginning of a long row.
    partial: Option<Vec<u8>>,
    cut: bool,
    told: Vec<Event>,
}

impl ResultReader {
    /// Collects the results of these statements; of all when `None`.
    pub fn new(limits: Limits, wanted: Option<std::ops::RangeInclusive<u64>>) -> ResultReader {
        ResultReader {
            tracker: Tracker::with_columns(),
            limits,
            wanted,
            results: BTreeMap::new(),
            bytes: BTreeMap::new(),
            partial: None,
            cut: false,
            told: Vec::new(),
        }
    }

    /// As [`ResultReader::new`], for frames that do not begin with the session's first.
    pub fn from_the_middle(limits: Limits) -> ResultReader {
        let mut reader = ResultReader::new(limits, None);
        reader.tracker.join();
        reader
    }

    /// Takes the next frame; what the tracker tells of it.
    pub fn feed(&mut self, frame: &Frame<'_>, analyser: &mut dyn Analyser) -> &[Event] {
        if frame.direction == Direction::Backend && frame.tag == b'D' {
            self.row(frame);
        }
        if frame.direction == Direction::Backend && matches!(frame.tag, b'C' | b's') {
            // Without rows, too, a result has columns.
            let described = self.tracker.current().filter(|current| !current.columns.is_empty());
            if let Some(current) = described.filter(|current| self.wants(current.statement)) {
                let result = self.results.entry(current.statement).or_default();
                if result.columns.is_empty() {
                    result.columns = current.columns;
                }
            }
        }
        self.told.clear();
        self.tracker.feed(frame, analyser, &mut self.told);
        if frame.direction == Direction::Backend
            && frame.tag == b'T'
            && frame.part.is_none()
            && let Some(current) = self.tracker.current().filter(|current| !current.columns.is_empty())
            && self.wants(current.statement)
        {
            self.results.entry(current.statement).or_default().columns = current.columns;
        }
        &self.told
    }

    /// The results so far, by statement number.
    pub fn results(&self) -> &BTreeMap<u64, StatementResult> {
        &self.results
    }

    /// The results, by statement number.
    pub fn into_results(self) -> BTreeMap<u64, StatementResult> {
        self.results
    }

    fn wants(&self, statement: u64) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&statement))
    }

    fn row(&mut self, frame: &Frame<'_>) {
        let room = self.limits.bytes;
        match frame.part {
            None => self.whole_row(frame.bytes.get(HEADER..).unwrap_or_default()),
            Some(Part::First) => {
                let body = frame.bytes.get(HEADER..).unwrap_or_default();
                self.cut = body.len() > room;
                self.partial = Some(body[..body.len().min(room)].to_vec());
            }
            Some(part) => {
                if let Some(partial) = &mut self.partial {
                    let room = room.saturating_sub(partial.len()).min(frame.bytes.len());
                    self.cut |= room < frame.bytes.len();
                    partial.extend_from_slice(&frame.bytes[..room]);
                }
                if part == Part::Last {
                    let body = self.partial.take().unwrap_or_default();
                    self.whole_row(&body);
                    self.cut = false;
                }
            }
        }
    }

    fn whole_row(&mut self, body: &[u8]) {
        let Some(current) = self.tracker.current() else { return };
        if !self.wants(current.statement) {
            return;
        }
        let (limits, cut) = (self.limits, self.cut);
        let result = self.results.entry(current.statement).or_default();
        let bytes = self.bytes.entry(current.statement).or_default();
        result.sent += 1;
        if result.rows.len() >= limits.rows || *bytes >= limits.bytes {
            result.truncated = true;
            return;
        }
        if result.columns.is_empty() {
            result.columns = current.columns;
        }
        let mut reader = Reader(body);
        let count = reader.count().unwrap_or(0);
        let mut row = Vec::new();
        for place in 0..count {
            if result.columns.len() == place {
                let name = format!("column{}", place + 1);
                result.columns.push(Column { name, table: 0, number: 0, type_oid: 0, binary: false });
            }
            let Some(length) = reader.i32() else { break };
            let Ok(length) = usize::try_from(length) else {
                row.push(None);
                continue;
            };
            let available = length.min(reader.0.len());
            let value = reader.take(available).unwrap_or_default();
            let cell = cell(value, &result.columns[place], limits.value_bytes, available < length);
            *bytes += cell.text.len();
            row.push(Some(cell));
            if available < length {
                break;
            }
        }
        result.truncated |= cut || row.len() < count;
        result.rows.push(row);
    }
}

fn cell(value: &[u8], column: &Column, limit: usize, cut: bool) -> Cell {
    let text = if column.binary { text_of_binary(column.type_oid, value) } else { None };
    let text = text.or_else(|| {
        let end = value.len().min(limit.saturating_add(4));
        match std::str::from_utf8(&value[..end]) {
            Ok(text) if !column.binary => Some(text.to_owned()),
            // Cut inside a letter.
            Err(error)
                if !column.binary && error.valid_up_to() > 0 && end - error.valid_up_to() < 4 && end < value.len() =>
            {
                std::str::from_utf8(&value[..error.valid_up_to()]).ok().map(str::to_owned)
            }
            _ => None,
        }
    });
    let (mut text, hex) = match text {
        Some(text) => (text, false),
        None => (hex::encode(&value[..value.len().min(limit / 2)]), true),
    };
    let whole = if hex { text.len() == 2 * value.len() } else { column.binary || text.len() == value.len() };
    let mut truncated = cut || !whole;
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        truncated = true;
    }
    Cell { text, hex, truncated }
}
