//! From the spool to the stream.
use std::sync::Arc;

use crate::{JetStreamLog, LocalLog};

/// What an acknowledgement of the local log means while a [`Shipper`] empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The stream has acknowledged the block.
    Stream,
    /// The local log has taken the block.
    Spool,
}

/// How to ship.
#[derive(Debug, Clone)]
pub struct ShipperOptions {
    /// Most bytes that may be under way to the stream, all shards together.
    pub window_bytes: usize,
    /// What acknowledgements mean.
    pub wait_for: WaitFor,
}

/// Ships what the local log takes to the stream.
#[derive(Debug)]
pub struct Shipper {}

/// A running [`Shipper`].
#[derive(Debug)]
pub struct ShipperHandle {}

impl Shipper {
    /// Starts to ship, in tasks of the current tokio runtime.
    pub fn start(_local: Arc<LocalLog>, _stream: Arc<JetStreamLog>, _options: ShipperOptions) -> ShipperHandle {
        ShipperHandle {}
    }
}

impl ShipperHandle {
    /// Ends shipping after what is under way, and saves how far it came.
    pub async fn stop(self) {}
}
