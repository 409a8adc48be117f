//! Leases and revocations.
//!
//! Invariant: who asks is known by the gate: the owner, or a job by its own token, which sees and revokes its own leases alone.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use hansard_schemas::http::{LeaseGiven, LeaseRequest, LeaseSummary, Page, RevocationDone, RevocationRequest};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Answered;
use crate::{
    Shared,
    failure::{Failure, Kind},
    guard::Asker,
    leases::{Leases, in_words},
    parameters::{Asked, Body, LeaseId, Text},
};

fn leases(shared: &Shared) -> Answered<&Leases> {
    shared.leases.as_deref().ok_or_else(|| {
        Failure::not_found("This process has nothing to do with leases: it does not reach what the proxies follow.")
            .hint("With the embedded event log, ask the instance that `hansard up` runs.")
    })
}

fn owner(asker: &Asker) -> Answered<()> {
    match asker {
        Asker::Owner => Ok(()),
        Asker::Job(_) => Err(Failure::new(Kind::Forbidden, "A job's token is not enough for this.")
            .hint("Those who run Hansard do this, by `hansard revoke`.")),
    }
}

pub(super) async fn give(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(request): Body<LeaseRequest>,
) -> Answered<Json<LeaseGiven>> {
    let leases = leases(&shared)?;
    let Asker::Job(principal) = &asker else {
        return Err(Failure::new(Kind::Forbidden, "A lease is given to a job, by the job's own token.")
            .hint("Send the token of the job's issuer as the bearer token."));
    };
    leases.give(principal, &request).await.map(Json)
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
) -> Answered<Json<Page<LeaseSummary>>> {
    let (items, total) = leases(&shared)?.list(asker.job());
    Ok(Json(Page { items, next: None, total: Some(total) }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why: it is recorded.
    reason: Option<Text<512>>,
}

pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    LeaseId(id): LeaseId,
    Asked(asked): Asked<Reason>,
) -> Answered<Json<RevocationDone>> {
    let reason = asked.reason.as_ref().map(Text::trimmed);
    let revocation = leases(&shared)?.revoke_lease(&id, asker.job(), reason).await?;
    Ok(Json(RevocationDone { kind: revocation.revoked.kind().into(), until: in_words(revocation.until) }))
}

pub(super) async fn revoke_all(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(request): Body<RevocationRequest>,
) -> Answered<Json<RevocationDone>> {
    owner(&asker)?;
    let revocation = leases(&shared)?.revoke(&request).await?;
    Ok(Json(RevocationDone { kind: revocation.revoked.kind().into(), until: in_words(revocation.until) }))
}
