//! A thread of its own for the heavy work of one shard, or of merging.
//!
//! The system's allocator keeps what a thread has freed for that thread's next work. On a pool of threads each would
//! come to keep as much as the heaviest piece of work ever took; on one thread that is kept once.
//!
//! Invariants: work is done in the order it was given, one piece at a time; a piece that panics is reported to who gave
//! it, and the next one is done as usual.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::Error;

type Work = Box<dyn FnOnce() + Send>;

/// The thread. It ends when this is dropped and its work is done. Its queue is as long as there are givers, because each
/// waits for its piece.
#[derive(Debug)]
pub(crate) struct Thread(mpsc::Sender<Work>);

impl Thread {
    pub(crate) fn start(name: String) -> Result<Thread, Error> {
        let (sender, receiver) = mpsc::channel::<Work>();
        let work = move || receiver.into_iter().for_each(|work| work());
        std::thread::Builder::new()
            .name(name)
            .spawn(work)
            .map_err(|error| Error::Stopped(format!("no thread could be started: {error}")))?;
        Ok(Thread(sender))
    }

    /// Does `work` there. Once begun it is finished, whether or not somebody still waits for it.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            // Whoever gave it may be gone.
            let _ = answer.send(done.map_err(|panic| said(&*panic)));
        };
        let stopped = || Error::Stopped("its thread is gone".to_owned());
        self.0.send(Box::new(work)).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?.map_err(Error::Stopped)
    }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_one_thread_and_survives_a_panic() {
        let thread = Thread::start("worker".to_owned()).unwrap();
        let first = thread.run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(first, std::thread::current().id());
        let error = thread.run(|| panic!("spilled")).await.unwrap_err();
        assert!(error.to_string().contains("spilled"), "{error}");
        assert_eq!(thread.run(|| std::thread::current().id()).await.unwrap(), first);
    }
}
