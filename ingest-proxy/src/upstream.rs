//! A connection to the database of a session's own, authenticated with the target's credentials.
//!
//! Invariants: the password goes to the database's address only, in the clear only on this machine; the job learns
//! neither it nor how Hansard authenticates; everything read before the session is ready is bounded. Source: the
//! PostgreSQL manual, "Message Flow", "Start-up" and "SASL Authentication".

mod auth;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::errors::{Kind, Refusal};
use crate::options::{TargetOptions, UpstreamOptions};
use crate::stream::Stream;

/// Most bytes that the database may send before it is ready.
const MAX_GREETING: usize = 256 * 1024;

/// A connection that is ready for queries.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    /// ParameterStatus and NoticeResponse frames, in order.
    pub(crate) greeting: Vec<u8>,
    /// Number of frames in `greeting`.
    pub(crate) greetings: u32,
    /// The ReadyForQuery frame.
    pub(crate) ready: [u8; 6],
    /// Its BackendKeyData: process id and secret.
    pub(crate) key: (u32, u32),
    /// What followed in the same read, if anything.
    pub(crate) rest: Vec<u8>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Told to the job as Hansard's own.
    Refusal(Refusal),
    /// The database's own ErrorResponse, which goes to the job as it is.
    Passed(Vec<u8>),
}

impl Failure {
    /// One line for the operator.
    pub(crate) fn line(&self) -> String {
        match self {
            Failure::Refusal(refusal) if refusal.internal.is_empty() => refusal.message.clone(),
            Failure::Refusal(refusal) => refusal.internal.clone(),
            Failure::Passed(frame) => auth::error_text(&frame[5..]),
        }
    }
}

/// Connects within `patience`. `parameters` go into the StartupMessage beside user and database.
pub(crate) async fn connect<'a>(
    target: &'a TargetOptions,
    database: &'a str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
    patience: Duration,
) -> Result<Upstream, Failure> {
    let mut startup = BytesMut::new();
    let fixed = [("user", target.upstream.user.as_str()), ("database", database)];
    frontend::startup_message(fixed.into_iter().chain(parameters), &mut startup)
        .map_err(|_| Failure::Refusal(Refusal::new(Kind::Protocol, "a start-up parameter holds a zero byte")))?;
    match tokio::time::timeout(patience, open(target, &startup)).await {
        Ok(result) => result,
        Err(_) => Err(unreachable(target, &format!("no answer within {} s", patience.as_secs_f32()))),
    }
}

/// Asks the database to cancel what the connection with this key runs.
pub(crate) async fn cancel(upstream: &UpstreamOptions, key: (u32, u32), patience: Duration) -> io::Result<()> {
    let ask = async {
        let mut stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(key.0.cast_signed(), key.1.cast_signed(), &mut request);
        stream.write_all(&request).await?;
        // The server closes the connection once it has handled the request: then it has.
        stream.read(&mut [0]).await.map(drop)
    };
    tokio::time::timeout(patience, ask).await?
}

/// See [`crate::check_target`].
pub(crate) async fn check(target: &TargetOptions, patience: Duration) -> Result<String, String> {
    let upstream = &target.upstream;
    let database = upstream.database.as_deref().unwrap_or("postgres");
    let place = format!("database \"{database}\" at {}:{} as {}", upstream.host, upstream.port, upstream.user);
    match connect(target, database, [("application_name", "hansard")].into_iter(), patience).await {
        Ok(mut upstream) => {
            let version = auth::parameter(&upstream.greeting, "server_version").unwrap_or("of unknown version");
            let line = format!("target \"{}\": connected to {place}: PostgreSQL {version}", target.name);
            // A goodbye that does not arrive changes nothing: the connection is closed either way.
            let _ = upstream.stream.write_all(b"X\0\0\0\x04").await;
            Ok(line)
        }
        Err(failure) => Err(format!("target \"{}\": cannot use {place}: {}", target.name, failure.line())),
    }
}

