//! Both byte streams of a session, in one task: read, record, pass on.
//!
//! Each direction has one buffer: bytes are read into it, cut into frames ([`Cutter`]), captured, and written to the
//! other side once the log has what the durability asks for. A direction reads again when its buffer has been
//! written out; the other direction goes on meanwhile, so two full sockets never wait for each other.
//!
//! Invariants: bytes are written exactly as read; with durability `write-ahead` no byte of the job is written before
//! its block is acknowledged, with `before-reply` no byte of the database; while the log refuses, nothing is read.

mod flow;
pub(crate) mod pool;
pub(crate) mod stream;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hansard_event_log::{Error, Position};
use hansard_pg_wire::frame::{Direction, FrameError};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::capture::{Capture, DUE};
use crate::clock;
use crate::errors::{Kind, Refusal};
use crate::options::Durability;
use crate::relay::stream::Stream;
use crate::worker::Worker;

use flow::{Flow, Step};

/// From capture to append, where nothing asks for it sooner. With the timer's own grain of 1 ms and a thread's
/// [`TIMER_SLACK`](crate::admission::cores::TIMER_SLACK) nothing captured stays out of the log for longer than 5 ms.
const DUE_AFTER: Duration = Duration::from_millis(2);

/// Between two attempts while the log refuses.
const RETRY: Duration = Duration::from_millis(100);

/// How a session's data phase ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The job said Terminate and the database closed.
    Terminated,
    /// The job closed its side without a word.
    ClosedByJob,
    /// The job's connection broke.
    JobLost,
    /// The database closed after an error message of its own.
    ClosedByDatabase,
    /// Hansard ended it, and says so.
    Refused(Refusal),
}

/// A session's data phase.
pub(crate) struct Relay {
    worker: Arc<Worker>,
    pub(crate) job: Stream,
    pub(crate) database: Stream,
    pub(crate) capture: Capture,
    frontend: Flow,
    backend: Flow,
    /// The direction whose bytes wait for the log.
    gated: Option<Direction>,
    gate: Gate,
    acknowledgement: Option<Acknowledgement>,
    /// Since when the log has refused to append.
    refused_since: Option<Instant>,
    /// Since when an acknowledgement has been awaited.
    awaited_since: Option<Instant>,
    retry_at: Option<Instant>,
    expires_at: u64,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    stop_by: Option<Instant>,
    /// The last thing that happened is that the database said ReadyForQuery.
    idle: bool,
}

type Acknowledgement = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What the gated direction's captured bytes wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// To be appended.
    Append,
    /// To be acknowledged.
    Acknowledgement(Position),
}

impl Relay {
    /// `from_job` and `from_database` are bytes that were read already; neither is longer than a buffer.
    pub(crate) fn new(
        worker: Arc<Worker>,
        job: Stream,
        database: Stream,
        capture: Capture,
        (from_job, from_database): (&[u8], &[u8]),
        expires_at: u64,
    ) -> Relay {
        let gated = match worker.shared.options.durability {
            Durability::WriteAhead => Some(Direction::Frontend),
            Durability::BeforeReply => Some(Direction::Backend),
            Durability::Async | Durability::Off => None,
        };
        let stopping = Box::pin(worker.stopping.clone().cancelled_owned());
        Relay {
            frontend: Flow::new(Direction::Frontend, &worker.pool, from_job),
            backend: Flow::new(Direction::Backend, &worker.pool, from_database),
            worker,
            job,
            database,
            capture,
            gated,
            gate: Gate::Open,
            acknowledgement: None,
            refused_since: None,
            awaited_since: None,
            retry_at: None,
            expires_at,
            alarm: Box::pin(tokio::time::sleep(DUE_AFTER)),
            alarm_at: None,
            stopping,
            stop_by: None,
            idle: true,
        }
    }

