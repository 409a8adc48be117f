//! Byte streams to frames.
