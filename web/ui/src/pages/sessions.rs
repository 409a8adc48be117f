//! The list of sessions: filters and paging live in the address, so that a view can be sent to somebody.

use hansard_schemas::http::{Page, SessionSummary, Status};
use leptos::{ev::SubmitEvent, prelude::*};
use leptos_router::{
    NavigateOptions,
    components::A,
    hooks::{use_navigate, use_query_map},
    params::ParamsMap,
};
use wasm_bindgen::JsCast;

use super::{
    api::{self, Failure, Load, encode},
    icon::{self, Badge, Icon},
    recorded::Recorded,
    replay::keys::listen_for_search,
    set_title,
};
use crate::{text, visible};

/// The filters, as the address, the form and the API name them.
const FILTERS: [&str; 6] = ["text", "job", "relation", "from", "to", "outcome"];

/// The query string for the given filters; empty ones are left out.
fn query_string(value: impl Fn(&str) -> Option<String>, names: &[&str]) -> String {
    names
        .iter()
        .filter_map(|name| Some((name, value(name).filter(|value| !value.trim().is_empty())?)))
        .map(|(name, value)| format!("{name}={}", encode(value.trim())))
        .collect::<Vec<_>>()
        .join("&")
}

fn address(query: &ParamsMap) -> String {
    let mut names = FILTERS.to_vec();
    names.push("cursor");
    query_string(|name| query.get(name), &names)
}

#[component]
pub(super) fn Sessions() -> impl IntoView {
    set_title("Sessions");
    listen_for_search();
    let query = use_query_map();
    let again = RwSignal::new(0_u32);
    let page = api::load::<Page<SessionSummary>>(move || {
        again.track();
        format!("/sessions?limit=50&{}", address(&query.get()))
    });
    let filtered = move || FILTERS.iter().any(|name| query.with(|query| query.get(name).is_some()));
    view! {
        <main id="main" class="page">
            <div class="title">
                <div>
                    <h1>"Sessions"</h1>
                    <p class="quiet">"What each job did, word for word. Latest first, all times in UTC."</p>
                </div>
                <button class="button" type="button" on:click=move |_| again.update(|count| *count += 1)>
                    <Icon kind=icon::Kind::Refresh/>"Refresh"
                </button>
            </div>
            <Filters/>
            <div class="sr-only" role="status">
                {move || match page.get() {
                    Load::Loading => "Loading".into(),
                    Load::Ready(page) => text::counted(i64::try_from(page.items.len()).unwrap_or(i64::MAX), "session"),
                    Load::Failed(_) => String::new(),
                }}
            </div>
            {move || match page.get() {
                Load::Loading => view! { <p class="quiet loading">"Loading sessions…"</p> }.into_any(),
                Load::Failed(error) => view! { <Failure error=error/> }.into_any(),
                Load::Ready(page) if page.items.is_empty() && filtered() => view! { <NothingFound/> }.into_any(),
                Load::Ready(page) if page.items.is_empty() => view! { <NoSessions/> }.into_any(),
                Load::Ready(page) => view! { <List page=page/> }.into_any(),
            }}
        </main>
    }
}

#[component]
fn Filters() -> impl IntoView {
    let query = use_query_map();
    let navigate = use_navigate();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let form = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlFormElement>().ok());
        let Some(data) = form.and_then(|form| web_sys::FormData::new_with_form(&form).ok()) else { return };
        let query = query_string(|name| data.get(name).as_string(), &FILTERS);
        navigate(&format!("/sessions?{query}"), NavigateOptions::default());
    };
    let value = move |name: &'static str| move || query.with(|query| query.get(name).unwrap_or_default());
    let outcomes =
        [("", "Any"), ("live", "Live"), ("complete", "Complete"), ("incomplete", "Incomplete"), ("refused", "Refused")];
    view! {
        <search>
            <form class="filters" on:submit=submit>
                <label class="wide">
                    <span>"Text in a statement"</span>
                    <input id="search" type="search" name="text" autocomplete="off" spellcheck="false" prop:value=value("text")/>
                </label>
                <label>
                    <span>"Job"</span>
                    <input type="text" name="job" autocomplete="off" spellcheck="false" prop:value=value("job")/>
                </label>
                <label>
                    <span>"Relation touched"</span>
                    <input type="text" name="relation" autocomplete="off" spellcheck="false" placeholder="public.rankings" prop:value=value("relation")/>
                </label>
                <label>
                    <span>"Opened from (UTC)"</span>
                    <input type="datetime-local" name="from" step="1" prop:value=value("from")/>
                </label>
                <label>
                    <span>"Opened to (UTC)"</span>
                    <input type="datetime-local" name="to" step="1" prop:value=value("to")/>
                </label>
                <label>
                    <span>"Outcome"</span>
                    <select name="outcome">
                        {outcomes
                            .map(|(name, label)| {
                                let current = value("outcome");
                                view! { <option value=name prop:selected=move || current() == name>{label}</option> }
                            })
                            .collect_view()}
                    </select>
                </label>
                <div class="actions">
                    <button class="button primary" type="submit">"Search"</button>
                    <A href="/sessions" attr:class="button">"Clear"</A>
                </div>
            </form>
        </search>
    }
}

