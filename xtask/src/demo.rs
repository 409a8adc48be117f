//! `cargo xtask demo`: provides what is missing, builds, and hands over to the demo itself, a program in `tests/`
//! that has the test harness at hand.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::provision::{self, Part};
use crate::shell::Shell;
use crate::web;

pub(crate) fn run(shell: &Shell, exit: bool) -> Result<()> {
    provision::debian(shell, &[Part::Postgres, Part::Libclang])?;
    shell.say("building the web replay");
    web::run(shell)?;
    shell.say("building the programs (the first time takes some minutes)");
    shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut demo = Command::new(shell.target().join("debug/hansard-demo"));
    if exit {
        demo.arg("--exit");
    }
    // In our place: Ctrl+C and the exit code are the demo's own.
    Err(demo.exec()).context("cannot start the demo")
}
