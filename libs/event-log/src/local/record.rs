//! How a record lies in a segment file: a header of twelve bytes, then the encoded block.
//!
//! ```text
//! u32 length of the body | u32 CRC32C of the body | u32 CRC32C of (position, the eight bytes before)
//! ```
//!
//! All little endian. The header is checked by itself and bound to its position, so a flipped bit in a length is not
//! taken for a torn tail, and what lies at the wrong place is not taken for a record.
//!
//! Invariant: [`parse`] never reads, or asks for, more than [`MAX_BODY`] bytes after a header.

use hansard_schemas::events::MAX_PAYLOAD;

/// Length of a header in bytes.
pub(crate) const HEADER: usize = 12;

/// Longest body: the longest payload, and room for what a block says about it.
#[allow(clippy::cast_possible_truncation)] // 4 MiB
pub(crate) const MAX_BODY: usize = MAX_PAYLOAD as usize + 64 * 1024;

/// What lies at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A record with a body of this many bytes, after the header.
    Whole(usize),
    /// The beginning of a record; so many bytes are needed to tell more.
    Part(usize),
    /// Not a record.
    Damaged(&'static str),
}

/// The header of `body` at `position`. None when the body is too long, or empty.
pub(crate) fn header(position: u64, body: &[u8]) -> Option<[u8; HEADER]> {
    let length = u32::try_from(body.len()).ok().filter(|_| (1..=MAX_BODY).contains(&body.len()))?;
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let check = header_check(position, &header);
    header[8..].copy_from_slice(&check.to_le_bytes());
    Some(header)
}

/// Looks at the bytes from `position` on.
pub(crate) fn parse(position: u64, bytes: &[u8]) -> Parsed {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Parsed::Part(HEADER);
    };
    if word(header, 8) != header_check(position, header) {
        return Parsed::Damaged("the header of a record does not match its checksum");
    }
    let length = word(header, 0) as usize;
    if !(1..=MAX_BODY).contains(&length) {
        return Parsed::Damaged("a record has an impossible length");
    }
    match bytes.get(HEADER..HEADER + length) {
        None => Parsed::Part(HEADER + length),
        Some(body) if crc32c::crc32c(body) == word(header, 4) => Parsed::Whole(length),
        Some(_) => Parsed::Damaged("a record does not match its checksum"),
    }
}

fn header_check(position: u64, header: &[u8; HEADER]) -> u32 {
    let mut checked = [0; 16];
    checked[..8].copy_from_slice(&position.to_le_bytes());
    checked[8..].copy_from_slice(&header[..8]);
    crc32c::crc32c(&checked)
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(position: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = header(position, body).unwrap().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_body_has_its_bounds() {
        assert_eq!(header(0, &[]), None);
        assert_eq!(header(0, &vec![0; MAX_BODY + 1]), None);
        assert_eq!(parse(9, &record(9, &vec![7; MAX_BODY])), Parsed::Whole(MAX_BODY));
        assert_eq!(parse(0, &[0; 64]), Parsed::Damaged("the header of a record does not match its checksum"));
    }

    proptest! {
        #[test]
        fn what_was_framed_is_found_and_every_cut_is_a_part(
            position: u64, body in prop::collection::vec(any::<u8>(), 1..600), rest in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = record(position, &body);
            for cut in 0..bytes.len() {
                let needed = if cut < HEADER { HEADER } else { bytes.len() };
                prop_assert_eq!(parse(position, &bytes[..cut]), Parsed::Part(needed));
            }
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(parse(position, &bytes), Parsed::Whole(body.len()));
        }

        #[test]
        fn one_flipped_bit_or_another_position_is_damage(
            position: u64, body in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, bit in 0u8..8, other: u64,
        ) {
            let mut bytes = record(position, &body);
            prop_assume!(other != position);
            prop_assert!(matches!(parse(other, &bytes), Parsed::Damaged(_)));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(matches!(parse(position, &bytes), Parsed::Damaged(_)), "bit {bit} of byte {at}");
        }

        #[test]
        fn any_bytes_are_answered(position: u64, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Parsed::Part(needed) = parse(position, &bytes) {
                prop_assert!(needed > bytes.len() && needed <= HEADER + MAX_BODY);
            }
        }
    }
}
