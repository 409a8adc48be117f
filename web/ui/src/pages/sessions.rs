//! The list of sessions: filters, order and paging live in the address, so that a view can be sent to somebody.

use std::time::Duration;

use hansard_schemas::http::{Page, SessionSummary, Status};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;

use super::{
    api::{self, Failure, Load, encode},
    icon::{self, Badge},
    recorded::recorded,
    replay::keys::listen_for_search,
    route::use_route,
    set_title,
};
use crate::{states, text, visible};

/// The filters, as the address, the form and the API name them.
const FILTERS: [&str; 13] = [
    "text",
    "job",
    "relation",
    "from",
    "to",
    "outcome",
    "target",
    "role",
    "client",
    "application",
    "subject",
    "operation",
    "errors",
];
/// Those that are folded away.
const MORE: [(&str, &str, &str); 6] = [
    ("target", "Target", ""),
    ("role", "Role", ""),
    ("client", "Client address", "10.0.0.*"),
    ("application", "Application", ""),
    ("subject", "Subject", ""),
    ("operation", "Operation", "update"),
];
/// How sessions are sorted, with the filters part of what a list is.
const ORDER: [&str; 2] = ["sort", "order"];
/// How often a list is asked for what is new.
const LOOK: Duration = Duration::from_secs(10);
/// A window narrower than this is a phone's.
const NARROW: f64 = 768.0;

/// The query string for the given parts; empty ones are left out.
fn query_string<'a>(value: impl Fn(&str) -> Option<String>, names: impl IntoIterator<Item = &'a &'a str>) -> String {
    names
        .into_iter()
        .filter_map(|name| Some((name, value(name).filter(|value| !value.trim().is_empty())?)))
        .map(|(name, value)| format!("{name}={}", encode(value.trim())))
        .collect::<Vec<_>>()
        .join("&")
}

