//! The recorder: event log to lake, exactly once.
