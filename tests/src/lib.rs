//! Hansard among real parts: throw-away PostgreSQL clusters, NATS servers, Hansard processes, and a wire tap.
//!
//! The end-to-end tests, the demo and the benchmark share it. Everything that is started here is stopped when its
//! value is dropped; every port is free when it is picked; everything waited for has a bound. Nothing here knows
//! how Hansard works inside: it is reached as users reach it, through its commands, ports and files.

pub mod browser;
pub mod conformance;
pub mod decoding;
pub mod hansard;
pub mod lake;
pub mod nats;
pub mod oidc;
pub mod postgres;
pub mod process;
pub mod record;
pub mod tap;
pub mod tls;
pub mod usage;
pub mod wire;

pub use hansard::{Config, Hansard};
pub use nats::Nats;
pub use postgres::Postgres;
pub use process::{Ended, eventually, free_port};

use std::path::PathBuf;

/// The tree that the test, the demo or the benchmark is called in, not the one that it was built in: two clones may
/// share a target folder. `None` outside of any.
pub fn tree() -> Option<PathBuf> {
    let start = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).or_else(|| std::env::current_dir().ok())?;
    start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").exists()).map(PathBuf::from)
}
