//! Which leases hold, and which sessions are open by what can be revoked.
//!
//! Invariants: who is revoked has no session that begins later, and of those that are open each is told at once; as long as
//! the control feed has not been read, no lease lets anybody in; a lease whose connections are counted is counted before its
//! session begins, by one process alone. Nothing here is touched for every message: a session's [`Standing`] is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hansard_event_log::{ControlLog, ControlRecord, Followed, Revision, keep_following};
use hansard_identity::leases::{Applied, Book, Holder, ITERATIONS, Lease};
use hansard_identity::scram::Verifier;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::clock;

/// Tries to count a connection while others count theirs.
const TRIES: usize = 16;

/// See the module.
pub(crate) struct Leases {
    feed: OnceLock<Arc<dyn ControlLog>>,
    book: RwLock<Book>,
    /// All that the feed held has been read once.
    current: AtomicBool,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
    /// Makes verifiers for names that nobody has.
    mock: [u8; 32],
}

/// A session that is open.
struct Open {
    holder: Holder,
    lease: Option<String>,
    standing: Arc<Standing>,
}

/// Whether a session may go on: looked at for every statement.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    revoked: AtomicBool,
    told: Notify,
}

/// A session's place among those that are open; it is given back with this.
pub(crate) struct Registered {
    leases: Arc<Leases>,
    number: u64,
    standing: Arc<Standing>,
}

/// Why a lease lets nobody in whose password is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not, or no more, good for that.
    Refused(&'static str),
    /// It cannot be known.
    Unknown,
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").field("current", &self.current).finish_non_exhaustive()
    }
}

impl Standing {
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Relaxed)
    }

    /// Ends when it is revoked. One waits at a time.
    pub(crate) async fn revoked(&self) {
        while !self.is_revoked() {
            self.told.notified().await;
        }
    }

    fn revoke(&self) {
        self.revoked.store(true, Ordering::Relaxed);
        self.told.notify_one();
    }
}

impl Leases {
    pub(crate) fn new() -> Leases {
        Leases {
            feed: OnceLock::new(),
            book: RwLock::default(),
            current: AtomicBool::new(false),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            mock: rand::random(),
        }
    }

    /// Where leases and revocations come from; said once.
    pub(crate) fn come_from(&self, feed: Arc<dyn ControlLog>) {
        let _ = self.feed.set(feed);
    }

    /// Follows the feed for ever; ends at once where there is none.
    pub(crate) async fn keep(&self) {
        if let Some(feed) = self.feed.get() {
            keep_following(&**feed, |followed| self.take(followed)).await;
        }
    }

    /// Why leases and revocations are not known as they are now, in one line.
    pub(crate) fn trouble(&self) -> Option<String> {
        let feed = self.feed.get()?;
        match (feed.trouble(), self.current.load(Ordering::Relaxed)) {
            (Some(reason), true) => Some(format!("new leases and revocations are not known: {reason}")),
            (Some(reason), false) => Some(format!("leases let nobody in, and revocations are not known: {reason}")),
            (None, false) => Some("leases let nobody in yet: the control feed is being read".to_owned()),
            (None, true) => None,
        }
    }

    fn take(&self, followed: Followed) {
        let (record, _) = match followed {
            Followed::Current => return self.current.store(true, Ordering::Relaxed),
            Followed::Record(record, revision) => (record, revision),
        };
        let now = clock::now();
        let applied = self.book.write().apply(&record.key, &record.value, now);
        match applied {
            Applied::Revocation(revocation) if now < revocation.until => {
                // Whoever is registered behind this looks into the book.
                for open in self.open.lock().values() {
                    if revocation.revoked.ends(&open.holder, open.lease.as_deref()) {
                        open.standing.revoke();
                    }
                }
            }
            Applied::Unknown => {
                tracing::warn!(key = %record.key, "a record of the control feed is not understood, and left out");
            }
            Applied::Revocation(_) | Applied::Lease => {}
        }
    }

    /// Whether leases are known here.
    pub(crate) fn are_known(&self) -> bool {
        self.current.load(Ordering::Relaxed)
    }

    /// What a lease's password is checked with; of a name that nobody has, what no password is good for. A lease that has just
    /// been given need not have come by itself: it is looked for. (That this takes longer tells that a name is known here, which
    /// nobody guesses: it has 128 random bits.)
    pub(crate) async fn verifier(&self, user: &str) -> Verifier {
        let is_known = self.book.read().lease(user, clock::now()).is_some();
        if let Some(feed) = self.feed.get().filter(|_| !is_known)
            && let Ok(Some((record, revision))) = feed.get(&Lease::key_of(user)).await
        {
            self.take(Followed::Record(record, revision));
        }
        // Made for those that are there, too: it takes as long.
        let mock = Verifier::mock(user, &self.mock, ITERATIONS);
        self.book.read().lease(user, clock::now()).map_or(mock, |lease| lease.verifier.clone())
    }

