//! The pages, in the browser.
//!
//! Invariant: recorded data becomes text nodes and attributes that only hold text; no page writes markup from data,
//! and none asks another server than its own.

#![allow(unreachable_pub, reason = "the component macro makes its own items public")]

use hansard_schemas::http::Status;
use leptos::{mount::mount_to_body, prelude::*, task::spawn_local};

mod api;
mod changed;
mod icon;
mod jobs;
mod recorded;
mod replay;
mod route;
mod sessions;

use api::Load;
use route::Route;

/// Puts the replay into the page.
pub fn mount() {
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let route = Route::provide();
    let status = api::load::<Status>(|| "/status".into());
    provide_context(status);
    let path = route.path();
    let current = move |page: &'static str| move || path.with(|path| path.starts_with(page)).then_some("page");
    let log_out = move |_| {
        spawn_local(async move {
            // Whatever is answered, the next page tells who is logged in.
            let _ = api::post("/logout").await;
            let _ = window().location().set_href("/login");
        });
    };
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <header class="top">
            <a href="/sessions" class="brand">
                {icon::icon(icon::Kind::Brand)}
                <span>"Hansard"</span>
            </a>
            <nav aria-label="Main">
                <a href="/sessions" aria-current=current("/sessions")>"Sessions"</a>
                <a href="/jobs" aria-current=current("/jobs")>"Jobs"</a>
                <a href="/who-changed" aria-current=current("/who-changed")>"Who changed"</a>
            </nav>
            <span class="version">
                {move || match status.get() {
                    Load::Ready(status) => format!("version {}", status.version),
                    _ => String::new(),
                }}
            </span>
            <button class="button small" type="button" on:click=log_out>"Log out"</button>
        </header>
        {move || path.with(|path| match path.as_str() {
            "/" | "/sessions" => view! { <sessions::Sessions/> }.into_any(),
            "/jobs" => view! { <jobs::Jobs/> }.into_any(),
            "/who-changed" => view! { <changed::WhoChanged/> }.into_any(),
            path => match path.strip_prefix("/sessions/").filter(|id| !id.is_empty() && !id.contains('/')) {
                Some(id) => view! { <replay::Session id=id.to_owned()/> }.into_any(),
                None => view! { <NotFound/> }.into_any(),
            },
        })}
    }
}

#[component]
fn NotFound() -> impl IntoView {
    set_title("Not found");
    view! {
        <main id="main" class="page">
            <h1>"There is no such page"</h1>
            <p><a href="/sessions">"All sessions"</a></p>
        </main>
    }
}

/// Names the page in the browser's tab.
fn set_title(title: &str) {
    document().set_title(&format!("{title} · Hansard"));
}
