//! `cargo xtask web`: the web replay, compiled to WebAssembly.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// Builds the replay; `root` is the workspace's.
pub(crate) fn run(root: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--package", "hansard-ui", "--target", "wasm32-unknown-unknown", "--profile", "wasm"])
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("the web replay does not build for wasm32");
    }
    Ok(())
}
