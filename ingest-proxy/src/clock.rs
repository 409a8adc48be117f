//! Wall time.

use std::time::{Duration, SystemTime};

/// UTC, nanoseconds since 1970-01-01.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// As a person reads it, to the second.
pub(crate) fn text(nanos: u64) -> String {
    match i64::try_from(nanos / 1_000_000_000).map(jiff::Timestamp::from_second) {
        Ok(Ok(time)) => time.to_string(),
        _ => "an unknown time".to_owned(),
    }
}
