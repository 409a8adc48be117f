//! What is kept from question to question is what a question that begins anew would read.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use hansard_event_log::{Batch, Bounds, EventLog, Position, Positioned, Shard as LogShard};
use hansard_lake::catalog::OpenSession;
use hansard_record::{Projector, Rows};
use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{
    Authenticated, Block, Direction, Event, FrameRun, Message, Payload, ProxyStarted, SessionClosed, SessionOpened,
};
use hansard_schemas::lake::Table;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::shard::Shard;
use super::{Begin, Budget, Chunk, chunk_of};

const SECOND: u64 = 1_000_000_000;
const TABLES: [Table; 6] =
    [Table::Statements, Table::Touches, Table::Transactions, Table::Sessions, Table::Catalog, Table::Leases];

/// Numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A log of one shard. The place behind a block is its number.
#[derive(Default)]
struct Blocks(Vec<Block>);

#[async_trait]
impl EventLog for Blocks {
    fn shards(&self) -> LogShard {
        1
    }

    async fn append(&self, _: LogShard, _: Block) -> Result<Position, hansard_event_log::Error> {
        Err(hansard_event_log::Error::Unavailable("it is filled by hand".to_owned()))
    }

    async fn read(&self, _: LogShard, from: Position, bytes: usize) -> Result<Batch, hansard_event_log::Error> {
        self.read_unmerged(0, from, bytes).await
    }

    async fn read_unmerged(&self, _: LogShard, from: Position, _: usize) -> Result<Batch, hansard_event_log::Error> {
        let first = usize::try_from(from.0).unwrap();
        let blocks = self.0.iter().enumerate().skip(first).take(7);
        let blocks: Vec<Positioned> = blocks
            .map(|(place, block)| Positioned { next: Position(place as u64 + 1), block: block.clone() })
            .collect();
        Ok(Batch { next: blocks.last().map_or(from, |last| last.next), blocks })
    }

    async fn wait(&self, _: LogShard, _: Position, _: Duration) -> Result<bool, hansard_event_log::Error> {
        Ok(true)
    }

    async fn bounds(&self, _: LogShard) -> Result<Bounds, hansard_event_log::Error> {
        Ok(Bounds { first: Position(0), end: Position(self.0.len() as u64) })
    }

    async fn trim(&self, _: LogShard, _: Position) -> Result<(), hansard_event_log::Error> {
        Ok(())
    }
}

/// A session, as its proxy records it.
struct Recorded {
    id: Uuid,
    seq: u64,
    event_no: u64,
    status: u8,
    instance: String,
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

impl Recorded {
    fn block(&mut self, at: u64, kinds: Vec<Kind>, runs: &[(Direction, Vec<Vec<u8>>)]) -> Block {
        let (first_seq, first_event) = (self.seq + 1, self.event_no + 1);
        let mut events = Vec::new();
        for kind in kinds {
            self.event_no += 1;
            events.push(Event { at, event_no: self.event_no, kind: Some(kind) });
        }
        for (direction, frames) in runs {
            let run = FrameRun {
                direction: *direction as i32,
                first_seq: self.seq + 1,
                count: u32::try_from(frames.len()).unwrap(),
                frames: frames.concat().into(),
                ..FrameRun::default()
            };
            self.seq += frames.len() as u64;
            events.push(Event { at, event_no: 0, kind: Some(Kind::Frames(run)) });
        }
        let payload = Payload { events }.encode_to_vec();
        Block {
            session_id: self.id.as_bytes().to_vec(),
            target: "ranking".to_owned(),
            first_seq,
            last_seq: self.seq,
            first_event,
            last_event: self.event_no,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        }
    }

    fn open(&mut self, at: u64) -> Block {
        let opened = SessionOpened {
            node: "node".to_owned(),
            instance: self.instance.clone(),
            database: "ranking".to_owned(),
            ..SessionOpened::default()
        };
        let authenticated =
            Authenticated { job: "job".to_owned(), search_path: vec!["public".to_owned()], ..Authenticated::default() };
        let kinds = vec![Kind::SessionOpened(opened), Kind::Authenticated(authenticated)];
        self.block(at, kinds, &[(Direction::Backend, vec![frame(b'Z', b"I")])])
    }

