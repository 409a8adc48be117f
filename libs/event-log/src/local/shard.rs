//! The writer of one shard: appends, what is acknowledged, trimming.
//!
//! Invariants: after any failed append the file ends with the last whole record, or nothing is appended until it
//! does; what was acknowledged stays acknowledged; after a failed fsync nothing is appended or acknowledged any more,
//! because what the failed call held may be lost (the kernel drops it from its own books).

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::folder::{self, Segment};
use super::record::{self, HEADER, Parsed};
use super::view::{Cursor, View};
use crate::{Error, Position, Shard};

/// Bodies up to this length are copied behind their header, longer ones are written with it by a vectored write.
const COPIED_BODY: usize = 16 * 1024;

/// Bytes that a disk must take before it counts as one that takes blocks again.
const PROBE: usize = 64 * 1024;

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Acknowledge {
    /// Written: the page cache has it.
    Written,
    /// On the disk.
    Synced,
    /// In the stream behind this spool.
    Shipped,
}

/// Bytes held by all shards of a log together, and their limit.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) held: AtomicU64,
    pub(super) limit: u64,
}

/// One shard, open for writing.
#[derive(Debug)]
pub(super) struct ShardLog {
    pub(super) shard: Shard,
    pub(super) dir: PathBuf,
    segment_bytes: u64,
    quota: Arc<Quota>,
    writer: Mutex<Writer>,
    layout: Mutex<Layout>,
    trimming: Mutex<()>,
    /// Where this opening of the log began.
    pub(super) opened_at: u64,
    end: AtomicU64,
    acknowledged: AtomicU64,
    acknowledge: AtomicU8,
    /// Why nothing works any more.
    failed: OnceLock<Error>,
    /// Why acknowledgements do not come at present.
    trouble: Mutex<Option<Error>>,
    /// The last append failed.
    refusing: AtomicBool,
    pub(super) acknowledgement: Notify,
    /// Set by whoever wants to be told of the next append; so an append that nobody waits for pays one load.
    listening: AtomicBool,
    appended: Notify,
    syncer: OnceLock<Thread>,
    /// The folder stays taken until the last file operation has ended.
    _lock: Arc<File>,
}

#[derive(Debug)]
struct Writer {
    file: Arc<File>,
    base: u64,
    length: u64,
    /// The file may end in a part of a record.
    torn: bool,
    /// Something was written since the last [`ShardLog::take_unsynced`].
    dirty: bool,
    /// Closed since then.
    closed: Vec<Arc<File>>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Layout {
    mark: u64,
    closed: Vec<Segment>,
    live: u64,
}

/// What has to be put on the disk.
pub(super) struct Unsynced {
    files: Vec<Arc<File>>,
    new_names: bool,
    end: u64,
}

impl ShardLog {
    /// Opens the shard in `dir`: takes back a torn tail, begins a new segment.
    pub(super) fn open(
        shard: Shard,
        dir: PathBuf,
        segment_bytes: u64,
        acknowledge: Acknowledge,
        quota: Arc<Quota>,
        unix_millis: u64,
        lock: Arc<File>,
    ) -> Result<ShardLog, Error> {
        hansard_private_files::make_folder(&dir).map_err(|e| folder::failed("create", &dir, &e))?;
        folder::make_positions(&dir)?;
        let mark = folder::trimmed(&dir)?;
        let closed = recover(shard, &dir, mark)?;
        let end = closed.last().map_or(mark, Segment::end).max(mark);
        let base = folder::next_run(end, unix_millis);
        let file = create_segment(&dir, base)?;
        folder::sync_dir(&dir).map_err(|e| folder::failed("write", &dir, &e))?;
        let layout = Layout { mark, closed, live: base };
        quota.held.fetch_add(layout.held(mark, base), SeqCst);
        let log = ShardLog {
            shard,
            dir,
            segment_bytes,
            quota,
            writer: Mutex::new(Writer {
                file: Arc::new(file),
                base,
                length: 0,
                torn: false,
                dirty: false,
                closed: Vec::new(),
                buffer: Vec::with_capacity(HEADER + COPIED_BODY),
            }),
            layout: Mutex::new(layout),
            trimming: Mutex::new(()),
            opened_at: base,
            end: AtomicU64::new(base),
            acknowledged: AtomicU64::new(base),
            acknowledge: AtomicU8::new(acknowledge as u8),
            failed: OnceLock::new(),
            trouble: Mutex::new(None),
            refusing: AtomicBool::new(false),
            acknowledgement: Notify::new(),
            listening: AtomicBool::new(false),
            appended: Notify::new(),
            syncer: OnceLock::new(),
            _lock: lock,
        };
        log.trim(mark)?;
        Ok(log)
    }

