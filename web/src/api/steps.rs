//! A session's statements, as the steps of its replay, and what they gave back.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State, http::header, response::IntoResponse};
use hansard_schemas::http::{Cell, Notice, Page, QueryFormat, ResultGrid, SaidDetails, Step, Touch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Answered, decode, refusal, saved_as,
    sessions::{Opened, nanoseconds_between, opened},
};
use crate::{
    Shared,
    description::{As, Csv},
    failure::Failure,
    parameters::{Asked, First, Limit, Place, SessionId},
};

/// Longest text in a list, in bytes; one step by itself is whole.
const MAX_LISTED: usize = 4096;

#[derive(Deserialize)]
struct Row {
    statement_no: i64,
    operation: String,
    sql: String,
    parameters: Option<String>,
    started_at: String,
    duration_ns: Option<i64>,
    rows: Option<i64>,
    sqlstate: Option<String>,
    error: Option<String>,
    verdict: String,
    transaction_id: i64,
    transaction_outcome: String,
    committed_at: Option<String>,
    outcome_reason: Option<String>,
    opaque: Option<String>,
    first_seq: i64,
    last_seq: i64,
    truncated: bool,
    omitted_rows: Option<i64>,
    status: Option<String>,
    executed: Option<String>,
    error_severity: Option<String>,
    error_detail: Option<String>,
    error_hint: Option<String>,
    error_position: Option<i64>,
    error_context: Option<String>,
    error_internal_query: Option<String>,
    error_internal_position: Option<i64>,
    error_schema: Option<String>,
    error_table: Option<String>,
    error_column: Option<String>,
    error_data_type: Option<String>,
    error_constraint: Option<String>,
    notices: Option<String>,
}

/// As a column holds it.
pub(super) fn notices(json: Option<&String>) -> Answered<Vec<Notice>> {
    json.map_or(Ok(Vec::new()), |json| {
        serde_json::from_str(json).map_err(|error| Failure::internal("notices cannot be read", &error))
    })
}

impl Row {
    fn step(self, opened: &Opened, touches: Vec<Touch>) -> Answered<Step> {
        let parameters = match &self.parameters {
            None => Vec::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|error| Failure::internal("a statement's parameters cannot be read", &error))?,
        };
        let notices = notices(self.notices.as_ref())?;
        let details = SaidDetails {
            detail: self.error_detail,
            hint: self.error_hint,
            position: self.error_position,
            context: self.error_context,
            internal_query: self.error_internal_query,
            internal_position: self.error_internal_position,
            schema: self.error_schema,
            table: self.error_table,
            column: self.error_column,
            data_type: self.error_data_type,
            constraint: self.error_constraint,
        };
        Ok(Step {
            no: self.statement_no,
            operation: self.operation,
            sql: self.sql,
            cut: false,
            truncated: self.truncated,
            parameters,
            touches,
            offset_ns: nanoseconds_between(&opened.at, &self.started_at).unwrap_or_default(),
            unanswered: opened.ended && self.duration_ns.is_none(),
            duration_ns: self.duration_ns,
            started_at: self.started_at,
            rows: self.rows,
            sqlstate: self.sqlstate,
            error: self.error,
            error_severity: self.error_severity,
            error_details: (details != SaidDetails::default()).then_some(details),
            notices,
            status: self.status.unwrap_or_default(),
            executed: self.executed,
            verdict: self.verdict,
            transaction_id: self.transaction_id,
            transaction_outcome: self.transaction_outcome,
            committed_at: self.committed_at,
            outcome_reason: self.outcome_reason,
            opaque: self.opaque,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            omitted_rows: self.omitted_rows,
            text_omitted: opened.text_omitted,
        })
    }
}

/// Cuts what is too long for a list; says so in `cut`.
fn shorten(step: &mut Step) {
    let mut cut = shorten_text(&mut step.sql);
    cut |= step.executed.as_mut().is_some_and(shorten_text);
    for value in &mut step.parameters {
        match value {
            Cell::Null => {}
            Cell::Text(text) | Cell::Bytes { hex: text } => cut |= shorten_text(text),
        }
    }
    step.cut = cut;
}

fn shorten_text(text: &mut String) -> bool {
    if text.len() <= MAX_LISTED {
        return false;
    }
    text.truncate(text.floor_char_boundary(MAX_LISTED));
    true
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// How many statements a page has at most.
    #[serde(default)]
    limit: Limit<200, 1000>,
    /// `next` of the page before.
    cursor: Option<i64>,
    /// The number of the statement to begin with, where there is no cursor.
    from: Option<i64>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    SessionId(id): SessionId,
    Asked(asked): Asked<Paging>,
) -> Answered<Json<Page<Step>>> {
    let Limit(limit) = asked.limit;
    let from = asked.cursor.or(asked.from).unwrap_or(0);
    let mut steps = steps(&shared, id, from, limit + 1).await?;
    let next = steps.get(limit).map(|step| step.no.to_string());
    steps.truncate(limit);
    steps.iter_mut().for_each(shorten);
    Ok(Json(Page { items: steps, next, total: None }))
}

pub(super) async fn one(State(shared): State<Arc<Shared>>, Place { session: id, no }: Place) -> Answered<Json<Step>> {
    let found = steps(&shared, id, no, 1).await?.into_iter().find(|step| step.no == no);
    found.map(Json).ok_or_else(|| Failure::not_found(format!("Session {id} has no statement {no} in the record.")))
}

