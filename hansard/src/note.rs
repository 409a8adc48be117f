//! The note that a running process leaves in `data/run/`: who it is and where it listens. The commands that read find
//! the running instance by it; so do scripts where the configuration says port 0.
//!
//! A note may be left over by a killed process: whoever reads one tries the address before believing it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::Failure;

/// What a process says about itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) pid: u32,
    pub(crate) version: String,
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
        std::fs::create_dir_all(&folder)?;
        let text = serde_json::to_vec_pretty(note)?;
        let draft = folder.join(format!(".{service}.{}", std::process::id()));
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(&text)?;
        std::fs::rename(&draft, &path)
    };
    write().map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
    Ok(Left { path })
}

fn read(config: &Config, service: &str) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(path(&config.data, service)).ok()?).ok()
}

/// Addresses that running processes of this configuration say are theirs.
pub(crate) fn addresses_in_use(config: &Config) -> Vec<SocketAddr> {
    let notes = ["up", "proxy", "record", "query", "web"].into_iter().filter_map(|service| read(config, service));
    notes.flat_map(|note| note.targets.into_values().chain(note.admin).chain(note.web)).collect()
}

/// Addresses where an instance with the API may answer, the likeliest first.
#[cfg(feature = "query")]
pub(crate) fn api_addresses(config: &Config) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for service in ["up", "query", "web"] {
        addresses.extend(read(config, service).and_then(|note| note.web));
    }
    let configured = config.web.as_ref().map(|web| web.listen).filter(|listen| listen.port() != 0);
    if let Some(address) = configured
        && !addresses.contains(&address)
    {
        addresses.push(address);
    }
    addresses
}
