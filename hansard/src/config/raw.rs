//! The configuration as written: every key that exists, nothing decided yet.
//!
//! A key that is not here is an error (`deny_unknown_fields`), so that a typing mistake never becomes a default.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) admin: Admin,
    pub(super) logging: Logging,
    pub(super) event_log: EventLog,
    pub(super) recording: Recording,
    pub(super) lake: Lake,
    pub(super) policy: Policy,
    pub(super) identity: Identity,
    pub(super) proxy: Proxy,
    pub(super) targets: Vec<Target>,
    pub(super) query: Query,
    pub(super) web: Web,
    pub(super) leases: Leases,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Logging {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventLog {
    pub(super) backend: Option<String>,
    pub(super) path: Option<String>,
    pub(super) shards: Option<u16>,
    pub(super) segment_size: Option<String>,
    pub(super) max_size: Option<String>,
    pub(super) servers: Option<Vec<String>>,
    pub(super) credentials_file: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) replicas: Option<u8>,
    pub(super) stream_max_size: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Recording {
    pub(super) durability: Option<String>,
    pub(super) wait_for: Option<String>,
    pub(super) fsync: Option<String>,
    pub(super) group: Option<String>,
    pub(super) capture: Option<String>,
    pub(super) max_result_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lake {
    pub(super) url: Option<String>,
    pub(super) catalog: Option<String>,
    pub(super) flush_interval: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) unrestricted: Option<bool>,
    pub(super) dir: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Identity {
    pub(super) issuers: Vec<Issuer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Issuer {
    pub(super) name: Option<String>,
    pub(super) preset: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) jwks_file: Option<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) keys_max_age: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) job_claim: Option<String>,
    pub(super) job_template: Option<String>,
    pub(super) groups_claim: Option<String>,
    pub(super) required_claims: Option<BTreeMap<String, OneOrSeveral>>,
    pub(super) private_key_file: Option<String>,
}

/// A value, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "write a text or a list of texts; a claim inside another one is named as \"/outer/inner\""
)]
pub(super) enum OneOrSeveral {
    One(Scalar),
    Several(Vec<Scalar>),
}

/// What a claim can be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Text(String),
    Flag(bool),
    Number(i64),
}

impl Scalar {
    pub(super) fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Number(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proxy {
    pub(super) max_sessions: Option<usize>,
    pub(super) max_unauthenticated: Option<usize>,
    pub(super) shutdown_grace: Option<String>,
    pub(super) log_patience: Option<String>,
    pub(super) session_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Target {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) upstream_password: Option<String>,
    pub(super) upstream_password_file: Option<String>,
    pub(super) upstream_password_command: Option<Vec<String>>,
    pub(super) upstream_password_interval: Option<String>,
    pub(super) tls: Option<TargetTls>,
    pub(super) allow_plaintext: Option<bool>,
    pub(super) authentication: Option<String>,
    pub(super) application_name: Option<String>,
    pub(super) identity_settings: Option<bool>,
    pub(super) identity_key_file: Option<String>,
    pub(super) replication: Option<bool>,
    pub(super) capture: Option<String>,
    pub(super) max_result_bytes: Option<String>,
    pub(super) capture_rules: Vec<CaptureRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CaptureRule {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) job: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) capture: Option<String>,
    pub(super) max_result_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetTls {
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_certificates: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Query {
    pub(super) pgwire_listen: Option<String>,
    pub(super) memory_limit: Option<String>,
    pub(super) hot_limit: Option<String>,
    pub(super) row_limit: Option<usize>,
    pub(super) timeout: Option<String>,
    pub(super) export_timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Web {
    pub(super) listen: Option<String>,
    pub(super) token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Leases {
    pub(super) enabled: Option<bool>,
    pub(super) max_duration: Option<String>,
    pub(super) max_connections: Option<u32>,
    pub(super) on_revocation: Option<String>,
}
