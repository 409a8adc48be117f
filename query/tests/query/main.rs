//! The query engine over a real lake and a real log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end there")]

mod bulk;
mod consistency;
mod fixture;
mod formats;
mod limits;
mod names;
mod outcomes;
mod plans;
mod questions;
mod read_only;
mod results;
mod slt;
mod updaters;
