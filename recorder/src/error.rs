//! Why recording of a shard has to stop.

use hansard_event_log as log;
use hansard_lake::{self as lake, catalog};
use hansard_record as record;

/// What no retry can mend. Everything else is waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another recorder took the shard.
    #[error("{0}: only one recorder may work on a shard; stop one of the two")]
    Fenced(catalog::Error),
    /// The catalog is not where this recorder left it.
    #[error("the lake's catalog is not as this recorder left it")]
    Catalog(#[source] catalog::Error),
    /// The log has let go of something that this lake does not hold.
    #[error(
        "shard {shard} of the log begins at {first}, but this lake holds it only up to {position}: the log was replaced, \
         or trimmed for another lake; name the log that this lake was recorded from, or a new lake and catalog"
    )]
    LogTrimmed {
        /// The shard.
        shard: u16,
        /// Where the log begins.
        first: u64,
        /// What this lake has.
        position: u64,
    },
    /// The log ends before the place that this lake holds.
    #[error(
        "shard {shard} of the log ends at {end}, but this lake holds it up to {position}: the log was set back, by a \
         power cut (start the proxy, which goes on behind that place) or by hand (bring back the log that this lake \
         was recorded from, or name a new lake and catalog)"
    )]
    LogRewound {
        /// The shard.
        shard: u16,
        /// Where the log ends.
        end: u64,
        /// What this lake has.
        position: u64,
    },
    /// The log cannot be read, and will not get better by itself.
    #[error("the event log cannot be read any further; nothing after this place is recorded until it is repaired")]
    Log(#[source] log::Error),
    /// A saved state cannot be read.
    #[error("unfinished sessions of the lake cannot be gone on with")]
    State(#[from] record::Error),
    /// The lake refuses for good.
    #[error("the lake does not take the rows")]
    Lake(#[source] lake::Error),
    /// Told to stop while the lake took nothing.
    #[error(
        "stopped before the lake took the last rows of shard {shard}; they are in the log, the next start records them"
    )]
    GivenUp {
        /// The shard.
        shard: u16,
    },
    /// The task ended by itself, which is a defect.
    #[error("the recorder's task ended unexpectedly: {0}")]
    Stopped(String),
}

/// An error and what is behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        // Transparent wrappers would say the same twice.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = inner.source();
    }
    line
}
