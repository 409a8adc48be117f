//! Many rows in many hours, written straight into the lake: what pruning and limits are tested on.

use std::sync::Arc;

use hansard_lake::layout::HOUR;
use hansard_record::{Certainty, Credential, Outcome, Rows, SessionRow, StatementRow, Status, TouchRow};
use uuid::Uuid;

use crate::fixture::{Fixture, at};

/// Relations that take turns, one in each hour.
pub(crate) const RELATIONS: [&str; 3] = ["public.candidates", "public.rankings", "public.scores"];

/// `hours` files of each table but `frames`, from midnight on, `statements` statements each, all of one session an hour.
pub(crate) async fn fill(fixture: &Fixture, hours: i64, statements: u64) {
    for hour in 0..hours {
        fixture.put(hour_of_work(hour, statements)).await;
    }
}

fn hour_of_work(hour: i64, statements: u64) -> Rows {
    let mut rows = Rows::default();
    let began = at("00:00:00") + hour * HOUR;
    let relation: Arc<str> = RELATIONS[usize::try_from(hour).unwrap() % RELATIONS.len()].into();
    let (job, subject, target): (Arc<str>, Arc<str>, Arc<str>) =
        (format!("job-{hour}").into(), "svc".into(), "ranking".into());
    let session_id = Uuid::from_u128(0x019a_a000_0000_7000_9000_0000_0000_0000 | u128::try_from(hour).unwrap());
    for no in 1..=statements {
        let at = began + i64::try_from(no).unwrap() * 1_000_000;
        rows.statements.push(StatementRow {
            session_id,
            statement_no: no,
            target: target.clone(),
            job: job.clone(),
            subject: subject.clone(),
            issuer: "ci".into(),
            operation: "update",
            sql: format!("UPDATE {relation} SET score = {no} WHERE id = {no}").into(),
            parameters: None,
            fingerprint: None,
            started_at: at,
            finished_at: Some(at + 500_000),
            rows: Some(1),
            sqlstate: None,
            error: None,
            verdict: "allow",
            transaction_id: no,
            transaction_outcome: Some(Outcome::Committed),
            committed_at: Some(at + 500_000),
            outcome_reason: None,
            opaque: None,
            first_seq: no * 4,
            last_seq: no * 4 + 3,
            truncated: false,
            omitted: None,
            status: Status::Done,
            executed: None,
            severity: None,
            details: None,
            notices: None,
        });
        rows.touches.push(TouchRow {
            relation: relation.clone(),
            operation: "update",
            at,
            committed_at: Some(at + 500_000),
            job: job.clone(),
            subject: subject.clone(),
            session_id,
            statement_no: no,
            target: target.clone(),
            rows: Some(1),
            transaction_id: no,
            transaction_outcome: Some(Outcome::Committed),
            outcome_reason: None,
            columns: ["id".into(), "score".into()].into(),
            via: "direct",
            certainty: Certainty::Certain,
            reason: None,
        });
    }
    rows.sessions.push(SessionRow {
        session_id,
        target,
        job,
        subject,
        issuer: "ci".into(),
        groups: Vec::new(),
        client_addr: "10.0.0.7:51234".to_owned(),
        application_name: String::new(),
        db_user: "app".to_owned(),
        database: "ranking".to_owned(),
        opened_at: began,
        closed_at: Some(began + HOUR - 1),
        close_reason: Some("terminated by job".to_owned()),
        complete: true,
        statements,
        frames: statements * 4,
        bytes_frontend: 0,
        bytes_backend: 0,
        denied: 0,
        auth_failure: None,
        gaps: None,
        chain_head: [0; 32],
        capture: "full".to_owned(),
        max_result_bytes: None,
        tls: None,
        contradictions: 0,
        database_role: None,
        backend_pid: None,
        errors: 0,
        notices: None,
        ending: "terminated",
        last_frame_at: None,
        purpose: None,
        traceparent: None,
        credential: Credential::default(),
    });
    rows
}
