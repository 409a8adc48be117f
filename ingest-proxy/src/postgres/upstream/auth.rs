//! Authentication to the database: SCRAM-SHA-256(-PLUS), md5, and cleartext where it cannot be overheard.
//!
//! Invariant: a server that offers less than the target's URL asks for, or lets in with less than a configured password can
//! prove, is refused before it gets anything.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;

use super::scram::{Begun, Binding};
use super::tls::Safety;
use super::{Failure, Route, Wire, refused, strange};
use crate::options::{AuthMethod, ChannelBinding, TargetOptions};

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// What an Authentication message asks for.
#[derive(Debug)]
enum Ask {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    Sasl(Mechanisms),
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(i32),
}

/// Those offered that Hansard knows.
#[derive(Debug, Default, Clone, Copy)]
struct Mechanisms {
    scram: bool,
    plus: bool,
}

/// Until AuthenticationOk.
pub(super) async fn authenticate(
    wire: &mut Wire,
    target: &TargetOptions,
    route: &Route,
    safety: &Safety,
) -> Result<(), Failure> {
    let asked = ask(wire, target, true).await?;
    if target.upstream.channel_binding == ChannelBinding::Require && !matches!(asked, Ask::Sasl(_)) {
        return Err(refused(target, "it does not offer channel binding, which the target's upstream asks for"));
    }
    let method = match &asked {
        Ask::Ok => Some(AuthMethod::None),
        Ask::Cleartext => Some(AuthMethod::Password),
        Ask::Md5(_) => Some(AuthMethod::Md5),
        Ask::Sasl(_) => Some(AuthMethod::Scram),
        Ask::SaslContinue(_) | Ask::SaslFinal(_) | Ask::Other(_) => None,
    };
    if let Some(method) = method.filter(|method| !target.upstream.permits(*method)) {
        let what = match method {
            AuthMethod::None => "it lets Hansard in without a proof of the password",
            AuthMethod::Password => "it asks for the password in the clear",
            AuthMethod::Md5 => "it asks for a hash by MD5, which can be guessed and proves nothing of the server",
            AuthMethod::Scram => "it asks for SCRAM",
        };
        let word = method.as_str();
        return Err(refused(
            target,
            &format!("{what}; to permit that, say require_auth={word} in the target's upstream"),
        ));
    }
    match asked {
        Ask::Ok => return Ok(()),
        Ask::Cleartext => {
            let reason = match safety {
                Safety::Local | Safety::Tls { checked: true, .. } => None,
                Safety::Plain => Some("it asks for the password in the clear over the network"),
                Safety::Tls { checked: false, .. } => Some(
                    "it asks for the password in the clear and its certificate is not checked; say sslmode=verify-full",
                ),
            };
            if let Some(reason) = reason {
                return Err(refused(target, reason));
            }
            let password = route.credentials(target).await?.password.reveal().to_owned();
            send_password(wire, target, password.as_bytes()).await?;
        }
        Ask::Md5(salt) => {
            let hash = md5_hash(
                target.upstream.user.as_bytes(),
                route.credentials(target).await?.password.reveal().as_bytes(),
                salt,
            );
            send_password(wire, target, hash.as_bytes()).await?;
        }
        Ask::Sasl(offered) => {
            let binding = binding(target.upstream.channel_binding, offered, safety);
            scram(wire, target, route, binding.map_err(|reason| refused(target, reason))?).await?;
        }
        Ask::SaslContinue(_) | Ask::SaslFinal(_) => return Err(strange(target, b'R')),
        Ask::Other(code) => {
            return Err(refused(
                target,
                &format!("it asks for authentication method {code}, which Hansard does not know"),
            ));
        }
    }
    match ask(wire, target, false).await? {
        Ask::Ok => Ok(()),
        _ => Err(strange(target, b'R')),
    }
}

