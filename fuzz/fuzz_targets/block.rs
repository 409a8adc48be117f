//! Blocks: any bytes decode, or are refused, within their bound; what decodes survives being compressed.
#![no_main]

use hansard_schemas::events::{Block, BlockExt, MAX_PAYLOAD, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut block) = Block::decode(bytes) else { return };
    let _ = (block.session(), block.message_id());
    if let Ok(payload) = block.open() {
        assert!(payload.len() as u64 <= MAX_PAYLOAD);
    }
    if let Ok(events) = block.events() {
        block.compress(1).expect("what opens can be compressed");
        assert_eq!(block.events().expect("what was compressed opens"), events);
    }
});
