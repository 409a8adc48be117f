//! What the record says of every change is what the database holds, or a row says that it does not know.
//!
//! Conversations are made from seeds, in as many odd ways as the protocol allows; each change in them writes a number of its
//! own, which a trigger logs. What is committed is then compared with the record, while it is in the log and once more from
//! files. `HANSARD_ORACLE_CONVERSATIONS=100000` plays more, `HANSARD_SEED=n` begins with the one that failed,
//! `HANSARD_ORACLE_KINDS=copy,names` plays steps of these kinds alone, and `HANSARD_ORACLE_UNSURE=1` shows what the record
//! is not sure of, of changes by whatever road.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "how much is certain is worth knowing")]

#[path = "oracle/conversation.rs"]
mod conversation;
#[path = "oracle/copying.rs"]
mod copying;
#[path = "oracle/judge.rs"]
mod judge;
#[path = "oracle/kinds.rs"]
mod kinds;
#[path = "oracle/naming.rs"]
mod naming;
#[path = "oracle/play.rs"]
mod play;
#[path = "oracle/reading.rs"]
mod reading;
#[path = "oracle/roads.rs"]
mod roads;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use hansard_tests::hansard::Settings;
use hansard_tests::postgres::DATABASE;
use hansard_tests::{Config, Hansard, Postgres, eventually};
use tokio_postgres::Client;

use conversation::{Conversation, FIRST, NUMBERS};
use judge::{Failure, Held, Played, Verdict, judge};

/// Conversations of one job, judged together.
const BATCH: u64 = 200;

/// Conversations at a time.
const AT_ONCE: usize = 8;

/// For sessions to be closed in the record, on a machine that is also building.
const PATIENCE: Duration = Duration::from_secs(60);

/// Conversations that a signal to Hansard cuts.
const INTERRUPTED: u64 = 100;

/// Where conversations of roads begin unless `HANSARD_SEED` says otherwise: the same in each run, as others still find what the
/// record misses (see `docs/truth.md`).
const FIRST_ROADS: u64 = 788_470_471;

/// After that, no more conversations of roads are begun, where nothing says how many.
const LONGEST: Duration = Duration::from_secs(90);

/// Failing conversations that are made short.
const SHORTENED: usize = 3;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

struct Oracle {
    postgres: Postgres,
    config: Config,
    hansard: Hansard,
    /// Batches played so far, each as a job of its own.
    jobs: u64,
    /// Conversations so far: each has numbers of its own.
    conversations: i64,
}

impl Oracle {
    async fn start() -> Oracle {
        let settings = ["max_prepared_transactions=100", "autovacuum=off", "max_locks_per_transaction=256"];
        let postgres = Postgres::start_on(None, &settings).await.unwrap();
        let superuser = postgres.superuser(DATABASE).await.unwrap();
        superuser.batch_execute(conversation::SCHEMA).await.unwrap();
        // Answers come from the log, from files, and from both.
        let lake = "flush_interval = \"2s\"".to_owned();
        let config = Config::new(&postgres, &Settings { lake, ..Settings::default() }).unwrap();
        let hansard = config.start("up").unwrap();
        Oracle { postgres, config, hansard, jobs: 0, conversations: 0 }
    }

    fn base(&mut self) -> i64 {
        self.conversations += 1;
        FIRST + (self.conversations - 1) * NUMBERS
    }

    /// Makes what conversations find, and a token for them.
    async fn prepare(&mut self, conversations: &[Conversation]) -> (String, String) {
        self.jobs += 1;
        let job = format!("oracle-{}", self.jobs);
        let token = self.config.token(&job).unwrap();
        let of = |one: &Conversation| [format!("({})", one.slot(0)), format!("({})", one.slot(1))];
        let slots = conversations.iter().flat_map(of).collect::<Vec<_>>().join(",");
        let victims = conversations.iter().flat_map(|one| &one.victims);
        let victims = victims.map(|id| format!("({id})")).chain(["(0)".to_owned()]).collect::<Vec<_>>().join(",");
        let rows = format!(
            "INSERT INTO public.rankings (slot) VALUES {slots}; \
             INSERT INTO public.victims VALUES {victims} ON CONFLICT DO NOTHING"
        );
        self.superuser().await.batch_execute(&rows).await.unwrap();
        (job, token)
    }