    /// What a session does next: a statement in one block, or question and answer in two.
    fn go_on(&mut self, at: u64, random: &mut Random) -> Vec<Block> {
        let (sql, tag) = match random.below(9) {
            0 => ("BEGIN", "BEGIN"),
            1 => ("COMMIT", "COMMIT"),
            2 => ("ROLLBACK", "ROLLBACK"),
            3 => ("SAVEPOINT s", "SAVEPOINT"),
            4 => ("ROLLBACK TO s", "ROLLBACK"),
            5 => ("SET search_path = other, public", "SET"),
            6 => ("SELECT a FROM b", "SELECT 3"),
            _ => ("UPDATE rankings SET score = 1", "UPDATE 5"),
        };
        self.status = match (sql, self.status) {
            ("BEGIN", _) => b'T',
            ("COMMIT" | "ROLLBACK", _) => b'I',
            (_, status) => status,
        };
        let asked = (Direction::Frontend, vec![frame(b'Q', &[sql.as_bytes(), b"\0"].concat())]);
        let answer = vec![frame(b'C', &[tag.as_bytes(), b"\0"].concat()), frame(b'Z', &[self.status])];
        let answered = (Direction::Backend, answer);
        if random.below(3) == 0 {
            vec![self.block(at, vec![], &[asked]), self.block(at + 1, vec![], &[answered])]
        } else {
            vec![self.block(at, vec![], &[asked, answered])]
        }
    }

    fn close(&mut self, at: u64) -> Block {
        let closed = SessionClosed { reason: "over".to_owned(), frames: self.seq, ..SessionClosed::default() };
        self.block(at, vec![Kind::SessionClosed(closed)], &[])
    }
}

/// What proxies write, and a recorder beside them.
struct World {
    random: Random,
    at: u64,
    log: Blocks,
    sessions: Vec<Recorded>,
    /// Sessions so far.
    number: u128,
    instance: u64,
    recorder: Projector,
    watermark: u64,
    saved: BTreeMap<Uuid, Vec<u8>>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            at: 1_795_317_120 * SECOND,
            log: Blocks::default(),
            sessions: Vec::new(),
            number: 0,
            instance: 1,
            recorder: Projector::default(),
            watermark: 0,
            saved: BTreeMap::new(),
        }
    }

    /// A proxy records something.
    fn record(&mut self) {
        self.at += SECOND;
        let of = self.random.below(self.sessions.len().max(1) as u64);
        let of = usize::try_from(of).unwrap();
        match self.random.below(40) {
            // Longer than it is remembered that sessions ended.
            0 => self.at += 700 * SECOND,
            // What the log holds once more.
            1..=3 if !self.log.0.is_empty() => {
                let again = self.random.below(self.log.0.len() as u64);
                self.log.0.push(self.log.0[usize::try_from(again).unwrap()].clone());
            }
            4 => {
                self.instance += 1;
                let started = ProxyStarted {
                    node: "node".into(),
                    instance: self.instance.to_string(),
                    ..ProxyStarted::default()
                };
                let event = Event { at: self.at, event_no: 1, kind: Some(Kind::ProxyStarted(started)) };
                let payload = Payload { events: vec![event] }.encode_to_vec();
                let session_id = Uuid::from_u128(u128::from(self.instance) << 64).as_bytes().to_vec();
                let payload_length = payload.len() as u64;
                self.log.0.push(Block { session_id, payload_length, payload, ..Block::default() });
                self.sessions.clear();
            }
            5..=9 if of < self.sessions.len() => {
                let closed = self.sessions.swap_remove(of).close(self.at);
                self.log.0.push(closed);
            }
            10..=32 if of < self.sessions.len() => {
                let blocks = self.sessions[of].go_on(self.at, &mut self.random);
                self.log.0.extend(blocks);
            }
            _ => {
                self.number += 1;
                let (id, instance) = (Uuid::from_u128(self.number), self.instance.to_string());
                let mut session = Recorded { id, seq: 0, event_no: 0, status: b'I', instance };
                self.log.0.push(session.open(self.at));
                self.sessions.push(session);
            }
        }
    }

    /// The recorder goes on, perhaps not to the end.
    fn flush(&mut self) {
        let left = self.log.0.len() as u64 - self.watermark;
        if left == 0 {
            return;
        }
        let first = usize::try_from(self.watermark).unwrap();
        self.watermark += 1 + self.random.below(left);
        let mut rows = Rows::default();
        let blocks = &self.log.0[first..usize::try_from(self.watermark).unwrap()];
        blocks.iter().for_each(|block| self.recorder.apply(block, &mut rows));
        if self.random.below(20) == 0 {
            self.recorder.abandon(i64::try_from(self.at).unwrap(), "gone", &mut rows);
        }
        let changes = self.recorder.take_changes();
        self.saved.extend(changes.sessions.into_iter().map(|session| (session.session_id, session.state)));
        self.saved.retain(|session_id, _| !changes.ended.contains(session_id));
    }

    fn begin(&self) -> Begin {
        let open = |(session_id, state): (&Uuid, &Vec<u8>)| OpenSession {
            shard: 0,
            session_id: *session_id,
            state: state.clone(),
        };
        Begin {
            watermark: (self.watermark > 0).then_some(self.watermark),
            sessions: self.saved.iter().map(open).collect(),
            end: Position(self.log.0.len() as u64),
        }
    }
}

type Object = Map<String, Value>;

