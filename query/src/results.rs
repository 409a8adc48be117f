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

/// How much of a result is read into memory, in bytes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// All values.
    grid: usize,
    /// One row, which is put together from the parts of a long frame.
    row: usize,
    /// One value.
    cell: usize,
}

/// To be looked at.
const SHOWN: Bounds = Bounds { grid: 4 * 1024 * 1024, row: 1024 * 1024, cell: cells::MAX_CELL };

/// To be taken away.
const WHOLE: Bounds = Bounds { grid: 64 * 1024 * 1024, row: 64 * 1024 * 1024, cell: 64 * 1024 * 1024 };

/// A statement's frames, and those before it without their rows.
const FRAMES: &str = "SELECT seq, at, direction, tag, frame, part, omitted_frames FROM frames WHERE session_id = $1 AND seq <= $3 \
                 AND NOT (tag = 'D' AND direction = 'backend' AND seq < $2) \
                 AND NOT (tag = 'd' AND seq < $2) ORDER BY seq";

/// A statement's frames alone.
const OWN_FRAMES: &str = "SELECT seq, at, direction, tag, frame, part, omitted_frames FROM frames \
                     WHERE session_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq";

impl Engine {
    /// The rows that a statement returned, or that it was given by COPY, from row `from` on, which counts from 1, at most
    /// `max_rows` of them and 4 MiB.
    ///
    /// Where everything before the statement was answered when it began, its own frames are read alone. Else, and where they do
    /// not describe its columns, all frames before it are read too, without their rows: it may have been described when it
    /// was prepared.
    pub async fn step_result(
        &self,
        session_id: Uuid,
        statement_no: i64,
        from: u64,
        max_rows: usize,
    ) -> Result<ResultGrid, Error> {
        let (reader, place) = self.read_result(session_id, statement_no, from, max_rows, SHOWN).await?;
        Ok(reader.grid(&place))
    }

    /// The same, whole: at most 64 MiB; more is an error, never cut.
    pub async fn whole_result(
        &self,
        session_id: Uuid,
        statement_no: i64,
        from: u64,
        max_rows: usize,
    ) -> Result<ResultGrid, Error> {
        let (reader, place) = self.read_result(session_id, statement_no, from, max_rows, WHOLE).await?;
        if reader.cut || (reader.full && reader.rows.len() < max_rows) {
            return Err(Error::Result { limit: WHOLE.grid / 1024 / 1024 });
        }
        Ok(reader.grid(&place))
    }

    async fn read_result(
        &self,
        session_id: Uuid,
        statement_no: i64,
        from: u64,
        max_rows: usize,
        bounds: Bounds,
    ) -> Result<(Reader, Place), Error> {
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
        if let Some((start, statement)) = self.quiet_start(&id, statement_no, &place).await? {
            let values = vec![id.clone(), ScalarValue::Int64(Some(start)), ScalarValue::Int64(Some(place.last_seq))];
            let reader = self
                .fold(Asked { asker: Asker::Page, sql: OWN_FRAMES.to_owned(), values }, move || {
                    Reader::new(statement, from, max_rows, bounds)
                })
                .await?;
            if reader.is_convincing(&place) {
                return Ok((reader, place));
            }
        }
        let values = vec![id, ScalarValue::Int64(Some(place.first_seq)), ScalarValue::Int64(Some(place.last_seq))];
        let reader = self
            .fold(Asked { asker: Asker::Page, sql: FRAMES.to_owned(), values }, move || {
                Reader::new(statement, from, max_rows, bounds)
            })
            .await?;
        Ok((reader, place))
    }
}

/// How far before a statement its beginning is looked for, in frames.
const NEAR: i64 = 2_000;

