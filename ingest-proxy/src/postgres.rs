//! PostgreSQL's frontend/backend protocol: start-up, authentication, cancel requests, and the way to the database.
//!
//! Everything that only this protocol has is in here; what serves any protocol is outside.

mod authentication;
mod beginning;
pub(crate) mod cancel;
pub(crate) mod catalog;
mod conversation;
pub(crate) mod identity_settings;
pub(crate) mod parameters;
mod redaction;
pub(crate) mod refusal;
pub(crate) mod session;
mod startup;
pub(crate) mod upstream;

use hansard_pg_wire::frame;

use crate::direction::{Direction, Part};

/// The protocol's name in TLS's own negotiation (ALPN).
pub(crate) const ALPN: &[u8] = b"postgresql";

/// A direction, as the frame walker names it.
fn wire(direction: Direction) -> frame::Direction {
    match direction {
        Direction::Frontend => frame::Direction::Frontend,
        Direction::Backend => frame::Direction::Backend,
    }
}

impl From<frame::Part> for Part {
    fn from(part: frame::Part) -> Part {
        match part {
            frame::Part::First => Part::First,
            frame::Part::Middle => Part::Middle,
            frame::Part::Last => Part::Last,
        }
    }
}