#[component]
fn List(page: Page<SessionSummary>) -> impl IntoView {
    let query = use_query_map();
    let here = query.get_untracked();
    let filters = query_string(|name| here.get(name), &FILTERS);
    let older = page.next.map(|cursor| format!("/sessions?cursor={}&{filters}", encode(&cursor)));
    let newest = here.get("cursor").map(|_| format!("/sessions?{filters}"));
    view! {
        <div class="scroll" role="region" aria-label="Sessions" tabindex="0">
            <table class="sessions">
                <thead>
                    <tr>
                        <th scope="col">"Opened"</th>
                        <th scope="col">"Job"</th>
                        <th scope="col">"Subject"</th>
                        <th scope="col">"Target"</th>
                        <th scope="col" class="number">"Statements"</th>
                        <th scope="col" class="number">"Denied"</th>
                        <th scope="col" class="number">"Errors"</th>
                        <th scope="col">"Outcome"</th>
                        <th scope="col" class="number">"Duration"</th>
                    </tr>
                </thead>
                <tbody>{page.items.into_iter().map(|session| view! { <Row session=session/> }).collect_view()}</tbody>
            </table>
        </div>
        <nav class="paging" aria-label="Pages">
            {newest.map(|to| view! { <A href=to attr:class="button">"Latest sessions"</A> })}
            {older.map(|to| view! { <A href=to attr:class="button">"Older sessions"</A> })}
        </nav>
    }
}

#[component]
fn Row(session: SessionSummary) -> impl IntoView {
    let kind = icon::Kind::of_session(session.outcome);
    let number = |count: i64, word: &'static str| {
        let class = if count > 0 && !word.is_empty() { "number bad" } else { "number" };
        view! { <td class=class>{if count == 0 && !word.is_empty() { "–".into() } else { text::count(count) }}</td> }
    };
    let job = if session.job.is_empty() { "(unknown)".to_owned() } else { session.job };
    view! {
        <tr>
            <td class="when"><span class="quiet">{text::date(&session.opened_at).to_owned()}</span>" "{text::time(&session.opened_at).to_owned()}</td>
            <td class="strong"><A href=format!("/sessions/{}", session.session_id)><Recorded text=job/></A></td>
            <td class="cutoff" title=visible::escaped(&session.subject)><Recorded text=session.subject.clone()/></td>
            <td><Recorded text=session.target/></td>
            {number(session.statements, "")}
            {number(session.denied, "denied")}
            {number(session.errors, "errors")}
            <td><Badge kind=kind text=text::session_outcome(session.outcome)/></td>
            <td class="number">{session.duration_ns.map_or_else(|| "–".to_owned(), text::duration)}</td>
        </tr>
    }
}

#[component]
fn NothingFound() -> impl IntoView {
    view! {
        <section class="empty">
            <h2>"No session matches"</h2>
            <p>"Filters add up. A job is named in full; a relation without a schema is in "<code>"public"</code>"; text is looked for in every statement."</p>
            <p><A href="/sessions" attr:class="button">"Clear the filters"</A></p>
        </section>
    }
}

/// Teaches how the first session comes about.
#[component]
fn NoSessions() -> impl IntoView {
    let status = use_context::<RwSignal<Load<Status>>>().expect("the app provides it");
    let targets = move || match status.get() {
        Load::Ready(status) => status.targets,
        _ => Vec::new(),
    };
    view! {
        <section class="empty">
            <h2>"No session has been recorded yet"</h2>
            <p>"A job connects to Hansard as it would to the database, with its identity token as the password:"</p>
            {move || {
                targets()
                    .into_iter()
                    .map(|target| {
                        let database = target.database.unwrap_or_else(|| "DATABASE".into());
                        let (host, port) = target.listen.rsplit_once(':').unwrap_or((&target.listen, "5432"));
                        let to = format!("host={host} port={port} dbname={database} user=USER");
                        view! {
                            <h3>{target.name}</h3>
                            <pre><code>{format!("postgres://USER@{}/{database}", target.listen)}</code></pre>
                            <p>"Try it:"</p>
                            <pre><code>{format!("PGPASSWORD=$TOKEN psql \"{to}\" -c 'select 1'")}</code></pre>
                        }
                    })
                    .collect_view()
            }}
            <p class="quiet">
                "A token for a development issuer: "
                <code>"hansard token --issuer NAME --subject SUBJECT"</code>
                ". The session appears here while it is still open."
            </p>
        </section>
    }
}
