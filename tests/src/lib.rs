//! Hansard among real parts: throw-away PostgreSQL clusters, NATS servers, Hansard processes, and a wire tap.
//!
//! The end-to-end tests, the demo and the benchmark share it. Everything that is started here is stopped when its
//! value is dropped; every port is free when it is picked; everything waited for has a bound. Nothing here knows
//! how Hansard works inside: it is reached as users reach it, through its commands, ports and files.

pub mod browser;
pub mod hansard;
pub mod lake;
pub mod nats;
pub mod postgres;
pub mod process;
pub mod record;
pub mod tap;
pub mod usage;

pub use hansard::{Config, Hansard};
pub use nats::Nats;
pub use postgres::Postgres;
pub use process::{Ended, eventually, free_port};
