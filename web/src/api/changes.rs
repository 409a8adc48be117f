//! Who changed a relation, and the relations that can be asked for.

use std::sync::Arc;

use axum::{Json, extract::State, http::Version};
use hansard_query::{AskedChanges, ChangesQuestion, ErrorKind, WrongParameter, rfc3339};
use hansard_schemas::http::{Changes, LookedAt, Page, QueryFormat, RelationName, TouchRow, WhoChanged};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answered, decode, refusal};
use crate::{
    Shared,
    description::{As, Files},
    failure::{Failure, Kind},
    parameters::{Asked, Length, Limit, Operations, Relation, Text, Time},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The relation, as SQL writes it; without a schema in `public`, or whichever schemas the record knows it in.
    #[schemars(required)]
    relation: Option<Relation>,
    /// When: as long as its last unit, so that `2026-11-22T03:12Z` is that whole minute.
    #[schemars(required)]
    at: Option<Time>,
    /// How much before and after that; `1m` where nothing is said.
    #[serde(default)]
    #[schemars(extend("default" = "1m"))]
    window: Length,
    /// `update` where nothing is said; several with commas between them, `any` is all.
    #[serde(default)]
    #[schemars(extend("default" = "update"))]
    operation: Operations,
    /// That target alone.
    #[serde(default)]
    target: Text<256>,
    /// How many rows of each part, as JSON.
    #[serde(default)]
    limit: Limit<100, 1000>,
    /// `json` is the answer in its three parts, the others are all the rows of `who_updated`.
    #[serde(default)]
    format: QueryFormat,
}

impl Question {
    fn read(&self) -> Answered<ChangesQuestion> {
        let relation = self.relation.as_ref().ok_or_else(|| {
            Failure::invalid("The relation is missing.")
                .hint("Write it as SQL does: rankings, public.rankings or public.\"Rankings\".")
                .of("relation")
        })?;
        let at = self.at.as_ref().ok_or_else(|| {
            Failure::invalid("The time is missing.")
                .hint("Write it like 2026-11-22T03:12Z, which is that whole minute, or 2026-11-22T03:12:00.5Z.")
                .of("at")
        })?;
        ChangesQuestion::read(AskedChanges {
            relation: relation.trimmed(),
            at: at.trimmed(),
            window: self.window.trimmed(),
            operation: self.operation.trimmed(),
            target: self.target.trimmed(),
        })
        .map_err(|WrongParameter { parameter, error }| refusal(error).of(parameter))
    }
}

/// A row, and how many there are of its certainty.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    row: TouchRow,
    total: u64,
}

pub(super) async fn who_changed(
    State(shared): State<Arc<Shared>>,
    version: Version,
    Asked(asked): Asked<Question>,
) -> Answered<As<(Json<WhoChanged>, Files)>> {
    let question = asked.read()?;
    shared.engine.verify_target(&question).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => refusal(error).of("target"),
        _ => refusal(error),
    })?;
    if asked.format != QueryFormat::Json {
        super::export::possible(version)?;
        let whole = shared.engine.all_changes(&question, asked.format).await.map_err(refused)?;
        return Ok(As::new(super::export::response(whole, asked.format, "who-changed")));
    }
    let Limit(limit) = asked.limit;
    let found: Vec<Row> = decode(&shared.engine.who_changed(&question, limit).await.map_err(refused)?)?;
    let looked_at: Vec<LookedAt> = decode(&shared.engine.looked_at(&question).await.map_err(refused)?)?;
    let (mut certain, mut possible) = (Changes::default(), Changes::default());
    for Row { row, total } in found {
        let part = if row.certainty == "certain" { &mut certain } else { &mut possible };
        part.total = total;
        part.rows.push(row);
    }
    let (from, to) = question.stretch;
    Ok(As::new(Json(WhoChanged {
        relation: question.relation().to_owned(),
        operations: question.operations().to_vec(),
        target: question.target().map(str::to_owned),
        from: rfc3339(from),
        to: rfc3339(to),
        certain,
        possible,
        looked_at,
    })))
}

/// Says what to do where there is no such relation, or where it was too much.
fn refused(error: hansard_query::Error) -> Failure {
    let hint = match &error {
        hansard_query::Error::NoRelation { nearest, .. } if nearest.is_empty() => {
            Some("Write its schema, too, and put a name with capital letters in double quotes.")
        }
        hansard_query::Error::NoRelation { .. } => {
            Some("Ask for one of the nearest instead, or write the schema, too.")
        }
        _ => None,
    };
    // Nothing else of a question can be missing in the record.
    let not_found = error.kind() == ErrorKind::NotFound;
    let failure = narrower(refusal(error));
    let failure = if not_found { failure.of("relation") } else { failure };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn narrower(failure: Failure) -> Failure {
    match failure.kind {
        Kind::TooLarge | Kind::Timeout => failure.hint("Ask for a shorter window, or for one operation or target."),
        _ => failure,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    /// What the names hold; those that begin with it come first. With a dot, what is before it is the schema's beginning.
    #[serde(default)]
    prefix: Text<512>,
    /// How many names at most.
    #[serde(default)]
    limit: Limit<12, 50>,
}

pub(super) async fn relations(
    State(shared): State<Arc<Shared>>,
    Asked(Typed { prefix, limit: Limit(limit) }): Asked<Typed>,
) -> Answered<Json<Page<RelationName>>> {
    let found = shared.engine.relations(prefix.trimmed(), limit).await.map_err(refusal)?;
    let items = found
        .into_iter()
        .map(|known| RelationName { relation: known.relation, kind: known.kind.into(), targets: known.targets })
        .collect();
    Ok(Json(Page { items, next: None, total: None }))
}
