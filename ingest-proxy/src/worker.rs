//! One thread: a runtime, a shard of the log, listening sockets and the sessions that came in through them.
//!
//! Invariants: a session stays on its thread; the shard's first block says which process writes from here on, its
//! last one that it stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hansard_event_log::mint_session_id;
use hansard_schemas::events::{self, event};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capture::Capture;
use crate::house::House;
use crate::journal::Journal;
use crate::metrics::Traffic;
use crate::pool::Pool;
use crate::{clock, session};

/// Between two signs of life in the log.
const ALIVE: Duration = Duration::from_secs(10);

/// Between two attempts to append what the log refused.
const RETRY: Duration = Duration::from_millis(250);

/// Connections handed over by other threads that may wait at once.
pub(crate) const INBOX: usize = 256;

/// How many connections more than the idlest a thread may have to be given another one from its own core.
const LEAN: usize = 2;

/// What the sessions of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) house: Arc<House>,
    pub(crate) journal: Journal,
    pub(crate) pool: Pool,
    pub(crate) traffic: Traffic,
    /// Cancelled when sessions should end as soon as they are idle.
    pub(crate) stopping: CancellationToken,
}

/// A connection that came in on one thread and is served by another.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) target: usize,
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
}

/// A thread as the others see it.
#[derive(Debug)]
pub(crate) struct Colleague {
    pub(crate) inbox: mpsc::Sender<Handover>,
    /// Connections that it serves.
    pub(crate) load: AtomicUsize,
}

/// What a thread begins with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) worker: Arc<Worker>,
    /// This thread's place in `colleagues`.
    pub(crate) own: usize,
    pub(crate) colleagues: Arc<[Colleague]>,
    pub(crate) inbox: mpsc::Receiver<Handover>,
    /// A socket for each target, in their order.
    pub(crate) listeners: Vec<std::net::TcpListener>,
}

/// Serves until the worker's token is cancelled and its sessions have ended.
pub(crate) async fn run(start: Start) {
    let Start { worker, own, colleagues, mut inbox, listeners } = start;
    let mut own_record = ProcessRecord::begin(worker.clone());
    let sessions = TaskTracker::new();
    let reception = Arc::new(Reception { worker: worker.clone(), own, colleagues, sessions: sessions.clone() });
    for (target, listener) in listeners.into_iter().enumerate() {
        match TcpListener::from_std(listener) {
            Ok(listener) => drop(tokio::spawn(reception.clone().accept(target, listener))),
            Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
        }
    }
    let mut alive = tokio::time::interval(ALIVE);
    let mut retry = tokio::time::interval(RETRY);
    let mut publish = tokio::time::interval(Duration::from_secs(1));
    alive.tick().await;
    loop {
        tokio::select! {
            () = worker.stopping.cancelled() => break,
            Some(handover) = inbox.recv() => reception.take_over(handover),
            _ = alive.tick() => own_record.alive(),
            _ = publish.tick() => worker.traffic.publish(),
            // The refusal has been told by the journal; it is told again when it ends.
            _ = retry.tick() => drop(worker.journal.append_backlog()),
        }
    }
    sessions.close();
    let patience = worker.house.options.shutdown_grace + session::FAREWELL;
    if tokio::time::timeout(patience, sessions.wait()).await.is_err() {
        tracing::warn!(sessions = sessions.len(), "sessions were cut off because they did not end in time");
    }
    worker.traffic.publish();
    own_record.stop();
}

/// The record that the process keeps of itself in its shard.
struct ProcessRecord {
    capture: Capture,
    node: String,
    instance: String,
    worker: Arc<Worker>,
}

impl ProcessRecord {
    /// Nothing else is appended to the shard before this is.
    fn begin(worker: Arc<Worker>) -> ProcessRecord {
        let log = worker.journal.log();
        let session = mint_session_id(worker.journal.shard(), log.shards());
        let (node, instance) = (log.node().to_owned(), log.instance().to_owned());
        let mut capture = Capture::new(worker.clone(), session, "");
        capture.event(
            clock::now(),
            event::Kind::ProxyStarted(events::ProxyStarted {
                node: node.clone(),
                instance: instance.clone(),
                hansard_version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
        );
        capture.keep_pending();
        // A refusal has been told by the journal, and sessions wait for this block.
        let _ = worker.journal.append_backlog();
        ProcessRecord { capture, node, instance, worker }
    }

    fn alive(&mut self) {
        // A sign of life that the log cannot take is no sign; the next one will be.
        if self.capture.pending() == 0 {
            let (node, instance) = (self.node.clone(), self.instance.clone());
            self.capture.event(clock::now(), event::Kind::ProxyAlive(events::ProxyAlive { node, instance }));
        }
        let _ = self.capture.append();
    }

    fn stop(mut self) {
        let (node, instance) = (self.node.clone(), self.instance.clone());
        let reason = "asked to stop".to_owned();
        self.capture.event(clock::now(), event::Kind::ProxyStopped(events::ProxyStopped { node, instance, reason }));
        if let Err(error) = self.worker.journal.append_backlog().and_then(|()| self.capture.append()) {
            tracing::error!(%error, "the end of the proxy could not be recorded; its open sessions are closed when it starts again");
        }
    }
}

/// Takes connections in and spreads them over the threads.
struct Reception {
    worker: Arc<Worker>,
    own: usize,
    colleagues: Arc<[Colleague]>,
    sessions: TaskTracker,
}

impl Reception {
    async fn accept(self: Arc<Self>, target: usize, listener: TcpListener) {
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
        let loads: Vec<usize> = self.colleagues.iter().map(|thread| thread.load.load(Ordering::Relaxed)).collect();
        let home = self.worker.house.cores.thread_for(&stream);
        let chosen = choose(&loads, self.own, home);
        if chosen == self.own {
            return self.serve(target, stream, peer);
        }
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection could not be handed over"),
        };
        let handover = Handover { target, stream, peer };
        if let Err(refused) = self.colleagues[chosen].inbox.try_send(handover) {
            let (mpsc::error::TrySendError::Full(handover) | mpsc::error::TrySendError::Closed(handover)) = refused;
            self.take_over(handover);
        }
    }

    fn take_over(&self, handover: Handover) {
        match TcpStream::from_std(handover.stream) {
            Ok(stream) => self.serve(handover.target, stream, handover.peer),
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }

    fn serve(&self, target: usize, stream: TcpStream, peer: SocketAddr) {
        let load = Load::add(self.worker.house.clone(), self.colleagues.clone(), self.own);
        let session = session::run(self.worker.clone(), target, stream, peer);
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
    house: Arc<House>,
    colleagues: Arc<[Colleague]>,
    own: usize,
}

impl Load {
    fn add(house: Arc<House>, colleagues: Arc<[Colleague]>, own: usize) -> Load {
        colleagues[own].load.fetch_add(1, Ordering::Relaxed);
        house.cores.connection_begins();
        Load { house, colleagues, own }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.colleagues[self.own].load.fetch_sub(1, Ordering::Relaxed);
        self.house.cores.connection_ends();
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
