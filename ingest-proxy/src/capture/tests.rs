//! What capture makes of frames, and when it says that they are recorded.

use hansard_schemas::events::{FrameRun, Payload};
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn runs_encode_as_prost_does(
        at in any::<u64>(),
        first_seq in any::<u64>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        count in any::<u32>(),
        tag in proptest::option::of(any::<u8>()),
        part in 0i32..4,
        secret in any::<bool>(),
        masked in any::<bool>(),
        backend in any::<bool>(),
        own in any::<bool>(),
        settled in any::<bool>(),
    ) {
        let withheld = if secret { "password" } else { "" };
        let bytes = if secret && !masked { Vec::new() } else { bytes };
        let direction = if backend { Direction::Backend } else { Direction::Frontend };
        let origin = if own { events::Origin::Hansard } else { events::Origin::Peer };
        let run = Run { direction, count, part: events::Part::try_from(part).unwrap(), tag, withheld, masked, origin, settled };
        let mut encoded = Vec::new();
        encode_run(&mut encoded, at, first_seq, &bytes, run);
        let frames = FrameRun {
            direction: if backend { 2 } else { 1 },
            first_seq,
            count,
            frames: bytes.into(),
            part,
            tag: tag.map(u32::from),
            withheld: withheld.to_owned(),
            omitted: None,
            masked,
            sha256: Vec::new(),
            origin: origin as i32,
            settled,
        };
        let event = Event { at, event_no: 0, kind: Some(event::Kind::Frames(frames)) };
        prop_assert_eq!(Payload::decode(&encoded[..]).unwrap().events, [event]);
    }
}
