//! One session's conversation in its data phase, on its way through the proxy.
//!
//! What belongs to what is known by [`Exchange`]. What the order of messages alone would leave open is kept from
//! happening by barriers: what the job sends behind a COPY that may take data from it waits until the database has
//! answered, and so it is known which of its messages the COPY takes. See [`barrier`].
//!
//! Invariants: however the bytes are cut on the way, the messages passed, dropped and inserted are the same; messages of
//! Hansard's own, and the answers to them, are neither recorded nor seen by the job.

mod barrier;
mod copies;
mod marker;
mod names;

use std::borrow::Cow;

use hansard_pg_wire::exchange::{Answered, Exchange, MAX_WAITING, Requested, refused_by_copy};
use hansard_pg_wire::frame::{Cut, Cutter, Frame, FrameError, HEADER, MAX_FRAME, frames};
use hansard_schemas::events::event;

use super::catalog::changes::SessionChanges;
use crate::direction::{Direction, Part};
use crate::errors::{Kind, Refusal};
use crate::relay::conversation::{Activity, Conversation, Piece, Record, Step};
use crate::relay::pool::BUFFER;
use barrier::{Barrier, Kept, Markers};
use copies::{Copies, Effect, NAME, Search};
use marker::{SYNC, ready};
use names::Names;

const FLUSH: &[u8] = b"H\0\0\0\x04";
const CLOSE_COMPLETE: &[u8] = b"3\0\0\0\x04";

/// Requests that an idle session keeps room for.
const KEPT: usize = 256;

/// Of a long message, bytes of the body that names are looked for in.
const HEAD: usize = 3 * (NAME + 1);

/// Of a long error, bytes of the body that the SQLSTATE is looked for in: severity comes before it.
const ERROR_HEAD: usize = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct PostgresConversation {
    cutters: [Cutter; 2],
    exchange: Exchange<Effect>,
    copies: Copies,
    names: Names,
    /// To be told before the job's next message.
    announcement: Option<Box<event::Kind>>,
    /// The job's next message has been told of, and not been passed.
    announced: bool,
    barrier: Barrier,
    /// Of Hansard's own, for the database.
    message: Option<Cow<'static, [u8]>>,
    /// Close of this statement marks a place in the answers. The job does not know the name.
    marker: String,
    markers: Markers,
    /// So many requests wait that no more are passed.
    full: bool,
    /// The job's last message will not be answered otherwise, and a Flush was inserted behind it.
    flushed: bool,
    /// Of the last ReadyForQuery.
    status: u8,
    /// Nothing of the extended protocol was passed since.
    synced: bool,
    /// The database sends data.
    copies_out: bool,
    /// A long message of the job.
    long: Option<LongRequest>,
    /// A long message of the database is an error of COPY's own.
    long_violation: bool,
    last: [u8; 2],
}

/// A message of the job that comes in parts.
#[derive(Debug)]
struct LongRequest {
    tag: u8,
    /// The first [`HEAD`] bytes of its body.
    head: Vec<u8>,
    search: Search,
}

/// What a message of the job meets, by its tag alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    /// It waits for an answer of the database.
    Hold,
    /// The server would skip it.
    Drop,
    /// It is the Sync that ends what the server would skip: the server has answered one already.
    Answer,
    /// There is no such message.
    Unknown,
}

impl PostgresConversation {
    /// `marker` is a name that the job does not know. `replication`: the session is to a walsender. `changes`: where it is
    /// to be told what changes the catalog.
    pub(crate) fn new(marker: String, replication: bool, changes: Option<SessionChanges>) -> PostgresConversation {
        PostgresConversation {
            cutters: [Direction::Frontend, Direction::Backend]
                .map(|direction| Cutter::new(super::wire(direction), BUFFER)),
            exchange: Exchange::default(),
            copies: Copies::default(),
            names: Names::new(changes),
            announcement: None,
            announced: false,
            barrier: Barrier::None,
            message: None,
            marker,
            markers: Markers { known: !replication, job_ended: false },
            full: false,
            flushed: false,
            status: b'I',
            synced: true,
            copies_out: false,
            long: None,
            long_violation: false,
            last: [0; 2],
        }
    }

