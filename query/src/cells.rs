//! One value of a recorded result as a cell.
//!
//! Invariant: null, the empty text and bytes that are not text stay distinct; what cannot be read as its type says is
//! shown as the bytes that it is. Source: the send functions of PostgreSQL's types (`src/backend/utils/adt`).

use hansard_pg_wire::value::text_of_binary;
use hansard_schemas::http::{Cell, ResultColumn};

mod nested;
mod times;

/// Longest value that is shown, in bytes.
pub(crate) const MAX_CELL: usize = 64 * 1024;

/// A value of a type, in text or binary format, of at most so many bytes. True when it was cut.
pub(crate) fn cell(value: Option<&[u8]>, type_oid: u32, binary: bool, most: usize) -> (Cell, bool) {
    let Some(value) = value else { return (Cell::Null, false) };
    let shown = &value[..value.len().min(most)];
    let cut = shown.len() < value.len();
    let text = if binary && !is_text(type_oid) { decode(value, type_oid, most) } else { text(shown, cut) };
    match text {
        Some(text) => (Cell::Text(text), cut),
        None => (Cell::Bytes { hex: hex(shown) }, cut),
    }
}

/// A value whose type and format are not known: text, if it looks like it.
pub(crate) fn unknown(value: Option<&[u8]>, most: usize) -> (Cell, bool) {
    let printable = |text: &[u8]| !text.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'));
    let binary = value.is_some_and(|value| !printable(value));
    cell(value, 0, binary, most)
}

/// A column's name and type for a grid.
pub(crate) fn column(name: &str, type_oid: u32) -> ResultColumn {
    let type_name = match type_oid {
        0 => "unknown".to_owned(),
        oid => TYPES.iter().find(|(known, _)| *known == oid).map_or_else(|| oid.to_string(), |(_, n)| (*n).to_owned()),
    };
    let numeric = matches!(type_oid, 20 | 21 | 23 | 26 | 700 | 701 | 790 | 1700);
    ResultColumn { name: name.to_owned(), type_name, numeric }
}

/// Types by their fixed OID (`pg_type.dat`).
const TYPES: &[(u32, &str)] = &[
    (16, "bool"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "int8"),
    (21, "int2"),
    (22, "int2vector"),
    (23, "int4"),
    (25, "text"),
    (26, "oid"),
    (28, "xid"),
    (114, "json"),
    (142, "xml"),
    (199, "json[]"),
    (600, "point"),
    (650, "cidr"),
    (651, "cidr[]"),
    (700, "float4"),
    (701, "float8"),
    (774, "macaddr8"),
    (790, "money"),
    (791, "money[]"),
    (829, "macaddr"),
    (869, "inet"),
    (1000, "bool[]"),
    (1001, "bytea[]"),
    (1002, "\"char\"[]"),
    (1003, "name[]"),
    (1005, "int2[]"),
    (1007, "int4[]"),
    (1009, "text[]"),
    (1014, "bpchar[]"),
    (1015, "varchar[]"),
    (1016, "int8[]"),
    (1021, "float4[]"),
    (1022, "float8[]"),
    (1028, "oid[]"),
    (1041, "inet[]"),
    (1042, "bpchar"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1115, "timestamp[]"),
    (1182, "date[]"),
    (1183, "time[]"),
    (1184, "timestamptz"),
    (1185, "timestamptz[]"),
    (1186, "interval"),
    (1187, "interval[]"),
    (1231, "numeric[]"),
    (1266, "timetz"),
    (1270, "timetz[]"),
    (1560, "bit"),
    (1562, "varbit"),
    (1700, "numeric"),
    (2205, "regclass"),
    (2249, "record"),
    (2278, "void"),
    (2950, "uuid"),
    (2951, "uuid[]"),
    (3614, "tsvector"),
    (3802, "jsonb"),
    (3807, "jsonb[]"),
    (3904, "int4range"),
    (3906, "numrange"),
    (3908, "tsrange"),
    (3910, "tstzrange"),
    (3912, "daterange"),
    (3926, "int8range"),
];

/// Arrays, by their name.
fn is_array(type_oid: u32) -> bool {
    TYPES.iter().any(|(known, name)| *known == type_oid && name.ends_with("[]"))
}

/// Types whose binary format is their text.
fn is_text(type_oid: u32) -> bool {
    matches!(type_oid, 18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043)
}

