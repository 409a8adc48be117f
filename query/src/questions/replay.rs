//! What the replay of a session asks: its statements by number, what it is at a glance, and where something is in it.
//!
//! Invariant: a part of a session costs what that part costs, not what the session does; only what is at a glance, and
//! what is sought, reads a few narrow columns of all its statements.

use datafusion::common::ScalarValue;
use hansard_schemas::http::{CONTROLS, READS};
use uuid::Uuid;

use super::sessions::{failed, holds, in_json};
use super::{instant, text};
use crate::{Answer, Engine, Error};

/// What is sought among a session's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// One that was denied or that failed by itself.
    Trouble,
    /// One that holds a text: what it says, a bound value, its error; whatever the case.
    Text(String),
    /// The next transaction's first one; back, this transaction's, and from there the one's before.
    Transaction,
    /// The last one begun by a time, UTC nanoseconds.
    Time(i64),
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub struct SoughtStep {
    /// The statement; `None` where there is none that way.
    pub no: Option<i64>,
    /// Which of all it is, from 1; 0 without one, and where they are not counted.
    pub place: i64,
    /// How many there are in the session; of transactions and times they are not counted.
    pub total: i64,
}

impl Engine {
    /// Of a session only what its steps need: `opened_at`, `closed_at`, `capture`.
    pub async fn session_head(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask(
            "SELECT opened_at, closed_at, capture FROM sessions WHERE session_id = $1",
            vec![text(&session_id.to_string())],
        )
        .await
    }

