//! Both byte streams of a session, in one task: read, record, pass on.
//!
//! Each direction has a [`Source`], which gives bytes, and a [`Sink`], which takes them; in between the protocol's
//! [`Conversation`] says what becomes of each piece, and [`Capture`] records what leaves it. More is taken from a source
//! when its sink is empty; the other direction goes on meanwhile, so two full sockets never wait for each other.
//!
//! Invariants: with durability `write-ahead` no byte of the job is written before its block is acknowledged, with
//! `before-reply` no byte to the job; while the log refuses, nothing is taken; nothing here depends on the protocol.

mod alarm;
pub(crate) mod conversation;
pub(crate) mod pool;
mod sink;
mod source;
pub(crate) mod stream;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hansard_event_log::{Error, Position};
use hansard_schemas::events::event;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::admission::leases::Standing;
use crate::capture::{Capture, DUE};
use crate::clock;
use crate::direction::Direction;
use crate::errors::Refusal;
use crate::options::Durability;
use crate::relay::alarm::{Ending, EndingReason, expiry_check};
use crate::relay::conversation::{Conversation, Piece, Record, Step};
use crate::relay::sink::{Sink, Write};
use crate::relay::source::{Read, Source};
use crate::relay::stream::Stream;
use crate::shared::Shared;
use crate::worker::Worker;

/// From capture to append, where nothing asks for it sooner. With the timer's own grain of 1 ms and a thread's
/// [`TIMER_SLACK`](crate::admission::cores::TIMER_SLACK) nothing captured stays out of the log for longer than 5 ms.
const DUE_AFTER: Duration = Duration::from_millis(2);

/// Between two attempts while the log refuses.
const RETRY: Duration = Duration::from_millis(100);

/// How a session's data phase ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The job said that it ends the session, and the database closed.
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
pub(crate) struct Relay<C> {
    worker: Arc<Worker>,
    pub(crate) job: Stream,
    pub(crate) database: Stream,
    pub(crate) capture: Capture,
    conversation: C,
    frontend: Lane,
    backend: Lane,
    /// The direction whose bytes wait for the log.
    gated: Option<Direction>,
    gate: Gate,
    acknowledgement: Option<Acknowledgement>,
    /// What all shards are being told before the job's next request goes on.
    announcement: Option<Acknowledgement>,
    /// Since when the log has refused to append.
    refused_since: Option<Instant>,
    /// Since when an acknowledgement has been awaited.
    awaited_since: Option<Instant>,
    retry_at: Option<Instant>,
    expires_at: u64,
    standing: Arc<Standing>,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
    /// The alarm rings in time for what is captured and not appended.
    due_is_set: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    ending: Option<Ending>,
    /// What may be written to the job ends where a message ends.
    job_at_boundary: bool,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    source: Source,
    sink: Sink,
    /// The conversation has not been asked since bytes came, or since the other direction went on.
    due: bool,
    /// The conversation holds back what comes next.
    held: bool,
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

impl Lane {
    fn new(worker: &Worker, already: &[u8]) -> Lane {
        let source = Source::new(&worker.pool, already);
        Lane { source, sink: Sink::default(), due: !already.is_empty(), held: false }
    }

    /// Everything that was read has been written.
    fn is_empty(&self) -> bool {
        self.sink.is_empty() && self.source.waiting().is_empty()
    }
}

impl<C: Conversation> Relay<C> {
    /// `from_job` and `from_database` are bytes that were read already; neither is longer than a buffer.
    pub(crate) fn new(
        worker: Arc<Worker>,
        (job, database): (Stream, Stream),
        capture: Capture,
        conversation: C,
        (from_job, from_database): (&[u8], &[u8]),
        (expires_at, standing): (u64, Arc<Standing>),
    ) -> Relay<C> {
        let gated = match worker.shared.options.durability {
            Durability::WriteAhead => Some(Direction::Frontend),
            Durability::BeforeReply => Some(Direction::Backend),
            Durability::Async | Durability::Off => None,
        };
        let stopping = Box::pin(worker.stopping.clone().cancelled_owned());
        let alarm_at = expiry_check(expires_at);
        Relay {
            frontend: Lane::new(&worker, from_job),
            backend: Lane::new(&worker, from_database),
            worker,
            job,
            database,
            capture,
            conversation,
            gated,
            gate: Gate::Open,
            acknowledgement: None,
            announcement: None,
            refused_since: None,
            awaited_since: None,
            retry_at: None,
            expires_at,
            standing,
            alarm: Box::pin(tokio::time::sleep_until(alarm_at)),
            alarm_at: Some(alarm_at),
            due_is_set: false,
            stopping,
            ending: None,
            job_at_boundary: true,
        }
    }

