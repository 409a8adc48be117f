//! One thread: a runtime, a shard of the log, listening sockets and the sessions that are served here.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Serve;
use crate::admission::dispatcher::{Dispatcher, Handover, ThreadHandle};
use crate::capture::process::ProcessRecords;
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
    /// Of the process, for this thread's sign of life.
    pub(crate) records: Arc<ProcessRecords>,
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
    let Start { worker, own, threads, mut inbox, listeners, serve, records } = start;
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
            _ = alive.tick() => records.alive(own),
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
}
