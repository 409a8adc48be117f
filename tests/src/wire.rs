//! A client that speaks PostgreSQL's protocol message by message, and servers that a test plays.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(60);

/// A message's tag and body.
pub type Message = (u8, Vec<u8>);

/// A connection, and what has come over it.
#[derive(Debug)]
pub struct Wire {
    pub stream: TcpStream,
    inbox: Vec<u8>,
    process_id: u32,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, inbox: Vec::new(), process_id: 0 })
    }

    /// Through start-up, with the password asked for in clear, up to ReadyForQuery.
    pub async fn session(address: SocketAddr, user: &str, database: &str, password: &str) -> Result<Wire> {
        Wire::session_with(address, &[("user", user), ("database", database)], password).await
    }

    /// Likewise, with these start-up parameters.
    pub async fn session_with(address: SocketAddr, parameters: &[(&str, &str)], password: &str) -> Result<Wire> {
        let mut wire = Wire::connect(address).await?;
        wire.send(&startup(parameters)).await?;
        wire.send(&frame(b'p', &[password.as_bytes(), b"\0"].concat())).await?;
        let messages = wire.until(b'Z').await?;
        if let Some((_, key)) = messages.iter().find(|(tag, body)| *tag == b'K' && body.len() >= 4) {
            wire.process_id = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
        }
        match messages.last() {
            Some((b'Z', _)) => Ok(wire),
            last => bail!("no session: {last:?}"),
        }
    }

    /// As BackendKeyData tells it.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next message; `None` at the end of the stream, however it ends.
    pub async fn message(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(length) = whole(&self.inbox) {
                let frame: Vec<u8> = self.inbox.drain(..length).collect();
                return Ok(Some((frame[0], frame[5..].to_vec())));
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.inbox));
            match read.await.context("the other side neither speaks nor closes")? {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// Messages up to one with this tag, it included; fewer where the stream ends.
    pub async fn until(&mut self, tag: u8) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await? {
            let last = message.0 == tag;
            messages.push(message);
            if last {
                break;
            }
        }
        Ok(messages)
    }

    /// What a simple query is answered with.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Message>> {
        self.send(&query(sql)).await?;
        self.until(b'Z').await
    }

    /// Everything up to the end of the stream, as bytes.
    pub async fn rest(mut self) -> Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.inbox);
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest));
        // A reset after the last words is an end as well.
        let _ = read.await.context("the other side does not close")?;
        Ok(rest)
    }

    /// The error that the other side ends with, after whatever it said before: SQLSTATE and message.
    pub async fn fatal(&mut self) -> Result<(String, String)> {
        while let Some((tag, body)) = self.message().await? {
            if tag == b'E' && field(&body, b'S') == "FATAL" {
                let after = self.message().await?;
                anyhow::ensure!(after.is_none(), "{after:?} follows a FATAL");
                return Ok((field(&body, b'C'), field(&body, b'M')));
            }
        }
        bail!("the connection ended without a word")
    }
}

/// Length of the first frame, when it is whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize + 1;
    (bytes.len() >= length).then_some(length)
}

/// A field of an ErrorResponse or NoticeResponse.
pub fn field(body: &[u8], code: u8) -> String {
    let found = body.split(|&byte| byte == 0).find(|field| field.first() == Some(&code));
    found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
}

pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("tests' messages are short");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// A simple query; names and texts are bytes, for encodings other than UTF-8.
pub fn query(sql: impl AsRef<[u8]>) -> Vec<u8> {
    frame(b'Q', &[sql.as_ref(), b"\0"].concat())
}

/// Parse, with the parameters' types left to the server where none are given.
pub fn parse(name: impl AsRef<[u8]>, sql: impl AsRef<[u8]>, types: &[u32]) -> Vec<u8> {
    let mut body = [name.as_ref(), b"\0", sql.as_ref(), b"\0", &short(types.len())].concat();
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    frame(b'P', &body)
}

/// A bound value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

/// Bind, with results as text.
pub fn bind(portal: impl AsRef<[u8]>, statement: impl AsRef<[u8]>, values: &[Bound]) -> Vec<u8> {
    let mut body = [portal.as_ref(), b"\0", statement.as_ref(), b"\0", &short(values.len())].concat();
    body.extend(values.iter().flat_map(|value| short(usize::from(matches!(value, Bound::Binary(_))))));
    body.extend(short(values.len()));
    for Bound::Text(bytes) | Bound::Binary(bytes) in values {
        body.extend(u32::try_from(bytes.len()).expect("tests' messages are short").to_be_bytes());
        body.extend(bytes);
    }
    body.extend(short(0));
    frame(b'B', &body)
}

/// Describe of a statement (`S`) or portal (`P`).
pub fn describe(kind: u8, name: impl AsRef<[u8]>) -> Vec<u8> {
    frame(b'D', &[&[kind][..], name.as_ref(), b"\0"].concat())
}

/// Close of a statement (`S`) or portal (`P`).
pub fn close(kind: u8, name: impl AsRef<[u8]>) -> Vec<u8> {
    frame(b'C', &[&[kind][..], name.as_ref(), b"\0"].concat())
}

/// Execute; 0 rows are all of them.
pub fn execute(portal: impl AsRef<[u8]>, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_ref(), b"\0", &rows.to_be_bytes()].concat())
}

/// Parse, Bind and Execute of the unnamed statement.
pub fn extended(sql: impl AsRef<[u8]>) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat()
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub fn copy_data(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(b'd', bytes.as_ref())
}

pub fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

pub fn copy_fail() -> Vec<u8> {
    frame(b'f', b"enough\0")
}

pub fn terminate() -> Vec<u8> {
    frame(b'X', b"")
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("tests' messages are short").to_be_bytes()
}

/// A StartupMessage of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("tests' messages are short");
    [&length.to_be_bytes()[..], &body].concat()
}

/// The answer to what Hansard asks at the beginning of a session.
fn beginning() -> Vec<u8> {
    let answers = ["public", "none", "app", "origin"].map(|value| {
        let description = [&b"\0\x01value\0"[..], &[0; 6], &25_u32.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
        let length = u32::try_from(value.len()).unwrap_or_default().to_be_bytes();
        let row = [&b"\0\x01"[..], &length, value.as_bytes()].concat();
        [frame(b'T', &description), frame(b'D', &row), frame(b'C', b"SHOW\0")].concat()
    });
    [answers.concat(), frame(b'Z', b"I")].concat()
}

/// A server that lets everybody in and gives each connection's first request to `play`.
pub async fn server<F, P>(play: P) -> Result<SocketAddr>
where
    F: Future<Output = ()> + Send + 'static,
    P: Fn(TcpStream, Message) -> F + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let play = play.clone();
            tokio::spawn(async move {
                let mut wire = Wire { stream, inbox: Vec::new(), process_id: 0 };
                let _ = wire.stream.set_nodelay(true);
                let mut opening = [0; 1024];
                let length = wire.stream.read(&mut opening).await.unwrap_or_default();
                // What Hansard asks for itself is not what is played.
                if opening[..length].windows(8).any(|word| word == b"hansard\0") {
                    return;
                }
                let welcome = [frame(b'R', &[0; 4]), frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]), frame(b'Z', b"I")];
                let _ = wire.send(&welcome.concat()).await;
                let Ok(Some(mut request)) = wire.message().await else { return };
                if request.1.starts_with(b"SHOW search_path") {
                    let _ = wire.send(&beginning()).await;
                    let Ok(Some(next)) = wire.message().await else { return };
                    request = next;
                }
                play(wire.stream, request).await;
            });
        }
    });
    Ok(address)
}
