//! The demo: a real PostgreSQL with real data, Hansard in front of it, three jobs, and the answer to "which job
//! updated the ranking table at that time?".
//!
//! Run by `cargo xtask demo`. It owns the folder `.demo` of the tree; nothing else stays behind.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a demo talks to its terminal")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures::SinkExt;
use hansard_tests::hansard::{Config, Hansard, Settings};
use hansard_tests::process::{own_program, succeed};
use hansard_tests::{Postgres, eventually, lake};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Arguments {
    /// Stop after the answer instead of staying up.
    #[arg(long)]
    exit: bool,
}

const FILMS: &str = include_str!("../../data/films.csv");
/// Further than this into a minute, the reranker waits for the next one: it should begin and end in one.
const LATEST_SECOND: i8 = 54;

#[tokio::main]
async fn main() -> ExitCode {
    match demo(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says what happens, and how long it has been going on.
struct Progress(Instant);

impl Progress {
    fn say(&self, line: &str) {
        println!("[{:>6.1} s] {line}", self.0.elapsed().as_secs_f64());
    }
}

async fn demo(arguments: &Arguments) -> Result<()> {
    let progress = Progress(Instant::now());
    let folder = fresh_folder()?;

    progress.say("starting a real PostgreSQL and loading 3,201 films with their ratings and votes");
    let mut postgres = Postgres::start().await?;
    load(&postgres).await?;

    progress.say("starting Hansard in front of it");
    let config = Config::within(&folder, postgres.port(), &Settings::default())?;
    let mut hansard = config.start("up")?;
    let proxy = hansard.proxy()?;

    wait_for_a_fresh_minute(&progress).await;
    let minute = format!("{:.16}Z", jiff::Timestamp::now().to_string());
    for (job, subject) in [
        ("rag-reader", "rag-reader"),
        ("nightly-reranker", "nightly-reranker"),
        ("contractor-cleanup", "contractor-cleanup"),
    ] {
        let mut command = Command::new(own_program("hansard-demo-jobs")?);
        command.args(["--port", &proxy.port().to_string(), job]).env("DATABASE_PASSWORD", config.token(subject)?);
        progress.say(&format!("job {job}: {}", succeed(&mut command)?.lines().collect::<Vec<_>>().join("; ")));
    }

    answer(&config, &minute)?;
    let link = hansard.logged().lines().find_map(|line| line.strip_prefix("open ").map(str::to_owned));
    let link = link.context("Hansard printed no login link")?;
    println!("\nThe replay in a browser (the link works once):\n  {link}");
    println!(
        "Ask more:\n  {program} sql --config {file} \"SELECT job, operation, count(*) FROM statements GROUP BY job, operation\"",
        program = own_program("hansard")?.display(),
        file = config.file().display(),
    );
    if !arguments.exit {
        println!(
            "\nA job of your own: psql -h 127.0.0.1 -p {} -U app ranking, with a token as the password:",
            proxy.port()
        );
        println!("  {} token --config {} --subject me", own_program("hansard")?.display(), config.file().display());
        println!("\nIt stays up until Ctrl+C.");
        stay(&mut hansard).await?;
    }
    println!();
    progress.say("stopping");
    stop(&mut hansard)?;
    postgres.stop()?;
    progress.say(&format!("done; the record stays in {}", folder.display()));
    Ok(())
}

fn fresh_folder() -> Result<PathBuf> {
    let folder = hansard_tests::tree().context("not in the project's tree: change into it")?.join(".demo");
    let pid = folder.join("demo.pid");
    if let Ok(text) = std::fs::read_to_string(&pid)
        && let Ok(name) = std::fs::read_to_string(format!("/proc/{}/comm", text.trim()))
        && name.starts_with("hansard-demo")
    {
        bail!("a demo is running already (process {}): stop it with Ctrl+C in its terminal", text.trim());
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(pid, std::process::id().to_string())?;
    Ok(folder)
}

async fn load(postgres: &Postgres) -> Result<()> {
    let client = postgres.superuser(hansard_tests::postgres::DATABASE).await?;
    client
        .batch_execute(
            "CREATE TABLE public.films (film_id int PRIMARY KEY, title text, released text, genre text, \
             imdb_rating float8, imdb_votes int, rotten_tomatoes_rating int, worldwide_gross bigint); \
             CREATE TABLE public.rankings (film_id int PRIMARY KEY REFERENCES public.films, score float8 NOT NULL, \
             updated_at timestamptz NOT NULL DEFAULT now()); \
             CREATE TABLE public.access_log (at timestamptz, who text)",
        )
        .await?;
    let mut sink = Box::pin(client.copy_in("COPY public.films FROM STDIN WITH (FORMAT csv, HEADER)").await?);
    sink.send(std::io::Cursor::new(FILMS.as_bytes())).await?;
    let films = sink.as_mut().finish().await?;
    if films != 3_201 {
        bail!("{films} films were loaded");
    }
    client
        .batch_execute(
            "INSERT INTO public.rankings (film_id, score) SELECT film_id, coalesce(imdb_rating, 0) FROM public.films; \
             GRANT SELECT, UPDATE ON public.films TO app; GRANT SELECT, UPDATE ON public.rankings TO app; ANALYZE",
        )
        .await?;
    Ok(())
}

async fn wait_for_a_fresh_minute(progress: &Progress) {
    let second = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).second();
    if second > LATEST_SECOND {
        progress.say("waiting for the next minute, so that the jobs run within one");
        let left = u64::try_from(60 - second).unwrap_or(1);
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

fn answer(config: &Config, minute: &str) -> Result<()> {
    let question = ["public.rankings", "--at", minute, "--window", "1m"];
    // The instance that recorded it answers from its live tail: there is nothing to wait for.
    let rows = config.rows("who-updated", &question)?;
    let session = rows.first().and_then(|row| row["session_id"].as_str()).map(str::to_owned);
    let session = session.with_context(|| format!("nobody updated public.rankings at {minute}"))?;
    let others = rows.iter().filter(|row| row["job"] != "nightly-reranker").count();
    if others > 0 {
        bail!("{others} updates of public.rankings are held against the wrong job");
    }

    println!("\nWho updated public.rankings at {minute}?\n");
    println!("$ hansard who-updated {}", question.join(" "));
    for row in &rows {
        let field = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
        println!("  job        {} (subject {})", field("job"), field("subject"));
        println!("  statement  {}", field("sql"));
        println!("  rows       {}, committed at {}", field("rows"), field("committed_at"));
        println!("  session    {}, statement {}", field("session_id"), field("statement_no"));
    }

    println!("\n$ hansard replay {session}");
    for line in config.ask("replay", &[&session])?.lines() {
        // The arrays of 3,000 ratings are there in full; here they would fill the screen.
        println!("  {}", shorten(line, 150));
    }

    println!("\nIts Parquet:");
    let files = eventually("the session is in the lake", Duration::from_secs(30), || {
        let files = lake::files(&config.data().join("lake"));
        let of = |table: &str| files.iter().any(|file| file.components().any(|part| part.as_os_str() == table));
        if of("frames") && of("sessions") { Ok(files) } else { bail!("tables are missing") }
    })?;
    for file in files {
        println!("  {}", file.display());
    }
    Ok(())
}

fn shorten(line: &str, length: usize) -> String {
    match line.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Until Ctrl+C, SIGTERM, or until Hansard ends by itself.
async fn stay(hansard: &mut Hansard) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = tick.tick() => {
                if let Some(status) = hansard.ended() {
                    bail!("Hansard ended by itself with {status}: {}", hansard.logged());
                }
            }
        }
    }
}

/// Ctrl+C in a terminal reaches Hansard too: a second signal would cut it short.
fn stop(hansard: &mut Hansard) -> Result<()> {
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until && hansard.ended().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = match hansard.ended() {
        Some(status) => status,
        None => hansard.stop()?,
    };
    if !status.success() {
        bail!("Hansard ended with {status}: {}", hansard.logged());
    }
    Ok(())
}
