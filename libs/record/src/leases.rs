//! Leases: what processes that give them tell, as rows of table `leases`.
//!
//! Invariants: a lease's row leaves once, when it has ended, by revocation or by its time in that of the events; until then it
//! is in flight. It depends on the events alone, however they were cut into blocks, and an event that comes again changes
//! nothing within [`REMEMBERED`].

use std::collections::BTreeMap;

use hansard_schemas::events::{LeaseIssued, LeaseRevoked, Revoked};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::REMEMBERED;
use super::rows::{LeaseRow, Rows};
use super::session::{actors, given};

/// Most leases that have not ended; of further ones the one that ends first leaves, as it is then.
const MAX_OPEN: usize = 20_000;

/// The leases of one shard.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// By the session of their events.
    leases: BTreeMap<Uuid, Lease>,
    changed: Vec<Uuid>,
    forgotten: Vec<Uuid>,
    /// No lease ends, and none is forgotten, before that time of the events.
    due: i64,
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    row: LeaseRow,
    /// When its row left.
    ended_at: Option<i64>,
}

impl Leases {
    pub(super) fn restore(&mut self, session_id: Uuid, lease: Lease) {
        self.leases.insert(session_id, lease);
        self.due = 0;
    }

    pub(super) fn issued(&mut self, session_id: Uuid, issued: LeaseIssued, at: i64, rows: &mut Rows) {
        if self.leases.contains_key(&session_id) {
            return;
        }
        let row = LeaseRow {
            id: issued.lease,
            target: issued.target,
            role: issued.role,
            database: given(issued.database),
            job: issued.job,
            subject: issued.subject,
            issuer: issued.issuer,
            groups: issued.groups,
            token_id: given(issued.token_id),
            purpose: given(issued.purpose),
            actors: actors(&issued.actors),
            issued_at: at,
            expires_at: i64::try_from(issued.expires_at).unwrap_or(i64::MAX),
            max_connections: Some(issued.max_connections).filter(|most| *most > 0),
            certificate_sha256: given(hex::encode(issued.certificate_sha256)),
            revoked_at: None,
            revoked_by: None,
            reason: None,
        };
        self.due = self.due.min(row.expires_at);
        self.leases.insert(session_id, Lease { row, ended_at: None });
        self.changed.push(session_id);
        if self.leases.len() > MAX_OPEN {
            let first = self.leases.iter().filter(|(_, lease)| lease.ended_at.is_none());
            let first = first.min_by_key(|(session_id, lease)| (lease.row.expires_at, **session_id));
            if let Some((session_id, _)) = first {
                self.end(*session_id, at, rows);
            }
        }
    }

    pub(super) fn revoked_one(&mut self, session_id: Uuid, revoked: LeaseRevoked, at: i64, rows: &mut Rows) {
        if let Some(lease) = self.leases.get_mut(&session_id).filter(|lease| lease.row.id == revoked.lease)
            && lease.revoke(&revoked.by, &revoked.reason, at)
        {
            self.end(session_id, at, rows);
        }
    }

    pub(super) fn revoked(&mut self, revoked: &Revoked, at: i64, rows: &mut Rows) {
        let names = |row: &LeaseRow| match revoked.kind.as_str() {
            "token" => row.issuer == revoked.issuer && row.token_id.as_deref() == Some(revoked.token_id.as_str()),
            "subject" => row.issuer == revoked.issuer && row.subject == revoked.subject,
            "job" => row.job == revoked.job,
            "issuer" => row.issuer == revoked.issuer,
            _ => false,
        };
        let mut ended = Vec::new();
        for (session_id, lease) in &mut self.leases {
            if names(&lease.row) && lease.row.issued_at <= at && lease.revoke(&revoked.by, &revoked.reason, at) {
                ended.push(*session_id);
            }
        }
        for session_id in ended {
            self.end(session_id, at, rows);
        }
    }

    /// What has ended, or is to be forgotten, now that events are of that time.
    pub(super) fn passed(&mut self, latest: i64, rows: &mut Rows) {
        if latest < self.due || self.leases.is_empty() {
            return;
        }
        let expired =
            self.leases.iter().filter(|(_, lease)| lease.ended_at.is_none() && lease.row.expires_at <= latest);
        let expired: Vec<(Uuid, i64)> =
            expired.map(|(session_id, lease)| (*session_id, lease.row.expires_at)).collect();
        for (session_id, at) in expired {
            self.end(session_id, at, rows);
        }
        let forgotten = &mut self.forgotten;
        self.leases.retain(|session_id, lease| {
            let stays = lease.next() > latest;
            if !stays {
                forgotten.push(*session_id);
            }
            stays
        });
        self.due = self.leases.values().map(Lease::next).min().unwrap_or(i64::MAX);
    }

    fn end(&mut self, session_id: Uuid, at: i64, rows: &mut Rows) {
        let Some(lease) = self.leases.get_mut(&session_id) else { return };
        lease.ended_at = Some(at);
        self.due = self.due.min(lease.next());
        rows.leases.push(lease.row.clone());
        self.changed.push(session_id);
    }

    pub(super) fn in_flight(&self, rows: &mut Rows) {
        rows.leases
            .extend(self.leases.values().filter(|lease| lease.ended_at.is_none()).map(|lease| lease.row.clone()));
    }

    /// Those that have changed since this was called, and those that are forgotten.
    pub(super) fn take_changes(&mut self) -> (Vec<(Uuid, &Lease)>, Vec<Uuid>) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let changed = changed.into_iter().filter_map(|session_id| Some((session_id, self.leases.get(&session_id)?)));
        (changed.collect(), std::mem::take(&mut self.forgotten))
    }
}

impl Lease {
    /// When something becomes of it by time alone.
    fn next(&self) -> i64 {
        self.ended_at.map_or(self.row.expires_at, |at| at.max(self.row.issued_at).saturating_add(REMEMBERED))
    }

    /// False where it had ended before.
    fn revoke(&mut self, by: &str, reason: &str, at: i64) -> bool {
        if self.ended_at.is_some() || at >= self.row.expires_at {
            return false;
        }
        self.row.revoked_at = Some(at);
        self.row.revoked_by = given(by.to_owned());
        self.row.reason = given(reason.to_owned());
        true
    }
}
