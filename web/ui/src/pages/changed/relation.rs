//! The field for a relation, with the names that the recorded catalogs know.
//!
//! An editable combobox with a list, as the ARIA Authoring Practices Guide has it (`combobox-autocomplete-list`): the
//! focus stays in the field, the list follows the keys, and nothing is taken over without Enter or a click.

use std::time::Duration;

use hansard_schemas::http::{Page, RelationName};
use leptos::{ev::KeyboardEvent, prelude::*, task::spawn_local};

use super::{explained, invalid};
use crate::pages::{
    api::{self, encode},
    recorded::recorded,
};
use crate::text;

/// How long to wait for the next letter.
const SETTLE: Duration = Duration::from_millis(120);
/// Names that are offered at once.
const OFFERED: usize = 12;

/// The field's state.
#[derive(Clone, Copy)]
struct Combobox {
    typed: RwSignal<String>,
    offered: RwSignal<Vec<RelationName>>,
    open: RwSignal<bool>,
    /// Which of those offered the keys are at.
    active: RwSignal<Option<usize>>,
    /// Numbers the questions: only the last one's answer counts.
    asked: StoredValue<u64>,
}

impl Combobox {
    /// Offers the names for what is typed, and goes to one of them where that is wanted.
    fn offer(self, after: Duration, go: Option<fn(usize) -> usize>) {
        let number = self.asked.get_value() + 1;
        self.asked.set_value(number);
        let is_current = move || self.asked.try_get_value() == Some(number);
        set_timeout(
            move || {
                if !is_current() {
                    return;
                }
                spawn_local(async move {
                    let typed = self.typed.get_untracked();
                    let found = api::get::<Page<RelationName>>(&format!(
                        "/relations?limit={OFFERED}&prefix={}",
                        encode(&typed)
                    ))
                    .await;
                    if !is_current() {
                        return;
                    }
                    // Without names the field is a field: the question itself will tell what is wrong.
                    let found = found.map(|page| page.items).unwrap_or_default();
                    let all = found.len();
                    self.active.set(go.filter(|_| all > 0).map(|go| go(all)));
                    self.offered.set(found);
                    self.open.set(all > 0);
                });
            },
            after,
        );
    }

    fn close(self) {
        self.asked.update_value(|number| *number += 1);
        self.open.set(false);
        self.active.set(None);
    }

    fn choose(self, place: usize) {
        if let Some(relation) = self.offered.with_untracked(|all| all.get(place).map(|one| one.relation.clone())) {
            self.typed.set(relation);
        }
        self.close();
    }

    /// One on or back, round the ends.
    fn walk(self, back: bool) {
        let all = self.offered.with_untracked(Vec::len);
        self.active.update(|active| {
            *active = match (*active, back) {
                (None, false) => Some(0),
                (None, true) => all.checked_sub(1),
                (Some(place), false) => Some((place + 1) % all.max(1)),
                (Some(place), true) => Some(place.checked_sub(1).unwrap_or(all.saturating_sub(1))),
            };
        });
    }

    /// True where the key has done something here.
    fn key(self, event: &KeyboardEvent) -> bool {
        if event.ctrl_key() || event.meta_key() || event.is_composing() {
            return false;
        }
        let open = self.open.get_untracked();
        match event.key().as_str() {
            "ArrowDown" | "ArrowUp" if !open => {
                let last = event.key() == "ArrowUp";
                let go: fn(usize) -> usize = if last { |all| all - 1 } else { |_| 0 };
                // With Alt it is only opened.
                self.offer(Duration::ZERO, (!event.alt_key()).then_some(go));
                true
            }
            "ArrowUp" if event.alt_key() => {
                self.close();
                true
            }
            "ArrowDown" | "ArrowUp" => {
                self.walk(event.key() == "ArrowUp");
                true
            }
            "Enter" => match self.active.get_untracked().filter(|_| open) {
                Some(place) => {
                    self.choose(place);
                    true
                }
                None => {
                    self.close();
                    false
                }
            },
            "Escape" if open => {
                self.close();
                true
            }
            "Escape" => {
                self.typed.set(String::new());
                self.close();
                true
            }
            "Home" | "End" | "ArrowLeft" | "ArrowRight" => {
                self.active.set(None);
                false
            }
            _ => false,
        }
    }
}

fn id(place: usize) -> String {
    format!("relation-{place}")
}

#[component]
pub(super) fn Field(typed: RwSignal<String>, at_fault: Signal<bool>) -> impl IntoView {
    let state = Combobox {
        typed,
        offered: RwSignal::new(Vec::new()),
        open: RwSignal::new(false),
        active: RwSignal::new(None),
        asked: StoredValue::new(0),
    };
    let input = move |event| {
        typed.set(event_target_value(&event));
        state.active.set(None);
        state.offer(SETTLE, None);
    };
    let keydown = move |event: KeyboardEvent| {
        if state.key(&event) {
            event.prevent_default();
            event.stop_propagation();
        }
    };
    // The list is longer than it is high.
    Effect::new(move |_| {
        let Some(place) = state.active.get() else { return };
        request_animation_frame(move || {
            if let Some(option) = document().get_element_by_id(&id(place)) {
                let options = web_sys::ScrollIntoViewOptions::new();
                options.set_block(web_sys::ScrollLogicalPosition::Nearest);
                option.scroll_into_view_with_scroll_into_view_options(&options);
            }
        });
    });
    let options = move || {
        let option = |(place, known): (usize, RelationName)| {
            let selected = Signal::derive(move || Some((state.active.get() == Some(place)).to_string()));
            let several = (known.targets.len() > 1).then(|| format!(", {} targets", known.targets.len()));
            view! {
                <li
                    id=id(place)
                    role="option"
                    aria-selected=selected
                    on:mousedown=|event| event.prevent_default()
                    on:click=move |_| state.choose(place)
                >
                    <code>{recorded(known.relation)}</code>
                    <span class="quiet">{known.kind}{several}</span>
                </li>
            }
        };
        state.offered.get().into_iter().enumerate().map(option).collect_view()
    };
    let expanded = Signal::derive(move || Some(state.open.get().to_string()));
    let active = Signal::derive(move || state.active.get().map(id));
    view! {
        <div class="field wide combobox">
            <label for="search">"Relation"</label>
            <input
                id="search"
                type="text"
                name="relation"
                role="combobox"
                required
                autocomplete="off"
                spellcheck="false"
                autocapitalize="none"
                maxlength="512"
                placeholder="public.rankings"
                aria-autocomplete="list"
                aria-controls="relations"
                aria-expanded=expanded
                aria-activedescendant=active
                aria-invalid=invalid(at_fault)
                aria-describedby=explained(at_fault, "hint-relation".to_owned())
                prop:value=typed
                on:input=input
                on:keydown=keydown
                on:blur=move |_| state.close()
            />
            <p id="hint-relation" class="hint">"As SQL names it; ↓ lists those on record"</p>
            <ul id="relations" role="listbox" aria-label="Relations" class:shown=state.open>{options}</ul>
            <p class="sr-only" role="status">
                {move || {
                    let all = i64::try_from(state.offered.with(Vec::len)).unwrap_or(i64::MAX);
                    state.open.get().then(|| format!("{} offered", text::counted(all, "relation")))
                }}
            </p>
        </div>
    }
}
