//! How a job shows who it is: which way of sending a token it is asked for, and what comes of it.
//!
//! A server offers one way in one message, so the job says which by the start-up parameter `hansard.authentication`, and the
//! target for those that say nothing. Source: the PostgreSQL manual, "Message Flow" and "SASL Authentication".
//!
//! Invariant: what a job sends here is in no record, whatever it is.

mod bearer;
mod lease;

use hansard_identity::Principal;
use hansard_identity::leases::{Lease, is_lease};
use hansard_identity::scram::ChannelBinding;

pub(super) use bearer::LONGEST as LONGEST_ANSWER;

use super::startup::{Content, SessionRequest, StartupExchange, StartupFailure, negotiation};
use crate::admission::tls;
use crate::clock;
use crate::direction::Direction;
use crate::errors::Refusal;
use crate::options::Authentication;
use crate::relay::stream::Stream;
use crate::shared::Shared;

/// AuthenticationCleartextPassword.
const ASK_PASSWORD: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

/// AuthenticationSASL, with OAUTHBEARER alone.
const ASK_BEARER: &[u8] = b"R\0\0\0\x15\0\0\0\x0aOAUTHBEARER\0\0";

/// Whether a frame is one that everybody is sent who connects, whatever it has said.
pub(super) fn is_question(frame: &[u8]) -> bool {
    [ASK_PASSWORD, ASK_BEARER, lease::ASK, lease::ASK_PLUS].contains(&frame)
}

/// Who a connection is of, and by what.
pub(super) struct Identified {
    pub(super) principal: Principal,
    /// How it was shown, in a word of the record.
    pub(super) way: &'static str,
    /// The lease, where it was one.
    pub(super) lease: Option<Lease>,
}

/// Asks a connection that wants to be a session for its token, or for the password of its lease, and checks that. `database`
/// is the one that it asks for, where it asks for one.
pub(super) async fn identify(
    startup: &mut StartupExchange,
    request: &SessionRequest,
    way: Authentication,
    (target, database): (&str, Option<&str>),
    shared: &Shared,
) -> Result<Identified, StartupFailure> {
    let by_lease = is_lease(&request.user);
    let question = match way {
        _ if by_lease => match lease::binding(startup) {
            ChannelBinding::None => lease::ASK,
            ChannelBinding::EndPoint(_) => lease::ASK_PLUS,
        },
        Authentication::Password => ASK_PASSWORD,
        Authentication::OAuthBearer => ASK_BEARER,
    };
    let mut asked = Vec::new();
    if let Some(frame) = negotiation(request) {
        asked.extend_from_slice(&frame);
        startup.add(Direction::Backend, Content::Frame(frame));
    }
    startup.add(Direction::Backend, Content::Frame(question.to_vec()));
    asked.extend_from_slice(question);
    startup.send(&asked).await?;
    if by_lease {
        let (principal, lease) = lease::exchange(startup, request, target, database, shared).await?;
        return Ok(Identified { principal, way: "scram-sha-256", lease: Some(lease) });
    }
    let principal = match way {
        Authentication::Password => {
            let token = startup.password().await?;
            startup.add(Direction::Frontend, Content::Password);
            verify(startup, &token, shared).await?
        }
        Authentication::OAuthBearer => bearer::exchange(startup, shared).await?,
    };
    Ok(Identified { principal, way: way.as_str(), lease: None })
}

async fn verify(startup: &StartupExchange, token: &[u8], shared: &Shared) -> Result<Principal, Refusal> {
    let shown = shown_certificate(startup);
    Ok(shared.identity.verify(token, shown.as_deref(), clock::now()).await?)
}

/// SHA-256 of the certificate that the job has shown.
fn shown_certificate(startup: &StartupExchange) -> Option<Vec<u8>> {
    startup.stream.as_ref().and_then(Stream::agreed).and_then(tls::certificate_digest)
}
