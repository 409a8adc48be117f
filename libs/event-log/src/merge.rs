//! Merging consecutive blocks of one session: their payloads, one after the other, are a payload.
//!
//! Invariant: a merged block holds the same events in the same order as the blocks that went into it.

use hansard_schemas::events::{Block, Compression};

use crate::Positioned;

/// Longest payload, in bytes, that merging makes.
pub(crate) const MERGED_PAYLOAD: u64 = 256 * 1024;

/// Whether `next` goes on exactly where `block` ends, and both may become one block.
pub(crate) fn merges(block: &Block, next: &Block) -> bool {
    block.session_id == next.session_id
        && block.target == next.target
        && block.last_seq.checked_add(1) == Some(next.first_seq)
        && block.last_event.checked_add(1) == Some(next.first_event)
        && [block, next].iter().all(|b| {
            b.chain_head.is_empty()
                && b.compression == Compression::None as i32
                && b.payload_length == b.payload.len() as u64
        })
        && block.payload_length + next.payload_length <= MERGED_PAYLOAD
}

/// Adds `next` to `block`, where [`merges`] says so.
pub(crate) fn merge(block: &mut Block, next: &Block) {
    block.payload.extend_from_slice(&next.payload);
    block.payload_length += next.payload_length;
    block.last_seq = next.last_seq;
    block.last_event = next.last_event;
}

/// Adds a block as read to those read before, merged with the last one where that may be.
pub(crate) fn push(blocks: &mut Vec<Positioned>, next: Positioned) {
    match blocks.last_mut() {
        Some(last) if merges(&last.block, &next.block) => {
            merge(&mut last.block, &next.block);
            last.next = next.next;
        }
        _ => blocks.push(next),
    }
}

#[cfg(test)]
mod tests {
    use hansard_schemas::events::{BlockExt, Event, Gap, Message, Payload, event};
    use proptest::prelude::*;

    use super::*;
    use crate::Position;

    fn block(session: u8, no: u64, reason: &str) -> Block {
        let kind = Some(event::Kind::Gap(Gap { reason: reason.to_owned(), frames: no }));
        let payload = Payload { events: vec![Event { at: no, event_no: no, kind }] }.encode_to_vec();
        Block {
            session_id: vec![session; 16],
            first_seq: 1,
            last_seq: 0,
            first_event: no,
            last_event: no,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        }
    }

    #[test]
    fn only_what_goes_on_without_a_gap_is_merged() {
        let first = block(1, 1, "x");
        assert!(merges(&first, &block(1, 2, "x")));
        assert!(!merges(&first, &block(1, 1, "x")), "the same again");
        assert!(!merges(&first, &block(1, 3, "x")), "a hole");
        assert!(!merges(&first, &block(2, 2, "x")), "another session");
        let mut packed = block(1, 2, "x");
        packed.compress(3).unwrap();
        assert!(!merges(&first, &packed));
        let mut long = block(1, 2, "x");
        long.payload.resize(256 * 1024, 0);
        long.payload_length = long.payload.len() as u64;
        assert!(!merges(&first, &long));
    }

    proptest! {
        #[test]
        fn merging_keeps_every_event_in_order(sessions in prop::collection::vec(0u8..3, 1..60)) {
            let mut counts = [0; 3];
            let mut merged = Vec::new();
            let mut expected: [Vec<Event>; 3] = Default::default();
            for (place, session) in sessions.iter().enumerate() {
                let of = usize::from(*session);
                counts[of] += 1;
                let block = block(*session, counts[of], &"r".repeat(place));
                expected[of].extend(block.events().unwrap());
                push(&mut merged, Positioned { next: Position(place as u64 + 1), block });
            }
            prop_assert_eq!(merged.last().unwrap().next, Position(sessions.len() as u64));
            let mut found: [Vec<Event>; 3] = Default::default();
            for Positioned { block, .. } in &merged {
                let events = block.events().unwrap();
                prop_assert_eq!(block.first_event, events[0].event_no);
                prop_assert_eq!(block.last_event, events[events.len() - 1].event_no);
                found[usize::from(block.session_id[0])].extend(events);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
