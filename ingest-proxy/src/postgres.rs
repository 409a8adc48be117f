//! PostgreSQL's frontend/backend protocol: start-up, authentication, cancel requests, and the way to the database.
//!
//! Everything that only this protocol has is in here; what serves any protocol is outside.

pub(crate) mod cancel;
mod conversation;
pub(crate) mod parameters;
pub(crate) mod refusal;
pub(crate) mod search_path;
pub(crate) mod session;
mod startup;
pub(crate) mod upstream;

/// The protocol's name in TLS's own negotiation (ALPN).
pub(crate) const ALPN: &[u8] = b"postgresql";
