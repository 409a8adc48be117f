//! How the recorder learns that a proxy is gone which could not say so.
//!
//! The usual way is the log itself: a proxy's next start is an event that ends what its former instance left open,
//! and projection sees to it. What is here is for proxies that never start again.

use std::sync::Arc;

/// How the end of a proxy is noticed that did not write it down.
#[derive(Clone)]
pub enum Proxies {
    /// By its next start only. Right where proxy and recorder are one process.
    WriteTheirEnd,
    /// The log has one writing process; the function says whether it is running now. Right for the embedded log,
    /// read by another process.
    OneWriter(Arc<dyn Fn() -> bool + Send + Sync>),
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Proxies::WriteTheirEnd => "WriteTheirEnd",
            Proxies::OneWriter(_) => "OneWriter",
        })
    }
}

impl Proxies {
    /// True when nobody writes the log now, for sure.
    pub(crate) fn are_gone(&self) -> bool {
        match self {
            Proxies::WriteTheirEnd => false,
            Proxies::OneWriter(running) => !running(),
        }
    }
}
