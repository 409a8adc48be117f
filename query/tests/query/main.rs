//! The query engine over a real lake and a real log.

mod bulk;
mod consistency;
mod fixture;
mod formats;
mod limits;
mod plans;
mod questions;
mod read_only;
mod results;
mod slt;