    /// A session's steps from statement number `from` on, at most `limit` of them.
    pub async fn steps(&self, session_id: Uuid, from: i64, limit: usize) -> Result<Answer, Error> {
        let begin = ScalarValue::Int64(Some(from));
        let function = format!("session_steps('{session_id}')");
        // Numbers have no holes but where frames are missing: the range alone finds the rows without the others.
        let to = from.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(1));
        let sql = format!("SELECT * FROM {function} WHERE statement_no BETWEEN $1 AND $2 ORDER BY statement_no");
        let found = self.ask(&sql, vec![begin.clone(), ScalarValue::Int64(Some(to))]).await?;
        if found.rows() >= limit {
            return Ok(found);
        }
        let values = vec![text(&session_id.to_string()), ScalarValue::Int64(Some(to))];
        let beyond = "SELECT statement_no FROM statements WHERE session_id = $1 AND statement_no > $2 LIMIT 1";
        if self.ask(beyond, values).await?.rows() == 0 {
            return Ok(found);
        }
        let sql = format!("SELECT * FROM {function} WHERE statement_no >= $1 ORDER BY statement_no LIMIT {limit}");
        self.ask(&sql, vec![begin]).await
    }

    /// What a session's statements touched, of statement numbers `from..=to`: `statement_no`, `relation`, `operation`, `columns`.
    pub async fn session_touches(&self, session_id: Uuid, from: i64, to: i64) -> Result<Answer, Error> {
        self.ask(
            "SELECT statement_no, relation, operation, columns FROM touches \
             WHERE session_id = $1 AND statement_no BETWEEN $2 AND $3 ORDER BY statement_no, relation, operation",
            vec![text(&session_id.to_string()), ScalarValue::Int64(Some(from)), ScalarValue::Int64(Some(to))],
        )
        .await
    }

    /// A session's statements in so many stretches of equal time from `from` on, those that have some: `stretch` (from
    /// 0), `first` and `last` (numbers), `statements`, `reads`, `writes`, `denied`, `failed`, `from_ns` and `to_ns` (the first
    /// start and the last end).
    pub async fn session_stretches(&self, session_id: Uuid, from: i64, width_ns: i64) -> Result<Answer, Error> {
        let width = width_ns.max(1);
        let trouble = format!("(verdict = 'deny' OR {})", failed());
        let kinds = |words: &[&str]| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        let (reads, controls) = (kinds(&READS), kinds(&CONTROLS));
        let count = |what: &str| format!("sum(CASE WHEN {what} THEN 1 ELSE 0 END)");
        let first = |what: &str| format!("min(CASE WHEN {what} THEN statement_no END)");
        let quiet = format!("NOT {trouble} AND sqlstate IS NULL");
        let read = format!("{quiet} AND operation IN ({reads})");
        let write = format!("{quiet} AND operation NOT IN ({reads}, {controls})");
        let failed = format!("verdict <> 'deny' AND {}", failed());
        let sql = format!(
            "SELECT (CAST(started_at AS BIGINT) - $2) / {width} AS stretch, min(statement_no) AS first, \
             max(statement_no) AS last, count(*) AS statements, {} AS reads, {} AS writes, {} AS denied, {} AS failed, \
             {} AS first_denied, {} AS first_failed, {} AS first_write, min(CAST(started_at AS BIGINT)) AS from_ns, \
             max(CAST(coalesce(finished_at, started_at) AS BIGINT)) AS to_ns \
             FROM statements WHERE session_id = $1 GROUP BY stretch ORDER BY stretch",
            count(&read),
            count(&write),
            count("verdict = 'deny'"),
            count(&failed),
            first("verdict = 'deny'"),
            first(&failed),
            first(&write),
        );
        self.ask(&sql, vec![text(&session_id.to_string()), ScalarValue::Int64(Some(from))]).await
    }

    /// From when to when a session's statements go: `from_ns`, `to_ns`, `last` (number), `statements`.
    pub async fn session_extent(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask(
            "SELECT min(CAST(started_at AS BIGINT)) AS from_ns, \
             max(CAST(coalesce(finished_at, started_at) AS BIGINT)) AS to_ns, coalesce(max(statement_no), 0) AS last, \
             count(*) AS statements FROM statements WHERE session_id = $1",
            vec![text(&session_id.to_string())],
        )
        .await
    }

    /// Statements of a session that ran longer than `width_ns`, the longest first: `statement_no`, `operation`, `from_ns`,
    /// `to_ns`.
    pub async fn long_steps(&self, session_id: Uuid, width_ns: i64, most: usize) -> Result<Answer, Error> {
        self.ask(
            &format!(
                "SELECT statement_no, operation, CAST(started_at AS BIGINT) AS from_ns, CAST(finished_at AS BIGINT) AS to_ns \
                 FROM statements WHERE session_id = $1 AND finished_at IS NOT NULL \
                 AND CAST(finished_at AS BIGINT) - CAST(started_at AS BIGINT) > $2 \
                 ORDER BY CAST(finished_at AS BIGINT) - CAST(started_at AS BIGINT) DESC LIMIT {most}"
            ),
            vec![text(&session_id.to_string()), ScalarValue::Int64(Some(width_ns))],
        )
        .await
    }

    /// Behind which statement each of these frames is: `after`, the number of the last statement that began by then, and
    /// `at`, when the frame came; in the order of the frames.
    pub async fn places_of(&self, session_id: Uuid, frames: &[i64]) -> Result<Vec<(i64, Option<String>)>, Error> {
        #[derive(serde::Deserialize)]
        struct Place {
            after: Option<i64>,
            at: Option<String>,
        }
        let mut places = Vec::new();
        for frame in frames {
            let found: Vec<Place> = self
                .ask(
                    "SELECT (SELECT max(statement_no) FROM statements WHERE session_id = $1 AND first_seq <= $2) AS after, \
                     (SELECT max(at) FROM frames WHERE session_id = $1 AND seq = $2) AS at",
                    vec![text(&session_id.to_string()), ScalarValue::Int64(Some(*frame))],
                )
                .await?
                .decode()?;
            let place = found.into_iter().next().unwrap_or(Place { after: None, at: None });
            places.push((place.after.unwrap_or(0), place.at));
        }
        Ok(places)
    }

    /// The next statement that is sought after `from`, or before it when `back`.
    pub async fn seek(&self, session_id: Uuid, sought: &Sought, from: i64, back: bool) -> Result<SoughtStep, Error> {
        let mut values = vec![text(&session_id.to_string()), ScalarValue::Int64(Some(from))];
        let sql = match sought {
            Sought::Trouble => counted(&format!("(verdict = 'deny' OR {})", failed()), back),
            Sought::Text(words) => {
                let words = words.to_lowercase();
                values.push(text(&words));
                values.push(text(&in_json(&words)));
                counted(&holds("$3", "$4"), back)
            }
            Sought::Transaction if !back => "SELECT min(statement_no) AS no, CAST(0 AS BIGINT) AS place, CAST(0 AS BIGINT) AS total \
                 FROM statements WHERE session_id = $1 AND statement_no > $2 AND transaction_id <> (SELECT max(transaction_id) \
                 FROM statements WHERE session_id = $1 AND statement_no = $2)"
                .to_owned(),
            // Transactions are numbered upwards, so the one before is the last that began before this statement.
            Sought::Transaction => "SELECT min(statement_no) AS no, CAST(0 AS BIGINT) AS place, CAST(0 AS BIGINT) AS total \
                 FROM statements WHERE session_id = $1 AND statement_no < $2 AND transaction_id = (SELECT max(transaction_id) \
                 FROM statements WHERE session_id = $1 AND statement_no = $2 - 1)"
                .to_owned(),
            Sought::Time(at) => {
                values.truncate(1);
                values.push(instant(*at));
                "SELECT max(statement_no) AS no, CAST(0 AS BIGINT) AS place, CAST(0 AS BIGINT) AS total FROM statements \
                 WHERE session_id = $1 AND started_at <= $2"
                    .to_owned()
            }
        };
        let found: Vec<SoughtStep> = self.ask(&sql, values).await?.decode()?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

/// The question for the next statement for which something holds, with its place among all.
fn counted(holds: &str, back: bool) -> String {
    let (pick, way) = if back { ("max", '<') } else { ("min", '>') };
    format!(
        "WITH hit AS (SELECT statement_no FROM statements WHERE session_id = $1 AND {holds}), \
         one AS (SELECT {pick}(statement_no) AS no FROM hit WHERE statement_no {way} $2) \
         SELECT (SELECT no FROM one) AS no, \
         (SELECT count(*) FROM hit WHERE statement_no <= (SELECT no FROM one)) AS place, (SELECT count(*) FROM hit) AS total"
    )
}
