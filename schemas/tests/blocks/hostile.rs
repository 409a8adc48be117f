//! Blocks that nobody should have sent: an error each, quickly, and in bounded memory.

use std::io::Write;

use hansard_schemas::events::{
    Block, BlockError, BlockExt, Compression, Event, Gap, MAX_EVENTS, MAX_PAYLOAD, Message, Payload, event::Kind,
};
use proptest::prelude::*;

fn block(payload: Vec<u8>, compression: Compression, payload_length: u64) -> Block {
    Block { session_id: vec![1; 16], payload, compression: compression as i32, payload_length, ..Block::default() }
}

fn payload(length: usize) -> Vec<u8> {
    let kind = Some(Kind::Gap(Gap { reason: "x".repeat(length), frames: 1 }));
    Payload { events: vec![Event { at: 1, event_no: 1, kind }] }.encode_to_vec()
}

#[test]
fn a_length_above_the_bound_is_refused_before_anything_else() {
    for compression in [Compression::None, Compression::Zstd] {
        for length in [MAX_PAYLOAD + 1, u64::MAX] {
            let error = block(payload(10), compression, length).open().unwrap_err();
            assert!(matches!(error, BlockError::TooLong(stated) if stated == length), "{error}");
        }
    }
}

#[test]
fn a_payload_that_unpacks_to_more_than_stated_ends_there() {
    // 1 GiB of zeros in some 30 KB.
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..1024 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 200_000);
    for stated in [0, 1, 4096, MAX_PAYLOAD] {
        let error = block(bomb.clone(), Compression::Zstd, stated).open().unwrap_err();
        assert!(matches!(error, BlockError::Length { actual, .. } if actual == stated + 1), "{error}");
    }
}

#[test]
fn a_frame_that_asks_for_a_large_window_is_refused() {
    // A decoder would set aside 128 MiB for this, whatever the content.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&payload(5000)).unwrap();
    let stated = payload(5000).len() as u64;
    let error = block(encoder.finish().unwrap(), Compression::Zstd, stated).open().unwrap_err();
    assert!(matches!(error, BlockError::Zstd(_)), "{error}");
}

#[test]
fn the_longest_payload_passes_both_ways() {
    let mut longest = block(vec![7; usize::try_from(MAX_PAYLOAD).unwrap()], Compression::None, MAX_PAYLOAD);
    assert_eq!(longest.open().unwrap().len() as u64, MAX_PAYLOAD);
    longest.compress(3).unwrap();
    assert_eq!(longest.open().unwrap().len() as u64, MAX_PAYLOAD);
}

#[test]
fn a_wrong_length_an_unknown_compression_and_garbage_are_errors() {
    let bytes = payload(50);
    let length = bytes.len() as u64;
    for stated in [0, length - 1, length + 1] {
        let error = block(bytes.clone(), Compression::None, stated).open().unwrap_err();
        assert!(matches!(error, BlockError::Length { .. }), "{error}");
    }
    let unknown = Block { compression: 77, ..block(bytes.clone(), Compression::None, length) };
    assert!(matches!(unknown.open(), Err(BlockError::Compression(77))));
    assert!(matches!(block(bytes.clone(), Compression::Zstd, length).open(), Err(BlockError::Zstd(_))));
    assert!(matches!(block(vec![0xff; 9], Compression::None, 9).events(), Err(BlockError::Decode(_))));
    let nameless = Block { session_id: vec![1; 15], ..block(bytes, Compression::None, length) };
    assert!(matches!(nameless.session(), Err(BlockError::SessionId(15))));
    assert!(nameless.message_id().is_err());
}

#[test]
fn more_events_than_a_payload_may_have_are_refused() {
    // Two bytes each on the wire, hundreds in memory.
    let most = [0x0a, 0x00].repeat(MAX_EVENTS);
    let length = most.len() as u64;
    assert_eq!(block(most.clone(), Compression::None, length).events().unwrap().len(), MAX_EVENTS);
    let more = [most, vec![0x0a, 0x00]].concat();
    let error = block(more, Compression::None, length + 2).events().unwrap_err();
    assert!(matches!(error, BlockError::TooManyEvents), "{error}");
}

#[test]
fn a_compressed_block_cut_anywhere_is_an_error() {
    let mut whole = block(payload(3000), Compression::None, payload(3000).len() as u64);
    whole.compress(3).unwrap();
    for cut in 0..whole.payload.len() {
        let cut = Block { payload: whole.payload[..cut].to_vec(), ..whole.clone() };
        assert!(cut.events().is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(block) = Block::decode(&bytes[..]) {
            let _ = (block.open(), block.events(), block.message_id());
        }
    }

    #[test]
    fn any_change_of_a_compressed_block_is_answered(
        at: prop::sample::Index, byte: u8, stated in 0u64..10_000, length in 0usize..4000,
    ) {
        let mut changed = block(payload(length), Compression::None, payload(length).len() as u64);
        changed.compress(3).unwrap();
        let at = at.index(changed.payload.len());
        changed.payload[at] = byte;
        changed.payload_length = stated;
        if let Ok(opened) = changed.open() {
            prop_assert_eq!(opened.len() as u64, stated);
        }
        let _ = changed.events();
    }

    #[test]
    fn compressing_keeps_the_events(reason in ".{0,400}", at: u64, event_no: u64) {
        let events = vec![Event { at, event_no, kind: Some(Kind::Gap(Gap { reason, frames: at })) }];
        let bytes = Payload { events: events.clone() }.encode_to_vec();
        let length = bytes.len() as u64;
        let mut block = block(bytes, Compression::None, length);
        prop_assert_eq!(block.events().unwrap(), events.clone());
        block.compress(3).unwrap();
        prop_assert_eq!(block.payload_length, length);
        prop_assert_eq!(block.events().unwrap(), events);
    }
}
