//! Answers as they look, for the API's description: of the types that are answered, so that they cannot be others.

use hansard_schemas::http::{
    Cell, Changes, Found, IdentityRow, LakeFile, LeaseGiven, LeaseRequest, LeaseSummary, LoginLink, LookedAt, Overview,
    Page, RelationName, ResultColumn, ResultGrid, ResultSet, RevocationDone, RevocationKind, RevocationRequest,
    SessionDetail, SessionOutcome, SessionSummary, Status, Step, Stretch, TargetHint, Touch, TouchRow, WhoChanged,
};

/// The lease of the examples.
pub(super) const LEASE: &str = "lease-000102030405060708090a0b0c0d0e0f";

/// The session of the examples.
pub(super) const SESSION: &str = "019aa000-0000-7000-8000-000000000001";

/// The question of the examples.
pub(super) const SQL: &str = "SELECT job, count(*) AS statements FROM statements GROUP BY job ORDER BY statements DESC";

const UPDATE: &str = "UPDATE public.rankings SET score = $1, updated_at = now() WHERE film_id = $2";

pub(super) fn status() -> Status {
    let target =
        TargetHint { name: "ranking".into(), listen: "127.0.0.1:6432".into(), database: Some("ranking".into()) };
    Status { version: env!("CARGO_PKG_VERSION").into(), targets: vec![target] }
}

pub(super) fn login_link() -> LoginLink {
    LoginLink {
        url: "http://127.0.0.1:8080/login?token=bm90IGEgdG9rZW4sIGJ1dCBhcyBsb25nIGFzIG9uZSE".into(),
        valid_seconds: 3600,
    }
}

pub(super) fn lease_request() -> LeaseRequest {
    LeaseRequest {
        target: "ranking".into(),
        role: "app".into(),
        purpose: Some("TICKET-1".into()),
        duration: Some("30m".into()),
        ..LeaseRequest::default()
    }
}

pub(super) fn lease_given() -> LeaseGiven {
    let password = "bm90IGEgcGFzc3dvcmQsIGJ1dCBhcyBsb25nIGFzIDE";
    let environment = [
        ("PGDATABASE", "ranking"),
        ("PGHOST", "127.0.0.1"),
        ("PGPASSWORD", password),
        ("PGPORT", "6432"),
        ("PGUSER", LEASE),
    ];
    LeaseGiven {
        user: LEASE.into(),
        password: password.into(),
        expires_at: "2026-11-22T03:42:00Z".into(),
        target: "ranking".into(),
        host: "127.0.0.1".into(),
        port: 6432,
        database: Some("ranking".into()),
        url: format!("postgres://{LEASE}:{password}@127.0.0.1:6432/ranking"),
        pgpass: format!("127.0.0.1:6432:ranking:{LEASE}:{password}"),
        environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
    }
}

pub(super) fn leases() -> Page<LeaseSummary> {
    let lease = LeaseSummary {
        id: LEASE.into(),
        target: "ranking".into(),
        role: "app".into(),
        job: "nightly-rerank".into(),
        subject: "svc:nightly-rerank".into(),
        issuer: "ci".into(),
        purpose: Some("TICKET-1".into()),
        issued_at: "2026-11-22T03:12:00Z".into(),
        expires_at: "2026-11-22T03:42:00Z".into(),
        ..LeaseSummary::default()
    };
    Page { items: vec![lease], next: None, total: Some(1) }
}

pub(super) fn revocation() -> RevocationRequest {
    RevocationRequest {
        kind: RevocationKind::Token,
        issuer: Some("ci".into()),
        token_id: Some("7f3a".into()),
        subject: None,
        job: None,
        reason: Some("it was in a log".into()),
        duration: Some("1h".into()),
    }
}

pub(super) fn revoked() -> RevocationDone {
    RevocationDone { kind: "lease".into(), until: "2026-11-22T03:42:00Z".into() }
}

pub(super) fn revoked_token() -> RevocationDone {
    RevocationDone { kind: "token".into(), until: "2026-11-22T04:12:00Z".into() }
}

pub(super) fn touch_row() -> TouchRow {
    TouchRow {
        relation: "public.rankings".into(),
        operation: "update".into(),
        at: "2026-11-22T03:12:00.100000000Z".into(),
        committed_at: Some("2026-11-22T03:12:01.000000000Z".into()),
        job: "nightly-rerank".into(),
        subject: "svc:nightly-rerank".into(),
        session_id: SESSION.into(),
        statement_no: 4,
        target: "ranking".into(),
        rows: Some(1),
        transaction_outcome: "committed".into(),
        columns: vec!["film_id".into(), "score".into(), "updated_at".into()],
        transaction_id: Some(2),
        certainty: "certain".into(),
        reason: None,
        outcome_reason: None,
        via: Some("direct".into()),
        sql: Some(UPDATE.into()),
        cut: false,
    }
}

pub(super) fn who_changed() -> WhoChanged {
    WhoChanged {
        relation: "public.rankings".into(),
        operations: vec!["update".into()],
        target: None,
        from: "2026-11-22T03:11:00.000000000Z".into(),
        to: "2026-11-22T03:13:59.999999999Z".into(),
        certain: Changes { total: 1, rows: vec![touch_row()] },
        possible: Changes::default(),
        looked_at: vec![LookedAt {
            target: "ranking".into(),
            sessions: 1,
            with_gaps: 0,
            catalog: Some("2026-11-22T03:11:57.000000000Z".into()),
        }],
    }
}

