//! However the spool was cut into blocks, the messages hold the same events with the same chain.

use std::collections::BTreeMap;

use hansard_schemas::events::{
    CHAIN_START, ChainHead, FrameRun, Gap, MAX_PAYLOAD, Payload, SessionClosed, event::Kind,
};
use proptest::prelude::*;

use super::*;

/// A session's events, in order: frame runs of the lengths given, and a gap after each third.
fn session_events(lengths: &[usize]) -> Vec<Event> {
    let (mut seq, mut no) = (0, 0);
    let mut events = Vec::new();
    for (place, length) in lengths.iter().enumerate() {
        let run = FrameRun {
            direction: 1,
            first_seq: seq + 1,
            count: u32::try_from(place % 4 + 1).unwrap(),
            frames: noise(*length, place).into(),
            ..FrameRun::default()
        };
        seq += u64::from(run.count);
        events.push(Event { at: seq, event_no: 0, kind: Some(Kind::Frames(run)) });
        if place % 3 == 2 {
            no += 1;
            let gap = Gap { reason: format!("gap {no}"), frames: 0 };
            events.push(Event { at: no, event_no: no, kind: Some(Kind::Gap(gap)) });
        }
    }
    events
}

/// Bytes that zstd can't shorten.
fn noise(length: usize, seed: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let next = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    next.take(length).collect()
}

/// One block of the events.
fn block(id: Uuid, events: &[Event], before: (u64, u64)) -> (Block, (u64, u64)) {
    let (mut seq, mut no) = before;
    for event in events {
        match &event.kind {
            Some(Kind::Frames(run)) => seq += u64::from(run.count),
            _ => no += 1,
        }
    }
    let payload = Payload { events: events.to_vec() }.encode_to_vec();
    let block = Block {
        session_id: id.as_bytes().to_vec(),
        target: "t".to_owned(),
        first_seq: before.0 + 1,
        last_seq: seq,
        first_event: before.1 + 1,
        last_event: no,
        payload_length: payload.len() as u64,
        payload,
        ..Block::default()
    };
    (block, (seq, no))
}

fn positioned(blocks: Vec<Block>) -> Vec<Positioned> {
    blocks.into_iter().zip(1..).map(|(block, at)| Positioned { next: Position(at), block }).collect()
}

/// Takes the messages apart again and checks each block's chain head.
fn check(lanes: Vec<Lane>, longest: usize, heads: &mut BTreeMap<Uuid, ChainHead>) -> BTreeMap<Uuid, Vec<Event>> {
    let mut found: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
    for message in lanes.into_iter().flatten() {
        assert!(message.block.len() <= longest, "{} bytes", message.block.len());
        let block = Block::decode(message.block).unwrap();
        let id = block.session().unwrap();
        assert_eq!(message.id, block.message_id().unwrap());
        assert_eq!(message.subject, format!("hansard.v1.t.3.{id}"));
        let head = heads.entry(id).or_insert(CHAIN_START);
        let events = block.events().unwrap();
        *head = events.iter().fold(*head, |head, event| extend_chain(&head, &event.encode_to_vec()));
        assert_eq!(block.chain_head, *head);
        found.entry(id).or_default().extend(events);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_it_is_cut_all_events_arrive_in_order_with_the_same_chain(
        lengths in prop::collection::vec(0usize..3000, 1..40),
        cuts in prop::collection::vec(1usize..6, 1..60),
        restart in 1usize..20,
        packed: bool,
    ) {
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let events = session_events(&lengths);
        let mut blocks = Vec::new();
        for id in ids {
            let (mut rest, mut before) = (&events[..], (0, 0));
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                if now.is_empty() {
                    break;
                }
                let (mut made, after) = block(id, now, before);
                if packed {
                    made.compress(3).unwrap();
                }
                // Twice, as a retry would.
                blocks.extend([made.clone(), made]);
                (rest, before) = (later, after);
            }
        }
        let (mut progress, mut heads) = (Progress::default(), BTreeMap::new());
        let mut found: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
        for part in positioned(blocks).chunks(restart) {
            // What is saved and read again between two parts changes nothing.
            progress = Progress::from_text(&progress.to_text()).unwrap();
            let lanes = prepare(3, part.to_vec(), Position(0), 600_000, &mut progress);
            for (id, events) in check(lanes, 600_000, &mut heads) {
                found.entry(id).or_default().extend(events);
            }
        }
        for id in ids {
            prop_assert_eq!(&found[&id], &events);
            prop_assert_eq!(progress.sessions[&id].head, heads[&id]);
        }
    }
}

