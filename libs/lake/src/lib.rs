//! The lake: what the event log becomes for good.
//!
//! [`writer`] turns rows, as Arrow, into sorted Parquet files, [`compaction`] merges small ones into large ones. [`catalog`]
//! says which files are the lake, up to which position of each log shard, and what was still unfinished there.
//! [`layout`] alone knows paths; [`durable`] alone makes a file appear under one; [`orphans`] are deleted.
//!
//! Invariants: a file counts only once the catalog names it; one catalog transaction moves files, index,
//! unfinished sessions and watermark together, guarded by a fencing epoch; a reader takes one snapshot.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

pub mod catalog;
pub mod compaction;
pub mod durable;
mod error;
pub mod layout;
pub mod orphans;
pub mod writer;

pub use error::Error;

use catalog::{Catalog, SqliteCatalog};
use durable::Durable;

/// Where a lake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeOptions {
    /// `file:PATH`: the folder that holds the files.
    pub url: String,
    /// `sqlite:PATH`: the catalog's database.
    pub catalog: String,
}

/// An open lake: its files and its catalog.
#[derive(Clone)]
pub struct Lake {
    /// Reads files, by [`layout::key`].
    pub store: Arc<dyn ObjectStore>,
    /// What the lake holds.
    pub catalog: Arc<dyn Catalog>,
    durable: Option<Arc<Durable>>,
    /// When the catalog was made.
    born: Option<SystemTime>,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("store", &self.store).field("writable", &self.durable.is_some()).finish()
    }
}

impl Lake {
    /// Opens a lake for writing and reading; creates folder and catalog where they do not exist.
    ///
    /// Several processes may do so at once: the catalog's epochs keep them apart.
    pub fn open(options: &LakeOptions) -> Result<Lake, Error> {
        let root = folder(&options.url)?;
        let database = database(&options.catalog)?;
        let durable = Durable::open(&root)?;
        if let Some(parent) = database.parent() {
            durable::create_folder(parent)?;
        }
        let catalog = SqliteCatalog::open(&database)?;
        let born = orphans::born(&database);
        Ok(Lake { store: local(&root)?, catalog: Arc::new(catalog), durable: Some(Arc::new(durable)), born })
    }

    /// Opens an existing lake for reading, in any process; creates nothing.
    pub fn open_read_only(options: &LakeOptions) -> Result<Lake, Error> {
        let root = folder(&options.url)?;
        let database = database(&options.catalog)?;
        for path in [&root, &database] {
            if !path.exists() {
                return Err(Error::Absent { path: path.clone() });
            }
        }
        let catalog = SqliteCatalog::open_read_only(&database)?;
        Ok(Lake { store: local(&root)?, catalog: Arc::new(catalog), durable: None, born: None })
    }

    /// The way to write files; [`Error::ReadOnly`] when the lake was opened for reading.
    pub(crate) fn durable(&self) -> Result<&Arc<Durable>, Error> {
        self.durable.as_ref().ok_or(Error::ReadOnly)
    }
}

fn local(root: &Path) -> Result<Arc<dyn ObjectStore>, Error> {
    let store = LocalFileSystem::new_with_prefix(root)
        .map_err(|source| Error::Folder { path: root.to_owned(), source: std::io::Error::other(source) })?;
    Ok(Arc::new(store))
}

/// The folder of a `file:` URL.
fn folder(url: &str) -> Result<PathBuf, Error> {
    if url.starts_with("s3://") || url.starts_with("s3:") {
        return Err(Error::Location {
            given: url.to_owned(),
            reason: "object stores are not available in this version; use file:FOLDER".to_owned(),
        });
    }
    path_of(url, "file", "file:FOLDER")
}

/// The database file of a `sqlite:` URL.
fn database(url: &str) -> Result<PathBuf, Error> {
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Err(Error::Location {
            given: "a Postgres catalog".to_owned(),
            reason: "it is not available in this version; use sqlite:FILE".to_owned(),
        });
    }
    path_of(url, "sqlite", "sqlite:FILE")
}

fn path_of(url: &str, scheme: &str, expected: &str) -> Result<PathBuf, Error> {
    let wrong =
        |reason: &str| Error::Location { given: url.to_owned(), reason: format!("{reason}; expected {expected}") };
    let rest = url
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or_else(|| wrong("it has another scheme"))?;
    // `file:///data` and `file:/data` are the same; `file://host/data` would be another machine's.
    let path = match rest.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => return Err(wrong("it names a host")),
        None => rest,
    };
    if path.is_empty() {
        return Err(wrong("it has no path"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests;