    /// Plays conversations as one job, and reads what they did.
    async fn play(&mut self, conversations: &[Conversation]) -> Played {
        let (job, token) = self.prepare(conversations).await;
        let proxy = self.hansard.proxy().unwrap();
        let play = |conversation| {
            let token = &token;
            async move {
                if let Err(error) = play::play(conversation, proxy, token, true).await {
                    panic!("{error:#}: {conversation:?}");
                }
            }
        };
        futures::stream::iter(conversations).for_each_concurrent(AT_ONCE, play).await;
        let held = self.held(conversations).await;
        Played::new(job, conversations, held)
    }

    /// Plays conversations, and has Hansard ended by a signal in the middle of them, and started again.
    async fn interrupt(&mut self, conversations: &[Conversation], signal: &str) -> Played {
        let (job, token) = self.prepare(conversations).await;
        let proxy = self.hansard.proxy().unwrap();
        let begun = AtomicUsize::new(0);
        let play = |conversation| {
            let (token, begun) = (&token, &begun);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                // It is cut wherever it stands, or not let in any more.
                let _ = play::play(conversation, proxy, token, false).await;
            }
        };
        let all = futures::stream::iter(conversations).for_each_concurrent(AT_ONCE, play);
        let end = async {
            while begun.load(Ordering::Relaxed) < conversations.len() / 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.hansard.signal(signal).unwrap();
        };
        tokio::join!(all, end);
        eventually("Hansard ends", PATIENCE, || self.hansard.ended().context("it runs")).unwrap();
        let held = self.held(conversations).await;
        self.hansard = self.config.start("up").unwrap();
        Played::interrupted(job, conversations, held)
    }

    /// Past all passwords; the server may be on its way back from a fall.
    async fn superuser(&self) -> Client {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.postgres.superuser(DATABASE).await {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < until, "{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The numbers that are committed once no session is left, and nobody will resolve what is still prepared.
    async fn held(&self, conversations: &[Conversation]) -> Held {
        let first = conversations.iter().map(|one| one.base).min().unwrap_or_default();
        let last = conversations.iter().map(|one| one.base + NUMBERS).max().unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        loop {
            match committed(&self.superuser().await, first, last).await {
                Ok(Some(held)) => return held,
                other => assert!(Instant::now() < until, "sessions of the database do not end: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn judge(&self, played: &Played) -> Verdict {
        eventually("the record of all sessions", PATIENCE, || judge(&self.config, played)).unwrap()
    }

    /// As few of its steps as still fail alike.
    async fn shorten(&mut self, seed: u64, failure: &Failure) -> (Conversation, Failure) {
        let whole = Conversation::of(seed, 0).steps.len();
        let mut kept: BTreeSet<usize> = (0..whole).collect();
        let mut best = (Conversation::of(seed, self.base()), failure.clone());
        for left_out in (0..whole).rev() {
            let mut fewer = kept.clone();
            fewer.remove(&left_out);
            let shorter = Conversation::of(seed, self.base()).keep(&fewer);
            if shorter.steps.is_empty() {
                continue;
            }
            let played = self.play(std::slice::from_ref(&shorter)).await;
            let alike = |other: &Failure| other.missed == failure.missed && other.kind == failure.kind;
            if let Some(still) = self.judge(&played).failures.into_iter().find(alike) {
                kept = fewer;
                best = (shorter, still);
            }
        }
        best
    }
}

/// The committed numbers in a range; none yet while there are sessions.
async fn committed(superuser: &Client, first: i64, last: i64) -> Result<Option<Held>, tokio_postgres::Error> {
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'hansard'";
    if superuser.query_one(busy, &[]).await?.get::<_, i64>(0) > 0 {
        return Ok(None);
    }
    for row in superuser.query("SELECT gid FROM pg_prepared_xacts", &[]).await? {
        superuser.batch_execute(&format!("ROLLBACK PREPARED '{}'", row.get::<_, &str>(0))).await?;
    }
    let numbers = "SELECT number, relation, operation, count(*) FROM audit.log WHERE number >= $1 AND number < $2 \
                   GROUP BY 1, 2, 3";
    let mut held = Held::new();
    for row in superuser.query(numbers, &[&first, &last]).await? {
        held.entry(row.get(0)).or_default().insert((row.get(1), row.get(2)), row.get(3));
    }
    Ok(Some(held))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_change_is_told_truly_or_as_possible() {
    let conversations = from_environment("HANSARD_ORACLE_CONVERSATIONS").unwrap_or(2000);
    let first = from_environment("HANSARD_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut oracle = Oracle::start().await;
    let mut all = Vec::new();
    let mut hot = Verdict::default();
    for batch in (first..first + conversations).step_by(usize::try_from(BATCH).unwrap()) {
        let seeds = batch..(batch + BATCH).min(first + conversations);
        let made: Vec<Conversation> = seeds.map(|seed| Conversation::of(seed, oracle.base())).collect();
        let played = oracle.play(&made).await;
        hot.add(oracle.judge(&played));
        all.push(played);
    }
    tell("hot", first, conversations, &hot);
    let mut kinds = BTreeSet::new();
    for failure in hot.failures.iter().filter(|failure| kinds.insert(failure.kind)).take(SHORTENED) {
        let (conversation, failure) = oracle.shorten(failure.seed, failure).await;
        eprintln!("{}\n{conversation:?}", failure.text);
    }
    for signal in ["KILL", "TERM"] {
        let seeds = first..first + conversations.min(INTERRUPTED);
        let made: Vec<Conversation> = seeds.map(|seed| Conversation::of(seed, oracle.base())).collect();
        let played = oracle.interrupt(&made, signal).await;
        let verdict = oracle.judge(&played);
        tell(signal, first, made.len() as u64, &verdict);
        hot.add(verdict);
        all.push(played);
    }
    assert!(oracle.hansard.stop().unwrap().success(), "{}", oracle.hansard.logged());
    oracle.hansard = oracle.config.start("up").unwrap();
    let mut cold = Verdict::default();
    for played in &all {
        cold.add(oracle.judge(played));
    }
    tell("cold", first, conversations, &cold);
    let held = hot.total().held;
    assert!(held as u64 > conversations || conversations < 100, "{held} changes are too few to say anything");
    for (how, verdict) in [("hot", &hot), ("cold", &cold)] {
        let sum = verdict.total();
        assert!(
            sum.missed == 0 && sum.wrong == 0,
            "HANSARD_SEED={first}, {how}: {sum:?} of {conversations} conversations"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_by_whatever_road_it_comes() {
    let asked = from_environment("HANSARD_ORACLE_CONVERSATIONS");
    let conversations = asked.unwrap_or(120).min(2000);
    let first = from_environment("HANSARD_SEED").unwrap_or(FIRST_ROADS);
    let mut roads = roads::batch::Roads::start().await;
    let seeds: Vec<u64> = (first..first + conversations).collect();
    let mut verdict = Verdict::default();
    let (begun, mut conversations) = (Instant::now(), 0);
    for seeds in seeds.chunks(roads::batch::DATABASES) {
        // A machine that is also building plays fewer, unless it is told how many.
        if asked.is_some() || begun.elapsed() < LONGEST {
            verdict.add(roads.batch(seeds).await);
            conversations += seeds.len() as u64;
        }
    }
    tell("by road", first, conversations, &verdict);
    let sum = verdict.total();
    for failure in verdict.failures.iter().take(SHORTENED) {
        eprintln!("{:?}", roads::Conversation::of(failure.seed, FIRST));
    }
    assert!(sum.held as u64 > conversations || conversations < 50, "{sum:?}: too few to say anything");
    assert!(sum.missed == 0 && sum.wrong == 0, "HANSARD_SEED={first}: {sum:?} of {conversations} conversations");
}

fn tell(how: &str, first: u64, conversations: u64, verdict: &Verdict) {
    let sum = verdict.total();
    let share = 100.0 * sum.unsure as f64 / sum.held.max(1) as f64;
    eprintln!(
        "{how}: HANSARD_SEED={first}, {conversations} conversations, {sum:?}, {share:.1} % unsure, {} contradictions",
        verdict.contradictions
    );
    for (kind, count) in &verdict.kinds {
        eprintln!("    {kind:30} {count:?}");
    }
    let mut shown = std::collections::BTreeMap::<_, usize>::new();
    for failure in &verdict.failures {
        let times = shown.entry((failure.kind, failure.missed)).or_default();
        *times += 1;
        if *times <= 2 {
            eprintln!("  HANSARD_SEED={}: {}", failure.seed, failure.text);
        }
    }
}
