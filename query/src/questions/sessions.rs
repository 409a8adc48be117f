//! The list of sessions: which of them, in which order, a page at a time.
//!
//! Invariant: a page and the total are of the same filter; a cursor goes on behind its own session, whatever the order.

use datafusion::common::ScalarValue;
use hansard_schemas::http::{NOT_RUN, SessionOutcome};
use uuid::Uuid;

use super::{instant, text};
use crate::functions::{of_unknown_schema, qualified};
use crate::{Answer, Engine, Error};

/// Most sessions on one page.
pub const MAX_PAGE: usize = 1_000;

/// Which sessions; every `None` means any. In names a `*` stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The job.
    pub job: Option<String>,
    /// The identity's subject.
    pub subject: Option<String>,
    /// The target.
    pub target: Option<String>,
    /// The role that was asked for.
    pub role: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// What the job called itself.
    pub application: Option<String>,
    /// A relation that one of its statements touched; without a dot it is in `public`.
    pub relation: Option<String>,
    /// One of its statements is such an operation.
    pub operation: Option<String>,
    /// A text that occurs in one of its statements, in a bound value or in an error, whatever the case.
    pub text: Option<String>,
    /// Whether a statement of it failed.
    pub errors: Option<bool>,
    /// Opened at or after, UTC nanoseconds.
    pub from: Option<i64>,
    /// Opened before, UTC nanoseconds.
    pub to: Option<i64>,
    /// How it stands: `live`, `complete`, `incomplete` or `refused`.
    pub outcome: Option<SessionOutcome>,
    /// Opened after this one, which a cursor names.
    pub newer_than: Option<String>,
    /// Which come first.
    pub order: SessionOrder,
}

/// The order of a list of sessions; without more, latest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionOrder {
    /// By what.
    pub by: SortBy,
    /// The smallest, or the earliest, first.
    pub ascending: bool,
}

/// What sessions are sorted by; equal ones by their opening.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// When they were opened.
    #[default]
    Opened,
    /// How long they took; what has no end counts as shortest.
    Duration,
    /// How many statements they have.
    Statements,
}

impl SortBy {
    fn expression(self) -> &'static str {
        match self {
            SortBy::Opened => "CAST(s.opened_at AS BIGINT)",
            SortBy::Duration => "coalesce(CAST(s.closed_at AS BIGINT) - CAST(s.opened_at AS BIGINT), -1)",
            SortBy::Statements => "s.statements",
        }
    }
}

/// A page of sessions.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The columns of table `sessions`. With a text also `hits`, how many
    /// statements hold it, and `first_hit`.
    pub sessions: Answer,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// A statement that failed by itself, not because one before it had.
pub(super) fn failed() -> String {
    format!("sqlstate IS NOT NULL AND NOT starts_with(coalesce(error, ''), '{NOT_RUN}')")
}

/// Where a statement holds a text: what it says, its bound values, its error. `word` is the placeholder of the text in
/// small letters, `escaped` of the same as JSON writes it.
pub(super) fn holds(word: &str, escaped: &str) -> String {
    format!(
        "(strpos(lower(sql), {word}) > 0 OR strpos(lower(coalesce(parameters, '')), {escaped}) > 0 \
         OR strpos(lower(coalesce(error, '')), {word}) > 0)"
    )
}

