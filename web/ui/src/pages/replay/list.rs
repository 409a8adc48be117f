//! Left: the statements, with the transactions that they are in.
//!
//! Invariants: of a session only the rows on the screen are in the page, however many it has; the list is one stop of the
//! tab key, and it alone is scrolled, never the page.

use hansard_schemas::http::Step;
use leptos::{html::Div, prelude::*};
use std::sync::Arc;

use super::{State, keys::on_key};
use crate::{
    pages::{
        api::{Failure, Load},
        icon,
        recorded::recorded,
    },
    player::Player,
    states,
    steps::Lookup,
    text, visible,
    window::Window,
};

/// Height of the view before it is known.
const HEIGHT: f64 = 600.0;

#[component]
pub(super) fn List() -> impl IntoView {
    let state = expect_context::<State>();
    let all = Memo::new(move |_| state.last());
    let at = Memo::new(move |_| state.player.with(Player::at).unwrap_or(0));
    let list = NodeRef::<Div>::new();
    let scroll = RwSignal::new(0.0_f64);
    let height = RwSignal::new(HEIGHT);
    let measure = move || {
        if let Some(list) = list.get_untracked() {
            scroll.set(f64::from(list.scroll_top()));
            let now = f64::from(list.client_height());
            if now > 0.0 && (now - height.get_untracked()).abs() > 0.5 {
                height.set(now);
            }
        }
    };
    let resized = window_event_listener(leptos::ev::resize, move |_| measure());
    on_cleanup(move || resized.remove());
    let window = move || Window { total: all.get(), height: height.get(), scroll: scroll.get() };
    let rows = Memo::new(move |_| window().rows());
    // Keeps the statement shown in view, by moving the list alone.
    Effect::new(move |_| {
        let (row, total) = (at.get(), all.get());
        let Some(list) = list.get() else { return };
        measure();
        let window = Window { total, height: height.get_untracked(), scroll: scroll.get_untracked() };
        if row < 1 || row > total {
            return;
        }
        if let Some(to) = window.reveal(row) {
            // The list's new height is there once the page was drawn.
            request_animation_frame(move || {
                #[expect(clippy::cast_possible_truncation, reason = "pixels of a bounded list")]
                list.set_scroll_top(to.round() as i32);
                measure();
            });
        }
    });
    Effect::new(move |_| {
        let (first, last) = rows.get();
        if first <= last {
            state.want(first);
            state.want(last);
        }
    });
    view! {
        <section class="list" aria-labelledby="list-title">
            <h2 id="list-title">
                "Statements"
                <span class="quiet">{move || text::count(all.get())}</span>
            </h2>
            <Find/>
            {move || {
                let ready = state.session.with(|session| matches!(session, Load::Ready(_)));
                state.failed.get().filter(|_| ready).map(|error| view! {
                    <div class="edge">
                        <Failure error=error/>
                        <button class="button" type="button" on:click=move |_| {
                            state.failed.set(None);
                            state.want(state.at().max(1));
                        }>"Try again"</button>
                    </div>
                })
            }}
            <div
                class="statements"
                node_ref=list
                role="listbox"
                tabindex="0"
                aria-labelledby="list-title"
                aria-activedescendant=move || Some(at.get()).filter(|at| *at >= 1 && *at <= all.get()).map(row_id)
                on:scroll=move |_| measure()
                on:keydown=move |event| on_key(state, &event)
            >
                <div class="rows" role="presentation" style:height=move || format!("{}px", window().list_height())>
                    <For
                        each=move || {
                            let (first, last) = rows.get();
                            first..=last
                        }
                        key=|no| *no
                        children=move |no| {
                            let top = move || format!("translateY({}px)", window().offset(no));
                            view! { <Row no=no top=top at=at/> }
                        }
                    />
                </div>
            </div>
            {move || {
                let last = all.get();
                let behind = if last > 0 { "behind the last statement" } else { "and no statement recorded" };
                gap_behind(state, last).map(|gap| view! { <p class="edge"><Gap words=format!("{gap} {behind}")/></p> })
            }}
            {move || (all.get() == 0 && state.session.with(|session| matches!(session, Load::Ready(_)))).then(|| view! {
                <p class="edge quiet">"No statement was recorded in this session."</p>
            })}
            <Printed/>
        </section>
    }
}

fn row_id(no: i64) -> String {
    format!("statement-{no}")
}

#[component]
fn Row(no: i64, top: impl Fn() -> String + Send + Sync + 'static, at: Memo<i64>) -> impl IntoView {
    let state = expect_context::<State>();
    let around = Memo::new(move |_| state.steps.with(|steps| (steps.get(no), steps.here(no - 1), steps.here(no + 1))));
    let gap = Memo::new(move |_| gap_behind(state, no - 1));
    let class = move || {
        around.with(|(here, before, after)| match here {
            Lookup::Here(step) => class(step, before.as_deref(), after.as_deref()),
            Lookup::Absent | Lookup::NotLoaded => "statement".to_owned(),
        })
    };
    view! {
        <div
            id=row_id(no)
            role="option"
            class=class
            style:transform=top
            aria-selected=move || if at.get() == no { "true" } else { "false" }
            aria-setsize=move || state.last().to_string()
            aria-posinset=no.to_string()
            on:click=move |_| state.go(no)
        >
            <span class="no">{text::count(no)}</span>
            {move || around.with(|(here, before, after)| match here {
                Lookup::Here(step) => {
                    let begins = before.as_ref().is_none_or(|before| before.transaction_id != step.transaction_id)
                        && after.as_ref().is_some_and(|after| after.transaction_id == step.transaction_id);
                    view! { <Told step=step.clone() begins=begins gap=gap.get()/> }.into_any()
                }
                Lookup::Absent => view! {
                    <span class="sql quiet">"not in the record"</span>
                    <span class="facts">{gap.get().map(|gap| view! { <Gap words=format!("{gap} before")/> })}</span>
                }
                .into_any(),
                Lookup::NotLoaded => view! { <span class="sql quiet">"…"</span> }.into_any(),
            })}
        </div>
    }
}

