//! Who exists.

use std::sync::Arc;

use axum::{Json, extract::State};
use hansard_schemas::http::{IdentityRow, Page};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answered, decode, refusal};
use crate::{
    Shared,
    parameters::{Asked, Limit, Text},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The job; `*` stands for any text.
    #[serde(default)]
    job: Text<4096>,
    /// How many, those seen last first.
    #[serde(default)]
    limit: Limit<100, 1000>,
}

/// An identity, and how many there are.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    identity: IdentityRow,
    total: u64,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<Question>,
) -> Answered<Json<Page<IdentityRow>>> {
    let job = Some(asked.job.trimmed()).filter(|job| !job.is_empty());
    let Limit(limit) = asked.limit;
    let found: Vec<Row> = decode(&shared.engine.identities(job, limit).await.map_err(refusal)?)?;
    let total = Some(found.first().map_or(0, |row| row.total));
    Ok(Json(Page { items: found.into_iter().map(|row| row.identity).collect(), next: None, total }))
}
