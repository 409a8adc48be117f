//! What a million frames cost the recorder: `cargo run --release -p hansard-recorder --example recording_cost`.
//!
//! The traffic is that of `pgbench -S` in eight sessions, prepared and simple, appended to a local log as the proxy does.
//! The recorder reads it and fills a lake; beside that it is told what rows and Arrow take alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells its figures and may stop")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{Fsync, LocalLog, LocalLogOptions};
use hansard_lake::{Lake, LakeOptions};
use hansard_record::{Projector, Rows};
use hansard_recorder::{Recorder, RecorderOptions};
use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{
    Authenticated, Block, Compression, Direction, Event, FrameRun, Message, Part, Payload, SessionOpened,
};
use hansard_schemas::lake::Table;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SESSIONS: u64 = 8;
const FRAMES: u64 = 1_000_000;
/// 2026-11-22T03:12:00Z.
const BEGIN: u64 = 1_795_317_120_000_000_000;
const SHARDS: u16 = 2;
/// Transactions between two flushes where rows are made alone.
const IN_FILE: usize = 16 * 1024;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn answer(first: &[u8], number: u64) -> (u32, Vec<u8>) {
    let description = frame(b'T', b"\0\x01abalance\0\0\0\x40\x05\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
    let value = number.to_string();
    let row = frame(b'D', &[&[0, 1, 0, 0, 0, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat());
    let end = [frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat();
    (4 + u32::from(!first.is_empty()), [first, &description, &row, &end].concat())
}

fn prepared(number: u64) -> [(u32, Vec<u8>); 2] {
    let value = number.to_string();
    let length = [0, 0, 0, u8::try_from(value.len()).unwrap()];
    let bind = [b"\0P_0\0\0\0\0\x01", &length[..], value.as_bytes(), b"\0\x01\0\0"].concat();
    let request = [frame(b'B', &bind), frame(b'D', b"P\0"), frame(b'E', b"\0\0\0\0\0"), frame(b'S', b"")].concat();
    [(4, request), answer(&frame(b'2', b""), number)]
}

fn simple(number: u64) -> [(u32, Vec<u8>); 2] {
    let text = format!("SELECT abalance FROM pgbench_accounts WHERE aid = {number};\0");
    [(1, frame(b'Q', text.as_bytes())), answer(b"", number)]
}

struct Source {
    id: Uuid,
    seq: u64,
    at: u64,
    events: Vec<Event>,
}

impl Source {
    fn run(&mut self, direction: Direction, (count, frames): (u32, Vec<u8>)) {
        self.at += 50_000;
        let run = FrameRun {
            direction: direction as i32,
            first_seq: self.seq,
            count,
            frames: frames.into(),
            part: Part::Whole as i32,
            ..FrameRun::default()
        };
        self.seq += u64::from(count);
        self.events.push(Event { at: self.at, event_no: 0, kind: Some(Kind::Frames(run)) });
    }

    fn block(&mut self) -> Block {
        let payload = Payload { events: std::mem::take(&mut self.events) }.encode_to_vec();
        Block {
            session_id: self.id.as_bytes().to_vec(),
            target: "ranking".to_owned(),
            first_seq: 1,
            last_seq: self.seq - 1,
            first_event: 1,
            last_event: 0,
            chain_head: Vec::new(),
            compression: Compression::None as i32,
            payload_length: payload.len() as u64,
            payload,
        }
    }
}

fn source(number: u64) -> Source {
    let shard = u16::try_from(number).unwrap() % SHARDS;
    let mut source = Source {
        id: hansard_event_log::mint_session_id(shard, SHARDS),
        seq: 1,
        at: BEGIN + number,
        events: Vec::new(),
    };
    let opened = SessionOpened { db_user: "app".into(), database: "ranking".into(), ..SessionOpened::default() };
    let authenticated = Authenticated {
        subject: "s".into(),
        job: "nightly".into(),
        search_path: vec!["public".into()],
        ..Authenticated::default()
    };
    for (event_no, kind) in [(1, Kind::SessionOpened(opened)), (2, Kind::Authenticated(authenticated))] {
        source.events.push(Event { at: BEGIN + number, event_no, kind: Some(kind) });
    }
    source.run(Direction::Backend, (1, frame(b'Z', b"I")));
    let text = b"P_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1;\0\0\0";
    source.run(Direction::Frontend, (2, [frame(b'P', text), frame(b'S', b"")].concat()));
    source.run(Direction::Backend, (2, [frame(b'1', b""), frame(b'Z', b"I")].concat()));
    source
}

fn traffic(transaction: fn(u64) -> [(u32, Vec<u8>); 2]) -> Vec<(u16, Block)> {
    let mut sources: Vec<Source> = (0..SESSIONS).map(source).collect();
    let (mut blocks, mut number) = (Vec::new(), 1);
    while sources.iter().map(|source| source.seq).sum::<u64>() < FRAMES {
        for (shard, source) in sources.iter_mut().enumerate() {
            // An answer is appended with the next request.
            let [request, answer] = transaction(number * 7_919 % 1_000_000);
            source.run(Direction::Frontend, request);
            blocks.push((u16::try_from(shard).unwrap() % SHARDS, source.block()));
            source.run(Direction::Backend, answer);
            number += 1;
        }
    }
    blocks
}

/// Time that this process has been on a processor, in seconds.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let times = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Rows alone: to structs and runs, and to Arrow.
fn rows(blocks: &[(u16, Block)]) -> (f64, f64, usize) {
    let mut projector = Projector::default();
    let (mut projected, mut columnar, mut statements) = (0.0, 0.0, 0);
    for blocks in blocks.chunks(IN_FILE) {
        let began = spent();
        let mut rows = Rows::default();
        blocks.iter().for_each(|(_, block)| projector.apply(block, &mut rows));
        projector.take_changes();
        let between = spent();
        let batches = Table::ALL.map(|table| rows.batch(table).num_rows());
        columnar += spent() - between;
        projected += between - began;
        statements += batches[1];
    }
    (projected, columnar, statements)
}

/// The recorder, from the log to the lake.
async fn recorder(folder: &Path, blocks: &[(u16, Block)]) -> f64 {
    let log = LocalLog::open(LocalLogOptions {
        path: folder.join("log"),
        shards: SHARDS,
        fsync: Fsync::Interval(Duration::from_millis(50)),
        segment_bytes: 64 << 20,
        max_bytes: 4 << 30,
    })
    .unwrap();
    for (shard, block) in blocks {
        log.append_now(*shard, &block.encode_to_vec()).unwrap();
    }
    let options = LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog.db").display()),
    };
    let lake = Arc::new(Lake::open(&options).unwrap());
    let began = spent();
    let options = RecorderOptions {
        stop_patience: Duration::from_secs(600),
        ..RecorderOptions::new(Duration::from_secs(5), Arc::new(|| i64::try_from(BEGIN).unwrap()))
    };
    let recorder = Recorder::new(options, log, lake);
    // Told to stop, it stops where the log ends.
    let cancel = CancellationToken::new();
    let (ran, ()) = tokio::join!(recorder.run(cancel.clone()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    ran.unwrap();
    spent() - began
}

#[tokio::main]
async fn main() {
    for (name, transaction) in [("prepared", prepared as fn(u64) -> _), ("simple", simple)] {
        let blocks = traffic(transaction);
        let (projected, columnar, statements) = rows(&blocks);
        let folder = tempfile::tempdir().unwrap();
        let all = recorder(folder.path(), &blocks).await;
        println!(
            "{name}: {statements} statements; CPU seconds per million frames: {all:.2} (rows {projected:.2}, Arrow {columnar:.2})",
        );
    }
}
