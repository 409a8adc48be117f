//! Which answer belongs to which request: the order of the protocol, and nothing of what requests say.
//!
//! An [`Exchange`] is told every message of the job and of the database in the order in which the proxy passed them
//! on. The proxy and whoever reads the record use the same one, so both agree on what is answered, skipped or ignored.
//!
//! It follows the server's main loop (`src/backend/tcop/postgres.c`): requests are carried out in order; an error in the
//! extended protocol makes the server discard everything up to Sync, simple queries too; while COPY takes data, Sync and
//! Flush are ignored, and any other message is an error of the COPY; outside of COPY its messages are ignored.
//!
//! One thing the order alone can't tell: a Sync that was passed while COPY took data is ignored, or, when the data had
//! failed before, answered, and what was passed behind it is carried out then. It counts as ignored unless an answer to
//! it comes before the job's next request is passed; the proxy holds that request back until it is known.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Most requests that wait for their answers. The proxy holds the job's requests back there.
pub const MAX_WAITING: usize = 16_384;

/// A request that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A simple query.
    Query,
    /// Parse.
    Parse,
    /// Bind.
    Bind,
    /// Describe, of a prepared statement.
    DescribeStatement,
    /// Describe, of a portal.
    DescribePortal,
    /// Execute.
    Execute,
    /// Close.
    Close,
    /// Sync.
    Sync,
    /// FunctionCall.
    FunctionCall,
    /// A Flush that is malformed: an error is its answer. Others have none.
    MalformedFlush,
}

impl Kind {
    /// Ends with ReadyForQuery.
    pub fn ends_ready(self) -> bool {
        matches!(self, Kind::Query | Kind::Sync | Kind::FunctionCall)
    }
}

/// A request that waits for its answer, with what the caller keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting<R> {
    /// What was asked for.
    pub kind: Kind,
    /// The caller's own.
    pub request: R,
    /// It was sent while COPY took data, which makes it an error of the COPY.
    intruder: bool,
    /// Some of its answer has come.
    begun: bool,
}

/// What becomes of a message of the job.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// It waits for its answer.
    Queued,
    /// The server discards it: it skips up to Sync.
    Skipped,
    /// It gets no answer of its own: COPY data, Flush, Terminate, and Sync while COPY takes data.
    Unanswered,
    /// It is none that a job may send now.
    Unknown,
    /// Too many wait: it was not taken.
    Full,
}

/// What an answer of the database says of the requests.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered<R> {
    /// It belongs to the first request that waits, which goes on.
    Goes,
    /// It ends the first request.
    Ends(Waiting<R>),
    /// An error of the first request, which goes on up to ReadyForQuery: of a simple query, a function call, or of the
    /// commit at Sync.
    Fails,
    /// An error of the first of these requests; the server discards the others.
    FailsAndSkips(Vec<Waiting<R>>),
    /// An error while nothing was asked.
    FailsAlone,
    /// ReadyForQuery: the request that it ends, and those before it that were never answered.
    Ready {
        /// What it ends.
        ended: Waiting<R>,
        /// Passed over without an answer, which the server never does.
        passed: Vec<Waiting<R>>,
    },
    /// ReadyForQuery for a Sync that the server read after the COPY before it had failed.
    ReadyAgain,
    /// It is about no request: notices, notifications, settings.
    Aside,
    /// Nobody asked for it.
    Unasked,
}

/// Taking data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Copy {
    /// COPY FROM STDIN.
    In,
    /// CopyDone or CopyFail was passed.
    Ending,
    /// Replication: data both ways.
    Both,
}

/// Follows one session's requests and answers; start-up comes before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exchange<R> {
    waiting: VecDeque<Waiting<R>>,
    /// The server discards everything up to Sync.
    skipping: bool,
    copy: Option<Copy>,
    /// Syncs passed while COPY took data.
    copy_syncs: u32,
    /// Of those, the ones that may still be answered, since the COPY failed and no request was passed since.
    maybe_answered: u32,
    /// What stands behind such a Sync: carried out if that is answered, discarded if not.
    undecided: Vec<Waiting<R>>,
    /// What was never carried out, until it is asked for.
    discarded: Vec<Waiting<R>>,
}

impl<R> Default for Exchange<R> {
    fn default() -> Self {
        Exchange {
            waiting: VecDeque::new(),
            skipping: false,
            copy: None,
            copy_syncs: 0,
            maybe_answered: 0,
            undecided: Vec::new(),
            discarded: Vec::new(),
        }
    }
}

