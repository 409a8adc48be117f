//! A lake to read from, for `cargo xtask bench read`: one long session with its frames, and many short ones.
//!
//! `reading_lake FOLDER STATEMENTS SESSIONS` writes `FOLDER/lake` and `FOLDER/catalog.db` by the lake's own writer, in flushes
//! as a recorder makes them, and compacts them. The watermark stays at 0, so that an empty event log goes with it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells its figures and may stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hansard_lake::catalog::Commit;
use hansard_lake::compaction::{CompactionOptions, compact};
use hansard_lake::layout::{FlushId, HOUR};
use hansard_lake::{Lake, LakeOptions, writer};
use hansard_query::Moment;
use hansard_record::{Certainty, Credential, FrameRow, Outcome, Rows, Run, SessionRow, StatementRow, Status, TouchRow};
use hansard_schemas::events::{Direction, Part};
use uuid::Uuid;

/// The long session's id, its last digits: those of the short ones are their numbers.
const LONG: u128 = 0x019a_a000_0000_7000_9000_0000_ffff_ffff;
/// Statements, and sessions, of a flush.
const OF_FLUSH: u64 = 50_000;
/// Between two statements, nanoseconds: a million of them take a quarter of an hour.
const STEP: i64 = 900_000;
/// Every tenth statement is a SELECT, which gives back a row.
const SELECTS: u64 = 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap());
    let mut number = || arguments.next().unwrap().parse::<u64>().unwrap();
    let (statements, sessions) = (number(), number());
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    threads.block_on(fill(&open(&folder), statements, sessions));
    println!("{statements} statements in one session, {sessions} sessions, written in {:.0?}", began.elapsed());
}

fn open(folder: &Path) -> Lake {
    Lake::open(&LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog.db").display()),
    })
    .unwrap()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

async fn fill(lake: &Lake, statements: u64, sessions: u64) {
    let day = Moment::parse("2026-11-22").unwrap().from;
    let mut flush = 0;
    for from in (0..sessions).step_by(usize::try_from(OF_FLUSH).unwrap()) {
        let rows = Rows {
            sessions: (from..sessions.min(from + OF_FLUSH)).map(|number| short(number, day)).collect(),
            ..Rows::default()
        };
        put(lake, flush, rows).await;
        flush += 1;
    }
    let mut seq = 1;
    let began = day + 12 * HOUR;
    for from in (1..=statements).step_by(usize::try_from(OF_FLUSH).unwrap()) {
        let mut rows = Rows::default();
        for no in from..=statements.min(from + OF_FLUSH - 1) {
            seq = statement(&mut rows, no, began + signed(no) * STEP, seq);
        }
        if from + OF_FLUSH > statements {
            rows.sessions.push(SessionRow {
                statements,
                frames: seq - 1,
                opened_at: began,
                closed_at: Some(began + signed(statements + 1) * STEP),
                ..short(0xffff_ffff, day)
            });
        }
        put(lake, flush, rows).await;
        flush += 1;
    }
    let options = CompactionOptions { linger: Duration::ZERO, ..CompactionOptions::default() };
    compact(lake, &options, began + 24 * HOUR, &AtomicBool::new(false)).await.unwrap();
}

async fn put(lake: &Lake, flush: u64, rows: Rows) {
    let hold = lake.catalog.take_shard(0, "bench").await.unwrap();
    let id = FlushId { shard: 0, epoch: hold.epoch.0, flush, from: 0, watermark: 0 };
    let files = writer::write_rows(lake, |table| rows.batch(table), &id).unwrap();
    let (sessions, ended) = (Vec::new(), Vec::new());
    let commit = Commit { shard: 0, epoch: hold.epoch, from: 0, watermark: 0, files, sessions, ended };
    lake.catalog.commit(commit).await.unwrap();
}

