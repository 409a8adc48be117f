//! Answers packed with gzip, for browsers that take it: statements repeat themselves.
//!
//! Invariants: only text that is whole in memory already is packed, so nothing is held up; what is short is sent as it is. No
//! answer holds a secret beside what an asker may choose, so its length tells nothing.

use std::io::Write;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use flate2::{Compression, write::GzEncoder};

/// Shorter answers fit into a packet or two.
const SHORTEST: u64 = 1024;
/// From here on packing takes longer than other requests should wait.
const QUICK: usize = 64 * 1024;

/// Packs the answer, where that is wanted and worth it.
pub(crate) async fn packed(request: Request, next: Next) -> Response {
    let wanted = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !(kind.starts_with("application/json") || kind.starts_with("text/csv")) {
        return response;
    }
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let length = response.body().size_hint().exact();
    let Some(length) = length.filter(|length| wanted && *length >= SHORTEST) else { return response };
    let (mut parts, body) = response.into_parts();
    // The body is in memory: taking it over costs nothing, and it cannot fail.
    let most = usize::try_from(length).unwrap_or(usize::MAX);
    let Ok(bytes) = axum::body::to_bytes(body, most).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let packed = if bytes.len() < QUICK {
        pack(&bytes).ok()
    } else {
        let bytes = bytes.clone();
        tokio::task::spawn_blocking(move || pack(&bytes)).await.ok().and_then(Result::ok)
    };
    match packed {
        None => Response::from_parts(parts, Body::from(bytes)),
        Some(packed) => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(packed))
        }
    }
}

fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_only_where_it_is_accepted() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        assert!(accepts("gzip, deflate, br") && accepts("br;q=1, GZIP;q=0.5"));
        assert!(!accepts("br") && !accepts("gzip;q=0") && !accepts("gzipped"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
