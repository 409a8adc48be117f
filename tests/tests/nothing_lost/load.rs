//! pgbench through Hansard, each transaction with a number of its own, and the check that the record knows them all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hansard_tests::process::{Running, tail};
use hansard_tests::record::{self, Session, Statement};
use hansard_tests::{Config, Postgres};

/// Clients of each of the two pgbench processes.
pub(crate) const CLIENTS: usize = 3;

const INSERT: &str =
    "\\set n :n + 1\n\\set id :base + :client_id * 1000000000 + :n\nINSERT INTO history (id) VALUES (:id);\n";
const TRANSACTION: &str = "\\set n :n + 1\n\\set id :base + :client_id * 1000000000 + :n\n\
                           BEGIN;\nINSERT INTO history (id) VALUES (:id);\nSELECT count(*) FROM pg_class WHERE oid = :n;\nCOMMIT;\n";

/// Without a unique index: a row that was inserted twice shall be there twice.
pub(crate) async fn table(postgres: &Postgres) -> Result<()> {
    let client = postgres.superuser("ranking").await?;
    client.batch_execute("CREATE TABLE history (id int8 NOT NULL); GRANT ALL ON history TO app").await?;
    Ok(())
}

/// One round's load: pgbench with the simple and with the extended, prepared protocol.
pub(crate) struct Load {
    round: u64,
    processes: Vec<Running>,
    log: PathBuf,
}

impl Load {
    pub(crate) fn start(
        config: &Config,
        postgres: &Postgres,
        address: SocketAddr,
        round: u64,
        attempt: u32,
        seconds: u32,
    ) -> Result<Load> {
        let folder = config.folder();
        std::fs::write(folder.join("insert.sql"), INSERT)?;
        std::fs::write(folder.join("transaction.sql"), TRANSACTION)?;
        let token = config.token(&job(round))?;
        let mut processes = Vec::new();
        for (number, mode) in [(0, "simple"), (1, "prepared")] {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("pgbench.log"))?;
            let mut command = postgres.client_program("pgbench");
            command.env("PGPASSWORD", &token).current_dir(folder).stdout(log.try_clone()?).stderr(log);
            command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-U", "app", "-n"]);
            command.args(["-M", mode, "-c", &CLIENTS.to_string(), "-T", &seconds.to_string()]);
            command.args([
                "-D",
                &format!("base={}", base(round, number)),
                "-D",
                &format!("n={}", u64::from(attempt) * ATTEMPT),
            ]);
            command.args(["-f", "insert.sql@3", "-f", "transaction.sql@1", "ranking"]);
            processes.push(Running::start("pgbench", &mut command)?);
        }
        Ok(Load { round, processes, log: folder.join("pgbench.log") })
    }

    /// Waits until rows arrive from both processes; false when it is over before that, on a busy machine.
    pub(crate) async fn flows(&mut self, postgres: &Postgres) -> Result<bool> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let rows = rows(postgres, self.round).await?;
            if (0..2).all(|number| rows.keys().any(|id| id / NUMBERS == base(self.round, number) / NUMBERS)) {
                return Ok(true);
            }
            let ended: Vec<_> = self.processes.iter_mut().filter_map(Running::ended).collect();
            if ended.iter().any(|status| !status.success()) {
                bail!("pgbench ended before it began: {ended:?}: {}", tail(&self.log));
            }
            if ended.len() == self.processes.len() {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("no load within a minute")
    }

    /// Waits for its end; true when all of it succeeded.
    pub(crate) async fn end(mut self) -> Result<bool> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut succeeded = true;
        for process in &mut self.processes {
            loop {
                if let Some(status) = process.ended() {
                    succeeded &= status.success();
                    break;
                }
                ensure!(Instant::now() < until, "pgbench does not end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(succeeded)
    }
}

/// Numbers of one client in one attempt.
const ATTEMPT: u64 = 1_000_000;

/// Numbers of one pgbench process.
const NUMBERS: u64 = 1_000_000_000_000;

fn base(round: u64, number: u64) -> u64 {
    (100 + round * 2 + number) * NUMBERS
}

pub(crate) fn job(round: u64) -> String {
    format!("round-{round}")
}

/// The numbers of a round that the database holds, and how often; once nobody works in it any more.
async fn rows(postgres: &Postgres, round: u64) -> Result<BTreeMap<u64, usize>> {
    let client = postgres.superuser("ranking").await?;
    let (from, to) = (i64::try_from(base(round, 0))?, i64::try_from(base(round + 1, 0))?);
    let mut rows = BTreeMap::new();
    for row in client.query("SELECT id FROM history WHERE id >= $1 AND id < $2", &[&from, &to]).await? {
        *rows.entry(u64::try_from(row.get::<_, i64>(0))?).or_default() += 1;
    }
    Ok(rows)
}

/// Waits until the database has ended what jobs left behind.
async fn quiet(postgres: &Postgres) -> Result<()> {
    let client = postgres.superuser("ranking").await?;
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let working: i64 = client
            .query_one(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'hansard'",
                &[],
            )
            .await?
            .get(0);
        if working == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("sessions stay open in the database")
}

/// The number that a statement carries.
fn number(statement: &Statement) -> Option<u64> {
    let digits = statement.text.split(|c: char| !c.is_ascii_digit());
    digits.filter(|digits| digits.len() >= 15).find_map(|digits| digits.parse().ok())
}

/// What a round must have left: each row of the database has exactly one statement, which is not said to have
/// failed; nothing is recorded twice; what is said to be committed is in the database.
pub(crate) async fn check(config: &Config, postgres: &Postgres, round: u64) -> Result<Vec<Session>> {
    quiet(postgres).await?;
    let sessions = record::settled(config, &job(round), Duration::from_secs(60))?;
    let rows = rows(postgres, round).await?;
    let statements = record::statements(config, &job(round), "INSERT INTO history")?;
    let mut recorded: BTreeMap<u64, &Statement> = BTreeMap::new();
    // A statement that was refused while it was prepared has no number yet.
    for statement in &statements {
        if statement.sqlstate.as_deref() == Some("58030") && number(statement).is_none() {
            continue;
        }
        let number = number(statement).with_context(|| format!("no number in {statement:?}"))?;
        if let Some(other) = recorded.insert(number, statement) {
            bail!("{number} was recorded twice: {other:?} and {statement:?}");
        }
    }
    for (number, count) in &rows {
        ensure!(*count == 1, "row {number} is in the database {count} times");
        let statement = recorded.get(number).with_context(|| format!("row {number} is not in the record"))?;
        ensure!(
            ["committed", "unknown"].contains(&statement.outcome.as_str()),
            "{number} is in the database: {statement:?}"
        );
    }
    for (number, statement) in &recorded {
        ensure!(
            statement.outcome != "committed" || rows.contains_key(number),
            "{number} is not in the database: {statement:?}"
        );
        ensure!(statement.outcome != "open", "its session has ended: {statement:?}");
    }
    let cut = recorded.values().filter(|statement| statement.outcome == "unknown").count();
    let incomplete = sessions.iter().filter(|session| !session.complete).count();
    eprintln!(
        "round {round}: {} rows, {} statements ({cut} unknown), {} sessions ({incomplete} incomplete)",
        rows.len(),
        recorded.len(),
        sessions.len()
    );
    ensure!(!rows.is_empty(), "there was no load");
    Ok(sessions)
}
