//! How sessions and statements stand, in words.
//!
//! Invariants: how whole a record is and how a session went are two things; what was not run is no error, and no answer is
//! no empty result; nothing is told that nobody saw.

use hansard_schemas::http::{GapPlace, Overview, SessionOutcome, SessionSummary, Step};

use crate::{
    player::{Class, classify},
    text::{count, counted, duration, moment, sentence},
};

/// True where nobody saw the session's end: it was closed when the record was taken up again.
pub fn end_is_lost(session: &SessionSummary) -> bool {
    ending_word(session) == "unknown"
}

/// How it ended, as the record tells it; of files from before it did, as far as the reason tells.
fn ending_word(session: &SessionSummary) -> &str {
    match (session.ending.as_str(), session.close_reason.as_deref()) {
        ("", Some("terminated by job")) => "terminated",
        ("", Some("closed by job" | "connection to job lost")) => "lost",
        ("", Some("closed by database")) => "ended by database",
        ("", Some("proxy ended without closing")) => "unknown",
        (known, _) => known,
    }
}

/// What is known of an end that nobody saw.
pub fn unseen(session: &SessionSummary) -> Option<String> {
    let at = |at: &Option<String>| at.as_deref().map_or_else(|| "an unknown time".to_owned(), |at| moment(at) + " UTC");
    end_is_lost(session).then(|| {
        let (last, closed) = (at(&session.last_frame_at), at(&session.closed_at));
        format!("Last frame at {last}, closed on recovery at {closed}: its proxy was gone before, and when and how it ended is not known.")
    })
}

/// How long a session took; `None` while it is open, and where nobody saw its end.
pub fn session_duration(session: &SessionSummary) -> Option<i64> {
    session.duration_ns.filter(|_| !end_is_lost(session))
}

/// How a session went for the job, which says nothing about its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Still open.
    Open,
    /// Said good-bye, and no statement failed.
    Well,
    /// Said good-bye; statements failed or were denied.
    Troubled,
    /// Ended by something else than the job's good-bye.
    Broken,
    /// Not let in.
    Refused,
}

/// How a session went, with the words for it.
pub fn ending(session: &SessionSummary) -> (Ending, String) {
    let troubles = session.errors + session.denied;
    let counted = |words: &str| match (session.errors, session.denied) {
        (0, 0) => words.to_owned(),
        (errors, 0) => format!("{words}, {}", counted(errors, "error")),
        (0, denied) => format!("{words}, {} denied", count(denied)),
        (errors, denied) => format!("{words}, {}, {} denied", counted(errors, "error"), count(denied)),
    };
    let reason = session.close_reason.as_deref().unwrap_or_default();
    let told = match (session.outcome, ending_word(session)) {
        (SessionOutcome::Refused, _) | (_, "refused") => return (Ending::Refused, "Not let in".to_owned()),
        (SessionOutcome::Live, _) => return (Ending::Open, counted("Open")),
        (_, "cancel request") => return (Ending::Well, "Cancel request".to_owned()),
        (_, "terminated") if troubles == 0 => return (Ending::Well, "Ended".to_owned()),
        (_, "terminated") => return (Ending::Troubled, counted("Ended")),
        (_, "lost") if reason == "connection to job lost" => "Job was lost",
        (_, "lost") => "Job hung up",
        (_, "ended by database") => "Ended by the database",
        (_, "ended by hansard") => return (Ending::Broken, counted(&format!("Ended by Hansard: {reason}"))),
        (_, "unknown") => "End not seen",
        _ if reason.is_empty() => "Ended",
        _ => return (Ending::Broken, counted(&sentence(reason))),
    };
    (Ending::Broken, counted(told))
}

/// How whole a session's record is, which says nothing about how it went.
pub fn record(session: &SessionSummary) -> String {
    match (session.outcome, session.gap_count) {
        (SessionOutcome::Live | SessionOutcome::Refused | SessionOutcome::Complete, 0) => match session.outcome {
            SessionOutcome::Live => "Whole so far".to_owned(),
            _ => "Whole".to_owned(),
        },
        (_, 0) => "End missing".to_owned(),
        (_, gaps) => counted(gaps, "gap"),
    }
}

/// What is missing.
pub fn gap(gap: &GapPlace) -> String {
    match gap.frames {
        Some(frames) => format!("{} missing", counted(frames, "frame")),
        None => "frames missing".to_owned(),
    }
}

