//! Admission: listening sockets, the threads that serve connections, and how many may be open.
//!
//! Invariant: nothing here knows a protocol; a connection is handed to the [`Serve`] of its target.

pub(crate) mod cores;
pub(crate) mod dispatcher;
pub(crate) mod leases;
pub(crate) mod listener;
pub(crate) mod places;
pub(crate) mod refusal_rate;
pub(crate) mod thread;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::worker::Worker;

/// For the final message to a job that does not read, before its connection is closed.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// Serves one connection to a target, given by its place in the options, in the protocol that the target speaks.
pub(crate) type Serve = fn(Arc<Worker>, usize, TcpStream, SocketAddr) -> Pin<Box<dyn Future<Output = ()> + Send>>;
