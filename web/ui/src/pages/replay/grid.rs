//! The rows that a statement gave back.

use hansard_schemas::http::{ResultGrid, ResultSet};
use leptos::prelude::*;

use super::{State, statement::Value};
use crate::{
    pages::{
        api::{Failure, Load},
        recorded::Recorded,
    },
    text,
};

/// Rows fetched at first, and on demand.
pub(super) const FIRST_ROWS: usize = 100;
const MORE_ROWS: usize = 1000;

#[component]
pub(super) fn Results() -> impl IntoView {
    let state = expect_context::<State>();
    move || match state.result.get() {
        Load::Loading => view! { <p class="quiet loading">"Loading…"</p> }.into_any(),
        Load::Failed(error) => view! { <Failure error=error/> }.into_any(),
        Load::Ready(grid) => view! { <Sets grid=grid/> }.into_any(),
    }
}

#[component]
fn Sets(grid: ResultGrid) -> impl IntoView {
    let none = grid.sets.is_empty() && grid.notices.is_empty();
    view! {
        {none.then(|| view! { <p class="quiet">"The statement returned no rows."</p> })}
        {grid.sets.into_iter().map(|set| view! { <Set set=set/> }).collect_view()}
        {grid.notices.into_iter().map(|notice| view! { <p class="notice calm">{notice}</p> }).collect_view()}
    }
}

#[component]
fn Set(set: ResultSet) -> impl IntoView {
    let state = expect_context::<State>();
    let shown = set.rows.len();
    let total = i64::try_from(set.total_rows).unwrap_or(i64::MAX);
    let more = u64::try_from(shown).is_ok_and(|shown| shown < set.total_rows);
    let numeric: Vec<bool> = set.columns.iter().map(|column| column.numeric).collect();
    let head = set
        .columns
        .into_iter()
        .map(|column| {
            view! {
                <th scope="col" class:number=column.numeric>
                    <Recorded text=column.name/><span class="type">{column.type_name}</span>
                </th>
            }
        })
        .collect_view();
    let rows = set
        .rows
        .into_iter()
        .map(|row| {
            let cells = row
                .into_iter()
                .zip(numeric.iter().copied().chain(std::iter::repeat(false)))
                .map(|(cell, numeric)| view! { <td class:number=numeric><Value cell=cell/></td> })
                .collect_view();
            view! { <tr>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="scroll" role="region" aria-label="Rows" tabindex="0">
            <table class="grid">
                <thead><tr>{head}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <p class="quiet tabular">
            {text::counted(total, "row")}" recorded."
            {(more && shown < MORE_ROWS).then(|| view! {
                " "<button class="button small" type="button" on:click=move |_| state.rows.set(MORE_ROWS)>"Show more"</button>
            })}
            {(more && shown >= MORE_ROWS).then_some(" All of them are in the recorded frames: see Parquet.")}
        </p>
    }
}
