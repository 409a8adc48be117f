//! What is said where rows are not in the record: the same words in the terminal and in the web.

/// Rows that a session's capture level, or its limit, left out of one statement's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Omission<'a> {
    /// The session's capture level.
    pub capture: &'a str,
    /// Rows.
    pub rows: i64,
    /// Their bytes on the wire.
    pub bytes: i64,
}

impl std::fmt::Display for Omission<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = format!("{} row{}", grouped(self.rows), if self.rows == 1 { "" } else { "s" });
        let bytes = sized(self.bytes);
        match self.capture {
            "full" => write!(f, "result cut in the record at the limit: {rows} more, {bytes}, not recorded"),
            level => write!(f, "rows not recorded (capture level {level}): {rows}, {bytes}"),
        }
    }
}

/// With a comma between thousands.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the largest unit that leaves at least one of it.
fn sized(bytes: i64) -> String {
    let (mut value, mut unit) = (bytes.max(0) as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" { format!("{value} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_omission_says_why_and_how_much() {
        let say = |capture, rows, bytes| Omission { capture, rows, bytes }.to_string();
        assert_eq!(
            say("statements", 1234, 5_600_000),
            "rows not recorded (capture level statements): 1,234 rows, 5.6 MB"
        );
        assert_eq!(say("metadata", 1, 999), "rows not recorded (capture level metadata): 1 row, 999 B");
        assert_eq!(
            say("full", 1_234_567, 999_999),
            "result cut in the record at the limit: 1,234,567 rows more, 1.0 MB, not recorded"
        );
    }
}
