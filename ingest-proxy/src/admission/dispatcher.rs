//! Connections come in on one thread and are served on the one that suits them.
//!
//! Invariant: a session stays on the thread that begins it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::Serve;
use crate::shared::Shared;
use crate::worker::Worker;

/// Connections handed over by other threads that may wait at once.
pub(crate) const INBOX: usize = 256;

/// How many connections more than the idlest a thread may have to be given another one from its own core.
const LEAN: usize = 2;

/// A connection that came in on one thread and is served by another.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) target: usize,
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
}

/// A thread as the others see it.
#[derive(Debug)]
pub(crate) struct ThreadHandle {
    pub(crate) inbox: mpsc::Sender<Handover>,
    /// Connections that it serves.
    pub(crate) load: AtomicUsize,
}

/// Takes connections in and spreads them over the threads.
pub(crate) struct Dispatcher {
    pub(crate) worker: Arc<Worker>,
    pub(crate) own: usize,
    pub(crate) threads: Arc<[ThreadHandle]>,
    pub(crate) sessions: TaskTracker,
    pub(crate) serve: Serve,
}

impl Dispatcher {
    pub(crate) async fn accept(self: Arc<Self>, target: usize, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.worker.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.place(target, stream, peer),
                Err(error) => {
                    // Out of file descriptors, mostly: it passes, and asking at once again would only spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn place(&self, target: usize, stream: TcpStream, peer: SocketAddr) {
        let loads: Vec<usize> = self.threads.iter().map(|thread| thread.load.load(Ordering::Relaxed)).collect();
        let home = self.worker.shared.cores.thread_for(&stream);
        let chosen = choose(&loads, self.own, home);
        if chosen == self.own {
            return self.begin(target, stream, peer);
        }
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection could not be handed over"),
        };
        let handover = Handover { target, stream, peer };
        if let Err(refused) = self.threads[chosen].inbox.try_send(handover) {
            let (mpsc::error::TrySendError::Full(handover) | mpsc::error::TrySendError::Closed(handover)) = refused;
            self.take_over(handover);
        }
    }

    pub(crate) fn take_over(&self, handover: Handover) {
        match TcpStream::from_std(handover.stream) {
            Ok(stream) => self.begin(handover.target, stream, handover.peer),
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }

    fn begin(&self, target: usize, stream: TcpStream, peer: SocketAddr) {
        let load = Load::add(self.worker.shared.clone(), self.threads.clone(), self.own);
        let session = (self.serve)(self.worker.clone(), target, stream, peer);
        self.sessions.spawn(async move {
            session.await;
            drop(load);
        });
    }
}

/// The thread for a connection that came in on thread `own`, whose peer is nearest to thread `home`.
///
/// The kernel spreads connections by hash, so a few of them easily end on one thread; what it hands out evenly stays.
fn choose(loads: &[usize], own: usize, home: Option<usize>) -> usize {
    let idlest = (0..loads.len()).min_by_key(|&at| loads[at]).unwrap_or(own);
    match home {
        Some(home) if loads[home] <= loads[idlest] + LEAN => home,
        _ if loads[own] <= loads[idlest] + 1 => own,
        _ => idlest,
    }
}

/// One connection in a thread's load.
struct Load {
    shared: Arc<Shared>,
    threads: Arc<[ThreadHandle]>,
    own: usize,
}

impl Load {
    fn add(shared: Arc<Shared>, threads: Arc<[ThreadHandle]>, own: usize) -> Load {
        threads[own].load.fetch_add(1, Ordering::Relaxed);
        shared.cores.connection_begins();
        Load { shared, threads, own }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.threads[self.own].load.fetch_sub(1, Ordering::Relaxed);
        self.shared.cores.connection_ends();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_home_unless_that_is_too_far_from_even() {
        assert_eq!(choose(&[0, 0], 1, Some(0)), 0);
        assert_eq!(choose(&[2, 0], 1, Some(0)), 0);
        assert_eq!(choose(&[3, 0], 0, Some(0)), 1, "not more than two more than the idlest");
        // Eight connections of two cores, in any order, are four on each.
        let mut loads = [0, 0];
        for home in [0, 0, 1, 0, 1, 1, 0, 1] {
            loads[choose(&loads, 0, Some(home))] += 1;
        }
        assert_eq!(loads, [4, 4]);
    }

    #[test]
    fn without_a_home_connections_stay_where_they_came_in_or_go_to_the_idlest() {
        assert_eq!(choose(&[1, 0], 0, None), 0);
        assert_eq!(choose(&[2, 0], 0, None), 1);
        assert_eq!(choose(&[4, 2, 9], 2, None), 1);
        assert_eq!(choose(&[7], 0, None), 0);
    }
}
