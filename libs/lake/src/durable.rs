//! How a file appears in the lake: whole, durable, or not at all.
//!
//! `object_store`'s local store does not call fsync; a catalog that names a file which a power cut then empties
//! would be worse than no lake. So files are written to a staging folder inside the lake, synced, renamed to their
//! path, and the folders around them synced too.
//!
//! Invariant: when [`Durable::publish`] has returned, the file survives a power cut under its path; before that,
//! nothing is there. It does not say what is in the lake: the catalog does.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::Error;

/// Folder of files that are being written; no path of the lake begins like it.
const STAGING: &str = ".staging";

/// What is older than this in the staging folder was left by a process that ended.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// How many folders are remembered as durable before the memory starts anew.
const REMEMBERED: usize = 4096;

/// The writing side of a lake in a folder.
#[derive(Debug)]
pub struct Durable {
    root: PathBuf,
    staging: PathBuf,
    synced: Mutex<HashSet<PathBuf>>,
}

/// A file on its way into the lake; deleted when dropped unpublished.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: File,
}

impl Durable {
    /// Opens the lake folder, creates it where it is missing, and proves that it can be written to.
    pub fn open(root: &Path) -> Result<Durable, Error> {
        create_folder(root)?;
        let staging = root.join(STAGING);
        create_folder(&staging)?;
        let durable = Durable { root: root.to_owned(), staging, synced: Mutex::new(HashSet::new()) };
        durable.clear_staging();
        match durable.stage() {
            Ok(_probe) => Ok(durable),
            // A full disk is a matter for later: recording waits for space.
            Err(Error::Full { .. }) => Ok(durable),
            Err(Error::File { source, .. }) => Err(Error::Folder { path: root.to_owned(), source }),
            Err(other) => Err(other),
        }
    }

    /// Begins a file.
    pub fn stage(&self) -> Result<Staged, Error> {
        let path = self.staging.join(Uuid::now_v7().to_string());
        let file = hansard_private_files::open(OpenOptions::new().write(true).create_new(true), &path)
            .map_err(|source| Error::file(&path, "written", source))?;
        Ok(Staged { path, file })
    }

    /// Makes a staged file appear at `path` (of [`crate::layout`]), replacing what an earlier try left there.
    pub fn publish(&self, staged: Staged, path: &str) -> Result<(), Error> {
        let target = self.locate(path);
        let failed = |source| Error::file(&target, "written", source);
        staged.file.sync_all().map_err(failed)?;
        let folder = target.parent().unwrap_or(&self.root);
        self.make_durable(folder).map_err(failed)?;
        fs::rename(&staged.path, &target).map_err(failed)?;
        sync_folder(folder).map_err(failed)
    }

    /// Where a path of the lake is in the file system.
    pub fn locate(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Opens a file of the lake for reading.
    pub fn read(&self, path: &str) -> Result<File, Error> {
        let target = self.locate(path);
        File::open(&target).map_err(|source| Error::file(target, "read", source))
    }

    /// Deletes a file of the lake; one that is gone already is no error.
    pub fn delete(&self, path: &str) -> Result<(), Error> {
        let target = self.locate(path);
        match fs::remove_file(&target) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::file(target, "deleted", source)),
            _ => Ok(()),
        }
    }

    /// Deletes a file of the lake if what lies there was written when `condition` says; true when it did. Nobody can
    /// put another file there in between: it is judged where nobody else finds it, and put back when it stays.
    pub fn delete_if(&self, path: &str, condition: impl FnOnce(SystemTime) -> bool) -> Result<bool, Error> {
        let target = self.locate(path);
        let aside = self.staging.join(Uuid::now_v7().to_string());
        let failed = |source| Error::file(&target, "deleted", source);
        match fs::rename(&target, &aside) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
            moved => moved.map_err(failed)?,
        }
        if fs::metadata(&aside).and_then(|metadata| metadata.modified()).is_ok_and(condition) {
            fs::remove_file(&aside).map_err(failed)?;
            return Ok(true);
        }
        fs::rename(&aside, &target).map_err(failed)?;
        Ok(false)
    }

    /// Creates a folder inside the lake and syncs every folder from the root down to it.
    fn make_durable(&self, folder: &Path) -> io::Result<()> {
        if self.synced.lock().contains(folder) && folder.exists() {
            return Ok(());
        }
        hansard_private_files::make_folder(folder)?;
        for ancestor in folder.ancestors().take_while(|ancestor| ancestor.starts_with(&self.root)) {
            sync_folder(ancestor)?;
        }
        let mut synced = self.synced.lock();
        if synced.len() >= REMEMBERED {
            synced.clear();
        }
        synced.insert(folder.to_owned());
        Ok(())
    }

    /// Deletes what processes that ended left in the staging folder; what cannot be deleted stays.
    fn clear_staging(&self) {
        let Ok(entries) = fs::read_dir(&self.staging) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
            if age.is_some_and(|age| age > ABANDONED)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "leftover file could not be deleted");
            }
        }
    }
}

#[cfg(test)]
impl Staged {
    /// A staged file on a disk that is full.
    pub(crate) fn on_a_full_disk() -> Staged {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        Staged { path: std::env::temp_dir().join(Uuid::now_v7().to_string()), file }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename there is nothing left here, which is the usual case.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "staged file could not be deleted");
        }
    }
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    hansard_private_files::make_folder(path).map_err(|source| Error::Folder { path: path.to_owned(), source })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
