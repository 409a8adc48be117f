//! What handlers answer, described by the types that they return.

use std::marker::PhantomData;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use hansard_schemas::http::{ApiError, QueryFormat};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{Operation, Schemas};
use crate::failure::{Failure, Kind};

/// What a handler answers.
pub(crate) trait Answer {
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// A response that was made by hand, as what it is.
pub(crate) struct As<T>(Response, PhantomData<T>);

impl<T> As<T> {
    pub(crate) fn new(response: impl IntoResponse) -> As<T> {
        As(response.into_response(), PhantomData)
    }
}

impl<T> IntoResponse for As<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Answer> Answer for As<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
    }
}

/// What asks the engine may need more than is allowed, beside what the gate says.
impl<T: Answer> Answer for Result<T, Failure> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.failures.insert(Kind::TooLarge);
        T::describe(operation, schemas);
    }
}

/// One or the other, by the format that is asked for.
impl<A: Answer, B: Answer> Answer for (A, B) {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        A::describe(operation, schemas);
        B::describe(operation, schemas);
    }
}

impl<T: JsonSchema> Answer for Json<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let schema = schemas.answer::<T>();
        operation.succeeds(200, "The answer.", json!({ "application/json": { "schema": schema } }), json!({}));
    }
}

/// A row of any columns: a member for each, null where it is.
pub(crate) type RowObject = Map<String, Value>;

/// Rows as an array of objects, with what the headers say of them.
pub(crate) struct Rows<T>(PhantomData<T>);

impl<T: JsonSchema> Answer for Rows<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let row = schemas.inline::<T>();
        let schema = json!({ "type": "array", "items": row });
        let headers = json!({
            "hansard-rows": {
                "description": "How many rows there are; absent where all rows leave as they come.",
                "schema": { "type": "integer", "minimum": 0 },
            },
            "hansard-truncated": truncated(),
        });
        operation.succeeds(200, "The rows.", json!({ "application/json": { "schema": schema } }), headers);
    }
}

fn truncated() -> Value {
    json!({
        "description": "`true` where there were more rows than `query.row_limit` lets through.",
        "schema": { "type": "string", "enum": ["true", "false"] },
    })
}

fn saved() -> Value {
    json!({
        "description": "A name to save it under; not of JSON.",
        "schema": { "type": "string" },
        "example": "attachment; filename=\"hansard-query.csv\"",
    })
}

fn media(format: QueryFormat) -> (&'static str, Value) {
    let kind = format.content_type().split(';').next().unwrap_or_default();
    let described = match format {
        QueryFormat::Json => json!({}),
        QueryFormat::Csv => json!({
            "schema": { "type": "string", "description": "RFC 4180 with a header, UTF-8; every text is quoted, null is nothing." },
        }),
        // Bytes are no JSON: media types of OpenAPI 3.1 say that by having no schema.
        QueryFormat::Parquet | QueryFormat::Arrow => json!({}),
    };
    (kind, described)
}

/// Rows as CSV, Parquet or an Arrow stream, all of them.
pub(crate) struct Files;

impl Answer for Files {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let formats = QueryFormat::ALL.into_iter().filter(|format| *format != QueryFormat::Json).map(media);
        let content: Map<String, Value> = formats.map(|(kind, described)| (kind.to_owned(), described)).collect();
        let headers = json!({ "hansard-truncated": truncated(), "content-disposition": saved() });
        operation.succeeds(200, "The rows.", Value::Object(content), headers);
    }
}

/// Rows as CSV alone.
pub(crate) struct Csv;

impl Answer for Csv {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let (kind, described) = media(QueryFormat::Csv);
        let content = Map::from_iter([(kind.to_owned(), described)]);
        operation.succeeds(200, "The rows.", Value::Object(content), json!({ "content-disposition": saved() }));
    }
}

/// Nothing: it is done, and the browser is told to forget its cookie.
pub(crate) struct NoContent;

impl Answer for NoContent {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let headers =
            json!({ "set-cookie": { "description": "Forgets the session.", "schema": { "type": "string" } } });
        operation.succeeds(204, "It is done.", json!({}), headers);
    }
}

/// A page for somebody to read, or the way to another.
pub(crate) struct Page;

impl Answer for Page {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let page = || json!({ "text/html": { "schema": { "type": "string" } } });
        let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
        let way =
            json!({ "location": text("One of our own pages."), "set-cookie": text("The session, for twelve hours.") });
        operation.succeeds(200, "How to log in.", page(), json!({}));
        operation.succeeds(303, "Logged in.", json!({}), way);
        operation.succeeds(400, "The address is wrong.", page(), json!({}));
        operation.succeeds(
            403,
            "The link does not work any more; or, in JSON, another host is named.",
            page(),
            json!({}),
        );
        let failure = schemas.answer::<ApiError>();
        operation.succeeds(403, "", json!({ "application/json": { "schema": failure } }), json!({}));
    }
}