    /// The lease of somebody who has shown its password, for one more session with that target and database.
    pub(crate) async fn begin(
        &self,
        user: &str,
        target: &str,
        database: Option<&str>,
        certificate: Option<&[u8]>,
    ) -> Result<Lease, (Unusable, Option<Lease>)> {
        let now = clock::now();
        let lease = {
            let book = self.book.read();
            let Some(lease) = book.lease(user, now).cloned() else {
                return Err((Unusable::Refused("the lease has expired"), None));
            };
            if book.revocation(&lease.holder, Some(user), now).is_some() {
                return Err((Unusable::Refused("the lease was revoked"), Some(lease)));
            }
            lease
        };
        let database = database.or(lease.database.as_deref()).unwrap_or_default();
        if let Err(reason) = lease.check(target, database, certificate, now) {
            return Err((Unusable::Refused(reason), Some(lease)));
        }
        match self.count(&lease).await {
            Ok(()) => Ok(lease),
            Err(unusable) => Err((unusable, Some(lease))),
        }
    }

    /// Takes one of the connections that a lease is good for.
    async fn count(&self, lease: &Lease) -> Result<(), Unusable> {
        let Some(most) = lease.max_connections else { return Ok(()) };
        let feed = self.feed.get().ok_or(Unusable::Unknown)?;
        let key = lease.uses_key();
        for _ in 0..TRIES {
            let found = feed.get(&key).await.map_err(|_| Unusable::Unknown)?;
            let (used, revision) = match found {
                None => (0, Revision::NONE),
                Some((record, revision)) => {
                    let count = std::str::from_utf8(&record.value).ok().and_then(|count| count.parse().ok());
                    (count.ok_or(Unusable::Unknown)?, revision)
                }
            };
            if used >= most {
                return Err(Unusable::Refused("the lease was used for as many connections as it is good for"));
            }
            let value = (used + 1).to_string().into_bytes();
            let record = ControlRecord { key: key.clone(), value, expires_at: lease.expires_at };
            if feed.put_if(record, revision).await.map_err(|_| Unusable::Unknown)?.is_some() {
                return Ok(());
            }
        }
        Err(Unusable::Unknown)
    }

    /// Registers a session of that holder; `None` where what it came in by is revoked.
    pub(crate) fn register(self: &Arc<Leases>, holder: Holder, lease: Option<String>) -> Option<Registered> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let standing = Arc::new(Standing::default());
        let open = Open { holder: holder.clone(), lease: lease.clone(), standing: standing.clone() };
        self.open.lock().insert(number, open);
        let registered = Registered { leases: self.clone(), number, standing };
        // Behind being registered: a revocation that comes now finds it there.
        let revoked = self.book.read().revocation(&holder, lease.as_deref(), clock::now()).is_some();
        (!revoked && !registered.standing.is_revoked()).then_some(registered)
    }
}

impl Registered {
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.leases.open.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hansard_identity::leases::{Revocation, Revoked};

    use super::*;

    fn holder(subject: &str) -> Holder {
        Holder { issuer: "ci".into(), subject: subject.into(), job: subject.into(), ..Holder::default() }
    }

    fn revoke(leases: &Leases, revoked: Revoked) {
        let (key, until) = (revoked.key(), u64::MAX);
        let revocation = Revocation { revoked, reason: String::new(), by: "owner".into(), at: 0, until };
        let record = ControlRecord { key, value: revocation.to_bytes(), expires_at: until };
        leases.take(Followed::Record(record, Revision(1)));
    }

    #[tokio::test]
    async fn a_revocation_is_told_to_whom_it_concerns_and_keeps_others_out() {
        let leases = Arc::new(Leases::new());
        let [one, other] = ["a", "b"].map(|subject| leases.register(holder(subject), None).unwrap());
        let waiting = tokio::spawn({
            let standing = one.standing();
            async move { standing.revoked().await }
        });
        revoke(&leases, Revoked::Subject { issuer: "ci".into(), subject: "a".into() });
        waiting.await.unwrap();
        assert!(one.standing().is_revoked() && !other.standing().is_revoked());
        one.standing().revoked().await;
        assert!(leases.register(holder("a"), None).is_none());
        drop((one, other));
        assert!(leases.open.lock().is_empty());
        let by_lease = leases.register(holder("c"), Some("lease-1".into())).unwrap();
        revoke(&leases, Revoked::Lease { id: "lease-2".into() });
        assert!(!by_lease.standing().is_revoked());
        revoke(&leases, Revoked::Lease { id: "lease-1".into() });
        assert!(by_lease.standing().is_revoked());
    }

    #[test]
    #[ignore = "measures time"]
    fn looking_at_a_standing_takes_less_than_200_ns() {
        let standing = Standing::default();
        // The shortest of many: others have the processor in between.
        let batch = |_| {
            let begun = Instant::now();
            for _ in 0..100 {
                assert!(!std::hint::black_box(&standing).is_revoked());
            }
            begun.elapsed() / 100
        };
        let each = (0..10_000).map(batch).min().unwrap();
        assert!(each.as_nanos() < 200, "{each:?}");
    }

    #[tokio::test]
    async fn names_that_nobody_has_are_checked_alike() {
        let leases = Leases::new();
        let user = "lease-0123456789abcdef0123456789abcdef";
        assert_eq!(leases.verifier(user).await, leases.verifier(user).await);
        assert_eq!(leases.verifier(user).await.salt.len(), Verifier::of("x", ITERATIONS).salt.len());
    }
}
