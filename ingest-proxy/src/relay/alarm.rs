//! What happens to a session by the clock, and the ends that Hansard makes: a stop of the proxy, a token's expiry, a
//! revocation.
//!
//! One timer a session rings for whatever is due first.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::conversation::{Activity, Conversation};
use super::{End, Relay};
use crate::clock;
use crate::errors::Refusal;
use crate::options::OnRevocation;

/// How far ahead the alarm is set for a token's expiry: the system's clock may be changed meanwhile.
const EXPIRY_CHECK: Duration = Duration::from_secs(3600);

/// How long a statement that was cancelled, for its right was revoked, has to be answered.
const CANCELLING: Duration = Duration::from_millis(500);

/// The session is to end when what runs has been answered, and at that time in any case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) why: EndingReason,
    pub(super) by: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndingReason {
    /// The proxy stops. The job may ask on, to end its transaction.
    Stopping,
    /// The token has expired. The job may ask nothing more.
    Expired,
    /// The right by which it began was revoked. Likewise.
    Revoked,
}

impl<C: Conversation> Relay<C> {
    /// Everything that depends on time, and the ends that Hansard makes.
    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>, moved: bool, resumed: &mut bool) -> Poll<End> {
        let rang = match self.poll_alarm(cx) {
            Ok(rang) => rang,
            Err(end) => return Poll::Ready(end),
        };
        *resumed |= rang;
        if self.standing.is_revoked() && self.ending.is_none_or(|ending| ending.why != EndingReason::Revoked) {
            self.revoke();
            *resumed = true;
        }
        // A busy session looks after the stop when its alarm rings, an idle one when it is woken for nothing else.
        if self.ending.is_none() && (rang || !moved) && self.stopping.as_mut().poll(cx).is_ready() {
            self.end_soon(EndingReason::Stopping);
            *resumed = true;
        }
        match self.ending {
            Some(ending) if self.may_end(ending.why, moved) => Poll::Ready(self.end_now(ending.why)),
            _ => Poll::Pending,
        }
    }

    /// The token has expired: the job may ask nothing more.
    pub(super) fn expire(&mut self) {
        if self.ending.is_none_or(|ending| ending.why == EndingReason::Stopping) {
            self.end_soon(EndingReason::Expired);
        }
    }

    /// The session's right was revoked: the job may ask nothing more.
    pub(super) fn revoke(&mut self) {
        if self.ending.is_none_or(|ending| ending.why != EndingReason::Revoked) {
            self.end_soon(EndingReason::Revoked);
        }
    }

    fn end_soon(&mut self, why: EndingReason) {
        let options = &self.worker.shared.options;
        let grace = match (why, options.on_revocation) {
            (EndingReason::Revoked, OnRevocation::Cancel) => CANCELLING.min(options.shutdown_grace),
            _ => options.shutdown_grace,
        };
        let mut by = Instant::now() + grace;
        if let Some(ending) = self.ending {
            by = by.min(ending.by);
        }
        self.ending = Some(Ending { why, by });
        self.wake_at(by);
    }

    /// Whether nothing is lost that could still be had by waiting.
    fn may_end(&self, why: EndingReason, moved: bool) -> bool {
        if !self.backend.sink.is_empty() || !self.job_at_boundary {
            return false;
        }
        let (answered, asked) = (self.backend.is_empty(), self.frontend.is_empty());
        match (why, self.conversation.activity()) {
            (EndingReason::Stopping, activity) => activity == Activity::Idle && !moved && answered && asked,
            (EndingReason::Expired | EndingReason::Revoked, Activity::Running) => false,
            // The beginning of the next message of a stream may have come: a stream that goes on always has one.
            (EndingReason::Expired | EndingReason::Revoked, Activity::Streaming) => true,
            (EndingReason::Expired | EndingReason::Revoked, Activity::Idle | Activity::InTransaction) => {
                answered && self.frontend.sink.is_empty()
            }
        }
    }

    fn end_now(&self, why: EndingReason) -> End {
        End::Refused(match why {
            EndingReason::Stopping => Refusal::stopping(),
            EndingReason::Expired => Refusal::expired(self.expires_at),
            EndingReason::Revoked => Refusal::revoked(),
        })
    }

    /// Does what is due by the clock; true when something was.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut rang = false;
        while self.alarm_at.is_some() && self.alarm.as_mut().poll(cx).is_ready() {
            (self.alarm_at, self.due_is_set) = (None, false);
            rang = true;
            let now = Instant::now();
            if let Some(ending) = self.ending
                && now >= ending.by
            {
                return Err(self.end_now(ending.why));
            }
            let patience = self.worker.shared.options.log_patience;
            if self.give_up_at(patience).is_some_and(|at| now >= at) {
                let reason = "the event log took nothing for as long as log_patience allows";
                return Err(End::Refused(Refusal::unrecordable(&reason)));
            }
            if self.retry_at.is_none_or(|at| now >= at) && self.capture.pending() > 0 {
                self.append();
            }
            let expired = clock::now() >= self.expires_at;
            if expired {
                self.expire();
            }
            let expiry = (!expired).then(|| expiry_check(self.expires_at));
            let ending = self.ending.map(|ending| ending.by);
            if let Some(next) = [ending, self.retry_at, self.give_up_at(patience), expiry].into_iter().flatten().min() {
                self.wake_at(next);
            }
        }
        Ok(rang)
    }

    /// When the log will have taken nothing for too long.
    pub(super) fn give_up_at(&self, patience: Duration) -> Option<Instant> {
        self.refused_since.or(self.awaited_since).map(|since| since + patience)
    }

    /// Makes the alarm ring at `at` or before.
    pub(super) fn wake_at(&mut self, at: Instant) {
        if self.alarm_at.is_none_or(|set| at < set) {
            self.alarm.as_mut().reset(at);
            self.alarm_at = Some(at);
        }
    }
}

/// When to look whether a token has expired.
pub(super) fn expiry_check(expires_at: u64) -> Instant {
    let left = Duration::from_nanos(expires_at.saturating_sub(clock::now()));
    Instant::now() + left.min(EXPIRY_CHECK)
}
