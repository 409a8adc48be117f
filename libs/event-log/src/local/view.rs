//! Reading a shard: its segments as they are at one moment.
//!
//! Invariants: a block is returned whole and as written, or not at all; blocks come in the order of their
//! positions, none left out; what is missing or changed below the end is an error, never skipped. A part of a record
//! behind the last whole one is the end, as long as nothing valid follows it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use hansard_schemas::events::Block;
use prost::Message;

use super::folder::{self, Segment};
use super::record::{self, HEADER, Parsed};
use crate::merge;
use crate::{Batch, Bounds, Error, Position, Positioned, Shard};

/// How much is read from a file at once, at least.
const CHUNK: usize = 128 * 1024;

/// A shard's segments at one moment.
#[derive(Debug)]
pub(super) struct View {
    pub(super) shard: Shard,
    pub(super) dir: PathBuf,
    /// Everything before was let go; 0 when nothing was.
    pub(super) mark: u64,
    /// In order.
    pub(super) segments: Vec<Segment>,
    /// Whether the last segment may end in a part of a record: it is seen from outside its writer.
    pub(super) torn_tail: bool,
}

impl View {
    /// The view from outside the writer: the files as they are.
    pub(super) fn of_files(shard: Shard, dir: PathBuf) -> Result<View, Error> {
        // The marks first: segments go only after their mark is set.
        let mark = folder::trimmed(&dir)?.max(folder::trim_request(&dir)?);
        let segments = folder::segments_to_read(&dir)?;
        Ok(View { shard, dir, mark, segments, torn_tail: true })
    }

    pub(super) fn bounds(&self) -> Bounds {
        let first = self.segments.first().map_or(0, |segment| segment.base);
        let end = self.segments.last().map_or(0, Segment::end);
        let first = if self.mark > 0 { self.mark } else { first };
        Bounds { first: Position(first), end: Position(end.max(first)) }
    }

    /// Whether there is something to read at `from`. From outside the writer it may be only a part of a record.
    pub(super) fn holds(&self, from: u64) -> Result<bool, Error> {
        let Some((index, at)) = self.locate(from)? else { return Ok(false) };
        let later = &self.segments[index + 1..];
        Ok(at < self.segments[index].end() || later.iter().any(|segment| segment.length > 0))
    }

    /// Reads blocks from `from` on, about `max_bytes` of them; consecutive blocks of one session may come as one.
    pub(super) fn read(&self, from: u64, max_bytes: usize) -> Result<Batch, Error> {
        self.read_with(from, max_bytes, merge::push)
    }

    /// Likewise, each block as it was appended.
    pub(super) fn read_unmerged(&self, from: u64, max_bytes: usize) -> Result<Batch, Error> {
        self.read_with(from, max_bytes, Vec::push)
    }

    fn read_with(
        &self,
        from: u64,
        max_bytes: usize,
        push: fn(&mut Vec<Positioned>, Positioned),
    ) -> Result<Batch, Error> {
        let Some((mut index, mut at)) = self.locate(from)? else {
            return Ok(Batch { blocks: Vec::new(), next: Position(from) });
        };
        let mut blocks: Vec<Positioned> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        let mut taken = 0;
        while taken < max_bytes.max(1) {
            let segment = self.segments[index];
            if at >= segment.end() {
                match self.after(index)? {
                    Some(next) => (index, at, cursor) = (index + 1, next, None),
                    None => break,
                }
                continue;
            }
            let cursor = match &mut cursor {
                Some(cursor) => cursor,
                none => match Cursor::open(&self.dir, segment) {
                    Ok(cursor) => none.insert(cursor),
                    // Trimmed since; the next read says so.
                    Err(e) if e.kind() == io::ErrorKind::NotFound && !blocks.is_empty() => break,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {
                        return Err(Error::Trimmed { asked: Position(from), first: Position(segment.end()) });
                    }
                    Err(e) => return Err(folder::failed("open", &folder::segment_path(&self.dir, segment.base), &e)),
                },
            };
            match cursor.parse(at).map_err(|e| self.unreadable(segment, &e))? {
                Parsed::Whole(length) => {
                    let block = Block::decode(cursor.body(at, length)).map_err(|e| self.damaged(at, &e.to_string()))?;
                    at += (HEADER + length) as u64;
                    taken += HEADER + length;
                    push(&mut blocks, Positioned { next: Position(at), block });
                }
                Parsed::Part(_) if self.may_be_torn(index) => break,
                Parsed::Part(_) => return Err(self.damaged(at, "a record is cut off")),
                Parsed::Damaged(reason) => {
                    let follows = !self.may_be_torn(index)
                        || cursor.record_after(at).map_err(|e| self.unreadable(segment, &e))?.is_some();
                    if follows {
                        return Err(self.damaged(at, reason));
                    }
                    break;
                }
            }
        }
        Ok(Batch { blocks, next: Position(at) })
    }