/// Whether an ErrorResponse's body says that COPY came upon a message which it does not know. SQLSTATE 08P01 alone can be
/// raised by any function; the name of the server's routine cannot.
pub fn refused_by_copy(body: &[u8]) -> bool {
    let fields = || body.split(|&byte| byte == 0).take_while(|field| !field.is_empty());
    fields().any(|field| field == b"C08P01") && fields().any(|field| field == b"RCopyGetData")
}

impl<R> Exchange<R> {
    /// The requests that wait for their answers, in order.
    pub fn waiting(&self) -> &VecDeque<Waiting<R>> {
        &self.waiting
    }

    /// The request that the database answers now, or next.
    pub fn front(&self) -> Option<&Waiting<R>> {
        self.waiting.front()
    }

    /// As [`Exchange::front`].
    pub fn front_mut(&mut self) -> Option<&mut Waiting<R>> {
        self.waiting.front_mut()
    }

    /// Nothing waits for an answer, and nothing is being skipped or copied.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.skipping && self.copy.is_none()
    }

    /// All that was asked for is answered, and nothing of it can be answered otherwise.
    pub fn is_settled(&self) -> bool {
        self.is_idle() && self.maybe_answered == 0 && self.undecided.is_empty()
    }

    /// The server discards what the job sends, up to Sync.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// The server takes COPY data from the job, and its end was not passed yet.
    pub fn takes_copy_data(&self) -> bool {
        matches!(self.copy, Some(Copy::In | Copy::Both))
    }

    /// The job streams both ways: replication.
    pub fn copies_both_ways(&self) -> bool {
        self.copy == Some(Copy::Both)
    }

    /// Syncs that were passed while the COPY took data that has just failed, and that may be answered yet.
    pub fn undecided_syncs(&self) -> u32 {
        self.maybe_answered
    }

    /// What a message of the job with that tag would be; `first` is the first byte of its body.
    pub fn kind(tag: u8, first: Option<u8>) -> Option<Kind> {
        Some(match tag {
            b'Q' => Kind::Query,
            b'P' => Kind::Parse,
            b'B' => Kind::Bind,
            b'D' if first == Some(b'S') => Kind::DescribeStatement,
            b'D' => Kind::DescribePortal,
            b'E' => Kind::Execute,
            b'C' => Kind::Close,
            b'S' => Kind::Sync,
            b'F' => Kind::FunctionCall,
            b'H' if first.is_some() => Kind::MalformedFlush,
            _ => return None,
        })
    }

    /// A message of the job is passed on; `first` is the first byte of its body.
    pub fn request(&mut self, tag: u8, first: Option<u8>, request: impl FnOnce() -> R) -> Requested {
        let Some(kind) = Self::kind(tag, first) else {
            return match tag {
                b'c' | b'f' => {
                    if self.copy == Some(Copy::In) {
                        self.copy = Some(Copy::Ending);
                    }
                    Requested::Unanswered
                }
                b'd' | b'H' | b'X' => Requested::Unanswered,
                _ => Requested::Unknown,
            };
        };
        if self.copy == Some(Copy::In) {
            match kind {
                Kind::Sync => {
                    self.copy_syncs = self.copy_syncs.saturating_add(1);
                    return Requested::Unanswered;
                }
                Kind::MalformedFlush => return Requested::Unanswered,
                _ => {}
            }
        }
        self.maybe_answered = 0;
        self.discarded.append(&mut self.undecided);
        if self.skipping {
            if kind != Kind::Sync {
                return Requested::Skipped;
            }
            self.skipping = false;
        }
        if self.waiting.len() >= MAX_WAITING {
            return Requested::Full;
        }
        let intruder = self.copy == Some(Copy::In);
        if intruder {
            // The COPY fails by it, if it did not before.
            self.copy = Some(Copy::Ending);
        }
        self.waiting.push_back(Waiting { kind, request: request(), intruder, begun: false });
        Requested::Queued
    }

    /// A message of the database is passed on. `refused_by_copy`: see [`refused_by_copy`].
    pub fn answer(&mut self, tag: u8, refused_by_copy: bool) -> Answered<R> {
        let front = self.waiting.front().map(|waiting| waiting.kind);
        let answered = match (tag, front) {
            (b'N' | b'A' | b'S' | b'K' | b'R' | b'v', _) => Answered::Aside,
            (b'Z', _) => self.ready(),
            (b'E', _) => self.error(refused_by_copy),
            (b'1', Some(Kind::Parse))
            | (b'2', Some(Kind::Bind))
            | (b'3', Some(Kind::Close))
            | (b'T' | b'n', Some(Kind::DescribeStatement | Kind::DescribePortal))
            | (b's' | b'I', Some(Kind::Execute)) => self.end_front(),
            (b'C', Some(Kind::Execute)) => {
                self.end_copy();
                self.end_front()
            }
            (b'C', Some(Kind::Query)) => {
                self.end_copy();
                Answered::Goes
            }
            (b'G', Some(Kind::Query | Kind::Execute)) => {
                (self.copy, self.copy_syncs) = (Some(Copy::In), 0);
                Answered::Goes
            }
            (b'W', Some(Kind::Query | Kind::Execute)) => {
                self.copy = Some(Copy::Both);
                Answered::Goes
            }
            // Which of them was described is not known where content is not recorded.
            (b't', Some(Kind::DescribeStatement | Kind::DescribePortal))
            | (b'T' | b'I', Some(Kind::Query))
            | (b'D' | b'H' | b'd' | b'c', Some(Kind::Query | Kind::Execute))
            | (b'V', Some(Kind::FunctionCall)) => Answered::Goes,
            _ => Answered::Unasked,
        };
        if matches!(answered, Answered::Goes | Answered::Fails)
            && let Some(front) = self.waiting.front_mut()
        {
            front.begun = true;
        }
        answered
    }

    /// Requests that were queued and, as is known by now, never carried out: a COPY took them for errors of its own, or
    /// they stood behind a Sync that it ignored.
    pub fn take_discarded(&mut self) -> Vec<Waiting<R>> {
        std::mem::take(&mut self.discarded)
    }

    /// As [`Exchange::take_discarded`], without taking it.
    pub fn has_discarded(&self) -> bool {
        !self.discarded.is_empty()
    }

    /// Forgets everything that waits: what it was.
    pub fn abandon(&mut self) -> VecDeque<Waiting<R>> {
        (self.skipping, self.copy, self.copy_syncs, self.maybe_answered) = (false, None, 0, 0);
        self.waiting.extend(self.undecided.drain(..));
        std::mem::take(&mut self.waiting)
    }

    fn end_front(&mut self) -> Answered<R> {
        match self.waiting.pop_front() {
            Some(ended) => Answered::Ends(ended),
            None => Answered::Unasked,
        }
    }

    fn end_copy(&mut self) {
        (self.copy, self.copy_syncs) = (None, 0);
    }

    /// ReadyForQuery may be the first request's: a Sync is answered by nothing else.
    fn is_due(&self) -> bool {
        self.waiting.front().is_some_and(|front| front.kind == Kind::Sync || front.begun)
    }

    fn error(&mut self, refused_by_copy: bool) -> Answered<R> {
        if matches!(self.copy, Some(Copy::In | Copy::Ending)) {
            self.maybe_answered = self.copy_syncs;
            // The COPY itself took the message that it does not know.
            if refused_by_copy && self.waiting.get(1).is_some_and(|next| next.intruder) {
                self.discarded.extend(self.waiting.remove(1));
            }
        }
        self.end_copy();
        for waiting in self.waiting.iter_mut().skip(1).take_while(|waiting| waiting.intruder) {
            waiting.intruder = false;
        }
        match self.waiting.front().map(|waiting| waiting.kind) {
            None => Answered::FailsAlone,
            Some(kind) if kind.ends_ready() => Answered::Fails,
            // What came behind the Syncs is carried out, if one of them is answered.
            Some(_) if self.maybe_answered > 0 => {
                self.undecided = self.waiting.drain(1..).collect();
                self.skipping = true;
                Answered::FailsAndSkips(self.waiting.drain(..).collect())
            }
            Some(_) => {
                let end = self.waiting.iter().position(|waiting| waiting.kind == Kind::Sync);
                self.skipping = end.is_none();
                Answered::FailsAndSkips(self.waiting.drain(..end.unwrap_or(self.waiting.len())).collect())
            }
        }
    }

    fn ready(&mut self) -> Answered<R> {
        let next = self.waiting.iter().position(|waiting| waiting.kind.ends_ready());
        if let Some(place) = next
            && (self.maybe_answered == 0 || place == 0 && self.is_due())
        {
            self.end_copy();
            let mut passed: Vec<Waiting<R>> = self.waiting.drain(..=place).collect();
            return match passed.pop() {
                Some(ended) => Answered::Ready { ended, passed },
                None => Answered::Unasked,
            };
        }
        if self.maybe_answered > 0 {
            self.maybe_answered -= 1;
            self.skipping = false;
            self.waiting.extend(self.undecided.drain(..));
            return Answered::ReadyAgain;
        }
        Answered::Unasked
    }
}
