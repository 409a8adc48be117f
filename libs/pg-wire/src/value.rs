//! Values in binary format to text, for the types that drivers send and fetch that way.
//!
//! Invariants: bytes that are not a value of the type give `None`; a text is not many times longer than its bytes. Source:
//! the types' `*_send` functions in the server.

use std::fmt::Write;

mod float;

/// Bytes of a number's text for each of its bytes, and beside them: ten bytes can say a one with 131,068 zeros. A longer one
/// is not known here.
const NUMERIC_TEXT: (usize, usize) = (16, 128);

/// The text form that the server would send, in ISO style; `None` for types and bytes that are not known here.
pub fn text_of_binary(type_oid: u32, bytes: &[u8]) -> Option<String> {
    Some(match type_oid {
        16 => match bytes {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            _ => return None,
        },
        // bytea
        17 => format!("\\x{}", hex::encode(bytes)),
        // "char", name, text, unknown, json, xml, bpchar, varchar
        18 | 19 | 25 | 705 | 114 | 142 | 1042 | 1043 => std::str::from_utf8(bytes).ok()?.to_owned(),
        20 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        21 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        23 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        26 => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        700 => float::single(f32::from_be_bytes(bytes.try_into().ok()?)),
        701 => float::double(f64::from_be_bytes(bytes.try_into().ok()?)),
        1082 => match i32::from_be_bytes(bytes.try_into().ok()?) {
            i32::MAX => "infinity".to_owned(),
            i32::MIN => "-infinity".to_owned(),
            days => date(i64::from(days)),
        },
        1083 => time(i64::from_be_bytes(bytes.try_into().ok()?)),
        1114 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), ""),
        1184 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "+00"),
        1700 => numeric(bytes)?,
        2950 => {
            let hex = hex::encode(<[u8; 16]>::try_from(bytes).ok()?);
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        // jsonb: a version byte before the text
        3802 => match bytes {
            [1, json @ ..] => std::str::from_utf8(json).ok()?.to_owned(),
            _ => return None,
        },
        _ => return None,
    })
}

/// Days since 2000-01-01 in the proleptic Gregorian calendar.
fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    if year > 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{:04}-{month:02}-{day:02} BC", 1 - year) }
}

