//! Who changed a relation at a time: the question lives in the address, so that an answer can be sent to somebody.

use std::collections::BTreeSet;

use hansard_schemas::http::Status;
use leptos::{ev::SubmitEvent, prelude::*};
use wasm_bindgen::JsCast;

use super::{
    api::{Load, encode},
    icon,
    replay::keys::listen_for_search,
    route::{Address, use_route},
    set_title,
};
use crate::{
    question::{self, OPERATIONS, WINDOW},
    visible,
};

mod answer;
mod relation;

use answer::Answer;

/// The question's parts, as the address, the form and the API name them.
const PARTS: [&str; 6] = ["relation", "at", "window", "operation", "target", "limit"];

/// The element that says what is wrong with a question.
const FAULT: &str = "question-fault";

/// What the form and its answer share.
#[derive(Clone, Copy)]
struct Shared {
    /// The part of the question that the server did not take.
    at_fault: RwSignal<Option<String>>,
    /// Targets that the last answers named.
    targets: RwSignal<BTreeSet<String>>,
}

/// The address of a question; parts without a value are left out.
fn address(value: impl Fn(&str) -> Option<String>) -> String {
    PARTS
        .iter()
        .filter_map(|part| Some((part, value(part).filter(|value| !value.trim().is_empty())?)))
        .map(|(part, value)| format!("{part}={}", encode(value.trim())))
        .collect::<Vec<_>>()
        .join("&")
}

/// The address of this page for a question.
pub(super) fn link(relation: &str, at: &str, operation: &str) -> String {
    format!(
        "/who-changed?{}",
        address(|part| Some(
            match part {
                "relation" => relation,
                "at" => at,
                "window" => WINDOW,
                "operation" => operation,
                _ => return None,
            }
            .to_owned()
        ))
    )
}

/// What the address asks; `None` where it asks nothing.
fn asked(query: &Address) -> Option<String> {
    let any = ["relation", "at"].iter().any(|part| query.get(part).is_some_and(|value| !value.trim().is_empty()));
    any.then(|| address(|part| query.get(part)))
}

#[component]
pub(super) fn WhoChanged() -> impl IntoView {
    listen_for_search();
    let route = use_route();
    let again = RwSignal::new(0_u32);
    let shared = Shared { at_fault: RwSignal::new(None), targets: RwSignal::new(BTreeSet::new()) };
    provide_context(shared);
    let question = Memo::new(move |_| (again.get(), asked(&route.address())));
    Effect::new(move |_| {
        let relation = route.part("relation");
        set_title(format!("Who changed {}", visible::escaped(&relation)).trim_end());
    });
    view! {
        <main id="main" class="page changed">
            <div class="title">
                <div>
                    <h1>"Who changed"</h1>
                    <p class="quiet">
                        "Which jobs changed a table around a time: what is certain, what may be, and what was looked at. All times in UTC."
                    </p>
                </div>
            </div>
            <Form again=again/>
            {move || {
                let (_, question) = question.get();
                shared.at_fault.set(None);
                match question {
                    Some(question) => view! { <Answer question=question/> }.into_any(),
                    None => view! { <Teach/> }.into_any(),
                }
            }}
        </main>
    }
}

#[component]
fn Form(again: RwSignal<u32>) -> impl IntoView {
    let route = use_route();
    let shared = expect_context::<Shared>();
    let typed = RwSignal::new(String::new());
    Effect::new(move |_| typed.set(route.part("relation")));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let form = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlFormElement>().ok());
        let Some(data) = form.and_then(|form| web_sys::FormData::new_with_form(&form).ok()) else { return };
        let chosen: Vec<String> = data.get_all("operation").iter().filter_map(|value| value.as_string()).collect();
        let asked = address(|part| match part {
            "operation" => Some(question::joined(&chosen)),
            "limit" => None,
            part => data.get(part).as_string(),
        });
        // The same question again is asked again: the record goes on.
        again.update(|count| *count += 1);
        route.go(&format!("/who-changed?{asked}"));
    };
    let value = move |part: &'static str, default: &'static str| {
        Signal::derive(move || {
            let value = route.part(part);
            if value.is_empty() { default.to_owned() } else { value }
        })
    };
    let at_fault = move |part: &'static str| Signal::derive(move || shared.at_fault.get().as_deref() == Some(part));
    view! {
        <search>
            <form class="filters question" on:submit=submit aria-label="Question">
                <relation::Field typed=typed at_fault=at_fault("relation")/>
                <TextField
                    name="at" label="Time (UTC)" hint="03:12Z is that whole minute" placeholder="2026-11-22T03:12Z"
                    value=value("at", "") at_fault=at_fault("at")
                />
                <TextField
                    name="window" label="Before and after" hint="30s, 5m, 2h; 0s for none" placeholder=WINDOW
                    value=value("window", WINDOW) at_fault=at_fault("window")
                />
                <Target/>
                <fieldset>
                    <legend>"Operation"</legend>
                    <Operations/>
                </fieldset>
                <div class="actions">
                    <button class="button primary" type="submit">{icon::icon(icon::Kind::Look)}"Ask"</button>
                </div>
            </form>
        </search>
    }
}

