//! One cell as JSON, the form that all textual formats share.

use arrow::array::{Array, AsArray, BooleanArray, GenericListArray, OffsetSizeTrait, StringViewArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Number, Value};

use crate::moment::rfc3339;

/// The cell at `row`. Numbers that JSON cannot write (NaN, infinities) are texts.
pub(crate) fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_any().downcast_ref::<BooleanArray>().map_or(Value::Null, |a| a.value(row).into()),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => {
            array.as_any().downcast_ref::<StringViewArray>().map_or(Value::Null, |a| a.value(row).into())
        }
        DataType::Binary => bytes(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, zone) => {
            let (ticks, factor) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
                TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000),
                TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000),
                TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1),
            };
            let at = ticks.checked_mul(factor);
            at.and_then(|at| in_zone(at, zone.as_deref())).map_or_else(|| text(array, row), Value::String)
        }
        DataType::Duration(unit) => {
            let (ticks, factor) = match unit {
                TimeUnit::Second => (array.as_primitive::<DurationSecondType>().value(row), 1_000_000_000),
                TimeUnit::Millisecond => (array.as_primitive::<DurationMillisecondType>().value(row), 1_000_000),
                TimeUnit::Microsecond => (array.as_primitive::<DurationMicrosecondType>().value(row), 1_000),
                TimeUnit::Nanosecond => (array.as_primitive::<DurationNanosecondType>().value(row), 1),
            };
            // As the difference of two times in PostgreSQL: days apart from hours.
            const DAY: i128 = 86_400_000_000_000;
            let length = i128::from(ticks) * factor;
            interval(0, i32::try_from(length / DAY).unwrap_or(i32::MAX), length % DAY).into()
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            interval(value.months, value.days, i128::from(value.nanoseconds)).into()
        }
        DataType::Date32 => {
            let days = i64::from(array.as_primitive::<Date32Type>().value(row));
            match days.checked_mul(86_400_000_000_000) {
                Some(at) => rfc3339(at).chars().take(10).collect::<String>().into(),
                None => text(array, row),
            }
        }
        DataType::List(_) => list(array.as_list::<i32>(), row),
        DataType::LargeList(_) => list(array.as_list::<i64>(), row),
        DataType::Struct(_) => object(array.as_struct(), row),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            match dictionary.normalized_keys().get(row) {
                Some(key) => value(dictionary.values().as_ref(), *key),
                None => Value::Null,
            }
        }
        _ => text(array, row),
    }
}

/// The cell as the textual formats print it; `None` for null.
pub(super) fn printed(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>, row: usize) -> Value {
    let items = array.value(row);
    (0..items.len()).map(|item| value(items.as_ref(), item)).collect()
}

fn object(array: &StructArray, row: usize) -> Value {
    let fields = array.fields().iter().zip(array.columns());
    Value::Object(fields.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row))).collect())
}

/// A time with its zone: in UTC with `Z`, elsewhere as it is there, with the offset. Without a zone it is what clocks show.
fn in_zone(at: i64, zone: Option<&str>) -> Option<String> {
    match zone {
        None => Some(rfc3339(at).trim_end_matches('Z').to_owned()),
        Some("UTC" | "+00:00" | "Z") => Some(rfc3339(at)),
        Some(zone) => {
            let at = jiff::Timestamp::from_nanosecond(i128::from(at)).ok()?;
            let zone = match jiff::tz::TimeZone::get(zone) {
                Ok(zone) => zone,
                Err(_) => format!("2000-01-01T00:00:00{zone}[{zone}]").parse::<jiff::Zoned>().ok()?.time_zone().clone(),
            };
            Some(at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string())
        }
    }
}

/// A length of time as PostgreSQL writes it: `1 mon 2 days 03:04:05.5`.
fn interval(months: i32, days: i32, nanoseconds: i128) -> String {
    const SECOND: i128 = 1_000_000_000;
    let mut parts = Vec::new();
    for (count, one, many) in [(months / 12, "year", "years"), (months % 12, "mon", "mons"), (days, "day", "days")] {
        if count != 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    if nanoseconds != 0 || parts.is_empty() {
        let sign = if nanoseconds < 0 { "-" } else { "" };
        let all = nanoseconds.abs();
        let (seconds, fraction) = (all / SECOND, all % SECOND);
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:09}") };
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        parts.push(format!("{sign}{clock}{}", fraction.trim_end_matches('0')));
    }
    parts.join(" ")
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

fn bytes(bytes: &[u8]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(2 + 2 * bytes.len());
    out.push_str("\\x");
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Value::String(out)
}

fn text(array: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default();
    match ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => Value::String(formatter.value(row).to_string()),
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_postgresql_does() {
        for (months, days, nanoseconds, expected) in [
            (0, 0, 0, "00:00:00"),
            (0, 0, 5_000_000_000, "00:00:05"),
            (0, 0, -1_500_000_000, "-00:00:01.5"),
            (0, 0, 100 * 3_600_000_000_000, "100:00:00"),
            (14, 1, 2_000_000, "1 year 2 mons 1 day 00:00:00.002"),
            (0, -2, 0, "-2 days"),
        ] {
            assert_eq!(interval(months, days, nanoseconds), expected);
        }
    }

    #[test]
    fn a_time_of_another_zone_has_its_offset() {
        let at = crate::Moment::parse("2026-11-22T03:12:07.5Z").unwrap().from;
        assert_eq!(in_zone(at, Some("Europe/Berlin")).unwrap(), "2026-11-22T04:12:07.500000000+01:00");
        assert_eq!(in_zone(at, Some("-05:30")).unwrap(), "2026-11-21T21:42:07.500000000-05:30");
        assert_eq!(in_zone(at, Some("+00:00")).unwrap(), "2026-11-22T03:12:07.500000000Z");
    }
}