fn decode(value: &[u8], type_oid: u32, most: usize) -> Option<String> {
    match type_oid {
        16 | 20 | 21 | 23 | 26 | 700 | 701 | 1082 | 1083 | 1114 | 1184 | 1700 | 2950 => text_of_binary(type_oid, value),
        // regclass is an oid.
        2205 => text_of_binary(26, value),
        650 | 869 => nested::network(value),
        774 | 829 => nested::hardware(value),
        1186 => {
            let (micros, rest) = value.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            let [days, months] = [*days, fixed(months)?].map(i32::from_be_bytes);
            Some(times::interval(i64::from_be_bytes(*micros), days, months))
        }
        1266 => {
            let (micros, west) = value.split_first_chunk::<8>()?;
            times::time_with_zone(micros, i32::from_be_bytes(fixed(west)?))
        }
        1560 | 1562 => nested::bits(value, most),
        3802 => match value.split_first()? {
            (1, json) => text(&json[..json.len().min(most)], json.len() > most),
            _ => None,
        },
        _ if is_array(type_oid) => nested::array(value, most),
        _ => None,
    }
}

fn fixed<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

/// UTF-8, where `cut` allows a character broken at the end.
fn text(bytes: &[u8], cut: bool) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: Option<&[u8]>, type_oid: u32, binary: bool) -> (Cell, bool) {
        super::cell(value, type_oid, binary, MAX_CELL)
    }

    fn unknown(value: Option<&[u8]>) -> (Cell, bool) {
        super::unknown(value, MAX_CELL)
    }

    #[track_caller]
    fn check(bytes: &[u8], type_oid: u32, expected: &str) {
        assert_eq!(cell(Some(bytes), type_oid, true), (Cell::Text(expected.to_owned()), false));
    }

    #[test]
    fn binary_values_read_as_psql_shows_them() {
        check(&[1], 16, "t");
        check(&(-5i16).to_be_bytes(), 21, "-5");
        check(&i64::MIN.to_be_bytes(), 20, "-9223372036854775808");
        check(&1.5f64.to_be_bytes(), 701, "1.5");
        check(b"plain", 25, "plain");
        check(b"\x01{\"a\":1}", 3802, "{\"a\":1}");
        check(&9_822i32.to_be_bytes(), 1082, "2026-11-22");
        check(&(9_822 * 86_400_000_000_i64 + 500_000).to_be_bytes(), 1184, "2026-11-22 00:00:00.5+00");
        check(
            &[&3_723_000_000_i64.to_be_bytes()[..], &[0, 0, 0, 2], &[0, 0, 0, 1]].concat(),
            1186,
            "1 mon 2 days 01:02:03",
        );
        check(&f64::INFINITY.to_be_bytes(), 701, "Infinity");
        check(&[2, 24, 0, 4, 10, 0, 0, 7], 869, "10.0.0.7/24");
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23], 1007, "{}");
        check(&i64::MAX.to_be_bytes(), 1114, "infinity");
        check(&[0x11; 16], 2950, "11111111-1111-1111-1111-111111111111");
    }

    #[test]
    fn numerics() {
        let numeric = |weight: i16, sign: u16, scale: i16, digits: &[u16]| {
            let mut bytes = i16::try_from(digits.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(weight.to_be_bytes());
            bytes.extend(sign.to_be_bytes());
            bytes.extend(scale.to_be_bytes());
            digits.iter().for_each(|digit| bytes.extend(digit.to_be_bytes()));
            bytes
        };
        check(&numeric(0, 0, 2, &[3, 1400]), 1700, "3.14");
        check(&numeric(1, 0x4000, 0, &[1, 5]), 1700, "-10005");
        check(&numeric(-1, 0, 3, &[50]), 1700, "0.005");
        check(&numeric(0, 0, 0, &[]), 1700, "0");
        check(&numeric(2, 0, 0, &[1]), 1700, "100000000");
        check(&numeric(0, 0xC000, 0, &[]), 1700, "NaN");
    }

    #[test]
    fn what_is_not_as_its_type_says_stays_bytes() {
        let bytes = |hex: &str| (Cell::Bytes { hex: hex.to_owned() }, false);
        assert_eq!(cell(Some(&[1, 2]), 23, true), bytes("0102"));
        assert_eq!(cell(Some(&[0xff]), 25, false), bytes("ff"));
        assert_eq!(cell(Some(&[0, 1]), 17, true), bytes("0001"));
        assert_eq!(cell(Some(&[0; 7]), 1700, true), bytes("00000000000000"));
        assert_eq!(cell(None, 25, false), (Cell::Null, false));
        assert_eq!(cell(Some(b""), 25, false), (Cell::Text(String::new()), false));
        assert_eq!(unknown(Some(&[0, 0, 0, 1])), bytes("00000001"));
        assert_eq!(unknown(Some(b"42")), (Cell::Text("42".to_owned()), false));
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let long = "é".repeat(MAX_CELL);
        let (cell, cut) = cell(Some(format!("x{long}").as_bytes()), 25, false);
        assert!(cut);
        assert!(matches!(cell, Cell::Text(text) if text.len() == MAX_CELL - 1));
    }
}