/// What is missing right behind a statement: all gaps that are there.
pub fn gaps_behind(overview: &Overview, no: i64) -> Option<String> {
    let here: Vec<&GapPlace> = overview.gaps.iter().filter(|gap| gap.after == no).collect();
    let frames = here.iter().map(|gap| gap.frames).sum::<Option<i64>>();
    Some(match (&here[..], frames) {
        ([], _) => return None,
        ([one], _) => gap(one),
        (several, Some(frames)) => format!("{} gaps: {} missing", several.len(), counted(frames, "frame")),
        (several, None) => format!("{} gaps: frames missing", several.len()),
    })
}

/// Where a gap is, and why.
pub fn gap_place(place: &GapPlace) -> String {
    let missing = match place.frames {
        Some(1) => "1 frame is missing".to_owned(),
        Some(frames) => format!("{} are missing", counted(frames, "frame")),
        None => "nobody knows how many frames are missing".to_owned(),
    };
    let at = if place.after > 0 {
        format!("behind statement {}", count(place.after))
    } else {
        "before the first statement".to_owned()
    };
    format!("{missing} {at}: {}.", place.reason)
}

/// True of a statement to which the record holds no answer, and will hold none.
pub fn is_unanswered(step: &Step) -> bool {
    step.status == "no answer" || step.unanswered
}

/// How long the database took for a statement; `None` where it did not run it, or has not answered.
pub fn took(step: &Step) -> Option<i64> {
    step.duration_ns.filter(|_| classify(step) != Class::NotRun)
}

/// What became of a statement, in a word or two.
pub fn step_outcome(step: &Step) -> String {
    let class = classify(step);
    let rolled_back = step.transaction_outcome == "rolled back";
    match class {
        Class::Denied => "denied".into(),
        Class::NotRun => "not run".into(),
        Class::Failed => {
            let severity = step.error_severity.as_deref().unwrap_or("ERROR").to_lowercase();
            format!("{severity} {}", step.sqlstate.as_deref().unwrap_or_default())
        }
        _ if is_unanswered(step) => "no answer".into(),
        _ if step.duration_ns.is_none() => "running".into(),
        // What it read had been sent to the job by then.
        Class::Read if rolled_back => "read, rolled back".into(),
        _ if rolled_back => "rolled back".into(),
        _ if step.transaction_outcome == "open" => "not committed yet".into(),
        _ if step.transaction_outcome == "unknown" => "outcome not known".into(),
        _ => "done".into(),
    }
}

/// What is to be said of a statement's answer and its transaction, without the period, and the record's reason for it.
pub fn step_note(step: &Step) -> Option<(&'static str, Option<&str>)> {
    let class = classify(step);
    let reason = step.outcome_reason.as_deref();
    let told = match (class, step.transaction_outcome.as_str()) {
        (Class::Denied, _) => return None,
        (Class::NotRun, _) => {
            return Some(("A statement before it had failed: the database did not run this one", None));
        }
        (Class::Read, "rolled back") if !is_unanswered(step) => {
            "Its transaction was rolled back. What it read was sent to the job all the same"
        }
        (Class::Control, "rolled back") => "Its transaction was rolled back",
        (Class::Failed, "rolled back") => "Its transaction was rolled back: nothing of it stayed in the database",
        (_, "rolled back") if is_unanswered(step) => {
            "The session ended before an answer was recorded, and its transaction was rolled back: nothing of it stayed in the database"
        }
        (_, "rolled back") => {
            "Its transaction was rolled back: nothing of it stayed in the database. What it gave back was sent to the job"
        }
        _ if is_unanswered(step) => {
            "No answer was recorded before the session ended: whether the database ran it is not known"
        }
        (_, "unknown") => "Whether its transaction was committed is not known",
        _ => return None,
    };
    Some((told, reason))
}

/// Why a statement has no rows to show, where its record says nothing else.
pub fn no_rows(step: &Step) -> &'static str {
    match classify(step) {
        Class::Denied => "It was denied: the database was not asked.",
        Class::NotRun => "It was not run: a statement before it had failed.",
        Class::Failed => "It failed: there is no result.",
        _ if is_unanswered(step) => "No answer was recorded before the session ended.",
        _ if step.duration_ns.is_none() => "There is no answer yet.",
        _ => "It answers without rows.",
    }
}

