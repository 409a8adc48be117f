//! Questions to the record: DataFusion over one snapshot of lake and hot tail.
//!
//! ```text
//! catalog.snapshot ── files ─────────────────┐
//!       └ watermarks, unfinished sessions    ├─ one plan ─ Answer ─ format
//! event log above the watermarks ─ Projector ┘
//! ```
//!
//! Invariants: all tables of one query show the same moment, no row twice and none missing (`engine`, `view`, `hot`);
//! nothing here can change the record or read a file outside the lake (`guard`); every bound that is reached is said.

#![warn(missing_docs)]

mod answer;
mod bounds;
mod cells;
mod dialect;
mod engine;
mod error;
mod export;
pub mod format;
mod functions;
mod guard;
mod hot;
mod identities;
mod lanes;
mod moment;
mod names;
mod omission;
mod outcomes;
mod plain;
mod pruning;
mod questions;
mod results;
mod sink;
mod standing;
mod table;
mod view;
mod watch;
mod weight;

pub use answer::Answer;
pub use engine::{Engine, EngineOptions, Formatted};
pub use error::{Error, ErrorKind};
pub use export::{Export, Piece};
pub use guard::MAX_SQL;
pub use lanes::Load;
pub use moment::{Moment, length_of, rfc3339};
pub use omission::Omission;
pub use questions::{
    AskedChanges, ChangesQuestion, KnownRelation, MAX_PAGE, SessionFilter, SessionOrder, SessionPage, SortBy, Sought,
    SoughtStep, WrongParameter, is_cursor, operation, who_touched,
};
