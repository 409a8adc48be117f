//! A session at a glance, and where something is in it: however many statements it has, an answer is short.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use hansard_query::{Sought, SoughtStep};
use hansard_schemas::http::{CONTROLS, Found, GapPlace, Overview, READS, Stretch};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Answered, decode, refusal,
    sessions::{gaps, instant, nanoseconds_between, opened},
};
use crate::{
    Shared,
    failure::Failure,
    parameters::{Asked, Limit, SessionId, Text},
};

/// Gaps whose place is looked up.
const MAX_GAPS: usize = 50;
/// Statements that go on through several stretches; more can only be where they overlap.
const MAX_LONG: usize = 2000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Glance {
    /// Into how many stretches of time the session is divided.
    #[serde(default)]
    stretches: Limit<400, 1000>,
}

#[derive(Deserialize)]
struct Extent {
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    last: i64,
    statements: i64,
}

#[derive(Deserialize)]
struct Row {
    stretch: i64,
    first: i64,
    statements: i64,
    reads: i64,
    writes: i64,
    denied: i64,
    failed: i64,
    first_denied: Option<i64>,
    first_failed: Option<i64>,
    first_write: Option<i64>,
}

#[derive(Deserialize)]
struct Long {
    statement_no: i64,
    operation: String,
    from_ns: i64,
    to_ns: i64,
}

pub(super) async fn overview(
    State(shared): State<Arc<Shared>>,
    SessionId(id): SessionId,
    Asked(Glance { stretches: Limit(stretches) }): Asked<Glance>,
) -> Answered<Json<Overview>> {
    let opened = opened(&shared, id).await?;
    let opened_ns = instant(&opened.at).unwrap_or_default();
    let (gaps, more_gaps) = gap_places(&shared, id, &opened.at).await?;
    let extent: Vec<Extent> = decode(&shared.engine.session_extent(id).await.map_err(refusal)?)?;
    let Some(Extent { from_ns: Some(from), to_ns: Some(to), last, statements }) = extent.into_iter().next() else {
        return Ok(Json(Overview { gaps, more_gaps, ..Overview::default() }));
    };
    // The last end is inside the last stretch.
    let count = i64::try_from(stretches).unwrap_or(i64::MAX);
    let width = to.saturating_sub(from).max(0) / count + 1;
    let rows = shared.engine.session_stretches(id, from, width);
    let long = shared.engine.long_steps(id, width, MAX_LONG);
    let (rows, long) = tokio::try_join!(rows, long).map_err(refusal)?;
    let (rows, long): (Vec<Row>, Vec<Long>) = (decode(&rows)?, decode(&long)?);
    let least = |of: fn(&Row) -> Option<i64>| rows.iter().filter_map(of).min();
    let landing = least(|row| row.first_denied)
        .or_else(|| least(|row| row.first_failed))
        .or_else(|| least(|row| row.first_write))
        .or_else(|| least(|row| Some(row.first)));
    let troubles = rows.iter().map(|row| row.denied + row.failed).sum();
    let busy = busy(rows, &long, from, width);
    Ok(Json(Overview {
        statements,
        last,
        from_ns: from - opened_ns,
        width_ns: width,
        stretches: count,
        busy,
        landing,
        troubles,
        gaps,
        more_gaps,
    }))
}

/// Where frames are missing, and how many more such places there are than are told.
async fn gap_places(shared: &Shared, id: Uuid, opened_at: &str) -> Answered<(Vec<GapPlace>, i64)> {
    let all = gaps(shared, id).await?;
    let frames: Vec<i64> = all.iter().take(MAX_GAPS).map(|gap| gap.after_seq).collect();
    let places = shared.engine.places_of(id, &frames).await.map_err(refusal)?;
    let more = i64::try_from(all.len().saturating_sub(MAX_GAPS)).unwrap_or(i64::MAX);
    let told = all.into_iter().zip(places).map(|(gap, (after, at))| GapPlace {
        after,
        offset_ns: at.and_then(|at| nanoseconds_between(opened_at, &at)),
        frames: gap.frames,
        reason: gap.reason,
    });
    Ok((told.collect(), more))
}

/// Stretches with statements, those included in which one only went on.
fn busy(rows: Vec<Row>, long: &[Long], from: i64, width: i64) -> Vec<Stretch> {
    let mut busy: BTreeMap<i64, Stretch> = BTreeMap::new();
    for row in rows {
        let Row { stretch: no, first, statements, reads, writes, denied, failed, .. } = row;
        busy.insert(no, Stretch { no, first, statements, reads, writes, denied, failed });
    }
    for one in long {
        let (begun, over) = ((one.from_ns - from) / width, (one.to_ns - from) / width);
        for no in begun + 1..=over {
            let stretch =
                busy.entry(no).or_insert_with(|| Stretch { no, first: one.statement_no, ..Stretch::default() });
            if READS.contains(&one.operation.as_str()) {
                stretch.reads += 1;
            } else if !CONTROLS.contains(&one.operation.as_str()) {
                stretch.writes += 1;
            }
        }
    }
    busy.into_values().collect()
}

/// What can be looked for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Of {
    /// A statement that was denied, or failed by itself.
    Trouble,
    /// A statement whose text, bound values or error hold `text`, whatever the case.
    Text,
    /// The first statement of a transaction.
    Transaction,
    /// The statement at `offset_ns`.
    Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sighted {
    /// What is looked for.
    of: Of,
    /// With `of=text`.
    text: Option<Text<4096>>,
    /// With `of=time`: nanoseconds from the session's opening.
    offset_ns: Option<i64>,
    /// The statement to go on from.
    #[serde(default)]
    from: i64,
    /// Look before that statement, not after it.
    #[serde(default)]
    back: bool,
}

pub(super) async fn find(
    State(shared): State<Arc<Shared>>,
    SessionId(id): SessionId,
    Asked(asked): Asked<Sighted>,
) -> Answered<Json<Found>> {
    let opened = opened(&shared, id).await?;
    let sought = match asked.of {
        Of::Trouble => Sought::Trouble,
        Of::Transaction => Sought::Transaction,
        Of::Text => {
            let text = asked.text.ok_or_else(|| Failure::invalid("The text to find is missing.").of("text"))?;
            Sought::Text(text.exact())
        }
        Of::Time => {
            let offset = asked.offset_ns.ok_or_else(|| Failure::invalid("The time is missing.").of("offset_ns"))?;
            Sought::Time(instant(&opened.at).unwrap_or_default().saturating_add(offset))
        }
    };
    let SoughtStep { no, place, total } =
        shared.engine.seek(id, &sought, asked.from, asked.back).await.map_err(refusal)?;
    Ok(Json(Found { no, place, total }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_goes_on_is_in_every_stretch_that_it_runs_in() {
        let row = Row {
            stretch: 0,
            first: 1,
            statements: 1,
            reads: 1,
            writes: 0,
            denied: 0,
            failed: 0,
            first_denied: None,
            first_failed: None,
            first_write: None,
        };
        let long = [Long { statement_no: 1, operation: "select".into(), from_ns: 105, to_ns: 129 }];
        let busy = busy(vec![row], &long, 100, 10);
        assert_eq!(
            busy.iter().map(|one| (one.no, one.statements, one.reads)).collect::<Vec<_>>(),
            [(0, 1, 1), (1, 0, 1), (2, 0, 1)]
        );
        assert!(busy.iter().all(|one| one.first == 1));
    }
}
