//! Leases: what somebody who showed a token is given, to log in with for a while, and the revocations that end it.
//!
//! Nothing here reads a clock, makes a random number or knows how leases come to those who have to know them.
//!
//! Invariants: a lease's password is in nothing but [`Password`], which shows it to whoever asks for it by name and prints
//! nothing; what is kept of it is a SCRAM-SHA-256 verifier, which nothing prints either; a lease is good for what it was
//! given for, and nowhere else.

mod book;
mod revocation;
mod verifier_text;

pub use book::{Applied, Book};
pub use revocation::{Revocation, Revoked};

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::scram::Verifier;
use crate::{Actor, Principal};

/// Of a password of 256 random bits: they cannot be tried, however fast one try is. RFC 7677 asks for as many at least.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// What the user name of a lease begins with.
pub const USER_PREFIX: &str = "lease-";

/// Longest purpose, in bytes.
pub const MAX_PURPOSE: usize = 512;

/// Longest reason of a revocation, in bytes.
pub const MAX_REASON: usize = 512;

/// Most leases that are good at the same time.
pub const MAX_LEASES: usize = 10_000;

/// Most of one identity.
pub const MAX_LEASES_OF_ONE: usize = 100;

/// Who was given a lease, or has shown a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the issuer in the configuration.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The job.
    pub job: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Who acts for the subject.
    pub actors: Vec<Actor>,
    /// `jti`; empty where there is none.
    pub token_id: String,
}

impl From<&Principal> for Holder {
    fn from(principal: &Principal) -> Holder {
        Holder {
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            job: principal.job.clone(),
            groups: principal.groups.clone(),
            actors: principal.actors.clone(),
            token_id: principal.token_id.clone(),
        }
    }
}

/// A lease, as all who have to know it keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The name to log in with, which is its id.
    pub user: String,
    /// The session id under which its events are recorded.
    pub record: String,
    /// The target that it is good for.
    pub target: String,
    /// The role that is asked for.
    pub role: String,
    /// The database, where it is good for one only.
    pub database: Option<String>,
    /// Whose it is.
    pub holder: Holder,
    /// Why it was asked for, as its holder says.
    pub purpose: String,
    /// UTC nanoseconds.
    pub issued_at: u64,
    /// UTC nanoseconds: from then on it is good for nothing.
    pub expires_at: u64,
    /// How many connections it is good for; `None`: any number.
    pub max_connections: Option<u32>,
    /// Hex of the SHA-256 of the certificate that has to be shown with it.
    pub certificate_sha256: Option<String>,
    /// What its password is checked with.
    #[serde(with = "verifier_text")]
    pub verifier: Verifier,
}

/// What a lease is asked for with, after it was checked whether its holder may have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseRequest {
    /// See [`Lease`].
    pub record: String,
    /// See [`Lease`].
    pub target: String,
    /// See [`Lease`].
    pub role: String,
    /// See [`Lease`].
    pub database: Option<String>,
    /// See [`Lease`].
    pub purpose: String,
    /// See [`Lease`].
    pub expires_at: u64,
    /// See [`Lease`].
    pub max_connections: Option<u32>,
    /// See [`Lease`].
    pub certificate_sha256: Option<String>,
}

/// Random numbers, made by whoever issues a lease.
#[derive(Clone)]
pub struct Randomness {
    /// For the user name.
    pub id: [u8; 16],
    /// For the password.
    pub password: [u8; 32],
}

impl std::fmt::Debug for Randomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Randomness")
    }
}

/// A lease's password, which is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Its text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Lease {
    /// A new lease, and its password.
    pub fn issue(request: LeaseRequest, holder: Holder, now: u64, random: &Randomness) -> (Lease, Password) {
        let password = Password(URL_SAFE_NO_PAD.encode(random.password));
        let user = format!("{USER_PREFIX}{}", hex::encode(random.id));
        let verifier = Verifier::of(password.reveal(), ITERATIONS);
        let LeaseRequest { record, target, role, database, purpose, expires_at, max_connections, certificate_sha256 } =
            request;
        let lease = Lease {
            user,
            record,
            target,
            role,
            database,
            holder,
            purpose,
            issued_at: now,
            expires_at,
            max_connections,
            certificate_sha256,
            verifier,
        };
        (lease, password)
    }

    /// Who logs in with it.
    pub fn principal(&self) -> Principal {
        let Holder { issuer, subject, job, groups, actors, token_id } = self.holder.clone();
        Principal { issuer, subject, job, groups, actors, token_id, token_expires_at: 0, ends_at: self.expires_at }
    }

    /// The key of its record in the control feed.
    pub fn key(&self) -> String {
        Lease::key_of(&self.user)
    }

    /// That of the lease with this user name.
    pub fn key_of(user: &str) -> String {
        format!("lease.{user}")
    }

    /// The key under which its connections are counted, where their number is bounded.
    pub fn uses_key(&self) -> String {
        format!("used.{}", self.user)
    }

    /// As it stands in the control feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether it is good for a connection to that target and database over which this certificate was shown, at `now`; if
    /// not, why.
    pub fn check(
        &self,
        target: &str,
        database: &str,
        certificate: Option<&[u8]>,
        now: u64,
    ) -> Result<(), &'static str> {
        if now >= self.expires_at {
            return Err("the lease has expired");
        }
        if self.target != target {
            return Err("the lease is for another target");
        }
        if self.database.as_deref().is_some_and(|only| only != database) {
            return Err("the lease is for another database");
        }
        match (&self.certificate_sha256, certificate) {
            (None, _) => Ok(()),
            (Some(bound), Some(shown)) if *bound == hex::encode(shown) => Ok(()),
            _ => Err("the lease is bound to a certificate that was not shown"),
        }
    }
}

/// Whether somebody logs in with a lease.
pub fn is_lease(user: &str) -> bool {
    user.strip_prefix(USER_PREFIX)
        .is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests;
