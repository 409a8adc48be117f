//! What a statement gave back, read from its frames.
//!
//! Invariant: rows are attributed to statements by the conversation that numbered the statements, fed with the same frames;
//! nothing is executed again. Bounded in rows and bytes; what is left out is said.

use std::ops::ControlFlow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use hansard_pg_wire::conversation::{Answering, Column, Conversation, Frame};
use hansard_pg_wire::frame::{Direction, HEADER, Part};
use hansard_record::{Analyses, SqlText};
use hansard_schemas::http::{Cell, ResultGrid, ResultSet};
use uuid::Uuid;

use crate::engine::Asked;
use crate::lanes::Asker;
use crate::sink::{Sink, Taken};
use crate::{Engine, Error, Omission, cells};

/// Bytes of values in one grid.
const MAX_GRID: usize = 4 * 1024 * 1024;

/// Bytes of one row that are put together from the parts of a long frame.
const MAX_ROW: usize = 1024 * 1024;

/// A statement's frames, and those before it without their rows.
const FRAMES: &str = "SELECT seq, at, direction, tag, frame, part, omitted_frames FROM frames WHERE session_id = $1 AND seq <= $3 \
                 AND NOT (tag = 'D' AND direction = 'backend' AND seq < $2) \
                 AND NOT (tag = 'd' AND (direction = 'frontend' OR seq < $2)) ORDER BY seq";

impl Engine {
    /// The rows that a statement returned, at most `max_rows` of them and 4 MiB.
    ///
    /// The frames before the statement are read too, without their rows: a result may have been described when the
    /// statement was prepared.
    pub async fn step_result(&self, session_id: Uuid, statement_no: i64, max_rows: usize) -> Result<ResultGrid, Error> {
        let id = ScalarValue::Utf8(Some(session_id.to_string()));
        let place = self
            .ask(
                "SELECT first_seq, last_seq, rows, omitted_rows, omitted_bytes, (SELECT coalesce(max(capture), 'full') \
                 FROM sessions WHERE session_id = $1) AS capture \
                 FROM statements WHERE session_id = $1 AND statement_no = $2",
                vec![id.clone(), ScalarValue::Int64(Some(statement_no))],
            )
            .await?;
        let Some(place) = place.decode::<Place>()?.pop() else {
            return Err(Error::NotFound(format!("session {session_id} has no statement {statement_no}")));
        };
        let statement = u64::try_from(statement_no).unwrap_or(0);
        let expected = place.rows.and_then(|rows| u64::try_from(rows).ok());
        let values = vec![id, ScalarValue::Int64(Some(place.first_seq)), ScalarValue::Int64(Some(place.last_seq))];
        let reader = self
            .fold(Asked { asker: Asker::Page, sql: FRAMES.to_owned(), values }, move || {
                Reader::new(statement, max_rows)
            })
            .await?;
        let omission = place.omitted_rows.map(|rows| Omission {
            capture: &place.capture,
            rows,
            bytes: place.omitted_bytes.unwrap_or(0),
        });
        Ok(reader.grid(expected, omission))
    }
}

#[derive(serde::Deserialize)]
struct Place {
    first_seq: i64,
    last_seq: i64,
    rows: Option<i64>,
    omitted_rows: Option<i64>,
    omitted_bytes: Option<i64>,
    capture: String,
}

impl Sink for Reader {
    fn begin(&mut self, _: &SchemaRef) -> Result<(), Error> {
        Ok(())
    }

    async fn rows(&mut self, batch: RecordBatch) -> Taken {
        // What a reader holds has its own bounds.
        Ok((0, self.take(&batch)))
    }
}

/// Frames in, rows of one statement out.
struct Reader {
    conversation: Conversation<SqlText>,
    analyser: Analyses,
    statement: u64,
    max_rows: usize,
    columns: Option<Vec<Column>>,
    copied: bool,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
    /// Rows seen, shown or not.
    seen: u64,
    cut: bool,
    full: bool,
    /// A row that comes in parts.
    partial: Option<(u8, Vec<u8>, bool)>,
}

impl Reader {
    fn new(statement: u64, max_rows: usize) -> Reader {
        Reader {
            conversation: Conversation::with_columns(),
            analyser: Analyses::default(),
            statement,
            max_rows,
            columns: None,
            copied: false,
            rows: Vec::new(),
            bytes: 0,
            seen: 0,
            cut: false,
            full: false,
            partial: None,
        }
    }

    /// Takes the next frames; breaks once the grid is full.
    fn take(&mut self, batch: &RecordBatch) -> ControlFlow<()> {
        let seqs = batch.column(0).as_primitive::<Int64Type>();
        let times = batch.column(1).as_primitive::<TimestampNanosecondType>();
        let (directions, tags) = (batch.column(2).as_string::<i32>(), batch.column(3).as_string::<i32>());
        let (frames, parts) = (batch.column(4).as_binary::<i32>(), batch.column(5).as_string::<i32>());
        let omitted = batch.column(6).as_primitive::<Int64Type>();
        let mut events = Vec::new();
        for row in 0..batch.num_rows() {
            let direction = match directions.value(row) {
                "frontend" => Direction::Frontend,
                _ => Direction::Backend,
            };
            let part = match parts.value(row) {
                "first" => Some(Part::First),
                "middle" => Some(Part::Middle),
                "last" => Some(Part::Last),
                _ => None,
            };
            let tag = tags.value(row).as_bytes().first().copied().unwrap_or(0);
            let bytes = frames.value(row);
            let omitted = (!omitted.is_null(row)).then(|| u64::try_from(omitted.value(row)).unwrap_or(0));
            if direction == Direction::Backend && matches!(tag, b'D' | b'd') && omitted.is_none() {
                self.piece(tag, part, bytes)?;
            }
            // CommandComplete: a result without rows has columns all the same.
            if direction == Direction::Backend
                && tag == b'C'
                && let Some(current) = self.current()
                && !current.columns.is_empty()
            {
                self.columns.get_or_insert(current.columns);
            }
            let seq = u64::try_from(seqs.value(row)).unwrap_or(0);
            let frame = Frame { seq, at: times.value(row), direction, tag, part, bytes };
            match omitted {
                Some(frames) => self.conversation.feed_omitted(&frame, frames, &mut self.analyser, &mut events),
                None => self.conversation.feed(&frame, &mut self.analyser, &mut events),
            }
            events.clear();
        }
        ControlFlow::Continue(())
    }

