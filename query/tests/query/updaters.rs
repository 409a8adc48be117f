//! `who_updated` over random lakes: what it finds is what was done, whatever it leaves unread.
//!
//! More lakes: `HANSARD_LAKES=500`.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hansard_lake::compaction::{CompactionOptions, compact};
use hansard_lake::layout::HOUR;
use hansard_query::Engine;
use hansard_record::{Certainty, Outcome, Rows, TouchRow, TransactionKind, TransactionRow};
use uuid::Uuid;

use crate::fixture::{Fixture, SHARDS, Session, at, column, frame};

const SESSIONS: u128 = 4;
const SECOND: i64 = 1_000_000_000;

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn up_to(&mut self, end: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(end).unwrap() + 1)).unwrap()
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// A touch, and what became of it in truth.
struct Done {
    session_id: Uuid,
    statement_no: u64,
    at: i64,
    outcome: &'static str,
    committed_at: Option<i64>,
}

/// What a lake was filled with.
struct Night {
    files: Vec<Rows>,
    done: Vec<Done>,
}

/// Transactions of some sessions between midnight and six, each of up to three updates, some of them hours long; rows go
/// to any of four flushes, outcomes into them or not.
fn night(numbers: &mut Numbers) -> Night {
    let mut night = Night { files: vec![Rows::default(); 4], done: Vec::new() };
    for session in 0..SESSIONS {
        let session_id = Uuid::from_u128(0x019a_a000_0000_7000_9000_0000_0000_0000 | session);
        let (mut now, mut statement) = (at("00:00:00") + numbers.up_to(HOUR), 0);
        for transaction in 1..=6 {
            let length = [SECOND / 100, 3 * SECOND, 240 * SECOND, 2 * HOUR][usize::try_from(numbers.below(4)).unwrap()];
            let (started_at, ended_at) = (now, now + 1 + numbers.up_to(length));
            now = ended_at + 1 + numbers.up_to(HOUR / 2);
            add(&mut night, numbers, (session_id, transaction, started_at, ended_at), &mut statement);
        }
    }
    night
}

fn add(
    night: &mut Night,
    numbers: &mut Numbers,
    (session_id, transaction_id, started_at, ended_at): (Uuid, u64, i64, i64),
    statement: &mut u64,
) {
    let first = *statement + 1;
    let end = TransactionRow {
        session_id,
        transaction_id,
        target: "ranking".into(),
        database: "ranking".into(),
        kind: TransactionKind::Transaction,
        first_statement: first,
        last_statement: 0,
        outcome: Outcome::Committed,
        reason: None,
        ended_at,
        committed_at: Some(ended_at),
        gid: None,
        // As in files from before it was written.
        started_at: (!numbers.one_in(8)).then_some(started_at),
    };
    let mut rows = |night: &mut Night, row| {
        let file = usize::try_from(numbers.below(4)).unwrap();
        night.files[file].transactions.push(row);
    };
    let kind = transaction_id + u64::from(session_id.as_bytes()[15]) + first;
    let (outcome, committed_at) = match kind % 9 {
        0 => ("rolled back", None),
        1 => ("unknown", None),
        2 => ("open", None),
        3 => ("unknown", None),
        4 => ("committed", Some(ended_at + HOUR / 3)),
        _ => ("committed", Some(ended_at)),
    };
    let last = first + kind % 3;
    let undone = TransactionRow {
        kind: TransactionKind::Savepoint,
        outcome: Outcome::RolledBack,
        committed_at: None,
        last_statement: first,
        ..end.clone()
    };
    let savepoint = kind.is_multiple_of(5) && outcome == "committed";
    if savepoint {
        rows(night, undone);
    }
    let end = TransactionRow { last_statement: last, ..end };
    let gid = Some(format!("g{session_id}{transaction_id}").into());
    let prepared = TransactionRow { outcome: Outcome::Prepared, committed_at: None, gid: gid.clone(), ..end.clone() };
    match kind % 9 {
        0 => rows(night, TransactionRow { outcome: Outcome::RolledBack, committed_at: None, ..end }),
        1 => rows(night, TransactionRow { outcome: Outcome::Unknown, committed_at: None, ..end }),
        2 => {}
        3 => rows(night, prepared),
        4 => {
            rows(night, prepared);
            let kind = TransactionKind::Resolution;
            let (session_id, transaction_id) = (Uuid::from_u128(77), 1);
            let ended_at = ended_at + HOUR / 3;
            let (committed_at, started_at) = (Some(ended_at), None);
            let resolved = TransactionRow { session_id, transaction_id, kind, gid, ended_at, committed_at, ..end };
            rows(night, TransactionRow { started_at, ..resolved });
        }
        _ => rows(night, end),
    }
    for statement_no in first..=last {
        *statement = statement_no;
        let at = if statement_no == first { started_at } else { started_at + numbers.up_to(ended_at - started_at) };
        let undone = savepoint && statement_no == first;
        let (outcome, committed_at) = if undone { ("rolled back", None) } else { (outcome, committed_at) };
        // Only what was over when the row left can be told in it.
        let told = !matches!(kind % 9, 2..=4) && numbers.one_in(2);
        let own = match outcome {
            "committed" => Outcome::Committed,
            "rolled back" => Outcome::RolledBack,
            _ => Outcome::Unknown,
        };
        let relation = if numbers.one_in(4) { "public.other" } else { "public.rankings" };
        night.files[usize::try_from(numbers.below(4)).unwrap()].touches.push(TouchRow {
            relation: relation.into(),
            operation: "update",
            at,
            committed_at: committed_at.filter(|_| told),
            job: "j".into(),
            subject: "s".into(),
            session_id,
            statement_no,
            target: "ranking".into(),
            rows: Some(1),
            transaction_id,
            transaction_outcome: told.then_some(own),
            outcome_reason: None,
            columns: [].into(),
            via: "direct",
            certainty: Certainty::Certain,
            reason: None,
        });
        if relation == "public.rankings" {
            night.done.push(Done { session_id, statement_no, at, outcome, committed_at });
        }
    }
}

