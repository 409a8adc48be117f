//! Questions that Hansard itself asks: the ones behind `who-updated`, the session list and the replay.
//!
//! Invariant: they are SQL like anybody's, with values bound and never pasted, under the same limits.

use std::time::Duration;

use datafusion::common::ScalarValue;
use hansard_lake::catalog::{FileEntry, FileFilter};
use hansard_schemas::http::{QueryFormat, SessionOutcome};
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::functions::{of_unknown_schema, qualified};
use crate::moment::Moment;
use crate::{Answer, Engine, Error, Export};

mod changed;

pub use changed::{AskedChanges, ChangesQuestion, KnownRelation, WrongParameter};

/// Most sessions on one page.
pub const MAX_PAGE: usize = 1_000;

/// Which sessions; every `None` means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The job, exactly.
    pub job: Option<String>,
    /// The identity's subject, exactly.
    pub subject: Option<String>,
    /// The target, exactly.
    pub target: Option<String>,
    /// A relation that one of its statements touched; without a dot it is in `public`.
    pub relation: Option<String>,
    /// A text that occurs in one of its statements, whatever the case.
    pub text: Option<String>,
    /// Opened at or after, UTC nanoseconds.
    pub from: Option<i64>,
    /// Opened before, UTC nanoseconds.
    pub to: Option<i64>,
    /// How it stands: `live`, `complete`, `incomplete` or `refused`.
    pub outcome: Option<SessionOutcome>,
}

/// A page of sessions, latest first.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The columns of table `sessions`, and `errors`: how many of its statements failed.
    pub sessions: Answer,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl Engine {
    /// Who updated `relation` at that time: the table function `who_updated`, in the order of commits.
    ///
    /// An update counts that was committed in `[at - window, at + window]`, where `at` is as long as its last unit: `03:12Z` is
    /// that whole minute, whatever the window. What has no time of commit (its transaction is 'open', or its outcome 'unknown')
    /// counts by the time of its statement, and says so. What was rolled back, or failed, is not an update. Behind what is
    /// certain comes what may have updated the relation, with the reason. The updates of `insert ... on conflict do update` and of `merge` are updates. One that found no row is there, with 0 `rows`.
    pub async fn who_updated(&self, relation: &str, at: &str, window: Duration) -> Result<Answer, Error> {
        let function = format!("who_updated({}, {}, '{}ns')", quoted(relation), quoted(at), window.as_nanos());
        self.ask(&format!("SELECT * FROM {function}"), Vec::new()).await
    }

    /// `who_touched(relation, from, to [, operation])`, times as [`Moment`] reads them.
    pub async fn who_touched(
        &self,
        relation: &str,
        from: Option<&str>,
        to: Option<&str>,
        operation: Option<&str>,
    ) -> Result<Answer, Error> {
        self.ask(&who_touched(relation, from, to, operation), Vec::new()).await
    }

    /// A session's statements as steps, in order: see the table function `session_steps`.
    pub async fn session_steps(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask(&format!("SELECT * FROM session_steps('{session_id}') ORDER BY statement_no"), Vec::new()).await
    }

    /// A session's steps from statement number `from` on, at most `limit` of them.
    pub async fn steps(&self, session_id: Uuid, from: i64, limit: usize) -> Result<Answer, Error> {
        self.ask(
            &format!("SELECT * FROM session_steps('{session_id}') WHERE statement_no >= $1 ORDER BY statement_no LIMIT {limit}"),
            vec![ScalarValue::Int64(Some(from))],
        )
        .await
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

    /// The Parquet files that hold a session, by table and path; those of the lake alone, not its hot end.
    pub async fn session_files(&self, session_id: Uuid) -> Result<Vec<FileEntry>, Error> {
        let filter = FileFilter { session_id: Some(session_id), ..FileFilter::default() };
        let mut files = self.lake().catalog.snapshot(&filter).await?.files;
        files.sort_by(|a, b| (a.table, &a.path).cmp(&(b.table, &b.path)));
        Ok(files)
    }

    /// A session's rows of one table, in their order in the session: all of them.
    pub async fn session_export(&self, session_id: Uuid, table: Table, format: QueryFormat) -> Result<Export, Error> {
        let order = match table {
            Table::Frames => "seq",
            Table::Statements => "statement_no",
            Table::Touches => "statement_no, relation, operation",
            Table::Transactions => "transaction_id, first_statement, kind",
            Table::Sessions => "session_id",
            Table::Catalog => return Err(Error::Invalid("table catalog has no sessions".to_owned())),
        };
        let sql = format!("SELECT * FROM {} WHERE session_id = $1 ORDER BY {order}", table.name());
        self.export_of(sql, vec![text(&session_id.to_string())], format).await
    }

    /// One session: a row of [`SessionPage::sessions`], or none.
    pub async fn session(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask(
            "SELECT s.*, coalesce(e.errors, 0) AS errors FROM sessions s LEFT JOIN (\
             SELECT session_id, count(*) AS errors FROM statements WHERE session_id = $1 AND sqlstate IS NOT NULL \
             GROUP BY session_id) e ON e.session_id = s.session_id WHERE s.session_id = $1",
            vec![text(&session_id.to_string())],
        )
        .await
    }

    /// A page of sessions, latest first; at most `limit` and [`MAX_PAGE`] of them, after `cursor`.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        let question = page(filter, cursor.map(Cursor::parse).transpose()?.as_ref(), limit + 1)?;
        let mut sessions = self.ask(&question.sql, question.values).await?;
        let next = if sessions.rows() > limit {
            sessions.cut(limit);
            Some(Cursor::last_of(&sessions)?.to_string())
        } else {
            None
        };
        Ok(SessionPage { sessions, next })
    }
}

