//! Something that is made from files and made anew when they change.
//!
//! Invariants: the files are looked at at most every [`RECHECK`], and read only when one has changed; files that have
//! become unusable leave what was made of them before, with one line in the log.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const RECHECK: Duration = Duration::from_secs(2);

/// Longest file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What tells that a file has changed: inode, time of its last change (seconds and nanoseconds), length.
type Stamp = (u64, i64, i64, u64);

/// See the module.
pub struct FromFiles<T> {
    /// For the log: what it is.
    name: String,
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    looked_at: Instant,
    stamps: Vec<Option<Stamp>>,
    made: Arc<T>,
}

impl<T> fmt::Debug for FromFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFiles").field("name", &self.name).field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T> FromFiles<T> {
    /// `name` is for the log; `make` is called now, and again when one of the files has changed.
    pub fn open(
        name: String,
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<FromFiles<T>, String> {
        // Before they are read: a change in between is found at the next look.
        let stamps = stamps(&files);
        let made = Arc::new(make()?);
        let state = Mutex::new(State { looked_at: Instant::now(), stamps, made });
        Ok(FromFiles { name, files, make: Box::new(make), state })
    }

    /// What was made last.
    pub fn get(&self) -> Arc<T> {
        let mut state = self.state.lock();
        if state.looked_at.elapsed() >= RECHECK {
            state.looked_at = Instant::now();
            let stamps = stamps(&self.files);
            if stamps != state.stamps {
                state.stamps = stamps;
                match (self.make)() {
                    Ok(made) => {
                        tracing::info!(what = %self.name, "files have changed and were read again");
                        state.made = Arc::new(made);
                    }
                    Err(reason) => {
                        tracing::error!(what = %self.name, files = ?self.files, %reason, "files have changed and cannot be used; what was read before stays");
                    }
                }
            }
        }
        state.made.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), metadata.len()))
    };
    files.iter().map(stamp).collect()
}

/// A whole file; its length is bounded. What is no file, as a pipe that would be waited for, is refused.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it is longer than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_and_what_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().contains("no regular file"));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe).unwrap_err().contains("no regular file"));
        // It says of itself that it is empty.
        assert_eq!(std::fs::metadata("/proc/self/status").unwrap().len(), 0);
        assert!(!read(Path::new("/proc/self/status")).unwrap().is_empty());
        let long = folder.path().join("long");
        std::fs::File::create(&long).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(read(&long).unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_broken_file_leaves_what_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let number = |file: &Path| String::from_utf8(read(file)?).unwrap().parse::<u32>().map_err(|e| e.to_string());
        let path = file.clone();
        assert!(FromFiles::open("number".to_owned(), vec![file.clone()], move || number(&path)).is_err());
        std::fs::write(&file, "1").unwrap();
        let path = file.clone();
        let numbers = FromFiles::open("number".to_owned(), vec![file.clone()], move || number(&path)).unwrap();
        for (text, expected) in [("one", 1), ("2", 2), ("", 2), ("3", 3)] {
            std::fs::write(&file, text).unwrap();
            numbers.state.lock().looked_at -= RECHECK;
            assert_eq!(*numbers.get(), expected, "{text:?}");
        }
    }
}