#[component]
pub(super) fn Sessions() -> impl IntoView {
    set_title("Sessions");
    listen_for_search();
    let route = use_route();
    let again = RwSignal::new(0_u32);
    let fresh = RwSignal::new(0_u64);
    let page = api::load::<Page<SessionSummary>>(move || {
        again.track();
        let address = route.address();
        let asked = query_string(|name| address.get(name), FILTERS.iter().chain(&ORDER).chain(&["cursor"]));
        format!("/sessions?limit=50&{asked}")
    });
    let filtered = move || FILTERS.iter().any(|name| !route.part(name).is_empty());
    Effect::new(move |_| {
        page.track();
        fresh.set(0);
    });
    look_for_new(page, fresh);
    let reload = move |_| again.update(|count| *count += 1);
    view! {
        <main id="main" class="page">
            <div class="title">
                <div>
                    <h1>"Sessions"</h1>
                    <p class="quiet">"What each job did, word for word. All times in UTC."</p>
                </div>
                <button class="button" type="button" on:click=reload>
                    {icon::icon(icon::Kind::Refresh)}"Refresh"
                </button>
            </div>
            <Filters/>
            <div class="counted" role="status">
                {move || match page.get() {
                    Load::Loading => view! { <span class="sr-only">"Loading"</span> }.into_any(),
                    Load::Ready(page) => view! { <span class="quiet tabular">{told(&page)}</span> }.into_any(),
                    Load::Failed(_) => ().into_any(),
                }}
                {move || {
                    let fresh = fresh.get();
                    (fresh > 0).then(|| view! {
                        <button class="button small" type="button" on:click=reload>
                            {format!("{} new: show", text::count(i64::try_from(fresh).unwrap_or(i64::MAX)))}
                        </button>
                    })
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

/// How many there are, and how many of them are here.
fn told(page: &Page<SessionSummary>) -> String {
    let here = i64::try_from(page.items.len()).unwrap_or(i64::MAX);
    match page.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)) {
        Some(total) if total > here => format!("{} of {} shown", text::count(here), text::counted(total, "session")),
        _ => text::counted(here, "session"),
    }
}

/// Asks from time to time how many sessions were opened after the latest one that is shown.
fn look_for_new(page: RwSignal<Load<Page<SessionSummary>>>, fresh: RwSignal<u64>) {
    let route = use_route();
    let ticking = set_interval_with_handle(
        move || {
            let address = route.address_untracked();
            let first = page.with_untracked(|page| match page {
                Load::Ready(page) => page.items.first().map(|session| session.cursor.clone()),
                Load::Loading | Load::Failed(_) => None,
            });
            let latest_first = ORDER.iter().chain(&["cursor"]).all(|part| address.get(part).is_none());
            let Some(first) = first.filter(|_| latest_first && !document().hidden()) else { return };
            let asked = query_string(|name| address.get(name), &FILTERS);
            spawn_local(async move {
                let newer = format!("/sessions?limit=1&newer_than={}&{asked}", encode(&first));
                if let Ok(found) = api::get::<Page<SessionSummary>>(&newer).await {
                    // The page may have been left meanwhile.
                    let _ = fresh.try_set(found.total.unwrap_or(0));
                }
            });
        },
        LOOK,
    );
    on_cleanup(move || {
        if let Ok(ticking) = ticking {
            ticking.clear();
        }
    });
}

#[component]
fn Filters() -> impl IntoView {
    let route = use_route();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let form = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlFormElement>().ok());
        let Some(data) = form.and_then(|form| web_sys::FormData::new_with_form(&form).ok()) else { return };
        let address = route.address_untracked();
        let filters = query_string(|name| data.get(name).as_string(), &FILTERS);
        let order = query_string(|name| address.get(name), &ORDER);
        route.go(&format!("/sessions?{filters}{}{order}", if order.is_empty() { "" } else { "&" }));
    };
    let value = move |name: &'static str| move || route.part(name);
    let outcomes =
        [("", "Any"), ("live", "Open"), ("complete", "Whole"), ("incomplete", "Not whole"), ("refused", "Not let in")];
    let errors = [("", "Any"), ("true", "With errors"), ("false", "Without errors")];
    let wide = window().inner_width().ok().and_then(|width| width.as_f64()).is_none_or(|width| width > NARROW);
    let given = |names: &[&str]| names.iter().any(|name| route.address_untracked().get(name).is_some());
    let more = given(&["target", "role", "client", "application", "subject", "operation", "errors"]);
    let select = move |name: &'static str, label: &'static str, options: Vec<(&'static str, &'static str)>| {
        let options = options
            .into_iter()
            .map(|(option, label)| {
                view! { <option value=option prop:selected=move || route.part(name) == option>{label}</option> }
            })
            .collect_view();
        view! { <label><span>{label}</span><select name=name>{options}</select></label> }
    };
    let field = move |name: &'static str, label: &'static str, placeholder: &'static str| {
        view! {
            <label>
                <span>{label}</span>
                <input
                    type="text" name=name autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="4096"
                    placeholder=placeholder prop:value=value(name)
                />
            </label>
        }
    };
    view! {
        <search>
            <details class="folded" open=wide || given(&FILTERS)>
                <summary>"Filters"</summary>
                <form class="filters" on:submit=submit>
                    <label class="wide">
                        <span>"Text in a statement, a value or an error"</span>
                        <input id="search" type="search" name="text" autocomplete="off" spellcheck="false" maxlength="4096" prop:value=value("text")/>
                    </label>
                    {field("job", "Job (* for any text)", "nightly-*")}
                    {field("relation", "Relation touched", "public.rankings")}
                    {field("from", "Opened from (UTC)", "2026-11-22T03:00")}
                    {field("to", "Opened until (UTC)", "2026-11-23")}
                    {select("outcome", "Record", outcomes.to_vec())}
                    <div class="actions">
                        <button class="button primary" type="submit">"Search"</button>
                        <a href="/sessions" class="button">"Clear"</a>
                    </div>
                    <details class="more-filters" open=more>
                        <summary>"More filters"</summary>
                        <div>
                            {MORE.map(|(name, label, placeholder)| field(name, label, placeholder)).collect_view()}
                            {select("errors", "Errors", errors.to_vec())}
                        </div>
                    </details>
                </form>
            </details>
        </search>
    }
}

