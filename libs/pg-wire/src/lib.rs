//! PostgreSQL's frontend/backend protocol v3, sans I/O.
//!
//! [`frame`] cuts byte streams into frames without copying or decoding them; [`exchange`] tells which answer belongs to
//! which request; [`conversation`] follows a session by its frames and tells its statements and transactions; [`secrets`]
//! finds passwords in what a job sends; [`value`] reads values in binary format.
//!
//! Invariant: no input makes anything here panic, loop, or hold more memory than its stated bounds.

#![warn(missing_docs)]

pub mod conversation;
pub mod exchange;
pub mod frame;
pub mod secrets;
pub mod value;
