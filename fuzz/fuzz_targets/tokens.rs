//! Tokens: nobody is believed without a signature of the issuer's, and nothing that was not signed.
#![no_main]

use hansard_identity::fuzzing::{TokenBytes, tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u64, Option<(usize, u8)>, &[u8], &[u8])| {
    let (kind, now, changed, header, claims) = input;
    let token = match kind % 4 {
        0 => TokenBytes::Raw(claims),
        // A header that is accepted, so that the claims are read.
        1 | 2 => TokenBytes::Signed { header: br#"{"alg":"EdDSA"}"#, claims, genuine: kind % 4 == 1, changed },
        _ => TokenBytes::Signed { header, claims, genuine: kind & 4 == 0, changed },
    };
    tokens(&token, now);
});
