//! Small inputs that once had a false answer, each by name and with its neighbours: what the record says of them is what
//! the database did.
//!
//! `tests/oracle.rs` looks for more of them.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[path = "answers/asking.rs"]
mod asking;
#[path = "answers/bounds.rs"]
mod bounds;
#[path = "answers/copying.rs"]
mod copying;
#[path = "answers/endings.rs"]
mod endings;
#[path = "answers/hidden.rs"]
mod hidden;
#[path = "answers/motion.rs"]
mod motion;
#[path = "answers/names.rs"]
mod names;
#[path = "answers/outcomes.rs"]
mod outcomes;
#[path = "answers/prepared.rs"]
mod prepared;
#[path = "answers/reading.rs"]
mod reading;
#[path = "answers/resolution.rs"]
mod resolution;
#[path = "answers/scene.rs"]
mod scene;
