//! What is nested in Rust and not in JSON, and what is a part of it, read by one piece of code each.
//!
//! The web replay pays for each type that it reads, and `#[serde(flatten)]` reads by way of a map of everything: together
//! they were 2 % of what a browser fetches. Invariant: what was written is read, whatever order the fields have.

use serde::Deserialize;

use super::{Actor, LakeFile, Notice, RecordGap, SaidDetails, SessionDetail, SessionOutcome, SessionSummary};

#[derive(Deserialize)]
pub(super) struct FlatNotice {
    #[serde(default)]
    at: String,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    sqlstate: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    more: Option<u64>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    position: Option<i64>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    internal_query: Option<String>,
    #[serde(default)]
    internal_position: Option<i64>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    column: Option<String>,
    #[serde(default)]
    data_type: Option<String>,
    #[serde(default)]
    constraint: Option<String>,
}

impl From<FlatNotice> for Notice {
    fn from(flat: FlatNotice) -> Notice {
        let FlatNotice {
            at,
            by,
            severity,
            sqlstate,
            message,
            more,
            detail,
            hint,
            position,
            context,
            internal_query,
            internal_position,
            schema,
            table,
            column,
            data_type,
            constraint,
        } = flat;
        let details = SaidDetails {
            detail,
            hint,
            position,
            context,
            internal_query,
            internal_position,
            schema,
            table,
            column,
            data_type,
            constraint,
        };
        Notice { at, by, severity, sqlstate, message, more, details }
    }
}

/// What an error says beside its code and message is read as a notice that says no more.
impl From<FlatNotice> for SaidDetails {
    fn from(flat: FlatNotice) -> SaidDetails {
        Notice::from(flat).details
    }
}

#[derive(Deserialize)]
pub(super) struct FlatDetail {
    session_id: String,
    target: String,
    job: String,
    subject: String,
    issuer: String,
    opened_at: String,
    #[serde(default)]
    closed_at: Option<String>,
    #[serde(default)]
    duration_ns: Option<i64>,
    outcome: SessionOutcome,
    statements: i64,
    #[serde(default)]
    ending: String,
    #[serde(default)]
    last_frame_at: Option<String>,
    errors: i64,
    denied: i64,
    #[serde(default)]
    db_user: String,
    #[serde(default)]
    close_reason: Option<String>,
    #[serde(default)]
    gap_count: i64,
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    hits: Option<i64>,
    #[serde(default)]
    first_hit: Option<i64>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    client_addr: String,
    #[serde(default)]
    application_name: String,
    #[serde(default)]
    database_role: Option<String>,
    #[serde(default)]
    backend_pid: Option<i64>,
    #[serde(default)]
    notices: Vec<Notice>,
    #[serde(default)]
    database: String,
    #[serde(default)]
    auth_failure: Option<String>,
    #[serde(default)]
    frames: i64,
    #[serde(default)]
    bytes_frontend: i64,
    #[serde(default)]
    bytes_backend: i64,
    #[serde(default)]
    chain_head: String,
    #[serde(default)]
    gaps: Vec<RecordGap>,
    #[serde(default)]
    capture: Option<String>,
    #[serde(default)]
    max_result_bytes: Option<i64>,
    #[serde(default)]
    tls_version: Option<String>,
    #[serde(default)]
    tls_cipher: Option<String>,
    #[serde(default)]
    client_dn: Option<String>,
    #[serde(default)]
    client_certificate_sha256: Option<String>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    traceparent: Option<String>,
    #[serde(default)]
    authentication: Option<String>,
    #[serde(default)]
    token_id: Option<String>,
    #[serde(default)]
    token_expires_at: Option<String>,
    #[serde(default)]
    acting_for: Option<String>,
    #[serde(default)]
    actors: Vec<Actor>,
    #[serde(default)]
    files: Vec<LakeFile>,
}

/// What the list says of a session is read as all that is known of it, where the rest is absent.
impl From<FlatDetail> for SessionSummary {
    fn from(flat: FlatDetail) -> SessionSummary {
        SessionDetail::from(flat).summary
    }
}

impl From<FlatDetail> for SessionDetail {
    fn from(flat: FlatDetail) -> SessionDetail {
        let FlatDetail {
            session_id,
            target,
            job,
            subject,
            issuer,
            opened_at,
            closed_at,
            duration_ns,
            outcome,
            statements,
            ending,
            last_frame_at,
            errors,
            denied,
            db_user,
            close_reason,
            gap_count,
            cursor,
            hits,
            first_hit,
            groups,
            client_addr,
            application_name,
            database_role,
            backend_pid,
            notices,
            database,
            auth_failure,
            frames,
            bytes_frontend,
            bytes_backend,
            chain_head,
            gaps,
            capture,
            max_result_bytes,
            tls_version,
            tls_cipher,
            client_dn,
            client_certificate_sha256,
            purpose,
            traceparent,
            authentication,
            token_id,
            token_expires_at,
            acting_for,
            actors,
            files,
        } = flat;
        let summary = SessionSummary {
            session_id,
            target,
            job,
            subject,
            issuer,
            opened_at,
            closed_at,
            duration_ns,
            outcome,
            statements,
            ending,
            last_frame_at,
            errors,
            denied,
            db_user,
            close_reason,
            gap_count,
            cursor,
            hits,
            first_hit,
        };
        SessionDetail {
            summary,
            groups,
            client_addr,
            application_name,
            database_role,
            backend_pid,
            notices,
            database,
            auth_failure,
            frames,
            bytes_frontend,
            bytes_backend,
            chain_head,
            gaps,
            capture,
            max_result_bytes,
            tls_version,
            tls_cipher,
            client_dn,
            client_certificate_sha256,
            purpose,
            traceparent,
            authentication,
            token_id,
            token_expires_at,
            acting_for,
            actors,
            files,
        }
    }
}
