//! Times as people and programs write them.
//!
//! Invariant: a text names a span, not an instant: as long as its last stated unit. `2026-11-22T03:12Z` is that whole
//! minute. Without an offset a time is UTC, since every time in the record is.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, civil};

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
    /// Reads a time, as of now: see [`Moment::parse_at`].
    pub fn parse(text: &str) -> Result<Moment, Error> {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        Moment::parse_at(text, now)
    }

    /// Reads RFC 3339 or less of it (`2026-11-22`, `2026-11-22T03:12Z`, `2026-11-22 03:12:07.5+01:00`), a time of today
    /// (`03:12Z`), either in a zone by its name (`2026-11-22 03:12 Europe/Berlin`) or in this machine's (`03:12 local`), a
    /// time before now (`10m ago`, `2 hours ago`), and `now`, `today`, `yesterday`, `tomorrow` and `epoch`. `now` in nanoseconds, UTC.
    pub fn parse_at(text: &str, now: i64) -> Result<Moment, Error> {
        read(text.trim(), now).map_err(|why| {
            let shown: String = text.chars().take(64).collect();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            Error::Invalid(format!(
                "'{shown}' is not a time{why}; write it like 2026-11-22T03:12Z, 2026-11-22T03:12:00.5Z, 03:12Z for today, \
                 10m ago, or 2026-11-22 03:12 Europe/Berlin"
            ))
        })
    }

    /// The span in RFC 3339, as short as it is long: `2026-11-22T03:12Z` is a minute.
    pub fn written(&self) -> String {
        let whole = rfc3339(self.from);
        let digits = match self.to.saturating_sub(self.from) {
            length if length == 24 * 3600 * SECOND && whole.get(10..19) == Some("T00:00:00") => {
                return whole[..10].to_owned();
            }
            length if length == 60 * SECOND && whole.get(16..) == Some(":00.000000000Z") => {
                return format!("{}Z", &whole[..16]);
            }
            SECOND => 0,
            length => (1..9).find(|digits| 10_i64.pow(9 - digits) == length).unwrap_or(9),
        };
        let end = if digits == 0 { 19 } else { 20 + digits as usize };
        whole.get(..end).map_or(whole.clone(), |shown| format!("{shown}Z"))
    }
}

/// Why a text is no time; `None`: it has the form of none.
type Why = Option<String>;

fn read(text: &str, now: i64) -> Result<Moment, Why> {
    if text.len() > 96 || !text.is_ascii() {
        return Err(None);
    }
    let instant = |at: i64| Moment { from: at, to: at.saturating_add(1) };
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "now" => return Ok(instant(now)),
        "epoch" => return Ok(instant(0)),
        "today" | "yesterday" | "tomorrow" => {
            let days = match word.as_str() {
                "yesterday" => -1,
                "tomorrow" => 1,
                _ => 0,
            };
            let date = today(now, &TimeZone::UTC)?.checked_add(days.days()).map_err(|_| None)?;
            return day(date, &TimeZone::UTC);
        }
        _ => {}
    }
    if let Some(length) = word.strip_suffix("ago") {
        let length =
            length_of(length).ok_or_else(|| Some("before `ago` stands a length such as 10m or 2 hours".to_owned()))?;
        return Ok(instant(now.checked_sub(length).ok_or(None)?));
    }
    let (rest, zone) = zoned(text)?;
    if let Ok(date) = rest.parse::<civil::Date>()
        && rest.len() == 10
    {
        return day(date, &zone);
    }
    let (date, clock) = match rest.split_at_checked(10) {
        Some((date, rest)) if rest.starts_with(['T', 't', ' ']) => (date.parse().map_err(|_| None)?, &rest[1..]),
        _ => (today(now, &zone)?, rest),
    };
    let unit = match clock.len() {
        5 => 60 * SECOND,
        8 => SECOND,
        length @ 10..=18 => 10_i64.pow(u32::try_from(18 - length).map_err(|_| None)?),
        _ => return Err(None),
    };
    if clock.get(6..8) == Some("60") {
        return Err(Some("seconds go to 59".to_owned()));
    }
    let time: civil::Time = clock.parse().map_err(|_| None)?;
    let from = nanoseconds(date.to_datetime(time), &zone)?;
    Ok(Moment { from, to: from.checked_add(unit).ok_or_else(|| Some(BOUNDS.to_owned()))? })
}

