//! The instance that gives leases, and who asks it.
//!
//! Invariant: nothing is sent to another machine: the web has no TLS.

use std::path::{Path, PathBuf};

use hansard_schemas::http::ApiError;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::cli::LeaseFrom;
use crate::config::Config;
use crate::failure::Failure;
use crate::socket;

/// Longest token file that is read.
const MAX_TOKEN: u64 = 64 * 1024;

/// See the module.
pub(super) struct Instance {
    place: Place,
    token: Option<String>,
}

enum Place {
    /// On this machine, beside its data.
    Socket(PathBuf),
    /// On this machine, or at the near end of a tunnel: `host:port`.
    Port(String),
}

impl Instance {
    /// Where the arguments say, or the running instance of the configuration. `as_job`: it is a job that asks.
    pub(super) async fn find(file: &Path, from: &LeaseFrom, as_job: bool) -> Result<Instance, Failure> {
        let token = token(from)?;
        if as_job && token.is_none() {
            return Err(Failure::usage(
                "a lease is given for a job's token: name its file with --token-file, or put it into HANSARD_TOKEN",
            ));
        }
        let place = match &from.url {
            Some(url) => Place::Port(local(url)?),
            None => {
                let config = Config::load(file)?;
                let nobody = || {
                    Failure::usage(format!(
                        "no instance of {} runs here that gives leases: start it with `hansard up`, or say --url",
                        config.file.display()
                    ))
                };
                Place::Socket(socket::find(&config).await.ok_or_else(nobody)?)
            }
        };
        if token.is_none() && matches!(place, Place::Port(_)) {
            return Err(Failure::usage(
                "over --url it has to be known who asks: say --token-file with a job's token, or with the owner's",
            ));
        }
        Ok(Instance { place, token })
    }

    /// The same instance, asked by whoever may read its record; `None` where that is known by a token alone.
    pub(super) fn as_owner(&self) -> Option<Instance> {
        match &self.place {
            Place::Socket(path) => Some(Instance { place: Place::Socket(path.clone()), token: None }),
            Place::Port(_) => None,
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::internal)?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Failure> {
        match &self.place {
            Place::Socket(socket) => match socket::connect(socket).await {
                Some(stream) => self.exchange(stream, "localhost", method, path, body).await,
                None => Err(self.lost("it is gone")),
            },
            Place::Port(host) => {
                let stream = TcpStream::connect(host).await.map_err(|error| self.lost(&error.to_string()))?;
                self.exchange(stream, host, method, path, body).await
            }
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let lost = |error: &dyn std::fmt::Display| self.lost(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
        tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path).header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::usage("the token is none: it has bytes that no token has"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| lost(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| lost(&error))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.lost("its answer cannot be read"));
        }
        Err(match serde_json::from_slice::<ApiError>(&body) {
            Ok(ApiError { error }) => {
                let hint = error.hint.map(|hint| format!(" {hint}")).unwrap_or_default();
                let of = error.parameter.map(|parameter| format!("{parameter}: ")).unwrap_or_default();
                let line = format!("{of}{}{hint}", error.message);
                match error.code.as_str() {
                    "not_found" | "unauthenticated" | "forbidden" => Failure::finding(line),
                    "internal" => Failure::internal(line),
                    _ => Failure::usage(line),
                }
            }
            Err(_) => self.lost(&format!("it answers {status}, and is no instance of Hansard")),
        })
    }

    fn lost(&self, reason: &str) -> Failure {
        let place = match &self.place {
            Place::Socket(path) => path.display().to_string(),
            Place::Port(host) => host.clone(),
        };
        Failure::usage(format!("the instance on {place} does not answer: {reason}"))
    }
}

fn token(from: &LeaseFrom) -> Result<Option<String>, Failure> {
    let text = match &from.token_file {
        Some(file) => {
            let failed = |reason: String| Failure::usage(format!("--token-file {}: {reason}", file.display()));
            let length = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
            if length > MAX_TOKEN {
                return Err(failed("it is longer than any token".to_owned()));
            }
            Some(std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?)
        }
        None => std::env::var("HANSARD_TOKEN").ok(),
    };
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// `host:port` of a URL of this machine.
fn local(url: &str) -> Result<String, Failure> {
    let wrong = |reason: &str| Failure::usage(format!("--url {url:?} {reason}"));
    let uri: hyper::Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    if uri.scheme_str() != Some("http") || uri.path().len() > 1 || uri.query().is_some() {
        return Err(wrong("has to be as http://127.0.0.1:8080, where `web.listen` is"));
    }
    let host = uri.host().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback()) {
        return Err(wrong("is of another machine, and the web has no TLS; reach it by an SSH tunnel"));
    }
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

/// As a value in a URL.
pub(super) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_to_no_other_machine() {
        for good in ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080", "http://127.0.0.1"] {
            assert!(local(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1:8080",
            "https://127.0.0.1:8080",
            "http://127.0.0.1.evil.example:1",
            "http://localhost@evil.example:1",
            "http://127.0.0.1:8080/api",
            "127.0.0.1:8080",
            "",
        ] {
            assert!(local(bad).is_err(), "{bad}");
        }
        assert_eq!(local("http://[::1]:8080").unwrap(), "[::1]:8080");
    }
}
