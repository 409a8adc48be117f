//! Lines that were typed before, in a file that only its owner can read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// Most lines that are kept.
const MOST: usize = 1_000;

/// Most of the file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: Vec<String>,
    file: Option<PathBuf>,
}

impl History {
    /// What the file holds; nothing where it cannot be read.
    pub(super) fn open() -> History {
        History::of(place())
    }

    fn of(file: Option<PathBuf>) -> History {
        let mut text = String::new();
        if let Some(file) = file.as_ref().and_then(|file| fs::File::open(file).ok()) {
            // A history that is no text is none.
            let _ = file.take(MAX_FILE).read_to_string(&mut text);
        }
        let all: Vec<&str> = text.lines().collect();
        let lines = all[all.len().saturating_sub(MOST)..].iter().map(|line| (*line).to_owned()).collect();
        History { lines, file }
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Remembers a line, unless it is the last one again.
    pub(super) fn add(&mut self, line: &str) {
        if line.trim().is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push(line.to_owned());
        if self.lines.len() > MOST {
            self.lines.remove(0);
        }
    }

    /// Writes the file; where that is not possible, the lines are forgotten.
    pub(super) fn save(&self) {
        let Some(file) = &self.file else { return };
        let write = || -> std::io::Result<()> {
            if let Some(folder) = file.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let new = file.with_extension("new");
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&new)?.write_all((self.lines.join("\n") + "\n").as_bytes())?;
            fs::rename(&new, file)
        };
        let _ = write();
    }
}

/// `HANSARD_HISTORY` (empty: no file), or where XDG has states.
fn place() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("HANSARD_HISTORY") {
        return Some(PathBuf::from(file)).filter(|file| !file.as_os_str().is_empty());
    }
    let states = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|states| states.is_absolute());
    let states = states.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(states.join("hansard").join("history"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_come_back_and_are_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/history");
        let mut history = History::of(Some(file.clone()));
        for line in ["select 1;", "select 1;", " ", "\\dt"] {
            history.add(line);
        }
        history.save();
        assert_eq!(History::of(Some(file.clone())).lines(), ["select 1;", "\\dt"]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        (0..2 * MOST).for_each(|number| history.add(&number.to_string()));
        history.save();
        assert_eq!(History::of(Some(file)).lines().len(), MOST);
    }
}
