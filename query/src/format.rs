//! Answers as bytes: JSON, CSV, a table for a terminal, Parquet, Arrow IPC.
//!
//! Invariant: times are RFC 3339 in UTC with nanoseconds and bytes are `\x` and hex, in every textual format. What came
//! from a job can neither command a terminal ([`table`]) nor become a formula in a spreadsheet ([`csv`]).

mod binary;
mod csv;
mod json;
mod table;
mod value;

pub use binary::{arrow_stream, parquet};
pub use csv::csv;
pub use json::{json, objects};
pub use table::table;
