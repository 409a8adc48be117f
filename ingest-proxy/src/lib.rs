//! The proxy: accepts jobs, authenticates them, relays every byte and records it first.
