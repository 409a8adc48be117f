//! `cargo xtask bench`: builds optimised programs and hands over to the benchmark, a program in `tests/`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
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
        json: Option<PathBuf>,
    },
    /// What bad inputs cost: CPU time and memory of proxy, recorder and query engine, beside `pgbench -M simple`; 1 where
    /// an input is over a bar.
    Hostile {
        /// Only inputs whose name contains this.
        #[arg(long)]
        input: Option<String>,
        /// Also write the figures to this file, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// What `who-updated` takes over a lake of ten million touches, from memory and (as root) from the disk; about 1 GB of
    /// a temporary folder while it runs.
    Answer {
        /// Touches in the lake.
        #[arg(long, default_value_t = 10_000_000)]
        touches: u64,
    },
    /// What reading costs: a session of a million statements, a list of a hundred thousand sessions, questions that were
    /// given up, many askers at once; 1 where a figure is over its bar.
    Read {
        /// Statements in the long session.
        #[arg(long, default_value_t = 1_000_000)]
        statements: u64,
        /// Sessions in the list.
        #[arg(long, default_value_t = 100_000)]
        sessions: u64,
        /// Without optimisation, as it is developed: much sooner built.
        #[arg(long)]
        dev: bool,
    },
}

pub(crate) fn run(shell: &Shell, subject: &Subject) -> Result<()> {
    match subject {
        Subject::Proxy { rounds, seconds, load, json } => {
            let parts = [Part::Postgres, Part::Libclang, Part::PgBouncer, Part::Haproxy];
            let slim = slim(shell, &parts)?;
            let mut bench = built(shell, &parts, "hansard-bench-proxy")?;
            bench.arg("--slim").arg(slim);
            bench.env("NATS_SERVER", provision::python(shell)?.join("bin/nats-server"));
            bench.args(["--rounds", &rounds.to_string(), "--seconds", &seconds.to_string()]);
            start(bench, ("--load", load.as_deref()), json.as_deref())
        }
        Subject::Hostile { input, json } => {
            let bench = built(shell, &[Part::Postgres, Part::Libclang], "hansard-bench-hostile")?;
            start(bench, ("--input", input.as_deref()), json.as_deref())
        }
        Subject::Read { statements, sessions, dev } => {
            provision::debian(shell, &[Part::Libclang])?;
            let profile: &[&str] = if *dev { &[] } else { &["--release"] };
            shell.say("building hansard and what writes the lake");
            shell.run(
                shell.cargo().args(["build", "--locked", "--package", "hansard", "--bin", "hansard"]).args(profile),
            )?;
            let example = ["build", "--locked", "--workspace", "--example", "reading_lake"];
            shell.run(shell.cargo().args(example).args(profile))?;
            shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
            let folder = shell.target().join(if *dev { "debug" } else { "release" });
            let mut bench = Command::new(shell.target().join("debug/hansard-bench-read"));
            bench.arg("--hansard").arg(folder.join("hansard")).arg("--lake").arg(folder.join("examples/reading_lake"));
            bench.args(["--statements", &statements.to_string(), "--sessions", &sessions.to_string()]);
            Err(bench.exec()).context("cannot start the benchmark")
        }
        Subject::Answer { touches } => {
            provision::debian(shell, &[Part::Libclang])?;
            shell.say("building the query engine, optimised (the first time takes many minutes)");
            let example = ["--release", "--locked", "--package", "hansard-query", "--example", "answer_cost"];
            shell.run(shell.cargo().arg("run").args(example).arg("--").arg(touches.to_string()))
        }
    }
}

/// Hansard as it ships.
const RELEASE: [&str; 7] = ["build", "--release", "--locked", "--package", "hansard", "--bin", "hansard"];

/// The program that has only the proxy. Beside the whole one, which takes its name next.
fn slim(shell: &Shell, parts: &[Part]) -> Result<PathBuf> {
    provision::debian(shell, parts)?;
    shell.say("building the slim proxy, optimised (the first time takes minutes)");
    shell.run(shell.cargo().args(RELEASE).args(["--no-default-features", "--features", "proxy"]))?;
    let folder = shell.target().join("release");
    std::fs::copy(folder.join("hansard"), folder.join("hansard-slim")).context("cannot keep the slim proxy")?;
    Ok(folder.join("hansard-slim"))
}

/// A benchmark, and the whole program that it measures.
fn built(shell: &Shell, parts: &[Part], name: &str) -> Result<Command> {
    provision::debian(shell, parts)?;
    shell.say("building hansard, optimised (the first time takes many minutes)");
    shell.run(shell.cargo().args(RELEASE))?;
    shell.say("building the benchmark");
    shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut bench = Command::new(shell.target().join("debug").join(name));
    bench.arg("--hansard").arg(shell.target().join("release/hansard"));
    Ok(bench)
}

/// Becomes the benchmark.
fn start(mut bench: Command, (name, value): (&str, Option<&str>), json: Option<&Path>) -> Result<()> {
    if let Some(value) = value {
        bench.arg(name).arg(value);
    }
    if let Some(json) = json {
        bench.arg("--json").arg(std::path::absolute(json)?);
    }
    Err(bench.exec()).context("cannot start the benchmark")
}
