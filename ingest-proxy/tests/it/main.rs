//! The proxy against a real PostgreSQL and a real event log.
//!
//! Each test process starts one throw-away cluster with `initdb` when it first needs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod cluster;
mod fake;
mod proxy;
mod raw;
mod record;
mod tap;

mod bearer;
mod catalog;
mod copies;
mod denied;
mod ended;
mod ended_by_clock;
mod hostile;
mod identity_settings;
mod issuers;
mod large;
mod levels;
mod relayed;
mod secrets;
mod startup_attacks;
mod stops;
mod tls;
mod tls_upstream;
mod unidentified;
mod unrecordable;
