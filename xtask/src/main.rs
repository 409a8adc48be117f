//! The project's own chores, with nothing needed but cargo: `cargo xtask demo | test | web | bench | conformance |
//! tidy`.
//!
//! A chore installs what it is missing, says so in one line, asks nothing, and may be repeated at once. Nothing
//! here knows what Hansard does: whatever starts databases, brokers or Hansard itself lies in `tests/`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apt;
mod bench;
mod conformance;
mod demo;
mod provision;
mod shell;
mod test;
mod tidy;
mod wasm;
mod web;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores.")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Starts everything with a real PostgreSQL, runs sample jobs and answers the 03:12 question.
    Demo {
        /// Stop after the answer instead of staying up.
        #[arg(long)]
        exit: bool,
    },
    /// Every check and every test of the project.
    Test,
    /// Builds the web replay to WebAssembly, into web/dist.
    Web,
    /// Measures; figures for docs/benchmarks.md.
    Bench {
        #[command(subcommand)]
        subject: bench::Subject,
    },
    /// Drivers' own test suites, straight to a real PostgreSQL and through Hansard.
    Conformance {
        /// Run these suites only.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// With TLS, where a suite asks for it or prefers it.
        #[arg(long)]
        tls: bool,
    },
    /// The rules that no compiler checks.
    Tidy,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = shell::Shell::new().and_then(|shell| match arguments.chore {
        Chore::Demo { exit } => demo::run(&shell, exit),
        Chore::Test => test::run(&shell),
        Chore::Web => web::run(&shell),
        Chore::Bench { subject } => bench::run(&shell, &subject),
        Chore::Conformance { only, tls } => conformance::run(&shell, &only, tls),
        Chore::Tidy => tidy::run(&shell),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
