//! The lake: what the event log becomes for good.
//!
//! Four rooms. [`projection`] turns events into rows: a pure function of a session's state and its next block.
//! [`writer`] turns rows into sorted Parquet files. [`catalog`] says which files are the lake, up to which
//! position of each log shard, and what was still unfinished there. [`layout`] alone knows paths.
//!
//! Invariants: a file counts only once the catalog names it; one catalog transaction moves files, index,
//! unfinished sessions and watermark together, guarded by a fencing epoch; a reader takes one snapshot.

#![warn(missing_docs)]

pub mod catalog;
pub mod layout;
pub mod projection;
pub mod writer;
