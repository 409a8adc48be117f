//! What lies where in a log folder, and the small files in it.
//!
//! ```text
//! meta                 format version and number of shards, as text
//! node                 the folder's identity, a UUID
//! lock                 held by the one writer
//! control              the control feed (`control/file.rs`)
//! shard-0000/          one per shard
//!   <base>.seg         records from position <base> on (20 digits)
//!   trimmed            the position before which everything was let go
//!   trim-request       the same, asked for by a reader in another process
//!   probe              there for a moment, while a disk that refused is tried again
//! ```
//!
//! Invariant: a small file is replaced whole and is on the disk before its caller goes on. Only the two positions are
//! written over in place where the disk is full: trimming is what makes room, so it must need none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{Error, Shard};

/// Positions grow without a hole within one opening of the log by a writer. Each opening begins a new run of positions at a
/// multiple of this, further on than anything that was handed out before: so positions that a power cut took from the
/// log, or that belong to a folder since deleted, are never used again for other blocks.
const RUN: u64 = 1 << 30;

const TRIMMED: &str = "trimmed";
const TRIM_REQUEST: &str = "trim-request";
const PROBE: &str = "probe";

/// A segment file: records from `base` to `base + length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    pub(crate) length: u64,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.base + self.length
    }

    /// Whether a run of positions begins here, so that what comes before may end anywhere.
    pub(crate) fn begins_run(&self) -> bool {
        self.base.is_multiple_of(RUN)
    }
}

/// Where the next run of positions begins: after `end`, the end of what there is, with a run to spare for what
/// a power cut may have taken, and after the runs of any folder that was deleted, by the clock (one run a second).
pub(crate) fn next_run(end: u64, unix_millis: u64) -> u64 {
    let by_clock = (unix_millis / 1000).saturating_mul(RUN);
    let by_end = (end / RUN + 2).saturating_mul(RUN);
    by_clock.max(by_end)
}

pub(crate) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.seg"))
}

pub(crate) fn shard_dir(path: &Path, shard: Shard) -> PathBuf {
    path.join(format!("shard-{shard:04}"))
}

/// The segments of a shard in order, with the lengths that the files have now.
pub(crate) fn segments(dir: &Path) -> Result<Vec<Segment>, Error> {
    let mut found = Vec::new();
    for base in bases(dir)? {
        found.extend(segment(dir, base)?);
    }
    Ok(found)
}

/// The same for a reader, which asks for few lengths: a segment in the middle of a run ends where the next one begins,
/// and reading it will show when it does not.
pub(crate) fn segments_to_read(dir: &Path) -> Result<Vec<Segment>, Error> {
    let bases = bases(dir)?;
    let mut found = Vec::with_capacity(bases.len());
    for (place, base) in bases.iter().enumerate() {
        match bases.get(place + 1) {
            Some(next) if !next.is_multiple_of(RUN) => found.push(Segment { base: *base, length: next - base }),
            // After all names: a segment that has a successor does not grow any more.
            _ => found.extend(segment(dir, *base)?),
        }
    }
    Ok(found)
}

fn bases(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| failed("read", dir, &e))? {
        let name = entry.map_err(|e| failed("read", dir, &e))?.file_name();
        bases.extend(name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse::<u64>().ok()));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// None when it was trimmed meanwhile.
fn segment(dir: &Path, base: u64) -> Result<Option<Segment>, Error> {
    let path = segment_path(dir, base);
    match fs::metadata(&path) {
        Ok(metadata) => Ok(Some(Segment { base, length: metadata.len() })),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", &path, &e)),
    }
}

/// The position before which everything was let go; 0 when nothing was.
pub(crate) fn trimmed(dir: &Path) -> Result<u64, Error> {
    read_position(&dir.join(TRIMMED))
}

pub(crate) fn set_trimmed(dir: &Path, mark: u64) -> Result<(), Error> {
    set_position(dir, TRIMMED, mark)
}

/// The position that a reader in another process asked to trim up to.
pub(crate) fn trim_request(dir: &Path) -> Result<u64, Error> {
    read_position(&dir.join(TRIM_REQUEST))
}

pub(crate) fn set_trim_request(dir: &Path, mark: u64) -> Result<(), Error> {
    set_position(dir, TRIM_REQUEST, mark)
}

/// Makes both positions' files, so that they can be written when there is no room for new ones.
pub(crate) fn make_positions(dir: &Path) -> Result<(), Error> {
    for name in [TRIMMED, TRIM_REQUEST] {
        if !dir.join(name).exists() {
            set_position(dir, name, 0)?;
        }
    }
    Ok(())
}