/// A column by which sessions can be sorted: the first time the largest first.
#[component]
fn Sorted(by: &'static str, label: &'static str, #[prop(optional)] number: bool) -> impl IntoView {
    let address = use_route().address_untracked();
    let sort = address.get("sort").filter(|sort| !sort.is_empty()).unwrap_or_else(|| "opened".to_owned());
    let ascending = address.get("order").as_deref() == Some("asc");
    let here = sort == by;
    let (told, order) = match (here, ascending) {
        (false, _) => (None, "desc"),
        (true, false) => (Some("descending"), "asc"),
        (true, true) => (Some("ascending"), "desc"),
    };
    let filters = query_string(|name| address.get(name), &FILTERS);
    let to = format!("/sessions?sort={by}&order={order}&{filters}");
    let arrow = match told {
        None => "",
        Some("ascending") => " ↑",
        Some(_) => " ↓",
    };
    view! {
        <th scope="col" role="columnheader" class:number=number aria-sort=told><a href=to>{label}{arrow}</a></th>
    }
}

#[component]
fn List(page: Page<SessionSummary>) -> impl IntoView {
    let address = use_route().address_untracked();
    let kept = query_string(|name| address.get(name), FILTERS.iter().chain(&ORDER));
    let next = page.next.map(|cursor| format!("/sessions?cursor={}&{kept}", encode(&cursor)));
    let first = address.get("cursor").map(|_| format!("/sessions?{kept}"));
    let find = address.get("text").filter(|text| !text.is_empty());
    let rows = page.items.into_iter().map(|session| view! { <Row session=session find=find.clone()/> }).collect_view();
    view! {
        <div class="scroll" role="region" aria-label="Sessions" tabindex="0">
            <table class="sessions" role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <Sorted by="opened" label="Opened"/>
                        <th scope="col" role="columnheader">"Job"</th>
                        <th scope="col" role="columnheader">"Session"</th>
                        <th scope="col" role="columnheader">"Record"</th>
                        <Sorted by="statements" label="Statements" number=true/>
                        <Sorted by="duration" label="Duration" number=true/>
                        <th scope="col" role="columnheader">"Target"</th>
                        <th scope="col" role="columnheader">"Role"</th>
                        <th scope="col" role="columnheader">"Subject"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
        <nav class="paging" aria-label="Pages">
            {first.map(|to| view! { <a href=to class="button">"First page"</a> })}
            {next.map(|to| view! { <a href=to class="button">"Next page"</a> })}
        </nav>
    }
}

#[component]
fn Row(session: SessionSummary, find: Option<String>) -> impl IntoView {
    let (ending, words) = states::ending(&session);
    let record = states::record(&session);
    let doubt = icon::Kind::of_record(&session);
    let duration = states::session_duration(&session).map_or_else(|| "–".to_owned(), text::duration);
    let to = match (&find, session.first_hit) {
        (Some(find), Some(hit)) => format!("/sessions/{}?step={hit}&find={}", session.session_id, encode(find)),
        _ => format!("/sessions/{}", session.session_id),
    };
    let hits = session.hits.map(|hits| text::counted(hits, "hit"));
    let job = if session.job.is_empty() { "(unknown)".to_owned() } else { session.job };
    let names =
        [("Target", session.target), ("Role", session.db_user), ("Subject", session.subject)].map(|(name, text)| {
            let title = visible::escaped(&text);
            view! { <td role="cell" class="cutoff" data-label=name title=title>{recorded(text)}</td> }.into_any()
        });
    view! {
        <tr role="row">
            <td role="cell" class="when"><span class="quiet">{text::date(&session.opened_at).to_owned()}</span>" "{text::time(&session.opened_at).to_owned()}</td>
            <td role="cell" class="job"><a href=to>{recorded(job)}</a>{hits.map(|hits| view! { <span class="quiet">{hits}</span> })}</td>
            <td role="cell" class="state"><Badge kind=icon::Kind::of_ending(ending) text=words/></td>
            <td role="cell" class="state"><Badge kind=doubt text=record/></td>
            <td role="cell" class="number" data-label="Statements">{text::count(session.statements)}</td>
            <td role="cell" class="number" data-label="Duration">{duration}</td>
            {names.into_iter().collect_view()}
        </tr>
    }
}

#[component]
fn NothingFound() -> impl IntoView {
    view! {
        <section class="empty">
            <h2>"No session matches"</h2>
            <p>"Filters add up. Names are whole, with "<code>"*"</code>" for any text; a relation without a schema is in "<code>"public"</code>"; text is looked for in every statement, its values and its error."</p>
            <p><a href="/sessions" class="button">"Clear the filters"</a></p>
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