async fn open(target: &TargetOptions, startup: &[u8]) -> Result<Upstream, Failure> {
    let upstream = &target.upstream;
    let broken = |error: io::Error| unreachable(target, &error.to_string());
    let stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await.map_err(broken)?;
    let peer = stream.peer_addr().map_err(broken)?;
    prepare(&stream).map_err(broken)?;
    let mut wire = Wire { stream: Stream::Plain(stream), inbox: Vec::new(), taken: 0, total: 0 };
    wire.stream.write_all(startup).await.map_err(broken)?;
    auth::authenticate(&mut wire, target, peer).await?;
    greet(wire, target).await
}

/// What every connection is set to: no delay for small writes, and a way to notice that the other host is gone.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    stream.set_nodelay(true)
}

/// From AuthenticationOk to ReadyForQuery.
async fn greet(mut wire: Wire, target: &TargetOptions) -> Result<Upstream, Failure> {
    let (mut greeting, mut greetings, mut key) = (Vec::new(), 0, (0, 0));
    loop {
        let frame = wire.frame(target).await?;
        match (frame[0], frame.len()) {
            (b'S' | b'N', _) => {
                greeting.extend_from_slice(frame);
                greetings += 1;
            }
            (b'K', 13) => {
                let number = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
                key = (number(5), number(9));
            }
            (b'Z', 6) => {
                let ready = [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]];
                let rest = wire.inbox.split_off(wire.taken);
                return Ok(Upstream { stream: wire.stream, greeting, greetings, ready, key, rest });
            }
            (b'E', _) => return Err(auth::failure(target, frame)),
            (tag, _) => return Err(strange(target, tag)),
        }
    }
}

/// Frames of the database, one by one, while the session is set up.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    inbox: Vec<u8>,
    /// Bytes of `inbox` that have been handed out.
    taken: usize,
    total: usize,
}

impl Wire {
    /// The next whole frame.
    async fn frame(&mut self, target: &TargetOptions) -> Result<&[u8], Failure> {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        loop {
            if let Some(frame) = hansard_pg_wire::frame::frames(&self.inbox).next() {
                self.taken = frame.bytes.len();
                return Ok(&self.inbox[..self.taken]);
            }
            // Small, so that what may follow the last frame fits any buffer.
            let mut chunk = [0; 4096];
            let read = self.stream.read(&mut chunk).await;
            let read = read.map_err(|error| unreachable(target, &error.to_string()))?;
            self.inbox.extend_from_slice(&chunk[..read]);
            self.total += read;
            if read == 0 {
                return Err(unreachable(target, "it closed the connection during start-up"));
            }
            if self.total > MAX_GREETING {
                return Err(unreachable(target, "its start-up messages are too long"));
            }
        }
    }

    async fn send(&mut self, target: &TargetOptions, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await.map_err(|error| unreachable(target, &error.to_string()))
    }
}

fn unreachable(target: &TargetOptions, reason: &str) -> Failure {
    let upstream = &target.upstream;
    Failure::Refusal(
        Refusal::new(Kind::Unreachable, format!("the database of target \"{}\" cannot be reached", target.name))
            .hint("Try again later. Operators: Hansard's log names the reason.")
            .internal(format!(
                "{}:{} cannot be reached: {reason}; see whether the database runs and the target's upstream is right",
                upstream.host, upstream.port
            )),
    )
}

fn strange(target: &TargetOptions, tag: u8) -> Failure {
    unreachable(target, &format!("it sent a message '{}' that has no place there", tag.escape_ascii()))
}

/// The database does not take Hansard's credentials.
fn refused(target: &TargetOptions, reason: &str) -> Failure {
    Failure::Refusal(
        Refusal::new(Kind::Upstream, format!("the database of target \"{}\" does not let Hansard in", target.name))
            .hint("This is not about the job's token. Operators: Hansard's log names the reason.")
            .internal(format!(
                "the database does not accept Hansard's credentials for user \"{}\": {reason}; see upstream and upstream_password_file of the target, and pg_hba.conf of the server",
                target.upstream.user
            )),
    )
}

/// Whether bytes to this address stay on this machine.
fn is_local(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}
