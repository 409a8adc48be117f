//! The gate before every handler: host, origin, identity, load; and the headers after it.
//!
//! Invariants: a request that names another host than this machine is refused (DNS rebinding); a request that
//! changes something and rides on a cookie must come from our own pages (CSRF); under the API nothing but
//! `/api/v1/login` is answered without a session cookie or the owner's token, but on the socket beside the data, and leases to a
//! job that shows its own token; every answer carries the security
//! headers. Other local ports are other origins but the same site, so `same-site` does not count as ours.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use hansard_identity::Principal;

use crate::{
    Shared, access,
    failure::{Failure, Kind},
};

/// What a page of ours may load and do: itself, its wasm, its API.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// On every answer.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is no hashed asset is somebody's record: nobody keeps a copy.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses what names another host than this machine.
pub(crate) async fn own_host(request: Request, next: Next) -> Response {
    match host(request.headers()) {
        Some(host) if is_loopback_name(host) => next.run(request).await,
        _ => Failure::new(Kind::Forbidden, "This server answers only to localhost, 127.0.0.1 and [::1].")
            .hint("Open the address that was printed at start.")
            .into_response(),
    }
}

/// On requests that came by the socket beside the data: only who may read the record can open it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// Whoever may read the record.
    Owner,
    /// A job, by its token: of leases alone, and of its own.
    Job(Arc<Principal>),
}

impl Asker {
    /// The job, where it is one.
    pub(crate) fn job(&self) -> Option<&Principal> {
        match self {
            Asker::Owner => None,
            Asker::Job(principal) => Some(principal),
        }
    }
}

/// Refuses what has no identity, or what another site made a browser send.
pub(crate) async fn identified(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Local>().is_some();
    let takes_jobs = is_of_leases(request.uri().path());
    request.extensions_mut().insert(Asker::Owner);
    let headers = request.headers();
    let now = access::now();
    if let Some(token) = bearer(headers).filter(|_| !local || takes_jobs) {
        if shared.access.is_owner(token) {
            return next.run(request).await;
        }
        return if let Some(leases) = shared.leases.as_ref().filter(|_| takes_jobs) {
            match leases.identify(token).await {
                Ok(principal) => {
                    request.extensions_mut().insert(Asker::Job(Arc::new(principal)));
                    next.run(request).await
                }
                Err(failure) => failure.into_response(),
            }
        } else {
            Failure::new(Kind::Unauthenticated, "The bearer token is not this instance's.")
                .hint("It is in the token file beside the data; each instance has its own.")
                .into_response()
        };
    }
    if local {
        return next.run(request).await;
    }
    let session = cookie(headers, &shared.cookie).is_some_and(|secret| shared.access.is_session(secret, now));
    if !session {
        return Failure::new(Kind::Unauthenticated, "You are not logged in, or your login has expired.")
            .hint(format!("For a new login link run: {} (or send the token as a bearer).", shared.login_command))
            .into_response();
    }
    if !is_own_origin(request.method(), headers) {
        return Failure::new(Kind::Forbidden, "The request does not come from this server's own pages.")
            .into_response();
    }
    next.run(request).await
}

/// Whether jobs may ask there, each for itself. The path is the one below `/api`.
fn is_of_leases(path: &str) -> bool {
    path.strip_prefix("/v1/leases").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Lets only so many requests in at once, and none for ever.
pub(crate) async fn bounded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = shared.requests.try_acquire() else {
        return Failure::new(Kind::Busy, "Too many requests at once.").hint("Try again in a moment.").into_response();
    };
    match tokio::time::timeout(shared.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(Kind::Timeout, "It took too long.")
            .hint("Ask for less: a shorter time, one session, fewer rows.")
            .into_response(),
    }
}

/// The secret in our cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn host(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::HOST).iter();
    let host = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(host)
}

/// True for `localhost` and loopback addresses, with any port: a tunnel may have another.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

fn is_own_origin(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let safe = matches!(*method, Method::GET | Method::HEAD);
    match site {
        Some("same-origin") => {}
        // Typed, or opened from a terminal: fine for reading.
        Some("none") if safe => {}
        Some(_) => return false,
        None => {}
    }
    match (text(header::ORIGIN), host(headers)) {
        (Some(origin), Some(host)) => origin.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        (None, _) => safe || site.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn only_this_machine_is_our_host() {
        for ours in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.0.0.2", "[::1]", "[::1]:8080"] {
            assert!(is_loopback_name(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:",
            "localhost:80:80",
            "localhost:x",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "10.0.0.1",
            "0.0.0.0:8080",
            "::1",
        ] {
            assert!(!is_loopback_name(other), "{other}");
        }
    }

    #[test]
    fn two_host_headers_are_none() {
        assert_eq!(host(&headers(&[("host", "localhost"), ("host", "evil.example")])), None);
    }

    #[test]
    fn what_changes_something_comes_from_our_pages() {
        let check = |method: Method, pairs: &[(&str, &str)]| {
            let mut all = vec![("host", "localhost:8080")];
            all.extend_from_slice(pairs);
            is_own_origin(&method, &headers(&all))
        };
        assert!(check(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(check(Method::POST, &[("origin", "http://localhost:8080")]));
        assert!(check(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")]));
        assert!(!check(Method::POST, &[]));
        assert!(!check(Method::POST, &[("sec-fetch-site", "none")]));
        assert!(!check(Method::POST, &[("sec-fetch-site", "same-site")]));
        assert!(!check(Method::POST, &[("origin", "http://localhost:3000")]));
        assert!(!check(Method::POST, &[("origin", "null")]));
        assert!(!check(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")]));
        assert!(check(Method::GET, &[]));
        assert!(check(Method::GET, &[("sec-fetch-site", "none")]));
        assert!(!check(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(!check(Method::GET, &[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn finds_our_cookie_among_others() {
        let all = headers(&[("cookie", "a=b; hansard=secret; hansard2=x"), ("cookie", "c=d")]);
        assert_eq!(cookie(&all, "hansard"), Some("secret"));
        assert_eq!(cookie(&all, "c"), Some("d"));
        assert_eq!(cookie(&all, "hans"), None);
    }

    #[test]
    fn reads_a_bearer() {
        assert_eq!(bearer(&headers(&[("authorization", "bearer abc")])), Some("abc"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), None);
    }
}