/// How a result is given back.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ResultFormat {
    /// As a grid, cells cut at 64 KiB.
    #[default]
    Json,
    /// Whole, up to 64 MiB.
    Csv,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// How many rows; without it 100 as JSON, and all of them as CSV.
    rows: Option<Limit<0, 1000>>,
    /// The first row, counted from 1.
    #[serde(default)]
    from: First,
    /// How to answer.
    #[serde(default)]
    format: ResultFormat,
}

pub(super) async fn result(
    State(shared): State<Arc<Shared>>,
    Place { session: id, no }: Place,
    Asked(asked): Asked<Window>,
) -> Answered<As<(Json<ResultGrid>, Csv)>> {
    let First(from) = asked.from;
    match asked.format {
        ResultFormat::Json => {
            let rows = asked.rows.map_or(100, |Limit(rows)| rows);
            let grid = shared.engine.step_result(id, no, from, rows).await.map_err(refusal)?;
            Ok(As::new(Json(grid)))
        }
        ResultFormat::Csv => {
            let rows = asked.rows.map_or(usize::MAX, |Limit(rows)| rows);
            let grid = shared.engine.whole_result(id, no, from, rows).await;
            let text = grid_csv(&grid.map_err(refusal)?);
            let mut response = ([(header::CONTENT_TYPE, QueryFormat::Csv.content_type())], text).into_response();
            saved_as(&mut response, &format!("{id}-{no}.csv"));
            Ok(As::new(response))
        }
    }
}

/// A grid as CSV: a null is nothing, every text is quoted, and no cell is a formula.
fn grid_csv(grid: &ResultGrid) -> String {
    let mut out = String::new();
    let line = |out: &mut String, cells: &mut dyn Iterator<Item = String>| {
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(&cell);
        }
        out.push_str("\r\n");
    };
    for set in &grid.sets {
        line(&mut out, &mut set.columns.iter().map(|column| quoted(&column.name)));
        for row in &set.rows {
            line(
                &mut out,
                &mut row.iter().map(|cell| match cell {
                    Cell::Null => String::new(),
                    Cell::Text(text) => quoted(text),
                    Cell::Bytes { hex } => format!("\"\\x{hex}\""),
                }),
            );
        }
    }
    out
}

fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// Steps from statement number `from` on, whole.
async fn steps(shared: &Shared, id: Uuid, from: i64, limit: usize) -> Answered<Vec<Step>> {
    let found = async { shared.engine.steps(id, from, limit).await.map_err(refusal) };
    let (opened, found) = tokio::try_join!(opened(shared, id), found)?;
    let found: Vec<Row> = decode(&found)?;
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(Vec::new()) };
    let mut touches = touches(shared, id, first.statement_no, last.statement_no).await?;
    found
        .into_iter()
        .map(|row| {
            let touched = touches.remove(&row.statement_no).unwrap_or_default();
            row.step(&opened, touched)
        })
        .collect()
}

/// What the statements of a range touched, by statement.
async fn touches(shared: &Shared, id: Uuid, first: i64, last: i64) -> Answered<HashMap<i64, Vec<Touch>>> {
    #[derive(Deserialize)]
    struct Touched {
        statement_no: i64,
        #[serde(flatten)]
        touch: Touch,
    }
    let found: Vec<Touched> = decode(&shared.engine.session_touches(id, first, last).await.map_err(refusal)?)?;
    let mut by_statement: HashMap<i64, Vec<Touch>> = HashMap::new();
    for row in found {
        by_statement.entry(row.statement_no).or_default().push(row.touch);
    }
    Ok(by_statement)
}

#[cfg(test)]
mod tests {
    use hansard_schemas::http::{ResultColumn, ResultSet};

    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character_and_marked() {
        let mut step = Step { sql: "é".repeat(MAX_LISTED), parameters: vec![Cell::Null], ..Step::default() };
        shorten(&mut step);
        assert_eq!(step.sql.len(), MAX_LISTED);
        assert!(step.cut);
        let long = Cell::Text("x".repeat(MAX_LISTED + 1));
        let mut step = Step { sql: "select 1".into(), parameters: vec![long], ..Step::default() };
        shorten(&mut step);
        assert!(step.cut);
        let mut step = Step { sql: "select 1".into(), ..Step::default() };
        shorten(&mut step);
        assert!(!step.cut);
    }

    #[test]
    fn a_result_as_csv_starts_no_formula_and_tells_null_from_nothing() {
        let column = |name: &str| ResultColumn { name: name.into(), ..ResultColumn::default() };
        let text = |text: &str| Cell::Text(text.into());
        let rows = vec![
            vec![text("=1+1"), Cell::Null],
            vec![text("-1.5"), text("")],
            vec![text("a\"b"), Cell::Bytes { hex: "00".into() }],
        ];
        let set = ResultSet { columns: vec![column("a"), column("b;c")], rows, total_rows: 3, first_row: 1 };
        let grid = ResultGrid { sets: vec![set], notices: Vec::new() };
        let expected = "\"a\",\"b;c\"\r\n\"'=1+1\",\r\n\"-1.5\",\"\"\r\n\"a\"\"b\",\"\\x00\"\r\n";
        assert_eq!(grid_csv(&grid), expected);
    }
}
