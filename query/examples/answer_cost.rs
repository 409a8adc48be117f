//! What `who-updated` costs over ten million touches: `cargo xtask bench answer`.
//!
//! A day of 64 pooled sessions, written by the lake's own writer and compacted by its own compaction, into a folder that goes
//! away again. One hour in twelve has a transaction of twenty minutes; of the touches that leave before their transaction
//! ends (the recorder flushes every five seconds) the outcome is in `transactions` alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells its figures and may stop")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hansard_lake::catalog::{Commit, FileFilter};
use hansard_lake::compaction::{CompactionOptions, compact};
use hansard_lake::layout::{FlushId, HOUR};
use hansard_lake::{Lake, LakeOptions, writer};
use hansard_policy::catalog::{Database, Object, Relation};
use hansard_query::{Engine, EngineOptions, Moment};
use hansard_record::{
    CatalogRow, Certainty, Credential, Outcome, Rows, SessionRow, StatementRow, Status, TouchRow, TransactionKind,
    TransactionRow,
};
use hansard_schemas::lake::Table;
use uuid::Uuid;

const HOURS: i64 = 24;
const SESSIONS: u64 = 64;
const FLUSHES: i64 = 12;
/// Between two flushes of the recorder, nanoseconds.
const FLUSH_INTERVAL: i64 = 5_000_000_000;
const MILLISECOND: i64 = 1_000_000;
/// Touches of one transaction: of five relations.
const TOUCHES: u64 = 5;
const RELATIONS: u64 = 400;
const QUESTIONS: u64 = 40;