/// A text as it stands inside a JSON string.
pub(super) fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Engine {
    /// One session: a row of [`SessionPage::sessions`], or none.
    pub async fn session(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask("SELECT * FROM sessions WHERE session_id = $1", vec![text(&session_id.to_string())]).await
    }

    /// A page of sessions, at most `limit` and [`MAX_PAGE`] of them, after `cursor`.
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

    /// Who has shown a valid token, those seen last first, at most `limit` and [`MAX_PAGE`] of them; `job` as in a filter.
    /// Each with `total`, how many there are.
    pub async fn identities(&self, job: Option<&str>, limit: usize) -> Result<Answer, Error> {
        let mut question = Question::default();
        let all = job.map_or_else(|| "true".to_owned(), |job| question.is_like("job", job));
        let sql = format!(
            "SELECT *, count(*) OVER () AS total FROM identities WHERE {all} \
             ORDER BY last_seen DESC, job, subject, issuer LIMIT {}",
            limit.clamp(1, MAX_PAGE)
        );
        self.ask(&sql, question.values).await
    }

    /// How many sessions there are.
    pub async fn count_sessions(&self, filter: &SessionFilter) -> Result<u64, Error> {
        #[derive(serde::Deserialize)]
        struct Total {
            total: u64,
        }
        let mut question = Question::default();
        let all = conditions(filter, &mut question)?;
        let sql = format!("SELECT count(*) AS total FROM sessions s WHERE {all}");
        let rows: Vec<Total> = self.ask(&sql, question.values).await?.decode()?;
        rows.first().map(|row| row.total).ok_or_else(|| Error::Internal("a count has no row".to_owned()))
    }
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

    /// That a column is a text in which `*` stands for any.
    fn is_like(&mut self, column: &str, value: &str) -> String {
        if !value.contains('*') {
            let value = self.bind(text(value));
            return format!("{column} = {value}");
        }
        let mut pattern = String::new();
        for letter in value.chars() {
            match letter {
                '*' => pattern.push('%'),
                '%' | '_' | '\\' => pattern.extend(['\\', letter]),
                letter => pattern.push(letter),
            }
        }
        let pattern = self.bind(text(&pattern));
        format!("{column} LIKE {pattern}")
    }
}

