//! The query engine over a real lake and a real log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end there")]

mod bounded;
mod bulk;
mod busy;
mod consistency;
mod exports;
mod fixture;
mod formats;
mod headings;
mod limits;
mod names;
mod outcomes;
mod plans;
mod questions;
mod read_only;
mod results;
mod slt;
mod updaters;
