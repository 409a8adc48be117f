//! Who changed a relation, and the relations that can be asked for.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::Version,
    response::{IntoResponse, Response},
};
use hansard_query::{AskedChanges, ChangesQuestion, ErrorKind, WrongParameter, rfc3339};
use hansard_schemas::http::{Changes, LookedAt, Page, QueryFormat, RelationName, TouchRow, WhoChanged};
use serde::Deserialize;

use super::{Answered, decode, page_size, parameters, refusal};
use crate::{
    Shared,
    failure::{Failure, Kind},
};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    relation: String,
    #[serde(default)]
    at: String,
    #[serde(default)]
    window: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    target: String,
    limit: Option<usize>,
    #[serde(default)]
    format: QueryFormat,
}

impl Asked {
    fn question(&self) -> Answered<ChangesQuestion> {
        if self.relation.trim().is_empty() {
            return Err(Failure::invalid("The relation is missing.")
                .hint("Write it as SQL does: rankings, public.rankings or public.\"Rankings\".")
                .of("relation"));
        }
        if self.at.trim().is_empty() {
            return Err(Failure::invalid("The time is missing.")
                .hint("Write it like 2026-11-22T03:12Z, which is that whole minute, or 2026-11-22T03:12:00.5Z.")
                .of("at"));
        }
        ChangesQuestion::read(AskedChanges {
            relation: &self.relation,
            at: &self.at,
            window: &self.window,
            operation: &self.operation,
            target: &self.target,
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
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answered<Response> {
    let asked = parameters(asked)?;
    let question = asked.question()?;
    if asked.format != QueryFormat::Json {
        super::export::possible(version)?;
        let whole = shared.engine.all_changes(&question, asked.format).await.map_err(refused)?;
        return Ok(super::export::response(whole, asked.format, "who-changed"));
    }
    let limit = page_size(asked.limit, 100, 1000);
    let found: Vec<Row> = decode(&shared.engine.who_changed(&question, limit).await.map_err(refused)?)?;
    let looked_at: Vec<LookedAt> = decode(&shared.engine.looked_at(&question).await.map_err(refused)?)?;
    let (mut certain, mut possible) = (Changes::default(), Changes::default());
    for Row { row, total } in found {
        let part = if row.certainty == "certain" { &mut certain } else { &mut possible };
        part.total = total;
        part.rows.push(row);
    }
    let (from, to) = question.stretch;
    Ok(Json(WhoChanged {
        relation: question.relation().to_owned(),
        operations: question.operations().to_vec(),
        target: question.target().map(str::to_owned),
        from: rfc3339(from),
        to: rfc3339(to),
        certain,
        possible,
        looked_at,
    })
    .into_response())
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

#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
}

pub(super) async fn relations(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Typed>, QueryRejection>,
) -> Answered<Json<Page<RelationName>>> {
    let asked = parameters(asked)?;
    let limit = page_size(asked.limit, 12, 50);
    let found = shared.engine.relations(&asked.prefix, limit).await.map_err(refusal)?;
    let items = found
        .into_iter()
        .map(|known| RelationName { relation: known.relation, kind: known.kind.into(), targets: known.targets })
        .collect();
    Ok(Json(Page { items, next: None, total: None }))
}
