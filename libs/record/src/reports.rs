//! What the server said in words, as it stands in rows.
//!
//! Invariant: of one statement, and of what is no statement's, a bounded number and length of reports is kept; how many
//! more there were is said.

use std::sync::Arc;

use hansard_pg_wire::conversation::Report;
use serde::{Deserialize, Serialize};

/// Most reports that are kept together.
const MAX_REPORTS: usize = 100;

/// Most bytes of their texts.
const MAX_BYTES: usize = 64 * 1024;

/// Reports in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reports {
    kept: Vec<Reported>,
    bytes: usize,
    /// Further ones.
    more: u64,
}

/// A report, and when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reported {
    at: i64,
    /// They are Hansard's own words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_hansard: bool,
    report: Report,
}

/// As it is written into a row.
#[derive(Serialize)]
struct Written<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(flatten)]
    report: &'a Report,
}

impl Reports {
    pub(super) fn push(&mut self, at: i64, by_hansard: bool, report: Report) {
        let bytes = report.bytes();
        if self.kept.len() >= MAX_REPORTS || self.bytes + bytes > MAX_BYTES {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.bytes += bytes;
        self.kept.push(Reported { at, by_hansard, report });
    }

    /// JSON array; `None` where nothing was said. What is left out is an object with `more`.
    pub(super) fn to_json(&self) -> Option<Arc<str>> {
        if self.kept.is_empty() && self.more == 0 {
            return None;
        }
        let written = self.kept.iter().map(|Reported { at, by_hansard, report }| {
            let by = by_hansard.then_some("hansard");
            serde_json::to_value(Written { at: time(*at), by, report }).unwrap_or_default()
        });
        let more = (self.more > 0).then(|| serde_json::json!({ "more": self.more }));
        Some(serde_json::Value::Array(written.chain(more).collect()).to_string().into())
    }
}

/// RFC 3339 in UTC.
fn time(at: i64) -> String {
    let at = arrow::temporal_conversions::timestamp_ns_to_datetime(at);
    at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(message: &str) -> Report {
        Report { severity: "NOTICE".into(), sqlstate: "00000".into(), message: message.into(), ..Report::default() }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut reports = Reports::default();
        assert_eq!(reports.to_json(), None);
        for number in 0..MAX_REPORTS + 7 {
            reports.push(0, number == 0, notice(&number.to_string()));
        }
        let json: serde_json::Value = serde_json::from_str(&reports.to_json().unwrap()).unwrap();
        let all = json.as_array().unwrap();
        assert_eq!(all.len(), MAX_REPORTS + 1);
        let first = r#"{"at":"1970-01-01T00:00:00.000000000Z","by":"hansard","message":"0","severity":"NOTICE","sqlstate":"00000"}"#;
        assert_eq!(all[0], serde_json::from_str::<serde_json::Value>(first).unwrap());
        assert_eq!(all[MAX_REPORTS], serde_json::json!({"more": 7}));
        let mut long = Reports::default();
        for _ in 0..1000 {
            long.push(0, false, notice(&"x".repeat(4000)));
        }
        assert!(long.to_json().unwrap().len() < MAX_BYTES + 32 * 1024);
    }
}
