//! How a record of the control feed is written, in its file and in its stream.
//!
//! ```text
//! u64 revision | u64 expiry | u16 length of the key | key | value
//! ```
//!
//! All little endian. In the file each is framed as blocks are in a segment (`local/record.rs`), bound to its offset.

use super::{ControlRecord, MAX_VALUE, Revision, check_key};
use crate::local::record::{self, Parsed};

const FIXED: usize = 18;

pub(super) fn encode(record: &ControlRecord, revision: Revision) -> Vec<u8> {
    let key = record.key.as_bytes();
    let mut bytes = Vec::with_capacity(FIXED + key.len() + record.value.len());
    bytes.extend(revision.0.to_le_bytes());
    bytes.extend(record.expires_at.to_le_bytes());
    bytes.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(key);
    bytes.extend(&record.value);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<(ControlRecord, Revision)> {
    let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let length = usize::from(u16::from_le_bytes(*bytes.get(16..)?.first_chunk()?));
    let key = std::str::from_utf8(bytes.get(FIXED..FIXED + length)?).ok()?.to_owned();
    let value = bytes.get(FIXED + length..)?.to_vec();
    check_key(&key).ok()?;
    if value.len() > MAX_VALUE {
        return None;
    }
    Some((ControlRecord { key, value, expires_at: number(8)? }, Revision(number(0)?)))
}

/// A record as it stands at that offset of the file.
pub(super) fn framed(offset: u64, record: &ControlRecord, revision: Revision) -> Vec<u8> {
    let body = encode(record, revision);
    let mut bytes = record::header(offset, &body).map(|header| header.to_vec()).unwrap_or_default();
    bytes.extend(body);
    bytes
}

/// Records, and how long they are together.
type Found = (Vec<(ControlRecord, Revision)>, u64);

/// The records of a file, in order, and how long it is without the torn one at its end. `Err` where bytes before the end
/// are not what was written.
pub(super) fn read(bytes: &[u8]) -> Result<Found, (u64, String)> {
    let (mut found, mut offset) = (Vec::new(), 0);
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let at = offset as u64;
        let damaged = |reason: &str| (at, reason.to_owned());
        match record::parse(at, rest) {
            Parsed::Whole(length) => {
                let body = &rest[record::HEADER..record::HEADER + length];
                found.push(decode(body).ok_or_else(|| damaged("a record does not read"))?);
                offset += record::HEADER + length;
            }
            Parsed::Part(_) => break,
            Parsed::Damaged(reason) => return Err(damaged(reason)),
        }
    }
    Ok((found, offset as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_and_a_torn_end_is_left_out(
            key in "[a-z0-9_-]{1,9}(\\.[a-z0-9]{1,9}){0,3}", value in prop::collection::vec(any::<u8>(), 0..300), expires_at: u64, revision: u64,
        ) {
            let record = ControlRecord { key, value, expires_at };
            let mut bytes = framed(0, &record, Revision(revision));
            let first = bytes.len();
            bytes.extend(framed(first as u64, &record, Revision(7)));
            for cut in first..bytes.len() {
                let (found, length) = read(&bytes[..cut]).unwrap();
                prop_assert_eq!((found.len(), length), (1, first as u64));
                prop_assert_eq!(&found[0], &(record.clone(), Revision(revision)));
            }
            prop_assert_eq!(read(&bytes).unwrap().0.len(), 2);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = read(&bytes);
        }
    }
}
