//! A connection to the database of a session's own, authenticated with the target's credentials.
//!
//! Invariants: the password goes to the database's address only, in the clear only on this machine or to a server whose
//! certificate has been checked; with TLS nothing is sent or believed before it is up; the job learns neither the
//! password nor how Hansard authenticates; everything read before the session is ready is bounded. Source: the
//! PostgreSQL manual, "Message Flow", "Start-up" and "SASL Authentication".

mod auth;
mod certificate;
mod credentials;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod scram;
mod tls;

pub(super) use certificate::end_point;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use hansard_pg_wire::frame::HEADER;
use hansard_pg_wire::frame::MAX_STARTUP;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::errors::{Error, Kind, Refusal};
use crate::options::TargetOptions;
use crate::postgres::cancel::UpstreamKey;
use crate::relay::stream::Stream;
use credentials::{Credentials, Source};

/// Most bytes that the database may send before it is ready, and in answer to a question of Hansard's own.
const MAX_GREETING: usize = 256 * 1024;

/// Protocol 3.2, which has longer cancel keys, and 3.0 for servers that refuse it.
const NEWEST: u32 = 3 << 16 | 2;
const OLDEST: u32 = 3 << 16;

/// Terminate.
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// The way to one target's database, and what has been learned of it.
#[derive(Debug)]
pub(crate) struct Route {
    tls: Option<tls::Client>,
    password: Source,
    /// The server refused protocol 3.2.
    old: AtomicBool,
}

impl Route {
    /// Reads the certificates that the target's URL names, and the password's file.
    pub(crate) fn open(target: &TargetOptions) -> Result<Route, Error> {
        let wrong = |reason| Error::Credentials { target: target.name.clone(), reason };
        let tls = tls::Client::open(target).map_err(wrong)?;
        let password = Source::open(target).map_err(wrong)?;
        Ok(Route { tls, password, old: AtomicBool::new(false) })
    }

    /// The password for the target's database, as it is now.
    async fn credentials(&self, target: &TargetOptions) -> Result<Arc<Credentials>, Failure> {
        self.password.get().await.map_err(|reason| refused(target, &reason))
    }
}

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
    /// Its BackendKeyData.
    pub(crate) key: UpstreamKey,
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
            Failure::Refusal(refusal) => refusal.internal.to_string(),
            Failure::Passed(frame) => auth::error_text(&frame[5..]),
        }
    }
}

/// Connects within `patience`. `parameters` go into the StartupMessage beside user and database.
pub(crate) async fn connect<'a>(
    target: &'a TargetOptions,
    route: &Route,
    database: &'a str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
    patience: Duration,
) -> Result<Upstream, Failure> {
    let mut startup = BytesMut::new();
    let fixed = [("user", target.upstream.user.as_str()), ("database", database)];
    frontend::startup_message(fixed.into_iter().chain(parameters), &mut startup)
        .map_err(|_| Failure::Refusal(Refusal::new(Kind::Protocol, "a start-up parameter holds a zero byte")))?;
    if startup.len() > MAX_STARTUP {
        let message = format!(
            "the start-up packet of the session has {} bytes, and PostgreSQL takes {MAX_STARTUP}",
            startup.len()
        );
        return Err(Failure::Refusal(Refusal::new(Kind::Parameter, message).hint(
            "Give fewer or shorter settings; operators: identity_settings tells the database subject and groups.",
        )));
    }
    match tokio::time::timeout(patience, negotiate(target, route, startup)).await {
        Ok(result) => {
            if matches!(&result, Err(Failure::Refusal(refusal)) if refusal.kind == Kind::Upstream) {
                route.password.refused();
            }
            result
        }
        Err(_) => Err(unreachable(target, &format!("no answer within {} s", patience.as_secs_f32()))),
    }
}

/// Asks the database to cancel what the connection with this key runs, on a connection that is as safe as that one.
pub(crate) async fn cancel(
    target: &TargetOptions,
    route: &Route,
    key: &UpstreamKey,
    patience: Duration,
) -> Result<(), Failure> {
    if key.secret.is_empty() {
        return Err(unreachable(target, "it gave no key to cancel with"));
    }
    let ask = async {
        let mut stream = tls::dial(target, route.tls.as_ref()).await?.stream;
        let request = hansard_pg_wire::frame::startup::cancel_request(key.process_id, &key.secret);
        let asked = async {
            stream.write_all(&request).await?;
            // The server closes the connection once it has handled the request: then it has.
            stream.read(&mut [0]).await
        };
        asked.await.map(drop).map_err(|error| unreachable(target, &error.to_string()))
    };
    match tokio::time::timeout(patience, ask).await {
        Ok(result) => result,
        Err(_) => Err(unreachable(target, &format!("no answer within {} s", patience.as_secs_f32()))),
    }
}

/// See [`crate::check_target`].
pub(crate) async fn check(target: &TargetOptions, route: &Route, patience: Duration) -> Result<String, String> {
    let upstream = &target.upstream;
    let database = upstream.database.as_deref().unwrap_or("postgres");
    let place = format!("database \"{database}\" at {}:{} as {}", upstream.host, upstream.port, upstream.user);
    match connect(target, route, database, [("application_name", "hansard")].into_iter(), patience).await {
        Ok(mut upstream) => {
            let version = auth::parameter(&upstream.greeting, "server_version").unwrap_or("of unknown version");
            let how = if route.tls.is_some() { " with TLS" } else { "" };
            let line = format!("target \"{}\": connected to {place}{how}: PostgreSQL {version}", target.name);
            // A Terminate that does not arrive changes nothing: the connection is closed either way.
            let _ = upstream.stream.write_all(TERMINATE).await;
            Ok(line)
        }
        Err(failure) => Err(format!("target \"{}\": cannot use {place}: {}", target.name, failure.line())),
    }
}

