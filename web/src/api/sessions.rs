//! Sessions: the list, one of them, and its rows to take away.

use std::sync::Arc;

use axum::{Json, extract::State, http::Version};
use hansard_query::{Answer, Moment, SessionFilter, SessionOrder, SortBy};
use hansard_schemas::{
    http::{LakeFile, Page, QueryFormat, RecordGap, SessionDetail, SessionOutcome, SessionSummary},
    lake::Table,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answered, decode, refusal};
use crate::{
    Shared,
    description::{As, Files, RowObject, Rows},
    failure::Failure,
    parameters::{Asked, Cursor, Limit, Relation, SessionId, Text, Time},
};

#[derive(Deserialize)]
struct Row {
    session_id: String,
    target: String,
    job: String,
    subject: String,
    issuer: String,
    #[serde(default)]
    groups: Vec<String>,
    client_addr: String,
    application_name: String,
    db_user: String,
    database: String,
    opened_at: String,
    closed_at: Option<String>,
    close_reason: Option<String>,
    complete: bool,
    statements: i64,
    frames: i64,
    bytes_frontend: i64,
    bytes_backend: i64,
    denied: i64,
    auth_failure: Option<String>,
    gaps: Option<String>,
    chain_head: String,
    capture: Option<String>,
    max_result_bytes: Option<i64>,
    tls_version: Option<String>,
    tls_cipher: Option<String>,
    client_dn: Option<String>,
    client_certificate_sha256: Option<String>,
    errors: Option<i64>,
    ending: Option<String>,
    last_frame_at: Option<String>,
    database_role: Option<String>,
    backend_pid: Option<i64>,
    purpose: Option<String>,
    traceparent: Option<String>,
    authentication: Option<String>,
    token_id: Option<String>,
    token_expires_at: Option<String>,
    acting_for: Option<String>,
    actors: Option<String>,
    notices: Option<String>,
    #[serde(default)]
    hits: Option<i64>,
    #[serde(default)]
    first_hit: Option<i64>,
}

impl Row {
    fn gaps(&self) -> Answered<Vec<RecordGap>> {
        match &self.gaps {
            None => Ok(Vec::new()),
            Some(text) => {
                serde_json::from_str(text).map_err(|error| Failure::internal("a session's gaps cannot be read", &error))
            }
        }
    }

    fn summary(&self) -> SessionSummary {
        SessionSummary {
            session_id: self.session_id.clone(),
            target: self.target.clone(),
            job: self.job.clone(),
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            opened_at: self.opened_at.clone(),
            closed_at: self.closed_at.clone(),
            duration_ns: match (&self.closed_at, self.ending.as_deref()) {
                // When it was noticed says nothing of how long it took.
                (_, Some("unknown")) => None,
                (closed, _) => closed.as_deref().and_then(|closed| nanoseconds_between(&self.opened_at, closed)),
            },
            ending: self.ending.clone().unwrap_or_default(),
            last_frame_at: self.last_frame_at.clone(),
            outcome: match (&self.auth_failure, &self.closed_at) {
                (Some(_), _) => SessionOutcome::Refused,
                (None, None) => SessionOutcome::Live,
                (None, Some(_)) if self.complete => SessionOutcome::Complete,
                (None, Some(_)) => SessionOutcome::Incomplete,
            },
            statements: self.statements,
            errors: self.errors.unwrap_or(0),
            denied: self.denied,
            db_user: self.db_user.clone(),
            close_reason: self.close_reason.clone(),
            gap_count: self.gaps().map_or(0, |gaps| i64::try_from(gaps.len()).unwrap_or(i64::MAX)),
            cursor: instant(&self.opened_at).map_or_else(String::new, |at| format!("{at}.{at}.{}", self.session_id)),
            hits: self.hits,
            first_hit: self.first_hit,
        }
    }
}

/// From one time of an answer to another; `None` where either is none.
pub(super) fn nanoseconds_between(from: &str, to: &str) -> Option<i64> {
    instant(to)?.checked_sub(instant(from)?)
}

/// A time of an answer, UTC nanoseconds.
pub(super) fn instant(at: &str) -> Option<i64> {
    Moment::parse(at).ok().map(|moment| moment.from)
}