#[test]
fn a_block_that_is_too_long_for_a_message_is_cut_between_events() {
    let id = Uuid::from_u128(9);
    let events = session_events(&[60_000; 60]);
    let (long, last) = block(id, &events, (0, 0));
    assert!(long.payload_length > 3_000_000 && long.payload_length < MAX_PAYLOAD);
    let (mut progress, mut heads) = (Progress::default(), BTreeMap::new());
    let lanes = prepare(3, positioned(vec![long]), Position(0), 512 * 1024, &mut progress);
    assert!(lanes[0].len() > 6);
    let ranges: Vec<Block> = lanes[0].iter().map(|m| Block::decode(m.block.clone()).unwrap()).collect();
    for pair in ranges.windows(2) {
        assert_eq!(pair[0].last_seq + 1, pair[1].first_seq);
        assert_eq!(pair[0].last_event + 1, pair[1].first_event);
    }
    let end = ranges.last().unwrap();
    assert_eq!((end.last_seq, end.last_event), last);
    assert_eq!(check(lanes, 512 * 1024, &mut heads)[&id], events);
}

#[test]
fn small_blocks_become_one_and_large_ones_are_compressed() {
    let id = Uuid::from_u128(9);
    let mut before = (0, 0);
    let blocks: Vec<Block> = (0..100)
        .map(|_| {
            let run =
                FrameRun { first_seq: before.0 + 1, count: 1, frames: vec![7; 300].into(), ..FrameRun::default() };
            let event = Event { at: 1, event_no: 0, kind: Some(Kind::Frames(run)) };
            let (made, after) = block(id, &[event], before);
            before = after;
            made
        })
        .collect();
    let mut progress = Progress::default();
    let lanes = prepare(3, positioned(blocks), Position(0), 512 * 1024, &mut progress);
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].len(), 1);
    let made = Block::decode(lanes[0][0].block.clone()).unwrap();
    assert_eq!(made.compression(), Compression::Zstd);
    assert!(made.payload_length > 30_000 && made.payload.len() < 3_000);
    assert_eq!(progress.position, Position(100));
}

#[test]
fn sessions_are_forgotten_when_they_end_or_their_process_is_gone() {
    let closing = |id: u128| {
        let closed = Event { at: 1, event_no: 1, kind: Some(Kind::SessionClosed(SessionClosed::default())) };
        block(Uuid::from_u128(id), &[closed], (0, 0)).0
    };
    let open = |id: u128| block(Uuid::from_u128(id), &session_events(&[10; 3]), (0, 0)).0;
    let mut progress = Progress::default();
    prepare(0, positioned(vec![open(1), closing(2), open(3)]), Position(10), 512 * 1024, &mut progress);
    assert_eq!(progress.sessions.len(), 2);
    let mut later = positioned(vec![open(4), open(5)]);
    (later[0].next, later[1].next) = (Position(10), Position(11));
    prepare(0, later, Position(10), 512 * 1024, &mut progress);
    assert_eq!(progress.sessions.into_keys().collect::<Vec<_>>(), [Uuid::from_u128(5)]);
}

#[test]
fn a_block_that_cannot_be_opened_is_passed_on_as_it_is() {
    let mut broken = block(Uuid::from_u128(1), &session_events(&[10]), (0, 0)).0;
    broken.payload.truncate(3);
    broken.payload_length = 3;
    let mut progress = Progress::default();
    let lanes = prepare(3, positioned(vec![broken.clone()]), Position(0), 512 * 1024, &mut progress);
    assert_eq!(Block::decode(lanes[0][0].block.clone()).unwrap(), broken);
}
