//! The packets without a tag that open a connection.
//!
//! Invariant: what is not PostgreSQL is told from its first bytes, before a length it never meant is believed.
//! Source: the PostgreSQL manual, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use super::MAX_STARTUP;

/// Shortest packet: its length and a code.
const MIN_STARTUP: usize = 8;

const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;
const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;

/// A start-up packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Asks for TLS; answered with one byte.
    SslRequest,
    /// Asks for GSSAPI encryption; answered with one byte.
    GssEncRequest,
    /// Asks to cancel what another connection runs.
    CancelRequest {
        /// Of the connection meant.
        process_id: u32,
        /// 4 bytes up to protocol 3.0, up to 256 from 3.2 on.
        secret_key: &'a [u8],
    },
    /// Begins a session.
    Startup(Startup<'a>),
}

/// A StartupMessage of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup<'a> {
    /// As asked for; 0 for protocol 3.0.
    pub minor: u16,
    /// Name and value, in the order sent. Neither is promised to be UTF-8.
    pub parameters: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Startup<'a> {
    /// The value of a parameter; the last one wins, as in the server.
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        self.parameters.iter().rev().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| *value)
    }
}

/// Bytes that open no PostgreSQL connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// An HTTP request.
    #[error("an HTTP request, not PostgreSQL")]
    Http,
    /// A TLS handshake without an SSLRequest before it.
    #[error("a TLS handshake without a request for TLS before it")]
    DirectTls,
    /// Below 8 bytes, negative, or over [`MAX_STARTUP`].
    #[error("invalid length of start-up packet: {0}")]
    Length(i32),
    /// A major version other than 3.
    #[error("unsupported frontend protocol {major}.{minor}: this server speaks 3.0 to 3.2")]
    Protocol {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The parameters are not name and value pairs up to a final zero byte.
    #[error("invalid start-up packet layout: expected terminator as last byte")]
    Layout,
}

/// Reads the packet at the beginning of `bytes`: it and its length; `None` when more bytes are needed.
pub fn parse(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, StartupError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first == 0x16 {
        return Err(StartupError::DirectTls);
    }
    if first != 0 {
        // No length up to MAX_STARTUP has a first byte other than 0. Four bytes tell HTTP from the rest.
        return match bytes.first_chunk::<4>() {
            None => Ok(None),
            Some(length) if is_http(length) => Err(StartupError::Http),
            Some(length) => Err(StartupError::Length(i32::from_be_bytes(*length))),
        };
    }
    let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let stated = i32::from_be_bytes(*length);
    let length = match usize::try_from(stated) {
        Ok(length) if (MIN_STARTUP..=MAX_STARTUP).contains(&length) => length,
        _ => return Err(StartupError::Length(stated)),
    };
    let Some(packet) = bytes.get(..length) else { return Ok(None) };
    packet_of(packet).map(|packet| Some((packet, length)))
}

fn is_http(start: &[u8; 4]) -> bool {
    const METHODS: [&[u8; 4]; 9] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN", b"PRI "];
    METHODS.contains(&start)
}

fn packet_of(packet: &[u8]) -> Result<Packet<'_>, StartupError> {
    let stated = i32::try_from(packet.len()).unwrap_or(i32::MAX);
    let (code, rest) = packet[4..].split_first_chunk::<4>().ok_or(StartupError::Length(stated))?;
    match u32::from_be_bytes(*code) {
        SSL_REQUEST if rest.is_empty() => Ok(Packet::SslRequest),
        GSSENC_REQUEST if rest.is_empty() => Ok(Packet::GssEncRequest),
        CANCEL_REQUEST => match rest.split_first_chunk::<4>() {
            Some((process_id, secret_key)) if (4..=256).contains(&secret_key.len()) => {
                Ok(Packet::CancelRequest { process_id: u32::from_be_bytes(*process_id), secret_key })
            }
            _ => Err(StartupError::Length(stated)),
        },
        SSL_REQUEST | GSSENC_REQUEST => Err(StartupError::Length(stated)),
        _ => {
            let [major, minor] = [u16::from_be_bytes([code[0], code[1]]), u16::from_be_bytes([code[2], code[3]])];
            if major != 3 {
                return Err(StartupError::Protocol { major, minor });
            }
            parameters(rest).map(|parameters| Packet::Startup(Startup { minor, parameters }))
        }
    }
}

type Parameters<'a> = Vec<(&'a [u8], &'a [u8])>;

fn parameters(bytes: &[u8]) -> Result<Parameters<'_>, StartupError> {
    let mut rest = bytes;
    let mut out = Vec::new();
    loop {
        let (name, after) = text(rest)?;
        if name.is_empty() {
            return if after.is_empty() { Ok(out) } else { Err(StartupError::Layout) };
        }
        let (value, after) = text(after)?;
        out.push((name, value));
        rest = after;
    }
}

/// The packet that asks a server to cancel what the connection with this key runs. The secret has at most 256 bytes.
pub fn cancel_request(process_id: u32, secret_key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(12 + secret_key.len()).unwrap_or(u32::MAX);
    let mut packet = Vec::with_capacity(12 + secret_key.len());
    for number in [length, CANCEL_REQUEST, process_id] {
        packet.extend(number.to_be_bytes());
    }
    packet.extend(secret_key);
    packet
}

/// Up to a zero byte, and what follows it.
fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), StartupError> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(StartupError::Layout)?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}
