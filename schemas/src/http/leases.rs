//! Leases and revocations, as they are asked for and told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST /api/v1/leases`: what a job asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// The target that it is to be good for.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 128)))]
    pub target: String,
    /// The database role that is wanted.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 63)))]
    pub role: String,
    /// The database that it is to be good for; without it, any that the target serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 63)))]
    pub database: Option<String>,
    /// What it is for: a ticket, a run's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(max = 512)))]
    pub purpose: Option<String>,
    /// For how long: a number with s, m or h; without it as long as leases may be (`leases.max_duration`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(max = 16)))]
    pub duration: Option<String>,
    /// How many connections it is to be good for; without it as many as leases may be (`leases.max_connections`), or any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 1)))]
    pub max_connections: Option<u32>,
    /// Hex of the SHA-256 of the certificate that has to be shown with it, in DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 64, max = 64)))]
    pub certificate_sha256: Option<String>,
}

/// A lease, with its password, which is told this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LeaseGiven {
    /// The user name to log in with, which is its id.
    pub user: String,
    /// The password.
    pub password: String,
    /// When it ends.
    pub expires_at: String,
    /// The target.
    pub target: String,
    /// Where jobs reach it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database, where there is one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// `postgres://…`, with all of it.
    pub url: String,
    /// A line of `~/.pgpass`.
    pub pgpass: String,
    /// What libpq and most drivers take from the environment.
    pub environment: BTreeMap<String, String>,
}

impl std::fmt::Debug for LeaseGiven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseGiven").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A lease that is good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LeaseSummary {
    /// Its user name.
    pub id: String,
    /// The target.
    pub target: String,
    /// The role that was asked for.
    pub role: String,
    /// The database, where it is good for one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Whose it is.
    pub job: String,
    /// The identity's subject.
    pub subject: String,
    /// The identity's issuer.
    pub issuer: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When it was given.
    pub issued_at: String,
    /// When it ends.
    pub expires_at: String,
    /// How many connections it is good for; absent where any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// How many were made, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Hex of the SHA-256 of the certificate that has to be shown with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
}

/// What can be revoked beside a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// A token, by `issuer` and `token_id`, and the leases that were given for it.
    Token,
    /// An identity, by `issuer` and `subject`.
    Subject,
    /// A job, by `job`, of whatever issuer.
    Job,
    /// All of an issuer, by `issuer`.
    Issuer,
}

/// `POST /api/v1/revocations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// What.
    pub kind: RevocationKind,
    /// The issuer's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 512)))]
    pub issuer: Option<String>,
    /// `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 600)))]
    pub token_id: Option<String>,
    /// `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 512)))]
    pub subject: Option<String>,
    /// The job's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 512)))]
    pub job: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(max = 512)))]
    pub reason: Option<String>,
    /// For how long it holds: a number with s, m, h or d, at most 7d, which it is without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(max = 16)))]
    pub duration: Option<String>,
}

/// What was revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RevocationDone {
    /// `lease`, `token`, `subject`, `job` or `issuer`.
    pub kind: String,
    /// Until when it holds: what it ends is good for nothing until then, and of a lease ever.
    pub until: String,
}