    /// Relays until the session ends.
    pub(crate) async fn run(&mut self) -> End {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// True when the job has been sent whole frames only, so that one of Hansard's own may follow.
    pub(crate) fn may_speak(&self) -> bool {
        self.backend.is_at_boundary()
    }

    /// Bytes for the job that may still be written.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.backend.cleared_bytes()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (mut moved, mut resumed) = (false, false);
            if let Poll::Ready(end) = self.poll_gate(cx, &mut resumed) {
                return Poll::Ready(end);
            }
            if let Poll::Ready(end) = self.poll_frontend(cx, &mut moved) {
                return Poll::Ready(end);
            }
            if let Poll::Ready(end) = self.poll_backend(cx, &mut moved) {
                return Poll::Ready(end);
            }
            if self.capture.pending() > 0 && self.alarm_at.is_none() {
                self.wake_at(Instant::now() + DUE_AFTER);
            }
            if let Poll::Ready(end) = self.poll_clock(cx, moved, &mut resumed) {
                return Poll::Ready(end);
            }
            // Each direction has gone as far as it could: only the log can have changed what it may do.
            let due = self.capture.pending() >= DUE && self.refused_since.is_none();
            let unwatched = self.gate != Gate::Open && self.refused_since.is_none() && self.acknowledgement.is_none();
            if !due && !resumed && !unwatched {
                return Poll::Pending;
            }
        }
    }

    /// From the job to the database.
    fn poll_frontend(&mut self, cx: &mut Context<'_>, moved: &mut bool) -> Poll<End> {
        loop {
            let may_read = self.may_read(Direction::Frontend);
            match self.frontend.poll(cx, &self.worker.pool, &mut self.job, &mut self.database, may_read) {
                Step::Wait => return Poll::Pending,
                // What the database still has to say tells why it does not listen.
                Step::WriteFailed => self.frontend.stop(&self.worker.pool),
                Step::ReadFailed => return Poll::Ready(End::JobLost),
                Step::Wrote => {}
                Step::Read => {
                    if let Poll::Ready(end) = self.take_requests() {
                        return Poll::Ready(end);
                    }
                }
            }
            *moved = true;
        }
    }

    /// From the database to the job.
    fn poll_backend(&mut self, cx: &mut Context<'_>, moved: &mut bool) -> Poll<End> {
        loop {
            let may_read = self.may_read(Direction::Backend);
            match self.backend.poll(cx, &self.worker.pool, &mut self.database, &mut self.job, may_read) {
                Step::Wait if self.backend.has_ended() => return Poll::Ready(self.database_closed()),
                Step::Wait => return Poll::Pending,
                Step::WriteFailed => return Poll::Ready(End::JobLost),
                Step::Wrote => {}
                step @ (Step::Read | Step::ReadFailed) => {
                    if step == Step::ReadFailed {
                        self.backend.end();
                    }
                    if let Poll::Ready(end) = self.take_replies() {
                        return Poll::Ready(end);
                    }
                }
            }
            *moved = true;
        }
    }

    /// While the log refuses, or a block waits for it, nothing is added.
    fn may_read(&self, direction: Direction) -> bool {
        self.refused_since.is_none()
            && self.capture.pending() < DUE
            && (self.gated != Some(direction) || self.gate == Gate::Open)
    }

    fn take_requests(&mut self) -> Poll<End> {
        let now = clock::now();
        let expired = now >= self.expires_at;
        let statement = match self.frontend.capture(&mut self.capture, now, expired) {
            Ok(statement) => statement,
            Err(error) => return Poll::Ready(End::Refused(invalid(error))),
        };
        if expired && statement {
            return Poll::Ready(End::Refused(Refusal::expired(self.expires_at)));
        }
        self.idle = false;
        self.clear(Direction::Frontend);
        Poll::Pending
    }

    fn take_replies(&mut self) -> Poll<End> {
        if let Err(error) = self.backend.capture(&mut self.capture, clock::now(), false) {
            tracing::error!(session = %self.capture.session(), %error, "the database sent what is no message");
            return Poll::Ready(End::Refused(Refusal::lost()));
        }
        if self.backend.last_tag() == Some(b'Z') {
            self.idle = true;
        }
        self.clear(Direction::Backend);
        Poll::Pending
    }

    /// Lets captured bytes go on, at once or when the log has them.
    fn clear(&mut self, direction: Direction) {
        if self.gated != Some(direction) {
            let flow = if direction == Direction::Frontend { &mut self.frontend } else { &mut self.backend };
            flow.clear();
        } else if self.gated_flow().is_some_and(|flow| flow.has_uncleared()) {
            self.gate = Gate::Append;
            self.append();
        }
    }

    fn gated_flow(&mut self) -> Option<&mut Flow> {
        match self.gated? {
            Direction::Frontend => Some(&mut self.frontend),
            Direction::Backend => Some(&mut self.backend),
        }
    }

    /// Appends what is pending. A refusal begins, or goes on with, a hold.
    fn append(&mut self) {
        match self.capture.append() {
            Ok(position) => {
                self.refused_since = None;
                self.retry_at = None;
                if self.gate == Gate::Append {
                    match position {
                        Some(position) if !self.worker.journal.is_acknowledged(position) => {
                            self.gate = Gate::Acknowledgement(position);
                        }
                        _ => self.open_gate(),
                    }
                }
            }
            Err(_) => {
                let now = Instant::now();
                self.refused_since.get_or_insert(now);
                self.retry_at = Some(now + RETRY);
                self.wake_at(now + RETRY);
            }
        }
    }

    fn open_gate(&mut self) {
        self.gate = Gate::Open;
        self.acknowledgement = None;
        self.awaited_since = None;
        if let Some(flow) = self.gated_flow() {
            flow.clear();
        }
    }

    /// Appends what is due for its size, and waits for an acknowledgement.
    fn poll_gate(&mut self, cx: &mut Context<'_>, resumed: &mut bool) -> Poll<End> {
        if self.capture.pending() >= DUE && self.retry_at.is_none() {
            self.append();
        }
        let Gate::Acknowledgement(position) = self.gate else { return Poll::Pending };
        if self.worker.journal.is_acknowledged(position) {
            self.open_gate();
            *resumed = true;
            return Poll::Pending;
        }
        let journal = &self.worker.journal;
        let waiting = self.acknowledgement.get_or_insert_with(|| {
            let (log, shard) = (journal.log().clone(), journal.shard());
            Box::pin(async move { log.acknowledged(shard, position).await })
        });
        match waiting.as_mut().poll(cx) {
            Poll::Pending => {
                if self.awaited_since.is_none() {
                    let now = Instant::now();
                    self.awaited_since = Some(now);
                    self.wake_at(now + self.worker.shared.options.log_patience);
                }
                Poll::Pending
            }
            Poll::Ready(Ok(())) => {
                self.open_gate();
                *resumed = true;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(End::Refused(Refusal::unrecordable(&error))),
        }
    }

    /// Everything that depends on time, and the proxy's own end.
    fn poll_clock(&mut self, cx: &mut Context<'_>, moved: bool, resumed: &mut bool) -> Poll<End> {
        let rang = match self.poll_alarm(cx) {
            Ok(rang) => rang,
            Err(end) => return Poll::Ready(end),
        };
        *resumed |= rang;
        // A busy session looks after the stop when its alarm rings, an idle one when it is woken for nothing else.
        if self.stop_by.is_none() && (rang || !moved) && self.stopping.as_mut().poll(cx).is_ready() {
            let by = Instant::now() + self.worker.shared.options.shutdown_grace;
            self.stop_by = Some(by);
            self.wake_at(by);
            *resumed = true;
        }
        if self.stop_by.is_some() && self.idle && !self.frontend.holds_bytes() && !self.backend.holds_bytes() {
            return Poll::Ready(End::Refused(Refusal::stopping()));
        }
        Poll::Pending
    }

    /// Does what is due by the clock; true when something was.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut rang = false;
        while self.alarm_at.is_some() && self.alarm.as_mut().poll(cx).is_ready() {
            self.alarm_at = None;
            rang = true;
            let now = Instant::now();
            if self.stop_by.is_some_and(|by| now >= by) {
                return Err(End::Refused(Refusal::stopping()));
            }
            let patience = self.worker.shared.options.log_patience;
            if self.give_up_at(patience).is_some_and(|at| now >= at) {
                let reason = "the event log took nothing for as long as log_patience allows";
                return Err(End::Refused(Refusal::unrecordable(&reason)));
            }
            if self.retry_at.is_none_or(|at| now >= at) && self.capture.pending() > 0 {
                self.append();
            }
            let next = [self.stop_by, self.retry_at, self.give_up_at(patience)];
            if let Some(next) = next.into_iter().flatten().min() {
                self.wake_at(next);
            }
        }
        Ok(rang)
    }

    /// When the log will have taken nothing for too long.
    fn give_up_at(&self, patience: Duration) -> Option<Instant> {
        self.refused_since.or(self.awaited_since).map(|since| since + patience)
    }

    /// Makes the alarm ring at `at` or before.
    fn wake_at(&mut self, at: Instant) {
        if self.alarm_at.is_none_or(|set| at < set) {
            self.alarm.as_mut().reset(at);
            self.alarm_at = Some(at);
        }
    }

    fn database_closed(&self) -> End {
        if self.frontend.last_tag() == Some(b'X') {
            End::Terminated
        } else if self.frontend.has_ended() {
            End::ClosedByJob
        } else if self.backend.last_tag() == Some(b'E') {
            End::ClosedByDatabase
        } else {
            End::Refused(Refusal::lost())
        }
    }
}

fn invalid(error: FrameError) -> Refusal {
    Refusal::new(Kind::Protocol, format!("invalid message: {error}")).hint("The client's driver is at fault.")
}
