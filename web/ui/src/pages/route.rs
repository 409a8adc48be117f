//! Where the browser is, and how to get elsewhere without loading the pages again.
//!
//! Links are plain `<a href>`: clicks on those that lead to our own pages are taken over here.

use leptos::{
    ev::{click, popstate},
    prelude::*,
};
use wasm_bindgen::{JsCast, JsValue};

/// An address: its path, and the parts of its query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) path: String,
    query: Vec<(String, String)>,
}

impl Address {
    /// Of the window now.
    fn now() -> Address {
        let location = window().location();
        let search = location.search().unwrap_or_default();
        let part = |text: &str| {
            let spaced = text.replace('+', " ");
            js_sys::decode_uri_component(&spaced).map_or(spaced, String::from)
        };
        let query = search
            .trim_start_matches('?')
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (part(name), part(value)))
            .collect();
        Address { path: location.pathname().unwrap_or_default(), query }
    }

    /// A part of the query.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

/// The address that is shown.
#[derive(Clone, Copy)]
pub(super) struct Route(RwSignal<Address>);

impl Route {
    /// Follows the window, as long as the pages live.
    pub(super) fn provide() -> Route {
        let route = Route(RwSignal::new(Address::now()));
        provide_context(route);
        let _ = window_event_listener(popstate, move |_| route.0.set(Address::now()));
        let _ = window_event_listener(click, move |event| {
            let held = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
            if held || event.button() != 0 || event.default_prevented() {
                return;
            }
            let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
            let Some(link) =
                target.and_then(|target| target.closest("a[href^='/']:not([rel],[download])").ok().flatten())
            else {
                return;
            };
            event.prevent_default();
            route.go(&link.get_attribute("href").unwrap_or_default());
        });
        route
    }

    /// Goes to one of our pages, with a step in the browser's history.
    pub(super) fn go(self, to: &str) {
        if let Ok(history) = window().history()
            && history.push_state_with_url(&JsValue::NULL, "", Some(to)).is_ok()
        {
            self.0.set(Address::now());
            window().scroll_to_with_x_and_y(0.0, 0.0);
        }
    }

    pub(super) fn address(self) -> Address {
        self.0.get()
    }

    pub(super) fn address_untracked(self) -> Address {
        self.0.get_untracked()
    }

    pub(super) fn path(self) -> Memo<String> {
        Memo::new(move |_| self.0.with(|address| address.path.clone()))
    }

    /// A part of the query.
    pub(super) fn part(self, name: &str) -> String {
        self.0.with(|address| address.get(name)).unwrap_or_default()
    }
}

pub(super) fn use_route() -> Route {
    expect_context()
}

/// Writes the address of what is shown, without a step in the browser's history; false where the browser refuses, as it
/// does when it is done too often.
pub(super) fn replace(to: &str) -> bool {
    window().history().is_ok_and(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(to)).is_ok())
}