/// What a list of sessions is sorted by.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// When they were opened.
    #[default]
    Opened,
    /// How long they took; what has no end counts as shortest.
    Duration,
    /// How many statements they have.
    Statements,
}

/// Which come first.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// The largest, or the latest.
    #[default]
    Desc,
    /// The smallest, or the earliest.
    Asc,
}

type Name = Text<4096>;

/// Filters add up; in names `*` stands for any text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filters {
    /// The job; `*` stands for any text.
    job: Option<Name>,
    /// The identity's subject; `*` stands for any text.
    subject: Option<Name>,
    /// The target; `*` stands for any text.
    target: Option<Name>,
    /// The role that was asked for; `*` stands for any text.
    role: Option<Name>,
    /// Where the job connected from; `*` stands for any text.
    client: Option<Name>,
    /// What the job called itself; `*` stands for any text.
    application: Option<Name>,
    /// A relation that one of its statements touched; without a dot it is in `public`.
    relation: Option<Relation>,
    /// An operation of one of its statements.
    operation: Option<Name>,
    /// A text in a statement, in a bound value or in an error, whatever the case.
    text: Option<Name>,
    /// Whether a statement failed.
    errors: Option<bool>,
    /// Opened then or later.
    from: Option<Time>,
    /// Opened then or earlier.
    to: Option<Time>,
    /// How the record of it stands.
    outcome: Option<SessionOutcome>,
    /// Opened after the session with that `cursor`.
    newer_than: Option<Cursor>,
    /// What they are sorted by.
    #[serde(default)]
    sort: Sort,
    /// Which come first.
    #[serde(default)]
    order: Order,
    /// How many sessions a page has at most.
    #[serde(default)]
    limit: Limit<50, 200>,
    /// `next` of the page before.
    cursor: Option<Cursor>,
}

impl Filters {
    fn filter(&self) -> Answered<SessionFilter> {
        let text = |value: &Option<Name>| value.as_ref().map(|value| value.trimmed().to_owned());
        let time = |value: &Option<Time>, parameter: &'static str| {
            let read = |value: &Time| Moment::parse(value.trimmed()).map_err(|error| refusal(error).of(parameter));
            value.as_ref().map(read).transpose()
        };
        Ok(SessionFilter {
            job: text(&self.job),
            subject: text(&self.subject),
            target: text(&self.target),
            role: text(&self.role),
            client: text(&self.client),
            application: text(&self.application),
            relation: self.relation.as_ref().map(|relation| relation.trimmed().to_owned()),
            operation: text(&self.operation),
            text: text(&self.text),
            errors: self.errors,
            from: time(&self.from, "from")?.map(|moment| moment.from),
            to: time(&self.to, "to")?.map(|moment| moment.to),
            newer_than: self.newer_than.as_ref().map(|cursor| cursor.trimmed().to_owned()),
            order: SessionOrder {
                by: match self.sort {
                    Sort::Opened => SortBy::Opened,
                    Sort::Duration => SortBy::Duration,
                    Sort::Statements => SortBy::Statements,
                },
                ascending: matches!(self.order, Order::Asc),
            },
            outcome: self.outcome,
        })
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<Filters>,
) -> Answered<Json<Page<SessionSummary>>> {
    let filter = asked.filter()?;
    let page = shared.engine.sessions(&filter, asked.cursor.as_ref().map(Cursor::trimmed), asked.limit.0);
    let (page, total) = tokio::try_join!(page, shared.engine.count_sessions(&filter)).map_err(refusal)?;
    let items = decode::<Row>(&page.sessions)?.iter().map(Row::summary).collect();
    Ok(Json(Page { items, next: page.next, total: Some(total) }))
}

/// What is not recorded of a session.
pub(super) async fn gaps(shared: &Shared, id: Uuid) -> Answered<Vec<RecordGap>> {
    row(shared, id).await?.gaps()
}

/// The session's own row.
async fn row(shared: &Shared, id: Uuid) -> Answered<Row> {
    let found: Answer = shared.engine.session(id).await.map_err(refusal)?;
    decode(&found)?.into_iter().next().ok_or_else(|| no_session(id))
}

