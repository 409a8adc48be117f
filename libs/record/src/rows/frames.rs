//! Rows of table `frames`, kept as the runs that the proxy recorded: a row of its own for each frame is made where
//! somebody asks for one, and Arrow's columns are built from the runs.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringBuilder};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use bytes::Bytes;
use hansard_pg_wire::frame;
use hansard_schemas::events::{Direction, Omitted, Part};
use uuid::Uuid;

use super::{FRAME, columns};

/// A wire frame, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRow {
    /// The session.
    pub session_id: Uuid,
    /// Place among the session's frames, from 1.
    pub seq: u64,
    /// When Hansard took it over, UTC nanoseconds.
    pub at: i64,
    /// Who sent it.
    pub direction: Direction,
    /// The type byte; 0 for frames that have none on the wire.
    pub tag: u8,
    /// The bytes as on the wire on the job's side.
    pub frame: Bytes,
    /// Bytes of the frame were masked or withheld.
    pub masked: bool,
    /// Why the bytes are absent.
    pub withheld: Option<Arc<str>>,
    /// Whole, or which part of a long frame.
    pub part: Part,
    /// The target.
    pub target: Arc<str>,
    /// What the row stands for, where the capture level or the limit left content out.
    pub omitted: Option<Omitted>,
}

/// Frames that follow each other in a session and were taken over together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first of them, with the bytes of all: whole frames one behind the other, unless there is only one.
    pub first: FrameRow,
    /// How many there are.
    pub count: u32,
}

impl Run {
    /// Each frame's tag and bytes, and where they lie in the run's.
    fn frames(&self) -> impl Iterator<Item = (u8, std::ops::Range<usize>)> {
        let (bytes, tag) = (&self.first.frame, self.first.tag);
        let alone = (self.count == 1).then(|| (tag, 0..bytes.len()));
        let cut = if alone.is_some() { &[] } else { &bytes[..] };
        let mut place = 0;
        let several = frame::frames(cut).map(move |frame| {
            let from = place;
            place += frame.bytes.len();
            (frame.tag, from..place)
        });
        alone.into_iter().chain(several)
    }

    fn rows(&self) -> impl Iterator<Item = FrameRow> {
        (self.first.seq..).zip(self.frames()).map(|(seq, (tag, range))| FrameRow {
            seq,
            tag,
            frame: self.first.frame.slice(range),
            ..self.first.clone()
        })
    }
}

/// Rows of frames.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    runs: Vec<Run>,
    rows: usize,
}

impl From<FrameRow> for Run {
    fn from(first: FrameRow) -> Run {
        Run { first, count: 1 }
    }
}

impl FromIterator<Run> for Frames {
    fn from_iter<Runs: IntoIterator<Item = Run>>(runs: Runs) -> Frames {
        let runs: Vec<Run> = runs.into_iter().collect();
        Frames { rows: runs.iter().map(|run| run.count as usize).sum(), runs }
    }
}

impl Frames {
    /// Adds frames.
    pub fn push(&mut self, run: Run) {
        self.rows += run.count as usize;
        self.runs.push(run);
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.rows = 0;
    }

    /// Drops the frames of other sessions and times.
    pub fn retain(&mut self, wanted: impl Fn(&Uuid, i64) -> bool) {
        self.runs.retain(|run| wanted(&run.first.session_id, run.first.at));
        self.rows = self.runs.iter().map(|run| run.count as usize).sum();
    }

    /// One by one, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = FrameRow> {
        self.runs.iter().flat_map(Run::rows)
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// About how many bytes the frames take, of all runs but the first ones.
    pub(super) fn memory_from(&self, run: usize) -> usize {
        self.runs[run..].iter().map(|run| run.first.frame.len() + run.count as usize * FRAME).sum()
    }

    /// The table's columns, in order of session and place.
    pub(super) fn columns(&self) -> Vec<ArrayRef> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by_key(|run| (run.first.session_id, run.first.seq));
        let rows = self.rows;
        let texts = |text: &dyn Fn(&Run) -> &str| -> ArrayRef {
            let bytes = runs.iter().map(|run| text(run).len() * run.count as usize).sum();
            let mut builder = StringBuilder::with_capacity(rows, bytes);
            for run in &runs {
                let text = text(run);
                (0..run.count).for_each(|_| builder.append_value(text));
            }
            Arc::new(builder.finish())
        };
        let each = || runs.iter().flat_map(|run| std::iter::repeat_n(&run.first, run.count as usize));
        let omitted = |count: fn(Omitted) -> u64| columns::optional_counts(each().map(|row| row.omitted.map(count)));
        let (tags, frames) = self.contents(&runs);
        vec![
            columns::uuids(each().map(|row| row.session_id), rows),
            columns::numbers(runs.iter().flat_map(|run| (run.first.seq..).take(run.count as usize))),
            columns::times(each().map(|row| Some(row.at))),
            texts(&|run| match run.first.direction {
                Direction::Frontend => "frontend",
                Direction::Backend => "backend",
                Direction::Unspecified => "unknown",
            }),
            tags,
            frames,
            columns::booleans(each().map(|row| row.masked)),
            columns::optional_texts(each().map(|row| row.withheld.as_deref())),
            texts(&|run| match run.first.part {
                Part::Whole => "whole",
                Part::First => "first",
                Part::Middle => "middle",
                Part::Last => "last",
            }),
            texts(&|run| &run.first.target),
            omitted(|omitted| omitted.frames),
            omitted(|omitted| omitted.bytes),
        ]
    }

    /// Tags, and the bytes, which are copied a run at a time.
    fn contents(&self, runs: &[&Run]) -> (ArrayRef, ArrayRef) {
        let mut tags = StringBuilder::with_capacity(self.rows, self.rows);
        let mut bytes = Vec::with_capacity(runs.iter().map(|run| run.first.frame.len()).sum());
        let mut offsets: Vec<i32> = Vec::with_capacity(self.rows + 1);
        offsets.push(0);
        let mut text = [0; 2];
        for run in runs {
            let begin = bytes.len();
            bytes.extend_from_slice(&run.first.frame);
            for (tag, range) in run.frames() {
                tags.append_value(if tag == 0 { "" } else { char::from(tag).encode_utf8(&mut text) });
                let end = i32::try_from(begin + range.end).expect("rows are taken away before they come near 2 GiB");
                offsets.push(end);
            }
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (Arc::new(tags.finish()), Arc::new(BinaryArray::new(offsets, Buffer::from_vec(bytes), None)))
    }
}