/// What holds for the sessions of a filter.
fn conditions(filter: &SessionFilter, question: &mut Question) -> Result<String, Error> {
    let mut all = vec!["true".to_owned()];
    for (column, value) in [
        ("s.job", &filter.job),
        ("s.subject", &filter.subject),
        ("s.target", &filter.target),
        ("s.db_user", &filter.role),
        ("s.client_addr", &filter.client),
        ("s.application_name", &filter.application),
    ] {
        if let Some(value) = value {
            all.push(question.is_like(column, value));
        }
    }
    // A session's statements are not older than the session: the lower bound prunes them too.
    let mut since = None;
    if let Some(from) = filter.from {
        let from = question.bind(instant(from));
        all.push(format!("s.opened_at >= {from}"));
        since = Some(from);
    }
    let since = |column: &str| since.as_ref().map_or_else(String::new, |since| format!(" AND {column} >= {since}"));
    if let Some(to) = filter.to {
        let to = question.bind(instant(to));
        all.push(format!("s.opened_at < {to}"));
    }
    if let Some(newer) = &filter.newer_than {
        let Cursor { opened_at, session_id, .. } = Cursor::parse(newer)?;
        let (at, id) = (question.bind(instant(opened_at)), question.bind(text(&session_id.to_string())));
        all.push(format!("s.opened_at >= {at} AND (s.opened_at > {at} OR s.session_id > {id})"));
    }
    if let Some(relation) = &filter.relation {
        let unsure = question.bind(text(&of_unknown_schema(relation)?));
        let relation = question.bind(text(&qualified(relation)?));
        let since = since("at");
        all.push(format!(
            "s.session_id IN (SELECT session_id FROM touches WHERE relation IN ({relation}, {unsure}){since})"
        ));
    }
    if let Some(operation) = &filter.operation {
        let operation = question.bind(text(&operation.to_lowercase()));
        let since = since("started_at");
        all.push(format!("s.session_id IN (SELECT session_id FROM statements WHERE operation = {operation}{since})"));
    }
    if let Some(errors) = filter.errors {
        let not = if errors { "" } else { "NOT " };
        let (failed, since) = (failed(), since("started_at"));
        all.push(format!("s.session_id {not}IN (SELECT session_id FROM statements WHERE {failed}{since})"));
    }
    if let Some(words) = &filter.text {
        let held = holds_words(words, question);
        let since = since("started_at");
        all.push(format!("s.session_id IN (SELECT session_id FROM statements WHERE {held}{since})"));
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
    Ok(all.join(" AND "))
}

fn holds_words(words: &str, question: &mut Question) -> String {
    let words = words.to_lowercase();
    let word = question.bind(text(&words));
    let escaped = in_json(&words);
    let escaped = if escaped == words { word.clone() } else { question.bind(text(&escaped)) };
    holds(&word, &escaped)
}

fn page(filter: &SessionFilter, after: Option<&Cursor>, limit: usize) -> Result<Question, Error> {
    let mut question = Question::default();
    let mut all = conditions(filter, &mut question)?;
    let SessionOrder { by, ascending } = filter.order;
    let (key, way) = (by.expression(), if ascending { "ASC" } else { "DESC" });
    if let Some(Cursor { key: last, opened_at, session_id }) = after {
        let on = if ascending { '>' } else { '<' };
        let (at, id) = (question.bind(instant(*opened_at)), question.bind(text(&session_id.to_string())));
        let behind = format!("(s.opened_at {on} {at} OR (s.opened_at = {at} AND s.session_id {on} {id}))");
        let behind = match by {
            // Also as a bound of time alone, by which files are left out.
            SortBy::Opened => format!("s.opened_at {on}= {at} AND {behind}"),
            SortBy::Duration | SortBy::Statements => {
                let last = question.bind(ScalarValue::Int64(Some(*last)));
                format!("({key} {on} {last} OR ({key} = {last} AND {behind}))")
            }
        };
        all = format!("{all} AND {behind}");
    }
    let found = filter.text.as_ref().map(|words| holds_words(words, &mut question));
    let (hits, joined) = match found {
        None => ("", String::new()),
        Some(held) => (
            ", h.hits, h.first_hit",
            format!(
                " LEFT JOIN (SELECT t.session_id, count(*) AS hits, min(t.statement_no) AS first_hit FROM statements t \
                 WHERE {held} AND t.session_id IN (SELECT session_id FROM page) GROUP BY t.session_id) h \
                 ON h.session_id = page.session_id"
            ),
        ),
    };
    question.sql = format!(
        "WITH page AS (SELECT s.*, {key} AS sort_key FROM sessions s WHERE {all} \
         ORDER BY sort_key {way}, s.opened_at {way}, s.session_id {way} LIMIT {limit}) \
         SELECT page.*{hits} FROM page{joined} \
         ORDER BY page.sort_key {way}, page.opened_at {way}, page.session_id {way}"
    );
    Ok(question)
}

/// A place in the list of sessions: after the one that it names.
#[derive(Debug, PartialEq, Eq)]
struct Cursor {
    /// What the list is sorted by.
    key: i64,
    opened_at: i64,
    session_id: Uuid,
}

/// Whether a text is a cursor that a page of sessions gave out.
pub fn is_cursor(text: &str) -> bool {
    Cursor::parse(text).is_ok()
}

impl Cursor {
    fn parse(text: &str) -> Result<Cursor, Error> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse().ok();
        let (key, opened_at) = (number(), number());
        let session_id = parts.next().and_then(|id| Uuid::parse_str(id).ok()).filter(|_| parts.next().is_none());
        match (key, opened_at, session_id) {
            (Some(key), Some(opened_at), Some(session_id)) => Ok(Cursor { key, opened_at, session_id }),
            _ => Err(Error::Invalid("the cursor is not one that a page of sessions gave out".to_owned())),
        }
    }

    fn last_of(sessions: &Answer) -> Result<Cursor, Error> {
        #[derive(serde::Deserialize)]
        struct Place {
            session_id: String,
            opened_at: String,
            sort_key: i64,
        }
        let places: Vec<Place> = sessions.decode()?;
        let last = places.last().ok_or_else(|| Error::Internal("a full page has no last row".to_owned()))?;
        let session_id = Uuid::parse_str(&last.session_id)
            .map_err(|_| Error::Internal(format!("'{}' is not a session id", last.session_id)))?;
        let opened_at = crate::Moment::parse(&last.opened_at)?.from;
        Ok(Cursor { key: last.sort_key, opened_at, session_id })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.key, self.opened_at, self.session_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor { key: -1, opened_at: 5, session_id: Uuid::from_u128(7) };
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        for text in ["", "1", "1.2", "1.2.x", "1.2.00000000-0000-0000-0000-000000000007.3"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_star_is_a_wildcard() {
        let mut question = Question::default();
        assert_eq!(question.is_like("job", "50%_\\"), "job = $1");
        assert_eq!(question.is_like("job", "50%_\\*"), "job LIKE $2");
        assert_eq!(question.values, [text("50%_\\"), text("50\\%\\_\\\\%")]);
    }

    #[test]
    fn values_are_sought_as_json_writes_them() {
        assert_eq!((in_json("a\"b\n"), in_json("plain")), ("a\\\"b\\n".to_owned(), "plain".to_owned()));
    }
}
