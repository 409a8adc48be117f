//! SCRAM: no server makes Hansard fall, wait long, or keep keys without a proof.
#![no_main]

use hansard_ingest_proxy::fuzzing::{ScramBytes, messages, scram};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Option<[u8; 4]>, bool, bool, &[u8], &[u8])| {
    let (end_point, continues, proves, last, first) = input;
    scram(&ScramBytes { end_point: end_point.as_ref().map(|hash| &hash[..]), first, continues, last, proves });
    messages(first);
});