    pub(super) fn append(&self, body: &[u8]) -> Result<u64, Error> {
        let size = (HEADER + body.len()) as u64;
        let held = self.quota.held.fetch_add(size, SeqCst);
        let (end, wake) = match self.write(body, held + size) {
            Ok(done) => done,
            Err(error) => {
                self.quota.held.fetch_sub(size, SeqCst);
                self.refusing.store(true, Relaxed);
                return Err(error);
            }
        };
        if self.refusing.load(Relaxed) {
            self.refusing.store(false, Relaxed);
        }
        if wake && let Some(syncer) = self.syncer.get() {
            syncer.unpark();
        }
        if self.listening.load(SeqCst) && self.listening.swap(false, SeqCst) {
            self.appended.notify_waiters();
        }
        Ok(end)
    }

    /// Writes one record. Returns the place after it, and whether the syncer has to be woken.
    fn write(&self, body: &[u8], held: u64) -> Result<(u64, bool), Error> {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        if let Some(failed) = self.failed.get() {
            return Err(failed.again());
        }
        if held > self.quota.limit {
            return Err(Error::Full(format!(
                "{} holds the {} bytes that it may; it goes on as soon as they are taken from it",
                self.dir.display(),
                self.quota.limit
            )));
        }
        writer.mend().map_err(|e| folder::failed("shorten", &self.dir, &e))?;
        let size = (HEADER + body.len()) as u64;
        if writer.length > 0 && writer.length + size > self.segment_bytes {
            self.roll(writer)?;
        }
        let header = record::header(writer.base + writer.length, body).ok_or(Error::TooLong(body.len()))?;
        writer.append(&header, body).map_err(|e| folder::failed("write to", &self.dir, &e))?;
        let end = writer.base + writer.length;
        self.end.store(end, SeqCst);
        if self.acknowledge.load(SeqCst) == Acknowledge::Written as u8 {
            self.acknowledged.fetch_max(end, SeqCst);
        }
        Ok((end, !std::mem::replace(&mut writer.dirty, true)))
    }

    fn roll(&self, writer: &mut Writer) -> Result<(), Error> {
        let base = writer.base + writer.length;
        let file = Arc::new(create_segment(&self.dir, base)?);
        let mut layout = self.layout.lock();
        layout.closed.push(Segment { base: writer.base, length: writer.length });
        layout.live = base;
        writer.closed.push(std::mem::replace(&mut writer.file, file));
        (writer.base, writer.length) = (base, 0);
        Ok(())
    }

    pub(super) fn view(&self) -> View {
        let layout = self.layout.lock();
        let mut segments = layout.closed.clone();
        // Under the layout's lock the live segment cannot be closed, so its end is the log's.
        segments.push(Segment { base: layout.live, length: self.end.load(SeqCst) - layout.live });
        View { shard: self.shard, dir: self.dir.clone(), mark: layout.mark, segments, torn_tail: false }
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(SeqCst)
    }

    pub(super) fn is_acknowledged(&self, position: u64) -> bool {
        self.acknowledged.load(SeqCst) >= position
    }

    /// Why waiting for an acknowledgement is of no use now.
    pub(super) fn hindrance(&self) -> Option<Error> {
        self.failed.get().map(Error::again).or_else(|| self.trouble.lock().as_ref().map(Error::again))
    }

