//! Session ids, and where in the log a session lies.
//!
//! Invariant: the shard of a session is a function of its id and the number of shards alone, the same in every
//! version: what was written stays where readers look for it.

use uuid::Uuid;

use crate::Shard;

/// The shard of a session among `shards`: CRC32C of the id's 16 bytes, modulo `shards`.
pub fn shard_of(session_id: &Uuid, shards: Shard) -> Shard {
    let shard = crc32c::crc32c(session_id.as_bytes()) % u32::from(shards.max(1));
    Shard::try_from(shard).expect("smaller than `shards`, which is a Shard")
}

/// A fresh session id (UUIDv7) that lies in `shard` of `shards`. With `shards` cores it takes about as many tries.
///
/// # Panics
///
/// When `shard` is not below `shards`: no id could lie there.
pub fn mint_session_id(shard: Shard, shards: Shard) -> Uuid {
    assert!(shard < shards.max(1), "shard {shard} of {shards} does not exist");
    loop {
        let id = Uuid::now_v7();
        if shard_of(&id, shards) == shard {
            return id;
        }
    }
}

/// The subject of a session in the stream: `hansard.v1.<target>.<shard>.<session id>`; `_` stands for the empty target
/// of a process's own log. Bytes of the target's name that a subject's token cannot hold become `_`.
pub fn subject(target: &str, shard: Shard, session_id: &Uuid) -> String {
    let token: String = match target {
        "" => "_".to_owned(),
        name => name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect(),
    };
    format!("hansard.v1.{token}.{shard}.{session_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_of_an_id_never_changes() {
        // By another program that knows CRC32C.
        for (id, shards) in [
            ("019a9d3c-5c2e-7b1a-8f00-0123456789ab", [0, 0, 1, 2, 10]),
            ("01234567-89ab-7def-8123-456789abcdef", [0, 1, 1, 7, 47]),
            ("ffffffff-ffff-7fff-bfff-ffffffffffff", [0, 0, 1, 6, 6]),
        ] {
            let id = Uuid::parse_str(id).unwrap();
            assert_eq!([1, 2, 3, 8, 64].map(|n| shard_of(&id, n)), shards, "{id}");
        }
    }

    #[test]
    fn minted_ids_lie_in_their_shard_and_every_shard_is_reached() {
        for shards in [1, 2, 7, 64] {
            for shard in 0..shards {
                let id = mint_session_id(shard, shards);
                assert_eq!(shard_of(&id, shards), shard);
                assert_eq!(id.get_version_num(), 7);
            }
        }
    }

    #[test]
    fn a_subject_has_five_tokens_whatever_the_target_is_called() {
        let id = Uuid::from_u128(7);
        for target in ["", "ranking", "a.b", "*", ">", "größe x", "a\r\nPUB"] {
            let subject = subject(target, 3, &id);
            assert_eq!(subject.split('.').count(), 5, "{subject}");
            assert!(!subject.contains(['*', '>', ' ', '\r', '\n']), "{subject}");
        }
        assert_eq!(subject("", 0, &id), "hansard.v1._.0.00000000-0000-0000-0000-000000000007");
    }
}