/// [`Engine::who_touched`] as SQL.
pub fn who_touched(relation: &str, from: Option<&str>, to: Option<&str>, operation: Option<&str>) -> String {
    let time = |bound: Option<&str>| bound.map_or_else(|| "NULL".to_owned(), quoted);
    let operation = operation.map_or_else(String::new, |operation| format!(", {}", quoted(operation)));
    let function = format!("who_touched({}, {}, {}{operation})", quoted(relation), time(from), time(to));
    format!("SELECT * FROM {function} ORDER BY at, session_id, statement_no")
}

/// A question and its values.
#[derive(Default)]
struct Question {
    sql: String,
    values: Vec<ScalarValue>,
}

impl Question {
    /// A value's placeholder.
    fn bind(&mut self, value: ScalarValue) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

fn page(filter: &SessionFilter, after: Option<&Cursor>, limit: usize) -> Result<Question, Error> {
    let mut question = Question::default();
    let mut all = vec!["true".to_owned()];
    for (column, value) in [("job", &filter.job), ("subject", &filter.subject), ("target", &filter.target)] {
        if let Some(value) = value {
            let value = question.bind(text(value));
            all.push(format!("s.{column} = {value}"));
        }
    }
    // A session's statements are not older than the session: the lower bound prunes them too.
    let mut since = String::new();
    if let Some(from) = filter.from {
        let from = question.bind(instant(from));
        all.push(format!("s.opened_at >= {from}"));
        since = from;
    }
    if let Some(to) = filter.to {
        let to = question.bind(instant(to));
        all.push(format!("s.opened_at < {to}"));
    }
    if let Some(after) = after {
        let (at, id) = (question.bind(instant(after.opened_at)), question.bind(text(&after.session_id.to_string())));
        all.push(format!("s.opened_at <= {at} AND (s.opened_at < {at} OR s.session_id < {id})"));
    }
    if let Some(relation) = &filter.relation {
        let unsure = question.bind(text(&of_unknown_schema(relation)?));
        let relation = question.bind(text(&qualified(relation)?));
        let since = if since.is_empty() { String::new() } else { format!(" AND at >= {since}") };
        all.push(format!(
            "s.session_id IN (SELECT session_id FROM touches WHERE relation IN ({relation}, {unsure}){since})"
        ));
    }
    if let Some(words) = &filter.text {
        let words = question.bind(text(&words.to_lowercase()));
        let since = if since.is_empty() { String::new() } else { format!(" AND started_at >= {since}") };
        all.push(format!(
            "s.session_id IN (SELECT session_id FROM statements WHERE strpos(lower(sql), {words}) > 0{since})"
        ));
    }
    if let Some(outcome) = filter.outcome {
        all.push(
            match outcome {
                SessionOutcome::Refused => "s.auth_failure IS NOT NULL",
                SessionOutcome::Live => "s.auth_failure IS NULL AND s.closed_at IS NULL",
                SessionOutcome::Complete => "s.auth_failure IS NULL AND s.closed_at IS NOT NULL AND s.complete",
                SessionOutcome::Incomplete => "s.auth_failure IS NULL AND s.closed_at IS NOT NULL AND NOT s.complete",
            }
            .to_owned(),
        );
    }
    question.sql = format!(
        "WITH page AS (SELECT s.* FROM sessions s WHERE {} ORDER BY s.opened_at DESC, s.session_id DESC LIMIT {limit}) \
         SELECT page.*, coalesce(e.errors, 0) AS errors FROM page LEFT JOIN (\
         SELECT t.session_id, count(*) AS errors FROM statements t WHERE t.sqlstate IS NOT NULL \
         AND t.session_id IN (SELECT session_id FROM page) GROUP BY t.session_id) e ON e.session_id = page.session_id \
         ORDER BY page.opened_at DESC, page.session_id DESC",
        all.join(" AND ")
    );
    Ok(question)
}

/// A place in the list of sessions: after the one that it names.
#[derive(Debug, PartialEq, Eq)]
struct Cursor {
    opened_at: i64,
    session_id: Uuid,
}

impl Cursor {
    fn parse(text: &str) -> Result<Cursor, Error> {
        let parts = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, Uuid::parse_str(id).ok()?)));
        let (opened_at, session_id) =
            parts.ok_or_else(|| Error::Invalid("the cursor is not one that a page of sessions gave out".to_owned()))?;
        Ok(Cursor { opened_at, session_id })
    }

    fn last_of(sessions: &Answer) -> Result<Cursor, Error> {
        #[derive(serde::Deserialize)]
        struct Place {
            session_id: String,
            opened_at: String,
        }
        let places: Vec<Place> = sessions.decode()?;
        let last = places.last().ok_or_else(|| Error::Internal("a full page has no last row".to_owned()))?;
        let session_id = Uuid::parse_str(&last.session_id)
            .map_err(|_| Error::Internal(format!("'{}' is not a session id", last.session_id)))?;
        Ok(Cursor { opened_at: Moment::parse(&last.opened_at)?.from, session_id })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.opened_at, self.session_id)
    }
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

fn instant(at: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(at), Some("+00:00".into()))
}

/// A literal, where a bound value is not possible: arguments of table functions.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