    fn next_request(&mut self, bytes: &[u8], ended: bool) -> Step {
        // Not into the middle of a message.
        if self.cutters[0].at_boundary()
            && let Some(message) = self.message.take()
        {
            return Step::Insert(message);
        }
        if let Some(event) = self.announcement.take() {
            return Step::Announce(event);
        }
        let Some(&tag) = bytes.first() else {
            if !ended {
                return Step::Wait;
            }
            // The end of the job's side waits as a request would: a marker may have to go before it.
            if self.cutters[0].at_boundary() && (self.barrier.holds() || self.full) {
                return Step::Hold;
            }
            self.markers.job_ended = true;
            return Step::Wait;
        };
        if !self.cutters[0].at_boundary() {
            let dropped = self.barrier.drops();
            if let Some(long) = self.long.as_ref().filter(|_| !dropped && self.is_carried_out())
                && let Some(event) = self.names.before_piece(long.tag, bytes, false)
            {
                self.announced = true;
                return Step::Announce(Box::new(event));
            }
            return self.part(Direction::Frontend, bytes, ended).map_or(Step::Wait, |piece| passed(piece, dropped));
        }
        let verdict = self.verdict(tag);
        match verdict {
            Verdict::Pass | Verdict::Drop => {}
            Verdict::Hold => return Step::Hold,
            Verdict::Unknown => {
                return self.end(refuse(format!("invalid frontend message type {tag}")));
            }
            Verdict::Answer => {
                if bytes.len() < SYNC.len() && !ended {
                    return Step::Wait;
                }
                if !self.cutters[1].at_boundary() {
                    return Step::Hold;
                }
            }
        }
        let (mut len, mut count) = (0, 0);
        for frame in frames(bytes) {
            if count > 0 && self.verdict(frame.tag) != verdict {
                break;
            }
            if verdict == Verdict::Answer {
                let answer = self.answer_sync();
                return Step::Answer(Piece { len: frame.bytes.len(), record: Record::Whole(1) }, answer);
            }
            if verdict == Verdict::Pass
                && self.is_carried_out()
                && let Some(event) = self.names.before(frame.tag, frame.body, self.is_answered())
            {
                self.announced = true;
                if count == 0 {
                    return Step::Announce(Box::new(event));
                }
                self.announcement = Some(Box::new(event));
                break;
            }
            self.request(frame);
            (len, count) = (len + frame.bytes.len(), count + 1);
            // What is inserted goes right behind.
            if self.message.is_some() {
                break;
            }
        }
        if count > 0 {
            return passed(Piece { len, record: Record::Whole(count) }, verdict == Verdict::Drop);
        }
        if matches!(tag, b'P' | b'B' | b'E') && !ended && is_short_of(bytes, HEAD) {
            return Step::Wait;
        }
        if verdict == Verdict::Pass
            && bytes.len() > HEADER
            && is_short_of(bytes, BUFFER)
            && self.is_carried_out()
            && let Some(event) = self.names.before_piece(tag, &bytes[HEADER..], true)
        {
            self.announced = true;
            return Step::Announce(Box::new(event));
        }
        match self.cut(Direction::Frontend, bytes, ended) {
            Ok(cut) => self
                .begin(Direction::Frontend, bytes, cut, ended)
                .map_or(Step::Wait, |piece| passed(piece, verdict != Verdict::Pass)),
            Err(error) => self.end(refuse(format!("invalid message: {error}"))),
        }
    }

