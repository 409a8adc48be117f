//! What is known of the session as a whole.
//!
//! How it ended and how much of it is recorded are two things, and are told apart.

use serde_json::Value;

use super::{Row, Style, number, safe, said};

/// Most gaps that are named one by one.
const MOST_GAPS: usize = 5;

pub(super) fn heading(session: &Row, style: &Style) -> String {
    let given = |key: &str| session.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = |key: &str| safe(given(key).unwrap_or("?"), false);
    let process = match (given("database_role"), number(session, "backend_pid")) {
        (Some(role), Some(process)) => format!(" ({} there, process {process})", safe(role, false)),
        (Some(role), None) => format!(" ({} there)", safe(role, false)),
        (None, Some(process)) => format!(" (process {process} there)"),
        (None, None) => String::new(),
    };
    let who = match given("job") {
        Some(job) => safe(job, false),
        None => "nobody who is known".to_owned(),
    };
    let place = match given("db_user") {
        Some(role) => format!(", as {}{process} in {}", safe(role, false), text("database")),
        None => String::new(),
    };
    let mut lines = vec![
        format!("session {}", text("session_id")),
        style.bold(&format!("{who} on {}{place}", text("target"))),
        format!("opened {} from {}; {}", text("opened_at"), text("client_addr"), ending(session)),
    ];
    let acting = given("actors").and_then(|actors| serde_json::from_str::<Vec<Row>>(actors).ok()).unwrap_or_default();
    let acting = acting.first().and_then(|actor| actor.get("subject")).and_then(Value::as_str);
    if let (Some(actor), Some(subject)) = (acting, given("acting_for")) {
        lines.push(format!("{} acts for {}", safe(actor, false), safe(subject, false)));
    }
    if let Some(purpose) = given("purpose") {
        lines.push(format!("purpose: {}", safe(purpose, false)));
    }
    lines.push(record(session));
    if let (Some(errors), Some(statements)) = (number(session, "errors"), number(session, "statements")) {
        let failed = if errors > 0 { style.red(&format!("{errors} failed")) } else { "none failed".to_owned() };
        lines.push(format!("statements: {statements}, {failed}"));
    }
    lines.join("\n")
}

/// How it ended.
fn ending(session: &Row) -> String {
    let given = |key: &str| session.get(key).and_then(Value::as_str);
    let text = |key: &str| safe(given(key).unwrap_or("?"), false);
    let Some(closed) = given("closed_at") else { return "still open".to_owned() };
    let closed = safe(closed, false);
    let ending = given("ending").unwrap_or(match given("close_reason") {
        Some("terminated by job") => "terminated",
        _ => "",
    });
    match ending {
        "terminated" => format!("closed {closed} by the job"),
        "lost" => format!("closed {closed}: the job's connection ended without its taking leave"),
        "ended by database" => format!("closed {closed}: the database ended it"),
        "ended by hansard" => format!("closed {closed}: Hansard ended it ({})", text("close_reason")),
        "refused" => {
            let reason = given("auth_failure").or(given("close_reason")).unwrap_or("?");
            format!("refused {closed}: {}", safe(reason, false))
        }
        "cancel request" => format!("closed {closed}: {}", text("close_reason")),
        "unknown" => format!(
            "last frame at {}, closed on recovery at {closed} ({}): when and how it ended is not known",
            text("last_frame_at"),
            text("close_reason")
        ),
        _ => format!("closed {closed} ({})", text("close_reason")),
    }
}

/// How much of it is recorded.
fn record(session: &Row) -> String {
    let gaps = session.get("gaps").and_then(Value::as_str).and_then(|gaps| serde_json::from_str::<Vec<Row>>(gaps).ok());
    let gaps = gaps.unwrap_or_default();
    let capture = match session.get("capture").and_then(Value::as_str) {
        None | Some("full") => String::new(),
        Some(level) => format!("; capture level {}", safe(level, false)),
    };
    let open = session.get("closed_at").is_none_or(Value::is_null);
    let complete = session.get("complete").and_then(Value::as_bool) == Some(true);
    let mut line = match (complete, open, gaps.is_empty()) {
        (true, ..) => "record: complete".to_owned(),
        (_, true, true) => "record: nothing is missing so far".to_owned(),
        (_, false, true) => "record: incomplete, its end is missing".to_owned(),
        (_, _, false) => {
            let some = |gap: &Row| {
                let reason = gap.get("reason").and_then(Value::as_str).unwrap_or("?");
                let frames = match number(gap, "frames") {
                    Some(frames) if frames > 0 => format!("{frames} frames"),
                    _ => "something".to_owned(),
                };
                format!("{frames} after frame {} ({})", number(gap, "after_seq").unwrap_or(0), safe(reason, false))
            };
            let mut named: Vec<String> = gaps.iter().take(MOST_GAPS).map(some).collect();
            if gaps.len() > MOST_GAPS {
                named.push(format!("and {} more gaps", gaps.len() - MOST_GAPS));
            }
            format!("record: incomplete, missing: {}", named.join(", "))
        }
    };
    line.push_str(&capture);
    line
}

/// What was said outside of any statement; empty where nothing was.
pub(super) fn closing(session: &Row, style: &Style) -> String {
    let Some(notices) = session.get("notices").and_then(Value::as_str) else { return String::new() };
    let said = said::notices(notices, style);
    let lines = said.iter().map(|line| format!("  {line}"));
    ["".to_owned(), "said outside of any statement:".to_owned()].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(session: Value) -> String {
        heading(session.as_object().unwrap(), &Style { on: false })
    }

    #[test]
    fn ending_and_record_are_two_things() {
        let session = |ending: &str, complete: bool, gaps: Option<&str>| {
            told(serde_json::json!({
                "session_id": "0192", "job": "nightly", "target": "ranking", "db_user": "app_ro", "database": "films",
                "database_role": "app", "backend_pid": 4711, "opened_at": "T1", "closed_at": "T3", "last_frame_at": "T2",
                "client_addr": "::1", "ending": ending, "complete": complete, "gaps": gaps, "close_reason": "why",
                "statements": 3, "errors": 1, "capture": "full", "purpose": "TICKET-1", "acting_for": "ann",
                "actors": r#"[{"subject":"runner","issuer":""}]"#,
            }))
        };
        let lost = session("lost", true, None);
        assert!(lost.contains("nightly on ranking, as app_ro (app there, process 4711) in films"), "{lost}");
        assert!(lost.contains("without its taking leave") && lost.contains("record: complete"), "{lost}");
        assert!(lost.contains("3, 1 failed"), "{lost}");
        assert!(lost.contains("\nrunner acts for ann\npurpose: TICKET-1\n"), "{lost}");
        let killed = session("unknown", false, None);
        assert!(killed.contains("last frame at T2, closed on recovery at T3 (why)"), "{killed}");
        assert!(killed.contains("record: incomplete, its end is missing"), "{killed}");
        let gap =
            session("terminated", false, Some(r#"[{"after_seq": 4, "frames": 2, "reason": "the log was full"}]"#));
        assert!(gap.contains("missing: 2 frames after frame 4 (the log was full)"), "{gap}");
    }
}
