//! Where questions run: how many at once, on which threads, and what becomes of those that were given up.
//!
//! ```text
//! pages' questions ─────────── 8 at once ── threads of their own
//! asked questions ─┬─ small ── 8 at once ─┐
//!                  └─ heavy ── 2 at once ─┴ other threads, of a lower priority
//! ```
//!
//! Invariants: what the pages ask never waits for what somebody asks in SQL. At most so many questions run, and wait, at
//! once; another one is refused with the reason. A question that was given up and does not end within a grace takes its
//! threads with it: later questions get new ones, and after a few of those none at all, so that threads are bounded, too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Error;
use crate::standing::Standing;

/// Questions of the pages that run at once; threads for them.
const PAGES: usize = 8;
const PAGE_THREADS: usize = 2;

/// Small questions that were asked and run at once.
const SMALL: usize = 8;

/// Heavy ones.
const HEAVY: usize = 2;

/// Questions of either kind that wait.
const WAITING: usize = 32;

/// How long a question that was given up has to end.
const GRACE: Duration = Duration::from_secs(5);

/// How many times threads are left to questions that do not end.
const LEFT: usize = 2;

/// Stack of the threads that plan and run queries. DataFusion grows its stack while it recurses, but not where an
/// expression is cloned, printed or dropped: [`crate::guard::MAX_NESTING`] levels of those must fit, in a debug build too.
const STACK: usize = 32 * 1024 * 1024;

/// How much lower than the others' the priority of the threads is that run what was asked, as `nice` counts.
const NICE: i32 = 10;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A page or command of Hansard's own, in a question whose form is known.
    Page,
    /// Somebody, in SQL.
    Somebody,
}

/// What is known of a question's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Small,
    Heavy,
}

/// Threads of the engine's own. They are not waited for where they are dropped: that is not allowed inside another runtime.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn new(name: &str, count: usize, nice: bool) -> Threads {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(count.max(1))
            .thread_name(name)
            .thread_stack_size(STACK)
            .on_thread_start(move || {
                if nice && let Err(error) = lower_priority() {
                    tracing::debug!(%error, "questions run with the priority of everything else");
                }
            })
            .enable_all()
            .build()
            .expect("the system has threads left for the query engine");
        Threads(Some(runtime))
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("taken where it is dropped alone").handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lowers the priority of this thread: on Linux it has one of its own.
fn lower_priority() -> rustix::io::Result<()> {
    let now = rustix::process::getpriority_process(None)?;
    if now < NICE { rustix::process::setpriority_process(None, NICE) } else { Ok(()) }
}

/// Threads, and how many questions may use them.
#[derive(Debug)]
struct Lane {
    threads: Threads,
    small: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    /// Notified when others take their place.
    replaced: tokio::sync::Notify,
}

impl Lane {
    fn new(name: &str, threads: usize, nice: bool, small: usize, heavy: usize) -> Arc<Lane> {
        Arc::new(Lane {
            threads: Threads::new(name, threads, nice),
            small: Arc::new(Semaphore::new(small)),
            heavy: Arc::new(Semaphore::new(heavy)),
            replaced: tokio::sync::Notify::new(),
        })
    }
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    pages: Arc<Lane>,
    asked: Arc<Mutex<Asked>>,
    waiting: Arc<AtomicUsize>,
}

/// The lane of what is asked, and those before it.
#[derive(Debug)]
struct Asked {
    lane: Arc<Lane>,
    threads: usize,
    /// Lanes that were left to questions that do not end.
    left: Vec<Weak<Lane>>,
}

impl Asked {
    /// Lanes whose questions have not ended to this day.
    fn stuck(&mut self) -> usize {
        self.left.retain(|lane| lane.strong_count() > 0);
        self.left.len()
    }

    /// Leaves a lane to what does not end in it.
    fn leave(&mut self, lane: &Arc<Lane>) {
        if !Arc::ptr_eq(lane, &self.lane) || self.stuck() >= LEFT {
            return;
        }
        tracing::warn!("a question that was given up does not end: others get new threads");
        metrics::counter!("hansard_query_threads_left_total").increment(1);
        self.left.push(Arc::downgrade(lane));
        self.lane = Lane::new("hansard-query", self.threads, true, SMALL, HEAVY);
        lane.replaced.notify_waiters();
    }
}

/// How busy the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Heavy questions that run.
    pub heavy: usize,
    /// Questions that wait for others to end.
    pub waiting: usize,
    /// Sets of threads that are left to questions that were given up and have not ended.
    pub stuck: usize,
}

impl Load {
    /// What one who asks now should know; `None` when an answer is begun at once.
    pub fn remark(&self) -> Option<String> {
        let Load { heavy, waiting, stuck } = self;
        if *stuck > 0 {
            let refused = if *stuck >= LEFT { "; others may have to wait for them" } else { "" };
            return Some(format!("questions: {stuck} that were given up have not ended{refused}"));
        }
        (*heavy >= HEAVY || *waiting > 0)
            .then(|| format!("questions: {heavy} heavy ones are being answered, of {HEAVY} at once; {waiting} wait"))
    }
}

