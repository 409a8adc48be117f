//! Frames to statements.