    /// Relays until the session ends.
    pub(crate) async fn run(&mut self) -> End {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// What all sessions share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.worker.shared
    }

    /// True when the job has been sent whole messages only, so that one of Hansard's own may follow.
    pub(crate) fn may_speak(&self) -> bool {
        self.job_at_boundary
    }

    /// Bytes for the job that may still be written.
    pub(crate) fn unsent(&self) -> Vec<u8> {
        self.backend.sink.unwritten(&self.backend.source)
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
            if let Poll::Ready(end) = self.poll_announcement(cx) {
                return Poll::Ready(end);
            }
            if self.capture.pending() > 0 && !self.due_is_set {
                self.due_is_set = true;
                self.wake_at(Instant::now() + DUE_AFTER);
            }
            if let Poll::Ready(end) = self.poll_clock(cx, moved, &mut resumed) {
                return Poll::Ready(end);
            }
            // Each direction has gone as far as it could: only the log, or the other direction, can have changed what
            // it may do.
            let due = self.capture.pending() >= DUE && self.refused_since.is_none();
            let unwatched = self.gate != Gate::Open && self.refused_since.is_none() && self.acknowledgement.is_none();
            let released = self.frontend.due && self.may_take(Direction::Frontend);
            if !due && !resumed && !unwatched && !released {
                return Poll::Pending;
            }
        }
    }

    /// From the job to the database.
    fn poll_frontend(&mut self, cx: &mut Context<'_>, moved: &mut bool) -> Poll<End> {
        loop {
            let lane = &mut self.frontend;
            if !lane.sink.is_empty() {
                match lane.sink.poll_write(cx, &lane.source, &mut self.database) {
                    Write::Some => {
                        *moved = true;
                        continue;
                    }
                    Write::Wait => {}
                    // What the database still has to say tells why it does not listen.
                    Write::Failed => {
                        lane.sink.clear();
                        lane.source.stop(&self.worker.pool);
                        (lane.due, lane.held) = (false, false);
                    }
                }
            }
            if self.frontend.due && self.may_take(Direction::Frontend) {
                if let Some(end) = self.take(Direction::Frontend) {
                    return Poll::Ready(end);
                }
                *moved = true;
                continue;
            }
            let lane = &mut self.frontend;
            let unused = lane.sink.is_empty();
            match lane.source.poll_read(cx, &self.worker.pool, &mut self.job, unused) {
                Read::Some => {
                    (lane.due, *moved) = (true, true);
                    continue;
                }
                Read::Failed => return Poll::Ready(End::JobLost),
                Read::Wait => {}
            }
            if !lane.source.has_end_to_tell() || lane.due || lane.held || !lane.sink.is_empty() {
                return Poll::Pending;
            }
            // A side that is gone needs no telling.
            if Pin::new(&mut self.database).poll_shutdown(cx).is_pending() {
                return Poll::Pending;
            }
            lane.source.close(&self.worker.pool);
            *moved = true;
        }
    }

    /// From the database to the job.
    fn poll_backend(&mut self, cx: &mut Context<'_>, moved: &mut bool) -> Poll<End> {
        loop {
            let lane = &mut self.backend;
            if !lane.sink.is_empty() {
                match lane.sink.poll_write(cx, &lane.source, &mut self.job) {
                    Write::Some => {
                        *moved = true;
                        continue;
                    }
                    Write::Wait => {}
                    Write::Failed => return Poll::Ready(End::JobLost),
                }
            }
            if self.backend.due && self.may_take(Direction::Backend) {
                if let Some(end) = self.take(Direction::Backend) {
                    return Poll::Ready(end);
                }
                *moved = true;
                continue;
            }
            let lane = &mut self.backend;
            let unused = lane.sink.is_empty();
            match lane.source.poll_read(cx, &self.worker.pool, &mut self.database, unused) {
                Read::Some => {
                    (lane.due, *moved) = (true, true);
                    continue;
                }
                Read::Failed => {
                    lane.source.end();
                    (lane.due, *moved) = (true, true);
                    continue;
                }
                Read::Wait => {}
            }
            if lane.source.has_end_to_tell() && !lane.due && lane.sink.is_empty() {
                return Poll::Ready(self.database_closed());
            }
            return Poll::Pending;
        }
    }

    /// While the log refuses, or a block waits for it, nothing is added.
    #[inline]
    fn may_take(&self, direction: Direction) -> bool {
        let lane = if direction == Direction::Frontend { &self.frontend } else { &self.backend };
        let asks_on = || self.ending.is_none_or(|ending| ending.why == EndingReason::Stopping);
        self.refused_since.is_none()
            && self.capture.pending() < DUE
            && lane.sink.is_empty()
            && (self.gated != Some(direction) || self.gate == Gate::Open)
            && (direction == Direction::Backend || self.announcement.is_none() && asks_on())
    }

