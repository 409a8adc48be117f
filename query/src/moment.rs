//! Times as people and programs write them.
//!
//! Invariant: a text names a span, not an instant: as long as its last stated unit. `2026-11-22T03:12Z` is that whole
//! minute. Without an offset a time is UTC, since every time in the record is.

use jiff::civil;
use jiff::tz::TimeZone;

use crate::Error;

const SECOND: i64 = 1_000_000_000;

/// A span of time, UTC nanoseconds: `from` is in it, `to` is the first instant after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The first instant.
    pub from: i64,
    /// The first instant after it.
    pub to: i64,
}

impl Moment {
    /// Reads RFC 3339, or less of it: `2026-11-22`, `2026-11-22T03:12Z`, `2026-11-22 03:12:07.5+01:00`.
    pub fn parse(text: &str) -> Result<Moment, Error> {
        read(text.trim()).ok_or_else(|| {
            Error::Invalid(format!("'{text}' is not a time; write it like 2026-11-22T03:12Z or 2026-11-22T03:12:00.5Z"))
        })
    }
}

fn read(text: &str) -> Option<Moment> {
    if text.len() > 64 || !text.is_ascii() {
        return None;
    }
    if text.len() == 10 {
        let date: civil::Date = text.parse().ok()?;
        let from = nanoseconds(date.to_datetime(civil::Time::midnight()), 0)?;
        return Some(Moment { from, to: from.checked_add(24 * 3600 * SECOND)? });
    }
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, "Z"),
    };
    let datetime: civil::DateTime = format!("{date}T{}", clock.trim_end()).parse().ok()?;
    let unit = match clock.trim_end().len() {
        5 => 60 * SECOND,
        8 => SECOND,
        length @ 10..=18 => 10_i64.checked_pow(u32::try_from(18 - length).ok()?)?,
        _ => return None,
    };
    let from = nanoseconds(datetime, offset_seconds(offset)?)?;
    Some(Moment { from, to: from.checked_add(unit)? })
}

fn nanoseconds(datetime: civil::DateTime, offset: i64) -> Option<i64> {
    let timestamp = datetime.to_zoned(TimeZone::UTC).ok()?.timestamp();
    i64::try_from(timestamp.as_nanosecond()).ok()?.checked_sub(offset.checked_mul(SECOND)?)
}

fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !digits.chars().all(|c| c.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// An instant as every JSON and CSV of ours shows it: RFC 3339, UTC, nanoseconds.
pub fn rfc3339(nanoseconds: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(timestamp) => format!("{timestamp:.9}"),
        Err(_) => nanoseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, from: &str, length: i64) {
        let moment = Moment::parse(text).unwrap();
        assert_eq!((rfc3339(moment.from).as_str(), moment.to - moment.from), (from, length), "{text}");
    }

    #[test]
    fn a_time_is_as_long_as_its_last_unit() {
        check("2026-11-22", "2026-11-22T00:00:00.000000000Z", 86_400 * SECOND);
        check("2026-11-22T03:12Z", "2026-11-22T03:12:00.000000000Z", 60 * SECOND);
        check("2026-11-22 03:12", "2026-11-22T03:12:00.000000000Z", 60 * SECOND);
        check("2026-11-22T03:12:07Z", "2026-11-22T03:12:07.000000000Z", SECOND);
        check("2026-11-22T03:12:07.5Z", "2026-11-22T03:12:07.500000000Z", SECOND / 10);
        check("2026-11-22T03:12:07.123456789Z", "2026-11-22T03:12:07.123456789Z", 1);
        check("2026-11-22T03:12+01:00", "2026-11-22T02:12:00.000000000Z", 60 * SECOND);
        check("2026-11-22T03:12:00-0530", "2026-11-22T08:42:00.000000000Z", SECOND);
        check("2026-11-22 03:12:07.25+00", "2026-11-22T03:12:07.250000000Z", SECOND / 100);
    }

    #[test]
    fn what_is_no_time_is_named() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-22T25:00Z",
            "2026-11-22T03Z",
            "2026-11-22T03:12+99",
            "2026-11-22T03:12:00.1234567891Z",
            "９026-11-22",
        ] {
            let error = Moment::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a time"), "{error}");
        }
    }
}
