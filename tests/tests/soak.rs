//! Millions of statements in one go: Hansard uses as much memory in the end as in the beginning, and the record has them
//! all. Likewise where they are one transaction.
//!
//! `HANSARD_SOAK` says how many statements, `HANSARD_PROGRAM` names an optimised build to run.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "the figures are worth knowing")]

use std::time::Duration;

use anyhow::ensure;
use hansard_tests::hansard::{Settings, get};
use hansard_tests::postgres::DATABASE;
use hansard_tests::process::Running;
use hansard_tests::usage::{forget_peak, usage};
use hansard_tests::wire::{Bound, Wire, bind, execute, parse, query, sync, terminate};
use hansard_tests::{Config, Hansard, Postgres, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CLIENTS: usize = 8;
const MIB: u64 = 1024 * 1024;

/// How many statements, where nothing else is said.
fn statements(usual: usize) -> usize {
    std::env::var("HANSARD_SOAK").map_or(usual, |text| text.parse().unwrap())
}

/// The program to run is an optimised one.
fn is_optimised(config: &mut Config) -> bool {
    let program = std::env::var_os("HANSARD_PROGRAM");
    program.inspect(|program| config.use_program(program.as_ref())).is_some()
}

/// The most memory in the second quarter of the samples, and in the last one.
fn quarters(samples: &[u64]) -> (u64, u64) {
    let quarter = samples.len() / 4;
    let most = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
    (most(&samples[quarter..2 * quarter]), most(&samples[3 * quarter..]))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten million statements take many minutes"]
async fn alone_millions_of_statements_in_flat_memory() {
    let statements = statements(10_000_000);
    let postgres = Postgres::start().await.unwrap();
    let settings = Settings { lake: "flush_interval = \"5s\"".to_owned(), ..Settings::default() };
    let mut config = Config::new(&postgres, &settings).unwrap();
    is_optimised(&mut config);
    let (mut proxy, mut recorder) = (config.start("proxy").unwrap(), config.start("record").unwrap());
    std::fs::write(config.folder().join("soak.sql"), "SELECT :client_id AS soak;\n").unwrap();
    let mut pgbench = postgres.client_program("pgbench");
    pgbench.env("PGPASSWORD", config.token("soak").unwrap()).current_dir(config.folder());
    pgbench.args(["-h", "127.0.0.1", "-p", &proxy.proxy().unwrap().port().to_string(), "-U", "app", "-n"]);
    pgbench.args(["-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2", "-f", "soak.sql"]);
    pgbench.args(["-t", &(statements / CLIENTS).to_string(), "ranking"]);
    let log = std::fs::File::create(config.folder().join("pgbench.log")).unwrap();
    pgbench.stdout(log.try_clone().unwrap()).stderr(log);
    let mut load = Running::start("pgbench", &mut pgbench).unwrap();
    let mut samples = (Vec::new(), Vec::new());
    let ended = loop {
        if let Some(status) = load.ended() {
            break status;
        }
        samples.0.push(usage(proxy.id()).unwrap().resident);
        samples.1.push(usage(recorder.id()).unwrap().resident);
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(ended.success(), "{}", std::fs::read_to_string(config.folder().join("pgbench.log")).unwrap());
    for (name, samples) in [("proxy", &samples.0), ("recorder", &samples.1)] {
        let (early, late) = quarters(samples);
        eprintln!("{name}: {} MiB early, {} MiB late", early / MIB, late / MIB);
        assert!(late < early + 64 * MIB, "{name} has grown from {early} to {late} bytes");
    }
    let expected = statements / CLIENTS * CLIENTS;
    eventually("all statements are recorded", Duration::from_secs(3600), || {
        let rows = config.sql("SELECT count(*) AS n FROM statements WHERE job = 'soak' AND sql LIKE '%soak%'")?;
        ensure!(rows[0]["n"] == expected, "{} of {expected}", rows[0]["n"]);
        Ok(())
    })
    .unwrap();
    assert!(proxy.stop().unwrap().success(), "{}", proxy.logged());
    assert!(recorder.stop().unwrap().success(), "{}", recorder.logged());
}

/// Of a savepoint that is rolled back to, in the midst of the others.
const UNDONE: usize = 1_000;

/// BEGIN, then rows one by one, of which some are undone, then COMMIT.
async fn insert(hansard: &Hansard, token: &str, statements: usize) {
    let wire = Wire::session(hansard.proxy().unwrap(), "app", DATABASE, token).await.unwrap();
    let (mut read, mut write) = wire.stream.into_split();
    let sent = tokio::spawn(async move {
        let mut bytes = [query("BEGIN"), parse("p", "INSERT INTO public.lines VALUES ($1)", &[23]), sync()].concat();
        let row = |n: usize| [bind("", "p", &[Bound::Text(n.to_string().into_bytes())]), execute("", 0)].concat();
        for n in 0..statements {
            bytes.extend(row(n));
            if n == statements / 2 {
                bytes.extend([sync(), query("SAVEPOINT s")].concat());
                (0..UNDONE).for_each(|_| bytes.extend(row(0)));
                bytes.extend([sync(), query("ROLLBACK TO s")].concat());
            }
            if n % 1_000 == 999 {
                bytes.extend(sync());
                write.write_all(&bytes).await.unwrap();
                bytes.clear();
            }
        }
        bytes.extend([sync(), query("COMMIT"), terminate()].concat());
        write.write_all(&bytes).await.unwrap();
        write
    });
    let mut buffer = vec![0; 64 * 1024];
    while read.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    drop(sent.await.unwrap());
}

/// Waits until `sessions` sessions are in the lake, without asking the record.
fn recorded(hansard: &Hansard, sessions: u64) {
    eventually("all is in the lake", Duration::from_secs(3600), || {
        std::thread::sleep(Duration::from_millis(500));
        let (_, metrics) = get(hansard.admin()?, "/metrics")?;
        let recorded = format!("hansard_recorder_rows_total{{table=\"sessions\"}} {sessions}");
        ensure!(metrics.lines().any(|line| line == recorded), "{}", hansard.logged());
        Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "five million statements take many minutes"]
async fn alone_a_transaction_of_millions_of_statements_is_exact_in_flat_memory() {
    let statements = statements(5_000_000);
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    superuser.batch_execute("CREATE TABLE public.lines (n int); GRANT ALL ON public.lines TO app").await.unwrap();
    let mut config = Config::new(&postgres, &Settings::default()).unwrap();
    let most = if is_optimised(&mut config) { 64 * MIB } else { 320 * MIB };
    let mut hansard = config.start("up").unwrap();
    let token = config.token("soak").unwrap();
    let outcomes = "SELECT transaction_outcome AS outcome, count(*) AS n, sum(rows) AS rows FROM statements \
                    WHERE job = 'soak' AND operation = 'insert' GROUP BY 1 ORDER BY 1";
    let touches = "SELECT transaction_outcome AS outcome, count(*) AS n, sum(rows) AS rows FROM touches \
                   WHERE job = 'soak' AND relation = 'public.lines' GROUP BY 1 ORDER BY 1";
    let numbers = "SELECT count(*) AS n, max(statement_no) AS last, sum(statement_no) AS sum FROM statements \
                   WHERE job = 'soak'";
    // Whatever is only once set up is set up.
    insert(&hansard, &config.token("warming").unwrap(), 10_000).await;
    recorded(&hansard, 1);
    config.sql(outcomes).unwrap();
    superuser.batch_execute("TRUNCATE public.lines").await.unwrap();
    let idle = usage(hansard.id()).unwrap().resident;
    let more = |what: &str| {
        let more = usage(hansard.id()).unwrap().peak.saturating_sub(idle);
        eprintln!("{what}: {} MiB more than {}", more / MIB, idle / MIB);
        forget_peak(hansard.id()).unwrap();
        more
    };
    forget_peak(hansard.id()).unwrap();
    insert(&hansard, &token, statements).await;
    recorded(&hansard, 2);
    let recording = more("recording");
    let first = superuser.query_one("SELECT count(*) FROM public.lines", &[]).await.unwrap();
    assert_eq!(first.get::<_, i64>(0), i64::try_from(statements).unwrap(), "the database's own word");
    let mut asking = 0;
    for question in [outcomes, touches] {
        let told = config.sql(question).unwrap();
        asking = asking.max(more("asking"));
        let counted = |row: usize, outcome: &str, n: usize| {
            let row = &told[row];
            assert_eq!((&row["outcome"], &row["n"], &row["rows"]), (&outcome.into(), &n.into(), &n.into()), "{told:?}");
        };
        assert_eq!(told.len(), 2, "{told:?}");
        counted(0, "committed", statements);
        counted(1, "rolled back", UNDONE);
    }
    // BEGIN, SAVEPOINT, ROLLBACK TO and COMMIT are four more; each number is there once.
    let (told, all) = (config.sql(numbers).unwrap(), statements + UNDONE + 4);
    assert_eq!(
        (&told[0]["n"], &told[0]["last"], &told[0]["sum"]),
        (&all.into(), &all.into(), &(all * (all + 1) / 2).into())
    );
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    assert!(recording < most, "{} MiB more", recording / MIB);
    assert!(asking < most, "{} MiB more", asking / MIB);
}