fn main() {
    let touches: u64 = std::env::args().nth(1).map_or(10_000_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    threads.block_on(fill(&open(folder.path()), touches));
    println!("lake of {touches} touches written in {:.0?}", began.elapsed());
    threads.block_on(measure(folder.path()));
}

fn open(folder: &Path) -> Lake {
    Lake::open(&LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog.db").display()),
    })
    .unwrap()
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn day() -> i64 {
    Moment::parse("2026-11-22").unwrap().from
}

async fn fill(lake: &Lake, touches: u64) {
    let mut numbers = Numbers(1);
    let mut states: Vec<Worker> = (0..SESSIONS).map(Worker::new).collect();
    let flushes = HOURS * FLUSHES;
    let of_flush = touches / TOUCHES / u64::try_from(flushes).unwrap();
    put(lake, 0, Rows { catalog: catalog(), ..Rows::default() }).await;
    for flush in 0..flushes {
        let (from, length) = (day() + flush * (HOUR / FLUSHES), HOUR / FLUSHES);
        let mut rows = Rows::default();
        for worker in &mut states {
            if flush % FLUSHES == i64::try_from(worker.number).unwrap() % FLUSHES {
                worker.next_session(from, &mut rows);
            }
            let count = of_flush / SESSIONS;
            let step = length / i64::try_from(count).unwrap();
            for place in 0..count {
                let at = from + i64::try_from(place).unwrap() * step + i64::try_from(worker.number).unwrap() * 997;
                // The first worker's transaction of every fourth flush holds on until the next.
                let long = worker.number == 0 && flush % 48 == 24 && place == 0;
                worker.transaction(
                    at,
                    if long { 20 * 60_000 } else { 20 + numbers.below(300) },
                    &mut numbers,
                    &mut rows,
                );
            }
        }
        put(lake, u64::try_from(flush).unwrap() + 1, rows).await;
        if flush % FLUSHES == FLUSHES - 1 {
            let options = CompactionOptions { linger: Duration::ZERO, ..CompactionOptions::default() };
            compact(lake, &options, from + HOUR, &AtomicBool::new(false)).await.unwrap();
        }
    }
    let files = lake.catalog.snapshot(&FileFilter::default()).await.unwrap().files;
    for table in Table::ALL {
        let of = files.iter().filter(|file| file.table == table);
        let (count, rows, bytes) = of.fold((0, 0, 0), |sum, file| (sum.0 + 1, sum.1 + file.rows, sum.2 + file.bytes));
        if count > 0 {
            println!("{:<13} {count:>4} files {rows:>10} rows {:>6.1} MB", table.name(), bytes as f64 / 1e6);
        }
    }
}

async fn put(lake: &Lake, flush: u64, rows: Rows) {
    let hold = lake.catalog.take_shard(0, "bench").await.unwrap();
    let from = hold.watermark;
    let id = FlushId { shard: 0, epoch: hold.epoch.0, flush, from, watermark: from + 1 };
    let files = writer::write_rows(lake, |table| rows.batch(table), &id).unwrap();
    let (sessions, ended) = (Vec::new(), Vec::new());
    let commit = Commit { shard: 0, epoch: hold.epoch, from, watermark: from + 1, files, sessions, ended };
    lake.catalog.commit(commit).await.unwrap();
}

/// The schema of the one database.
fn catalog() -> Vec<CatalogRow> {
    let object = |oid: u64, object: Object| CatalogRow {
        target: "ranking".into(),
        database: "ranking".into(),
        node: "n".into(),
        instance: "i".into(),
        version: 1,
        base_version: 0,
        begun_at: day() - HOUR,
        read_at: day() - HOUR,
        kind: object.kind().as_str(),
        oid: u32::try_from(oid).unwrap(),
        schema: object.name().0.map(|schema| (**schema).into()),
        name: object.name().1.into(),
        definition: Some(serde_json::to_string(&object).unwrap().into()),
    };
    let table = |name: String| {
        Object::Relation(Box::new(Relation { schema: "public".into(), name: (*name).into(), ..Relation::default() }))
    };
    let database = Database { search_path: "\"$user\", public".into(), ..Database::default() };
    let mut rows = vec![object(1, Object::Database(database)), object(2, table("rankings".to_owned()))];
    rows.extend((0..RELATIONS).map(|number| object(number + 10, table(format!("table_{number}")))));
    rows
}

/// A connection of a pool.
struct Worker {
    number: u64,
    session: u128,
    session_id: Uuid,
    job: Arc<str>,
    subject: Arc<str>,
    target: Arc<str>,
    statement: u64,
    transaction: u64,
}

impl Worker {
    fn new(number: u64) -> Worker {
        let job: Arc<str> = format!("job-{}", number % 16).into();
        let subject = format!("svc:{job}").into();
        let (session_id, target) = (Uuid::nil(), "ranking".into());
        Worker { number, session: 0, session_id, job, subject, target, statement: 0, transaction: 0 }
    }

    /// Each lasts an hour; of one in a hundred frames are missing.
    fn next_session(&mut self, at: i64, rows: &mut Rows) {
        self.session += 1;
        let id = 0x019a_a000_0000_7000_9000_0000_0000_0000_u128;
        self.session_id = Uuid::from_u128(id | (self.session << 16) | u128::from(self.number));
        (self.statement, self.transaction) = (0, 0);
        let lost = (self.session * 64 + u128::from(self.number)).is_multiple_of(100);
        rows.sessions.push(SessionRow {
            session_id: self.session_id,
            target: self.target.clone(),
            job: self.job.clone(),
            subject: self.subject.clone(),
            issuer: "ci".into(),
            groups: Vec::new(),
            client_addr: "10.0.0.7:51234".to_owned(),
            application_name: String::new(),
            db_user: "app".to_owned(),
            database: "ranking".to_owned(),
            opened_at: at,
            closed_at: Some(at + HOUR - 1),
            close_reason: Some("terminated by job".to_owned()),
            complete: !lost,
            statements: 0,
            frames: 0,
            bytes_frontend: 0,
            bytes_backend: 0,
            denied: 0,
            auth_failure: None,
            gaps: lost.then(|| r#"[{"after_seq":9,"frames":3,"reason":"the log was full"}]"#.to_owned()),
            chain_head: [0; 32],
            capture: "full".to_owned(),
            max_result_bytes: None,
            tls: None,
            contradictions: 0,
            database_role: None,
            backend_pid: None,
            errors: 0,
            notices: None,
            ending: "terminated",
            last_frame_at: None,
            purpose: None,
            traceparent: None,
            credential: Credential::default(),
        });
    }

    /// BEGIN, two statements and COMMIT.
    fn transaction(&mut self, at: i64, milliseconds: u64, numbers: &mut Numbers, rows: &mut Rows) {
        self.transaction += 1;
        let ended_at = at + i64::try_from(milliseconds).unwrap() * MILLISECOND;
        let first = self.statement + 1;
        let undone = numbers.below(50) == 0;
        let outcome = if undone { Outcome::RolledBack } else { Outcome::Committed };
        // One transaction in a hundred updates the ranking table.
        let ranking = numbers.below(100) == 0 || milliseconds > 60_000;
        let written = if ranking { "rankings".to_owned() } else { format!("table_{}", numbers.below(RELATIONS)) };
        let value = numbers.below(1_000_000);
        let texts = [
            "BEGIN".to_owned(),
            format!("SELECT score, title FROM public.table_7 JOIN public.table_8 USING (id) WHERE id = {value}"),
            format!("UPDATE public.{written} SET score = score + {} WHERE id = {value}", value % 10),
            if undone { "ROLLBACK" } else { "COMMIT" }.to_owned(),
        ];
        for (place, sql) in (0_i64..).zip(texts) {
            self.statement += 1;
            let started_at = if place == 3 { ended_at - MILLISECOND } else { at + place * 2 * MILLISECOND };
            // What left before its transaction ended does not have its outcome.
            let settled = started_at / FLUSH_INTERVAL == ended_at / FLUSH_INTERVAL;
            let outcome = settled.then_some(outcome);
            let committed_at = (settled && !undone).then_some(ended_at);
            rows.statements.push(StatementRow {
                session_id: self.session_id,
                statement_no: self.statement,
                target: self.target.clone(),
                job: self.job.clone(),
                subject: self.subject.clone(),
                issuer: "ci".into(),
                operation: ["transaction", "select", "update", "transaction"][usize::try_from(place).unwrap()],
                sql: sql.into(),
                parameters: None,
                fingerprint: Some(format!("{place:016x}").into()),
                started_at,
                finished_at: Some(started_at + MILLISECOND),
                rows: Some(1),
                sqlstate: None,
                error: None,
                verdict: "allow",
                transaction_id: self.transaction,
                transaction_outcome: outcome,
                committed_at,
                outcome_reason: None,
                opaque: None,
                first_seq: self.statement * 4,
                last_seq: self.statement * 4 + 3,
                truncated: false,
                omitted: None,
                status: Status::Done,
                executed: None,
                severity: None,
                details: None,
                notices: None,
            });
            let mut touch = |relation: &str, operation, certainty| {
                rows.touches.push(TouchRow {
                    relation: relation.into(),
                    operation,
                    at: started_at,
                    committed_at,
                    job: self.job.clone(),
                    subject: self.subject.clone(),
                    session_id: self.session_id,
                    statement_no: self.statement,
                    target: self.target.clone(),
                    rows: Some(1),
                    transaction_id: self.transaction,
                    transaction_outcome: outcome,
                    outcome_reason: None,
                    columns: ["id".into(), "score".into()].into(),
                    via: "direct",
                    certainty,
                    reason: (certainty == Certainty::Possible).then(|| "dynamic SQL".into()),
                });
            };
            match place {
                1 => ["public.table_7", "public.table_8"].map(|name| touch(name, "select", Certainty::Certain)).len(),
                2 => {
                    touch(&format!("public.{written}"), "update", Certainty::Certain);
                    touch("public.log", "insert", Certainty::Certain);
                    match value % 40 {
                        0 => touch("?", "call", Certainty::Possible),
                        _ => touch("public.table_9", "select", Certainty::Certain),
                    }
                    3
                }
                _ => 0,
            };
        }
        rows.transactions.push(TransactionRow {
            session_id: self.session_id,
            transaction_id: self.transaction,
            target: self.target.clone(),
            database: "ranking".into(),
            kind: TransactionKind::Transaction,
            first_statement: first,
            last_statement: self.statement,
            outcome,
            reason: None,
            ended_at,
            committed_at: (!undone).then_some(ended_at),
            gid: None,
            started_at: Some(at),
        });
    }
}

fn engine(folder: &Path) -> Engine {
    Engine::new(Arc::new(open(folder)), None, EngineOptions::default())
}

/// Asks about `relation` at minutes spread over the day; prints how long that took.
async fn ask(name: &str, relation: &str, minutes: impl Iterator<Item = u64>, next: &impl AsyncFn() -> Arc<Engine>) {
    let mut took: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for minute in minutes {
        let engine = next().await;
        let at = format!("2026-11-22T{:02}:{:02}Z", minute / 60, minute % 60);
        let began = Instant::now();
        let answer = engine.who_updated(relation, &at, Duration::from_secs(60)).await.unwrap();
        took.push(began.elapsed());
        rows += answer.rows();
    }
    took.sort();
    let [median, high, last] = [took.len() / 2, took.len() * 95 / 100, took.len() - 1].map(|place| took[place]);
    println!(
        "{name:<44} {:>5} rows; median {:>6.1} ms, 95 % {:>6.1} ms, longest {:>6.1} ms",
        rows / took.len(),
        median.as_secs_f64() * 1e3,
        high.as_secs_f64() * 1e3,
        last.as_secs_f64() * 1e3
    );
}

async fn measure(folder: &Path) {
    let all_day = || (0..QUESTIONS).map(|number| 7 + number * 1423 / QUESTIONS);
    let kept = Arc::new(engine(folder));
    let hot = async || Arc::clone(&kept);
    let new = async || Arc::new(engine(folder));
    let cold = async || {
        // Needs root; what it leaves in memory is told by the first lines.
        let dropped = std::fs::write("/proc/sys/vm/drop_caches", "3");
        assert!(dropped.is_ok(), "the files stay in memory: run as root to measure from the disk");
        Arc::new(engine(folder))
    };
    ask("first round, one engine", "rankings", all_day(), &hot).await;
    ask("hot: one engine", "rankings", all_day(), &hot).await;
    ask("hot: the same minute", "rankings", std::iter::repeat_n(192, 40), &hot).await;
    ask("hot: a transaction of 20 minutes ended then", "rankings", std::iter::repeat_n(140, 40), &hot).await;
    ask("hot: a relation without updates", "log", all_day(), &hot).await;
    ask("hot: a relation that 1 touch in 5 is of", "table_7", all_day(), &hot).await;
    ask("new engine each time", "rankings", all_day(), &new).await;
    ask("new engine, files from the disk", "rankings", all_day().take(15), &cold).await;
}
