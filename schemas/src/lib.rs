//! The contracts between Hansard's rooms, and between Hansard and the world.
//!
//! Shapes only: no sockets, no files, no clock. With no feature on, it is the HTTP shapes alone and builds
//! for wasm32; `events` adds the protobuf events, `lake` the Arrow schemas.

#![warn(missing_docs)]

pub mod http;

#[cfg(feature = "events")]
pub mod events;

#[cfg(feature = "lake")]
pub mod lake;
