//! The rows that a statement gave back, a window of them at a time.

use std::sync::Arc;

use hansard_schemas::http::{API, Cell, ResultGrid, ResultSet, Step};
use leptos::{prelude::*, task::spawn_local};

use super::{State, statement::Value};
use crate::{
    pages::{
        api::{Failure, Load},
        icon,
        recorded::recorded,
    },
    states, table, text,
};

/// Rows of a window.
pub(super) const ROWS: u64 = 100;

#[component]
pub(super) fn Results(step: Arc<Step>) -> impl IntoView {
    let state = expect_context::<State>();
    move || match state.result.get() {
        Load::Loading => view! { <p class="quiet loading">"Loading…"</p> }.into_any(),
        Load::Failed(error) => view! { <Failure error=error/> }.into_any(),
        Load::Ready(grid) => view! { <Sets grid=grid step=step.clone()/> }.into_any(),
    }
}

#[component]
fn Sets(grid: ResultGrid, step: Arc<Step>) -> impl IntoView {
    let none = grid.sets.is_empty() && grid.notices.is_empty();
    view! {
        {none.then(|| view! { <p class="quiet">{states::no_rows(&step)}</p> })}
        {grid.sets.into_iter().map(|set| view! { <Set set=set no=step.no/> }).collect_view()}
        {grid.notices.into_iter().map(|notice| view! { <p class="notice calm">{notice}</p> }).collect_view()}
    }
}

#[component]
fn Set(set: ResultSet, no: i64) -> impl IntoView {
    let state = expect_context::<State>();
    let shown = u64::try_from(set.rows.len()).unwrap_or(u64::MAX);
    let (first, total) = (set.first_row, set.total_rows);
    let next = first.saturating_add(shown);
    let counted = |number: u64| text::count(i64::try_from(number).unwrap_or(i64::MAX));
    let told = match shown {
        0 => format!("{} rows recorded.", counted(total)),
        _ if shown == total => format!("All of {}.", text::counted(i64::try_from(total).unwrap_or(i64::MAX), "row")),
        _ => format!("Rows {} to {} of {}.", counted(first), counted(next - 1), counted(total)),
    };
    let csv = format!("{API}{}", state.api(&format!("/steps/{no}/result?format=csv")));
    let part = shown < total;
    let copied = table::tabbed(&set);
    let copy = move |_| {
        let (text, rows) = (copied.clone(), counted(shown));
        let done = if part {
            format!("Copied the {rows} rows shown, of {}.", counted(total))
        } else {
            format!("Copied all {rows} rows.")
        };
        spawn_local(async move { state.copy(&text, done).await });
    };
    let numeric: Vec<bool> = set.columns.iter().map(|column| column.numeric).collect();
    let head = set
        .columns
        .into_iter()
        .map(|column| {
            view! {
                <th scope="col" class:number=column.numeric>
                    {recorded(column.name)}<span class="type">{column.type_name}</span>
                </th>
            }
        })
        .collect_view();
    let rows = (first..)
        .zip(set.rows)
        .map(|(number, row)| {
            let cells = row
                .into_iter()
                .zip(numeric.iter().copied().chain(std::iter::repeat(false)))
                .map(|(cell, numeric): (Cell, bool)| view! { <td class:number=numeric><Value cell=cell/></td> })
                .collect_view();
            view! { <tr><th scope="row" class="row-number">{counted(number)}</th>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="scroll" role="region" aria-label="Rows" tabindex="0">
            <table class="grid">
                <thead><tr><th scope="col" class="row-number">"Row"</th>{head}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <div class="rows-of">
            <span class="quiet tabular">{told}</span>
            {part.then(|| view! {
                <button class="button small" type="button" disabled={first <= 1} on:click=move |_| state.first_row.set(first.saturating_sub(ROWS).max(1))>
                    "Previous rows"
                </button>
                <button class="button small" type="button" disabled={next > total} on:click=move |_| state.first_row.set(next)>"Next rows"</button>
                <label class="inline">
                    <span>"From row"</span>
                    <input
                        type="number" min="1" max=total.to_string() prop:value=first.to_string()
                        on:change=move |event| {
                            if let Ok(row) = event_target_value(&event).parse::<u64>() {
                                state.first_row.set(row.clamp(1, total.max(1)));
                            }
                        }
                    />
                </label>
            })}
            <button class="button small" type="button" on:click=copy>{icon::icon(icon::Kind::Copy)}"Copy rows"</button>
            <a class="button small" href=csv rel="external" download>{icon::icon(icon::Kind::Download)}"All as CSV"</a>
        </div>
    }
}
