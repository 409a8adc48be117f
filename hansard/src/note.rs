//! The note that a running process leaves in `data/run/`: who it is, since when, and where it listens, for scripts where
//! the configuration says port 0, and for whoever is started a second time.
//!
//! A note may be left over by a killed process: whoever reads one looks first whether the process is there.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::Failure;
use crate::permissions;

/// What a process says about itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// When it was ready; UTC.
    #[serde(default)]
    pub(crate) since: String,
    #[serde(default)]
    pub(crate) admin: Option<SocketAddr>,
    #[serde(default)]
    pub(crate) web: Option<SocketAddr>,
    #[serde(default)]
    pub(crate) targets: std::collections::BTreeMap<String, SocketAddr>,
}

/// A written note; gone when dropped.
#[derive(Debug)]
pub(crate) struct Left {
    path: PathBuf,
}

impl Drop for Left {
    fn drop(&mut self) {
        // A note that stays is found out by its readers.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn path(data: &Path, service: &str) -> PathBuf {
    data.join("run").join(format!("{service}.json"))
}

/// Leaves the note, whole at once.
pub(crate) fn leave(config: &Config, service: &str, note: &Note) -> Result<Left, Failure> {
    let path = path(&config.data, service);
    let write = || -> std::io::Result<()> {
        let folder = config.data.join("run");
        let text = serde_json::to_vec_pretty(note)?;
        let draft = folder.join(format!(".{service}.{}", std::process::id()));
        let mut file = permissions::file(config, &draft)?;
        file.write_all(&text)?;
        std::fs::rename(&draft, &path)
    };
    write().map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
    Ok(Left { path })
}

fn read(config: &Config, service: &str) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(path(&config.data, service)).ok()?).ok()
}

impl Note {
    /// Where it answers, in words.
    pub(crate) fn addresses(&self) -> String {
        let targets = self.targets.iter().map(|(target, address)| format!("target {target} on {address}"));
        let web = self.web.iter().map(|address| format!("web on http://{address}"));
        let admin = self.admin.iter().map(|address| format!("admin on http://{address}"));
        targets.chain(web).chain(admin).collect::<Vec<_>>().join(", ")
    }
}

/// The services that take jobs in: one of them at a time writes a log.
const WRITERS: [&str; 2] = ["up", "proxy"];

/// Who writes the log of this configuration already, in words that end with how to stop it.
pub(crate) fn writer(config: &Config) -> String {
    let is_there = |note: &Note| Path::new("/proc").join(note.pid.to_string()).exists();
    let running = WRITERS.into_iter().find_map(|service| Some((service, read(config, service).filter(is_there)?)));
    match running {
        Some((service, note)) => format!(
            "`hansard {service}` runs already with this log: pid {pid}, since {since}, {addresses}; use that one, or \
             stop it first with: kill {pid}",
            pid = note.pid,
            since = note.since,
            addresses = note.addresses(),
        ),
        None => "another process has this log open for writing, and has left no note: it is about to start or to end; \
                 try again in a moment"
            .to_owned(),
    }
}

/// Addresses that running processes of this configuration say are theirs.
pub(crate) fn addresses_in_use(config: &Config) -> Vec<SocketAddr> {
    let notes = ["up", "proxy", "record", "query", "web"].into_iter().filter_map(|service| read(config, service));
    notes.flat_map(|note| note.targets.into_values().chain(note.admin).chain(note.web)).collect()
}
