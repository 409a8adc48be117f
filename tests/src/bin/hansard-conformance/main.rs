//! Drivers' own test suites, straight to a real PostgreSQL and through Hansard: no test that passes direct may fail via.
//!
//! Run by `cargo xtask conformance`, which fetches the suites. Each suite has a fresh cluster each way; a test counts as
//! different only when it differs twice, for some of these suites' tests fail now and then without anybody's doing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod drivers;
mod scripts;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use hansard_tests::conformance::transcript::{Transcript, compare};
use hansard_tests::conformance::{Place, Stage, Way};
use hansard_tests::process::run;

use truth::Truth;

#[derive(Parser)]
struct Arguments {
    /// Folder with the suites, as `cargo xtask conformance` lays it out.
    #[arg(long)]
    suites: PathBuf,
    /// Run these suites only.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// With TLS, both ways and on both sides of Hansard, for those suites that ask for it or prefer it.
    #[arg(long)]
    tls: bool,
}

/// A suite of tests.
struct Suite {
    name: &'static str,
    work: Work,
    /// Tests that are left out both ways, and why.
    excluded: &'static [(&'static str, &'static str)],
}

enum Work {
    /// Tests that pass or fail.
    Tests(fn(&Stage, &Sources) -> Result<Command>, fn(&str) -> Outcomes, Preparation),
    /// Programs whose every byte of output is compared.
    Output(fn(&Stage, &Sources) -> Result<Transcript>, Preparation),
}

/// Databases to be made and statements for them.
type Preparation = &'static [(&'static str, &'static [&'static str])];

/// Tests by name, and whether they passed.
type Outcomes = BTreeMap<String, bool>;

/// Where the suites are, and what is the same for all stages.
struct Sources {
    folder: PathBuf,
}

/// A line of the table.
struct Row {
    suite: &'static str,
    direct: usize,
    via: usize,
    differing: BTreeMap<String, String>,
    unsteady: usize,
    seconds: u64,
    /// What the record says of the last run via Hansard.
    truth: Truth,
}

impl Sources {
    fn of(&self, suite: &str) -> PathBuf {
        self.folder.join(suite)
    }

