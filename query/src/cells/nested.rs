//! Binary arrays, addresses and bits as psql shows them.
//!
//! Invariant: what is longer than its bound, or not as its header says, has no text: it is shown as bytes. Source:
//! `array_out`, `inet_out`, `macaddr_out`, `bit_out`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{decode, text};

/// Most dimensions of an array (`MAXDIM`).
const MAX_DIMENSIONS: usize = 6;

/// An array whose elements say of which type they are; its text has at most about so many bytes.
pub(super) fn array(value: &[u8], most: usize) -> Option<String> {
    let mut rest = value;
    let dimensions = usize::try_from(number(&mut rest)?).ok().filter(|count| *count <= MAX_DIMENSIONS)?;
    let _has_nulls = number(&mut rest)?;
    let element = number(&mut rest)?.cast_unsigned();
    let mut sizes = Vec::new();
    let mut bounds = String::new();
    let mut usual = true;
    for _ in 0..dimensions {
        let (size, lower) = (number(&mut rest)?, number(&mut rest)?);
        sizes.push(usize::try_from(size).ok()?);
        usual &= lower == 1;
        bounds.push_str(&format!("[{lower}:{}]", i64::from(lower) + i64::from(size) - 1));
    }
    if sizes.is_empty() {
        return Some("{}".to_owned());
    }
    // Each element has a length, and an array without elements has no dimensions.
    let elements = sizes.iter().try_fold(1_usize, |elements, size| elements.checked_mul(*size))?;
    if elements == 0 || elements > rest.len() / 4 {
        return None;
    }
    let mut out = if usual { String::new() } else { format!("{bounds}=") };
    level(&mut rest, &sizes, element, most, &mut out)?;
    Some(out)
}

fn level(rest: &mut &[u8], sizes: &[usize], element: u32, most: usize, out: &mut String) -> Option<()> {
    let (size, inner) = sizes.split_first()?;
    out.push('{');
    for place in 0..*size {
        if place > 0 {
            out.push(',');
        }
        if out.len() > most {
            return None;
        }
        if inner.is_empty() {
            item(rest, element, most, out)?;
        } else {
            level(rest, inner, element, most, out)?;
        }
    }
    out.push('}');
    Some(())
}

fn item(rest: &mut &[u8], element: u32, most: usize, out: &mut String) -> Option<()> {
    let length = number(rest)?;
    let Ok(length) = usize::try_from(length) else {
        out.push_str("NULL");
        return Some(());
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    let shown = match element {
        17 => format!("\\x{}", super::hex(value)),
        element if super::is_text(element) => text(value, false)?,
        element => decode(value, element, most)?,
    };
    let plain = |letter: char| !matches!(letter, '{' | '}' | ',' | '"' | '\\') && !letter.is_ascii_whitespace();
    if shown.is_empty() || shown.eq_ignore_ascii_case("null") || !shown.chars().all(plain) {
        out.push('"');
        for letter in shown.chars() {
            if matches!(letter, '"' | '\\') {
                out.push('\\');
            }
            out.push(letter);
        }
        out.push('"');
    } else {
        out.push_str(&shown);
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

/// An address with the length of its network.
pub(super) fn network(value: &[u8]) -> Option<String> {
    let [family, bits, is_cidr, length, address @ ..] = value else { return None };
    let (address, all) = match (family, length) {
        (2, 4) => (Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(), 32),
        (3, 16) => (Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
        _ => return None,
    };
    Some(if *bits == all && *is_cidr == 0 { address } else { format!("{address}/{bits}") })
}

/// Six or eight bytes.
pub(super) fn hardware(value: &[u8]) -> Option<String> {
    let parts: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
    matches!(parts.len(), 6 | 8).then(|| parts.join(":"))
}

/// A count of bits, and these; at most so many.
pub(super) fn bits(value: &[u8], most: usize) -> Option<String> {
    let mut rest = value;
    let count = usize::try_from(number(&mut rest)?).ok().filter(|count| *count <= most)?;
    if rest.len() != count.div_ceil(8) {
        return None;
    }
    Some((0..count).map(|bit| if rest[bit / 8] >> (7 - bit % 8) & 1 == 1 { '1' } else { '0' }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(element: u32, dimensions: &[(i32, i32)], items: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = i32::try_from(dimensions.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(i32::from(items.contains(&None)).to_be_bytes());
        bytes.extend(element.to_be_bytes());
        for (size, lower) in dimensions {
            bytes.extend([size.to_be_bytes(), lower.to_be_bytes()].concat());
        }
        for item in items {
            match item {
                Some(item) => {
                    bytes.extend(i32::try_from(item.len()).unwrap().to_be_bytes());
                    bytes.extend(*item);
                }
                None => bytes.extend((-1_i32).to_be_bytes()),
            }
        }
        bytes
    }

    #[test]
    fn arrays_of_any_shape() {
        let one = 1_i32.to_be_bytes();
        let (one, text) = (Some(&one[..]), |text: &'static str| Some(text.as_bytes()));
        for (bytes, expected) in [
            (encoded(23, &[], &[]), "{}"),
            (encoded(23, &[(3, 1)], &[one, None, one]), "{1,NULL,1}"),
            (encoded(23, &[(2, 1), (2, 1)], &[one, one, one, one]), "{{1,1},{1,1}}"),
            (encoded(23, &[(1, 0)], &[one]), "[0:0]={1}"),
            (
                encoded(25, &[(6, 1)], &[text("a"), text(""), text("null"), text("b c"), text("\"\\"), text("é,")]),
                "{a,\"\",\"null\",\"b c\",\"\\\"\\\\\",\"é,\"}",
            ),
        ] {
            assert_eq!(array(&bytes, 1000).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_array_or_too_long_has_no_text() {
        let item = 1_i32.to_be_bytes();
        let bytes = encoded(23, &[(500, 1)], &[Some(&item[..]); 500]);
        assert!(array(&bytes, 100).is_none() && array(&bytes, 10_000).is_some());
        assert!(array(&bytes[..bytes.len() - 1], 10_000).is_none());
        assert!(array(&encoded(23, &[(i32::MAX, 1); 6], &[]), 10_000).is_none());
        assert!(array(&encoded(23, &[(3, 1), (0, 1)], &[]), 10_000).is_none());
        assert!(array(&[], 10).is_none() && array(&[0xff; 40], 10).is_none());
    }

    #[test]
    fn addresses_and_bits() {
        assert_eq!(network(&[2, 32, 0, 4, 10, 0, 0, 7]).as_deref(), Some("10.0.0.7"));
        assert_eq!(network(&[2, 8, 1, 4, 10, 0, 0, 0]).as_deref(), Some("10.0.0.0/8"));
        let six = [&[3, 64, 0, 16, 0x20, 1, 0xd, 0xb8][..], &[0; 12]].concat();
        assert_eq!(network(&six).as_deref(), Some("2001:db8::/64"));
        assert_eq!(network(&[2, 32, 0, 16, 1]), None);
        assert_eq!(hardware(&[8, 0, 0x2b, 1, 2, 3]).as_deref(), Some("08:00:2b:01:02:03"));
        assert_eq!(bits(&[0, 0, 0, 10, 0b1010_0000, 0b0100_0000], 100).as_deref(), Some("1010000001"));
        assert!(bits(&[0x7f, 0xff, 0xff, 0xff], 100).is_none());
    }
}