impl Lanes {
    pub(crate) fn new(threads: usize) -> Lanes {
        let asked = Lane::new("hansard-query", threads, true, SMALL, HEAVY);
        Lanes {
            pages: Lane::new("hansard-pages", PAGE_THREADS, false, PAGES, PAGES),
            asked: Arc::new(Mutex::new(Asked { lane: asked, threads, left: Vec::new() })),
            waiting: Arc::default(),
        }
    }

    pub(crate) fn load(&self) -> Load {
        let mut asked = self.asked.lock();
        let heavy = HEAVY - asked.lane.heavy.available_permits().min(HEAVY);
        Load { heavy, waiting: self.waiting.load(Ordering::Relaxed), stuck: asked.stuck() }
    }

    fn lane(&self, asker: Asker) -> Arc<Lane> {
        match asker {
            Asker::Page => Arc::clone(&self.pages),
            Asker::Somebody => Arc::clone(&self.asked.lock().lane),
        }
    }

    /// A place for a question, by `deadline`; it is kept until the question's work has ended.
    pub(crate) async fn place(&self, asker: Asker, weight: Weight, deadline: Instant) -> Result<Place, Error> {
        loop {
            let lane = self.lane(asker);
            let places = if weight == Weight::Heavy { &lane.heavy } else { &lane.small };
            if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
                self.measure();
                return Ok(Place { lane, permit });
            }
            let waits = Waits::begin(&self.waiting)?;
            self.measure();
            let replaced = lane.replaced.notified();
            if !Arc::ptr_eq(&lane, &self.lane(asker)) {
                // It was replaced before that could be heard.
                continue;
            }
            let permit = tokio::select! {
                permit = Arc::clone(places).acquire_owned() => permit.ok(),
                () = replaced => None,
                () = tokio::time::sleep_until(deadline) => return Err(waits.refusal()),
            };
            drop(waits);
            if let Some(permit) = permit {
                self.measure();
                return Ok(Place { lane, permit });
            }
        }
    }

    fn measure(&self) {
        let Load { heavy, waiting, stuck } = self.load();
        for (name, value) in [
            ("hansard_queries_heavy", heavy),
            ("hansard_queries_waiting", waiting),
            ("hansard_query_threads_left", stuck),
        ] {
            metrics::gauge!(name).set(u32::try_from(value).unwrap_or(u32::MAX));
        }
    }

    /// Runs a question's work in its place. Where the caller does not wait for the end, the work is given up.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        place: Place,
        standing: Arc<Standing>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let Place { lane, permit } = place;
        let handle = lane.threads.handle().clone();
        let threads = Arc::clone(&lane);
        let task = handle.spawn(async move {
            let done = work.await;
            drop((permit, threads));
            done
        });
        Running {
            task: Some(task),
            standing,
            lane,
            asked: Arc::clone(&self.asked),
            keeper: self.pages.threads.handle().clone(),
        }
    }
}

/// One that waits.
struct Waits(Arc<AtomicUsize>);

impl Waits {
    fn begin(waiting: &Arc<AtomicUsize>) -> Result<Waits, Error> {
        let waits = Waits(Arc::clone(waiting));
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return Err(waits.refusal());
        }
        Ok(waits)
    }

    fn refusal(&self) -> Error {
        metrics::counter!("hansard_queries_refused_total").increment(1);
        Error::Busy { heavy: HEAVY, waiting: self.0.load(Ordering::Relaxed).saturating_sub(1) }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place for one question.
#[derive(Debug)]
pub(crate) struct Place {
    lane: Arc<Lane>,
    permit: OwnedSemaphorePermit,
}

/// A question's work on its way.
pub(crate) struct Running<T: Send + 'static> {
    task: Option<JoinHandle<T>>,
    standing: Arc<Standing>,
    lane: Arc<Lane>,
    asked: Arc<Mutex<Asked>>,
    /// Where those are kept an eye on that were given up.
    keeper: Handle,
}

impl<T: Send + 'static> Running<T> {
    /// Waits for the end.
    pub(crate) async fn done(mut self) -> Result<T, Error> {
        let Some(task) = &mut self.task else { return Err(Error::Internal("a query was never begun".to_owned())) };
        let done = task.await;
        self.task = None;
        done.map_err(|error| Error::Internal(format!("a query ended without an answer: {error}")))
    }
}

impl<T: Send + 'static> Drop for Running<T> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        self.standing.give_up();
        task.abort();
        let (lane, asked) = (Arc::clone(&self.lane), Arc::clone(&self.asked));
        self.keeper.spawn(async move {
            if tokio::time::timeout(GRACE, task).await.is_err() {
                asked.lock().leave(&lane);
            }
        });
    }
}
