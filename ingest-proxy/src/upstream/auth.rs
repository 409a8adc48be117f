//! Authentication to the database: SCRAM-SHA-256, md5 and cleartext.

use std::net::SocketAddr;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use super::{Failure, Wire, is_local, refused, strange};
use crate::options::{Password, TargetOptions};

/// What an Authentication message asks for.
#[derive(Debug)]
enum Ask {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    Sasl { scram: bool },
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(i32),
}

/// Until AuthenticationOk.
pub(super) async fn authenticate(wire: &mut Wire, target: &TargetOptions, peer: SocketAddr) -> Result<(), Failure> {
    match ask(wire, target).await? {
        Ask::Ok => return Ok(()),
        Ask::Cleartext if !is_local(peer) => {
            return Err(refused(target, "it asks for the password in the clear over the network"));
        }
        Ask::Cleartext => {
            let password = password(target)?.reveal().to_owned();
            send_password(wire, target, password.as_bytes()).await?;
        }
        Ask::Md5(salt) => {
            let hash = md5_hash(target.upstream.user.as_bytes(), password(target)?.reveal().as_bytes(), salt);
            send_password(wire, target, hash.as_bytes()).await?;
        }
        Ask::Sasl { scram: true } => scram(wire, target).await?,
        Ask::Sasl { scram: false } => return Err(refused(target, "it offers no SASL mechanism that Hansard knows")),
        Ask::SaslContinue(_) | Ask::SaslFinal(_) => return Err(strange(target, b'R')),
        Ask::Other(code) => {
            return Err(refused(
                target,
                &format!("it asks for authentication method {code}, which Hansard does not know"),
            ));
        }
    }
    match ask(wire, target).await? {
        Ask::Ok => Ok(()),
        _ => Err(strange(target, b'R')),
    }
}

async fn scram(wire: &mut Wire, target: &TargetOptions) -> Result<(), Failure> {
    let secret = password(target)?.reveal().as_bytes().to_vec();
    let mut scram = ScramSha256::new(&secret, ChannelBinding::unsupported());
    let mut message = BytesMut::new();
    let too_long = |_| refused(target, "a SASL message holds what it must not");
    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut message).map_err(too_long)?;
    wire.send(target, &message).await?;
    let Ask::SaslContinue(challenge) = ask(wire, target).await? else { return Err(strange(target, b'R')) };
    // Thousands of hashes: other sessions of this thread shall not wait for them.
    let hashed = tokio::task::spawn_blocking(move || scram.update(&challenge).map(|()| scram)).await;
    let mut scram = match hashed {
        Ok(Ok(scram)) => scram,
        Ok(Err(error)) => return Err(refused(target, &format!("its SCRAM challenge is not valid ({error})"))),
        Err(_) => return Err(refused(target, "the SCRAM exchange was cut off")),
    };
    message.clear();
    frontend::sasl_response(scram.message(), &mut message).map_err(too_long)?;
    wire.send(target, &message).await?;
    let Ask::SaslFinal(proof) = ask(wire, target).await? else { return Err(strange(target, b'R')) };
    scram
        .finish(&proof)
        .map_err(|error| refused(target, &format!("it did not prove that it knows the password ({error})")))
}

fn password(target: &TargetOptions) -> Result<&Password, Failure> {
    target.upstream.password.as_ref().ok_or_else(|| refused(target, "it asks for a password and none is configured"))
}

async fn send_password(wire: &mut Wire, target: &TargetOptions, password: &[u8]) -> Result<(), Failure> {
    let mut message = BytesMut::new();
    frontend::password_message(password, &mut message)
        .map_err(|_| refused(target, "the password holds a zero byte"))?;
    wire.send(target, &message).await
}

/// The next Authentication message.
async fn ask(wire: &mut Wire, target: &TargetOptions) -> Result<Ask, Failure> {
    loop {
        let frame = wire.frame(target).await?;
        let body = &frame[5..];
        match frame[0] {
            b'R' => return read_ask(body).ok_or_else(|| strange(target, b'R')),
            // A notice before authentication is about the server; the job has not been let in yet.
            b'N' => {}
            b'E' => return Err(failure(target, frame)),
            tag => return Err(strange(target, tag)),
        }
    }
}

/// What an ErrorResponse during start-up means. Class 28 is about authorization: its text names Hansard's role, which
/// is no business of the job's.
pub(super) fn failure(target: &TargetOptions, frame: &[u8]) -> Failure {
    let body = &frame[5..];
    if field(body, b'C').is_none_or(|code| code.starts_with("28")) {
        refused(target, &error_text(body))
    } else {
        Failure::Passed(frame.to_vec())
    }
}

fn read_ask(body: &[u8]) -> Option<Ask> {
    let (code, rest) = body.split_first_chunk::<4>()?;
    Some(match i32::from_be_bytes(*code) {
        0 => Ask::Ok,
        3 => Ask::Cleartext,
        5 => Ask::Md5(*rest.first_chunk()?),
        10 => Ask::Sasl { scram: rest.split(|&byte| byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) },
        11 => Ask::SaslContinue(rest.to_vec()),
        12 => Ask::SaslFinal(rest.to_vec()),
        code => Ask::Other(code),
    })
}

/// A field of an ErrorResponse or NoticeResponse, by its code.
fn field(body: &[u8], code: u8) -> Option<&str> {
    let found = body.split(|&byte| byte == 0).find(|field| field.first() == Some(&code))?;
    std::str::from_utf8(&found[1..]).ok()
}

/// Message and SQLSTATE of an ErrorResponse's body.
pub(super) fn error_text(body: &[u8]) -> String {
    let message = field(body, b'M').unwrap_or("no reason given");
    format!("{message} (SQLSTATE {})", field(body, b'C').unwrap_or("unknown"))
}

/// Value of a ParameterStatus among frames.
pub(super) fn parameter<'a>(frames: &'a [u8], name: &str) -> Option<&'a str> {
    hansard_pg_wire::frame::frames(frames).filter(|frame| frame.tag == b'S').find_map(|frame| {
        let mut parts = frame.body.split(|&byte| byte == 0);
        (parts.next()? == name.as_bytes()).then(|| std::str::from_utf8(parts.next()?).ok())?
    })
}
