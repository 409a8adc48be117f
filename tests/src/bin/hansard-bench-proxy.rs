//! The proxy's cost: pgbench against a database directly, through HAProxy, through PgBouncer, and through Hansard.
//!
//! Run by `cargo xtask bench proxy`. Contenders are measured in rounds, each in a new order, and compared within a
//! round: a machine's moods then fall on all of them. CPU per transaction is the steadier figure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use hansard_tests::Postgres;
use hansard_tests::hansard::{Config, Hansard, Settings};
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::process::{Running, eventually, free_port, succeed, system_program, tail};
use rand::seq::SliceRandom;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The optimised program to measure.
    #[arg(long)]
    hansard: PathBuf,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What pgbench does in one measurement.
const LOADS: [(&str, &str, u32); 4] = [
    ("prepared, c=8", "prepared", 8),
    ("simple, c=8", "simple", 8),
    ("extended, c=8", "extended", 8),
    ("prepared, c=1", "prepared", 1),
];

const DIRECT: &str = "direct";
const HAPROXY: &str = "HAProxy, TCP";
const PGBOUNCER: &str = "PgBouncer, session";
const PROXY: &str = "hansard proxy";
const UP: &str = "hansard up (with recorder)";
const OFF: &str = "hansard proxy, recording off";

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

/// Somebody between pgbench and the database, or nobody.
struct Contender {
    name: &'static str,
    port: u16,
    password: String,
    /// Whose CPU time counts; none for a direct connection.
    process: Option<u32>,
}

#[derive(Clone, Copy)]
struct Measured {
    tps: f64,
    latency_ms: f64,
    cpu_us: f64,
}

async fn bench(arguments: &Arguments) -> Result<()> {
    let postgres = Postgres::start().await?;
    let folder = tempfile::Builder::new().prefix("hansard-bench-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let mut initialise = postgres.client_program("pgbench");
    initialise.args([
        "-h",
        "127.0.0.1",
        "-p",
        &postgres.port().to_string(),
        "-U",
        "app",
        "-i",
        "-q",
        "-s",
        "10",
        DATABASE,
    ]);
    succeed(initialise.env("PGPASSWORD", PASSWORD))?;

    let (haproxy, haproxy_port) = haproxy(&postgres, folder.path())?;
    let (pgbouncer, pgbouncer_port) = pgbouncer(&postgres, folder.path())?;
    let mut ours: Vec<(&'static str, Hansard, String)> = Vec::new();
    for (name, service, recording) in [(PROXY, "proxy", ""), (UP, "up", ""), (OFF, "proxy", "durability = \"off\"")] {
        let settings = Settings {
            recording: recording.to_owned(),
            lake: "flush_interval = \"5s\"".to_owned(),
            ..Settings::default()
        };
        let mut config =
            Config::within(&folder.path().join(name.replace([' ', ',', '(', ')'], "-")), postgres.port(), &settings)?;
        config.use_program(&arguments.hansard);
        ours.push((name, config.start(service)?, config.token("bench")?));
    }

    let password = PASSWORD.to_owned();
    let mut contenders = vec![
        Contender { name: DIRECT, port: postgres.port(), password: password.clone(), process: None },
        Contender { name: HAPROXY, port: haproxy_port, password: password.clone(), process: Some(haproxy.id()) },
        Contender { name: PGBOUNCER, port: pgbouncer_port, password, process: Some(pgbouncer.id()) },
    ];
    for (name, hansard, token) in &ours {
        contenders.push(Contender {
            name,
            port: hansard.proxy()?.port(),
            password: token.clone(),
            process: Some(hansard.id()),
        });
    }

    let mut results: BTreeMap<(&str, &str), Vec<Measured>> = BTreeMap::new();
    for round in 1..=arguments.rounds {
        for (load, mode, clients) in LOADS {
            contenders.shuffle(&mut rand::rng());
            for contender in &contenders {
                let measured = measure(&postgres, contender, mode, clients, arguments.seconds)?;
                println!(
                    "round {round}, {load}, {}: {:.0} tps, {:.1} µs of CPU",
                    contender.name, measured.tps, measured.cpu_us
                );
                results.entry((load, contender.name)).or_default().push(measured);
            }
        }
    }
    let report = report(&results, arguments)?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn haproxy(postgres: &Postgres, folder: &Path) -> Result<(Running, u16)> {
    let program = system_program("haproxy", &["/usr/sbin"]).context("haproxy is not installed")?;
    let port = free_port()?;
    let file = folder.join("haproxy.cfg");
    std::fs::write(
        &file,
        format!(
            "global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
             listen postgres\n  bind 127.0.0.1:{port}\n  server postgres 127.0.0.1:{}\n",
            postgres.port()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file);
    Ok((listening("haproxy", &mut command, port, folder)?, port))
}

fn pgbouncer(postgres: &Postgres, folder: &Path) -> Result<(Running, u16)> {
    let program = system_program("pgbouncer", &["/usr/sbin"]).context("pgbouncer is not installed")?;
    let port = free_port()?;
    std::fs::write(folder.join("users.txt"), format!("\"app\" \"{PASSWORD}\"\n"))?;
    let file = folder.join("pgbouncer.ini");
    std::fs::write(
        &file,
        format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={} dbname={DATABASE}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = session\n\
             max_client_conn = 200\ndefault_pool_size = 100\n",
            postgres.port(),
            folder.join("users.txt").display()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg(&file);
    postgres.as_owner(&mut command);
    Ok((listening("pgbouncer", &mut command, port, folder)?, port))
}

fn listening(name: &str, command: &mut Command, port: u16, folder: &Path) -> Result<Running> {
    let path = folder.join(format!("{name}.log"));
    let log = std::fs::File::create(&path)?;
    let running = Running::start(name, command.stdout(log.try_clone()?).stderr(Stdio::from(log)))?;
    eventually(name, Duration::from_secs(10), || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)?))
        .with_context(|| tail(&path))?;
    Ok(running)
}

fn measure(postgres: &Postgres, contender: &Contender, mode: &str, clients: u32, seconds: u32) -> Result<Measured> {
    let mut bench = postgres.client_program("pgbench");
    bench.args(["-h", "127.0.0.1", "-p", &contender.port.to_string(), "-U", "app", "-n", "-S", "-M", mode]);
    bench.args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string(), "-T", &seconds.to_string(), DATABASE]);
    let before = contender.process.map(cpu_seconds).transpose()?;
    let output = succeed(bench.env("PGPASSWORD", &contender.password)).with_context(|| contender.name.to_owned())?;
    let after = contender.process.map(cpu_seconds).transpose()?;
    let figure = |begin: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(begin));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
            .with_context(|| format!("no {begin:?} in {output}"))
    };
    let transactions = output
        .lines()
        .find_map(|line| line.strip_prefix("number of transactions actually processed: "))
        .and_then(|count| count.split('/').next()?.trim().parse::<f64>().ok())
        .with_context(|| format!("no count in {output}"))?;
    Ok(Measured {
        tps: figure("tps = ")?,
        latency_ms: figure("latency average = ")?,
        cpu_us: after.zip(before).map_or(0.0, |(after, before)| (after - before) / transactions * 1e6),
    })
}

