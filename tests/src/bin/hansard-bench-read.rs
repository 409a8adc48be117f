//! What reading costs: a session of a million statements, a list of a hundred thousand sessions, questions that were given
//! up, and many askers at once.
//!
//! Run by `cargo xtask bench read`. Ends with 1 where a figure is over its bar.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use hansard_tests::Config;
use hansard_tests::hansard::Settings;
use hansard_tests::process::{free_port, succeed};
use hansard_tests::usage::{forget_peak, usage};
use rand::Rng;

#[derive(Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long)]
    hansard: PathBuf,
    /// The program that writes the lake.
    #[arg(long)]
    lake: PathBuf,
    /// Statements in the long session.
    #[arg(long, default_value_t = 1_000_000)]
    statements: u64,
    #[arg(long, default_value_t = 100_000)]
    sessions: u64,
    /// Keeps the lake here, and takes the one that is here.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// The long session: see `query/examples/reading_lake.rs`.
const LONG: &str = "019aa000-0000-7000-9000-0000ffffffff";
/// Of the process, above its limit for questions.
const MEMORY_ABOVE: u64 = 200 << 20;
const MEMORY_LIMIT: u64 = 512 << 20;
const ASKERS: usize = 50;
/// Each pair of statements.
const HEAVY: &str =
    "SELECT count(*) FROM statements a JOIN statements b ON a.operation = b.operation AND a.sql < b.sql";

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(over) => {
            println!("\n{over} figures are over their bar");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, with its figures so far.
struct Bench {
    config: Config,
    web: SocketAddr,
    token: String,
    process: u32,
    over: usize,
}

fn bench(arguments: &Arguments) -> Result<usize> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder)?;
    let data = folder.join("data");
    if !data.join("catalog.db").exists() {
        std::fs::create_dir_all(&data)?;
        let (statements, sessions) = (arguments.statements.to_string(), arguments.sessions.to_string());
        print!("{}", succeed(Command::new(&arguments.lake).arg(&data).args([statements, sessions]))?);
    }
    for former in ["keys", "secrets"] {
        let _ = std::fs::remove_dir_all(folder.join(former));
    }
    // Nobody connects to a database here.
    let mut config = Config::within(&folder, free_port()?, &Settings::default())?;
    config.use_program(&arguments.hansard);
    let hansard = config.start("up")?;
    let token = std::fs::read_to_string(config.data().join("api-token"))?.trim().to_owned();
    let mut bench = Bench { web: hansard.web()?, token, process: hansard.id(), config, over: 0 };
    println!("{:<66} {:>9} {:>9}", "", "measured", "bar");
    bench.session(arguments.statements)?;
    bench.list()?;
    bench.given_up()?;
    bench.askers(arguments.statements)?;
    drop(hansard);
    Ok(bench.over)
}

impl Bench {
    fn tell(&mut self, what: &str, measured: f64, bar: f64, unit: &str) {
        let over = measured > bar;
        self.over += usize::from(over);
        println!("{what:<66} {measured:>7.1} {unit} {bar:>6.0} {unit}{}", if over { "  OVER" } else { "" });
    }

    fn milliseconds(&mut self, what: &str, took: Duration, bar: u32) {
        self.tell(what, took.as_secs_f64() * 1e3, f64::from(bar), "ms");
    }

    fn get(&self, path: &str) -> Result<Duration> {
        let began = Instant::now();
        let answer = request(self.web, &self.token, "GET", path, "", None)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {}", answer.lines().next().unwrap_or_default());
        Ok(began.elapsed())
    }

    fn ask(&self, sql: &str) -> Result<Duration> {
        let began = Instant::now();
        let answer = request(self.web, &self.token, "POST", "/api/v1/query", &question(sql), None)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{sql}: {answer}");
        Ok(began.elapsed())
    }

