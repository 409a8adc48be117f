//! SQL analysis: what a statement does, to which relations.
