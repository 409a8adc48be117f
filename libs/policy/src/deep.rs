//! The thread that texts are analysed on that nest too deeply for any thread's stack.
//!
//! One for the process, from the first such text on: to start a thread costs many times what a short text does.

use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::{Analysis, Dialect, scan, statements};

/// Its stack, in bytes: several times what [`crate::nesting::MAX`] levels take in an unoptimised build.
const STACK: usize = 64 * 1024 * 1024;

struct Job {
    sql: String,
    dialect: Dialect,
    split: scan::Split,
    answer: SyncSender<Analysis>,
}

/// The analysis; none where there is no such thread.
pub(crate) fn analyse(sql: &str, dialect: Dialect, split: scan::Split) -> Option<Analysis> {
    static JOBS: LazyLock<Option<SyncSender<Job>>> = LazyLock::new(start);
    let (answer, answered) = sync_channel(1);
    JOBS.as_ref()?.send(Job { sql: sql.to_owned(), dialect, split, answer }).ok()?;
    answered.recv().ok()
}

fn start() -> Option<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(0);
    let thread = thread::Builder::new().name("deep sql".to_owned()).stack_size(STACK);
    thread.spawn(move || run(&jobs)).ok()?;
    Some(sender)
}

fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        let analysed = std::panic::catch_unwind(|| statements(&job.sql, job.dialect, job.split));
        if let Ok(analysis) = analysed {
            // Whoever asked waits for it.
            _ = job.answer.send(analysis);
        }
    }
}