    /// What the server answers now, if it is the statement asked for.
    fn current(&self) -> Option<Answering> {
        self.conversation.answering().filter(|current| current.statement == self.statement)
    }

    /// A row, or a part of one.
    fn piece(&mut self, tag: u8, part: Option<Part>, bytes: &[u8]) -> ControlFlow<()> {
        match part {
            None => return self.row(tag, bytes.get(HEADER..).unwrap_or_default(), false),
            Some(Part::First) => {
                let body = bytes.get(HEADER..).unwrap_or_default();
                self.partial = Some((tag, body[..body.len().min(MAX_ROW)].to_vec(), false));
            }
            Some(Part::Middle | Part::Last) => {
                if let Some((_, kept, cut)) = &mut self.partial {
                    let room = MAX_ROW.saturating_sub(kept.len()).min(bytes.len());
                    kept.extend_from_slice(&bytes[..room]);
                    *cut |= room < bytes.len();
                }
                if part == Some(Part::Last)
                    && let Some((tag, kept, cut)) = self.partial.take()
                {
                    return self.row(tag, &kept, cut);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn row(&mut self, tag: u8, body: &[u8], cut: bool) -> ControlFlow<()> {
        let Some(current) = self.current() else {
            return ControlFlow::Continue(());
        };
        self.seen += 1;
        if self.rows.len() >= self.max_rows || self.bytes >= MAX_GRID {
            self.full = true;
            return ControlFlow::Break(());
        }
        self.bytes += body.len().min(cells::MAX_CELL * 4);
        self.cut |= cut;
        let row = if tag == b'd' {
            self.copied = true;
            let line = body.strip_suffix(b"\n").unwrap_or(body);
            let (cell, cut) = cells::unknown(Some(line));
            self.cut |= cut;
            vec![cell]
        } else {
            self.cells(body, &current.columns)
        };
        self.columns.get_or_insert(current.columns);
        self.rows.push(row);
        ControlFlow::Continue(())
    }

    /// DataRow: a count, and for each value its length (-1 for null) and bytes.
    fn cells(&mut self, body: &[u8], columns: &[Column]) -> Vec<Cell> {
        let Some((count, mut rest)) = body.split_first_chunk::<2>() else { return Vec::new() };
        let mut row = Vec::new();
        for place in 0..u16::from_be_bytes(*count) {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { break };
            let value = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (value, after) = after.split_at(length.min(after.len()));
                    rest = after;
                    Some(value)
                }
                Err(_) => {
                    rest = after;
                    None
                }
            };
            let (cell, cut) = match columns.get(usize::from(place)) {
                Some(column) => cells::cell(value, column.type_oid, column.binary),
                None => cells::unknown(value),
            };
            self.cut |= cut;
            row.push(cell);
        }
        row
    }

    /// The grid. `expected`: rows according to the command tag.
    fn grid(self, expected: Option<u64>, omission: Option<Omission<'_>>) -> ResultGrid {
        let mut notices = Vec::new();
        let width = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let described = self.columns.unwrap_or_default();
        let columns = if self.copied {
            notices.push("The result was sent by COPY: every row is one line of it.".to_owned());
            vec![cells::column("line", 25)]
        } else if described.is_empty() && width > 0 {
            notices.push("The server did not describe these columns in what was recorded.".to_owned());
            (1..=width).map(|number| cells::column(&format!("column {number}"), 0)).collect()
        } else {
            described.iter().map(|column| cells::column(&column.name, column.type_oid)).collect()
        };
        let omitted = omission.map_or(0, |omission| u64::try_from(omission.rows).unwrap_or(0));
        let recorded = expected.unwrap_or(0).saturating_sub(omitted);
        let total_rows = if self.full { recorded.max(self.seen) } else { self.seen };
        if self.full {
            notices.push(format!("Only the first {} of {total_rows} rows are shown.", self.rows.len()));
        }
        if self.cut {
            notices.push("Long values are cut; the frames hold all of them.".to_owned());
        }
        if let Some(omission) = omission {
            notices.push(sentence(&omission.to_string()));
        }
        let nothing = self.rows.is_empty() && omission.is_some();
        let rows = self.rows.into_iter().map(|mut row| {
            row.resize(columns.len(), Cell::Null);
            row
        });
        let rows = rows.collect();
        let sets =
            if columns.is_empty() || nothing { Vec::new() } else { vec![ResultSet { columns, rows, total_rows }] };
        ResultGrid { sets, notices }
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}
