//! The JSON API under `/api/v1`.
//!
//! Invariants: no SQL is written here: the engine's own questions take values, and only `/query` takes SQL, as it is;
//! every listing is paged and every answer bounded; what an answer leaves out is said. What is exported is whole, or
//! breaks off so that no client takes it for whole (see `export`). Reads only; who may read is decided before (see `guard`).

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hansard_query::{Answer, ErrorKind};
use hansard_schemas::http::{LoginLink, QueryFormat, QueryRequest, Status};
use serde::Deserialize;

use crate::{
    Shared, access,
    failure::{Failure, Kind},
    guard,
};

mod changes;
mod export;
mod overview;
mod sessions;
mod steps;

type Answered<T> = Result<T, Failure>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/query", post(query))
        .route("/who-touched", get(who_touched))
        .route("/who-changed", get(changes::who_changed))
        .route("/relations", get(changes::relations))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", get(sessions::one))
        .route("/sessions/{id}/export", get(sessions::export))
        .route("/sessions/{id}/overview", get(overview::overview))
        .route("/sessions/{id}/find", get(overview::find))
        .route("/sessions/{id}/steps", get(steps::list))
        .route("/sessions/{id}/steps/{no}", get(steps::one))
        .route("/sessions/{id}/steps/{no}/result", get(steps::result))
        .route("/login-links", post(mint_link))
        .route("/logout", post(log_out))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    Router::new().nest("/v1", v1).fallback(unknown)
}

async fn unknown() -> Failure {
    Failure::not_found("There is nothing under this address.").hint("The API's addresses begin with /api/v1/.")
}

async fn wrong_method() -> Response {
    let mut response = Failure::invalid("This address does not take that method.").into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status { version: env!("CARGO_PKG_VERSION").into(), targets: shared.targets.clone() })
}

/// Whether all rows are wanted.
#[derive(Deserialize)]
struct Whole {
    whole: Option<bool>,
}

impl Whole {
    /// Files are whole, if nothing else is said; what a page shows ends at the row limit, and says so.
    fn whole(&self, format: QueryFormat) -> bool {
        self.whole.unwrap_or(matches!(format, QueryFormat::Csv | QueryFormat::Parquet))
    }
}

async fn query(
    State(shared): State<Arc<Shared>>,
    version: Version,
    asked: Result<Query<Whole>, QueryRejection>,
    request: Result<Json<QueryRequest>, JsonRejection>,
) -> Answered<Response> {
    let Json(request) = request.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::new(Kind::TooLarge, "The query is too long."),
        _ => Failure::invalid(rejection.body_text())
            .hint("Send {\"sql\": \"SELECT ...\", \"format\": \"json\"} as application/json."),
    })?;
    let whole = parameters(asked)?.whole(request.format);
    answered(&shared, &request.sql, request.format, whole, version, "query").await
}

#[derive(Deserialize)]
struct WhoTouched {
    relation: String,
    from: Option<String>,
    to: Option<String>,
    operation: Option<String>,
    #[serde(default)]
    format: QueryFormat,
    whole: Option<bool>,
}

async fn who_touched(
    State(shared): State<Arc<Shared>>,
    version: Version,
    asked: Result<Query<WhoTouched>, QueryRejection>,
) -> Answered<Response> {
    let asked = parameters(asked)?;
    let given = |bound: &Option<String>| bound.clone().filter(|bound| !bound.is_empty());
    let (from, to, operation) = (given(&asked.from), given(&asked.to), given(&asked.operation));
    let sql = hansard_query::who_touched(&asked.relation, from.as_deref(), to.as_deref(), operation.as_deref());
    let whole = Whole { whole: asked.whole }.whole(asked.format);
    answered(&shared, &sql, asked.format, whole, version, "who-touched").await
}

async fn mint_link(State(shared): State<Arc<Shared>>) -> Json<LoginLink> {
    Json(LoginLink { url: shared.login_link(), valid_seconds: access::LINK_VALID.as_secs() })
}

async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(secret) = guard::cookie(&headers, &shared.cookie) {
        shared.access.end_session(secret, access::now());
    }
    let gone = format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", shared.cookie);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response()
}

/// The engine's errors are sentences that a caller may read, but for our own faults.
fn refusal(error: hansard_query::Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Invalid | ErrorKind::ReadOnly => Kind::Invalid,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::TooLarge => Kind::TooLarge,
        ErrorKind::Timeout => Kind::Timeout,
        ErrorKind::Busy => Kind::Busy,
        ErrorKind::Unavailable => {
            tracing::warn!(%error, "the record cannot be read");
            Kind::Unavailable
        }
        ErrorKind::Internal => return Failure::internal("a query failed", &error),
    };
    let failure = Failure::new(kind, error.to_string());
    match error {
        hansard_query::Error::NoRelation { nearest, .. } => Failure { nearest, ..failure },
        _ => failure,
    }
}

fn decode<T: serde::de::DeserializeOwned>(answer: &Answer) -> Answered<Vec<T>> {
    answer.decode().map_err(|error| Failure::internal("an answer cannot be read", &error))
}

/// An answer in the format asked for: all of it, as it comes, or what the row limit allows, with a mark when there was more.
async fn answered(
    shared: &Shared,
    sql: &str,
    format: QueryFormat,
    whole: bool,
    version: Version,
    name: &str,
) -> Answered<Response> {
    if whole {
        export::possible(version)?;
        return Ok(export::response(shared.engine.export(sql, format).await.map_err(refusal)?, format, name));
    }
    let answer = shared.engine.formatted(sql, format).await.map_err(refusal)?;
    let mut response = export::file(Body::from(answer.bytes), format, name);
    let headers = response.headers_mut();
    headers.insert("hansard-rows", HeaderValue::from(answer.rows));
    headers.insert(export::TRUNCATED, HeaderValue::from_static(if answer.truncated { "true" } else { "false" }));
    Ok(response)
}

/// Makes a browser save an answer under a name, of ASCII without quotes.
fn saved_as(response: &mut Response, name: &str) {
    if let Ok(saved) = HeaderValue::from_str(&format!("attachment; filename=\"hansard-{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    }
}

fn parameters<T>(asked: Result<Query<T>, QueryRejection>) -> Answered<T> {
    asked.map(|Query(asked)| asked).map_err(|rejection| Failure::invalid(rejection.body_text()))
}

fn path<T>(asked: Result<Path<T>, PathRejection>) -> Answered<T> {
    asked.map(|Path(asked)| asked).map_err(|_| Failure::not_found("There is nothing under this address."))
}

/// How many items a page may have: what is asked for, inside the bounds.
fn page_size(asked: Option<usize>, default: usize, most: usize) -> usize {
    asked.unwrap_or(default).clamp(1, most)
}