impl Engine {
    /// The frame from which a statement's frames can be read by themselves, because with it the server said that it was
    /// ready, and nothing asked before was still to be answered; and the statement's number when those behind it are counted.
    /// That frame is read, too: without one, all would be taken for a log-in.
    async fn quiet_start(
        &self,
        id: &ScalarValue,
        statement_no: i64,
        place: &Place,
    ) -> Result<Option<(i64, u64)>, Error> {
        #[derive(serde::Deserialize)]
        struct Ready {
            start: Option<i64>,
        }
        #[derive(serde::Deserialize)]
        struct Counted {
            own: Option<u64>,
            overlapping: Option<u64>,
        }
        let number = |number| ScalarValue::Int64(Some(number));
        let ready: Vec<Ready> = self
            .ask(
                "SELECT max(seq) AS start FROM frames WHERE session_id = $1 AND seq BETWEEN $2 AND $3 \
                 AND tag = 'Z' AND direction = 'backend'",
                vec![id.clone(), number(place.first_seq.saturating_sub(NEAR)), number(place.first_seq)],
            )
            .await?
            .decode()?;
        let Some(start) = ready.first().and_then(|ready| ready.start) else { return Ok(None) };
        let counted: Vec<Counted> = self
            .ask(
                "SELECT sum(CASE WHEN first_seq >= $3 THEN 1 ELSE 0 END) AS own, \
                 sum(CASE WHEN first_seq < $3 AND last_seq >= $3 THEN 1 ELSE 0 END) AS overlapping \
                 FROM statements WHERE session_id = $1 AND statement_no <= $2 AND last_seq >= $3",
                vec![id.clone(), number(statement_no), number(start.saturating_add(1))],
            )
            .await?
            .decode()?;
        let counted = counted.first().and_then(|counted| counted.own.zip(counted.overlapping));
        Ok(counted.filter(|(own, overlapping)| *own > 0 && *overlapping == 0).map(|(own, _)| (start, own)))
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
    /// The first row to show, from 1.
    from: u64,
    max_rows: usize,
    bounds: Bounds,
    columns: Option<Vec<Column>>,
    /// COPY sent the rows.
    copied: bool,
    /// COPY was given them: the line that has not ended, and whether it is cut.
    given: Option<(Vec<u8>, bool)>,
    /// What it was given is not in the record.
    not_recorded: bool,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
    /// Rows seen, shown or not.
    seen: u64,
    cut: bool,
    full: bool,
    /// There were rows, of whichever statement.
    any: bool,
    /// The server said that so many rows were changed, or whatever else gives none back.
    changed: bool,
    /// A row that comes in parts.
    partial: Option<(u8, Vec<u8>, bool)>,
}

impl Reader {
    fn new(statement: u64, from: u64, max_rows: usize, bounds: Bounds) -> Reader {
        Reader {
            conversation: Conversation::with_columns(),
            analyser: Analyses::default(),
            statement,
            from,
            max_rows,
            bounds,
            columns: None,
            copied: false,
            given: None,
            not_recorded: false,
            rows: Vec::new(),
            bytes: 0,
            seen: 0,
            cut: false,
            full: false,
            any: false,
            changed: false,
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
            self.any |= matches!(tag, b'D' | b'd');
            if direction == Direction::Backend && tag == b'C' {
                let told = bytes.get(HEADER..).unwrap_or_default();
                self.changed |=
                    [&b"INSERT"[..], b"UPDATE", b"DELETE", b"MERGE"].iter().any(|word| told.starts_with(word));
            }
            let omitted = (!omitted.is_null(row)).then(|| u64::try_from(omitted.value(row)).unwrap_or(0));
            if direction == Direction::Backend && matches!(tag, b'D' | b'd') && omitted.is_none() {
                self.piece(tag, part, bytes)?;
            }
            if direction == Direction::Frontend && tag == b'd' && self.current().is_some() {
                match omitted {
                    None if part.is_none() || part == Some(Part::First) => {
                        self.given(bytes.get(HEADER..).unwrap_or_default())?;
                    }
                    None => self.given(bytes)?,
                    Some(_) => self.not_recorded = true,
                }
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

    /// Whether what was read is the whole of it, with its columns: the rows are as many as the command tag says.
    fn is_convincing(&self, place: &Place) -> bool {
        // What changed rows and sent none has no RETURNING, whatever was said before it.
        if self.changed && !self.any && place.rows.is_some_and(|rows| rows > 0) && place.omitted_rows.is_none() {
            return true;
        }
        let described = self.copied || self.columns.as_ref().is_some_and(|columns| !columns.is_empty());
        let expected = place.rows.unwrap_or(0).saturating_sub(place.omitted_rows.unwrap_or(0));
        let all = u64::try_from(expected).is_ok_and(|expected| self.seen == expected);
        described && (self.full || all)
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
                self.partial = Some((tag, body[..body.len().min(self.bounds.row)].to_vec(), false));
            }
            Some(Part::Middle | Part::Last) => {
                if let Some((_, kept, cut)) = &mut self.partial {
                    let room = self.bounds.row.saturating_sub(kept.len()).min(bytes.len());
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

    /// Some of what the job gave to COPY: its messages may end anywhere, so lines are put together.
    fn given(&mut self, mut bytes: &[u8]) -> ControlFlow<()> {
        let (mut line, mut cut) = self.given.take().unwrap_or_default();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            cut |= keep(&mut line, &bytes[..end], self.bounds.row);
            bytes = &bytes[end + 1..];
            if self.line(&line, cut).is_break() {
                self.given = Some(Default::default());
                return ControlFlow::Break(());
            }
            line.clear();
            cut = false;
        }
        cut |= keep(&mut line, bytes, self.bounds.row);
        self.given = Some((line, cut));
        ControlFlow::Continue(())
    }

    /// A line of COPY.
    fn line(&mut self, line: &[u8], cut: bool) -> ControlFlow<()> {
        if !self.count(line.len(), cut)? {
            return ControlFlow::Continue(());
        }
        let (cell, cut) = cells::unknown(Some(line), self.bounds.cell);
        self.cut |= cut;
        self.rows.push(vec![cell]);
        ControlFlow::Continue(())
    }

    /// There is a row; breaks where there is no room for it. Whether it is among those that are asked for.
    fn count(&mut self, bytes: usize, cut: bool) -> ControlFlow<(), bool> {
        self.seen += 1;
        if self.seen < self.from {
            return ControlFlow::Continue(false);
        }
        if self.rows.len() >= self.max_rows || self.bytes >= self.bounds.grid {
            self.full = true;
            return ControlFlow::Break(());
        }
        self.bytes += bytes.min(self.bounds.cell.saturating_mul(4));
        self.cut |= cut;
        ControlFlow::Continue(true)
    }

    fn row(&mut self, tag: u8, body: &[u8], cut: bool) -> ControlFlow<()> {
        let Some(current) = self.current() else {
            return ControlFlow::Continue(());
        };
        if tag == b'd' {
            self.copied = true;
            return self.line(body.strip_suffix(b"\n").unwrap_or(body), cut);
        }
        if self.count(body.len(), cut)? {
            let row = self.cells(body, &current.columns);
            self.rows.push(row);
        }
        self.columns.get_or_insert(current.columns);
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
                Some(column) => cells::cell(value, column.type_oid, column.binary, self.bounds.cell),
                None => cells::unknown(value, self.bounds.cell),
            };
            self.cut |= cut;
            row.push(cell);
        }
        row
    }

    /// The grid.
    fn grid(mut self, place: &Place) -> ResultGrid {
        // Rows according to the command tag.
        let expected = place.rows.and_then(|rows| u64::try_from(rows).ok());
        let omission = place.omitted_rows.map(|rows| Omission {
            capture: &place.capture,
            rows,
            bytes: place.omitted_bytes.unwrap_or(0),
        });
        let mut notices = Vec::new();
        let given = self.given.take();
        if let Some((line, cut)) = given.as_ref().filter(|(line, _)| !line.is_empty() && !self.full) {
            // The last one need not end with a line break; where there is no room for it, that is noted in `full`.
            _ = self.line(line, *cut);
        }
        if self.not_recorded {
            notices.push("What was copied in is not recorded.".to_owned());
        }
        let width = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let described = self.columns.unwrap_or_default();
        let columns = if self.copied {
            notices.push("The result was sent by COPY: every row is one line of it.".to_owned());
            vec![cells::column("line", 25)]
        } else if given.is_some() {
            notices.push("The job sent this to COPY: every row is one line of it.".to_owned());
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
        let first_row = self.from;
        if self.rows.is_empty() && first_row > 1 {
            notices.push(format!("There is no row {first_row}: the record holds {total_rows}."));
        }
        if self.cut {
            notices.push("Long values are cut; the result as CSV and the frames hold all of them.".to_owned());
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
        let sets = if columns.is_empty() || nothing {
            Vec::new()
        } else {
            vec![ResultSet { columns, rows, total_rows, first_row }]
        };
        ResultGrid { sets, notices }
    }
}

/// Adds what there is room for; true where that is not all.
fn keep(line: &mut Vec<u8>, bytes: &[u8], most: usize) -> bool {
    let room = most.saturating_sub(line.len()).min(bytes.len());
    line.extend_from_slice(&bytes[..room]);
    room < bytes.len()
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray, TimestampNanosecondArray};

    use super::*;

    /// Frames as the lake has them, read for the first statement behind the first of them.
    fn read(frames: &[(&str, &[u8])], rows: i64) -> bool {
        let direction = |frame: &(&str, &[u8])| if frame.0 == "Q" { "frontend" } else { "backend" };
        let message = |(tag, body): &(&str, &[u8])| {
            let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            [tag.as_bytes(), &length, body].concat()
        };
        let bytes: Vec<Vec<u8>> = frames.iter().map(message).collect();
        let count = frames.len();
        let columns: [(&str, ArrayRef); 7] = [
            ("seq", Arc::new(Int64Array::from_iter_values(100..100 + i64::try_from(count).unwrap()))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![0; count]))),
            ("direction", Arc::new(StringArray::from_iter_values(frames.iter().map(direction)))),
            ("tag", Arc::new(StringArray::from_iter_values(frames.iter().map(|(tag, _)| tag)))),
            ("frame", Arc::new(BinaryArray::from_iter_values(&bytes))),
            ("part", Arc::new(StringArray::from(vec!["whole"; count]))),
            ("omitted", Arc::new(Int64Array::from(vec![None; count]))),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let mut reader = Reader::new(1, 1, 10, SHOWN);
        assert!(reader.take(&batch).is_continue());
        let (omitted_rows, omitted_bytes) = (None, None);
        let capture = "full".to_owned();
        reader.is_convincing(&Place {
            first_seq: 101,
            last_seq: 105,
            rows: Some(rows),
            omitted_rows,
            omitted_bytes,
            capture,
        })
    }

    #[test]
    fn a_statement_s_own_frames_are_enough() {
        let described: &[u8] = b"\0\x01id\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0";
        let select: [(&str, &[u8]); 6] = [
            ("Z", b"I"),
            ("Q", b"SELECT id FROM t\0"),
            ("T", described),
            ("D", b"\0\x01\0\0\0\x017"),
            ("C", b"SELECT 1\0"),
            ("Z", b"I"),
        ];
        assert!(read(&select, 1));
        // Without the word that the server was ready they would be those of a log-in.
        assert!(!read(&select[1..], 1));
        assert!(read(&[("Z", b"I"), ("Q", b"UPDATE t SET a = 1\0"), ("C", b"UPDATE 3\0"), ("Z", b"I")], 3));
    }
}
