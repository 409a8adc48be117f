//! The control feed in the log's folder: a file, and all of it in memory.
//!
//! Invariants: a record is on the disk before its `put` returns; the file belongs to who writes the log, and holds its lock
//! for as long; it is written anew when it is opened, and when most of it matters no more, so its length is bounded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{
    ControlLog, ControlRecord, Followed, Follower, MAX_RECORDS, Revision, WAITING, check, check_key, file, is_expired,
};
use crate::local::folder;
use crate::{Error, blocking};

const FILE: &str = "control";

/// A file up to this length is not written anew while it is open.
const SMALL: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct LocalControl {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    file: File,
    /// Of the file.
    length: u64,
    /// Of it, what the records take that there are.
    live: u64,
    records: BTreeMap<String, (ControlRecord, Revision)>,
    last: u64,
    followers: Vec<mpsc::Sender<Followed>>,
    /// What was written last is not known to be there.
    broken: bool,
    _lock: Arc<File>,
}

impl LocalControl {
    pub(crate) fn open(folder: &Path, lock: Arc<File>) -> Result<LocalControl, Error> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(folder::failed("read", &path, &error)),
        };
        let (found, _) = file::read(&bytes).map_err(|(at, reason)| {
            Error::Incompatible(format!(
                "{} is damaged at byte {at}: {reason}; moved aside, it is begun anew, without the leases and revocations in it",
                path.display()
            ))
        })?;
        let last = found.iter().map(|(_, revision)| revision.0).max().unwrap_or(0);
        let records = found.into_iter().map(|(record, revision)| (record.key.clone(), (record, revision))).collect();
        let (file, length, records) = write_anew(folder, records)?;
        let state = State {
            folder: folder.to_owned(),
            file,
            length,
            live: length,
            records,
            last,
            followers: Vec::new(),
            broken: false,
            _lock: lock,
        };
        Ok(LocalControl { state: Arc::new(Mutex::new(state)) })
    }

    async fn put_where(&self, record: ControlRecord, expected: Option<Revision>) -> Result<Option<Revision>, Error> {
        check(&record)?;
        let state = Arc::clone(&self.state);
        blocking(move || state.lock().put(record, expected)).await
    }
}

#[async_trait]
impl ControlLog for LocalControl {
    async fn put(&self, record: ControlRecord) -> Result<Revision, Error> {
        Ok(self.put_where(record, None).await?.unwrap_or_default())
    }

    async fn put_if(&self, record: ControlRecord, expected: Revision) -> Result<Option<Revision>, Error> {
        self.put_where(record, Some(expected)).await
    }

    async fn get(&self, key: &str) -> Result<Option<(ControlRecord, Revision)>, Error> {
        check_key(key)?;
        Ok(self.state.lock().records.get(key).filter(|(record, _)| !is_expired(record)).cloned())
    }

    async fn follow(&self) -> Result<Follower, Error> {
        let mut state = self.state.lock();
        let records: Vec<_> = state.records.values().filter(|(record, _)| !is_expired(record)).cloned().collect();
        let (outbox, inbox) = mpsc::channel(records.len() + 1 + WAITING);
        let all = records.into_iter().map(|(record, revision)| Followed::Record(record, revision));
        for followed in all.chain([Followed::Current]) {
            // There is room for all of them.
            let _ = outbox.try_send(followed);
        }
        state.followers.push(outbox);
        Ok(Follower { inbox })
    }

    fn trouble(&self) -> Option<String> {
        let state = self.state.lock();
        state.broken.then(|| format!("{} could not be written", state.folder.join(FILE).display()))
    }
}

impl State {
    fn put(&mut self, record: ControlRecord, expected: Option<Revision>) -> Result<Option<Revision>, Error> {
        let before = self.records.get(&record.key).filter(|(before, _)| !is_expired(before));
        let known = before.map_or(Revision::NONE, |(_, revision)| *revision);
        if expected.is_some_and(|expected| expected != known) {
            return Ok(None);
        }
        if self.broken || self.length > SMALL.max(2 * self.live) || self.records.len() >= MAX_RECORDS {
            self.renew()?;
        }
        if self.records.len() >= MAX_RECORDS && !self.records.contains_key(&record.key) {
            return Err(Error::Full(format!(
                "the control feed holds {MAX_RECORDS} records, which are all that it may"
            )));
        }
        let revision = Revision(self.last + 1);
        let bytes = file::framed(self.length, &record, revision);
        if let Err(error) = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            // What of it is there is not known: the next one writes all of it anew.
            self.broken = true;
            return Err(folder::failed("write", &self.folder.join(FILE), &error));
        }
        self.last = revision.0;
        self.length += bytes.len() as u64;
        self.live += bytes.len() as u64;
        if let Some((former, revision)) = self.records.insert(record.key.clone(), (record.clone(), revision)) {
            self.live = self.live.saturating_sub(file::framed(0, &former, revision).len() as u64);
        }
        let followed = Followed::Record(record, revision);
        self.followers.retain(|follower| follower.try_send(followed.clone()).is_ok());
        Ok(Some(revision))
    }

    fn renew(&mut self) -> Result<(), Error> {
        let (file, length, records) = write_anew(&self.folder, self.records.clone())?;
        (self.file, self.length, self.live, self.records) = (file, length, length, records);
        self.broken = false;
        Ok(())
    }
}

type Records = BTreeMap<String, (ControlRecord, Revision)>;

/// Writes what matters still to a new file, and puts it in the place of the old one.
fn write_anew(folder: &Path, mut records: Records) -> Result<(File, u64, Records), Error> {
    records.retain(|_, (record, _)| !is_expired(record));
    let mut bytes = Vec::new();
    for (record, revision) in records.values() {
        let framed = file::framed(bytes.len() as u64, record, *revision);
        bytes.extend(framed);
    }
    let (path, beside) = (folder.join(FILE), folder.join(format!("{FILE}.new")));
    let write = || {
        let mut new = hansard_private_files::open(File::options().create(true).truncate(true).write(true), &beside)?;
        new.write_all(&bytes)?;
        new.sync_data()?;
        fs::rename(&beside, &path)?;
        folder::sync_dir(folder)?;
        Ok(new)
    };
    let file = write().map_err(|error: io::Error| folder::failed("write", &path, &error))?;
    Ok((file, bytes.len() as u64, records))
}
