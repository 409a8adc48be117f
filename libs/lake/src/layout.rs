//! Paths in the lake.
