//! A client that speaks the protocol byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection and what has come over it.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    /// What has come and has not been asked for.
    pub(crate) inbox: Vec<u8>,
}

/// The requests for encryption that may come before a StartupMessage.
pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
pub(crate) const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// A frame's tag and body.
pub(crate) type Message = (u8, Vec<u8>);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, inbox: Vec::new() }
    }

    /// Through start-up and authentication, up to ReadyForQuery.
    pub(crate) async fn session(address: SocketAddr, token: &str) -> Raw {
        let mut raw = Raw::connect(address).await;
        raw.log_in(token).await;
        raw
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(stream: S) -> Raw<S> {
        Raw { stream, inbox: Vec::new() }
    }

    /// Start-up and authentication, up to ReadyForQuery.
    pub(crate) async fn log_in(&mut self, token: &str) {
        self.send(&startup(&[("user", "nightly"), ("database", "ranking")])).await;
        assert_eq!(self.message().await.unwrap().0, b'R');
        self.send(&password(token)).await;
        let messages = self.until(b'Z').await;
        assert_eq!(messages[0], (b'R', vec![0; 4]), "{messages:?}");
    }

    /// The first value of the first row that a query returns.
    pub(crate) async fn value(&mut self, sql: &str) -> String {
        self.send(&query(sql)).await;
        let messages = self.until(b'Z').await;
        let row = messages.iter().find(|(tag, _)| *tag == b'D').unwrap_or_else(|| panic!("{messages:?}"));
        let length = u32::from_be_bytes(row.1[2..6].try_into().unwrap()) as usize;
        String::from_utf8(row.1[6..6 + length].to_vec()).unwrap()
    }

    /// Asks and closes its half at once: what was asked is still answered, and then the other half is closed.
    pub(crate) async fn close_half_and_read_the_answer(&mut self) {
        self.send(&query("SELECT 'answered'")).await;
        self.stream.shutdown().await.unwrap();
        let messages = self.until(b'Z').await;
        assert!(messages.iter().any(|(tag, body)| *tag == b'D' && body.ends_with(b"answered")), "{messages:?}");
        assert!(self.message().await.is_none());
    }

    /// The one byte that answers a request for encryption.
    pub(crate) async fn ask(&mut self, request: [u8; 8]) -> char {
        self.send(&request).await;
        let mut answer = [0];
        self.stream.read_exact(&mut answer).await.unwrap();
        char::from(answer[0])
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        // A stream in TLS may hold the last of it back.
        self.stream.flush().await.unwrap();
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            let first = hansard_pg_wire::frame::frames(&self.inbox).next();
            if let Some((tag, body, length)) = first.map(|frame| (frame.tag, frame.body.to_vec(), frame.bytes.len())) {
                self.inbox.drain(..length);
                return Some((tag, body));
            }
            let mut chunk = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(60), self.stream.read(&mut chunk));
            match read.await.expect("the other side neither speaks nor closes") {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.inbox.extend_from_slice(&chunk[..read]),
            }
        }
    }

    /// Messages up to one with this tag, it included; fewer when the stream ends.
    pub(crate) async fn until(&mut self, tag: u8) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await {
            let last = message.0 == tag;
            messages.push(message);
            if last {
                break;
            }
        }
        messages
    }

    /// Everything up to the end of the stream, as bytes.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.inbox);
        let read = tokio::time::timeout(Duration::from_secs(60), self.stream.read_to_end(&mut rest));
        // A reset after the last words is an end as well.
        let _ = read.await.expect("the other side does not close");
        rest
    }

    /// The error that the other side ends with: SQLSTATE and message.
    pub(crate) async fn fatal(&mut self) -> (String, String) {
        let messages = self.until(b'E').await;
        let (_, body) = messages.last().expect("an error");
        let error = (field(body, b'C'), field(body, b'M'));
        assert_eq!(field(body, b'S'), "FATAL");
        assert!(!field(body, b'C').is_empty() && self.message().await.is_none(), "something follows {error:?}");
        error
    }
}

pub(crate) fn field(body: &[u8], code: u8) -> String {
    body.split(|&byte| byte == 0)
        .find(|field| field.first() == Some(&code))
        .map(|field| String::from_utf8(field[1..].to_vec()).unwrap())
        .unwrap_or_default()
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_of(196_608, parameters)
}

pub(crate) fn startup_of(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    let mut out = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    out.extend(body);
    out
}

pub(crate) fn password(text: &str) -> Vec<u8> {
    frame(b'p', &[text.as_bytes(), b"\0"].concat())
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}
