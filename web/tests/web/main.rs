//! The web server over a real lake and a real log, asked as a browser, the command line and an attacker would.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it stands")]

mod api;
mod browser;
mod changed;
mod client;
mod described;
mod doubts;
#[allow(dead_code, unreachable_pub, reason = "the query engine's tests use more of it")]
#[path = "../../../query/tests/query/fixture.rs"]
mod fixture;
mod night;
mod omissions;
mod replayed;
mod security;
