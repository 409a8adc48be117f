//! Version 1 of the events: generated protobuf types, and the block around them.
//!
//! Invariant: what [`BlockExt::events`] returns is what was sealed, or an error; a hostile block can make it
//! neither panic nor allocate more than a small multiple of [`MAX_PAYLOAD`].

mod block;
mod catalog;

#[allow(missing_docs, clippy::all, unreachable_pub)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/hansard.v1.rs"));
}

pub use block::{BlockError, BlockExt, CHAIN_START, ChainHead, MAX_EVENTS, MAX_PAYLOAD, extend_chain};
pub use catalog::MAX_CHANGES;
pub use generated::*;
pub use prost::Message;
