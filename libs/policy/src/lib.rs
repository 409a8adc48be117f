//! SQL analysis: what each statement of a text does, to which relations.
//!
//! A text is split into statements by a scanner, which follows PostgreSQL's lexer, and each statement is parsed by
//! PostgreSQL's own grammar (libpg_query). Of a statement that cannot be parsed, or is too long to be, only what its
//! first words make certain is told.
//!
//! Invariants: what is not understood has a reason in [`Statement::opaque`], and is never a guess; no text makes
//! [`analyse`] panic or overflow the stack; time grows with the text's length alone, and so does memory, up to a bound
//! for the parser's tree. Nothing here has a socket or a clock. Names come out as they are written; what they mean, and
//! what hides behind them, is told by [`reach`] with a [`catalog`] that somebody else has read.

#![warn(missing_docs)]
// What reads catalogs needs little of the scanner, and nothing of the parser.
#![cfg_attr(not(feature = "parse"), allow(dead_code, reason = "the scanner serves the analysis, too"))]

#[cfg(feature = "parse")]
mod analysis;
#[cfg(feature = "parse")]
mod attached;
pub mod catalog;
mod changed_names;
#[cfg(feature = "parse")]
mod compact;
#[cfg(feature = "parse")]
mod constants;
#[cfg(feature = "parse")]
mod deep;
#[cfg(feature = "parse")]
mod definitions;
#[cfg(feature = "parse")]
mod expression;
#[cfg(feature = "parse")]
mod functions;
#[cfg(feature = "parse")]
mod head;
#[cfg(feature = "parse")]
mod names;
mod nesting;
#[cfg(feature = "parse")]
mod operation;
#[cfg(feature = "parse")]
mod procedural;
#[cfg(feature = "parse")]
mod query;
#[cfg(feature = "parse")]
pub mod reach;
#[cfg(feature = "parse")]
mod relations;
#[cfg(feature = "parse")]
mod rewrites;
#[cfg(feature = "parse")]
mod routines;
mod scan;
#[cfg(feature = "parse")]
mod scopes;
mod search_path;
#[cfg(feature = "parse")]
mod settings;
#[cfg(feature = "parse")]
mod shape;
#[cfg(feature = "parse")]
mod statement;
#[cfg(all(test, feature = "parse"))]
mod tests;
#[cfg(feature = "parse")]
mod transactions;
#[cfg(feature = "parse")]
mod types_and_operators;
#[cfg(feature = "parse")]
mod utility;

#[cfg(feature = "parse")]
pub use analysis::{MAX_FINGERPRINT, MAX_STATEMENTS, MAX_TEXT, analyse, analyse_as};
#[cfg(feature = "parse")]
pub(crate) use analysis::{SHALLOW, parse, statements};
#[cfg(all(test, feature = "parse"))]
pub(crate) use analysis::{parser_options, range, without_constants};
pub use changed_names::{ChangedNames, LongText, changed_names};
#[cfg(feature = "parse")]
pub use constants::{Constant, Rows};
#[cfg(feature = "parse")]
pub use functions::is_built_in;
#[cfg(feature = "parse")]
pub use operation::Operation;
#[cfg(feature = "parse")]
pub use relations::{MAX_COLUMNS, MAX_RELATIONS};
pub use search_path::{is_numbered_temporary, schemas_of_setting};
#[cfg(feature = "parse")]
pub use shape::shape;
#[cfg(feature = "parse")]
pub use statement::*;

/// Settings of a session that change how a text reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// The setting of that name: backslashes in '...' are plain characters.
    pub standard_conforming_strings: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { standard_conforming_strings: true }
    }
}
