//! What it costs to make rows of a million frames: `cargo run --release -p hansard-record --example cost`.
//!
//! The traffic is that of `pgbench -S` in eight sessions, prepared and simple; the rows are taken away in Arrow as the
//! recorder does.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells its figures and may stop")]

use hansard_record::{Projector, Rows};
use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{
    Authenticated, Block, Compression, Direction, Event, FrameRun, Message, Part, Payload, SessionOpened,
};
use hansard_schemas::lake::Table;
use uuid::Uuid;

const SESSIONS: u64 = 8;
const FRAMES: u64 = 1_000_000;
/// Transactions of a session in one block.
const IN_BLOCK: u64 = 32;
/// Blocks between two flushes.
const IN_FILE: usize = 512;

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
    let mut source = Source { id: Uuid::from_u128(7 + u128::from(number)), seq: 1, at: number, events: Vec::new() };
    let opened = SessionOpened { db_user: "app".into(), database: "ranking".into(), ..SessionOpened::default() };
    let authenticated = Authenticated {
        subject: "s".into(),
        job: "nightly".into(),
        search_path: vec!["public".into()],
        ..Authenticated::default()
    };
    for (event_no, kind) in [(1, Kind::SessionOpened(opened)), (2, Kind::Authenticated(authenticated))] {
        source.events.push(Event { at: number, event_no, kind: Some(kind) });
    }
    source.run(Direction::Backend, (1, frame(b'Z', b"I")));
    let text = b"P_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1;\0\0\0";
    source.run(Direction::Frontend, (2, [frame(b'P', text), frame(b'S', b"")].concat()));
    source.run(Direction::Backend, (2, [frame(b'1', b""), frame(b'Z', b"I")].concat()));
    source
}

fn traffic(transaction: fn(u64) -> [(u32, Vec<u8>); 2]) -> Vec<Block> {
    let mut sources: Vec<Source> = (0..SESSIONS).map(source).collect();
    let (mut blocks, mut number) = (Vec::new(), 1);
    while sources.iter().map(|source| source.seq).sum::<u64>() < FRAMES {
        for source in &mut sources {
            for _ in 0..IN_BLOCK {
                let [request, answer] = transaction(number * 7_919 % 1_000_000);
                source.run(Direction::Frontend, request);
                source.run(Direction::Backend, answer);
                number += 1;
            }
            blocks.push(source.block());
        }
    }
    blocks
}

/// Time that this process has been on a processor, in seconds.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn main() {
    for (name, transaction) in [("prepared", prepared as fn(u64) -> _), ("simple", simple)] {
        let blocks = traffic(transaction);
        let mut projector = Projector::default();
        let (mut projected, mut columnar, mut frames, mut statements) = (0.0, 0.0, 0, 0);
        for blocks in blocks.chunks(IN_FILE) {
            let began = spent();
            let mut rows = Rows::default();
            blocks.iter().for_each(|block| projector.apply(block, &mut rows));
            projector.take_changes();
            let between = spent();
            let batches = Table::ALL.map(|table| rows.batch(table).num_rows());
            columnar += spent() - between;
            projected += between - began;
            (frames, statements) = (frames + batches[0], statements + batches[1]);
        }
        let million = 1e6 / frames as f64;
        println!(
            "{name}: {frames} frames, {statements} statements; CPU seconds per million frames: {:.2} (rows {:.2}, Arrow {:.2})",
            (projected + columnar) * million,
            projected * million,
            columnar * million
        );
    }
}
