//! Sessions that produce blocks, and what was read put together again.

use std::collections::BTreeMap;

use bytes::Bytes;
use hansard_event_log::{Batch, EventLog, Position, Shard, mint_session_id};
use hansard_schemas::events::{
    Block, BlockExt, CHAIN_START, ChainHead, Direction, Event, FrameRun, Gap, Message, Payload, event, extend_chain,
};
use uuid::Uuid;

/// A session that goes on block by block.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    seq: u64,
    event: u64,
}

impl Session {
    pub(crate) fn new(shard: Shard, shards: Shard) -> Session {
        Session { id: mint_session_id(shard, shards), seq: 0, event: 0 }
    }

    /// The next block: `frames` frames in one run, and one other event, which carries the number of the block.
    pub(crate) fn block(&mut self, frames: u32, bytes: usize) -> Block {
        let (first_seq, first_event) = (self.seq + 1, self.event + 1);
        self.seq += u64::from(frames);
        self.event += 1;
        let mut events = Vec::new();
        if frames > 0 {
            let run = FrameRun {
                direction: Direction::Frontend as i32,
                first_seq,
                count: frames,
                frames: noise(first_seq, bytes),
                ..FrameRun::default()
            };
            events.push(Event { at: first_seq, event_no: 0, kind: Some(event::Kind::Frames(run)) });
        }
        let kind = Some(event::Kind::Gap(Gap { reason: format!("block {}", self.event), frames: 0 }));
        events.push(Event { at: first_event, event_no: self.event, kind });
        let payload = Payload { events }.encode_to_vec();
        Block {
            session_id: self.id.as_bytes().to_vec(),
            target: "ranking".to_owned(),
            first_seq,
            last_seq: self.seq,
            first_event,
            last_event: self.event,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        }
    }
}

/// Bytes that zstd can't shorten.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    next.take(length).collect()
}

/// Reads a shard from `from` to its end, in reads of about `max_bytes`.
pub(crate) async fn read_all(
    log: &dyn EventLog,
    shard: Shard,
    from: Position,
    max_bytes: usize,
) -> (Vec<Block>, Position) {
    let mut blocks = Vec::new();
    let mut next = from;
    loop {
        let batch: Batch = log.read(shard, next, max_bytes).await.unwrap();
        if batch.blocks.is_empty() {
            return (blocks, batch.next);
        }
        for found in batch.blocks {
            assert!(found.next > next, "positions grow");
            next = found.next;
            blocks.push(found.block);
        }
        assert!(batch.next >= next);
        next = batch.next;
    }
}

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    seq: u64,
    no: u64,
    /// The chain head after each of the events.
    heads: Vec<ChainHead>,
}

/// The events of each session, as a recorder would see them: what it has already is dropped, a hole is an error. Checks
/// the chain heads of the blocks that have one.
pub(crate) fn events(blocks: &[Block]) -> BTreeMap<Uuid, Vec<Event>> {
    let mut sessions: BTreeMap<Uuid, Seen> = BTreeMap::new();
    for block in blocks {
        let Seen { events, seq, no, heads } = sessions.entry(block.session().unwrap()).or_default();
        let mut place = 0;
        for event in block.events().unwrap() {
            let (last, first, count) = match &event.kind {
                Some(event::Kind::Frames(run)) => (&mut *seq, run.first_seq, u64::from(run.count)),
                _ => (&mut *no, event.event_no, 1),
            };
            if first + count - 1 > *last {
                assert_eq!(first, *last + 1, "a hole in session {}", block.session().unwrap());
                *last = first + count - 1;
                let head = heads.last().copied().unwrap_or(CHAIN_START);
                heads.push(extend_chain(&head, &event.encode_to_vec()));
                events.push(event);
                place = events.len();
            } else {
                place = events.iter().position(|have| *have == event).expect("what comes again is the same") + 1;
            }
        }
        assert_eq!((block.last_seq, block.last_event), last_of(&events[..place]));
        if !block.chain_head.is_empty() {
            assert_eq!(block.chain_head, heads[place - 1], "the chain of session {}", block.session().unwrap());
        }
    }
    sessions.into_iter().map(|(id, seen)| (id, seen.events)).collect()
}

fn last_of(events: &[Event]) -> (u64, u64) {
    events.iter().fold((0, 0), |(seq, no), event| match &event.kind {
        Some(event::Kind::Frames(run)) => (run.first_seq + u64::from(run.count) - 1, no),
        _ => (seq, event.event_no),
    })
}