    fn session(&mut self, statements: u64) -> Result<()> {
        let of = format!("/api/v1/sessions/{LONG}");
        let wanted = statements / 10 * 8;
        let began = Instant::now();
        self.get(&of)?;
        self.get(&format!("{of}/steps?from={wanted}&limit=100"))?;
        self.get(&format!("{of}/steps/{wanted}/result"))?;
        self.milliseconds("deep link to a statement: session, statements, result; first time", began.elapsed(), 1_500);
        let overview = self.get(&format!("{of}/overview"))?;
        self.milliseconds("its lanes (beside it)", overview, 1_500);
        for (what, path) in [("step", ""), ("its result", "/result")] {
            let mut took = Vec::new();
            for _ in 0..100 {
                let no = rand::rng().random_range(1..=statements);
                took.push(self.get(&format!("{of}/steps/{no}{path}"))?);
            }
            took.sort();
            self.milliseconds(&format!("{what}, 95 % of 100 at random"), took[94], 50);
        }
        let last = (statements - 10).to_string();
        let mut took = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            self.config.ask("replay", &[LONG, "--from", &last])?;
            took.push(began.elapsed());
        }
        took.sort();
        self.milliseconds(&format!("hansard replay --from {last}, median of 5"), took[2], 200);
        Ok(())
    }

    fn list(&mut self) -> Result<()> {
        for (what, path) in [
            ("list of sessions", "/api/v1/sessions?limit=100"),
            ("list of sessions, again", "/api/v1/sessions?limit=100"),
            ("list of sessions of a job, by statements", "/api/v1/sessions?job=job-7*&sort=statements&limit=100"),
        ] {
            let took = self.get(path)?;
            self.milliseconds(what, took, 1_000);
        }
        Ok(())
    }

    fn given_up(&mut self) -> Result<()> {
        for _ in 0..2 {
            let gone =
                request(self.web, &self.token, "POST", "/api/v1/query", &question(HEAVY), Some(Duration::from_secs(2)));
            ensure!(gone.is_err(), "the join is answered: it is not heavy enough");
        }
        let took = self.ask("SELECT count(*) FROM sessions WHERE job = 'job-7'")?;
        self.milliseconds("a small question behind two joins that were given up", took, 1_000);
        Ok(())
    }

    fn askers(&mut self, statements: u64) -> Result<()> {
        forget_peak(self.process)?;
        let stop = AtomicBool::new(false);
        let mut took = Vec::new();
        let bench = &*self;
        std::thread::scope(|threads| {
            for _ in 0..ASKERS {
                threads.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        // Answered, refused as busy, or given up.
                        let patience = Some(Duration::from_secs(5));
                        let _ = request(bench.web, &bench.token, "POST", "/api/v1/query", &question(HEAVY), patience);
                    }
                });
            }
            std::thread::sleep(Duration::from_secs(2));
            let asked: Result<()> = (0..20).try_for_each(|_| {
                let no = rand::rng().random_range(1..=statements);
                took.push(bench.get("/api/v1/sessions?limit=100")?);
                took.push(bench.get(&format!("/api/v1/sessions/{LONG}/steps/{no}"))?);
                took.push(bench.get(&format!("/api/v1/sessions/{LONG}/steps/{no}/result"))?);
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            asked
        })?;
        took.sort();
        let longest = took[took.len() - 1];
        self.milliseconds(
            &format!("longest of {} requests of pages beside {ASKERS} heavy askers", took.len()),
            longest,
            2_000,
        );
        let peak = usage(self.process)?.peak;
        let bar = MEMORY_LIMIT + MEMORY_ABOVE;
        self.tell("the process's memory then", peak as f64 / 1048576.0, bar as f64 / 1048576.0, "MiB");
        Ok(())
    }
}

fn question(sql: &str) -> String {
    serde_json::json!({ "sql": sql }).to_string()
}

/// A request and the whole answer; an error where it does not come within `patience`, and then nobody waits for it.
fn request(
    web: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: &str,
    patience: Option<Duration>,
) -> Result<String> {
    let mut stream = TcpStream::connect(web)?;
    stream.set_read_timeout(Some(patience.unwrap_or(Duration::from_secs(120))))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {web}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