/// User and system time of a process and all its threads, in seconds; see proc(5).
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        // The kernel counts in hundredths of a second for everybody who asks here.
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => bail!("/proc/{process}/stat: {stat}"),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

fn report(results: &BTreeMap<(&str, &str), Vec<Measured>>, arguments: &Arguments) -> Result<Value> {
    let mut loads = serde_json::Map::new();
    for (load, ..) in LOADS {
        println!("\n{load}");
        println!("| | tps | of direct | of PgBouncer | latency ms | CPU µs/transaction |");
        println!("|---|---|---|---|---|---|");
        let mut rows = serde_json::Map::new();
        for name in [DIRECT, HAPROXY, PGBOUNCER, PROXY, UP, OFF] {
            let of = |name: &'static str| results.get(&(load, name)).with_context(|| format!("no figures of {name}"));
            let measured = of(name)?;
            let figure = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick).collect());
            let ratio = |to: &'static str| -> Result<f64> {
                Ok(median(measured.iter().zip(of(to)?).map(|(ours, theirs)| ours.tps / theirs.tps).collect()))
            };
            let (tps, latency, cpu) = (figure(|m| m.tps), figure(|m| m.latency_ms), figure(|m| m.cpu_us));
            let (direct, pgbouncer) = (ratio(DIRECT)?, ratio(PGBOUNCER)?);
            println!("| {name} | {tps:.0} | {direct:.2} | {pgbouncer:.2} | {latency:.3} | {cpu:.1} |");
            rows.insert(
                name.to_owned(),
                json!({ "tps": tps, "of_direct": direct, "of_pgbouncer": pgbouncer, "of_recording_off": ratio(OFF)?,
                        "latency_ms": latency, "cpu_us": cpu }),
            );
        }
        let on_off = rows[PROXY]["of_recording_off"].as_f64().unwrap_or(f64::NAN);
        println!("recording on/off: {on_off:.2}");
        loads.insert(load.to_owned(), Value::Object(rows));
    }
    Ok(json!({ "rounds": arguments.rounds, "seconds": arguments.seconds, "loads": loads }))
}
