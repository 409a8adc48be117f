//! Proxy, recorder and query engine as processes of their own, and what an input costs each of them.
//!
//! Questions are asked as soon as an input has come in, when the query engine makes rows of what the recorder has not
//! flushed, and again when all is in the lake.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hansard_tests::hansard::{Config, Hansard, Settings, get};
use hansard_tests::postgres::{DATABASE, Postgres};
use hansard_tests::process::{eventually, succeed};
use hansard_tests::usage::{cpu_seconds, forget_peak, usage};
use hansard_tests::wire::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::inputs::Input;

/// The parts that are measured.
pub(crate) const PARTS: [&str; 3] = ["proxy", "record", "query"];

const BYTES: &str = "hansard_proxy_bytes_total";
const SESSIONS: &str = "hansard_proxy_sessions_total";
const RECORDED: &str = "hansard_recorder_rows_total{table=\"sessions\"}";
const PATIENCE: Duration = Duration::from_secs(600);

/// Transactions of the load that others are compared with.
const TRANSACTIONS: u32 = 40_000;

/// What one part has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Seconds of CPU time; of the query engine, beside what the same questions take of next to nothing.
    pub(crate) cpu: f64,
    /// Bytes of memory, above what it had before.
    pub(crate) memory: u64,
}

/// What an input has cost.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Bytes through the proxy, both ways, in millions.
    pub(crate) megabytes: f64,
    /// Of each of [`PARTS`].
    pub(crate) costs: [Cost; 3],
    pub(crate) statements: u64,
    /// The question that was not answered, and why.
    pub(crate) unanswered: Option<String>,
}

pub(crate) struct Site<'a> {
    postgres: &'a Postgres,
    config: Config,
    token: String,
    /// CPU seconds of the query engine for all questions, hot and cold, when there is next to nothing to tell.
    asking: f64,
    parts: [Hansard; 3],
}