pub(super) fn relations() -> Page<RelationName> {
    let relation =
        RelationName { relation: "public.rankings".into(), kind: "table".into(), targets: vec!["ranking".into()] };
    Page { items: vec![relation], next: None, total: None }
}

fn summary() -> SessionSummary {
    SessionSummary {
        session_id: SESSION.into(),
        target: "ranking".into(),
        job: "nightly-rerank".into(),
        subject: "svc:nightly-rerank".into(),
        issuer: "https://issuer.example".into(),
        opened_at: "2026-11-22T03:11:57.000000000Z".into(),
        closed_at: Some("2026-11-22T03:12:35.000000000Z".into()),
        duration_ns: Some(38_000_000_000),
        outcome: SessionOutcome::Complete,
        statements: 12,
        ending: "terminated".into(),
        last_frame_at: Some("2026-11-22T03:12:35.000000000Z".into()),
        errors: 1,
        denied: 0,
        db_user: "app".into(),
        close_reason: Some("terminated".into()),
        gap_count: 0,
        cursor: format!("1795317117000000000.1795317117000000000.{SESSION}"),
        hits: None,
        first_hit: None,
    }
}

pub(super) fn jobs() -> Page<IdentityRow> {
    let identity = IdentityRow {
        job: "nightly-rerank".into(),
        subject: "repo:films/reranker".into(),
        issuer: "ci".into(),
        first_seen: "2026-11-01T03:11:57.000000000Z".into(),
        last_seen: "2026-11-22T03:11:57.000000000Z".into(),
        sessions: 22,
        open: 0,
        refused: 1,
        statements: 308,
        errors: 2,
        targets: 1,
    };
    Page { items: vec![identity], next: None, total: Some(1) }
}

pub(super) fn sessions() -> Page<SessionSummary> {
    Page { items: vec![summary()], next: Some(summary().cursor), total: Some(2) }
}

pub(super) fn session() -> SessionDetail {
    SessionDetail {
        summary: summary(),
        groups: vec!["batch".into()],
        client_addr: "10.0.0.7:51234".into(),
        application_name: "rerank".into(),
        database_role: Some("app".into()),
        backend_pid: Some(4711),
        notices: Vec::new(),
        database: "ranking".into(),
        auth_failure: None,
        frames: 260,
        bytes_frontend: 2_048,
        bytes_backend: 16_384,
        chain_head: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        gaps: Vec::new(),
        capture: None,
        max_result_bytes: None,
        tls_version: Some("TLSv1.3".into()),
        tls_cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        client_dn: None,
        client_certificate_sha256: None,
        purpose: Some("TICKET-1204: rerank the films".into()),
        traceparent: None,
        authentication: Some("password".into()),
        token_id: Some("7f3a".into()),
        token_expires_at: Some("2026-11-22T04:11:57Z".into()),
        acting_for: None,
        actors: Vec::new(),
        files: vec![LakeFile {
            table: "statements".into(),
            path: "statements/day=2026-11-22/hour=03/0000.parquet".into(),
            rows: 14,
            bytes: 9_216,
        }],
    }
}

pub(super) fn overview() -> Overview {
    Overview {
        statements: 12,
        last: 12,
        from_ns: 200_000_000,
        width_ns: 1_000_000_000,
        stretches: 38,
        busy: vec![Stretch { no: 35, first: 10, statements: 1, reads: 0, writes: 1, denied: 0, failed: 1 }],
        landing: Some(10),
        troubles: 1,
        gaps: Vec::new(),
        more_gaps: 0,
    }
}

pub(super) fn found() -> Found {
    Found { no: Some(10), place: 1, total: 1 }
}

pub(super) fn step() -> Step {
    Step {
        no: 4,
        operation: "update".into(),
        sql: UPDATE.into(),
        parameters: vec![Cell::Text("0.9312".into()), Cell::Text("17".into())],
        touches: vec![Touch {
            relation: "public.rankings".into(),
            operation: "update".into(),
            columns: vec!["film_id".into(), "score".into(), "updated_at".into()],
        }],
        started_at: "2026-11-22T03:12:00.100000000Z".into(),
        offset_ns: 3_100_000_000,
        duration_ns: Some(2_000_000),
        rows: Some(1),
        status: "done".into(),
        verdict: "allow".into(),
        transaction_id: 2,
        transaction_outcome: "committed".into(),
        committed_at: Some("2026-11-22T03:12:01.000000000Z".into()),
        first_seq: 21,
        last_seq: 29,
        ..Step::default()
    }
}

pub(super) fn steps() -> Page<Step> {
    Page { items: vec![step()], next: Some("5".into()), total: None }
}

pub(super) fn result() -> ResultGrid {
    let column =
        |name: &str, type_name: &str, numeric| ResultColumn { name: name.into(), type_name: type_name.into(), numeric };
    ResultGrid {
        sets: vec![ResultSet {
            columns: vec![column("id", "int4", true), column("title", "text", false), column("poster", "bytea", false)],
            rows: vec![
                vec![Cell::Text("17".into()), Cell::Text("Alien".into()), Cell::Bytes { hex: "89504e47".into() }],
                vec![Cell::Text("42".into()), Cell::Text("Brazil".into()), Cell::Null],
            ],
            total_rows: 163,
            first_row: 1,
        }],
        notices: Vec::new(),
    }
}
