//! A lease's row.

use serde::{Deserialize, Serialize};

use super::text;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Its user name.
    pub id: String,
    /// The target that it is good for.
    pub target: String,
    /// The role that was asked for.
    pub role: String,
    /// The database, where it is good for one only.
    pub database: Option<String>,
    /// The job.
    pub job: String,
    /// The identity's subject.
    pub subject: String,
    /// The identity's issuer.
    pub issuer: String,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// `jti` of the token.
    pub token_id: Option<String>,
    /// What it was asked for to do.
    pub purpose: Option<String>,
    /// JSON array of who acts for the subject.
    pub actors: Option<String>,
    /// UTC nanoseconds.
    pub issued_at: i64,
    /// UTC nanoseconds.
    pub expires_at: i64,
    /// How many connections it is good for, where their number is bounded.
    pub max_connections: Option<u32>,
    /// Hex of the SHA-256 of the certificate that has to be shown.
    pub certificate_sha256: Option<String>,
    /// UTC nanoseconds.
    pub revoked_at: Option<i64>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl LeaseRow {
    pub(super) fn memory(&self) -> usize {
        let texts = [&self.id, &self.target, &self.role, &self.job, &self.subject, &self.issuer].into_iter();
        let optional = [&self.database, &self.token_id, &self.purpose, &self.actors, &self.certificate_sha256];
        let optional = optional.into_iter().chain([&self.revoked_by, &self.reason]).flatten();
        size_of::<LeaseRow>() + texts.chain(optional).chain(&self.groups).map(|of| text(of)).sum::<usize>()
    }
}
