//! Sessions: the list, one of them, and its rows to take away.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::Version,
    response::Response,
};
use hansard_query::{Answer, Moment, SessionFilter, SessionOrder, SortBy};
use hansard_schemas::{
    http::{LakeFile, Page, QueryFormat, RecordGap, SessionDetail, SessionOutcome, SessionSummary},
    lake::Table,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Answered, decode, page_size, parameters, path, refusal};
use crate::{Shared, failure::Failure};

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

#[derive(Deserialize)]
pub(super) struct Filters {
    job: Option<String>,
    subject: Option<String>,
    target: Option<String>,
    role: Option<String>,
    client: Option<String>,
    application: Option<String>,
    relation: Option<String>,
    operation: Option<String>,
    text: Option<String>,
    errors: Option<String>,
    from: Option<String>,
    to: Option<String>,
    outcome: Option<String>,
    newer_than: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// An empty filter counts as absent, as a form sends it.
fn given(value: Option<&String>) -> Option<&str> {
    value.map(|value| value.trim()).filter(|value| !value.is_empty())
}

impl Filters {
    fn filter(&self) -> Answered<SessionFilter> {
        let text = |value: &Option<String>| given(value.as_ref()).map(str::to_owned);
        let time = |value: &Option<String>, parameter: &'static str| {
            given(value.as_ref()).map(Moment::parse).transpose().map_err(|error| refusal(error).of(parameter))
        };
        Ok(SessionFilter {
            job: text(&self.job),
            subject: text(&self.subject),
            target: text(&self.target),
            role: text(&self.role),
            client: text(&self.client),
            application: text(&self.application),
            relation: text(&self.relation),
            operation: text(&self.operation),
            text: text(&self.text),
            errors: match given(self.errors.as_ref()) {
                None => None,
                Some("true") => Some(true),
                Some("false") => Some(false),
                Some(_) => {
                    return Err(Failure::invalid("Errors are neither wanted nor not.")
                        .hint("true or false.")
                        .of("errors"));
                }
            },
            from: time(&self.from, "from")?.map(|moment| moment.from),
            to: time(&self.to, "to")?.map(|moment| moment.to),
            newer_than: text(&self.newer_than),
            order: SessionOrder {
                by: match given(self.sort.as_ref()) {
                    None | Some("opened") => SortBy::Opened,
                    Some("duration") => SortBy::Duration,
                    Some("statements") => SortBy::Statements,
                    Some(_) => {
                        return Err(Failure::invalid("Sessions are not sorted by that.")
                            .hint("One of opened, duration, statements.")
                            .of("sort"));
                    }
                },
                ascending: match given(self.order.as_ref()) {
                    None | Some("desc") => false,
                    Some("asc") => true,
                    Some(_) => return Err(Failure::invalid("The order is none.").hint("asc or desc.").of("order")),
                },
            },
            outcome: match given(self.outcome.as_ref()) {
                None => None,
                Some("live") => Some(SessionOutcome::Live),
                Some("complete") => Some(SessionOutcome::Complete),
                Some("incomplete") => Some(SessionOutcome::Incomplete),
                Some("refused") => Some(SessionOutcome::Refused),
                Some(_) => {
                    return Err(Failure::invalid("The outcome is none that a session can have.")
                        .hint("One of live, complete, incomplete, refused.")
                        .of("outcome"));
                }
            },
        })
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Filters>, QueryRejection>,
) -> Answered<Json<Page<SessionSummary>>> {
    let asked = parameters(asked)?;
    let limit = page_size(asked.limit, 50, 200);
    let filter = asked.filter()?;
    let page = shared.engine.sessions(&filter, given(asked.cursor.as_ref()), limit);
    let (page, total) = tokio::try_join!(page, shared.engine.count_sessions(&filter)).map_err(refusal)?;
    let items = decode::<Row>(&page.sessions)?.iter().map(Row::summary).collect();
    Ok(Json(Page { items, next: page.next, total: Some(total) }))
}

/// A session's id, as a path holds it.
pub(super) fn session_id(text: &str) -> Answered<Uuid> {
    Uuid::try_parse(text)
        .map_err(|_| Failure::not_found("There is no session of that name.").hint("A session's name is a UUID."))
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

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Answered<Json<SessionDetail>> {
    let id = session_id(&path(id)?)?;
    let row = row(&shared, id).await?;
    let gaps = row.gaps()?;
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
        files,
    }))
}

#[derive(Deserialize)]
pub(super) struct Export {
    table: Option<String>,
    format: Option<QueryFormat>,
}

pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    version: Version,
    id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Export>, QueryRejection>,
) -> Answered<Response> {
    super::export::possible(version)?;
    let asked = parameters(asked)?;
    let id = session_id(&path(id)?)?;
    let table = asked.table.as_deref().map_or(Some(Table::Frames), Table::from_name).ok_or_else(|| {
        Failure::invalid("There is no such table.").hint("One of frames, statements, touches, sessions.")
    })?;
    row(&shared, id).await?;
    let format = asked.format.unwrap_or(QueryFormat::Parquet);
    let whole = shared.engine.session_export(id, table, format).await.map_err(refusal)?;
    Ok(super::export::response(whole, format, &format!("{id}-{}", table.name())))
}
