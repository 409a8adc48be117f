//! Who can read what Hansard writes: its owner, and a group where the configuration names one.
//!
//! Invariant: whatever the umask that a process was started with, folders of the record have mode 0700 and files 0600;
//! with `recording.group` 2750 (what is made in them is the group's, too) and 0640. Keys and tokens stay 0600.
//!
//! The folders are made here, before anything is opened; log and lake give what they make in them the same readers.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::{Config, Group};
use crate::failure::Failure;

/// Bits for others than the owner.
const NOT_OWNER: u32 = 0o077;
const OTHERS: u32 = 0o007;

/// Makes the folders of the record, and closes those that are there to all others than the configuration says.
pub(crate) fn prepare(config: &Config) -> Result<(), Failure> {
    let group = config.group.as_ref();
    // Those around the record may hold other things, too: they are opened to the group, and closed to nobody.
    for folder in [config.data.as_path(), parent(&config.lake.catalog_file())] {
        let made = make(folder)?;
        if let Some(group) = group {
            let mode = if made { 0o2750 } else { mode_of(folder)? | 0o2050 };
            give(folder, Some(group), mode)?;
        }
    }
    for folder in [config.event_log.path.clone(), config.lake.folder(), config.data.join("run")] {
        make(&folder)?;
        give(&folder, group, if group.is_some() { 0o2750 } else { 0o700 })?;
    }
    // Older versions made it with the umask that they were started with. SQLite makes its journals as the database is.
    let catalog = config.lake.catalog_file();
    if catalog.exists() {
        give(&catalog, group, if group.is_some() { 0o640 } else { 0o600 })?;
    }
    Ok(())
}

/// Makes a folder, its owner's alone, where there is none; says whether it did.
fn make(folder: &Path) -> Result<bool, Failure> {
    if folder.exists() {
        return Ok(false);
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map(|()| true).map_err(|error| failed(folder, &error))
}

fn mode_of(path: &Path) -> Result<u32, Failure> {
    fs::metadata(path).map(|metadata| metadata.mode() & 0o7777).map_err(|error| failed(path, &error))
}

/// Where it is not so already: somebody else's folder that is as it should be stays as it is.
fn give(path: &Path, group: Option<&Group>, mode: u32) -> Result<(), Failure> {
    let found = fs::metadata(path).map_err(|error| failed(path, &error))?;
    let set = || -> io::Result<()> {
        if let Some(group) = group.filter(|group| group.id != found.gid()) {
            std::os::unix::fs::chown(path, None, Some(group.id))?;
        }
        // A new group may have taken the bit that hands it down.
        if fs::metadata(path)?.mode() & 0o7777 != mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(())
    };
    set().map_err(|error| {
        let (path, group) =
            (path.display(), group.map(|group| format!("chgrp {} {path} && ", group.name, path = path.display())));
        Failure::usage(format!(
            "{path} cannot be closed to others: {error}; run as its owner: {}chmod {mode:o} {path}",
            group.unwrap_or_default()
        ))
    })?;
    if found.mode() & 0o7777 & !mode & NOT_OWNER != 0 {
        tracing::warn!(path = %path.display(), from = format!("{:o}", found.mode() & 0o7777), to = format!("{mode:o}"), "others could read the record: closed");
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} cannot be made private: {error}", path.display()))
}

fn parent(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// The mode of a socket of this record: who may ask is who may read.
#[cfg(feature = "query")]
pub(crate) fn socket_mode(config: &Config) -> u32 {
    if config.group.is_some() { 0o660 } else { 0o600 }
}

/// Makes a small file beside the record, with who may read it.
pub(crate) fn file(config: &Config, path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    if config.group.is_some() {
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(file)
}

/// What others than the owner can read, and what to type, a finding each: `(what, reason)`.
pub(crate) fn exposures(config: &Config) -> Vec<(String, String)> {
    let group = config.group.as_ref();
    let catalog = config.lake.catalog_file();
    let mut found = Vec::new();
    for (what, path) in [
        ("event_log.path", config.event_log.path.clone()),
        ("lake.url", config.lake.folder()),
        ("lake.catalog", catalog.clone()),
        ("data/run", config.data.join("run")),
    ] {
        found.extend(exposed(&path, group).map(|who| (what.to_owned(), open_to(&path, who, "chmod -R"))));
    }
    for suffix in ["-wal", "-shm"] {
        let journal = PathBuf::from(format!("{}{suffix}", catalog.display()));
        found.extend(exposed(&journal, group).map(|who| ("lake.catalog".to_owned(), open_to(&journal, who, "chmod"))));
    }
    for (what, path) in secrets(config) {
        found.extend(exposed(&path, None).map(|who| (what, open_to(&path, who, "chmod"))));
    }
    found
}

/// Files that nobody but the owner should read, with the keys that name them.
fn secrets(config: &Config) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for issuer in &config.issuers {
        let key = format!("issuer {} private_key_file", issuer.options.name);
        files.extend(issuer.private_key_file.iter().map(|file| (key.clone(), file.clone())));
    }
    for target in &config.targets {
        let key = |name: &str| format!("target {} {name}", target.name);
        files.extend(target.upstream.password_file.iter().map(|file| (key("upstream_password_file"), file.clone())));
        files.extend(target.tls.iter().map(|tls| (key("tls.key_file"), tls.key_file.clone())));
    }
    files.extend(config.web.iter().map(|web| ("web.token_file".to_owned(), web.token_file.clone())));
    let credentials = config.event_log.nats.as_ref().and_then(|nats| nats.credentials_file.clone());
    files.extend(credentials.map(|file| ("event_log.credentials_file".to_owned(), file)));
    files
}

fn open_to(path: &Path, who: &str, command: &str) -> String {
    let bits = if who == "others" { "o-rwx" } else { "go-rwx" };
    format!("{path} can be read by {who}; run: {command} {bits} {path}", path = path.display())
}

/// Who can read it besides its owner (and the group that may). What does not exist can be read by nobody.
fn exposed(path: &Path, group: Option<&Group>) -> Option<&'static str> {
    let found = fs::metadata(path).ok()?;
    let passable = |bits: u32| {
        let above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        above.map(fs::metadata).all(|folder| folder.is_ok_and(|folder| folder.mode() & bits != 0))
    };
    let reads = |bits: u32| found.mode() & bits & 0o066 != 0 || found.is_dir() && found.mode() & bits & 0o011 != 0;
    if reads(OTHERS) && passable(0o001) {
        return Some("others");
    }
    let theirs = group.is_some_and(|group| group.id == found.gid());
    (!theirs && reads(0o070) && passable(0o011)).then_some("its group")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_lies_in_a_closed_folder_is_not_exposed() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("inner"), folder.path().join("inner/file"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "").unwrap();
        set(&inner, 0o755);
        set(&file, 0o644);
        set(folder.path(), 0o700);
        assert_eq!(exposed(&file, None), None);
        set(folder.path(), 0o711);
        assert_eq!(exposed(&file, None), Some("others"));
        set(&file, 0o640);
        assert_eq!(exposed(&file, None), Some("its group"));
        let id = fs::metadata(&file).unwrap().gid();
        assert_eq!(exposed(&file, Some(&Group { name: "readers".to_owned(), id })), None);
        assert_eq!(exposed(&file, Some(&Group { name: "readers".to_owned(), id: id + 1 })), Some("its group"));
        set(&file, 0o600);
        assert_eq!(exposed(&file, None), None);
        assert_eq!(exposed(&folder.path().join("none"), None), None);
    }
}
