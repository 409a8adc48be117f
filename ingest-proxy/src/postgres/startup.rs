//! Start-up of a connection: the packets before authentication, and the password.
//!
//! Invariants: one way only, from SSLRequest to StartupMessage to password; bytes that came before TLS was up are never
//! carried into it; at most [`MAX_STARTUP`] bytes are held. Source: the PostgreSQL manual, "Message Flow", "SSL Session
//! Encryption" and "GSSAPI Session Encryption".

use std::io;

use hansard_pg_wire::frame::startup::{Packet, Startup, StartupError, parse};
use hansard_pg_wire::frame::{HEADER, MAX_STARTUP};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::authentication::LONGEST_ANSWER;
use super::{ALPN, refusal as message};
use crate::admission::tls::ListenerTls;
use crate::clock;
use crate::direction::Direction;
use crate::errors::{Kind, Refusal};
use crate::relay::stream::Stream;
use hansard_identity::MAX_TOKEN;
use hansard_identity::names::cut;

/// The newest minor version of protocol 3 that jobs are served.
const NEWEST_MINOR: u16 = 2;

/// Bytes of a name in PostgreSQL (`NAMEDATALEN` without its zero). Those of role and database are cut by the server, too.
const LONGEST_NAME: usize = 63;

/// What a TLS handshake begins with (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The exchange of packets that opens a connection.
#[derive(Debug)]
pub(crate) struct StartupExchange {
    /// `None` once it was lost in a handshake.
    pub(crate) stream: Option<Stream>,
    /// Bytes that have come and not been understood.
    pub(crate) inbox: Vec<u8>,
    /// What was said so far, to be recorded once it is clear that this is a session.
    pub(crate) messages: Vec<EarlyMessage>,
    /// The certificate that the job was shown, in DER; `None` without TLS.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What was sent before it was known who is there, in order.
#[derive(Debug)]
pub(crate) struct EarlyMessage {
    pub(crate) at: u64,
    pub(crate) direction: Direction,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// A packet without a tag.
    Packet(Vec<u8>),
    /// A frame.
    Frame(Vec<u8>),
    /// The password, or what proves it, which is not kept.
    Password,
    /// What is said to somebody who proves a password, which is not kept either.
    Challenge,
}

/// What a connection asks for.
#[derive(Debug)]
pub(crate) enum StartupRequest {
    Session(SessionRequest),
    Cancel { process_id: u32, secret: Vec<u8> },
}

/// A StartupMessage, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionRequest {
    pub(crate) user: String,
    /// As asked for, or the user's name where it was not.
    pub(crate) database: String,
    /// Without user and database.
    pub(crate) parameters: Vec<(String, String)>,
    /// Of the protocol, as asked for.
    pub(crate) minor: u16,
    /// Names that were longer than PostgreSQL's are.
    pub(crate) cut: Vec<CutName>,
    /// Protocol options (`_pq_.`) asked for; none is known.
    pub(crate) protocol_options: Vec<String>,
}

/// A name that was cut, as PostgreSQL itself cuts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutName {
    /// What it names.
    pub(crate) what: &'static str,
    /// How long it was, and what was kept, in bytes.
    pub(crate) bytes: usize,
    pub(crate) kept: usize,
}

/// Why a connection asks for nothing that can be served.
#[derive(Debug)]
pub(crate) enum StartupFailure {
    /// Closed before it had said anything: a port check.
    Unused,
    /// Closed, or broken, in the middle.
    Disconnected,
    Refused(Refusal, RefusalFormat),
}

/// In which protocol a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalFormat {
    Postgres,
    Http,
    TlsAlert,
    /// TLS has sent its own alert.
    Nothing,
}

impl From<Refusal> for StartupFailure {
    fn from(refusal: Refusal) -> StartupFailure {
        StartupFailure::Refused(refusal, RefusalFormat::Postgres)
    }
}

impl From<io::Error> for StartupFailure {
    fn from(_: io::Error) -> StartupFailure {
        StartupFailure::Disconnected
    }
}

impl RefusalFormat {
    /// The refusal's bytes.
    pub(crate) fn bytes(self, refusal: &Refusal) -> Vec<u8> {
        match self {
            RefusalFormat::Postgres => message::frame(refusal),
            RefusalFormat::Http => {
                let text =
                    "This port speaks the PostgreSQL protocol, not HTTP. Connect with psql or a PostgreSQL driver.\n";
                let length = text.len();
                format!(
                    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                )
                .into_bytes()
            }
            // Alert, TLS 1.0 record, fatal, handshake_failure (RFC 8446, section 6).
            RefusalFormat::TlsAlert => vec![0x15, 3, 1, 0, 2, 2, 40],
            RefusalFormat::Nothing => Vec::new(),
        }
    }
}