    fn next_answer(&mut self, bytes: &[u8], ended: bool) -> Step {
        if !self.cutters[1].at_boundary() {
            return self.part(Direction::Backend, bytes, ended).map_or(Step::Wait, Step::Pass);
        }
        let (mut len, mut count) = (0, 0);
        for frame in frames(bytes) {
            if self.barrier.has_kept(frame.tag) {
                if count > 0 {
                    break;
                }
                // Something else follows than the marker's answer.
                if let Some(step) = self.pass_kept() {
                    return step;
                }
            }
            let own = self.barrier.takes(frame.tag);
            if (own || frame.tag == b'K') && count > 0 {
                break;
            }
            let piece = Piece { len: frame.bytes.len(), record: Record::Nothing };
            if own {
                return match self.take_marked(frame) {
                    Some(message) => Step::Replace(piece, message),
                    None => Step::Drop(piece),
                };
            }
            if frame.tag == b'K' {
                return strange("it sent a key in the middle of a session");
            }
            if frame.tag == b'E' {
                self.names.failed(frame.body);
            }
            self.answer(frame.tag, frame.body.first().copied(), frame.tag == b'E' && refused_by_copy(frame.body));
            (len, count) = (len + frame.bytes.len(), count + 1);
        }
        if count > 0 {
            return Step::Pass(Piece { len, record: Record::Whole(count) });
        }
        let Some(&tag) = bytes.first() else {
            // The job ended within a message, so that the marker never went out.
            let unmarked = ended && self.markers.job_ended && self.message.is_some();
            return unmarked.then(|| self.pass_kept()).flatten().unwrap_or(Step::Wait);
        };
        if tag == b'E' && !ended && is_short_of(bytes, ERROR_HEAD) {
            return Step::Wait;
        }
        match self.cut(Direction::Backend, bytes, ended) {
            Ok(cut) => self.begin(Direction::Backend, bytes, cut, ended).map_or(Step::Wait, Step::Pass),
            Err(error) => strange(&error.to_string()),
        }
    }

    /// What was kept, as the job's.
    fn pass_kept(&mut self) -> Option<Step> {
        let message = match self.barrier.pass_kept()? {
            Kept::Ready(status) => {
                self.answer(b'Z', Some(status), false);
                ready(status)
            }
            Kept::CloseComplete => {
                self.answer(b'3', None, false);
                CLOSE_COMPLETE.to_vec()
            }
        };
        Some(Step::Replace(Piece { len: 0, record: Record::Nothing }, message))
    }

    /// What becomes of a message of the job.
    #[inline]
    fn verdict(&self, tag: u8) -> Verdict {
        if self.barrier.holds() || self.full {
            return Verdict::Hold;
        }
        match tag {
            b'S' if self.barrier.drops() => Verdict::Answer,
            b'X' => Verdict::Pass,
            b'Q' | b'F' | b'B' | b'C' | b'D' | b'E' | b'H' | b'P' | b'S' | b'd' | b'c' | b'f' => {
                if self.barrier.drops() { Verdict::Drop } else { Verdict::Pass }
            }
            _ => Verdict::Unknown,
        }
    }

    /// A whole message of the job is passed, or dropped.
    #[inline]
    fn request(&mut self, frame: Frame<'_>) {
        let (tag, body) = (frame.tag, frame.body);
        match tag {
            b'Q' => self.requested(tag, None, Effect::Nothing, Search::whole(body)),
            b'P' => {
                let (name, text) = name(body).unwrap_or((body, b""));
                let effect =
                    if self.is_carried_out() { self.copies.parse(name, Search::whole(text)) } else { Effect::Nothing };
                self.requested(tag, None, effect, false);
            }
            b'B' if !self.copies.is_empty() => {
                let effect = self.bind(body, true);
                self.requested(tag, None, effect, false);
            }
            b'E' if !self.copies.is_empty() => {
                let copy = self.copies.execute(name(body).map_or(body, |(portal, _)| portal));
                self.requested(tag, None, Effect::Nothing, copy);
            }
            b'S' => {
                self.copies.sync();
                self.requested(tag, None, Effect::Nothing, false);
            }
            _ => self.requested(tag, body.first().copied(), Effect::Nothing, false),
        }
    }

    /// `whole`: the names have come as far as they go.
    fn bind(&mut self, body: &[u8], whole: bool) -> Effect {
        if !self.is_carried_out() {
            return Effect::Nothing;
        }
        match name(body) {
            Some((portal, rest)) => {
                let statement = match name(rest) {
                    Some((statement, _)) => Some(statement),
                    None if whole || rest.len() > NAME => Some(rest),
                    None => None,
                };
                self.copies.bind(portal, statement)
            }
            None => self.copies.bind(body, None),
        }
    }

    /// A request that the server does not skip.
    fn is_carried_out(&self) -> bool {
        !self.exchange.is_skipping()
    }

    /// All that was asked has been answered.
    fn is_answered(&self) -> bool {
        self.exchange.waiting().is_empty() && self.exchange.is_idle()
    }

