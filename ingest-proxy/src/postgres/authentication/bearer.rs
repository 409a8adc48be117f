//! A token by SASL OAUTHBEARER.
//!
//! Invariant: whoever is refused is told so in the way of the mechanism first, and learns no more from it than from a refused
//! password. Source: RFC 7628; the PostgreSQL manual, "OAUTHBEARER Authentication".

use std::time::Duration;

use hansard_identity::MAX_TOKEN;
use serde_json::json;

use super::super::refusal::set_length;
use super::super::startup::{Content, StartupExchange, StartupFailure};
use super::verify;
use crate::direction::Direction;
use crate::errors::{Kind, Refusal};
use crate::shared::Shared;
use hansard_identity::Principal;

const MECHANISM: &[u8] = b"OAUTHBEARER\0";

/// Between the parts of a message (RFC 7628, section 3.1).
const SEPARATOR: char = '\x01';

/// How long a client has to answer that its token was refused.
const DUMMY: Duration = Duration::from_secs(2);

/// Longest message with a token in it: beside the token, the mechanism's name, a length, and what a client adds.
pub(in crate::postgres) const LONGEST: usize = MAX_TOKEN + 1024;

/// From the answer to AuthenticationSASL on.
pub(super) async fn exchange(startup: &mut StartupExchange, shared: &Shared) -> Result<Principal, StartupFailure> {
    let response = startup.response(LONGEST).await?;
    startup.add(Direction::Frontend, Content::Password);
    let refusal = match token(&response)? {
        Some(token) => match verify(startup, token.as_bytes(), shared).await {
            Ok(principal) => return Ok(principal),
            Err(refusal) => refusal,
        },
        None => Refusal::new(Kind::Token, "no token was sent")
            .hint("Get a token of the job's issuer, and send it as the bearer token."),
    };
    // The client answers it with one byte, and only then may the mechanism fail.
    let mut reason = json!({ "status": "invalid_token", "scope": "openid" });
    if let Some(address) = shared.identity.discovery_address() {
        reason["openid-configuration"] = address.into();
    }
    let mut frame = b"R\0\0\0\0\0\0\0\x0b".to_vec();
    frame.extend(reason.to_string().into_bytes());
    set_length(&mut frame);
    let told = startup.send(&frame).await;
    startup.add(Direction::Backend, Content::Frame(frame));
    // Whatever comes in its place, or nothing: the token was refused, and that is what is recorded.
    if told.is_ok() && matches!(tokio::time::timeout(DUMMY, startup.response(LONGEST)).await, Ok(Ok(_))) {
        startup.add(Direction::Frontend, Content::Password);
    }
    Err(refusal.into())
}

/// The token of a SASLInitialResponse; none where the client has none and asks where to get one.
fn token(response: &[u8]) -> Result<Option<&str>, Refusal> {
    let message = message(response).ok_or_else(|| invalid("the SASL response is not valid"))?;
    let (header, rest) = message.split_once(SEPARATOR).ok_or_else(|| invalid("the OAUTHBEARER message has no end"))?;
    match header.split(',').collect::<Vec<_>>()[..] {
        ["n" | "y", "", ""] => {}
        ["n" | "y", ..] => return Err(invalid("the OAUTHBEARER message asks to act as somebody else (authzid)")),
        _ => {
            return Err(invalid("the OAUTHBEARER message asks for channel binding, which the mechanism does not have"));
        }
    }
    let pairs = rest
        .strip_suffix(SEPARATOR)
        .filter(|pairs| pairs.ends_with(SEPARATOR))
        .ok_or_else(|| invalid("the OAUTHBEARER message has no end"))?;
    let mut values = pairs.split_terminator(SEPARATOR).map(|pair| pair.split_once('='));
    let mut found = None;
    for value in &mut values {
        match value {
            Some(("auth", value)) if found.is_none() => found = Some(value),
            Some(("auth", _)) => return Err(invalid("the OAUTHBEARER message has two tokens")),
            Some((key, _)) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic()) => {}
            _ => return Err(invalid("the OAUTHBEARER message has something in it that is no key with a value")),
        }
    }
    match found {
        None => Err(invalid("the OAUTHBEARER message has no token (auth)")),
        Some("") => Ok(None),
        Some(value) => {
            let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
            scheme.ok_or_else(|| invalid("the OAUTHBEARER message has no bearer token"))?;
            Ok(Some(value[7..].trim_start_matches(' ')))
        }
    }
}

/// The mechanism's message: its name, a length, and so many bytes.
fn message(response: &[u8]) -> Option<&str> {
    let (length, message) = response.strip_prefix(MECHANISM)?.split_first_chunk()?;
    let told = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(message).ok().filter(|message| message.len() == told)
}

fn invalid(reason: &str) -> Refusal {
    Refusal::new(Kind::Protocol, reason).hint("Hansard takes OAUTHBEARER as RFC 7628 has it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(message: &str) -> Vec<u8> {
        let length = i32::try_from(message.len()).unwrap().to_be_bytes();
        [MECHANISM, &length, message.as_bytes()].concat()
    }

    #[test]
    fn a_token_is_found_where_the_rfc_has_it() {
        for (message, expected) in [
            ("n,,\x01auth=Bearer a.b.c\x01\x01", Some("a.b.c")),
            ("y,,\x01host=db\x01port=1\x01auth=bearer  a.b.c\x01\x01", Some("a.b.c")),
            ("n,,\x01auth=\x01\x01", None),
        ] {
            assert_eq!(token(&response(message)).unwrap(), expected, "{message:?}");
        }
        for message in [
            "",
            "n,,",
            "n,,\x01\x01",
            "n,,\x01\x01\x01",
            "n,,\x01auth=Bearer a.b.c",
            "n,,\x01auth=Bearer a.b.c\x01",
            "n,a=admin,\x01auth=Bearer a.b.c\x01\x01",
            "p=tls-server-end-point,,\x01auth=Bearer a.b.c\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            "n,,\x01auth=Basic a\x01\x01",
            "n,,\x01auth=Beareé\x01\x01",
            "n,,\x01=\x01auth=Bearer a\x01\x01",
            "n,,\x01host=db\x01\x01",
        ] {
            assert_eq!(token(&response(message)).unwrap_err().kind, Kind::Protocol, "{message:?}");
        }
        let good = response("n,,\x01auth=Bearer a.b.c\x01\x01");
        for bad in [&good[..good.len() - 1], &good[1..], &good[..14], b"SCRAM-SHA-256\0\0\0\0\0"] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_is_too_much(message in "[ny,a=\x01uthBear. ]{0,40}", bytes: Vec<u8>) {
            for bytes in [response(&message), bytes] {
                if let Ok(Some(found)) = token(&bytes) {
                    proptest::prop_assert!(!found.contains(SEPARATOR) && bytes.ends_with(b"\x01\x01"));
                }
            }
        }
    }
}
