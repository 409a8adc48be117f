//! Binary intervals and times with a zone as psql shows them with its own settings.
//!
//! Invariant: every value that PostgreSQL can send has a text, also before 1677, after 2262 and before Christ. Source:
//! `src/backend/utils/adt/{date,timestamp,datetime}.c`, `EncodeDateOnly`, `EncodeDateTime`, `EncodeInterval`.

use hansard_pg_wire::value::text_of_binary;

/// Microseconds since midnight as they are sent, and seconds west of Greenwich.
pub(super) fn time_with_zone(micros: &[u8; 8], west: i32) -> Option<String> {
    let (sign, away) = if west > 0 { ('-', i64::from(west)) } else { ('+', -i64::from(west)) };
    let mut zone = format!("{sign}{:02}", away / 3600);
    if away % 3600 != 0 {
        zone.push_str(&format!(":{:02}", away / 60 % 60));
    }
    if away % 60 != 0 {
        zone.push_str(&format!(":{:02}", away % 60));
    }
    Some(text_of_binary(1083, micros)? + &zone)
}

/// Microseconds, days and months.
pub(super) fn interval(micros: i64, days: i32, months: i32) -> String {
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return "infinity".to_owned(),
        (i64::MIN, i32::MIN, i32::MIN) => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = String::new();
    let mut before = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if out.is_empty() { "" } else { " " };
            let sign = if before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            out.push_str(&format!("{space}{sign}{value} {unit}{plural}"));
            before = value < 0;
        }
    }
    if micros != 0 || out.is_empty() {
        let space = if out.is_empty() { "" } else { " " };
        let sign = match micros < 0 {
            true => "-",
            false if before => "+",
            false => "",
        };
        let magnitude = micros.unsigned_abs();
        let seconds = magnitude / 1_000_000;
        let fraction = fraction(i64::try_from(magnitude % 1_000_000).unwrap_or(0));
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        out.push_str(&format!("{space}{sign}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60));
    }
    out
}

/// Of a second, without zeros at its end.
fn fraction(micros: i64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_as_many_parts_as_they_need() {
        let with_zone = |micros: i64, west| time_with_zone(&micros.to_be_bytes(), west);
        assert_eq!(with_zone(0, -19_800).as_deref(), Some("00:00:00+05:30"));
        assert_eq!(with_zone(1, 3600).as_deref(), Some("00:00:00.000001-01"));
    }

    #[test]
    fn intervals_keep_their_parts_and_signs() {
        for (micros, days, months, expected) in [
            (0, 0, 0, "00:00:00"),
            (14_706_789_000, 3, 14, "1 year 2 mons 3 days 04:05:06.789"),
            (0, 1, 0, "1 day"),
            (0, -1, 0, "-1 days"),
            (3_600_000_000, -1, 0, "-1 days +01:00:00"),
            (-3_600_000_000, 1, 0, "1 day -01:00:00"),
            (0, 3, -14, "-1 years -2 mons +3 days"),
            (i64::MIN, 0, 0, "-2562047788:00:54.775808"),
            (i64::MAX, i32::MAX, i32::MAX, "infinity"),
        ] {
            assert_eq!(interval(micros, days, months), expected);
        }
    }
}
