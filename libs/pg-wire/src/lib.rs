//! PostgreSQL's frontend/backend protocol v3, sans I/O.
//!
//! Two rooms: [`frame`] cuts byte streams into frames without copying or decoding them; [`tracker`] follows a
//! session by its frames and tells its statements.
//!
//! Invariant: no input makes anything here panic, loop, or hold more memory than its stated bounds.

#![warn(missing_docs)]

pub mod frame;
pub mod tracker;
