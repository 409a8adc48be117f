//! How much room the texts of a session's rows take.

use std::sync::Arc;

use super::Context;

/// Bytes of text and touches that rows may take for each byte on the wire.
const ALLOWANCE: u64 = 16;

/// What a session may take before it has sent as much, in bytes.
pub(super) const ALLOWANCE_AT_FIRST: u64 = 1024 * 1024;

/// Of a text that takes too much room, in bytes.
const SHORTENED: usize = 256;

/// Texts from this length on count [`LONG_COUNTS`] times: one that is sent once and run often stands in two rows.
const LONG: usize = 4 * 1024;
const LONG_COUNTS: u64 = 8;

/// Of a text that another statement's row has, in bytes.
const REPEATED: usize = 64;

/// Bytes of [`ALLOWANCE`] that are not spent on what EXECUTE ran: touches need them.
const RESERVED: u64 = 512 * 1024;

impl Context {
    /// The session has sent, or was sent, so much.
    pub(crate) fn passed(&mut self, bytes: u64) {
        self.allowance = self.allowance.saturating_add(bytes.saturating_mul(ALLOWANCE)).min(1 << 40);
    }

    /// What a name stands for, or its beginning: another row has the whole of it.
    pub(super) fn executed(&mut self, executed: Arc<str>) -> Arc<str> {
        let length = executed.len() as u64 * if executed.len() < LONG { 1 } else { LONG_COUNTS };
        if executed.len() <= REPEATED || length + RESERVED <= self.allowance {
            self.allowance = self.allowance.saturating_sub(length);
            return executed;
        }
        let mut end = REPEATED;
        while !executed.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}…", &executed[..end]).into()
    }

    /// The text, or its beginning where it came too often for what was sent.
    pub(super) fn within_allowance(&mut self, sql: Arc<str>, repeated: bool) -> (Arc<str>, bool) {
        let length = sql.len() as u64 * if sql.len() < LONG { 1 } else { LONG_COUNTS };
        let limit = if repeated { REPEATED } else { SHORTENED };
        if sql.len() <= limit || !repeated && length <= self.allowance {
            self.allowance = self.allowance.saturating_sub(length);
            return (sql, false);
        }
        let mut end = limit;
        while !sql.is_char_boundary(end) {
            end -= 1;
        }
        (sql[..end].into(), true)
    }
}