#[tokio::test]
async fn what_is_found_is_what_was_done() {
    let lakes = std::env::var("HANSARD_LAKES").map_or(3, |number| number.parse().unwrap());
    let mut found = 0;
    for seed in 0..lakes {
        let mut numbers = Numbers(seed);
        let fixture = Fixture::new();
        let Night { files, done } = night(&mut numbers);
        for rows in files {
            fixture.put(rows).await;
        }
        let engine = fixture.engine();
        for compacted in [false, true] {
            if compacted {
                let options = CompactionOptions { enough: 2, linger: Duration::from_secs(3600) };
                compact(&fixture.lake, &options, at("23:00:00"), &AtomicBool::new(false)).await.unwrap();
            }
            for _ in 0..6 {
                found += check(&engine, &mut numbers, &done, seed).await;
            }
        }
    }
    assert!(found > 50, "{found} rows in all say little");
}

/// A statement of a session, in the order in which it is sent.
struct Step {
    at: i64,
    sql: String,
    tag: &'static str,
    /// Status in ReadyForQuery.
    status: u8,
}

/// What one session does between midnight and six, and what became of it.
fn statements(numbers: &mut Numbers, session: u128, session_id: Uuid) -> (Vec<Step>, Vec<Done>) {
    const ANSWER: i64 = 2_000_000;
    let (mut steps, mut done): (Vec<Step>, Vec<Done>) = (Vec::new(), Vec::new());
    let mut now = at("00:00:01") + numbers.up_to(HOUR);
    for transaction in 0..5 {
        let length = [SECOND, 240 * SECOND, 2 * HOUR][usize::try_from(numbers.below(3)).unwrap()];
        let step = |steps: &mut Vec<Step>, at: i64, sql: &str, tag, status| {
            steps.push(Step { at, sql: sql.to_owned(), tag, status });
            steps.len() as u64
        };
        let first = done.len();
        step(&mut steps, now, "BEGIN", "BEGIN", b'T');
        for _ in 0..=numbers.below(2) {
            now += 1 + numbers.up_to(length);
            let statement_no = step(&mut steps, now, "UPDATE rankings SET score = 1", "UPDATE 1", b'T');
            done.push(Done { session_id, statement_no, at: now, outcome: "open", committed_at: None });
        }
        let kept = done.len();
        if numbers.one_in(3) {
            step(&mut steps, now, "SAVEPOINT s", "SAVEPOINT", b'T');
            let statement_no = step(&mut steps, now, "UPDATE rankings SET score = 2", "UPDATE 1", b'T');
            done.push(Done { session_id, statement_no, at: now, outcome: "rolled back", committed_at: None });
            step(&mut steps, now, "ROLLBACK TO SAVEPOINT s", "ROLLBACK", b'T');
        }
        let mut outcome = |outcome, committed_at| {
            for one in &mut done[first..kept] {
                (one.outcome, one.committed_at) = (outcome, committed_at);
            }
        };
        let gid = format!("g{session}-{transaction}");
        now += numbers.up_to(length);
        match numbers.below(6) {
            0 => {
                step(&mut steps, now, "ROLLBACK", "ROLLBACK", b'I');
                outcome("rolled back", None);
            }
            kind @ (1 | 2) => {
                let sql = format!("PREPARE TRANSACTION '{gid}'");
                step(&mut steps, now, &sql, "PREPARE TRANSACTION", b'I');
                outcome("unknown", None);
                if kind == 2 {
                    now += SECOND + numbers.up_to(HOUR);
                    step(&mut steps, now, &format!("COMMIT PREPARED '{gid}'"), "COMMIT PREPARED", b'I');
                    outcome("committed", Some(now + ANSWER));
                }
            }
            3 if transaction == 4 => {}
            kind => {
                // The clock may be set back before the commit.
                now -= if kind == 3 { numbers.up_to(30 * SECOND) } else { 0 };
                step(&mut steps, now, "COMMIT", "COMMIT", b'I');
                outcome("committed", Some(now + ANSWER));
            }
        }
        now += SECOND + numbers.up_to(HOUR / 2);
    }
    (steps, done)
}