    /// A message of the job is passed, or dropped. `copy`: it may be a COPY that takes data from the job.
    #[inline]
    fn requested(&mut self, tag: u8, first: Option<u8>, effect: Effect, copy: bool) {
        self.last[0] = tag;
        (self.flushed, self.announced) = (false, false);
        self.synced &= matches!(tag, b'Q' | b'F' | b'S' | b'H' | b'X' | b'd' | b'c' | b'f');
        let requested = self.exchange.request(tag, first, || effect);
        self.settle_discarded();
        if let Some(message) = self.barrier.request(tag, copy && requested == Requested::Queued) {
            self.message = Some(Cow::Borrowed(message));
        }
        if requested == Requested::Queued && self.exchange.waiting().len() >= MAX_WAITING {
            self.full = true;
            self.message = Some(Cow::Borrowed(FLUSH));
        }
    }

    /// A whole message of the database is passed.
    #[inline]
    fn answer(&mut self, tag: u8, first: Option<u8>, violation: bool) {
        self.last[1] = tag;
        let extended = self.exchange.front().is_some_and(|front| !front.kind.ends_ready());
        match self.exchange.answer(tag, violation) {
            Answered::Ends(ended) => self.copies.settle(ended.request, true),
            Answered::FailsAndSkips(all) => {
                for waiting in all {
                    self.copies.settle(waiting.request, false);
                }
            }
            Answered::Ready { passed, .. } => {
                for waiting in passed {
                    self.copies.settle(waiting.request, false);
                }
            }
            _ => {}
        }
        self.settle_discarded();
        match tag {
            b'Z' => {
                self.status = first.unwrap_or(self.status);
                self.synced |= self.exchange.waiting().is_empty();
                self.copies_out = false;
                if self.is_answered() && !self.announced {
                    self.names.idle(self.status == b'I');
                }
                self.release();
            }
            b'H' => self.copies_out = true,
            b'C' | b'E' => self.copies_out = false,
            _ => {}
        }
        self.full &= self.exchange.waiting().len() > MAX_WAITING / 2;
        if self.barrier.answer(tag, extended, &self.exchange, self.markers) {
            let (sync, double) = self.barrier.marks_with();
            self.message = Some(Cow::Owned(self.marker_message(sync, double)));
        }
    }

    #[inline]
    fn settle_discarded(&mut self) {
        if !self.exchange.has_discarded() {
            return;
        }
        for waiting in self.exchange.take_discarded() {
            self.copies.settle(waiting.request, false);
        }
    }

    /// An idle session does not hold the room that many requests at once took.
    fn release(&mut self) {
        let exchange = &self.exchange;
        if exchange.waiting().capacity() > KEPT && exchange.is_idle() && exchange.undecided_syncs() == 0 {
            self.exchange = Exchange::default();
        }
    }

    /// The session ends by the job's fault, when what it asked before has been answered as it would be by the server.
    fn end(&mut self, refusal: Refusal) -> Step {
        if self.exchange.waiting().is_empty() || self.exchange.takes_copy_data() {
            return Step::End(refusal);
        }
        if std::mem::replace(&mut self.flushed, true) { Step::Hold } else { Step::Insert(Cow::Borrowed(FLUSH)) }
    }

    fn cut(&mut self, direction: Direction, bytes: &[u8], ended: bool) -> Result<Cut, FrameError> {
        let cutter = &mut self.cutters[usize::from(direction == Direction::Backend)];
        match cutter.cut(bytes)? {
            Cut::Wait if ended => Ok(cutter.cut_off(bytes)),
            cut => Ok(cut),
        }
    }

    /// The first part of a long message. `ended`: it may be one that is never completed.
    fn begin(&mut self, direction: Direction, bytes: &[u8], cut: Cut, ended: bool) -> Option<Piece> {
        let Cut::Part { len, tag, part, .. } = cut else { return None };
        let body = bytes.get(HEADER..len).unwrap_or_default();
        match direction {
            Direction::Frontend if !ended || bytes.len() >= HEADER => {
                self.long = Some(LongRequest { tag, head: Vec::new(), search: Search::default() });
                self.look(body);
            }
            Direction::Frontend => {}
            Direction::Backend => {
                self.long_violation = tag == b'E' && refused_by_copy(body);
                if tag == b'E' {
                    self.names.failed(body);
                }
            }
        }
        Some(Piece { len, record: Record::Part { tag, part: part.into() } })
    }