    fn log(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("logs");
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match conformance(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn conformance(arguments: &Arguments) -> Result<bool> {
    let sources = Sources { folder: arguments.suites.clone() };
    let place = Place::new(arguments.tls)?;
    let mut rows = Vec::new();
    let suites: Vec<Suite> = scripts::suites().into_iter().chain(drivers::suites()).collect();
    for only in &arguments.only {
        let known = || suites.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(suites.iter().any(|suite| suite.name == only), "no suite {only}; there are {}", known());
    }
    for suite in &suites {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|name| name == suite.name) {
            continue;
        }
        if !sources.of(suite.name).exists() {
            println!("{}: not there ({} is missing), left out", suite.name, sources.of(suite.name).display());
            continue;
        }
        println!("{}: running", suite.name);
        let started = Instant::now();
        let mut row = suite.run(&place, &sources).await.with_context(|| format!("suite {}", suite.name))?;
        row.seconds = started.elapsed().as_secs();
        rows.push(row);
    }
    report(&rows, &suites, &sources);
    Ok(!rows.is_empty() && rows.iter().all(|row| row.differing.is_empty() && row.truth.missed.is_empty()))
}

fn report(rows: &[Row], suites: &[Suite], sources: &Sources) {
    println!(
        "\n{:<18} {:>13} {:>10} {:>9} {:>9} {:>7}",
        "suite", "direct passed", "via passed", "differing", "unsteady", "seconds"
    );
    for row in rows {
        let Row { suite, direct, via, differing, unsteady, seconds, truth: _ } = row;
        println!("{suite:<18} {direct:>13} {via:>10} {:>9} {unsteady:>9} {seconds:>7}", differing.len());
    }
    for row in rows {
        for (test, reason) in &row.differing {
            println!("{}: {test} passes direct and not via Hansard{reason}", row.suite);
        }
    }
    println!("\nwhat the record says:");
    for row in rows {
        println!("{}: {}", row.suite, row.truth.told());
    }
    println!("\nleft out both ways:");
    for suite in suites.iter().filter(|suite| rows.iter().any(|row| row.suite == suite.name)) {
        for (test, reason) in suite.excluded {
            println!("{}: {test}: {reason}", suite.name);
        }
    }
    println!("what each run printed: {}", sources.folder.join("logs").display());
}

impl Suite {
    async fn run(&self, place: &Place, sources: &Sources) -> Result<Row> {
        match &self.work {
            Work::Tests(command, outcomes, preparation) => {
                let mut row = self.row();
                let mut differing: Option<BTreeSet<String>> = None;
                for round in 1..=2 {
                    let mut found = Vec::new();
                    for way in [Way::Direct, Way::Via] {
                        let mut stage = self.stage(place, way, preparation).await?;
                        let ended = run(&mut command(&stage, sources)?)?;
                        let printed = format!("{}{}", ended.stdout, ended.stderr);
                        std::fs::write(sources.log(&format!("{}.{way:?}.{round}", self.name))?, &printed)?;
                        let mut outcomes = outcomes(&printed);
                        outcomes.retain(|test, _| !self.leaves_out(test));
                        anyhow::ensure!(!outcomes.is_empty(), "nothing ran: {}", tail(&printed));
                        found.push(outcomes);
                        self.keep_log(&mut stage, sources, round)?;
                        if way == Way::Via {
                            row.truth = truth::compare(&mut stage, place.config(), &self.databases()).await?;
                        }
                    }
                    let passed = |outcomes: &Outcomes| outcomes.values().filter(|passed| **passed).count();
                    let differs = |(test, direct): &(&String, &bool)| **direct && found[1].get(*test) != Some(&true);
                    let now: BTreeSet<String> = found[0].iter().filter(differs).map(|(test, _)| test.clone()).collect();
                    (row.direct, row.via) = (passed(&found[0]), passed(&found[1]));
                    let both =
                        differing.take().map_or(now.clone(), |before| before.intersection(&now).cloned().collect());
                    let done = both.is_empty();
                    differing = Some(both);
                    if done {
                        break;
                    }
                }
                row.differing = differing.into_iter().flatten().map(|test| (test, String::new())).collect();
                Ok(row)
            }
            Work::Output(play, preparation) => {
                let mut row = self.row();
                let mut played = Vec::new();
                for (round, way) in [Way::Direct, Way::Direct, Way::Via, Way::Via].into_iter().enumerate() {
                    let mut stage = self.stage(place, way, preparation).await?;
                    let mut transcript = play(&stage, sources)?;
                    transcript.retain(|part, _| !self.leaves_out(part));
                    anyhow::ensure!(!transcript.is_empty(), "nothing was played");
                    for (part, printed) in &transcript {
                        let name = format!("{}.{}.{way:?}.{round}", self.name, part.replace('/', "-"));
                        std::fs::write(sources.log(&name)?, printed)?;
                    }
                    self.keep_log(&mut stage, sources, round)?;
                    if way == Way::Via {
                        row.truth = truth::compare(&mut stage, place.config(), &self.databases()).await?;
                    }
                    drop(stage);
                    played.push(transcript);
                    let [first, second, via] = &played[..] else {
                        if let [first, second, _, again] = &played[..] {
                            let again = compare(first, second, again);
                            row.differing.retain(|part, _| again.differing.contains_key(part));
                            row.via = row.direct - row.differing.len();
                        }
                        continue;
                    };
                    let comparison = compare(first, second, via);
                    row.unsteady = comparison.unsteady.len();
                    row.direct = comparison.same + comparison.differing.len();
                    row.via = comparison.same;
                    row.differing = comparison
                        .differing
                        .into_iter()
                        .map(|(part, difference)| (part, format!(": {difference}")))
                        .collect();
                    if row.differing.is_empty() {
                        break;
                    }
                }
                Ok(row)
            }
        }
    }

    async fn stage(&self, place: &Place, way: Way, preparation: Preparation) -> Result<Stage> {
        let stage = place.stage(way).await?;
        for (database, statements) in preparation {
            if *database != "postgres" {
                stage.prepare("postgres", &[&format!("CREATE DATABASE {database} TEMPLATE template0")]).await?;
            }
            stage.prepare(database, statements).await?;
        }
        truth::begin(&stage, &self.databases()).await?;
        Ok(stage)
    }

    /// Those that it works in, as far as they are there before.
    fn databases(&self) -> Vec<&'static str> {
        let (Work::Tests(_, _, preparation) | Work::Output(_, preparation)) = &self.work;
        let mut databases: Vec<_> = preparation.iter().map(|(database, _)| *database).collect();
        databases.push("postgres");
        databases.sort_unstable();
        databases.dedup();
        databases
    }

    /// What Hansard logged; a panic in it is a failure of its own.
    fn keep_log(&self, stage: &mut Stage, sources: &Sources, round: usize) -> Result<()> {
        let Some(hansard) = stage.hansard() else { return Ok(()) };
        anyhow::ensure!(hansard.ended().is_none(), "Hansard has ended: {}", tail(&hansard.logged()));
        let logged = hansard.logged();
        std::fs::write(sources.log(&format!("{}.hansard.{round}", self.name))?, &logged)?;
        anyhow::ensure!(!logged.contains("panicked at"), "Hansard panicked: {}", tail(&logged));
        Ok(())
    }

    fn leaves_out(&self, test: &str) -> bool {
        self.excluded.iter().any(|(excluded, _)| test.contains(excluded))
    }

    fn row(&self) -> Row {
        Row {
            suite: self.name,
            direct: 0,
            via: 0,
            differing: BTreeMap::new(),
            unsteady: 0,
            seconds: 0,
            truth: Truth::default(),
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A program that is ended when it takes too long.
fn bounded(program: &Path, seconds: u32) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=10").arg(seconds.to_string()).arg(program);
    command
}