impl StartupExchange {
    pub(crate) fn new(stream: Stream) -> StartupExchange {
        StartupExchange { stream: Some(stream), inbox: Vec::new(), messages: Vec::new(), certificate: None }
    }

    /// Reads until it is known what the connection asks for.
    pub(crate) async fn request(&mut self, listener_tls: &ListenerTls) -> Result<StartupRequest, StartupFailure> {
        let (mut asked_tls, mut asked_gss) = (false, false);
        let acceptor = listener_tls.acceptor();
        if let Some(acceptor) = &acceptor
            && self.begins_with_tls().await?
        {
            self.encrypt(acceptor, true).await?;
            (asked_tls, asked_gss) = (true, true);
        }
        loop {
            let (packet, length) = match parse(&self.inbox) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.read().await?;
                    continue;
                }
                Err(error) => return Err(refuse(error, self.is_encrypted())),
            };
            let tls = packet == Packet::SslRequest;
            let asked = match packet {
                Packet::SslRequest => &mut asked_tls,
                Packet::GssEncRequest => &mut asked_gss,
                Packet::CancelRequest { process_id, secret_key } => {
                    return Ok(StartupRequest::Cancel { process_id, secret: secret_key.to_vec() });
                }
                Packet::Startup(startup) => {
                    let request = request(&startup)?;
                    self.take(length);
                    if !self.is_encrypted() && !listener_tls.plaintext {
                        return Err(Refusal::new(Kind::Tls, "sessions without TLS are not taken here")
                            .hint("Connect with sslmode=verify-full, or at least with sslmode=require.")
                            .into());
                    }
                    return Ok(StartupRequest::Session(request));
                }
            };
            if std::mem::replace(asked, true) {
                return Err(Refusal::new(Kind::Protocol, "encryption was asked for twice").into());
            }
            if self.inbox.len() > length {
                return Err(Refusal::new(Kind::Protocol, "received data after a request for encryption")
                    .detail("It came before the answer and could have been put there by somebody in between.")
                    .into());
            }
            self.take(length);
            match acceptor.as_ref().filter(|_| tls) {
                None => self.answer(b'N').await?,
                Some(acceptor) => {
                    self.answer(b'S').await?;
                    self.encrypt(acceptor, false).await?;
                    (asked_tls, asked_gss) = (true, true);
                }
            }
        }
    }

    /// Looks at the first byte and leaves it where it is.
    async fn begins_with_tls(&self) -> Result<bool, StartupFailure> {
        let Some(Stream::Plain(stream)) = &self.stream else { return Ok(false) };
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => Err(StartupFailure::Unused),
            _ => Ok(first == [TLS_HANDSHAKE]),
        }
    }

    /// From here on the connection is TLS. `direct`: without a request before it, where ALPN has to name the protocol, so
    /// that no other protocol's client can be led here.
    async fn encrypt(
        &mut self,
        (acceptor, certificate): &(TlsAcceptor, Vec<u8>),
        direct: bool,
    ) -> Result<(), StartupFailure> {
        let Some(Stream::Plain(stream)) = self.stream.take() else { return Err(StartupFailure::Disconnected) };
        let tls = Box::pin(acceptor.accept(stream)).await.map_err(|error| {
            if error.kind() != io::ErrorKind::InvalidData {
                return StartupFailure::Disconnected;
            }
            let refusal = Refusal::new(Kind::Tls, "the TLS handshake failed").internal(error.to_string());
            StartupFailure::Refused(refusal, RefusalFormat::Nothing)
        })?;
        let named = tls.get_ref().1.alpn_protocol() == Some(ALPN);
        self.stream = Some(Stream::tls(tls));
        self.certificate = Some(certificate.clone());
        if direct && !named {
            return Err(Refusal::new(Kind::Tls, "a direct TLS connection has to name its protocol")
                .hint("Offer the protocol \"postgresql\" by ALPN, or send an SSLRequest first.")
                .into());
        }
        Ok(())
    }

    fn is_encrypted(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    /// Answers a request for encryption.
    async fn answer(&mut self, byte: u8) -> Result<(), StartupFailure> {
        self.send(&[byte]).await?;
        self.add(Direction::Backend, Content::Packet(vec![byte]));
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), StartupFailure> {
        let stream = self.stream.as_mut().ok_or(StartupFailure::Disconnected)?;
        Ok(stream.write_all(bytes).await?)
    }

    /// Reads a PasswordMessage and returns its text.
    pub(crate) async fn password(&mut self) -> Result<Vec<u8>, StartupFailure> {
        let mut password = self.response(MAX_TOKEN + 1).await?;
        match password.pop() {
            Some(0) if !password.contains(&0) => Ok(password),
            _ => Err(Refusal::new(Kind::Protocol, "invalid password packet size").into()),
        }
    }

    /// Reads what answers a request for authentication, of at most `longest` bytes: a message of type `p`, without its header.
    pub(crate) async fn response(&mut self, longest: usize) -> Result<Vec<u8>, StartupFailure> {
        let length = loop {
            if let Some(&tag) = self.inbox.first()
                && tag != b'p'
            {
                let message = format!("expected password response, got message type '{}'", tag.escape_ascii());
                return Err(Refusal::new(Kind::Protocol, message).into());
            }
            let Some(header) = self.inbox.first_chunk::<HEADER>() else {
                self.read().await?;
                continue;
            };
            let length = i32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            match usize::try_from(length) {
                Ok(length) if (5..=longest + 4).contains(&length) => break length + 1,
                Ok(length) if length > longest + 4 => {
                    let message = format!("the password is longer than the {MAX_TOKEN} bytes that a token may have");
                    return Err(Refusal::new(Kind::Token, message).into());
                }
                _ => {
                    let message = format!("invalid length of the password message: {length}");
                    return Err(Refusal::new(Kind::Protocol, message).into());
                }
            }
        };
        while self.inbox.len() < length {
            self.read().await?;
        }
        let response = self.inbox[HEADER..length].to_vec();
        self.inbox.drain(..length);
        Ok(response)
    }

    /// Moves a packet from the inbox to what was said.
    fn take(&mut self, length: usize) {
        let packet = Content::Packet(self.inbox.drain(..length).collect());
        self.add(Direction::Frontend, packet);
    }

    pub(crate) fn add(&mut self, direction: Direction, content: Content) {
        self.messages.push(EarlyMessage { at: clock::now(), direction, content });
    }

    async fn read(&mut self) -> Result<(), StartupFailure> {
        let mut chunk = [0; 2048];
        let room = (MAX_STARTUP.max(LONGEST_ANSWER) + HEADER + 1).saturating_sub(self.inbox.len()).min(chunk.len());
        let stream = self.stream.as_mut().ok_or(StartupFailure::Disconnected)?;
        match stream.read(&mut chunk[..room]).await? {
            0 if self.inbox.is_empty() && self.messages.is_empty() => Err(StartupFailure::Unused),
            0 => Err(StartupFailure::Disconnected),
            read => {
                self.inbox.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}

fn request(startup: &Startup<'_>) -> Result<SessionRequest, Refusal> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| Refusal::new(Kind::Protocol, "a start-up parameter is not valid UTF-8"))
    };
    let mut request = SessionRequest { minor: startup.minor, ..SessionRequest::default() };
    for (name, value) in &startup.parameters {
        let (name, value) = (text(name)?, text(value)?);
        match name.as_str() {
            "user" => request.user = value,
            "database" => request.database = value,
            option if option.starts_with("_pq_.") => request.protocol_options.push(name),
            _ => request.parameters.push((name, value)),
        }
    }
    if request.user.is_empty() {
        return Err(Refusal::new(Kind::Identity, "no PostgreSQL user name specified in startup packet"));
    }
    if request.database.is_empty() {
        request.database.clone_from(&request.user);
    }
    for (what, name) in [("role", &mut request.user), ("database", &mut request.database)] {
        let kept = cut(name, LONGEST_NAME).len();
        if kept < name.len() {
            request.cut.push(CutName { what, bytes: name.len(), kept });
            name.truncate(kept);
        }
    }
    Ok(request)
}

fn refuse(error: StartupError, encrypted: bool) -> StartupFailure {
    let refusal = Refusal::new(Kind::Protocol, error.to_string());
    match error {
        StartupError::Http => StartupFailure::Refused(refusal, RefusalFormat::Http),
        StartupError::DirectTls if !encrypted => StartupFailure::Refused(refusal, RefusalFormat::TlsAlert),
        _ => StartupFailure::Refused(
            refusal.hint("This port speaks the PostgreSQL protocol, version 3."),
            RefusalFormat::Postgres,
        ),
    }
}

/// The minor version of protocol 3 that is spoken with a job: from 3.2 on, cancel keys are longer.
pub(crate) fn minor(request: &SessionRequest) -> u16 {
    request.minor.min(NEWEST_MINOR)
}

/// NegotiateProtocolVersion, where the client asked for more than there is.
pub(crate) fn negotiation(request: &SessionRequest) -> Option<Vec<u8>> {
    if request.minor <= NEWEST_MINOR && request.protocol_options.is_empty() {
        return None;
    }
    let mut frame = vec![b'v', 0, 0, 0, 0];
    // The server sends the version it speaks as a whole, as here.
    frame.extend((3 << 16 | u32::from(minor(request))).to_be_bytes());
    frame.extend(u32::try_from(request.protocol_options.len()).unwrap_or(0).to_be_bytes());
    for option in &request.protocol_options {
        frame.extend(option.as_bytes());
        frame.push(0);
    }
    message::set_length(&mut frame);
    Some(frame)
}