fn set_position(dir: &Path, name: &str, mark: u64) -> Result<(), Error> {
    // Twice, so that one that was being written over while it was read is known.
    let text = format!("{mark:020} {mark:020}\n");
    match replace(dir, name, &text) {
        Err(Error::Full(reason)) => overwrite(&dir.join(name), &text).map_err(|_| Error::Full(reason)),
        done => done,
    }
}

/// Takes no room where the file is as long already.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Tries for a position that is being written over.
const POSITION_TRIES: u32 = 5;

fn read_position(path: &Path) -> Result<u64, Error> {
    for _ in 0..POSITION_TRIES {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(e) => return Err(failed("read", path, &e)),
        };
        let mut words = text.split_whitespace();
        if let (Some(once), Some(twice)) = (words.next(), words.next())
            && once == twice
            && let Ok(position) = once.parse()
        {
            return Ok(position);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(Error::Incompatible(format!("{} does not hold a position; move it aside to go on", path.display())))
}

/// Reads the number of shards. None when there is no log yet.
pub(crate) fn read_meta(path: &Path) -> Result<Option<Shard>, Error> {
    let file = path.join("meta");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", &file, &e)),
    };
    let mut lines = text.lines();
    if lines.next() != Some("hansard event log 1") {
        return Err(Error::Incompatible(format!("{} is not of a log that this version reads", file.display())));
    }
    let shards = lines.next().and_then(|line| line.strip_prefix("shards ")).and_then(|n| n.parse().ok());
    match shards {
        Some(shards) if shards > 0 => Ok(Some(shards)),
        _ => Err(Error::Incompatible(format!("{} does not say the number of shards", file.display()))),
    }
}

pub(crate) fn write_meta(path: &Path, shards: Shard) -> Result<(), Error> {
    replace(path, "meta", &format!("hansard event log 1\nshards {shards}\n"))
}

/// The folder's identity, made up when it has none yet.
pub(crate) fn node(path: &Path) -> Result<String, Error> {
    let file = path.join("node");
    match fs::read_to_string(&file) {
        Ok(text) => match Uuid::parse_str(text.trim()) {
            Ok(node) => Ok(node.to_string()),
            Err(_) => Err(Error::Incompatible(format!("{} does not hold a UUID", file.display()))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let node = Uuid::now_v7().to_string();
            replace(path, "node", &format!("{node}\n"))?;
            Ok(node)
        }
        Err(e) => Err(failed("read", &file, &e)),
    }
}

/// Tries for the folder's lock: a reader that asks whether somebody writes holds it for a moment.
const LOCK_TRIES: u32 = 20;

/// Takes the folder over for writing, for as long as the file is held.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join("lock");
    let lock = hansard_private_files::open(File::options().create(true).truncate(false).write(true), &file)
        .map_err(|e| failed("open", &file, &e))?;
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(5)),
            Err(fs::TryLockError::Error(e)) => return Err(failed("lock", &file, &e)),
        }
    }
    Err(Error::InUse(path.display().to_string()))
}

/// Whether a process has the folder open for writing.
pub(crate) fn is_locked(path: &Path) -> bool {
    let free = File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_ok());
    !free
}

/// Whether a process keeps the folder open for writing: not only for the moment that asking takes.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join("lock")) else { return false };
    for _ in 0..LOCK_TRIES {
        match lock.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(5)),
            _ => return false,
        }
    }
    true
}

pub(crate) fn replace(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let new = dir.join(format!("{name}.new"));
    let write = || -> io::Result<()> {
        let mut file = hansard_private_files::open(File::options().create(true).truncate(true).write(true), &new)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, dir.join(name))?;
        sync_dir(dir)
    };
    write().map_err(|e| failed("write", &dir.join(name), &e))
}

/// Whether the disk takes a file of that length now.
pub(crate) fn try_disk(dir: &Path, length: usize) -> Result<(), Error> {
    let path = dir.join(PROBE);
    let created = hansard_private_files::open(File::options().create(true).truncate(true).write(true), &path);
    let written = created.and_then(|mut file| file.write_all(&vec![0; length]));
    // Made or not: what is left of it is in the way.
    let _ = fs::remove_file(&path);
    written.map_err(|e| failed("write", &path, &e))
}

/// Puts the names in a folder on the disk.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// An I/O error as one of ours: no space is [`Error::Full`], all else [`Error::Unavailable`].
pub(crate) fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    let text = format!("cannot {verb} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(text),
        _ => Error::Unavailable(text),
    }
}