/// A field that says what goes in, and where it is at fault leads to why.
#[component]
fn TextField(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    placeholder: &'static str,
    value: Signal<String>,
    at_fault: Signal<bool>,
) -> impl IntoView {
    let (id, hint_id) = (format!("question-{name}"), format!("hint-{name}"));
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <input
                id=id type="text" name=name required=name == "at" autocomplete="off" spellcheck="false" maxlength="64"
                placeholder=placeholder prop:value=value
                aria-invalid=invalid(at_fault) aria-describedby=explained(at_fault, hint_id.clone())
            />
            <p id=hint_id class="hint">{hint}</p>
        </div>
    }
}

fn invalid(at_fault: Signal<bool>) -> Signal<Option<String>> {
    Signal::derive(move || at_fault.get().then(|| "true".to_owned()))
}

/// What explains a field: its hint, or what is wrong with it.
fn explained(at_fault: Signal<bool>, hint: String) -> Signal<Option<String>> {
    Signal::derive(move || Some(if at_fault.get() { FAULT.to_owned() } else { hint.clone() }))
}

/// One box for each operation; those that the address has and the form does not know have one, too.
#[component]
fn Operations() -> impl IntoView {
    let route = use_route();
    let chosen = move || question::operations(&route.part("operation"));
    let others = move || {
        let known = |operation: &String| OPERATIONS.iter().any(|(name, _)| name == operation);
        chosen().into_iter().filter(|operation| !known(operation)).collect::<Vec<_>>()
    };
    let choice = move |name: String, label: String| {
        let checked = {
            let name = name.clone();
            Signal::derive(move || chosen().contains(&name))
        };
        view! {
            <label class="choice">
                <input type="checkbox" name="operation" value=name prop:checked=checked/>
                <span>{label}</span>
            </label>
        }
    };
    view! {
        {OPERATIONS.map(|(name, label)| choice(name.to_owned(), label.to_owned())).collect_view()}
        {move || others().into_iter().map(|name| choice(name.clone(), visible::escaped(&name))).collect_view()}
    }
}

/// Where there are several, or the address names one.
#[component]
fn Target() -> impl IntoView {
    let route = use_route();
    let shared = expect_context::<Shared>();
    let status = use_context::<RwSignal<Load<Status>>>().expect("the app provides it");
    let chosen = move || route.part("target");
    let targets = move || {
        // None at all stands for all of them.
        let mut targets = BTreeSet::from([String::new(), chosen()]);
        targets.extend(shared.targets.get());
        if let Load::Ready(status) = status.get() {
            targets.extend(status.targets.into_iter().map(|target| target.name));
        }
        targets
    };
    move || {
        let targets = targets();
        let needed = targets.len() > 2 || !chosen().is_empty();
        needed.then(|| {
            let options = targets
                .into_iter()
                .map(|name| {
                    let shown = if name.is_empty() { "All".to_owned() } else { visible::escaped(&name) };
                    let value = name.clone();
                    let selected = Signal::derive(move || chosen() == name);
                    view! { <option value=value prop:selected=selected>{shown}</option> }
                })
                .collect_view();
            view! {
                <div class="field">
                    <label for="question-target">"Target"</label>
                    <select id="question-target" name="target">
                        {options}
                    </select>
                </div>
            }
        })
    }
}

/// What can be asked, before anything is.
#[component]
fn Teach() -> impl IntoView {
    let times = [
        ("2026-11-22T03:12Z", "that whole minute"),
        ("2026-11-22 03:12:07.5", "that tenth of a second; without an offset it is UTC"),
        ("2026-11-22T04:12+01:00", "local time, with its offset"),
        ("2026-11-22", "that whole day, in UTC"),
    ];
    view! {
        <section class="empty">
            <h2>"“Which job updated the ranking table at 03:12 UTC?”"</h2>
            <p>
                "Name the table as SQL does ("<code>"rankings"</code>", "<code>"public.rankings"</code>", "<code>"public.\"Rankings\""</code>
                "), and a time. What was committed then counts, and what may have been; what was rolled back does not."
            </p>
            <h3>"Times"</h3>
            <dl class="notations">
                {times.map(|(time, meaning)| view! { <div><dt><code>{time}</code></dt><dd>{meaning}</dd></div> }).collect_view()}
            </dl>
            <p class="quiet">"In a terminal: "<code>"hansard who-updated public.rankings --at 2026-11-22T03:12Z"</code></p>
        </section>
    }
}