/// Year, month, day; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days_since_2000: i64) -> (i64, i64, i64) {
    let days = days_since_2000 + 730_425;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn time(microseconds: i64) -> String {
    let seconds = microseconds.div_euclid(1_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = microseconds.rem_euclid(1_000_000);
    if fraction > 0 {
        let _ = write!(text, ".{fraction:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

/// Microseconds since 2000-01-01.
fn timestamp(microseconds: i64, zone: &str) -> String {
    const DAY: i64 = 86_400_000_000;
    match microseconds {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let (year, month, day) = civil(microseconds.div_euclid(DAY));
            let time = time(microseconds.rem_euclid(DAY));
            if year > 0 {
                format!("{year:04}-{month:02}-{day:02} {time}{zone}")
            } else {
                format!("{:04}-{month:02}-{day:02} {time}{zone} BC", 1 - year)
            }
        }
    }
}

/// Digits to base 10,000 with a weight and a display scale.
fn numeric(bytes: &[u8]) -> Option<String> {
    let word =
        |place: usize| bytes.get(2 * place..2 * place + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    let count = usize::from(word(0)?);
    let weight = i64::from(word(1)?.cast_signed());
    let sign = match word(2)? {
        0 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let scale = usize::from(word(3)?);
    if bytes.len() != 8 + 2 * count || scale > 16_383 {
        return None;
    }
    let length = scale + 4 * usize::try_from(weight + 1).unwrap_or(0);
    if length > NUMERIC_TEXT.0 * bytes.len() + NUMERIC_TEXT.1 {
        return None;
    }
    let digit = |power: i64| {
        let place = usize::try_from(weight - power).ok().filter(|place| *place < count)?;
        word(4 + place)
    };
    let mut text = sign.to_owned();
    if weight < 0 {
        text.push('0');
    }
    for power in (0..=weight).rev() {
        let digit = digit(power).unwrap_or(0);
        let _ = if power == weight { write!(text, "{digit}") } else { write!(text, "{digit:04}") };
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut power = -1;
        while text.len() < end {
            let _ = write!(text, "{:04}", digit(power).unwrap_or(0));
            power -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_the_server_writes_them() {
        let numeric = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        for (oid, bytes, expected) in [
            (16, vec![1], "t"),
            (17, vec![0xde, 0xad], "\\xdead"),
            (20, (-5i64).to_be_bytes().to_vec(), "-5"),
            (21, 7i16.to_be_bytes().to_vec(), "7"),
            (23, 70_000i32.to_be_bytes().to_vec(), "70000"),
            (25, b"a\xc3\xa9".to_vec(), "aé"),
            (700, 0.1f32.to_be_bytes().to_vec(), "0.1"),
            (701, f64::NEG_INFINITY.to_be_bytes().to_vec(), "-Infinity"),
            (701, 1e300f64.to_be_bytes().to_vec(), "1e+300"),
            (700, 1e6f32.to_be_bytes().to_vec(), "1e+06"),
            (1082, 0i32.to_be_bytes().to_vec(), "2000-01-01"),
            (1082, (-1i32).to_be_bytes().to_vec(), "1999-12-31"),
            (1082, 9822i32.to_be_bytes().to_vec(), "2026-11-22"),
            (1083, 3_723_000_100i64.to_be_bytes().to_vec(), "01:02:03.0001"),
            (1184, (9822 * 86_400_000_000i64 + 11_520_000_000).to_be_bytes().to_vec(), "2026-11-22 03:12:00+00"),
            (1114, (-1i64).to_be_bytes().to_vec(), "1999-12-31 23:59:59.999999"),
            (1700, numeric(&[2, 0, 0, 2, 12, 3400]), "12.34"),
            (1700, numeric(&[2, 1, 0x4000, 0, 1, 5]), "-10005"),
            (1700, numeric(&[1, 0xffff, 0, 4, 1]), "0.0001"),
            (1700, numeric(&[0, 0, 0, 2]), "0.00"),
            (1700, numeric(&[2, 0, 0, 2, 3, 1400]), "3.14"),
            (1700, numeric(&[1, 0xffff, 0, 3, 50]), "0.005"),
            (1700, numeric(&[0, 0, 0, 0]), "0"),
            (1700, numeric(&[1, 2, 0, 0, 1]), "100000000"),
            (1700, numeric(&[0, 0, 0xc000, 0]), "NaN"),
            (2950, (0..16).collect(), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
            (3802, b"\x01{}".to_vec(), "{}"),
        ] {
            assert_eq!(text_of_binary(oid, &bytes).as_deref(), Some(expected), "type {oid}");
        }
        for (oid, bytes) in [(23, vec![1]), (16, vec![2]), (25, vec![0xff]), (1700, vec![0, 9, 0, 0]), (600, vec![])] {
            assert_eq!(text_of_binary(oid, &bytes), None, "type {oid}");
        }
    }

    #[test]
    fn dates_and_times_of_all_ages() {
        const DAY: i64 = 86_400_000_000;
        for (days, expected) in [
            (0, "2000-01-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (-746_412, "0045-05-24 BC"),
            (2_921_939, "9999-12-31"),
            (2_921_940, "10000-01-01"),
            (2_145_031_948, "5874897-12-31"),
            (-2_451_545, "4714-11-24 BC"),
            (59, "2000-02-29"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ] {
            assert_eq!(text_of_binary(1082, &days.to_be_bytes()).as_deref(), Some(expected));
        }
        for (oid, micros, expected) in [
            (1083, 0, "00:00:00"),
            (1083, DAY, "24:00:00"),
            (1083, 3_723_500_000, "01:02:03.5"),
            (1184, -1, "1999-12-31 23:59:59.999999+00"),
            (1184, -730_120 * DAY, "0001-12-31 00:00:00+00 BC"),
            (1114, i64::MAX, "infinity"),
            (1114, i64::MIN, "-infinity"),
        ] {
            assert_eq!(text_of_binary(oid, &micros.to_be_bytes()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_number_is_not_many_times_longer_than_its_bytes() {
        let numeric = |weight: u16, scale: u16| {
            let words = [1, weight, 0, scale, 1];
            words.iter().flat_map(|word: &u16| word.to_be_bytes()).collect::<Vec<u8>>()
        };
        assert_eq!(text_of_binary(1700, &numeric(25, 0)).map(|text| text.len()), Some(101));
        for bytes in [numeric(0x7fff, 0), numeric(0, 16_383), numeric(1000, 0)] {
            assert_eq!(text_of_binary(1700, &bytes), None);
        }
    }
}
