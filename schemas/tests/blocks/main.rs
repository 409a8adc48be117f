//! Blocks: the bytes that were released, and bytes that nobody should have sent.
//!
//! A file in `fixtures/v1` is never changed and never removed. A new kind of event gets a new file: add it to
//! `kinds` and `released`, and run `write_missing_fixtures`, which leaves the old ones alone.

#![allow(clippy::unwrap_used)]

mod hostile;
mod released;
