//! `to_char(time, pattern)` with the patterns of PostgreSQL.
//!
//! Invariant: a pattern that is not known is refused, never copied to the result as if it were a text.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::functions::{invalid, result};

/// A time as a text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToChar {
    signature: Signature,
}

impl Default for ToChar {
    fn default() -> ToChar {
        ToChar { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &'static str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let times = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
        match arg_types {
            [DataType::Timestamp(_, None), _] => {
                Ok(vec![DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Utf8])
            }
            [kind, _]
                if kind.is_temporal() && !matches!(kind, DataType::Interval(_) | DataType::Duration(_))
                    || kind.is_null() =>
            {
                Ok(vec![times, DataType::Utf8])
            }
            [kind, _] if kind.is_numeric() => {
                Err(invalid("to_char of numbers is not here; write round(number, 2) or number::text"))
            }
            _ => Err(invalid("to_char takes a time and a pattern such as 'YYYY-MM-DD HH24:MI:SS'")),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (times, patterns) = (arrays[0].as_primitive::<TimestampNanosecondType>(), arrays[1].as_string::<i32>());
        let is_local = matches!(times.data_type(), DataType::Timestamp(_, None));
        let mut read: Option<(&str, Vec<Piece>)> = None;
        let mut all = Vec::with_capacity(times.len());
        for row in 0..times.len() {
            if times.is_null(row) || patterns.is_null(row) {
                all.push(None);
                continue;
            }
            let pattern = patterns.value(row);
            let pieces = match read.take() {
                Some((known, pieces)) if known == pattern => pieces,
                _ => {
                    let mut pieces = pieces(pattern)?;
                    // What clocks show somewhere has no zone any more.
                    pieces.retain(|piece| !is_local || *piece != Piece::Field("TZ"));
                    pieces
                }
            };
            let at = Timestamp::from_nanosecond(i128::from(times.value(row)))
                .map_err(|_| invalid("a time is beyond the years that to_char writes"))?
                .to_zoned(TimeZone::UTC);
            let mut text = String::new();
            pieces.iter().for_each(|piece| piece.write(&at, &mut text));
            all.push(Some(text));
            read = Some((pattern, pieces));
        }
        result(&args, Arc::new(StringArray::from(all)))
    }
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(&'static str),
}

/// Fields, longer ones before those that they begin with. PostgreSQL, tables 9.26 and 9.27.
const FIELDS: [&str; 37] = [
    "HH24", "HH12", "HH", "MI", "SSSS", "SS", "MS", "US", "YYYY", "YYY", "YY", "IYYY", "MONTH", "Month", "month",
    "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "ID", "IW", "WW", "AM", "PM", "am",
    "pm", "OF", "TZ", "Q",
];

fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    if pattern.len() > 256 {
        return Err(invalid("a pattern of to_char has at most 256 bytes"));
    }
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if next == '"' {
            let (text, after) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            pieces.push(Piece::Text(text.to_owned()));
            rest = after;
            continue;
        }
        let field = FIELDS.iter().find(|field| {
            rest.starts_with(**field) || (is_number(field) && rest.starts_with(&field.to_ascii_lowercase()))
        });
        if let Some(field) = field {
            pieces.push(Piece::Field(field));
            rest = &rest[field.len()..];
        } else if next.is_ascii_alphabetic() {
            let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            return Err(invalid(format!(
                "'{word}' is no pattern that to_char knows here; it knows {}, and texts in double quotes",
                FIELDS.join(", ")
            )));
        } else {
            pieces.push(Piece::Text(next.to_string()));
            rest = &rest[next.len_utf8()..];
        }
    }
    Ok(pieces)
}

/// Written in small letters it means the same.
fn is_number(field: &str) -> bool {
    !matches!(field, "MONTH" | "Month" | "MON" | "Mon" | "DAY" | "Day" | "DY" | "Dy" | "AM" | "PM")
}

impl Piece {
    fn write(&self, at: &Zoned, out: &mut String) {
        let field = match self {
            Piece::Text(text) => return out.push_str(text),
            Piece::Field(field) => *field,
        };
        let hour = match at.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let name = |format: &str| at.strftime(format).to_string();
        // Names fill the width of the longest, as in PostgreSQL.
        let wide = |format: &str| format!("{:<9}", name(format));
        let year = i32::from(at.year());
        let iso = at.date().iso_week_date();
        let written = match field {
            "HH24" => write!(out, "{:02}", at.hour()),
            "HH12" | "HH" => write!(out, "{hour:02}"),
            "MI" => write!(out, "{:02}", at.minute()),
            "SS" => write!(out, "{:02}", at.second()),
            "SSSS" => {
                write!(out, "{}", i32::from(at.hour()) * 3600 + i32::from(at.minute()) * 60 + i32::from(at.second()))
            }
            "MS" => write!(out, "{:03}", at.subsec_nanosecond() / 1_000_000),
            "US" => write!(out, "{:06}", at.subsec_nanosecond() / 1_000),
            "YYYY" => write!(out, "{year:04}"),
            "YYY" => write!(out, "{:03}", year.rem_euclid(1000)),
            "YY" => write!(out, "{:02}", year.rem_euclid(100)),
            "IYYY" => write!(out, "{:04}", iso.year()),
            "MM" => write!(out, "{:02}", at.month()),
            "DD" => write!(out, "{:02}", at.day()),
            "DDD" => write!(out, "{:03}", at.day_of_year()),
            "ID" => write!(out, "{}", at.weekday().to_monday_one_offset()),
            "IW" => write!(out, "{:02}", iso.week()),
            "WW" => write!(out, "{:02}", (at.day_of_year() - 1) / 7 + 1),
            "Q" => write!(out, "{}", (at.month() - 1) / 3 + 1),
            "Month" => write!(out, "{}", wide("%B")),
            "MONTH" => write!(out, "{}", wide("%B").to_uppercase()),
            "month" => write!(out, "{}", wide("%B").to_lowercase()),
            "Mon" => write!(out, "{}", name("%b")),
            "MON" => write!(out, "{}", name("%b").to_uppercase()),
            "mon" => write!(out, "{}", name("%b").to_lowercase()),
            "Day" => write!(out, "{}", wide("%A")),
            "DAY" => write!(out, "{}", wide("%A").to_uppercase()),
            "day" => write!(out, "{}", wide("%A").to_lowercase()),
            "Dy" => write!(out, "{}", name("%a")),
            "DY" => write!(out, "{}", name("%a").to_uppercase()),
            "dy" => write!(out, "{}", name("%a").to_lowercase()),
            "AM" | "PM" => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
            "am" | "pm" => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
            "OF" => write!(out, "+00"),
            _ => write!(out, "UTC"),
        };
        // A text takes everything.
        let _ = written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        let at: Timestamp = "2026-11-02T15:04:05.678901234Z".parse().unwrap();
        let mut text = String::new();
        pieces(pattern).unwrap().iter().for_each(|piece| piece.write(&at.to_zoned(TimeZone::UTC), &mut text));
        assert_eq!(text, expected, "{pattern}");
    }

    #[test]
    fn patterns_are_those_of_postgresql() {
        check("YYYY-MM-DD HH24:MI:SS.MS", "2026-11-02 15:04:05.678");
        check("yyyy-mm-dd hh24:mi:ss.us", "2026-11-02 15:04:05.678901");
        check("HH12:MI AM, Dy DD Mon YY", "03:04 PM, Mon 02 Nov 26");
        check("Day|Month|DAY|mon", "Monday   |November |MONDAY   |nov");
        check("DDD WW IYYY-IW-ID Q SSSS", "306 44 2026-45-1 4 54245");
        check("YYYYMMDD\"T\"HH24MISS OF TZ", "20261102T150405 +00 UTC");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["RM", "YYYY-FMMM", "J", "%Y", "HH24hMI", "CC"] {
            if pattern == "%Y" {
                // What is no letter is itself, but the letter behind it is none that is known.
                assert!(pieces(pattern).unwrap_err().to_string().contains("'Y'"));
                continue;
            }
            assert!(pieces(pattern).is_err(), "{pattern}");
        }
    }
}
