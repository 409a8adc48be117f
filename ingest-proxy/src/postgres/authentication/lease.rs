//! A lease's password, by SCRAM-SHA-256 and, over TLS, SCRAM-SHA-256-PLUS.
//!
//! Invariant: whoever does not know a lease's password learns nothing of the lease, not even that there is one: only behind a
//! good proof is it said what else is wrong. Source: RFC 5802; the PostgreSQL manual, "SASL Authentication".

use hansard_identity::leases::Lease;
use hansard_identity::scram::{Challenged, ChannelBinding, Failed, MECHANISM, MECHANISM_PLUS};
use hansard_identity::{Principal, Vouched};

use super::super::refusal::set_length;
use super::super::startup::{Content, SessionRequest, StartupExchange, StartupFailure};
use super::super::upstream::end_point;
use super::shown_certificate;
use crate::admission::leases::Unusable;
use crate::direction::Direction;
use crate::errors::{Kind, Refusal};
use crate::shared::Shared;

/// AuthenticationSASL, without TLS, and with it.
pub(super) const ASK: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
pub(super) const ASK_PLUS: &[u8] = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

/// AuthenticationSASLContinue and AuthenticationSASLFinal.
const CONTINUE: u8 = 11;
const FINAL: u8 = 12;

/// Longest message of a client's.
const LONGEST: usize = 4096 + 64;

/// What the exchange can be bound to on this connection.
pub(super) fn binding(startup: &StartupExchange) -> ChannelBinding {
    let hash = startup.certificate.as_deref().and_then(end_point);
    hash.map_or(ChannelBinding::None, ChannelBinding::EndPoint)
}

/// From the answer to AuthenticationSASL on.
pub(super) async fn exchange(
    startup: &mut StartupExchange,
    request: &SessionRequest,
    target: &str,
    database: Option<&str>,
    shared: &Shared,
) -> Result<(Principal, Lease), StartupFailure> {
    let offered = binding(startup);
    let first = startup.response(LONGEST).await?;
    startup.add(Direction::Frontend, Content::Password);
    if !shared.leases.are_known() {
        return Err(unknown().into());
    }
    let (mechanism, message) = initial(&first).ok_or_else(|| invalid("the SASL response is not valid"))?;
    let verifier = shared.leases.verifier(&request.user).await;
    let challenged = Challenged::begin(mechanism, message, &offered, verifier).map_err(refused)?;
    tell(startup, CONTINUE, &challenged.message).await?;
    let last = startup.response(LONGEST).await?;
    startup.add(Direction::Frontend, Content::Password);
    let proof = challenged.finish(&last).map_err(refused)?;
    let shown = shown_certificate(startup);
    match shared.leases.begin(&request.user, target, database, shown.as_deref()).await {
        Ok(lease) => {
            tell(startup, FINAL, &proof).await?;
            Ok((lease.principal(), lease))
        }
        Err((unusable, lease)) => {
            let refusal = match unusable {
                Unusable::Refused(reason) => Refusal::new(Kind::Identity, reason)
                    .hint("Ask for a new lease: hansard lease request, or POST /api/v1/leases."),
                Unusable::Unknown => unknown(),
            };
            let vouched = lease.map(|lease| {
                let principal = lease.principal();
                Box::new(Vouched { issuer: principal.issuer, subject: principal.subject, job: principal.job })
            });
            Err(Refusal { vouched, ..refusal }.into())
        }
    }
}

/// The mechanism and the message of a SASLInitialResponse.
fn initial(response: &[u8]) -> Option<(&str, &[u8])> {
    let end = response.iter().position(|byte| *byte == 0)?;
    let mechanism = std::str::from_utf8(&response[..end]).ok()?;
    let mechanism = [MECHANISM, MECHANISM_PLUS].into_iter().find(|known| *known == mechanism)?;
    let (length, message) = response[end + 1..].split_first_chunk()?;
    let told = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    (message.len() == told).then_some((mechanism, message))
}

async fn tell(startup: &mut StartupExchange, kind: u8, message: &str) -> Result<(), StartupFailure> {
    let mut frame = vec![b'R', 0, 0, 0, 0, 0, 0, 0, kind];
    frame.extend(message.as_bytes());
    set_length(&mut frame);
    startup.send(&frame).await?;
    startup.add(Direction::Backend, Content::Challenge);
    Ok(())
}

fn refused(failed: Failed) -> Refusal {
    match failed {
        Failed::Password => Refusal::new(Kind::Token, "password authentication failed")
            .hint("A lease's name and password are told once, when it is given; ask for a new one."),
        Failed::Malformed(reason) => invalid("the SCRAM message is not valid").internal(reason),
        Failed::Downgraded => Refusal::new(Kind::Token, "channel binding was offered, and the client has not seen it")
            .hint("Somebody may be in between: look at the way to Hansard."),
        Failed::OtherChannel => Refusal::new(Kind::Token, "the password is bound to another connection's certificate")
            .hint("Somebody may be in between: look at the way to Hansard."),
    }
}

fn unknown() -> Refusal {
    Refusal::new(Kind::Identity, "whether this lease is good cannot be known at present")
        .hint("Try again in a moment. Operators: see /readyz.")
}

fn invalid(reason: &str) -> Refusal {
    Refusal::new(Kind::Protocol, reason).hint("Hansard takes SCRAM-SHA-256 as PostgreSQL does.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_names_a_mechanism_that_was_offered() {
        let response =
            |mechanism: &[u8], length: i32, message: &[u8]| [mechanism, b"\0", &length.to_be_bytes(), message].concat();
        assert_eq!(initial(&response(b"SCRAM-SHA-256", 3, b"n,,")), Some((MECHANISM, &b"n,,"[..])));
        assert_eq!(initial(&response(b"SCRAM-SHA-256-PLUS", 0, b"")), Some((MECHANISM_PLUS, &b""[..])));
        for bad in [
            response(b"OAUTHBEARER", 3, b"n,,"),
            response(b"SCRAM-SHA-256", 4, b"n,,"),
            response(b"SCRAM-SHA-256", -1, b""),
            b"SCRAM-SHA-256".to_vec(),
            b"SCRAM-SHA-256\0\0".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(initial(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn questions_are_as_long_as_they_say() {
        for frame in [ASK, ASK_PLUS] {
            let mut with_length = frame.to_vec();
            set_length(&mut with_length);
            assert_eq!(with_length, frame);
        }
    }
}
