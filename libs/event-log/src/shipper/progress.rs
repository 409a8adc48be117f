//! How far a shard was shipped, and the chain heads of its unfinished sessions: what a restart goes on with.
//!
//! Invariant: both belong to the same place in the spool; they are saved together or not at all.

use std::collections::HashMap;
use std::fmt::Write;

use hansard_schemas::events::{CHAIN_START, ChainHead};
use uuid::Uuid;

use crate::{Error, Position};

const FORMAT: &str = "hansard shipped 1";

/// What is known of a session that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) head: ChainHead,
    pub(super) last_seq: u64,
    pub(super) last_event: u64,
}

impl Session {
    pub(super) const NEW: Session = Session { head: CHAIN_START, last_seq: 0, last_event: 0 };
}

/// How far a shard was shipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) position: Position,
    pub(super) sessions: HashMap<Uuid, Session>,
}

impl Progress {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{FORMAT}\n{}\n", self.position.0);
        for (id, Session { head, last_seq, last_event }) in &self.sessions {
            let head = head.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            let _ = writeln!(text, "{id} {last_seq} {last_event} {head}");
        }
        text
    }

    pub(super) fn from_text(text: &str) -> Result<Progress, Error> {
        let parse = || {
            let mut lines = text.lines();
            if lines.next()? != FORMAT {
                return None;
            }
            let position = Position(lines.next()?.parse().ok()?);
            let sessions = lines.map(session).collect::<Option<HashMap<_, _>>>()?;
            Some(Progress { position, sessions })
        };
        parse().ok_or_else(|| {
            Error::Incompatible("the spool's file `shipped` is not one that this version wrote".to_owned())
        })
    }
}

fn session(line: &str) -> Option<(Uuid, Session)> {
    let mut words = line.split(' ');
    let id = Uuid::parse_str(words.next()?).ok()?;
    let last_seq = words.next()?.parse().ok()?;
    let last_event = words.next()?.parse().ok()?;
    let hex = words.next().filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut head = CHAIN_START;
    for (place, byte) in head.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some((id, Session { head, last_seq, last_event }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_again_and_nothing_else() {
        let session =
            Session { head: std::array::from_fn(|i| u8::try_from(i * 7).unwrap()), last_seq: 9, last_event: 2 };
        let progress = Progress {
            position: Position(1 << 60),
            sessions: [(Uuid::from_u128(5), session), (Uuid::now_v7(), Session::NEW)].into(),
        };
        let text = progress.to_text();
        assert_eq!(Progress::from_text(&text).unwrap(), progress);
        for cut in 0..text.trim_end().len() {
            let read = Progress::from_text(&text[..cut]);
            assert!(read.is_err() || text[..cut].lines().count() < text.lines().count(), "cut {cut}: {read:?}");
        }
        assert!(Progress::from_text("hansard shipped 2\n7\n").is_err());
    }
}
