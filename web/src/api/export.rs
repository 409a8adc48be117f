//! Answers that leave as they come.
//!
//! Invariant: what does not come to its end breaks the connection, in the middle of a chunk's frame of HTTP/1.1, so that
//! every client sees it fail. A client of an earlier HTTP, in which an answer may end with its connection, gets none.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Version, header},
    response::{IntoResponse, Response},
};
use hansard_query::{Export, Piece};
use hansard_schemas::http::QueryFormat;

use super::Answered;
use crate::failure::Failure;

/// Whether there were more rows than are answered.
pub(super) const TRUNCATED: HeaderName = HeaderName::from_static("hansard-truncated");

/// Refuses who could not tell a broken answer from a whole one.
pub(super) fn possible(version: Version) -> Answered<()> {
    if version < Version::HTTP_11 {
        return Err(Failure::invalid("All rows are answered over HTTP/1.1 only, in which their end can be told.")
            .hint("Ask over HTTP/1.1, or with whole=false for as many as the row limit allows."));
    }
    Ok(())
}

/// A file to save under a name of ours.
pub(super) fn file(body: Body, format: QueryFormat, name: &str) -> Response {
    let mut response = ([(header::CONTENT_TYPE, format.content_type())], body).into_response();
    if format != QueryFormat::Json {
        let saved = format!("attachment; filename=\"hansard-{name}.{}\"", format.name());
        if let Ok(saved) = HeaderValue::from_str(&saved) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
        }
    }
    response
}

/// All of it, as it comes.
pub(super) fn response(export: Export, format: QueryFormat, name: &str) -> Response {
    let body = futures::stream::try_unfold(export, async |mut export| {
        loop {
            match export.next().await {
                None => return Ok(None),
                Some(Ok(Piece::Bytes(bytes))) => return Ok(Some((bytes, export))),
                // An export in a format has bytes alone.
                Some(Ok(Piece::Schema(_) | Piece::Rows(_))) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "an export broke off");
                    metrics::counter!("hansard_web_exports_broken_total").increment(1);
                    return Err(error);
                }
            }
        }
    });
    let mut response = file(Body::from_stream(body), format, name);
    response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("false"));
    response
}