/// A text without its zone, and the zone: an offset, a name, `local`, or none, which is UTC.
fn zoned(text: &str) -> Result<(&str, TimeZone), Why> {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return Ok((rest.trim_end(), TimeZone::UTC));
    }
    if let Some((rest, name)) = text.rsplit_once(' ')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        let zone = match name {
            "local" => TimeZone::system(),
            name if is_short(name) => {
                let why = "is no full name of a time zone, and means different things to different programs";
                return Err(Some(format!("{name} {why}; write it like Europe/Berlin")));
            }
            name => TimeZone::get(name)
                .map_err(|_| Some(format!("there is no time zone {name}; zones are named like Europe/Berlin")))?,
        };
        return Ok((rest.trim_end(), zone));
    }
    // A date has hyphens, too: an offset comes behind a clock.
    let clock = text.find(':').unwrap_or(text.len());
    match text[clock..].find(['+', '-']) {
        Some(at) => {
            let (rest, offset) = text.split_at(clock + at);
            let seconds = offset_seconds(offset).ok_or(None)?;
            let offset = i32::try_from(seconds).ok().and_then(|seconds| Offset::from_seconds(seconds).ok());
            Ok((rest.trim_end(), TimeZone::fixed(offset.ok_or(None)?)))
        }
        None => Ok((text, TimeZone::UTC)),
    }
}

/// `CET` has no summer time in PostgreSQL, and one in the zone database.
pub(crate) fn is_short(zone: &str) -> bool {
    !zone.contains('/')
        && !["utc", "gmt", "zulu"].contains(&zone.to_ascii_lowercase().as_str())
        && TimeZone::get(zone).is_ok()
}

fn today(now: i64, zone: &TimeZone) -> Result<civil::Date, Why> {
    let now = Timestamp::from_nanosecond(i128::from(now)).map_err(|_| None)?;
    Ok(now.to_zoned(zone.clone()).date())
}

/// A whole day, which is not always 24 hours long.
fn day(date: civil::Date, zone: &TimeZone) -> Result<Moment, Why> {
    let begin = |date: civil::Date| {
        let start = date.to_zoned(zone.clone()).and_then(|day| day.start_of_day());
        let start = start.map_err(|_| Some(BOUNDS.to_owned()))?;
        i64::try_from(start.timestamp().as_nanosecond()).map_err(|_| Some(BOUNDS.to_owned()))
    };
    Ok(Moment { from: begin(date)?, to: begin(date.tomorrow().map_err(|_| Some(BOUNDS.to_owned()))?)? })
}

fn nanoseconds(datetime: civil::DateTime, zone: &TimeZone) -> Result<i64, Why> {
    let timestamp = zone.to_ambiguous_timestamp(datetime).unambiguous().map_err(|_| {
        Some(format!(
            "clocks are changed then, so that this time of the zone {} is there twice or never",
            name_of(zone)
        ))
    })?;
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| Some(BOUNDS.to_owned()))
}

/// Nanoseconds that fit in 64 bits.
const BOUNDS: &str = "times are from 1677-09-21T00:12:44Z to 2262-04-11T23:47:16Z";

fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("of this machine")
}

