//! What is revoked, by whom, and for how long that holds.
//!
//! Invariant: a revocation holds for all that it names, whatever was given before and comes later, until it ends.

use ring::digest;
use serde::{Deserialize, Serialize};

use super::Holder;

/// What is revoked: all that anybody holds by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Revoked {
    /// One lease.
    Lease {
        /// Its user name.
        id: String,
    },
    /// One token, and the leases that were given for it.
    Token {
        /// Name of the issuer in the configuration.
        issuer: String,
        /// `jti`.
        id: String,
    },
    /// One identity.
    Subject {
        /// Name of the issuer in the configuration.
        issuer: String,
        /// `sub`.
        subject: String,
    },
    /// A job, of whatever issuer.
    Job {
        /// Its name.
        job: String,
    },
    /// All of one issuer.
    Issuer {
        /// Its name in the configuration.
        issuer: String,
    },
}

/// A revocation, as all who have to know it keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What.
    #[serde(flatten)]
    pub revoked: Revoked,
    /// Why, as who did it says.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When, UTC nanoseconds.
    pub at: u64,
    /// Until when it holds, UTC nanoseconds.
    pub until: u64,
}

impl Revoked {
    /// The key of its record in the control feed: one for each thing that can be revoked.
    pub fn key(&self) -> String {
        let (kind, parts): (_, [&str; 2]) = match self {
            Revoked::Lease { id } => ("lease", [id, ""]),
            Revoked::Token { issuer, id } => ("token", [issuer, id]),
            Revoked::Subject { issuer, subject } => ("subject", [issuer, subject]),
            Revoked::Job { job } => ("job", [job, ""]),
            Revoked::Issuer { issuer } => ("issuer", [issuer, ""]),
        };
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        format!("revoked.{kind}.{}", hex::encode(context.finish()))
    }

    /// Its kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Revoked::Lease { .. } => "lease",
            Revoked::Token { .. } => "token",
            Revoked::Subject { .. } => "subject",
            Revoked::Job { .. } => "job",
            Revoked::Issuer { .. } => "issuer",
        }
    }

    /// All that would end what this holder has, by this lease where it is one.
    pub fn all_of(holder: &Holder, lease: Option<&str>) -> impl Iterator<Item = Revoked> {
        let Holder { issuer, subject, job, token_id, .. } = holder.clone();
        let token = (!token_id.is_empty()).then(|| Revoked::Token { issuer: issuer.clone(), id: token_id });
        let lease = lease.map(|id| Revoked::Lease { id: id.to_owned() });
        let others =
            [Revoked::Subject { issuer: issuer.clone(), subject }, Revoked::Job { job }, Revoked::Issuer { issuer }];
        lease.into_iter().chain(token).chain(others)
    }

    /// Whether it ends what this holder has, by this lease where it is one.
    pub fn ends(&self, holder: &Holder, lease: Option<&str>) -> bool {
        match self {
            Revoked::Lease { id } => lease == Some(id.as_str()),
            Revoked::Token { issuer, id } => holder.issuer == *issuer && holder.token_id == *id && !id.is_empty(),
            Revoked::Subject { issuer, subject } => holder.issuer == *issuer && holder.subject == *subject,
            Revoked::Job { job } => holder.job == *job,
            Revoked::Issuer { issuer } => holder.issuer == *issuer,
        }
    }
}

impl Revocation {
    /// As it stands in the control feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
