//! Left: the statements, grouped by transaction.
//!
//! Invariant: of a long session only a window around the statement shown is in the page.

use std::sync::Arc;

use hansard_schemas::http::Step;
use leptos::prelude::*;

use super::{MOST, State};
use crate::{
    pages::{
        api::Failure,
        icon::{self, Badge, Icon},
        recorded::Recorded,
    },
    player::Player,
    text,
};

/// Statements in the page at once.
const WINDOW: usize = 600;
/// The window moves when the statement shown comes this near to its edge.
const MARGIN: usize = 100;

/// A transaction's statements inside the window.
#[derive(Clone)]
struct Group {
    /// The first statement's place in the session.
    first: usize,
    steps: Vec<Arc<Step>>,
}

impl Group {
    fn key(&self) -> (usize, usize, String, usize) {
        // A step that was loaded anew is another one.
        let identity = self.steps.iter().map(|step| Arc::as_ptr(step).addr()).fold(0, usize::wrapping_add);
        let outcome = self.steps.first().map(|step| step.transaction_outcome.clone()).unwrap_or_default();
        (self.first, self.steps.len(), outcome, identity)
    }
}

fn groups(steps: &[Arc<Step>], from: usize) -> Vec<Group> {
    let to = (from + WINDOW).min(steps.len());
    let mut groups: Vec<Group> = Vec::new();
    for (place, step) in steps.iter().enumerate().take(to).skip(from) {
        match groups.last_mut() {
            Some(group) if group.steps[0].transaction_id == step.transaction_id => group.steps.push(step.clone()),
            _ => groups.push(Group { first: place, steps: vec![step.clone()] }),
        }
    }
    groups
}

/// Where the window begins: it stays while the place shown is well inside.
fn window_from(before: usize, place: usize, all: usize) -> usize {
    let last = all.saturating_sub(WINDOW);
    let inside = place >= before + MARGIN || before == 0;
    let inside = inside && (place + MARGIN < before + WINDOW || before >= last);
    if inside && place >= before && place < before + WINDOW {
        before.min(last)
    } else {
        place.saturating_sub(WINDOW / 2).min(last)
    }
}

#[component]
pub(super) fn List() -> impl IntoView {
    let state = expect_context::<State>();
    let place = Memo::new(move |_| state.player.with(Player::place));
    let all = Memo::new(move |_| state.steps.with(Vec::len));
    let from =
        Memo::new(move |before: Option<&usize>| window_from(before.copied().unwrap_or(0), place.get(), all.get()));
    let shown = Selector::new(move || place.get());
    let list = NodeRef::<leptos::html::Div>::new();
    // Keeps the statement shown in view.
    Effect::new(move |_| {
        place.track();
        from.track();
        all.track();
        let Some(list) = list.get() else { return };
        request_animation_frame(move || {
            if let Ok(Some(current)) = list.query_selector("[aria-current=step]") {
                let options = web_sys::ScrollIntoViewOptions::new();
                options.set_block(web_sys::ScrollLogicalPosition::Nearest);
                current.scroll_into_view_with_scroll_into_view_options(&options);
            }
        });
    });
    view! {
        <section class="list" aria-labelledby="list-title">
            <h2 id="list-title">
                "Statements"
                <span class="quiet">{move || text::count(i64::try_from(all.get()).unwrap_or(i64::MAX))}</span>
            </h2>
            <div class="statements" node_ref=list>
                {move || (from.get() > 0).then(|| view! {
                    <p class="edge quiet">{format!("{} earlier statements", from.get())}</p>
                })}
                <For
                    each=move || state.steps.with(|steps| groups(steps, from.get()))
                    key=Group::key
                    children=move |group| view! { <Transaction group=group shown=shown.clone()/> }
                />
                {move || {
                    let later = all.get().saturating_sub(from.get() + WINDOW);
                    (later > 0).then(|| view! { <p class="edge quiet">{format!("{later} later statements")}</p> })
                }}
                {move || state.failed.get().map(|error| view! { <Failure error=error/> })}
                {move || (state.loading.get()).then(|| view! { <p class="edge quiet">"Loading statements…"</p> })}
                {move || (!state.loading.get() && all.get() == 0 && state.failed.with(Option::is_none)).then(|| view! {
                    <p class="edge quiet">"No statement was recorded in this session."</p>
                })}
                {move || (!state.loading.get() && state.next.with(Option::is_some)).then(|| view! {
                    <div class="edge">
                        <p class="quiet">{format!("The first {} statements are loaded.", text::count(i64::try_from(MOST).unwrap_or(i64::MAX)))}</p>
                        <button class="button" type="button" on:click=move |_| state.load_steps(state.next.get_untracked())>"Load more"</button>
                    </div>
                })}
            </div>
        </section>
    }
}

#[component]
fn Transaction(group: Group, shown: Selector<usize>) -> impl IntoView {
    let outcome = group.steps[0].transaction_outcome.clone();
    let number = group.steps[0].transaction_id;
    let alone = group.steps.len() == 1;
    let kind = icon::Kind::of_transaction(&outcome);
    let class = if outcome == "rolled back" { "transaction undone" } else { "transaction" };
    let title = format!("Transaction {number}");
    let rows = (group.first..)
        .zip(group.steps)
        .map(|(place, step)| view! { <Row place=place step=step shown=shown.clone()/> })
        .collect_view();
    if alone {
        return view! { <div class=class>{rows}</div> }.into_any();
    }
    let label = format!("{title}, {outcome}");
    view! {
        <div class=format!("{class} grouped") role="group" aria-label=label>
            <p class="transaction-title"><span>{title}</span><Badge kind=kind text=outcome/></p>
            {rows}
        </div>
    }
    .into_any()
}

#[component]
fn Row(place: usize, step: Arc<Step>, shown: Selector<usize>) -> impl IntoView {
    let state = expect_context::<State>();
    let kind = icon::Kind::of_step(&step);
    let outcome = text::step_outcome(&step);
    let rows = step.rows.map(|rows| text::counted(rows, "row"));
    let duration = step.duration_ns.map(text::duration);
    let sql = if step.text_omitted { "(text not recorded)".to_owned() } else { text::one_line(&step.sql, 160) };
    let current = move || shown.selected(&place).then_some("step");
    view! {
        <button type="button" class=format!("statement {}", kind.tone()) aria-current=current on:click=move |_| state.go_to_place(place)>
            <span class="no">{step.no}</span>
            <span class="mark"><Icon kind=kind/></span>
            <code class="sql"><Recorded text=sql/></code>
            <span class="facts">
                <span class="outcome">{outcome}</span>
                {rows.map(|rows| view! { <span>{rows}</span> })}
                {duration.map(|duration| view! { <span>{duration}</span> })}
            </span>
        </button>
    }
}