/// A session of a minute, one of many in that day.
fn short(number: u64, day: i64) -> SessionRow {
    let opened_at = day + signed(number % 86_400) * 1_000_000_000;
    SessionRow {
        session_id: Uuid::from_u128((LONG & !0xffff_ffff) | u128::from(number)),
        target: "ranking".into(),
        job: format!("job-{}", number % 500).into(),
        subject: format!("svc:job-{}", number % 500).into(),
        issuer: "ci".into(),
        groups: vec!["nightly".into()],
        client_addr: format!("10.0.{}.{}:51234", number / 250 % 250, number % 250),
        application_name: "bench".to_owned(),
        db_user: "app".to_owned(),
        database: "ranking".to_owned(),
        opened_at,
        closed_at: Some(opened_at + 60_000_000_000),
        close_reason: Some("terminated by job".to_owned()),
        complete: true,
        statements: number % 40,
        frames: number % 40 * 4,
        bytes_frontend: 0,
        bytes_backend: 0,
        denied: 0,
        auth_failure: None,
        gaps: None,
        chain_head: [0; 32],
        capture: "full".to_owned(),
        max_result_bytes: None,
        tls: None,
        contradictions: 0,
        database_role: Some("app".to_owned()),
        backend_pid: None,
        errors: u64::from(number % 50 == 7),
        notices: None,
        ending: "terminated",
        last_frame_at: Some(opened_at + 60_000_000_000),
        purpose: None,
        traceparent: None,
        credential: Credential::default(),
    }
}

/// A message of the protocol.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// A statement of the long session with its frames; returns the next frame's number.
fn statement(rows: &mut Rows, no: u64, at: i64, seq: u64) -> u64 {
    let (session_id, target): (Uuid, Arc<str>) = (Uuid::from_u128(LONG), "ranking".into());
    let (job, subject): (Arc<str>, Arc<str>) = ("job-long".into(), "svc:job-long".into());
    let select = no.is_multiple_of(SELECTS);
    let table = no % 7;
    let sql: Arc<str> = match select {
        true => format!("SELECT id, score FROM public.table_{table} WHERE id = {no}").into(),
        false => format!("UPDATE public.table_{table} SET score = score + 1 WHERE id = {no}").into(),
    };
    let mut answer = Vec::new();
    if select {
        // One column of type int8 in text.
        answer.extend(message(b'T', b"\0\x01id\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"));
        let value = no.to_string();
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        answer.extend(message(b'D', &[b"\0\x01", &length[..], value.as_bytes()].concat()));
    }
    answer.extend(message(b'C', if select { b"SELECT 1\0" } else { b"UPDATE 1\0" }));
    answer.extend(message(b'Z', b"I"));
    let asked = message(b'Q', format!("{sql}\0").as_bytes());
    let answers = if select { 4 } else { 2 };
    let mut run = |seq: u64, direction: Direction, tag: u8, bytes: Vec<u8>, count: u32, at: i64| {
        let (part, target) = (Part::Whole, target.clone());
        let first = FrameRow {
            session_id,
            seq,
            at,
            direction,
            tag,
            frame: bytes.into(),
            masked: false,
            withheld: None,
            part,
            target,
            omitted: None,
        };
        rows.frames.push(Run { first, count });
    };
    run(seq, Direction::Frontend, b'Q', asked, 1, at);
    run(seq + 1, Direction::Backend, if select { b'T' } else { b'C' }, answer, answers, at + STEP / 2);
    let (last_seq, operation) = (seq + u64::from(answers), if select { "select" } else { "update" });
    rows.touches.push(TouchRow {
        relation: format!("public.table_{table}").into(),
        operation,
        at,
        committed_at: Some(at + STEP / 2),
        job: job.clone(),
        subject: subject.clone(),
        session_id,
        statement_no: no,
        target: target.clone(),
        rows: Some(1),
        transaction_id: no,
        transaction_outcome: Some(Outcome::Committed),
        outcome_reason: None,
        columns: ["id".into(), "score".into()].into(),
        via: "direct",
        certainty: Certainty::Certain,
        reason: None,
    });
    rows.statements.push(StatementRow {
        session_id,
        statement_no: no,
        target,
        job,
        subject,
        issuer: "ci".into(),
        operation,
        sql,
        parameters: None,
        fingerprint: Some(format!("{table:016x}").into()),
        started_at: at,
        finished_at: Some(at + STEP / 2),
        rows: Some(1),
        sqlstate: None,
        error: None,
        verdict: "allow",
        transaction_id: no,
        transaction_outcome: Some(Outcome::Committed),
        committed_at: Some(at + STEP / 2),
        outcome_reason: None,
        opaque: None,
        first_seq: seq,
        last_seq,
        truncated: false,
        omitted: None,
        status: Status::Done,
        executed: None,
        severity: None,
        details: None,
        notices: None,
    });
    last_seq + 1
}