/// As a recorder and a query engine that take turns see it: part of it in the lake, part in the log.
#[tokio::test]
async fn what_is_found_is_what_was_done_while_it_is_recorded() {
    let nights = std::env::var("HANSARD_LAKES").map_or(2, |number| number.parse().unwrap());
    let mut found = 0;
    for seed in 0..nights {
        let mut numbers = Numbers(seed);
        let fixture = Fixture::new();
        let engine = fixture.engine();
        let (mut sessions, mut done) = (Vec::new(), Vec::new());
        for number in 0..SESSIONS {
            let session = Session::open(&fixture, number, "j", "00:00:00").await;
            let (steps, of_session) = statements(&mut numbers, number, session.id);
            done.extend(of_session);
            sessions.push((session, steps.into_iter()));
        }
        while !sessions.iter().all(|(_, steps)| steps.len() == 0) {
            let place = usize::try_from(numbers.below(sessions.len() as u64)).unwrap();
            let (session, steps) = &mut sessions[place];
            let Some(Step { at, sql, tag, status }) = steps.next() else { continue };
            let time = hansard_query::rfc3339(at);
            let clock = time.trim_start_matches("2026-11-22T").trim_end_matches('Z');
            let answer = [frame(b'C', &[tag.as_bytes(), b"\0"].concat()), frame(b'Z', &[status])];
            session.exchange(clock, &[frame(b'Q', &[sql.as_bytes(), b"\0"].concat())], &answer).await;
            if numbers.one_in(12) {
                fixture.flush_shard(u16::try_from(numbers.below(u64::from(SHARDS))).unwrap()).await;
            }
            if numbers.one_in(12) {
                engine.who_updated("rankings", &time, Duration::from_secs(60)).await.unwrap();
            }
        }
        for flushed in [false, true] {
            if flushed {
                fixture.flush().await;
                let options = CompactionOptions { enough: 2, linger: Duration::from_secs(3600) };
                compact(&fixture.lake, &options, at("23:00:00"), &AtomicBool::new(false)).await.unwrap();
            }
            for _ in 0..8 {
                found += check(&engine, &mut numbers, &done, seed).await;
            }
        }
    }
    assert!(found > 30, "{found} rows in all say little");
}

/// Asks about some time, and compares what is found with what was done. How many rows that were.
async fn check(engine: &Engine, numbers: &mut Numbers, done: &[Done], seed: u64) -> usize {
    let middle = at("00:00:00") + numbers.up_to(9 * HOUR);
    let window = [0, SECOND, 60 * SECOND, HOUR][usize::try_from(numbers.below(4)).unwrap()];
    // Half of the questions are about a moment at which something was committed.
    let commits: Vec<i64> = done.iter().filter_map(|done| done.committed_at).collect();
    let place = usize::try_from(numbers.below(commits.len() as u64)).unwrap();
    let middle = if numbers.one_in(2) { commits[place] } else { middle };
    let (from, to) = (middle - window, middle + window);
    let expected: BTreeSet<String> = done
        .iter()
        .filter(|done| match (done.outcome, done.committed_at) {
            ("rolled back", _) => false,
            (_, Some(committed_at)) => (from..=to).contains(&committed_at),
            (_, None) => (from..=to).contains(&done.at),
        })
        .map(|done| format!("{} {} {}", done.session_id, done.statement_no, done.outcome))
        .collect();
    let time = hansard_query::rfc3339(middle);
    let answer = engine.who_updated("rankings", &time, Duration::from_nanos(window.unsigned_abs())).await.unwrap();
    let columns = ["session_id", "statement_no", "transaction_outcome"].map(|name| column(&answer, name));
    let rows: Vec<String> =
        (0..answer.rows()).map(|row| columns.each_ref().map(|values| values[row].as_str()).join(" ")).collect();
    let distinct = rows.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(distinct, expected, "seed {seed} at {time} ± {window} ns");
    assert_eq!(rows.len(), expected.len(), "seed {seed} at {time}: a row comes twice");
    rows.len()
}
