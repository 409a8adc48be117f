//! What is done to the contenders: pgbench in its ways, and one large COPY.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hansard_tests::Postgres;
use hansard_tests::postgres::DATABASE;
use hansard_tests::process::{eventually, succeed};

use crate::contenders::Contender;

/// One way of using a database.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    work: Work,
    /// Whether the client asks for TLS.
    tls: bool,
    /// Whether Hansard's other settings are measured too, to compare it with itself.
    all_settings: bool,
}

enum Work {
    Pgbench {
        arguments: &'static [&'static str],
        clients: u32,
    },
    /// So many rows of 1,023 bytes and a line feed, out of the database.
    CopyOut {
        rows: u32,
    },
}

const LOADS: [Load; 8] = [
    pgbench("prepared, c=8", &["-S", "-M", "prepared"], 8, true),
    pgbench("simple, c=8", &["-S", "-M", "simple"], 8, false),
    pgbench("extended, c=8", &["-S", "-M", "extended"], 8, false),
    pgbench("tpcb-like, prepared, c=8", &["-M", "prepared"], 8, false),
    pgbench("prepared, c=1", &["-S", "-M", "prepared"], 1, true),
    pgbench("a connection for each transaction, c=8", &["-S", "-C"], 8, false),
    Load { tls: true, ..pgbench("prepared with TLS, c=8", &["-S", "-M", "prepared"], 8, false) },
    Load { name: "COPY out, 1 GiB", work: Work::CopyOut { rows: 1024 * 1024 }, tls: false, all_settings: false },
];

const fn pgbench(name: &'static str, arguments: &'static [&'static str], clients: u32, all_settings: bool) -> Load {
    Load { name, work: Work::Pgbench { arguments, clients }, tls: false, all_settings }
}

/// One measurement.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Transactions, or MiB, a second.
    pub(crate) rate: f64,
    /// Of a transaction, in microseconds.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    /// Of the contender's processes, for each transaction or MiB, in microseconds.
    pub(crate) cpu_us: f64,
}

/// All loads, or those whose name contains `part`.
pub(crate) fn named(part: Option<&str>) -> Result<Vec<Load>> {
    let loads: Vec<Load> = LOADS.into_iter().filter(|load| part.is_none_or(|part| load.name.contains(part))).collect();
    let names = || LOADS.map(|load| load.name).join("; ");
    ensure!(!loads.is_empty(), "no load is named like {:?}: there are {}", part.unwrap_or_default(), names());
    Ok(loads)
}

impl Load {
    pub(crate) fn concerns(&self, contender: &Contender) -> bool {
        contender.general || self.all_settings
    }

    pub(crate) fn unit(&self) -> &'static str {
        match self.work {
            Work::Pgbench { .. } => "tps",
            Work::CopyOut { .. } => "MiB/s",
        }
    }

    pub(crate) fn measure(
        &self,
        postgres: &Postgres,
        contender: &Contender,
        folder: &Path,
        seconds: u32,
    ) -> Result<Measured> {
        settle();
        let before = contender.cpu_seconds()?;
        let (amount, mut measured) = match self.work {
            Work::Pgbench { arguments, clients } => {
                let mut bench = self.client(postgres, contender, "pgbench");
                bench.arg("-n").args(arguments).args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string()]);
                bench.args(["-T", &seconds.to_string()]);
                run_pgbench(bench.arg(DATABASE), folder, clients == 1).with_context(|| contender.name.to_owned())?
            }
            Work::CopyOut { rows } => {
                let mut psql = self.client(postgres, contender, "psql");
                let sql = format!("COPY (SELECT repeat('x', 1023) FROM generate_series(1, {rows})) TO STDOUT");
                psql.args(["-q", "-c", &sql, DATABASE]).stdout(Stdio::null());
                let begun = Instant::now();
                ensure!(psql.status()?.success(), "COPY through {} failed", contender.name);
                let mebibytes = f64::from(rows) / 1024.0;
                let rate = mebibytes / begun.elapsed().as_secs_f64();
                (mebibytes, Measured { rate, p50_us: None, p99_us: None, cpu_us: 0.0 })
            }
        };
        // What is shipped or recorded a little later belongs to it, too.
        settle();
        measured.cpu_us = (contender.cpu_seconds()? - before) / amount * 1e6;
        Ok(measured)
    }

    fn client(&self, postgres: &Postgres, contender: &Contender, program: &str) -> Command {
        let mut command = postgres.client_program(program);
        command.args(["-h", "127.0.0.1", "-p", &contender.port.to_string(), "-U", "app"]);
        command.env("PGPASSWORD", &contender.password).env("PGSSLMODE", if self.tls { "require" } else { "disable" });
        command
    }
}

/// Waits until nothing is left to do or to write of what ran last: it would slow down who comes next.
fn settle() {
    let rested = eventually("a machine at rest", Duration::from_secs(30), || {
        succeed(&mut Command::new("sync"))?;
        let (busy, all) = processor_time()?;
        std::thread::sleep(Duration::from_millis(250));
        let (busy_later, all_later) = processor_time()?;
        let share = (busy_later - busy) / (all_later - all);
        ensure!(share < 0.05, "its processors are busy for {:.0} % of the time", share * 100.0);
        Ok(())
    });
    if let Err(error) = rested {
        println!("{error:#}; measured all the same");
    }
}

/// Time in which the processors worked, and all time; see proc(5).
fn processor_time() -> Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(7);
    let times = fields.map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [user, nice, system, idle, waiting, interrupts, soft_interrupts] = times[..] else {
        bail!("/proc/stat begins otherwise than proc(5) says");
    };
    let busy = user + nice + system + interrupts + soft_interrupts;
    Ok((busy, busy + idle + waiting))
}

/// Runs pgbench; how many transactions it did, and how fast.
fn run_pgbench(bench: &mut Command, folder: &Path, latencies: bool) -> Result<(f64, Measured)> {
    let log = tempfile::Builder::new().prefix("latency-").tempdir_in(folder)?;
    if latencies {
        bench.arg("--log").arg("--log-prefix").arg(log.path().join("of"));
    }
    let output = succeed(bench)?;
    let figure = |begin: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(begin));
        line.and_then(|line| line.split([' ', '/']).next()?.parse::<f64>().ok())
            .with_context(|| format!("no {begin:?} in {output}"))
    };
    let mut sorted = if latencies { logged_latencies(log.path())? } else { Vec::new() };
    sorted.sort_by(f64::total_cmp);
    let at = |per_hundred: usize| {
        sorted.get((sorted.len() * per_hundred / 100).min(sorted.len().saturating_sub(1))).copied()
    };
    let measured = Measured { rate: figure("tps = ")?, p50_us: at(50), p99_us: at(99), cpu_us: 0.0 };
    Ok((figure("number of transactions actually processed: ")?, measured))
}

/// pgbench's own log: client, transaction, microseconds, and more.
fn logged_latencies(folder: &Path) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    Ok(latencies)
}
