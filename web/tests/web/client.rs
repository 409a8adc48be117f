//! A bare HTTP client: tests must be able to say what no well-behaved client says.

use std::{net::SocketAddr, sync::Arc};

use hansard_query::EngineOptions;
use hansard_schemas::http::{ErrorBody, TargetHint};
use hansard_web::{Web, WebOptions};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::night::{Night, night};

/// A running server over [`night`], ended with this.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) link: String,
    pub(crate) night: Night,
    pub(crate) request_timeout: std::time::Duration,
    stop: CancellationToken,
    /// Holds `data`, with the token and the socket where `hansard up` has them.
    pub(crate) folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::with(EngineOptions { target_partitions: 2, ..EngineOptions::default() }).await
    }

    pub(crate) async fn with(engine: EngineOptions) -> Server {
        let night = night().await;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("run")).unwrap();
        let socket = tokio::net::UnixListener::bind(data.join("run/up.sock")).unwrap();
        let token_file = data.join("api-token");
        let options = WebOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            token_file: token_file.clone(),
            login_command: "hansard login --config hansard.toml".into(),
            targets: vec![TargetHint { name: "ranking".into(), listen: "127.0.0.1:6432".into(), database: None }],
            leases: None,
        };
        let web = Web::bind(options, Arc::new(night.fixture.engine_with(engine))).await.unwrap();
        let request_timeout = web.request_timeout();
        let (address, link, stop) = (web.address(), web.login_link(), CancellationToken::new());
        tokio::spawn(web.also_on(socket).serve(stop.clone()));
        let token = hansard_web::read_token(&token_file).unwrap();
        Server { address, token, link, night, request_timeout, stop, folder }
    }

    /// A request of the owner's, with the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.send("GET", path, &[("authorization", &bearer)], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send("POST", path, &headers, body).await
    }

    /// A request with exactly these headers, and Host and length where they are not among them.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send_as("HTTP/1.1", method, path, headers, body).await
    }

    pub(crate) async fn send_as(
        &self,
        version: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request =
            format!("{method} {path} {version}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if headers.iter().all(|(name, _)| *name != "host") {
            request.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read all of a body that is too long.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Answer::read(&answer)
    }

    /// Logs in with the printed link; gives the cookie.
    pub(crate) async fn log_in(&self) -> String {
        let (_, path) = self.link.split_once(&self.address.to_string()).unwrap();
        let answer = self.send("GET", path, &[], "").await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// HTTP says that this is all of it.
    pub(crate) complete: bool,
}

impl Answer {
    fn read(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse::<usize>());
        let mut complete = length.is_none_or(|length| length.unwrap() == body.len());
        if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            (body, complete) = unchunk(&body);
        }
        Answer { status, headers, body, complete }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> ErrorBody {
        serde_json::from_slice::<hansard_schemas::http::ApiError>(&self.body).unwrap().error
    }
}

/// The chunks' bytes, and whether the last one is there.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return (whole, true);
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + length) else { break };
        whole.extend_from_slice(chunk);
        rest = rest.get(end + 2 + length + 2..).unwrap_or_default();
    }
    (whole, false)
}
