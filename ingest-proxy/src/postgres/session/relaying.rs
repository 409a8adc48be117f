//! A session in its data phase, and what becomes of it at its end.

use super::{Reason, close, linger_close};
use crate::admission::leases::Registered;
use crate::admission::places::Place;
use crate::clock;
use crate::metrics::{self, OpenSession};
use crate::options::OnRevocation;
use crate::postgres::cancel::{CancelTarget, Key};
use crate::postgres::conversation::PostgresConversation;
use crate::postgres::{refusal as message, upstream};
use crate::relay::{End, Relay};

/// A session in its data phase.
pub(super) struct Session {
    pub(super) relay: Relay<PostgresConversation>,
    pub(super) key: Key,
    pub(super) upstream: CancelTarget,
    pub(super) registered: Registered,
    pub(super) _open: OpenSession,
    pub(super) _place: Place,
}

impl Session {
    /// Relays; where the session's right is revoked meanwhile, what runs is cancelled if that is wanted.
    async fn run(&mut self) -> End {
        let standing = self.registered.standing();
        let shared = self.relay.shared().clone();
        let relaying = self.relay.run();
        tokio::pin!(relaying);
        tokio::select! {
            biased;
            end = &mut relaying => return end,
            () = standing.revoked() => {}
        }
        if shared.options.on_revocation == OnRevocation::Cancel {
            let meant = self.upstream.clone();
            tokio::spawn(async move {
                let (target, route) = (&shared.options.targets[meant.target], &shared.routes[meant.target]);
                if let Err(failure) =
                    upstream::cancel(target, route, &meant.upstream, shared.options.connect_timeout).await
                {
                    let reason = failure.line();
                    tracing::warn!(session = %meant.session, %reason, "what a revoked session runs could not be cancelled");
                }
            });
        }
        relaying.await
    }

    /// To its end, and the record's.
    pub(super) async fn relay(mut self) {
        let end = self.run().await;
        let (reason, refusal) = match end {
            End::Terminated => (Reason::Terminated, None),
            End::ClosedByJob => (Reason::ClosedByJob, None),
            End::JobLost => (Reason::JobLost, None),
            End::ClosedByDatabase => (Reason::ClosedByDatabase, None),
            End::Refused(refusal) => (Reason::of(refusal.kind), Some(refusal)),
        };
        let may_speak = self.relay.may_speak();
        let mut final_bytes = self.relay.unsent();
        let Relay { job, database, mut capture, .. } = self.relay;
        // The server ends its side when the connection closes, as it does with any client.
        drop(database);
        drop(self.key);
        if let Some(refusal) = refusal {
            metrics::refused(refusal.kind);
            tracing::info!(session = %capture.session(), sqlstate = message::sqlstate(refusal.kind), reason = %refusal.message, "a session was ended");
            // In the middle of a message another one would be taken for a part of it.
            if may_speak {
                let frame = message::frame(&refusal);
                capture.own(clock::now(), &frame);
                final_bytes.extend(frame);
            }
        }
        tokio::join!(linger_close(Some(job), &final_bytes), close(capture, reason));
    }
}
