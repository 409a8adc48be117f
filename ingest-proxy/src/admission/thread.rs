//! One thread: a runtime, a shard of the log, listening sockets and the sessions that are served here.
//!
//! Invariant: the shard's first block says which process writes from here on, its last one that it stopped.

use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::mint_session_id;
use hansard_schemas::events::{self, event};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Serve;
use crate::admission::dispatcher::{Dispatcher, Handover, ThreadHandle};
use crate::capture::Capture;
use crate::clock;
use crate::errors::Error;
use crate::worker::Worker;

/// Between two signs of life in the log.
const ALIVE: Duration = Duration::from_secs(10);

/// Between two attempts to append what the log refused.
const RETRY: Duration = Duration::from_millis(250);

/// What a thread begins with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) worker: Arc<Worker>,
    /// This thread's place in `threads`.
    pub(crate) own: usize,
    pub(crate) threads: Arc<[ThreadHandle]>,
    pub(crate) inbox: mpsc::Receiver<Handover>,
    /// A socket for each target, in their order.
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) serve: Serve,
}

/// A worker in a thread of its own. The receiver hears of its end, or of its death.
pub(crate) fn spawn(start: Start) -> Result<oneshot::Receiver<()>, Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(Error::Worker)?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("proxy-{}", start.own))
        .spawn(move || {
            start.worker.shared.cores.enter(start.own);
            runtime.block_on(run(start));
            runtime.shutdown_timeout(Duration::from_secs(1));
            // Nobody listens any more when the caller gave up waiting.
            let _ = ended.send(());
        })
        .map_err(Error::Worker)?;
    Ok(end)
}

/// Serves until the worker's token is cancelled and its sessions have ended.
async fn run(start: Start) {
    let Start { worker, own, threads, mut inbox, listeners, serve } = start;
    let mut own_record = ProcessRecord::begin(worker.clone());
    let sessions = TaskTracker::new();
    let dispatcher = Arc::new(Dispatcher { worker: worker.clone(), own, threads, sessions: sessions.clone(), serve });
    for (target, listener) in listeners.into_iter().enumerate() {
        match TcpListener::from_std(listener) {
            Ok(listener) => drop(tokio::spawn(dispatcher.clone().accept(target, listener))),
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
            Some(handover) = inbox.recv() => dispatcher.take_over(handover),
            _ = alive.tick() => own_record.alive(),
            _ = publish.tick() => worker.traffic.publish(),
            // The refusal has been told by the journal; it is told again when it ends.
            _ = retry.tick() => drop(worker.journal.append_backlog()),
        }
    }
    sessions.close();
    let patience = worker.shared.options.shutdown_grace + super::LINGER;
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
