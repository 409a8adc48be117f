//! How a job shows who it is: which way of sending a token it is asked for, and what comes of it.
//!
//! A server offers one way in one message, so the job says which by the start-up parameter `hansard.authentication`, and the
//! target for those that say nothing. Source: the PostgreSQL manual, "Message Flow" and "SASL Authentication".
//!
//! Invariant: what a job sends here is in no record, whatever it is.

mod bearer;

use hansard_identity::Principal;

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
    [ASK_PASSWORD, ASK_BEARER].contains(&frame)
}

/// Asks a connection that wants to be a session for its token, and checks that.
pub(super) async fn identify(
    startup: &mut StartupExchange,
    request: &SessionRequest,
    way: Authentication,
    shared: &Shared,
) -> Result<Principal, StartupFailure> {
    let question = match way {
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
    match way {
        Authentication::Password => {
            let token = startup.password().await?;
            startup.add(Direction::Frontend, Content::Password);
            Ok(verify(startup, &token, shared).await?)
        }
        Authentication::OAuthBearer => bearer::exchange(startup, shared).await,
    }
}

async fn verify(startup: &StartupExchange, token: &[u8], shared: &Shared) -> Result<Principal, Refusal> {
    let shown = startup.stream.as_ref().and_then(Stream::agreed).and_then(tls::certificate_digest);
    Ok(shared.identity.verify(token, shown.as_deref(), clock::now()).await?)
}