impl<'a> Site<'a> {
    /// Fresh processes: nothing of another input is in them.
    pub(crate) async fn open(postgres: &'a Postgres, program: &Path) -> Result<Site<'a>> {
        let settings = Settings { lake: "flush_interval = \"5s\"".to_owned(), ..Settings::default() };
        let mut config = Config::new(postgres, &settings)?;
        config.use_program(program);
        let token = config.token("bench")?;
        let parts = [config.start(PARTS[0])?, config.start(PARTS[1])?, config.start(PARTS[2])?];
        let mut site = Site { postgres, config, token, asking: 0.0, parts };
        // What each part sets up only once is set up.
        let mut wire = site.session().await?;
        wire.query("UPDATE public.rankings SET score = score + 1").await?;
        wire.send(&hansard_tests::wire::terminate()).await?;
        wire.rest().await?;
        site.recorded()?;
        for _ in 0..2 {
            let before = cpu_seconds(site.parts[2].id())?;
            for question in [questions(), questions()].concat() {
                site.config.sql(&question)?;
            }
            // The first time, all is new.
            site.asking = cpu_seconds(site.parts[2].id())? - before;
        }
        Ok(site)
    }

    async fn session(&self) -> Result<Wire> {
        Wire::session(self.proxy()?, "app", DATABASE, &self.token).await
    }

    fn proxy(&self) -> Result<SocketAddr> {
        self.parts[0].proxy()
    }

    /// The sum of a metric's values over all of its labels.
    fn metric(&self, part: usize, name: &str) -> Result<f64> {
        let (status, text) = get(self.parts[part].admin()?, "/metrics")?;
        ensure!(status.contains("200"), "{status}");
        let values = text.lines().filter(|line| line.starts_with(name)).map(|line| line.rsplit(' ').next());
        values.map(|value| Ok(value.unwrap_or_default().parse::<f64>()?)).sum()
    }

    /// Waits until all sessions are in the lake.
    fn recorded(&self) -> Result<()> {
        let all = self.metric(0, SESSIONS)?;
        eventually("all sessions are in the lake", PATIENCE, || {
            std::thread::sleep(Duration::from_millis(250));
            let recorded = self.metric(1, RECORDED)?;
            ensure!(recorded >= all, "{recorded} of {all}");
            Ok(())
        })
        .with_context(|| self.parts[1].logged())
    }

    /// What an input costs, from its first byte to the answers about it.
    pub(crate) async fn measure(mut self, input: Input) -> Result<Measured> {
        self.cost(async |site: &Site<'_>| play(site.session().await?, input).await).await
    }

    /// Likewise of `pgbench -M simple`.
    pub(crate) async fn measure_pgbench(mut self) -> Result<Measured> {
        self.cost(async |site: &Site<'_>| {
            let mut pgbench = site.postgres.client_program("pgbench");
            pgbench.args(["-h", "127.0.0.1", "-p", &site.proxy()?.port().to_string(), "-U", "app", "-n", "-S"]);
            pgbench.args(["-M", "simple", "-c", "8", "-j", "2", "-t", &(TRANSACTIONS / 8).to_string(), DATABASE]);
            pgbench.env("PGPASSWORD", &site.token).env("PGSSLMODE", "disable");
            succeed(&mut pgbench).map(drop)
        })
        .await
    }

    async fn cost(&mut self, load: impl AsyncFnOnce(&Site<'_>) -> Result<()>) -> Result<Measured> {
        let mut before = [(0.0, 0); 3];
        for (part, before) in self.parts.iter().zip(&mut before) {
            forget_peak(part.id())?;
            *before = (cpu_seconds(part.id())?, usage(part.id())?.resident);
        }
        let bytes = self.metric(0, BYTES)?;
        load(self).await?;
        let mut unanswered = None;
        let mut statements = 0;
        for hot in [true, false] {
            if !hot {
                self.recorded()?;
            }
            for question in questions() {
                match self.config.sql(&question) {
                    Ok(rows) if question == STATEMENTS => statements = rows[0]["n"].as_u64().unwrap_or_default(),
                    Ok(_) => {}
                    Err(error) => unanswered = Some(format!("{question}: {error:#}")),
                }
            }
        }
        let mut costs = [Cost::default(); 3];
        for ((part, (cpu, resident)), cost) in self.parts.iter().zip(before).zip(&mut costs) {
            *cost =
                Cost { cpu: cpu_seconds(part.id())? - cpu, memory: usage(part.id())?.peak.saturating_sub(resident) };
        }
        costs[2].cpu = (costs[2].cpu - self.asking).max(0.0);
        let megabytes = (self.metric(0, BYTES)? - bytes) / 1e6;
        Ok(Measured { megabytes, costs, statements, unanswered })
    }
}

const STATEMENTS: &str = "SELECT count(*) AS n FROM statements";

/// What an auditor asks.
fn questions() -> Vec<String> {
    let latest = "(SELECT session_id FROM sessions ORDER BY opened_at DESC LIMIT 1)";
    vec![
        STATEMENTS.to_owned(),
        "SELECT operation, transaction_outcome, count(*), sum(rows) FROM statements GROUP BY 1, 2".to_owned(),
        "SELECT relation, operation, transaction_outcome, count(*) FROM touches GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 10"
            .to_owned(),
        format!("SELECT * FROM who_updated('public.rankings', '{}', '24h') LIMIT 100", jiff::Timestamp::now()),
        format!("SELECT * FROM statements WHERE session_id IN {latest} AND statement_no <= 20 ORDER BY statement_no"),
    ]
}

/// Sends an input, as fast as it is taken, and reads all answers.
async fn play(wire: Wire, input: Input) -> Result<()> {
    let (mut read, mut write) = wire.stream.into_split();
    let (pieces, mut ready) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || input.pieces().try_for_each(|piece| pieces.blocking_send(piece)));
    let sent = tokio::spawn(async move {
        while let Some(piece) = ready.recv().await {
            write.write_all(&piece).await?;
        }
        std::io::Result::Ok(write)
    });
    let mut last = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    last.extend_from_slice(&buffer[..length]);
                    last.drain(..last.len().saturating_sub(1024));
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.context("the session does not end")?;
    let end = String::from_utf8_lossy(&last);
    if let Some(fatal) = end.find("FATAL") {
        bail!("the session was ended: {}", end[fatal..].replace('\0', " "));
    }
    sent.await?.context("the input was not taken")?;
    Ok(())
}
