//! One value as a reader takes it in.

use arrow::datatypes::DataType;
use serde_json::Value;

use crate::output::safe;

/// A value as text; empty for null.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Likewise on one line; times without what nobody reads: `2026-11-22 03:12:00.123Z`.
pub(super) fn short(value: &Value, data_type: &DataType) -> String {
    let text = text(value);
    if matches!(data_type, DataType::Timestamp(_, _)) {
        return time(&text).unwrap_or(text);
    }
    safe(&text, false)
}

/// RFC 3339 in milliseconds, with a space.
fn time(text: &str) -> Option<String> {
    let (date, clock) = text.split_once('T')?;
    let clock = clock.strip_suffix('Z')?;
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let fraction = fraction.get(..3).unwrap_or(fraction).trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date} {seconds}{point}{fraction}Z"))
}

/// Never made shorter: half a number, a time or an id says something else.
pub(super) fn is_whole(data_type: &DataType, name: &str) -> bool {
    data_type.is_numeric() || matches!(data_type, DataType::Timestamp(_, _) | DataType::Boolean) || name == "session_id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        for (given, expected) in [
            ("2026-11-22T03:12:00.000000000Z", "2026-11-22 03:12:00Z"),
            ("2026-11-22T03:12:00.123456789Z", "2026-11-22 03:12:00.123Z"),
            ("2026-11-22T03:12:00.120000000Z", "2026-11-22 03:12:00.12Z"),
        ] {
            assert_eq!(time(given).as_deref(), Some(expected));
        }
        assert_eq!(time("infinity"), None);
    }
}
