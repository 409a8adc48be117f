//! Passwords in what a job sends: any bytes, cut anywhere, have their secrets in the same places.
#![no_main]

use hansard_pg_wire::secrets::{Echo, Scanner, may_hold_secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, usize, &[u8])| {
    let (tag, cut, body) = input;
    let tag = b"QPBF"[usize::from(tag % 4)];
    let Some(mut whole) = Scanner::new(tag) else { return };
    let mut places = Vec::new();
    whole.feed(body, &mut places);
    let (mut parts, cut) = (Scanner::new(tag), cut % (body.len() + 1));
    let mut found = Vec::new();
    for (begin, part) in [(0, &body[..cut]), (cut, &body[cut..])] {
        let mut here = Vec::new();
        parts.as_mut().unwrap().feed(part, &mut here);
        found.extend(here.into_iter().flat_map(|place| place.start + begin..place.end + begin));
    }
    assert_eq!(places.iter().cloned().flatten().collect::<Vec<_>>(), found);
    assert!(places.is_empty() || may_hold_secret(body));
    let mut echo = Echo::default();
    echo.remember(body, &places);
    echo.places(body, &mut places);
    assert!(places.iter().all(|place| place.start <= place.end && place.end <= body.len()));
});