    /// A part of a long message behind the first.
    fn part(&mut self, direction: Direction, bytes: &[u8], ended: bool) -> Option<Piece> {
        let Ok(Cut::Part { len, tag, part, .. }) = self.cut(direction, bytes, ended) else { return None };
        match direction {
            Direction::Frontend => {
                self.look(&bytes[..len]);
                if Part::from(part) == Part::Last
                    && let Some(long) = self.long.take()
                {
                    self.long_request(&long);
                }
            }
            Direction::Backend if Part::from(part) == Part::Last => self.answer(tag, None, self.long_violation),
            Direction::Backend => {}
        }
        Some(Piece { len, record: Record::Part { tag, part: part.into() } })
    }

    fn look(&mut self, body: &[u8]) {
        if let Some(long) = &mut self.long {
            if matches!(long.tag, b'Q' | b'P') {
                long.search.piece(body);
            }
            let room = (HEAD - long.head.len()).min(body.len());
            long.head.extend_from_slice(&body[..room]);
        }
    }

    /// A long message of the job was passed, or dropped.
    fn long_request(&mut self, long: &LongRequest) {
        let copy = long.search.found();
        let portal = name(&long.head).map_or(&long.head[..], |(name, _)| name);
        match long.tag {
            b'Q' => self.requested(b'Q', None, Effect::Nothing, copy),
            b'P' => {
                let effect = if self.is_carried_out() { self.copies.parse(portal, copy) } else { Effect::Nothing };
                self.requested(b'P', None, effect, false);
            }
            b'B' if !self.copies.is_empty() => {
                let effect = self.bind(&long.head, false);
                self.requested(b'B', None, effect, false);
            }
            b'E' => {
                let copy = self.copies.execute(portal);
                self.requested(b'E', None, Effect::Nothing, copy);
            }
            tag => self.requested(tag, long.head.first().copied(), Effect::Nothing, false),
        }
    }
}

impl Conversation for PostgresConversation {
    #[inline]
    fn next(&mut self, direction: Direction, bytes: &[u8], ended: bool) -> Step {
        match direction {
            Direction::Frontend => self.next_request(bytes, ended),
            Direction::Backend => self.next_answer(bytes, ended),
        }
    }

    fn has_message(&self) -> bool {
        self.message.is_some()
    }

    fn activity(&self) -> Activity {
        if self.exchange.takes_copy_data() || self.copies_out {
            return Activity::Streaming;
        }
        if !self.exchange.waiting().is_empty() || self.barrier.holds() || !self.cutters[0].at_boundary() {
            return Activity::Running;
        }
        let idle = self.exchange.is_idle() && self.synced && self.status == b'I' && !self.barrier.drops();
        if idle { Activity::Idle } else { Activity::InTransaction }
    }

    fn is_settled(&self) -> bool {
        let whole = self.cutters.iter().all(Cutter::at_boundary);
        self.last[1] == b'Z' && self.exchange.is_settled() && self.barrier == Barrier::None && whole
    }

    fn is_at_boundary(&self, direction: Direction) -> bool {
        self.cutters[usize::from(direction == Direction::Backend)].at_boundary()
    }

    fn job_has_terminated(&self) -> bool {
        self.last[0] == b'X'
    }

    fn database_has_explained(&self) -> bool {
        self.last[1] == b'E' && self.cutters[1].at_boundary()
    }
}

fn passed(piece: Piece, dropped: bool) -> Step {
    if dropped { Step::Drop(piece) } else { Step::Pass(piece) }
}

/// The beginning of a long message, of which less than `wanted` bytes of the body have come.
fn is_short_of(bytes: &[u8], wanted: usize) -> bool {
    bytes.len() < HEADER + wanted
        && bytes.first_chunk::<HEADER>().is_some_and(|[_, length @ ..]| {
            usize::try_from(i32::from_be_bytes(*length)).is_ok_and(|length| (BUFFER..MAX_FRAME).contains(&length))
        })
}

/// In the server's words.
fn refuse(message: String) -> Refusal {
    Refusal::new(Kind::Protocol, message).hint("The client's driver is at fault.")
}

fn strange(reason: &str) -> Step {
    tracing::error!(reason, "the database sent what is no message");
    Step::End(Refusal::lost())
}

/// Up to a zero byte, and what follows it; none where it does not end.
fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests;
