//! `cargo xtask bench`: builds optimised programs and hands over to the benchmark, a program in `tests/`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::provision::{self, Part};
use crate::shell::Shell;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Subject {
    /// The proxy beside a direct connection, HAProxy and PgBouncer, by pgbench.
    Proxy {
        /// Rounds; each measures every contender once, in a new order.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Seconds of each measurement.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
        /// Only loads whose name contains this.
        #[arg(long)]
        load: Option<String>,
        /// Also write the figures to this file, as JSON.
        #[arg(long)]
        json: Option<std::path::PathBuf>,
    },
}

pub(crate) fn run(shell: &Shell, subject: &Subject) -> Result<()> {
    let Subject::Proxy { rounds, seconds, load, json } = subject;
    provision::debian(shell, &[Part::Postgres, Part::Libclang, Part::PgBouncer, Part::Haproxy])?;
    let python = provision::python(shell)?;
    shell.say("building hansard, optimised (the first time takes many minutes)");
    shell.run(shell.cargo().args(["build", "--profile", "bench-proxy", "--locked", "--package", "hansard"]))?;
    shell.say("building the benchmark");
    shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut bench = Command::new(shell.target().join("debug/hansard-bench-proxy"));
    bench.arg("--hansard").arg(shell.target().join("bench-proxy/hansard"));
    bench.args(["--rounds", &rounds.to_string(), "--seconds", &seconds.to_string()]);
    bench.env("NATS_SERVER", python.join("bin/nats-server"));
    if let Some(load) = load {
        bench.arg("--load").arg(load);
    }
    if let Some(json) = json {
        bench.arg("--json").arg(std::path::absolute(json)?);
    }
    Err(bench.exec()).context("cannot start the benchmark")
}
