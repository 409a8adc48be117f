//! The proxy's metrics, all of them; their labels are of closed sets, or of the configuration.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::direction::Direction;
use crate::errors::Kind;

const SESSIONS_OPEN: &str = "hansard_proxy_sessions_open";
const SESSIONS: &str = "hansard_proxy_sessions_total";
const REFUSALS: &str = "hansard_proxy_refusals_total";
const FRAMES: &str = "hansard_proxy_frames_total";
const BYTES: &str = "hansard_proxy_bytes_total";
const APPEND: &str = "hansard_proxy_append_seconds";
const REFUSALS_UNRECORDED: &str = "hansard_proxy_refusals_unrecorded_total";
const LOG_REFUSALS: &str = "hansard_proxy_log_refusals_total";

/// Gives the metrics their help texts.
pub(crate) fn describe() {
    metrics::describe_gauge!(SESSIONS_OPEN, "Sessions that are open now");
    metrics::describe_counter!(SESSIONS, "Sessions that showed a valid token");
    metrics::describe_counter!(REFUSALS, "Sessions refused or ended by Hansard, by kind");
    metrics::describe_counter!(
        REFUSALS_UNRECORDED,
        "Connections without a valid token that are not recorded one by one: too many came from their address"
    );
    metrics::describe_counter!(FRAMES, "Frames that passed, by direction");
    metrics::describe_counter!(BYTES, "Bytes that passed, by direction");
    metrics::describe_histogram!(APPEND, metrics::Unit::Seconds, "Time of an append to the event log (one in 16)");
    hansard_identity::describe_metrics();
    metrics::describe_counter!(LOG_REFUSALS, "Appends that the event log refused");
}

pub(crate) fn append_latency() -> metrics::Histogram {
    metrics::histogram!(APPEND)
}

pub(crate) fn log_refusals() -> metrics::Counter {
    metrics::counter!(LOG_REFUSALS)
}

pub(crate) fn refused(kind: Kind) {
    metrics::counter!(REFUSALS, "kind" => kind.label()).increment(1);
}

pub(crate) fn refusal_unrecorded() {
    metrics::counter!(REFUSALS_UNRECORDED).increment(1);
}

/// Counts a session as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenSession(());

impl OpenSession {
    pub(crate) fn begin() -> OpenSession {
        metrics::counter!(SESSIONS).increment(1);
        metrics::gauge!(SESSIONS_OPEN).increment(1.0);
        OpenSession(())
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        metrics::gauge!(SESSIONS_OPEN).decrement(1.0);
    }
}

/// What a worker's sessions add up to. Only its own thread writes here, so that the cache line stays there;
/// [`Traffic::publish`] carries it over once a second.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    frames: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
}

impl Traffic {
    #[inline]
    pub(crate) fn add(&self, direction: Direction, frames: u64, bytes: u64) {
        let at = usize::from(direction == Direction::Backend);
        self.frames[at].fetch_add(frames, Ordering::Relaxed);
        self.bytes[at].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn publish(&self) {
        for (at, direction) in ["frontend", "backend"].into_iter().enumerate() {
            metrics::counter!(FRAMES, "direction" => direction).increment(self.frames[at].swap(0, Ordering::Relaxed));
            metrics::counter!(BYTES, "direction" => direction).increment(self.bytes[at].swap(0, Ordering::Relaxed));
        }
    }
}
