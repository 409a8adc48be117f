//! `hansard sessions`: the list, with the filters that the web's has.

use std::path::Path;

use crate::ask::{Record, reading};
use crate::cli::{Format, Outcome, Sessions};
use crate::failure::Failure;
use crate::questions::{like, literal};
use crate::show::{Chosen, Screen, answer};
use crate::times::Stretch;

/// How many are shown on a terminal, where nobody says how many.
const ON_TERMINAL: u32 = 50;

/// What a table shows; the whole rows are for programs.
const COLUMNS: &str = "session_id, job, target, opened_at, closed_at, coalesce(ending, close_reason) AS ending, \
                       statements, errors, complete, database_role, subject, application_name, capture";

/// Columns that matter least, where a terminal has no room for all.
const LEAST: Chosen<'_> = Chosen::LeastFirst(&[
    "capture",
    "application_name",
    "subject",
    "database_role",
    "closed_at",
    "target",
    "complete",
    "statements",
    "errors",
]);

pub(crate) fn run(file: &Path, asked: &Sessions) -> Result<(), Failure> {
    Screen::stdout().bears(asked.format)?;
    let limit = asked.limit.or(Screen::stdout().is_terminal().then_some(ON_TERMINAL));
    let conditions = conditions(asked)?;
    let sql = question(asked, &conditions, limit);
    reading(file, async |_, record| {
        answer(record, &sql, asked.format, LEAST).await?;
        match (asked.limit, limit) {
            (None, Some(limit)) => all_were_shown(record, &conditions, limit).await,
            _ => Ok(()),
        }
    })
}

/// Says of a list that ends where nobody asked it to that it is not all.
async fn all_were_shown(record: &Record, conditions: &str, limit: u32) -> Result<(), Failure> {
    let counted = record.all(&format!("SELECT count(*) AS sessions FROM sessions {conditions}")).await?;
    let sessions = counted.objects().first().and_then(|row| row.get("sessions").and_then(serde_json::Value::as_u64));
    match sessions {
        Some(sessions) if sessions > u64::from(limit) => Err(Failure::finding(format!(
            "the list is cut: {limit} of {sessions}; --limit N shows more, a file or a pipe gets all"
        ))),
        Some(_) => Ok(()),
        None => Err(Failure::internal("sessions were not counted")),
    }
}

fn conditions(asked: &Sessions) -> Result<String, Failure> {
    let mut all = Vec::new();
    for (column, wanted) in [("job", &asked.job), ("target", &asked.target)] {
        all.extend(wanted.as_ref().map(|wanted| like(column, wanted)));
    }
    if let Some(role) = &asked.role {
        all.push(format!("({} OR {})", like("db_user", role), like("database_role", role)));
    }
    let opened = Stretch::parse(asked.since.as_deref(), asked.until.as_deref())?;
    all.extend(opened.conditions("opened_at"));
    let from = opened.from;
    if let Some(relation) = &asked.relation {
        // A session's statements are not older than the session.
        let from = from.clone().unwrap_or_else(|| "NULL".to_owned());
        all.push(format!(
            "session_id IN (SELECT session_id FROM who_touched({}, {from}, NULL) WHERE relation <> '?')",
            literal(relation)
        ));
    }
    if let Some(text) = &asked.text {
        let text = literal(&text.to_lowercase());
        let within = ["sql", "parameters", "error"].map(|column| format!("strpos(lower({column}), {text}) > 0"));
        let since = from.map(|from| format!(" AND started_at >= {from}")).unwrap_or_default();
        all.push(format!("session_id IN (SELECT session_id FROM statements WHERE ({}){since})", within.join(" OR ")));
    }
    if asked.errors {
        all.push("errors > 0".to_owned());
    }
    all.extend(asked.outcome.map(|outcome| stands(outcome).to_owned()));
    Ok(if all.is_empty() { String::new() } else { format!("WHERE {} ", all.join(" AND ")) })
}

fn question(asked: &Sessions, conditions: &str, limit: Option<u32>) -> String {
    let columns = match asked.format {
        Format::Table => COLUMNS,
        Format::Vertical | Format::Json | Format::Csv | Format::Parquet => "*",
    };
    let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    format!("SELECT {columns} FROM sessions {conditions}ORDER BY opened_at DESC, session_id DESC{limit}")
}

fn stands(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Live => "auth_failure IS NULL AND closed_at IS NULL",
        Outcome::Complete => "auth_failure IS NULL AND closed_at IS NOT NULL AND complete",
        Outcome::Incomplete => "auth_failure IS NULL AND closed_at IS NOT NULL AND NOT complete",
        Outcome::Refused => "(auth_failure IS NOT NULL OR ending = 'refused')",
        Outcome::Terminated => "ending = 'terminated'",
        Outcome::Lost => "ending = 'lost'",
        Outcome::EndedByDatabase => "ending = 'ended by database'",
        Outcome::EndedByHansard => "ending = 'ended by hansard'",
        Outcome::Unknown => "ending = 'unknown'",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments, Command};

    #[track_caller]
    fn asks(words: &[&str], part: &str) {
        let words = ["hansard", "sessions"].iter().chain(words);
        let Command::Sessions(asked) = Arguments::parse_from(words).command else { panic!("another command") };
        let sql = question(&asked, &conditions(&asked).unwrap(), asked.limit);
        assert!(sql.contains(part), "{sql} lacks {part}");
    }

    #[test]
    fn filters_are_conditions() {
        asks(&[], "FROM sessions ORDER BY opened_at DESC");
        asks(&["--limit", "7"], "session_id DESC LIMIT 7");
        asks(&["--job", "it's"], "WHERE job = 'it''s' ORDER");
        asks(&["--job", "night_*%"], r"job LIKE 'night\_%\%'");
        asks(&["--role", "app"], "(db_user = 'app' OR database_role = 'app')");
        asks(&["--until", "2026-11-22"], "opened_at < CAST('2026-11-23T00:00:00.000000000Z' AS TIMESTAMP)");
        asks(&["--outcome", "lost", "--errors"], "errors > 0 AND ending = 'lost'");
        asks(
            &["--relation", "films", "--since", "2026-11-22T03:12Z"],
            "who_touched('films', CAST('2026-11-22T03:12:00",
        );
        asks(&["--text", "Größe"], "strpos(lower(error), 'größe') > 0");
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let parse = |words: [&str; 4]| {
            let words = ["hansard", "sessions"].into_iter().chain(words);
            let Command::Sessions(asked) = Arguments::parse_from(words).command else { panic!("another command") };
            conditions(&asked).unwrap_err().to_string()
        };
        assert!(parse(["--since", "noon", "--limit", "1"]).starts_with("--since: 'noon' is not a time"));
        assert!(parse(["--since", "2026-11-23", "--until", "2026-11-22"]).contains("lies behind"));
    }
}
