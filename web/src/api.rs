//! The JSON API under `/api/v1`.
//!
//! Invariants: no SQL is written here: the engine's own questions take values, and only `/query` takes SQL, as it is;
//! every listing is paged and every answer bounded; what an answer leaves out is said. What is exported is whole, or
//! breaks off so that no client takes it for whole (see `export`). Reads only, but for leases (see `leases`); who may read is decided before (see `guard`).

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Version, header},
    response::Response,
};
use hansard_query::{Answer, ErrorKind};
use hansard_schemas::http::{LoginLink, QueryFormat, QueryRequest, Status, TouchRow};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Shared, access,
    description::{As, Files, NoContent, RowObject, Rows},
    failure::{Failure, Kind},
    guard,
    parameters::{self, Asked, Operations, Relation, Time},
};

mod changes;
mod examples;
mod export;
mod jobs;
mod leases;
mod overview;
mod routes;
mod sessions;
mod steps;

type Answered<T> = Result<T, Failure>;

/// The API, which is for who has an identity, and what is for everybody.
pub(crate) fn routers(cookie: &str) -> (Router<Arc<Shared>>, Router<Arc<Shared>>) {
    let (api, open, _) = described(cookie);
    (api, open)
}

/// The same with their description, which the API gives itself.
pub(crate) fn described(cookie: &str) -> (Router<Arc<Shared>>, Router<Arc<Shared>>, serde_json::Value) {
    let (v1, open, description) = routes::routes().split(cookie);
    let sent = Description(Bytes::from(description.to_string()));
    let v1 = v1.layer(Extension(sent)).fallback(unknown).method_not_allowed_fallback(wrong_method);
    (Router::new().nest("/v1", v1).fallback(unknown), open, description)
}

/// The API's description, as it is sent.
#[derive(Clone)]
struct Description(Bytes);

/// Any JSON object.
type Document = Json<serde_json::Map<String, serde_json::Value>>;

async fn description(Extension(Description(bytes)): Extension<Description>) -> As<Document> {
    As::new(([(header::CONTENT_TYPE, "application/json")], bytes))
}

async fn unknown() -> Failure {
    Failure::not_found("There is nothing under this address.").hint("The API's addresses begin with /api/v1/.")
}

async fn wrong_method() -> Failure {
    Failure::new(Kind::WrongMethod, "This address does not take that method.")
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status { version: env!("CARGO_PKG_VERSION").into(), targets: shared.targets.clone() })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whole {
    /// Whether all rows are wanted, as they come; without it only of CSV and Parquet. Else at most `query.row_limit` of
    /// them are answered, and `hansard-truncated` says whether there were more.
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
    Asked(asked): Asked<Whole>,
    parameters::Body(request): parameters::Body<QueryRequest>,
) -> Answered<As<(Rows<RowObject>, Files)>> {
    let whole = asked.whole(request.format);
    answered(&shared, &request.sql, request.format, whole, version, "query").await.map(As::new)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhoTouched {
    /// The relation, as SQL writes it.
    relation: Relation,
    /// From when on; without it from the beginning.
    from: Option<Time>,
    /// Until when; without it until now.
    to: Option<Time>,
    /// Operations with commas between them, or `any`, which it is where nothing is said.
    operation: Option<Operations>,
    /// How to answer.
    #[serde(default)]
    format: QueryFormat,
    /// Whether all rows are wanted, as of `POST /api/v1/query`.
    whole: Option<bool>,
}

async fn who_touched(
    State(shared): State<Arc<Shared>>,
    version: Version,
    Asked(asked): Asked<WhoTouched>,
) -> Answered<As<(Rows<TouchRow>, Files)>> {
    let [from, to] = [&asked.from, &asked.to].map(|time| time.as_ref().map(Time::trimmed));
    let operation = asked.operation.as_ref().map(Operations::trimmed);
    let sql = hansard_query::who_touched(asked.relation.trimmed(), from, to, operation);
    let whole = Whole { whole: asked.whole }.whole(asked.format);
    answered(&shared, &sql, asked.format, whole, version, "who-touched").await.map(As::new)
}

async fn mint_link(State(shared): State<Arc<Shared>>) -> Json<LoginLink> {
    Json(LoginLink { url: shared.login_link(), valid_seconds: access::LINK_VALID.as_secs() })
}

async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> As<NoContent> {
    if let Some(secret) = guard::cookie(&headers, &shared.cookie) {
        shared.access.end_session(secret, access::now());
    }
    let gone = format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", shared.cookie);
    As::new((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]))
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