/// What to bind SCRAM to, as libpq decides it.
fn binding(wanted: ChannelBinding, offered: Mechanisms, safety: &Safety) -> Result<Binding, &'static str> {
    let end_point = match safety {
        Safety::Tls { end_point, .. } => end_point.as_ref(),
        // The server sees TLS where Hansard has none: there is somebody in between.
        Safety::Local | Safety::Plain if offered.plus => {
            return Err("it offers channel binding on a connection without TLS");
        }
        Safety::Local | Safety::Plain => None,
    };
    match (wanted, offered, end_point) {
        (ChannelBinding::Prefer | ChannelBinding::Require, Mechanisms { plus: true, .. }, Some(hash)) => {
            Ok(Binding::EndPoint(hash.clone()))
        }
        (ChannelBinding::Require, Mechanisms { plus: true, .. }, None) => {
            Err("its certificate allows no channel binding (no hash function belongs to its signature)")
        }
        (ChannelBinding::Require, ..) => Err("it does not offer channel binding, which the target's upstream asks for"),
        (_, Mechanisms { scram: false, .. }, _) => Err("it offers no SASL mechanism that Hansard knows"),
        (ChannelBinding::Prefer, _, Some(_)) => Ok(Binding::NotOffered),
        _ => Ok(Binding::None),
    }
}

async fn scram(wire: &mut Wire, target: &TargetOptions, route: &Route, binding: Binding) -> Result<(), Failure> {
    let invalid = |reason: String| refused(target, &reason);
    let credentials = route.credentials(target).await?;
    let mechanism = if matches!(binding, Binding::EndPoint(_)) { SCRAM_PLUS } else { SCRAM };
    let begun = Begun::new(binding);
    let mut message = BytesMut::new();
    let too_long = |_| refused(target, "a SASL message holds what it must not");
    frontend::sasl_initial_response(mechanism, begun.message().as_bytes(), &mut message).map_err(too_long)?;
    wire.send(target, &message).await?;
    let Ask::SaslContinue(challenge) = ask(wire, target, false).await? else { return Err(strange(target, b'R')) };
    let answered = begun.answer(&challenge, &credentials.password, &credentials.keys).await.map_err(invalid)?;
    message.clear();
    frontend::sasl_response(answered.message.as_bytes(), &mut message).map_err(too_long)?;
    wire.send(target, &message).await?;
    let Ask::SaslFinal(proof) = ask(wire, target, false).await? else { return Err(strange(target, b'R')) };
    answered.finish(&proof, &credentials.keys).map_err(invalid)
}

async fn send_password(wire: &mut Wire, target: &TargetOptions, password: &[u8]) -> Result<(), Failure> {
    let mut message = BytesMut::new();
    frontend::password_message(password, &mut message)
        .map_err(|_| refused(target, "the password holds a zero byte"))?;
    wire.send(target, &message).await
}

/// The next Authentication message. As the `first` one, the server may say that it speaks an older protocol.
async fn ask(wire: &mut Wire, target: &TargetOptions, first: bool) -> Result<Ask, Failure> {
    let mut may_negotiate = first;
    loop {
        let frame = wire.frame(target).await?;
        let body = &frame[5..];
        match frame[0] {
            b'R' => return read_ask(body).ok_or_else(|| strange(target, b'R')),
            // No option was asked for, so none can be unknown to it.
            b'v' if may_negotiate && body.len() == 8 && body[4..] == [0; 4] => may_negotiate = false,
            // A notice before authentication is about the server; the job has not been let in yet.
            b'N' => {}
            b'E' if first && may_negotiate && is_about_the_version(frame) => {
                return Err(Failure::Passed(frame.to_vec()));
            }
            b'E' => return Err(failure(target, frame)),
            tag => return Err(strange(target, tag)),
        }
    }
}

/// An ErrorResponse by which servers refuse a protocol version: feature_not_supported or protocol_violation.
pub(super) fn is_about_the_version(frame: &[u8]) -> bool {
    matches!(field(&frame[5..], b'C'), Some("0A000" | "08P01"))
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
        10 => {
            let offers = |mechanism: &str| rest.split(|&byte| byte == 0).any(|name| name == mechanism.as_bytes());
            Ask::Sasl(Mechanisms { scram: offers(SCRAM), plus: offers(SCRAM_PLUS) })
        }
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
