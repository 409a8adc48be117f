//! Names of prepared statements and portals, as the server compares them.
//!
//! The server keeps names in hash tables whose keys are cut at 63 bytes (`NAMEDATALEN`), whatever the protocol sent; names
//! in SQL are cut on a character boundary before that. Both are bytes of the server's encoding.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes (`NAMEDATALEN - 1`).
pub(super) const MAX_NAME: usize = 63;

/// A name as the server keeps it. Text, so that it can be a key wherever it is saved: bytes that are no UTF-8 stand as
/// hexadecimal digits behind a zero byte, which no name holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Name(Box<str>);

impl Name {
    /// Of the server's bytes.
    pub(super) fn new(bytes: &[u8]) -> Name {
        let bytes = &bytes[..bytes.len().min(MAX_NAME)];
        match std::str::from_utf8(bytes) {
            Ok(text) => Name(text.into()),
            Err(_) => Name(format!("\0{}", hex::encode(bytes)).into()),
        }
    }

    pub(super) fn is_unnamed(&self) -> bool {
        self.0.is_empty()
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        match self.0.strip_prefix('\0').and_then(|digits| hex::decode(digits).ok()) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => self.0.to_string(),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_when_their_first_63_bytes_are() {
        let long = |last: char| format!("{}{last}", "x".repeat(63));
        assert_eq!(Name::new(long('1').as_bytes()), Name::new(long('2').as_bytes()));
        assert_ne!(Name::new(&long('1').as_bytes()[1..]), Name::new(&long('2').as_bytes()[1..]));
        // Cut inside of a character, and apart from another that begins alike.
        let cut = |last: char| Name::new(format!("{}{last}", "x".repeat(62)).as_bytes());
        assert_eq!(cut('é'), cut('è'));
        assert_ne!(Name::new(b"\xe9"), Name::new(b"\xe8"));
        assert_ne!(Name::new(b"\xe9"), Name::new("\u{fffd}".as_bytes()));
    }
}
