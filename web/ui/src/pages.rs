//! The pages, in the browser.
//!
//! Invariant: recorded data becomes text nodes and attributes that only hold text; no page writes markup from data,
//! and none asks another server than its own.

#![allow(unreachable_pub, reason = "the component macro makes its own items public")]

use hansard_schemas::http::Status;
use leptos::{mount::mount_to_body, prelude::*};
use leptos_router::{
    components::{A, Redirect, Route, Router, Routes},
    path,
};

mod api;
mod changed;
mod icon;
mod recorded;
mod replay;
mod sessions;

use api::Load;
use icon::Icon;

/// Puts the replay into the page.
pub fn mount() {
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let status = api::load::<Status>(|| "/status".into());
    provide_context(status);
    view! {
        <Router>
            <a class="skip" href="#main">"Skip to content"</a>
            <header class="top">
                <A href="/sessions" attr:class="brand">
                    <Icon kind=icon::Kind::Brand/>
                    <span>"Hansard"</span>
                </A>
                <nav aria-label="Main">
                    <A href="/sessions">"Sessions"</A>
                    <A href="/who-changed">"Who changed"</A>
                </nav>
                <span class="version">
                    {move || match status.get() {
                        Load::Ready(status) => format!("version {}", status.version),
                        _ => String::new(),
                    }}
                </span>
            </header>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=|| view! { <Redirect path="/sessions"/> }/>
                <Route path=path!("/sessions") view=sessions::Sessions/>
                <Route path=path!("/sessions/:id") view=replay::Replay/>
                <Route path=path!("/who-changed") view=changed::WhoChanged/>
            </Routes>
        </Router>
    }
}

#[component]
fn NotFound() -> impl IntoView {
    set_title("Not found");
    view! {
        <main id="main" class="page">
            <h1>"There is no such page"</h1>
            <p><A href="/sessions">"All sessions"</A></p>
        </main>
    }
}

/// Names the page in the browser's tab.
fn set_title(title: &str) {
    document().set_title(&format!("{title} · Hansard"));
}
