//! What must hold of any record, whatever happened while it was made. Asked as users ask: through `hansard sql`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::hansard::Config;
use crate::process::eventually;

/// Close reason of a session whose proxy was killed.
pub const PROXY_GONE: &str = "proxy ended without closing";

/// A statement as recorded.
#[derive(Debug, Clone)]
pub struct Statement {
    pub session: String,
    pub text: String,
    pub outcome: String,
    pub sqlstate: Option<String>,
}

/// A session as recorded.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub frames: i64,
    pub complete: bool,
    pub close_reason: Option<String>,
    pub gaps: Option<String>,
}

fn text(row: &Value, column: &str) -> Option<String> {
    row[column].as_str().map(str::to_owned)
}

fn number(row: &Value, column: &str) -> Result<i64> {
    row[column].as_i64().with_context(|| format!("no number {column} in {row}"))
}

/// Waits until no session of the job is open, then checks that its record is whole: every session is there with each
/// of its frames once, without a hole. Returns the sessions.
pub fn settled(config: &Config, job: &str, patience: Duration) -> Result<Vec<Session>> {
    eventually("all sessions are closed", patience, || {
        let open = config
            .sql(&format!("SELECT session_id FROM sessions WHERE job = '{job}' AND closed_at IS NULL LIMIT 3"))?;
        ensure!(open.is_empty(), "open: {open:?}");
        Ok(())
    })?;
    let sessions: Vec<Session> = config
        .sql(&format!(
            "SELECT session_id, frames, complete, close_reason, gaps FROM sessions WHERE job = '{job}' \
             ORDER BY session_id"
        ))?
        .iter()
        .map(|row| {
            Ok(Session {
                id: text(row, "session_id").context("a session has an id")?,
                frames: number(row, "frames")?,
                complete: row["complete"].as_bool().context("complete is true or false")?,
                close_reason: text(row, "close_reason"),
                gaps: text(row, "gaps"),
            })
        })
        .collect::<Result<_>>()?;
    let counted = config.sql(&format!(
        "SELECT f.session_id, count(*) AS n, count(DISTINCT f.seq) AS different, min(f.seq) AS low, max(f.seq) AS high \
         FROM frames f JOIN sessions s ON f.session_id = s.session_id WHERE s.job = '{job}' GROUP BY f.session_id"
    ))?;
    let mut found = BTreeMap::new();
    for row in &counted {
        found.insert(text(row, "session_id").context("a session has an id")?, row);
    }
    for pair in sessions.windows(2) {
        ensure!(pair[0].id != pair[1].id, "session {} is there twice", pair[0].id);
    }
    for session in &sessions {
        let row = found.get(&session.id).with_context(|| format!("no frames of {session:?}"))?;
        let wanted = [session.frames, session.frames, 1, session.frames];
        let seen = [number(row, "n")?, number(row, "different")?, number(row, "low")?, number(row, "high")?];
        ensure!(seen == wanted, "frames (all, different, first, last) are {seen:?}, not {wanted:?}: {session:?}");
        ensure!(session.gaps.is_none(), "{session:?}");
    }
    Ok(sessions)
}

/// The job's statements that contain a word.
pub fn statements(config: &Config, job: &str, word: &str) -> Result<Vec<Statement>> {
    config
        .sql(&format!(
            "SELECT session_id, sql, parameters, transaction_outcome, sqlstate FROM statements \
             WHERE job = '{job}' AND sql LIKE '%{word}%' ORDER BY session_id, statement_no"
        ))?
        .iter()
        .map(|row| {
            let parameters = text(row, "parameters").unwrap_or_default();
            Ok(Statement {
                session: text(row, "session_id").context("a session")?,
                text: format!("{} {parameters}", text(row, "sql").context("a text")?),
                outcome: text(row, "transaction_outcome").context("an outcome")?,
                sqlstate: text(row, "sqlstate"),
            })
        })
        .collect()
}
