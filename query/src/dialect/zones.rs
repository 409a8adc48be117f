//! `time AT TIME ZONE 'Europe/Berlin'`: what clocks show there, as a time without a zone; and back again.
//!
//! Invariant: what is made of it (its text, its parts, what it is compared with) is made of what the clocks show. A zone
//! that is not known is an error.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::functions::{invalid, result};
use crate::moment::is_short;

const WITHOUT: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))
}

/// `timezone(zone, time)`, which PostgreSQL, too, makes of AT TIME ZONE.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtZone {
    signature: Signature,
}

impl Default for AtZone {
    fn default() -> AtZone {
        AtZone { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AtZone {
    fn name(&self) -> &'static str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [zone, time] if zone.is_string() || zone.is_null() => match time {
                DataType::Timestamp(_, None) => Ok(vec![DataType::Utf8, WITHOUT]),
                DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null => {
                    Ok(vec![DataType::Utf8, utc()])
                }
                _ => Err(invalid("AT TIME ZONE takes a time; write '2026-11-22 03:12Z'::timestamptz AT TIME ZONE ...")),
            },
            _ => Err(invalid("AT TIME ZONE takes a time and a zone's name, such as 'Europe/Berlin'")),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(if matches!(arg_types, [_, DataType::Timestamp(_, None)]) { utc() } else { WITHOUT })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (names, times) = (arrays[0].as_string::<i32>(), arrays[1].as_primitive::<TimestampNanosecondType>());
        let is_local = matches!(times.data_type(), DataType::Timestamp(_, None));
        let utc = TimeZone::UTC;
        let mut known: Option<(&str, TimeZone)> = None;
        let mut all = Vec::with_capacity(times.len());
        for row in 0..times.len() {
            if times.is_null(row) || names.is_null(row) {
                all.push(None);
                continue;
            }
            let name = names.value(row);
            let zone = match known.take() {
                Some((same, zone)) if same == name => zone,
                _ => zone(name)?,
            };
            let (from, to) = if is_local { (&zone, &utc) } else { (&utc, &zone) };
            all.push(Some(moved(times.value(row), from, to)?));
            known = Some((name, zone));
        }
        let all = TimestampNanosecondArray::from(all);
        let all = if is_local { all.with_timezone("+00:00") } else { all };
        result(&args, Arc::new(all))
    }
}

/// What clocks show in `to`, where those in `from` show `at`; nanoseconds since 1970 by the same clocks.
fn moved(at: i64, from: &TimeZone, to: &TimeZone) -> Result<i64> {
    let beyond = |_| invalid("a time is beyond the years that AT TIME ZONE knows");
    let shown = Timestamp::from_nanosecond(i128::from(at)).map_err(beyond)?.to_zoned(TimeZone::UTC).datetime();
    let instant = from.to_ambiguous_timestamp(shown).unambiguous().map_err(|_| {
        invalid(format!("clocks are changed at {shown} there, so that this time is there twice or never"))
    })?;
    let there = instant.to_zoned(to.clone()).datetime().to_zoned(TimeZone::UTC).map_err(beyond)?;
    i64::try_from(there.timestamp().as_nanosecond())
        .map_err(|_| invalid("a time is beyond the years that AT TIME ZONE knows"))
}

/// Names of the zone database only: of what else PostgreSQL takes, `CET` has no summer time and the sign of `+03` is the
/// opposite of what it is elsewhere.
fn zone(name: &str) -> Result<TimeZone> {
    match TimeZone::get(name) {
        Ok(zone) if !is_short(name) => Ok(zone),
        Ok(_) => Err(invalid(format!(
            "{name} is no full name of a time zone, and means different things to different programs; write it like \
             Europe/Berlin"
        ))),
        Err(_) => {
            let shown: String = name.chars().take(64).collect();
            Err(invalid(format!("there is no time zone '{shown}'; zones are named like Europe/Berlin")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: &str, name: &str, expected: &str) {
        let at: Timestamp = at.parse().unwrap();
        let zone = zone(name).unwrap();
        let at = i64::try_from(at.as_nanosecond()).unwrap();
        let shown = moved(at, &TimeZone::UTC, &zone).unwrap();
        assert_eq!(Timestamp::from_nanosecond(i128::from(shown)).unwrap().to_string(), expected);
        assert_eq!(moved(shown, &zone, &TimeZone::UTC).unwrap(), at);
    }

    #[test]
    fn clocks_show_what_they_show_there() {
        check("2026-11-22T03:12:00Z", "Europe/Berlin", "2026-11-22T04:12:00Z");
        check("2026-07-22T03:12:00Z", "europe/berlin", "2026-07-22T05:12:00Z");
        check("2026-11-22T03:12:00Z", "Asia/Kolkata", "2026-11-22T08:42:00Z");
        check("2026-11-22T03:12:00Z", "UTC", "2026-11-22T03:12:00Z");
    }

    #[test]
    fn a_zone_that_is_not_known_or_not_clear_is_refused() {
        for name in ["Mars/Base", "+03", "CET", "EST", "", "Europe/Berlin; x"] {
            assert!(zone(name).is_err(), "{name}");
        }
    }
}
