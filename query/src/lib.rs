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
mod cells;
mod engine;
mod error;
pub mod format;
mod functions;
mod guard;
mod hot;
mod moment;
mod names;
mod omission;
mod outcomes;
mod pruning;
mod questions;
mod results;
mod table;
mod view;

pub use answer::Answer;
pub use engine::{Engine, EngineOptions};
pub use error::{Error, ErrorKind};
pub use guard::MAX_SQL;
pub use moment::{Moment, rfc3339};
pub use omission::Omission;
pub use questions::{
    AskedChanges, ChangesQuestion, KnownRelation, MAX_PAGE, SessionFilter, SessionOrder, SessionPage, SortBy, Sought,
    SoughtStep, WrongParameter,
};
