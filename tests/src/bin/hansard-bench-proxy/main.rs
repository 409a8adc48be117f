//! The proxy's cost: pgbench and COPY against a database directly, through HAProxy, through PgBouncer, and through
//! Hansard.
//!
//! Run by `cargo xtask bench proxy`. Contenders are measured in rounds, each in a new order, and compared within a
//! round: a machine's moods then fall on all of them. CPU per transaction is the steadier figure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]

mod contenders;
mod loads;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use hansard_tests::Postgres;
use rand::seq::SliceRandom;

use contenders::Field;
use report::Results;

#[derive(Parser)]
struct Arguments {
    /// The optimised program to measure with its recorder.
    #[arg(long)]
    hansard: PathBuf,
    /// The optimised program to measure that has only the proxy.
    #[arg(long)]
    slim: PathBuf,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Only loads whose name contains this.
    #[arg(long)]
    load: Option<String>,
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(arguments: &Arguments) -> Result<()> {
    let loads = loads::named(arguments.load.as_deref())?;
    let postgres = Postgres::start_on(None, &["ssl=on"]).await?;
    // Small enough to lie in memory.
    postgres.initialise_pgbench(10)?;
    let field = Field::set_up(&postgres, &arguments.hansard, &arguments.slim)?;
    let mut results = Results::default();
    for round in 1..=arguments.rounds {
        for load in &loads {
            let mut contenders: Vec<_> = field.contenders.iter().filter(|contender| load.concerns(contender)).collect();
            contenders.shuffle(&mut rand::rng());
            for contender in contenders {
                let measured = load.measure(&postgres, contender, field.folder(), arguments.seconds)?;
                println!(
                    "round {round}, {}, {}: {:.0} {}, {:.1} µs of CPU each",
                    load.name,
                    contender.name,
                    measured.rate,
                    load.unit(),
                    measured.cpu_us
                );
                results.add(load, contender, measured);
            }
        }
    }
    let report = results.report(&loads, &field.contenders, arguments.rounds, arguments.seconds)?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
