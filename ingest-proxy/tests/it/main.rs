//! The proxy against a real PostgreSQL and a real event log.
//!
//! Each test process starts one throw-away cluster with `initdb` when it first needs it.

mod cluster;
mod house;
mod raw;
mod record;
mod tap;

mod denied;
mod ended;
mod hostile;
mod large;
mod relayed;
mod unrecordable;
