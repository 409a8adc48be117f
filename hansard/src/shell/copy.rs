//! `\copy`: all of an answer as a file.
//!
//! Invariants: a file appears under its name when it is whole, and not before; no file is overwritten; what is in it is
//! nobody else's to read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Shell;
use crate::cli::Format;
use crate::failure::Failure;
use crate::output;
use crate::show::write;

const USAGE: &str =
    "\\copy is written \\copy (SELECT ...) TO FILE, where FILE ends in .csv, .json or .parquet, or TO STDOUT";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Copy<'a> {
    sql: String,
    /// `None`: standard output.
    file: Option<&'a str>,
    format: Format,
}

impl Copy<'_> {
    /// `(SQL) TO FILE [[WITH] CSV [HEADER]]`, or a table in place of the question. A heading is always written.
    fn parse(text: &str) -> Option<Copy<'_>> {
        let to = text.to_ascii_lowercase().rfind(" to ")?;
        let (what, file) = (text[..to].trim(), text[to + 4..].trim());
        let (file, rest) = match file.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => file.split_once(char::is_whitespace).unwrap_or((file, "")),
        };
        let rest = rest.to_ascii_lowercase();
        let words: Vec<&str> =
            rest.split(|c: char| c.is_whitespace() || "(),".contains(c)).filter(|word| !word.is_empty()).collect();
        let asked = match words.as_slice() {
            [] => None,
            [words @ .., "csv"] | [words @ .., "csv", "header"]
                if matches!(words, [] | ["with"] | ["format"] | ["with", "format"]) =>
            {
                Some(Format::Csv)
            }
            _ => return None,
        };
        let sql = match what.strip_prefix('(').and_then(|sql| sql.strip_suffix(')')) {
            Some(sql) => sql.to_owned(),
            None => format!("SELECT * FROM {what}"),
        };
        if file.eq_ignore_ascii_case("stdout") {
            return Some(Copy { sql, file: None, format: asked.unwrap_or(Format::Csv) });
        }
        let ending = Path::new(file).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let format = match (ending, asked) {
            (_, Some(asked)) => asked,
            ("csv", None) => Format::Csv,
            ("json", None) => Format::Json,
            ("parquet", None) => Format::Parquet,
            _ => return None,
        };
        Some(Copy { sql, file: Some(file), format })
    }
}

pub(super) async fn copy(shell: &Shell<'_>, text: &str) -> Result<(), Failure> {
    let Copy { sql, file, format } = Copy::parse(text).ok_or_else(|| Failure::usage(USAGE))?;
    let Some(name) = file else {
        return shell.ask_as(&sql, format).await;
    };
    let failed = |error: io::Error| Failure::usage(format!("{name}: {error}"));
    let mut file = NewFile::begin(Path::new(name)).map_err(failed)?;
    let take = |bytes: &[u8]| file.write(bytes).map_err(failed);
    let rows = shell.interruptible(write(shell.record, &sql, format, take)).await?;
    file.keep().map_err(failed)?;
    output::line(&format!("{rows} rows written to {name}"))
}

/// A file that is being written, beside its place. Dropped, it is gone.
struct NewFile {
    path: PathBuf,
    draft: PathBuf,
    file: File,
}

impl NewFile {
    fn begin(path: &Path) -> io::Result<NewFile> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        if fs::symlink_metadata(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.part", std::process::id()));
        let draft = path.with_file_name(draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        Ok(NewFile { path: path.to_path_buf(), draft, file })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// It is whole: gives it its name, if nobody has taken that meanwhile.
    fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        match fs::hard_link(&self.draft, &self.path) {
            // A file system that has no links.
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                match fs::symlink_metadata(&self.path) {
                    Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                    Err(_) => fs::rename(&self.draft, &self.path),
                }
            }
            linked => linked,
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // One that stays is told by its name.
        let _ = fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_written_as_for_psql() {
        let copy = |sql: &str, file, format| Some(Copy { sql: sql.to_owned(), file, format });
        for (text, expected) in [
            ("(SELECT 1) TO a.csv", copy("SELECT 1", Some("a.csv"), Format::Csv)),
            ("frames to /x/a.json", copy("SELECT * FROM frames", Some("/x/a.json"), Format::Json)),
            ("(SELECT ' to ') to 'a b.parquet'", copy("SELECT ' to '", Some("a b.parquet"), Format::Parquet)),
            ("(SELECT 1) TO 'a.txt' WITH CSV HEADER", copy("SELECT 1", Some("a.txt"), Format::Csv)),
            ("(SELECT 1) TO a.txt (FORMAT csv, HEADER)", copy("SELECT 1", Some("a.txt"), Format::Csv)),
            ("(SELECT 1) TO STDOUT", copy("SELECT 1", None, Format::Csv)),
            ("(SELECT 1) TO a.txt", None),
            ("(SELECT 1) TO a.csv BINARY", None),
            ("frames FROM a.csv", None),
        ] {
            assert_eq!(Copy::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let files = || fs::read_dir(folder.path()).unwrap().count();
        let mut broken = NewFile::begin(&path).unwrap();
        broken.write(b"half").unwrap();
        assert!(!path.exists());
        drop(broken);
        assert_eq!(files(), 0);

        let mut whole = NewFile::begin(&path).unwrap();
        whole.write(b"whole").unwrap();
        whole.keep().unwrap();
        assert_eq!((fs::read(&path).unwrap(), files()), (b"whole".to_vec(), 1));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        assert_eq!(NewFile::begin(&path).err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
        // Somebody else was faster.
        let other = folder.path().join("b.csv");
        let slow = NewFile::begin(&other).unwrap();
        fs::write(&other, b"theirs").unwrap();
        assert_eq!(slow.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&other).unwrap(), files()), (b"theirs".to_vec(), 2));
    }
}