    /// The segment and the place in it where reading from `from` begins; None while there is no segment.
    fn locate(&self, from: u64) -> Result<Option<(usize, u64)>, Error> {
        if from < self.mark {
            return Err(Error::Trimmed { asked: Position(from), first: Position(self.mark) });
        }
        let Some(first) = self.segments.first() else { return Ok(None) };
        if from < first.base {
            if self.mark == 0 && from > 0 {
                // Another log lay here once.
                return Err(Error::Trimmed { asked: Position(from), first: Position(first.base) });
            }
            if !first.begins_run() {
                return Err(self.damaged(from, "a segment file is missing"));
            }
            return Ok(Some((0, first.base)));
        }
        let index = self.segments.partition_point(|segment| segment.base <= from) - 1;
        if from <= self.segments[index].end() {
            return Ok(Some((index, from)));
        }
        match self.after(index)? {
            Some(next) => Ok(Some((index + 1, next))),
            None => Err(Error::Rewound { asked: Position(from), end: self.bounds().end }),
        }
    }

    /// Where the segment after `index` begins.
    fn after(&self, index: usize) -> Result<Option<u64>, Error> {
        let Some(next) = self.segments.get(index + 1) else { return Ok(None) };
        let end = self.segments[index].end();
        if next.base == end || (next.begins_run() && next.base > end) {
            Ok(Some(next.base))
        } else {
            Err(self.damaged(end, "a segment file is missing, or is not as long as it was"))
        }
    }

    fn may_be_torn(&self, index: usize) -> bool {
        self.torn_tail && index + 1 == self.segments.len()
    }

    fn damaged(&self, at: u64, reason: &str) -> Error {
        Error::Damaged { shard: self.shard, at: Position(at), reason: reason.to_owned() }
    }

    fn unreadable(&self, segment: Segment, error: &io::Error) -> Error {
        folder::failed("read", &folder::segment_path(&self.dir, segment.base), error)
    }
}

/// Reads one segment file forward, in chunks.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    segment: Segment,
    /// Bytes from position `start` on.
    buffer: Vec<u8>,
    start: u64,
}

impl Cursor {
    pub(super) fn open(dir: &std::path::Path, segment: Segment) -> io::Result<Cursor> {
        let file = File::open(folder::segment_path(dir, segment.base))?;
        Ok(Cursor { file, segment, buffer: Vec::new(), start: segment.base })
    }

    /// What lies at `at`: [`Parsed::Part`] only when the segment ends before the record does.
    pub(super) fn parse(&mut self, at: u64) -> io::Result<Parsed> {
        loop {
            match record::parse(at, self.from(at)) {
                Parsed::Part(needed) if at + needed as u64 <= self.segment.end() && self.fill(at, needed)? => {}
                other => return Ok(other),
            }
        }
    }

    /// The body of the record at `at`, which [`Self::parse`] just found whole.
    fn body(&self, at: u64, length: usize) -> &[u8] {
        &self.from(at)[HEADER..HEADER + length]
    }

    /// The place of the next whole record after `at`.
    pub(super) fn record_after(&mut self, at: u64) -> io::Result<Option<u64>> {
        for place in at + 1..self.segment.end() {
            match self.parse(place)? {
                Parsed::Whole(_) => return Ok(Some(place)),
                Parsed::Part(HEADER) => break,
                Parsed::Part(_) | Parsed::Damaged(_) => {}
            }
        }
        Ok(None)
    }

    fn from(&self, at: u64) -> &[u8] {
        let skip = at.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..)).unwrap_or_default()
    }

    /// Fills the buffer from `at` on with `needed` bytes or more; false when the file ends before.
    fn fill(&mut self, at: u64, needed: usize) -> io::Result<bool> {
        let left = usize::try_from(self.segment.end() - at).unwrap_or(usize::MAX);
        self.buffer.resize(needed.max(CHUNK).min(left), 0);
        self.start = at;
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[filled..], at - self.segment.base + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.buffer.truncate(filled);
        Ok(filled >= needed)
    }
}
