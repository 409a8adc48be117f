//! Centre: the statement shown, and what it gave back.

use std::{ops::Range, sync::Arc};

use hansard_schemas::http::{Cell, Step};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use super::{Shown, State, Tab, grid, keys::focus_on, said};
use crate::{
    pages::{
        changed,
        icon::{self, Badge},
        recorded::{marked, marked_parts, recorded},
    },
    player::{Class, Move, classify},
    question, sql, states, text, visible,
};

#[component]
pub(super) fn Statement() -> impl IntoView {
    let state = expect_context::<State>();
    let at = move || state.player.with(crate::player::Player::at).unwrap_or(0);
    let last = Memo::new(move |_| state.last());
    view! {
        <section class="centre" aria-labelledby="statement-title">
            <header class="statement-head">
                <h2 id="statement-title">
                    {move || if at() == 0 { "Statements".to_owned() } else { format!("Statement {}", text::count(at())) }}
                    <span class="quiet">{move || (last.get() > 0).then(|| format!(" of {}", text::count(last.get())))}</span>
                </h2>
                <StepButton to=Move::Previous label="Previous"/>
                <StepButton to=Move::Next label="Next"/>
            </header>
            {move || match state.shown.get() {
                Shown::Step(step) => view! { <Here step=step/> }.into_any(),
                Shown::Loading => view! { <p class="quiet loading">"Loading…"</p> }.into_any(),
                Shown::Nothing => view! { <p class="notice calm">"No statement was recorded in this session."</p> }.into_any(),
                Shown::Missing(no) => view! { <Missing no=no last=last.get()/> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn StepButton(to: Move, label: &'static str) -> impl IntoView {
    let state = expect_context::<State>();
    let possible = move || state.player.with(|player| player.can(to));
    view! {
        <button class="button small" type="button" disabled=move || !possible() on:click=move |_| state.step(to)>{label}</button>
    }
}

/// An address may name what is not there: that is said, and nothing else is shown in its place.
#[component]
fn Missing(no: i64, last: i64) -> impl IntoView {
    let state = expect_context::<State>();
    let told = if no >= 1 && no <= last {
        format!("Statement {} is not in the record: frames are missing there.", text::count(no))
    } else if last == 0 {
        format!("There is no statement {}: no statement was recorded in this session.", text::count(no))
    } else {
        format!("There is no statement {}: the session has statements 1 to {}.", text::count(no), text::count(last))
    };
    view! {
        <div class="notice odd" role="alert">
            {icon::icon(icon::Kind::Warning)}
            <div>
                <p class="strong">{told}</p>
                {(last > 0).then(|| view! {
                    <p>
                        <button class="button small" type="button" on:click=move |_| state.go(1)>"First statement"</button>" "
                        <button class="button small" type="button" on:click=move |_| state.go(last)>"Last statement"</button>
                    </p>
                })}
            </div>
        </div>
    }
}

#[component]
fn Here(step: Arc<Step>) -> impl IntoView {
    let state = expect_context::<State>();
    let kind = icon::Kind::of_step(&step);
    let failed = classify(&step) != Class::NotRun && (step.sqlstate.is_some() || step.error.is_some());
    let note = states::step_note(&step).map(|(told, reason)| {
        let reason = match reason {
            Some(reason) => view! { " Reason: "{recorded(reason)}"." }.into_any(),
            None if step.transaction_outcome == "unknown" => " The record does not tell why.".into_any(),
            None => ().into_any(),
        };
        let kind = match kind {
            icon::Kind::Failed | icon::Kind::Denied if step.transaction_outcome == "unknown" => icon::Kind::Warning,
            icon::Kind::Failed | icon::Kind::Denied => icon::Kind::RolledBack,
            kind => kind,
        };
        icon::notice("odd", kind, view! { {told}"."{reason} }.into_any())
    });
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
            Tab::Result => view! { <grid::Results step=step.clone()/> }.into_any(),
        }
    };
    view! {
        <p class="statement-facts">
            <Badge kind=kind text=states::step_outcome(&step)/>
            <span class="quiet tabular">
                {text::precise_time(&step.started_at).to_owned()}" UTC"
                {states::took(&step).map(|ns| format!(" · {}", text::duration(ns)))}
                {format!(" · transaction {}", text::count(step.transaction_id))}
            </span>
        </p>
        {(!step.notices.is_empty()).then(|| said::notices(step.notices.clone(), "Said while it ran"))}
        {failed.then(|| said::failed(state, &step))}
        {note}
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

/// One of two tabs: the tab key stops at the chosen one, the arrows go to the other (ARIA Authoring Practices Guide).
#[component]
fn TabButton(tab: Tab, #[prop(into)] label: String) -> impl IntoView {
    let state = expect_context::<State>();
    let selected = move || state.tab.get() == tab;
    let keydown = move |event: KeyboardEvent| {
        let to = match event.key().as_str() {
            "ArrowLeft" | "ArrowRight" if tab == Tab::Statement => Tab::Result,
            "ArrowLeft" | "ArrowRight" | "Home" => Tab::Statement,
            "End" => Tab::Result,
            _ => return,
        };
        event.prevent_default();
        state.tab.set(to);
        focus_on(tab_id(to));
    };
    view! {
        <button
            type="button"
            role="tab"
            id=tab_id(tab)
            aria-controls="panel"
            aria-selected=move || if selected() { "true" } else { "false" }
            tabindex=move || if selected() { "0" } else { "-1" }
            on:click=move |_| state.tab.set(tab)
            on:keydown=keydown
        >
            {label}
        </button>
    }
}

#[component]
fn Text(step: Arc<Step>) -> impl IntoView {
    let state = expect_context::<State>();
    let no = step.no;
    let find = state.find.get();
    let parameters = (!step.parameters.is_empty()).then(|| {
        let rows = (1..)
            .zip(step.parameters.iter())
            .map(|(number, value)| view! { <tr><th scope="row">{format!("${number}")}</th><td><Value cell=value.clone() find=find.clone()/></td></tr> })
            .collect_view();
        view! {
            <h3>"Parameters"</h3>
            <div class="scroll" role="region" aria-label="Parameters" tabindex="0"><table class="grid parameters"><tbody>{rows}</tbody></table></div>
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
                    view! { <a href=to aria-label=label>"Who else?"</a> }
                });
                view! {
                    <tr>
                        <td>{touch.operation.clone()}</td>
                        <td><code>{recorded(touch.relation.clone())}</code></td>
                        <td><code>{recorded(touch.columns.join(", "))}</code></td>
                        <td>{others}</td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <h3>"Touches"</h3>
            <div class="scroll" role="region" aria-label="Touches" tabindex="0">
                <table class="grid">
                    <thead><tr><th scope="col">"Operation"</th><th scope="col">"Relation"</th><th scope="col">"Columns"</th><th scope="col">"Around then"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    });
    let executed = step
        .executed
        .as_ref()
        .map(|ran| view! { <h3>"What it ran"</h3>{code("What it ran", highlighted(ran, &find, None))} });
    let fault = said::place(&step).map(|found| found.place);
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
                    {icon::icon(icon::Kind::Copy)}"Copy SQL"
                </button>
                {code("SQL", highlighted(&step.sql, &find, fault))}
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
        {step.truncated.then(|| {
            let told = "The text or a parameter is longer than what the statement's row keeps; the recorded frames hold all of it.";
            icon::notice("calm", icon::Kind::Doubt, told.into_any())
        })}
        {step.opaque.clone().map(|reason| {
            let told = view! { "Not all of it was understood: "{recorded(reason)}"." };
            icon::notice("calm", icon::Kind::Doubt, told.into_any())
        })}
        {executed}
        {parameters}
        {touches}
        <h3>"Result"</h3>
        <grid::Results step=step.clone()/>
        <p class="quiet tabular">
            {format!("Wire frames {} to {}", text::count(step.first_seq), text::count(step.last_seq))}
            {step.committed_at.as_deref().map(|at| format!(" · committed at {} UTC", text::precise_time(at)))}
        </p>
    }
}

fn code(label: &'static str, text: AnyView) -> AnyView {
    view! { <pre class="code" tabindex="0" role="region" aria-label=label><code><bdi>{text}</bdi></code></pre> }
        .into_any()
}

/// Longest text that is coloured, in bytes: beyond, plain text is quick to show.
const MAX_COLOURED: usize = 64 * 1024;

/// A statement's text, with what is sought in it, and what its error points at, marked.
fn highlighted(text: &str, find: &str, fault: Option<Range<usize>>) -> AnyView {
    let hits = visible::hits(text, find);
    let fault: Vec<Range<usize>> = fault.into_iter().filter(|fault| !fault.is_empty()).collect();
    let part = |at: usize, text: &str| {
        let mut at = at;
        visible::parted(text, at, &fault)
            .into_iter()
            .map(|(faulty, part)| {
                let shown = marked_parts(part, at, &hits);
                at += part.len();
                if faulty {
                    view! { <mark class="fault" title="The error points here">{shown}</mark> }.into_any()
                } else {
                    shown.into_any()
                }
            })
            .collect_view()
            .into_any()
    };
    if text.len() > MAX_COLOURED {
        return part(0, text);
    }
    let mut at = 0;
    sql::tokens(text)
        .into_iter()
        .map(|token| {
            let text = part(at, token.text);
            at += token.text.len();
            let class = match token.kind {
                sql::Kind::Plain => return text,
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
pub(super) fn Value(cell: Cell, #[prop(optional)] find: String) -> impl IntoView {
    match cell {
        Cell::Null => view! { <span class="null">"NULL"</span> }.into_any(),
        Cell::Text(text) if text.is_empty() => view! { <span class="null">"empty text"</span> }.into_any(),
        Cell::Text(text) => view! { <span class="value">{marked(&text, &find)}</span> }.into_any(),
        Cell::Bytes { hex } => view! { <span class="value bytes">"\\x"{hex}</span> }.into_any(),
    }
}
