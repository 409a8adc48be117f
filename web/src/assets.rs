//! The pages: what `cargo xtask web` built, or a page that says how to build them.
//!
//! Invariants: a file whose name holds its hash never changes, so browsers may keep it for ever; `index.html` names
//! them and is asked for each time. A page's path is its own affair: every path that is no file gets `index.html`.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "dist"]
#[allow_missing = true]
struct Dist;

/// Answers everything that is not the API.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("assets/") || path == "favicon.svg" {
        return file(path, &headers).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response());
    }
    match Dist::get("index.html") {
        Some(page) => {
            let tag = etag(&page);
            if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
                return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
            }
            let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
            ([kind, (header::CACHE_CONTROL, "no-cache")], [(header::ETAG, tag)], body(page)).into_response()
        }
        None => page(StatusCode::OK, "The pages are not built", NOT_BUILT),
    }
}

/// A page without a script, for what is said before there are pages; in their style, where they are built. `content` is markup.
pub(crate) fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let style = style().map_or_else(String::new, |path| format!("<link rel=\"stylesheet\" href=\"{path}\">"));
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · Hansard</title>{style}\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\"></head>\
         <body><header class=\"top\"><a class=\"brand\" href=\"/sessions\">\
         <svg class=\"icon\" width=\"16\" height=\"16\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"M3 3.5h10M3 6.5h10M3 9.5h6M3 12.5h8\"/></svg>\
         <span>Hansard</span></a></header>\
         <main class=\"page\"><section class=\"empty\"><h1>{title}</h1>{content}</section></main></body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// The pages' style sheet, whose name holds its hash.
fn style() -> Option<String> {
    Dist::iter().find(|path| path.starts_with("assets/style") && path.ends_with(".css")).map(|path| format!("/{path}"))
}

/// A text as markup shows it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const NOT_BUILT: &str = "<p>This Hansard was built without its web pages. Build them with</p>\
     <pre>cargo xtask web</pre>\
     <p>and start it again. The API under <code>/api/v1</code> and the commands <code>hansard sessions</code> and \
     <code>hansard replay</code> work without them.</p>";

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Dist::get(path)?;
    let packed = accepts_brotli(headers).then(|| Dist::get(&format!("{path}.br"))).flatten();
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = (
        [(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, cache), (header::VARY, "accept-encoding")],
        Body::empty(),
    )
        .into_response();
    if packed.is_some() {
        response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("br"));
    }
    *response.body_mut() = body(packed.unwrap_or(plain));
    Some(response)
}

fn body(file: EmbeddedFile) -> Body {
    match file.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

fn etag(file: &EmbeddedFile) -> String {
    format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]))
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim() == "br" || is_weighted_brotli(coding))
}

/// `br;q=...` with anything but zero.
fn is_weighted_brotli(coding: &str) -> bool {
    let Some((name, weight)) = coding.split_once(';') else { return false };
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
    name.trim() == "br" && weight.is_some_and(|weight| weight > 0.0)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_only_where_it_is_accepted() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            accepts_brotli(&headers)
        };
        assert!(accepts("gzip, deflate, br, zstd"));
        assert!(accepts("br;q=0.8"));
        assert!(!accepts("br;q=0"));
        assert!(!accepts("gzip, brotli"));
        assert!(!accepts_brotli(&HeaderMap::new()));
    }
}