/// What the timeline says of a place, for who cannot see it.
pub fn place(step: Option<&Step>, no: i64, all: i64) -> String {
    match step {
        None if all == 0 => "no statements".into(),
        None => format!("Statement {no} of {all}"),
        Some(step) => format!("Statement {no} of {all}, {}, {}", duration(step.offset_ns), step_outcome(step)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_where_when_and_what() {
        let step = Step { offset_ns: 243_000_000_000, verdict: "deny".into(), ..Step::default() };
        assert_eq!(place(Some(&step), 41, 120), "Statement 41 of 120, 4 m 3 s, denied");
        assert_eq!(place(None, 7, 120), "Statement 7 of 120");
        assert_eq!(place(None, 0, 0), "no statements");
    }

    #[test]
    fn what_a_rolled_back_transaction_read_was_sent_to_the_job() {
        let rolled_back = |operation: &str| Step {
            operation: operation.into(),
            duration_ns: Some(1),
            status: "done".into(),
            transaction_outcome: "rolled back".into(),
            outcome_reason: Some("the connection ended".into()),
            ..Step::default()
        };
        let read = rolled_back("select");
        assert_eq!(step_outcome(&read), "read, rolled back");
        let (note, reason) = step_note(&read).unwrap();
        assert!(note.ends_with("was sent to the job all the same") && reason == Some("the connection ended"));
        let write = rolled_back("update");
        assert_eq!(step_outcome(&write), "rolled back");
        assert!(step_note(&write).unwrap().0.contains("nothing of it stayed"));
        // What failed gave nothing back.
        let failed = Step { sqlstate: Some("42P01".into()), status: "failed".into(), ..rolled_back("update") };
        assert!(!step_note(&failed).unwrap().0.contains("to the job"));
        let unanswered = Step { duration_ns: None, status: "no answer".into(), ..rolled_back("select") };
        assert!(!step_note(&unanswered).unwrap().0.contains("to the job"));
        assert_eq!(step_note(&Step { transaction_outcome: "committed".into(), ..read }), None);
    }

    #[test]
    fn an_unknown_outcome_is_explained_and_a_fatal_is_no_mere_error() {
        let mut step = Step { duration_ns: Some(1), transaction_outcome: "unknown".into(), ..Step::default() };
        step.outcome_reason = Some("its answer never came".into());
        let expected = ("Whether its transaction was committed is not known", Some("its answer never came"));
        assert_eq!(step_note(&step), Some(expected));
        step.sqlstate = Some("57P01".into());
        step.error_severity = Some("FATAL".into());
        assert_eq!(step_outcome(&step), "fatal 57P01");
    }

    #[test]
    fn outcomes_tell_rolled_back_from_done() {
        let mut step = Step { duration_ns: Some(1), transaction_outcome: "committed".into(), ..Step::default() };
        assert_eq!(step_outcome(&step), "done");
        step.transaction_outcome = "unknown".into();
        assert_eq!(step_outcome(&step), "outcome not known");
        step.transaction_outcome = "rolled back".into();
        assert_eq!(step_outcome(&step), "rolled back");
        step.sqlstate = Some("23505".into());
        assert_eq!(step_outcome(&step), "error 23505");
    }

    #[test]
    fn no_answer_and_not_run_are_neither_errors_nor_empty_results() {
        let running = Step { operation: "select".into(), transaction_outcome: "open".into(), ..Step::default() };
        assert_eq!((step_outcome(&running).as_str(), no_rows(&running)), ("running", "There is no answer yet."));
        let unanswered = Step { unanswered: true, ..running.clone() };
        assert_eq!(step_outcome(&unanswered), "no answer");
        assert!(no_rows(&unanswered).starts_with("No answer was recorded"));
        let error = Some("not executed: an earlier statement failed".to_owned());
        let not_run = Step { sqlstate: Some("42P01".into()), error, duration_ns: Some(1), ..running };
        assert_eq!(step_outcome(&not_run), "not run");
        assert!(no_rows(&not_run).starts_with("It was not run"));
        assert_eq!((took(&not_run), took(&unanswered)), (None, None), "no duration is made up");
    }

    fn session(outcome: SessionOutcome, close_reason: Option<&str>) -> SessionSummary {
        let text = r#"{"session_id":"","target":"","job":"","subject":"","issuer":"","opened_at":"","outcome":"live",
            "statements":0,"errors":0,"denied":0,"duration_ns":5}"#;
        let session: SessionSummary = serde_json::from_str(text).unwrap();
        SessionSummary { outcome, close_reason: close_reason.map(str::to_owned), ..session }
    }

    #[test]
    fn a_whole_record_is_not_a_session_that_went_well() {
        let told = |session: &SessionSummary| (ending(session).0, ending(session).1, record(session));
        let mut well = session(SessionOutcome::Complete, Some("terminated by job"));
        assert_eq!(told(&well), (Ending::Well, "Ended".into(), "Whole".into()));
        well.errors = 2;
        assert_eq!(told(&well), (Ending::Troubled, "Ended, 2 errors".into(), "Whole".into()));
        let killed = session(SessionOutcome::Complete, Some("closed by job"));
        assert_eq!(told(&killed), (Ending::Broken, "Job hung up".into(), "Whole".into()));
        let database = session(SessionOutcome::Complete, Some("closed by database"));
        assert_eq!(told(&database), (Ending::Broken, "Ended by the database".into(), "Whole".into()));
        let ended = |ending: &str, reason: &str| SessionSummary {
            ending: ending.into(),
            ..session(SessionOutcome::Complete, Some(reason))
        };
        // The record's word counts, whatever the reason says.
        assert_eq!(ending(&ended("ended by database", "terminated by job")).1, "Ended by the database");
        assert_eq!(ending(&ended("ended by hansard", "token expired")).1, "Ended by Hansard: token expired");
        assert_eq!(ending(&ended("cancel request", "cancel request of x")), (Ending::Well, "Cancel request".into()));
        assert_eq!(ending(&ended("refused", "database unavailable")).0, Ending::Refused);
        let mut gaps = session(SessionOutcome::Incomplete, Some("terminated by job"));
        gaps.gap_count = 3;
        assert_eq!(told(&gaps), (Ending::Well, "Ended".into(), "3 gaps".into()));
        assert_eq!(told(&session(SessionOutcome::Live, None)), (Ending::Open, "Open".into(), "Whole so far".into()));
        assert_eq!(told(&session(SessionOutcome::Refused, Some("not authenticated"))).1, "Not let in");
    }

    #[test]
    fn every_gap_is_told_where_it_is() {
        let gap = |after, frames, reason: &str| GapPlace { after, frames, reason: reason.into(), offset_ns: None };
        let gaps = vec![gap(0, None, "the log was full"), gap(3, Some(1), "x"), gap(3, Some(4), "y")];
        let overview = Overview { gaps, last: 3, ..Overview::default() };
        let behind = |no| gaps_behind(&overview, no);
        assert_eq!(behind(0).as_deref(), Some("frames missing"));
        assert_eq!(behind(3).as_deref(), Some("2 gaps: 5 frames missing"), "both, and behind the last statement");
        assert_eq!(behind(1), None);
        assert_eq!(gap_place(&overview.gaps[1]), "1 frame is missing behind statement 3: x.");
        assert!(gap_place(&overview.gaps[0]).ends_with("missing before the first statement: the log was full."));
    }

    #[test]
    fn an_end_that_nobody_saw_has_no_duration() {
        let mut noticed = session(SessionOutcome::Incomplete, Some("whatever"));
        noticed.ending = "unknown".into();
        noticed.last_frame_at = Some("2026-11-22T03:12:00.123456789Z".into());
        noticed.closed_at = Some("2026-11-22T03:20:00Z".into());
        let told = unseen(&noticed).unwrap();
        assert!(
            told.starts_with(
                "Last frame at 2026-11-22 03:12:00.123 UTC, closed on recovery at 2026-11-22 03:20:00 UTC:"
            )
        );
        assert_eq!((session_duration(&noticed), ending(&noticed).1.as_str()), (None, "End not seen"));
        let lost = session(SessionOutcome::Incomplete, Some("proxy ended without closing"));
        assert_eq!((session_duration(&lost), record(&lost)), (None, "End missing".into()));
        assert_eq!(ending(&lost), (Ending::Broken, "End not seen".into()));
        assert_eq!(session_duration(&session(SessionOutcome::Complete, Some("terminated by job"))), Some(5));
    }
}