    /// Why the last append failed, if the disk still refuses: there may be nobody left who appends, and so finds out.
    pub(super) fn refusal(&self) -> Option<Error> {
        if !self.refusing.load(Relaxed) {
            return None;
        }
        let refused = folder::try_disk(&self.dir, PROBE).err();
        if refused.is_none() {
            self.refusing.store(false, Relaxed);
        }
        refused
    }

    pub(super) fn acknowledge(&self, up_to: u64) {
        self.acknowledged.fetch_max(up_to, SeqCst);
        self.acknowledgement.notify_waiters();
    }

    pub(super) fn acknowledge_on(&self, what: Acknowledge) {
        self.acknowledge.store(what as u8, SeqCst);
    }

    /// Tells those who wait for acknowledgements why there are none, or that there will be again.
    pub(super) fn set_trouble(&self, trouble: Option<Error>) {
        let told = trouble.is_some();
        *self.trouble.lock() = trouble;
        if told {
            self.acknowledgement.notify_waiters();
        }
    }

    /// Waits until the log ends behind `position`.
    pub(super) async fn grown(&self, position: u64) {
        loop {
            let appended = self.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            self.listening.store(true, SeqCst);
            if self.end() > position {
                return;
            }
            appended.await;
        }
    }

    /// Lets go of everything before `up_to`, as far as there is anything.
    pub(super) fn trim(&self, up_to: u64) -> Result<(), Error> {
        let _one_at_a_time = self.trimming.lock();
        let mark = up_to.min(self.end());
        let before = self.layout.lock().mark;
        if mark > before {
            // On the disk first; appends go on meanwhile.
            folder::set_trimmed(&self.dir, mark)?;
        }
        let gone: Vec<Segment> = {
            let mut layout = self.layout.lock();
            layout.mark = mark.max(before);
            let (mark, freed) = (layout.mark, layout.held(before, mark));
            self.quota.held.fetch_sub(freed, SeqCst);
            let gone = layout.closed.partition_point(|segment| segment.end() <= mark);
            layout.closed.drain(..gone).collect()
        };
        for segment in gone {
            let path = folder::segment_path(&self.dir, segment.base);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(folder::failed("remove", &path, &e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Does what a reader in another process asked for.
    pub(super) fn honour_trim_request(&self) -> Result<(), Error> {
        let asked = folder::trim_request(&self.dir)?;
        if asked > self.layout.lock().mark { self.trim(asked) } else { Ok(()) }
    }

    pub(super) fn set_syncer(&self, thread: Thread) {
        let _ = self.syncer.set(thread);
    }

    /// What was written since the last call.
    pub(super) fn take_unsynced(&self) -> Option<Unsynced> {
        let mut writer = self.writer.lock();
        if !std::mem::take(&mut writer.dirty) || self.failed.get().is_some() {
            return None;
        }
        let mut files = std::mem::take(&mut writer.closed);
        let new_names = !files.is_empty();
        files.push(Arc::clone(&writer.file));
        Some(Unsynced { files, new_names, end: writer.base + writer.length })
    }

    /// Puts it on the disk.
    pub(super) fn sync(&self, unsynced: &Unsynced) {
        let dir = || if unsynced.new_names { folder::sync_dir(&self.dir) } else { Ok(()) };
        match unsynced.files.iter().try_for_each(|file| file.sync_data()).and_then(|()| dir()) {
            Ok(()) if self.acknowledge.load(SeqCst) == Acknowledge::Synced as u8 => self.acknowledge(unsynced.end),
            Ok(()) => {}
            Err(e) => {
                let reason =
                    format!("cannot put {} on the disk: {e}; mend the disk and start again", self.dir.display());
                tracing::error!(shard = self.shard, reason, "the event log stops");
                let _ = self.failed.set(Error::Unavailable(reason));
                self.acknowledgement.notify_waiters();
            }
        }
    }
}

impl Writer {
    fn append(&mut self, header: &[u8; HEADER], body: &[u8]) -> io::Result<()> {
        let size = HEADER + body.len();
        let written = loop {
            let written = if body.len() <= COPIED_BODY {
                self.buffer.clear();
                self.buffer.extend_from_slice(header);
                self.buffer.extend_from_slice(body);
                (&*self.file).write(&self.buffer)
            } else {
                (&*self.file).write_vectored(&[IoSlice::new(header), IoSlice::new(body)])
            };
            match written {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let error = match written {
            Ok(written) if written == size => {
                self.length += size as u64;
                return Ok(());
            }
            Ok(written) => io::Error::new(io::ErrorKind::StorageFull, format!("only {written} of {size} bytes fit")),
            Err(error) => error,
        };
        self.torn = true;
        // What cannot be mended now is mended before the next append.
        let _ = self.mend();
        Err(error)
    }

    /// Takes back what a failed write left behind the last whole record.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}

impl Layout {
    /// Bytes of records from `from` on; the live segment ends at `end`.
    fn held(&self, from: u64, end: u64) -> u64 {
        let live = Segment { base: self.live, length: end.saturating_sub(self.live) };
        let ends = self.closed.iter().chain([&live]);
        ends.map(|segment| segment.end().min(end).saturating_sub(segment.base.max(from))).sum()
    }
}

fn create_segment(dir: &std::path::Path, base: u64) -> Result<File, Error> {
    let path = folder::segment_path(dir, base);
    hansard_private_files::open(File::options().create_new(true).append(true), &path)
        .map_err(|e| folder::failed("create", &path, &e))
}

/// The segments that former openings left, without empty ones at the end and without a torn tail.
fn recover(shard: Shard, dir: &std::path::Path, mark: u64) -> Result<Vec<Segment>, Error> {
    let mut segments = folder::segments(dir)?;
    loop {
        let last_but_one = segments.len().checked_sub(2).map(|place| segments[place]);
        let Some(last) = segments.last_mut() else { break };
        let path = folder::segment_path(dir, last.base);
        let good = whole_length(shard, dir, *last)?;
        let file = File::options().write(true).open(&path).map_err(|e| folder::failed("open", &path, &e))?;
        if good < last.length {
            tracing::warn!(
                shard,
                position = last.base + good,
                bytes = last.length - good,
                "the log ended in a part of a record, which is taken away"
            );
            file.set_len(good).map_err(|e| folder::failed("shorten", &path, &e))?;
            last.length = good;
        }
        // A killed process may have left them in the page cache only.
        let before = last_but_one.map(|segment| folder::segment_path(dir, segment.base));
        let sync = |path: &std::path::Path| File::open(path)?.sync_data();
        for path in [Some(path.clone()), before].iter().flatten() {
            sync(path).map_err(|e| folder::failed("write", path, &e))?;
        }
        if good > 0 {
            break;
        }
        std::fs::remove_file(&path).map_err(|e| folder::failed("remove", &path, &e))?;
        segments.pop();
    }
    for pair in segments.windows(2) {
        if pair[0].end() > mark && pair[0].end() != pair[1].base && !pair[1].begins_run() {
            let reason = format!("{} is missing or cut off", folder::segment_path(dir, pair[0].end()).display());
            return Err(Error::Damaged { shard, at: Position(pair[0].end()), reason });
        }
    }
    Ok(segments)
}

/// The length of a segment up to the end of its last whole record. A part of a record at the very end is what a crash
/// leaves; damage before whole records is an error.
fn whole_length(shard: Shard, dir: &std::path::Path, segment: Segment) -> Result<u64, Error> {
    let path = folder::segment_path(dir, segment.base);
    let unreadable = |e: io::Error| folder::failed("read", &path, &e);
    let mut cursor = Cursor::open(dir, segment).map_err(unreadable)?;
    let mut at = segment.base;
    while at < segment.end() {
        match cursor.parse(at).map_err(unreadable)? {
            Parsed::Whole(length) => at += (HEADER + length) as u64,
            Parsed::Part(_) => break,
            Parsed::Damaged(reason) => match cursor.record_after(at).map_err(unreadable)? {
                Some(_) => {
                    return Err(Error::Damaged {
                        shard,
                        at: Position(at),
                        reason: format!("{reason}, in {}", path.display()),
                    });
                }
                None => break,
            },
        }
    }
    Ok(at - segment.base)
}

#[cfg(test)]
mod tests;
