//! Who exists: each identity that has shown a valid token, with what it has done in all.

use hansard_schemas::http::{IdentityRow, Page};
use leptos::prelude::*;

use super::{
    api::{self, Failure, Load, encode},
    icon,
    recorded::recorded,
    replay::keys::listen_for_search,
    route::use_route,
    set_title,
};
use crate::{text, visible};

#[component]
pub(super) fn Jobs() -> impl IntoView {
    set_title("Jobs");
    listen_for_search();
    let route = use_route();
    let again = RwSignal::new(0_u32);
    let page = api::load::<Page<IdentityRow>>(move || {
        again.track();
        format!("/jobs?limit=500&job={}", encode(route.part("job").trim()))
    });
    view! {
        <main id="main" class="page">
            <div class="title">
                <div>
                    <h1>"Jobs"</h1>
                    <p class="quiet">"Who has shown a valid token: one line for each issuer, subject and job. All times in UTC."</p>
                </div>
                <button class="button" type="button" on:click=move |_| again.update(|count| *count += 1)>
                    {icon::icon(icon::Kind::Refresh)}"Refresh"
                </button>
            </div>
            <search>
                <form class="filters" action="/jobs">
                    <label>
                        <span>"Job (* for any text)"</span>
                        <input
                            id="search" type="text" name="job" autocomplete="off" autocapitalize="none" spellcheck="false"
                            maxlength="4096" placeholder="nightly-*" prop:value=move || route.part("job")
                        />
                    </label>
                    <div class="actions">
                        <button class="button primary" type="submit">"Search"</button>
                        <a href="/jobs" class="button">"Clear"</a>
                    </div>
                </form>
            </search>
            <div class="counted" role="status">
                {move || match page.get() {
                    Load::Loading => view! { <span class="sr-only">"Loading"</span> }.into_any(),
                    Load::Ready(page) => view! { <span class="quiet tabular">{told(&page)}</span> }.into_any(),
                    Load::Failed(_) => ().into_any(),
                }}
            </div>
            {move || match page.get() {
                Load::Loading => view! { <p class="quiet loading">"Loading jobs…"</p> }.into_any(),
                Load::Failed(error) => view! { <Failure error=error/> }.into_any(),
                Load::Ready(page) if page.items.is_empty() => {
                    let (title, more) = match route.part("job").trim() {
                        "" => ("No job has connected yet", "A job is here from its first session on."),
                        _ => ("No job matches", "Names are whole, with * for any text."),
                    };
                    view! { <section class="empty"><h2>{title}</h2><p>{more}</p></section> }.into_any()
                }
                Load::Ready(page) => list(page),
            }}
        </main>
    }
}

/// How many there are, and how many of them are here.
fn told(page: &Page<IdentityRow>) -> String {
    let here = i64::try_from(page.items.len()).unwrap_or(i64::MAX);
    match page.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)) {
        Some(total) if total > here => {
            format!("the {} seen last of {}: search for others", text::count(here), text::counted(total, "job"))
        }
        _ => text::counted(here, "job"),
    }
}

fn list(page: Page<IdentityRow>) -> AnyView {
    let rows = page.items.into_iter().map(row).collect_view();
    view! {
        <div class="scroll" role="region" aria-label="Jobs" tabindex="0">
            <table class="sessions jobs" role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        {COLUMNS.map(heading).collect_view()}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

const COLUMNS: [&str; 9] =
    ["Last seen", "Job", "Sessions", "Refused", "Statements", "Errors", "Subject", "Issuer", "First seen"];

fn heading(label: &'static str) -> AnyView {
    view! { <th scope="col" role="columnheader">{label}</th> }.into_any()
}

fn cell(label: &'static str, class: &'static str, text: String) -> AnyView {
    let title = visible::escaped(&text);
    view! { <td role="cell" class=class data-label=label title=title>{recorded(text)}</td> }.into_any()
}

fn row(identity: IdentityRow) -> AnyView {
    // A filter takes a star for any text, and no blanks around: of such a name it would tell of others.
    let is_exact = |name: &str| !name.contains('*') && !name.is_empty() && name.trim() == name;
    let to = (is_exact(&identity.job) && is_exact(&identity.subject))
        .then(|| format!("/sessions?job={}&subject={}", encode(&identity.job), encode(&identity.subject)));
    let when = |at: &str| format!("{} {}", text::date(at), text::time(at));
    let job = if identity.job.is_empty() { "(not named)".to_owned() } else { identity.job };
    let number = |label: &'static str, number: i64| cell(label, "number", text::count(number));
    let cells = [
        number("Sessions", identity.sessions),
        number("Refused", identity.refused),
        number("Statements", identity.statements),
        number("Errors", identity.errors),
        cell("Subject", "cutoff", identity.subject),
        cell("Issuer", "cutoff", identity.issuer),
        cell("First seen", "tabular", when(&identity.first_seen)),
    ];
    view! {
        <tr role="row">
            {cell("Last seen", "when", when(&identity.last_seen))}
            <td role="cell" class="job"><a href=to>{recorded(job)}</a></td>
            {cells.into_iter().collect_view()}
        </tr>
    }
    .into_any()
}
