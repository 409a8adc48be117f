//! What can go wrong with the lake, in words that its user can act on.

use std::io;
use std::path::PathBuf;

use crate::catalog;

/// Why the lake could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration names a place that this version cannot use.
    #[error("the lake cannot be at {given}: {reason}")]
    Location {
        /// As configured.
        given: String,
        /// Why, and what to do.
        reason: String,
    },
    /// There is no lake to read.
    #[error("there is no lake at {}: nothing was recorded there yet, or the configuration names another place", path.display())]
    Absent {
        /// What is missing.
        path: PathBuf,
    },
    /// A folder of the lake cannot be used.
    #[error("the lake folder {} cannot be used ({source}): make it a folder that this user can write to, or name another in the configuration", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No space is left.
    #[error("no space is left for the lake at {}: free some, or recording waits", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// A file cannot be written or read.
    #[error("{} cannot be {action} ({source})", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// "written", "read" or "deleted".
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store that holds the files does not answer.
    #[error("the lake's store does not answer for {path}")]
    Store {
        /// The file.
        path: String,
        /// What it said.
        #[source]
        source: object_store::Error,
    },
    /// A file is not the Parquet file that the catalog says it is, or rows do not fit their table.
    #[error("{path} is not a proper file of the lake: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The lake was opened for reading only.
    #[error("the lake was opened for reading only")]
    ReadOnly,
    /// The catalog could not do it.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

impl Error {
    /// Sorts an error of the file system: a full disk is its own kind.
    pub(crate) fn file(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Error {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { path },
            _ => Error::File { path, action, source },
        }
    }

    /// True where trying again may help, without anybody changing the lake's contents.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Full { .. } | Error::File { .. } | Error::Folder { .. } | Error::Store { .. } => true,
            Error::Catalog(error) => matches!(error, catalog::Error::Unavailable { .. }),
            Error::Location { .. } | Error::Absent { .. } | Error::Format { .. } | Error::ReadOnly => false,
        }
    }
}