/// What is missing in the record right behind a statement, and before the next one; 0 is before the first.
fn gap_behind(state: State, no: i64) -> Option<String> {
    state.overview.with(|overview| match overview {
        Load::Ready(overview) => states::gaps_behind(overview, no),
        Load::Loading | Load::Failed(_) => None,
    })
}

/// What a row looks like: its own colour, and the line beside a transaction of several statements.
fn class(step: &Step, before: Option<&Step>, after: Option<&Step>) -> String {
    let tone = icon::Kind::of_step(step).tone();
    let same = |other: Option<&Step>| other.is_some_and(|other| other.transaction_id == step.transaction_id);
    let (from, to) = (same(before), same(after));
    let mut class = format!("statement {tone}");
    if from || to {
        class.push_str(" together");
    }
    if step.transaction_outcome == "rolled back" {
        class.push_str(" undone");
    }
    if !from {
        class.push_str(" begins");
    }
    class
}

#[component]
fn Told(step: Arc<Step>, begins: bool, gap: Option<String>) -> impl IntoView {
    let kind = icon::Kind::of_step(&step);
    let rows = step.rows.map(|rows| text::counted(rows, "row"));
    let duration = states::took(&step).map(text::duration);
    let sql = if step.text_omitted { "(text not recorded)".to_owned() } else { text::one_line(&step.sql, 120) };
    let transaction =
        begins.then(|| format!("transaction {}, {}", text::count(step.transaction_id), step.transaction_outcome));
    let why = step.outcome_reason.as_deref().filter(|_| step.transaction_outcome == "unknown").map(visible::escaped);
    view! {
        <span class="mark">{icon::icon(kind)}</span>
        <code class="sql">{recorded(sql)}</code>
        <span class="facts">
            <span class="outcome" title=why>{states::step_outcome(&step)}</span>
            {gap.map(|gap| view! { <Gap words=format!("{gap} before")/> })}
            {rows.map(|rows| view! { <span>{rows}</span> })}
            {duration.map(|duration| view! { <span>{duration}</span> })}
            {transaction.map(|words| view! { <span class="transaction">{words}</span> })}
        </span>
    }
}

#[component]
fn Gap(words: String) -> impl IntoView {
    view! { <span class="gap">{icon::icon(icon::Kind::Warning)}{words}</span> }
}

/// Looks for a text in the session's statements, their values and errors.
#[component]
fn Find() -> impl IntoView {
    let state = expect_context::<State>();
    let typed = RwSignal::new(state.find.get_untracked());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let words = typed.get_untracked();
        if words != state.find.get_untracked() {
            state.found.set(None);
            state.find.set(words);
        }
        state.seek_text(false);
    };
    let told = move || {
        let found = state.found.get()?;
        Some(match (found.total, found.place) {
            (0, _) => "not found".to_owned(),
            (total, 0) => text::counted(total, "hit"),
            (total, place) => format!("{} of {}", text::count(place), text::count(total)),
        })
    };
    view! {
        <search>
            <form class="find" on:submit=submit>
                <input
                    id="find" type="search" aria-label="Find in this session" placeholder="Find in this session"
                    autocomplete="off" spellcheck="false" maxlength="1000"
                    prop:value=typed
                    on:input=move |event| typed.set(event_target_value(&event))
                />
                <button class="button small" type="submit">"Next"</button>
                <button class="button small" type="button" on:click=move |_| state.seek_text(true)>"Back"</button>
                <span class="quiet tabular" role="status">{told}</span>
            </form>
        </search>
    }
}

/// On paper: the statements that are in the browser, in full order.
#[component]
fn Printed() -> impl IntoView {
    let state = expect_context::<State>();
    let printing = RwSignal::new(false);
    let (before, after) = (
        window_event_listener_untyped("beforeprint", move |_| printing.set(true)),
        window_event_listener_untyped("afterprint", move |_| printing.set(false)),
    );
    on_cleanup(move || {
        before.remove();
        after.remove();
    });
    move || {
        printing.get().then(|| {
            let steps: Vec<Arc<Step>> = state.steps.with_untracked(|steps| steps.all().cloned().collect());
            let (here, all) =
                (i64::try_from(steps.len()).unwrap_or(i64::MAX), state.player.with_untracked(Player::last));
            let part = (here < all).then(|| {
                format!("{} of {} statements: those that were looked at.", text::count(here), text::count(all))
            });
            let items = steps
                .into_iter()
                .map(|step| {
                    let outcome = states::step_outcome(&step);
                    view! {
                        <li value=step.no.to_string()>
                            <code>{recorded(text::one_line(&step.sql, 2000))}</code>
                            <span class="quiet">
                                {text::precise_time(&step.started_at).to_owned()}" UTC, "{outcome}
                                {step.rows.map(|rows| format!(", {}", text::counted(rows, "row")))}
                                ", transaction "{step.transaction_id}" "{step.transaction_outcome.clone()}
                            </span>
                        </li>
                    }
                })
                .collect_view();
            view! { <div class="on-paper">{part.map(|part| view! { <p>{part}</p> })}<ol>{items}</ol></div> }
        })
    }
}
