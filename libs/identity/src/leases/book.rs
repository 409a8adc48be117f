//! The leases and revocations that hold, out of the records of a control feed.
//!
//! Invariants: the order in which records come says nothing but within one key; a record that does not read is told and
//! left out, and a lease that is not known lets nobody in; what is held is bounded by what the feed holds.

use std::collections::HashMap;

use super::{Holder, Lease, MAX_LEASES, MAX_LEASES_OF_ONE, Revocation, Revoked};

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    leases: HashMap<String, Lease>,
    /// By [`Revoked::key`].
    revocations: HashMap<String, Revocation>,
    uses: HashMap<String, u32>,
    /// Records since what has expired was looked for.
    since_swept: usize,
}

/// Records between two looks for what has expired.
const SWEEP: usize = 1000;

/// What a record has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A lease, or how often one was used.
    Lease,
    /// A revocation, which ends what is open.
    Revocation(Box<Revocation>),
    /// Nothing that this version knows.
    Unknown,
}

impl Book {
    /// Takes a record of the feed.
    pub fn apply(&mut self, key: &str, value: &[u8], now: u64) -> Applied {
        self.since_swept += 1;
        if self.since_swept >= SWEEP {
            self.sweep(now);
        }
        let Some((kind, of)) = key.split_once('.') else { return Applied::Unknown };
        match kind {
            "lease" => match serde_json::from_slice::<Lease>(value) {
                Ok(lease) if lease.user == of => {
                    self.leases.insert(of.to_owned(), lease);
                    Applied::Lease
                }
                _ => Applied::Unknown,
            },
            "used" => match std::str::from_utf8(value).ok().and_then(|count| count.parse().ok()) {
                Some(count) => {
                    self.uses.insert(of.to_owned(), count);
                    Applied::Lease
                }
                None => Applied::Unknown,
            },
            "revoked" => match serde_json::from_slice::<Revocation>(value) {
                Ok(revocation) if revocation.revoked.key() == key => {
                    self.revocations.insert(key.to_owned(), revocation.clone());
                    Applied::Revocation(Box::new(revocation))
                }
                _ => Applied::Unknown,
            },
            _ => Applied::Unknown,
        }
    }

    /// The lease of that user name.
    pub fn lease(&self, user: &str, now: u64) -> Option<&Lease> {
        self.leases.get(user).filter(|lease| now < lease.expires_at)
    }

    /// By what that holder's right has ended, by this lease where it is one.
    pub fn revocation(&self, holder: &Holder, lease: Option<&str>, now: u64) -> Option<&Revocation> {
        if self.revocations.is_empty() {
            return None;
        }
        Revoked::all_of(holder, lease)
            .find_map(|revoked| self.revocations.get(&revoked.key()).filter(|revocation| now < revocation.until))
    }

    /// Leases that are good, those that were issued last first, with how many connections were made by each whose number is
    /// bounded.
    pub fn leases(&self, now: u64) -> Vec<(&Lease, u32)> {
        let is_good =
            |lease: &&Lease| now < lease.expires_at && self.revocation(&lease.holder, Some(&lease.user), now).is_none();
        let mut leases: Vec<_> = self.leases.values().filter(is_good).collect();
        leases.sort_unstable_by(|one, two| (two.issued_at, &two.user).cmp(&(one.issued_at, &one.user)));
        leases.into_iter().map(|lease| (lease, self.uses.get(&lease.user).copied().unwrap_or(0))).collect()
    }

    /// Whether there is room for one more lease of that holder.
    pub fn has_room(&self, holder: &Holder, now: u64) -> bool {
        let leases = self.leases(now);
        let same = |lease: &Lease| lease.holder.issuer == holder.issuer && lease.holder.subject == holder.subject;
        leases.len() < MAX_LEASES && leases.iter().filter(|(lease, _)| same(lease)).count() < MAX_LEASES_OF_ONE
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.leases.len() + self.revocations.len() + self.uses.len()
    }

    fn sweep(&mut self, now: u64) {
        self.since_swept = 0;
        self.leases.retain(|_, lease| now < lease.expires_at);
        self.revocations.retain(|_, revocation| now < revocation.until);
        // Counts of leases that are yet to come are few, and swept later.
        let leases = &self.leases;
        self.uses.retain(|user, _| leases.contains_key(user));
    }
}
