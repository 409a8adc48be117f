//! What bad inputs cost: CPU time for each megabyte of traffic in proxy, recorder and query engine, beside that of
//! `pgbench -M simple`, and memory.
//!
//! Run by `cargo xtask bench hostile`. Ends with 1 where an input is over a bar.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]

mod inputs;
mod report;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hansard_tests::Postgres;
use hansard_tests::postgres::DATABASE;

use site::Site;

#[derive(Parser)]
struct Arguments {
    /// The optimised program to measure.
    #[arg(long)]
    hansard: PathBuf,
    /// Only inputs whose name contains this.
    #[arg(long)]
    input: Option<String>,
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(&Arguments::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(over) => {
            println!("\n{over} inputs are over a bar");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How many inputs are over a bar.
async fn bench(arguments: &Arguments) -> Result<usize> {
    let inputs = inputs::named(arguments.input.as_deref());
    ensure!(!inputs.is_empty(), "no input is named like {:?}", arguments.input.as_deref().unwrap_or_default());
    let postgres = Postgres::start().await?;
    postgres.initialise_pgbench(1)?;
    postgres.superuser(DATABASE).await?.batch_execute(&inputs::schema()).await?;
    let usual = Site::open(&postgres, &arguments.hansard).await?.measure_pgbench().await?;
    report::head();
    report::row("pgbench -S -M simple, c=8", &usual, &usual);
    let (mut rows, mut over) = (vec![report::json("pgbench", &usual, &usual)], 0);
    for input in inputs {
        let name = input.name;
        let site = Site::open(&postgres, &arguments.hansard).await?;
        let measured = site.measure(input).await.with_context(|| name)?;
        over += usize::from(!report::misses(&measured, &usual).is_empty());
        report::row(name, &measured, &usual);
        rows.push(report::json(name, &measured, &usual));
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)?).with_context(|| path.display().to_string())?;
    }
    Ok(over)
}
