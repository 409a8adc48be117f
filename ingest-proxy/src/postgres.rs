//! PostgreSQL's frontend/backend protocol: start-up, authentication, cancel requests, and the way to the database.
//!
//! Everything that only this protocol has is in here; what serves any protocol is outside.

mod beginning;
pub(crate) mod cancel;
pub(crate) mod catalog;
mod conversation;
mod parameters;
pub(crate) mod refusal;
pub(crate) mod session;
mod startup;
pub(crate) mod upstream;

/// The protocol's name in TLS's own negotiation (ALPN).
pub(crate) const ALPN: &[u8] = b"postgresql";