/// In the newest protocol that the server speaks.
async fn negotiate(target: &TargetOptions, route: &Route, startup: BytesMut) -> Result<Upstream, Failure> {
    if !route.old.load(Ordering::Relaxed) {
        match open(target, route, &startup, NEWEST).await {
            // UntaggedPacket before anything else, it can be about the version: NegotiateProtocolVersion is younger than some.
            Err(Failure::Passed(frame)) if auth::is_about_the_version(&frame) => {}
            result => return result,
        }
    }
    let upstream = open(target, route, &startup, OLDEST).await?;
    route.old.store(true, Ordering::Relaxed);
    Ok(upstream)
}

async fn open(target: &TargetOptions, route: &Route, startup: &[u8], version: u32) -> Result<Upstream, Failure> {
    let line = tls::dial(target, route.tls.as_ref()).await?;
    let mut wire = Wire::new(line.stream, Vec::new());
    let startup = [&startup[..4], &version.to_be_bytes(), &startup[8..]].concat();
    wire.send(target, &startup).await?;
    auth::authenticate(&mut wire, target, route, &line.safety).await?;
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
    let (mut greeting, mut greetings, mut key) = (Vec::new(), 0, UpstreamKey::default());
    loop {
        let frame = wire.frame(target).await?;
        match (frame[0], frame.len()) {
            (b'S' | b'N', _) => {
                greeting.extend_from_slice(frame);
                greetings += 1;
            }
            // Secrets of 4 to 256 bytes.
            (b'K', 13..=265) => {
                let process_id = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
                key = UpstreamKey { process_id, secret: frame[9..].into() };
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

impl Upstream {
    /// Asks a question of Hansard's own before the session begins. Gives the first column of each row; an error of the
    /// database is none. What the server tells unasked (ParameterStatus) is the session's.
    pub(crate) async fn ask(
        self,
        target: &TargetOptions,
        question: &str,
        patience: Duration,
    ) -> Result<(Upstream, Vec<Vec<u8>>), Failure> {
        match tokio::time::timeout(patience, self.exchange(target, question)).await {
            Ok(result) => result,
            Err(_) => Err(unreachable(target, &format!("no answer within {} s", patience.as_secs_f32()))),
        }
    }

    async fn exchange(self, target: &TargetOptions, question: &str) -> Result<(Upstream, Vec<Vec<u8>>), Failure> {
        let Upstream { stream, mut greeting, mut greetings, ready, key, rest } = self;
        let mut wire = Wire::new(stream, rest);
        let mut message = BytesMut::new();
        frontend::query(question, &mut message).map_err(|_| strange(target, b'Q'))?;
        wire.send(target, &message).await?;
        let mut column = Vec::new();
        loop {
            let frame = wire.frame(target).await?;
            match frame[0] {
                b'D' => column.extend(first_value(&frame[5..])),
                b'S' => {
                    greeting.extend_from_slice(frame);
                    greetings += 1;
                }
                b'Z' => break,
                _ => {}
            }
        }
        let rest = wire.inbox.split_off(wire.taken);
        Ok((Upstream { stream: wire.stream, greeting, greetings, ready, key, rest }, column))
    }
}

/// The last value of a parameter that the server has told by itself.
pub(crate) fn told<'a>(upstream: &'a Upstream, name: &str) -> Option<&'a str> {
    auth::parameter(&upstream.greeting, name)
}

/// Of a DataRow's body.
fn first_value(row: &[u8]) -> Option<Vec<u8>> {
    let (length, value) = row.get(2..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some(value.get(..length)?.to_vec())
}

/// Frames of the database, one by one, while the session is set up.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    inbox: Vec<u8>,
    /// Bytes of `inbox` that have been handed out.
    taken: usize,
    total: usize,
    /// Small, so that what may follow the last frame fits any buffer.
    chunk: Box<[u8]>,
}

impl Wire {
    fn new(stream: Stream, inbox: Vec<u8>) -> Wire {
        Wire { stream, inbox, taken: 0, total: 0, chunk: vec![0; 4096].into_boxed_slice() }
    }

    /// The next whole frame.
    async fn frame(&mut self, target: &TargetOptions) -> Result<&[u8], Failure> {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        loop {
            if let Some(frame) = hansard_pg_wire::frame::frames(&self.inbox).next() {
                self.taken = frame.bytes.len();
                return Ok(&self.inbox[..self.taken]);
            }
            if let Some(header) = self.inbox.first_chunk::<HEADER>() {
                let length = i32::from_be_bytes([header[1], header[2], header[3], header[4]]);
                if !usize::try_from(length).is_ok_and(|length| (4..=MAX_GREETING).contains(&length)) {
                    return Err(strange(target, header[0]));
                }
            }
            let read = self.stream.read(&mut self.chunk).await;
            let read = read.map_err(|error| unreachable(target, &error.to_string()))?;
            self.inbox.extend_from_slice(&self.chunk[..read]);
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
