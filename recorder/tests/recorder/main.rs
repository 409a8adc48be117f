//! The recorder from a real log to a real lake: what goes in by hand-made blocks is read back from the files.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod crash;
mod feed;
mod fixture;
mod record;
mod trouble;
