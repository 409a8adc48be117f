//! PostgreSQL's frontend/backend protocol v3, sans I/O.
//!
//! [`frame`] cuts byte streams into frames without copying or decoding them; [`tracker`] follows a session by its
//! frames and tells its statements; [`secrets`] finds passwords in what a job sends; [`result`] reads the rows that they were answered with, [`value`] values in binary
//! format.
//!
//! Invariant: no input makes anything here panic, loop, or hold more memory than its stated bounds.

#![warn(missing_docs)]

pub mod frame;
pub mod result;
pub mod secrets;
pub mod tracker;
pub mod value;
