//! Wall time.

use std::time::{Duration, SystemTime};

/// UTC, nanoseconds since 1970-01-01.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