    /// Gives the conversation what has been read, and does what it says.
    fn take(&mut self, direction: Direction) -> Option<End> {
        let now = clock::now();
        if direction == Direction::Frontend && self.standing.is_revoked() {
            self.revoke();
            return None;
        }
        if direction == Direction::Frontend && now >= self.expires_at {
            self.expire();
            return None;
        }
        let mut waiting = false;
        let (lane, other) = match direction {
            Direction::Frontend => (&mut self.frontend, &mut self.backend),
            Direction::Backend => (&mut self.backend, &mut self.frontend),
        };
        (lane.due, lane.held) = (false, false);
        loop {
            let bytes = lane.source.waiting();
            let gated = self.gated == Some(direction);
            match self.conversation.next(direction, bytes, lane.source.has_ended()) {
                Step::Wait => break,
                Step::Hold => {
                    lane.held = true;
                    break;
                }
                Step::Pass(piece) => {
                    self.capture.settles(direction == Direction::Backend && self.conversation.is_settled());
                    record(&mut self.capture, direction, now, bytes, piece);
                    lane.sink.borrow(lane.source.take(piece.len), gated);
                    waiting |= gated;
                }
                Step::Replace(piece, message) => {
                    self.capture.settles(direction == Direction::Backend && self.conversation.is_settled());
                    self.capture.frames(direction, now, &message, 1);
                    lane.source.take(piece.len);
                    lane.sink.own(message.into(), gated);
                    waiting |= gated;
                }
                Step::Drop(piece) => {
                    record(&mut self.capture, direction, now, bytes, piece);
                    lane.source.take(piece.len);
                }
                Step::Insert(message) => lane.sink.own(message, false),
                Step::Answer(piece, message) => {
                    record(&mut self.capture, direction, now, bytes, piece);
                    lane.source.take(piece.len);
                    let answer = match direction {
                        Direction::Frontend => Direction::Backend,
                        Direction::Backend => Direction::Frontend,
                    };
                    self.capture.frames(answer, now, &message, 1);
                    let gated = self.gated == Some(answer);
                    other.sink.own(message.into(), gated);
                    waiting |= gated;
                }
                Step::Announce(event) => {
                    lane.held = true;
                    self.announcement = Some(announce(&self.worker, event));
                    break;
                }
                Step::End(refusal) => return Some(End::Refused(refusal)),
            }
        }
        if direction == Direction::Backend && (other.held || self.conversation.has_message()) {
            other.due = true;
        }
        if waiting {
            (self.gate, self.acknowledgement) = (Gate::Append, None);
            self.append();
        }
        if !self.backend.sink.waits() {
            self.job_at_boundary = self.conversation.is_at_boundary(Direction::Backend);
        }
        None
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
        match self.gated {
            Some(Direction::Frontend) => self.frontend.sink.release(),
            Some(Direction::Backend) => {
                self.backend.sink.release();
                self.job_at_boundary = self.conversation.is_at_boundary(Direction::Backend);
            }
            None => {}
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

    /// Goes on with the job's requests once all shards have been told.
    fn poll_announcement(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Some(announcement) = &mut self.announcement else { return Poll::Pending };
        match announcement.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                self.announcement = None;
                self.frontend.due = true;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(End::Refused(Refusal::unrecordable(&error))),
        }
    }

    fn database_closed(&self) -> End {
        if self.conversation.job_has_terminated() {
            End::Terminated
        } else if self.frontend.source.has_ended() {
            End::ClosedByJob
        } else if self.conversation.database_has_explained() {
            End::ClosedByDatabase
        } else {
            End::Refused(Refusal::lost())
        }
    }
}

fn announce(worker: &Worker, event: Box<event::Kind>) -> Acknowledgement {
    let (records, patience) = (worker.shared.records(), worker.shared.options.log_patience);
    Box::pin(async move {
        match records {
            Some(records) => records.tell_surely(&event, patience).await,
            // The proxy is gone, and the session with it.
            None => Ok(()),
        }
    })
}

#[inline]
fn record(capture: &mut Capture, direction: Direction, now: u64, bytes: &[u8], piece: Piece) {
    let bytes = &bytes[..piece.len];
    match piece.record {
        Record::Whole(count) => capture.frames(direction, now, bytes, count),
        Record::Part { tag, part } => capture.part(direction, now, bytes, tag, part),
        Record::Nothing => {}
    }
}
