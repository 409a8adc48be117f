//! Start-up packets: any bytes, and every beginning of them.
#![no_main]

use hansard_pg_wire::frame::MAX_STARTUP;
use hansard_pg_wire::frame::startup::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Ok(Some((_, length))) = &whole {
        assert!(*length <= bytes.len() && *length <= MAX_STARTUP);
        // Nothing is known before the packet is complete, and nothing after it matters.
        assert_eq!(parse(&bytes[..*length]), whole);
        assert_eq!(parse(&bytes[..*length - 1]), Ok(None));
    }
    for cut in 0..bytes.len().min(64) {
        // What is refused early is refused late.
        if let Err(error) = parse(&bytes[..cut]) {
            assert_eq!(whole, Err(error));
        }
    }
});
