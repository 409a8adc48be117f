//! Centre: the statement shown, and what it gave back.

use std::sync::Arc;

use hansard_schemas::http::{Cell, Step};
use leptos::prelude::*;
use leptos_router::components::A;

use super::{State, Tab, grid};
use crate::{
    pages::{
        changed,
        icon::{self, Badge, Icon},
        recorded::{Recorded, RecordedLines, pieces},
    },
    player::{Class, Player, classify},
    question, sql, text, visible,
};

#[component]
pub(super) fn Statement() -> impl IntoView {
    let state = expect_context::<State>();
    view! {
        <section class="centre" aria-labelledby="statement-title">
            {move || match state.current.get() {
                None => view! { <h2 id="statement-title" class="sr-only">"No statement"</h2> }.into_any(),
                Some(step) => view! { <Shown step=step/> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Shown(step: Arc<Step>) -> impl IntoView {
    let state = expect_context::<State>();
    let all = move || state.steps.with(Vec::len);
    let place = state.player.with_untracked(Player::place) + 1;
    let kind = icon::Kind::of_step(&step);
    let transaction = step.transaction_outcome.clone();
    let rolled_back = transaction == "rolled back";
    let result_label = match step.rows {
        None => "Result".to_owned(),
        Some(rows) if classify(&step) == Class::Write => format!("Result · {} affected", text::counted(rows, "row")),
        Some(rows) => format!("Result · {}", text::counted(rows, "row")),
    };
    let result_label = match step.omitted_rows {
        Some(omitted) if step.rows.is_none_or(|rows| rows <= omitted) => format!("{result_label}, not recorded"),
        Some(_) => format!("{result_label}, recorded in part"),
        None => result_label,
    };
    let body = {
        let step = step.clone();
        move || match state.tab.get() {
            Tab::Statement => view! { <Text step=step.clone()/> }.into_any(),
            Tab::Result => view! { <grid::Results/> }.into_any(),
        }
    };
    view! {
        <header class="statement-head">
            <h2 id="statement-title">
                "Statement "{place}<span class="quiet">" of "{all}</span>
            </h2>
            <Badge kind=kind text=text::step_outcome(&step)/>
            <span class="spring"></span>
            <span class="quiet tabular">
                {text::precise_time(&step.started_at).to_owned()}" UTC"
                {step.duration_ns.map(|ns| format!(" · {}", text::duration(ns)))}
            </span>
        </header>
        {step.error.clone().or_else(|| step.sqlstate.clone()).map(|error| view! {
            <div class="notice bad">
                <Icon kind=kind/>
                <div>
                    <p class="strong"><RecordedLines text=error/></p>
                    {step.sqlstate.clone().map(|code| view! { <p>"SQLSTATE "<code>{code}</code></p> })}
                </div>
            </div>
        })}
        {rolled_back.then(|| view! {
            <p class="notice odd">
                <Icon kind=icon::Kind::RolledBack/>
                <span>"Its transaction was rolled back: nothing of it stayed in the database."</span>
            </p>
        })}
        <div class="tabs" role="tablist" aria-label="Statement or result">
            <TabButton tab=Tab::Statement label="Statement"/>
            <TabButton tab=Tab::Result label=result_label/>
        </div>
        <div class="tab-body" role="tabpanel" id="panel" aria-labelledby=move || tab_id(state.tab.get()) tabindex="0">
            {body}
        </div>
    }
}

fn tab_id(tab: Tab) -> &'static str {
    match tab {
        Tab::Statement => "tab-statement",
        Tab::Result => "tab-result",
    }
}

#[component]
fn TabButton(tab: Tab, #[prop(into)] label: String) -> impl IntoView {
    let state = expect_context::<State>();
    let selected = move || state.tab.get() == tab;
    view! {
        <button
            type="button"
            role="tab"
            id=tab_id(tab)
            aria-controls="panel"
            aria-selected=move || if selected() { "true" } else { "false" }
            on:click=move |_| state.tab.set(tab)
        >
            {label}
        </button>
    }
}

#[component]
fn Text(step: Arc<Step>) -> impl IntoView {
    let state = expect_context::<State>();
    let no = step.no;
    let parameters = (!step.parameters.is_empty()).then(|| {
        let rows = (1..)
            .zip(step.parameters.iter())
            .map(|(number, value)| view! { <tr><th scope="row">{format!("${number}")}</th><td><Value cell=value.clone()/></td></tr> })
            .collect_view();
        view! {
            <h3>"Parameters"</h3>
            <div class="scroll"><table class="grid parameters"><tbody>{rows}</tbody></table></div>
        }
    });
    let touches = (!step.touches.is_empty()).then(|| {
        let rows = step
            .touches
            .iter()
            .map(|touch| {
                let at = step.committed_at.as_deref().unwrap_or(&step.started_at);
                let others = question::relation_of(&touch.relation).map(|relation| {
                    let to = changed::link(relation, at, &touch.operation);
                    let label = format!("Who else: {} {}", touch.operation, visible::escaped(relation));
                    view! { <A href=to attr:aria-label=label>"Who else?"</A> }
                });
                view! {
                    <tr>
                        <td>{touch.operation.clone()}</td>
                        <td><code><Recorded text=touch.relation.clone()/></code></td>
                        <td><code><Recorded text=touch.columns.join(", ")/></code></td>
                        <td>{others}</td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <h3>"Touches"</h3>
            <div class="scroll">
                <table class="grid">
                    <thead><tr><th scope="col">"Operation"</th><th scope="col">"Relation"</th><th scope="col">"Columns"</th><th scope="col">"Around then"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    });
    let sql = if step.text_omitted {
        view! {
            <p class="notice calm">
                "The text of this statement, its parameters and what it touched are not recorded (capture level metadata)."
            </p>
        }
        .into_any()
    } else {
        view! {
            <div class="code">
                <button class="button small" type="button" on:click=move |_| state.copy_sql()>
                    <Icon kind=icon::Kind::Copy/>"Copy SQL"
                </button>
                <pre tabindex="0" aria-label="SQL"><code><bdi>{highlighted(&step.sql)}</bdi></code></pre>
            </div>
        }
        .into_any()
    };
    view! {
        {sql}
        {step.cut.then(|| view! {
            <p class="notice calm">
                <span>"This text is long and shown in part."</span>
                <button class="button small" type="button" on:click=move |_| state.load_whole(no)>"Show all of it"</button>
            </p>
        })}
        {step.truncated.then(|| view! {
            <p class="notice calm">"The text or a parameter is longer than what the statement's row keeps; the recorded frames hold all of it."</p>
        })}
        {step.opaque.clone().map(|reason| view! {
            <p class="notice calm">{format!("Not all of it was understood: {reason}.")}</p>
        })}
        {step.outcome_reason.clone().map(|reason| view! {
            <p class="notice calm">{format!("What became of it is not known: {reason}.")}</p>
        })}
        {parameters}
        {touches}
        <h3>"Result"</h3>
        <grid::Results/>
        <p class="quiet tabular">
            {format!("Wire frames {} to {}", text::count(step.first_seq), text::count(step.last_seq))}
            {step.committed_at.as_deref().map(|at| format!(" · committed at {} UTC", text::precise_time(at)))}
        </p>
    }
}

/// Longest text that is coloured, in bytes: beyond, plain text is quick to show.
const MAX_COLOURED: usize = 64 * 1024;

fn highlighted(text: &str) -> AnyView {
    if text.len() > MAX_COLOURED {
        return pieces(text, true).into_any();
    }
    sql::tokens(text)
        .into_iter()
        .map(|token| {
            let text = pieces(token.text, true);
            let class = match token.kind {
                sql::Kind::Plain => return text.into_any(),
                sql::Kind::Keyword => "k",
                sql::Kind::Text => "s",
                sql::Kind::Number => "n",
                sql::Kind::Comment => "c",
                sql::Kind::Parameter => "p",
                sql::Kind::Identifier => "i",
            };
            view! { <span class=class>{text}</span> }.into_any()
        })
        .collect_view()
        .into_any()
}

/// One value: null, nothing and bytes look different from text.
#[component]
pub(super) fn Value(cell: Cell) -> impl IntoView {
    match cell {
        Cell::Null => view! { <span class="null">"NULL"</span> }.into_any(),
        Cell::Text(text) if text.is_empty() => view! { <span class="null">"empty text"</span> }.into_any(),
        Cell::Text(text) => view! { <span class="value"><RecordedLines text=text/></span> }.into_any(),
        Cell::Bytes { hex } => view! { <span class="value bytes">"\\x"{hex}</span> }.into_any(),
    }
}