/// What the steps of a session need to know of it.
#[derive(Deserialize)]
struct Head {
    opened_at: String,
    closed_at: Option<String>,
    capture: Option<String>,
}

/// The same, read.
pub(super) struct Opened {
    /// When it was opened, for offsets into it.
    pub(super) at: String,
    /// It has ended: what is not answered will not be.
    pub(super) ended: bool,
    /// Its statements are recorded without their texts.
    pub(super) text_omitted: bool,
}

pub(super) async fn opened(shared: &Shared, id: Uuid) -> Answered<Opened> {
    let found = shared.engine.session_head(id).await.map_err(refusal)?;
    let head: Head = decode(&found)?.into_iter().next().ok_or_else(|| no_session(id))?;
    Ok(Opened {
        at: head.opened_at,
        ended: head.closed_at.is_some(),
        text_omitted: head.capture.as_deref() == Some("metadata"),
    })
}

fn no_session(id: Uuid) -> Failure {
    Failure::not_found(format!("There is no session {id} in the record."))
}

pub(super) async fn one(State(shared): State<Arc<Shared>>, SessionId(id): SessionId) -> Answered<Json<SessionDetail>> {
    let row = row(&shared, id).await?;
    let gaps = row.gaps()?;
    let actors = row.actors.as_deref().map(serde_json::from_str).transpose();
    let actors = actors.map_err(|error| Failure::internal("a session's actors cannot be read", &error))?;
    let actors = actors.unwrap_or_default();
    let files = shared.engine.session_files(id).await.map_err(refusal)?;
    let files = files
        .into_iter()
        .map(|file| LakeFile { table: file.table.name().into(), path: file.path, rows: file.rows, bytes: file.bytes })
        .collect();
    Ok(Json(SessionDetail {
        summary: row.summary(),
        groups: row.groups,
        client_addr: row.client_addr,
        application_name: row.application_name,
        database_role: row.database_role,
        backend_pid: row.backend_pid,
        notices: super::steps::notices(row.notices.as_ref())?,
        database: row.database,
        auth_failure: row.auth_failure,
        frames: row.frames,
        bytes_frontend: row.bytes_frontend,
        bytes_backend: row.bytes_backend,
        chain_head: row.chain_head,
        gaps,
        capture: row.capture,
        max_result_bytes: row.max_result_bytes,
        tls_version: row.tls_version,
        tls_cipher: row.tls_cipher,
        client_dn: row.client_dn,
        client_certificate_sha256: row.client_certificate_sha256,
        purpose: row.purpose,
        traceparent: row.traceparent,
        authentication: row.authentication,
        token_id: row.token_id,
        token_expires_at: row.token_expires_at,
        acting_for: row.acting_for,
        actors,
        files,
    }))
}

/// A table of the lake.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rowed {
    /// One row per wire frame.
    #[default]
    Frames,
    /// One row per statement.
    Statements,
    /// One row per statement and relation that it touched.
    Touches,
    /// One row per ended transaction, and per range of statements that was undone.
    Transactions,
    /// The session's own row.
    Sessions,
}

fn parquet() -> QueryFormat {
    QueryFormat::Parquet
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// Whose rows.
    #[serde(default)]
    table: Rowed,
    /// How to answer.
    #[serde(default = "parquet")]
    format: QueryFormat,
}

pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    version: Version,
    SessionId(id): SessionId,
    Asked(Export { table, format }): Asked<Export>,
) -> Answered<As<(Rows<RowObject>, Files)>> {
    super::export::possible(version)?;
    let table = match table {
        Rowed::Frames => Table::Frames,
        Rowed::Statements => Table::Statements,
        Rowed::Touches => Table::Touches,
        Rowed::Transactions => Table::Transactions,
        Rowed::Sessions => Table::Sessions,
    };
    row(&shared, id).await?;
    let whole = shared.engine.session_export(id, table, format).await.map_err(refusal)?;
    Ok(As::new(super::export::response(whole, format, &format!("{id}-{}", table.name()))))
}