fn objects(table: Table, chunks: impl Iterator<Item = Chunk>) -> Vec<Object> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    for chunk in chunks {
        let batch = chunk.batch().unwrap();
        assert_eq!(batch.schema(), table.schema());
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    let lines = writer.into_inner();
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Every row of a shard in words, with the outcome that its transaction's rows tell where it has none.
async fn rows(shard: &mut Shard, world: &World) -> BTreeMap<&'static str, Vec<String>> {
    let mut budget = Budget::new(u64::MAX);
    while shard.advance(&world.log, Position(world.log.0.len() as u64), &mut budget).await.unwrap() {}
    let open = shard.in_flight();
    let mut all: BTreeMap<&'static str, Vec<Object>> = BTreeMap::new();
    for table in TABLES {
        let chunks = shard.chunks(table).chain(chunk_of(table, &open).unwrap());
        all.insert(table.name(), objects(table, chunks));
    }
    let facts = all[Table::Transactions.name()].clone();
    let number = |row: &Object, name: &str| row[name].as_i64().unwrap();
    for table in [Table::Statements, Table::Touches] {
        for row in all.get_mut(table.name()).unwrap().iter_mut().filter(|row| !row.contains_key("transaction_outcome"))
        {
            let statement = number(row, "statement_no");
            let mut of = facts.iter().filter(|fact| {
                let range = number(fact, "first_statement")..=number(fact, "last_statement");
                fact["session_id"] == row["session_id"]
                    && fact["transaction_id"] == row["transaction_id"]
                    && (fact["kind"] == "transaction" || range.contains(&statement))
            });
            let fact = of.clone().find(|fact| fact["kind"] == "savepoint").or_else(|| of.next());
            let Some(fact) = fact else { continue };
            for (from, to) in
                [("outcome", "transaction_outcome"), ("committed_at", "committed_at"), ("reason", "outcome_reason")]
            {
                if let Some(value) = fact.get(from) {
                    row.insert(to.to_owned(), value.clone());
                }
            }
        }
    }
    let words = |rows: Vec<Object>| {
        let mut words: Vec<String> = rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
        words.sort_unstable();
        words
    };
    all.into_iter().map(|(table, rows)| (table, words(rows))).collect()
}

#[tokio::test]
async fn what_is_kept_is_what_is_read_anew() {
    // Questions after a flush for which what was kept was gone on with, and not.
    let (mut followed, mut begun) = (0, 0);
    for seed in 0..50 {
        let mut world = World::new(seed);
        let mut kept: Option<(u64, Shard)> = None;
        for step in 0..120 {
            match world.random.below(10) {
                0 => world.flush(),
                1 | 2 => {
                    let begin = world.begin();
                    let watermark = world.watermark;
                    let flushed = kept.as_ref().is_some_and(|(before, _)| *before != watermark);
                    let gone_on = kept.take().and_then(|(_, shard)| shard.follow(&begin));
                    followed += usize::from(flushed && gone_on.is_some());
                    begun += usize::from(flushed && gone_on.is_none());
                    let mut shard = gone_on.unwrap_or_else(|| Shard::begin(0, &begin).unwrap());
                    let found = rows(&mut shard, &world).await;
                    let expected = rows(&mut Shard::begin(0, &begin).unwrap(), &world).await;
                    assert_eq!(found, expected, "seed {seed}, step {step}");
                    kept = Some((watermark, shard));
                }
                _ => world.record(),
            }
        }
    }
    assert!(followed > 80 && begun > 20, "{followed} were gone on with, {begun} were not");
}

/// Rows that were dropped take no memory, however often the recorder flushes.
#[tokio::test]
async fn what_the_recorder_took_is_let_go() {
    let mut world = World::new(7);
    let mut session = Recorded { id: Uuid::from_u128(1), seq: 0, event_no: 0, status: b'I', instance: "1".to_owned() };
    world.log.0.push(session.open(world.at));
    let mut kept = Shard::begin(0, &world.begin()).unwrap();
    let mut most = 0;
    for round in 0..40 {
        for _ in 0..300 {
            world.log.0.extend(session.go_on(world.at, &mut world.random));
        }
        rows(&mut kept, &world).await;
        if round < 4 {
            most = most.max(kept.memory());
        }
        assert!(kept.memory() <= 2 * most, "{} after {round} rounds, {most} at first", kept.memory());
        world.recorder = Projector::restore(0, world.saved.iter().map(|(id, state)| (*id, &state[..]))).unwrap();
        let first = usize::try_from(world.watermark).unwrap();
        // All but the last blocks.
        let last = world.log.0.len() - 50;
        let mut rows = Rows::default();
        world.log.0[first..last].iter().for_each(|block| world.recorder.apply(block, &mut rows));
        let changes = world.recorder.take_changes();
        world.saved.extend(changes.sessions.into_iter().map(|session| (session.session_id, session.state)));
        world.watermark = last as u64;
        kept = kept.follow(&world.begin()).expect("the session goes on");
    }
}
