//! The web replay.
