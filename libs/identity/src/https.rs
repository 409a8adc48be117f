//! Asks an issuer for a small document.
//!
//! Invariants: an answer is at most [`LONGEST`] bytes long; a redirect is not followed, because it would choose whose keys
//! are believed. How long it may take, and what may be asked without TLS, is the caller's to say.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CACHE_CONTROL, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use hansard_tls as tls;

/// Longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

/// An answer.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    /// How long it may be kept (RFC 9111, `max-age`), where it says so.
    pub(crate) max_age: Option<Duration>,
}

/// Whose certificates are believed: the authorities of a file, or the operating system's.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = ca_file.map_or_else(|| Ok(tls::system_roots()), |file| tls::roots("ca_file", file))?;
    let client = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

/// Asks.
pub(crate) async fn get(uri: &Uri, client: &Arc<ClientConfig>) -> Result<Answer, String> {
    ask(uri, client).await.map_err(|reason| format!("{}: {reason}", shown(uri)))
}

/// An address in a message: what follows its question mark may be a secret.
pub(crate) fn shown(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), host_and_port(uri), uri.path())
}

async fn ask(uri: &Uri, client: &Arc<ClientConfig>) -> Result<Answer, String> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(|error| format!("cannot connect: {error}"))?;
    if !secure {
        return over(stream, uri).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "no certificate can be for this host".to_owned())?;
    let stream = TlsConnector::from(client.clone()).connect(name, stream).await;
    over(stream.map_err(|error| format!("TLS: {error}"))?, uri).await
}

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, uri: &Uri) -> Result<Answer, String> {
    let broken = |error: hyper::Error| format!("the answer broke off: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, host_and_port(uri))
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("hansard/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answered = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()));
        }
        let control = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| format!("the answer cannot be had whole: {error}"))?.to_bytes();
        Ok(Answer { body, max_age: control.and_then(|control| max_age(&control)) })
    };
    let (mut answered, mut connection) = (pin!(answered), pin!(connection));
    // The connection goes on as long as it is asked over. Its end is not the answer's, of which some may not be read yet.
    let ended = tokio::select! {
        biased;
        answer = &mut answered => return answer,
        ended = &mut connection => ended,
    };
    answered.await.map_err(|reason| ended.err().map_or(reason, broken))
}

fn host_and_port(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn max_age(control: &str) -> Option<Duration> {
    let control = control.to_ascii_lowercase();
    let mut words = control.split(',').map(str::trim);
    if words.clone().any(|word| matches!(word, "no-store" | "no-cache")) {
        return Some(Duration::ZERO);
    }
    let seconds = words.find_map(|word| word.strip_prefix("max-age="))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_may_be_kept_is_read() {
        assert_eq!(max_age("public, max-age=300, must-revalidate"), Some(Duration::from_secs(300)));
        assert_eq!(max_age("Public, Max-Age=60"), Some(Duration::from_secs(60)));
        assert_eq!(max_age("max-age=600, no-store"), Some(Duration::ZERO));
        assert_eq!(max_age("public"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