/// A length of time as a text such as `1m`, `90 seconds` or `1h30m`, in nanoseconds.
pub fn length_of(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit = match unit.to_ascii_lowercase().as_str() {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
            "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
            "h" | "hour" | "hours" => 3600 * SECOND,
            "d" | "day" | "days" => 24 * 3600 * SECOND,
            "w" | "week" | "weeks" => 7 * 24 * 3600 * SECOND,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = after.trim_start();
    }
    Some(sum)
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
            "lately",
            "2026-13-01",
            "ago",
            "10 parsecs ago",
            "25:00Z",
            "2026-11-22 03:12 Mars/Olympus",
            // Clocks are put forward over the first, and back over the second.
            "2026-03-29 02:30 Europe/Berlin",
            "2026-10-25 02:30 Europe/Berlin",
            "2026-11-22T25:00Z",
            "2026-11-22T03Z",
            "2026-11-22T03:12+99",
            "2026-11-22T03:12:00.1234567891Z",
            "2026-11-22T03:12:60Z",
            // With summer time to the zone database, without it to PostgreSQL.
            "2026-07-22 03:12 CET",
            "９026-11-22",
        ] {
            let error = Moment::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a time"), "{error}");
        }
    }

    #[test]
    fn a_time_out_of_bounds_is_told_the_bounds() {
        for text in ["9999-01-01", "9999-12-31", "1066-10-14 09:00", "2262-04-11T23:47:17Z", "2300-01-01T00:00Z"] {
            let error = Moment::parse(text).unwrap_err().to_string();
            assert!(error.contains("from 1677-09-21T00:12:44Z to 2262-04-11T23:47:16Z"), "{error}");
        }
        assert!(Moment::parse("2262-04-11T23:47:15Z").is_ok());
    }

    #[test]
    fn times_are_told_by_today_by_now_and_by_zone() {
        let now = Moment::parse("2026-11-22T12:00:00.5Z").unwrap().from;
        for (text, from, length) in [
            ("now", "2026-11-22T12:00:00.500000000Z", 1),
            ("epoch", "1970-01-01T00:00:00.000000000Z", 1),
            ("today", "2026-11-22T00:00:00.000000000Z", 86_400 * SECOND),
            ("Yesterday", "2026-11-21T00:00:00.000000000Z", 86_400 * SECOND),
            ("tomorrow", "2026-11-23T00:00:00.000000000Z", 86_400 * SECOND),
            ("03:12Z", "2026-11-22T03:12:00.000000000Z", 60 * SECOND),
            ("03:12", "2026-11-22T03:12:00.000000000Z", 60 * SECOND),
            ("03:12:07.25+01:00", "2026-11-22T02:12:07.250000000Z", SECOND / 100),
            ("10m ago", "2026-11-22T11:50:00.500000000Z", 1),
            ("2 hours ago", "2026-11-22T10:00:00.500000000Z", 1),
            ("1h30m ago", "2026-11-22T10:30:00.500000000Z", 1),
            ("1 day 2 hours ago", "2026-11-21T10:00:00.500000000Z", 1),
            ("2026-07-01 03:12 Europe/Berlin", "2026-07-01T01:12:00.000000000Z", 60 * SECOND),
            ("2026-11-22T03:12:07 America/New_York", "2026-11-22T08:12:07.000000000Z", SECOND),
            ("03:12 Asia/Tokyo", "2026-11-21T18:12:00.000000000Z", 60 * SECOND),
            ("2026-03-29 Europe/Berlin", "2026-03-28T23:00:00.000000000Z", 23 * 3600 * SECOND),
            ("2026-11-22 UTC", "2026-11-22T00:00:00.000000000Z", 86_400 * SECOND),
        ] {
            let moment = Moment::parse_at(text, now).expect(text);
            assert_eq!((rfc3339(moment.from).as_str(), moment.to - moment.from), (from, length), "{text}");
        }
        let local = Moment::parse_at("2026-11-22 03:12 local", now).unwrap();
        let there = civil::date(2026, 11, 22).at(3, 12, 0, 0).to_zoned(TimeZone::system()).unwrap();
        assert_eq!(i128::from(local.from), there.timestamp().as_nanosecond());
    }

    #[test]
    fn a_span_is_written_as_short_as_it_is_long() {
        for text in [
            "2026-11-22",
            "2026-11-22T03:12Z",
            "2026-11-22T03:12:07Z",
            "2026-11-22T03:12:07.5Z",
            "2026-11-22T03:12:07.123456789Z",
        ] {
            assert_eq!(Moment::parse(text).unwrap().written(), text);
        }
        let berlin = Moment::parse("2026-11-22T03:12 Europe/Berlin").unwrap();
        assert_eq!(Moment::parse(&berlin.written()).unwrap(), berlin);
    }
}
