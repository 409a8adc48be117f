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

/// Narrowest that a text is made, in columns of the terminal.
const NARROWEST: usize = 10;

/// Of a session's id: its time and some of what is drawn by lot, with a mark. `hansard replay` takes it as it stands.
const NARROWEST_ID: usize = "01a21bb6-3f31-70f5…".len() - "…".len() + 1;

/// The least that a column of that width is shown in: half a number or a time says something else.
pub(super) fn narrowest(data_type: &DataType, name: &str, width: usize) -> usize {
    match (data_type, name) {
        (DataType::Timestamp(_, _) | DataType::Boolean, _) => width,
        (data_type, _) if data_type.is_numeric() => width,
        (_, "session_id") => width.min(NARROWEST_ID),
        _ => width.min(NARROWEST),
    }
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
