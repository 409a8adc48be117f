//! Single keys, unless somebody is typing or has turned them off (WCAG 2.1.4).

use leptos::{
    ev::{KeyboardEvent, keydown},
    prelude::*,
};
use wasm_bindgen::JsCast;

use super::{State, Tab};
use crate::{
    pages::route::use_route,
    player::{Move, Player},
};

const FIVE_SECONDS: i64 = 5_000_000_000;
/// Where the browser remembers that single keys are off.
const STORED: &str = "hansard.single-keys-off";

/// Keys and what they do, for the help.
pub(super) const KEYS: [(&str, &str); 18] = [
    ("j  k  ↓  ↑", "next, previous statement"),
    ("PgDn  PgUp", "ten on, ten back"),
    ("J  K", "next, previous transaction"),
    ("n  N", "next, previous denial or error"),
    ("Home  End", "first, last statement"),
    ("←  →", "5 seconds back, on"),
    ("Space", "play, pause"),
    ("<  >", "slower, faster"),
    ("i", "skip idle time, or not"),
    ("f", "find in this session"),
    ("r", "result, or back to the statement"),
    ("c", "copy the SQL"),
    ("y", "copy a link to this statement"),
    ("L", "the last statement, of a session that goes on"),
    ("/", "search sessions"),
    ("?", "this help"),
    ("Tab", "to the next control"),
    ("Enter", "use the control"),
];

pub(super) fn turned_off() -> bool {
    stored().and_then(|storage| storage.get_item(STORED).ok().flatten()).is_some()
}

pub(super) fn turn_off(off: bool) {
    if let Some(storage) = stored() {
        // Without storage it holds until the page is left.
        let _ = if off { storage.set_item(STORED, "1") } else { storage.remove_item(STORED) };
    }
}

fn stored() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

pub(super) fn listen(state: State) {
    let handle = window_event_listener(keydown, move |event: KeyboardEvent| on_key(state, &event));
    let route = use_route();
    let search = window_event_listener(keydown, move |event: KeyboardEvent| {
        if is_plain(&event) && event.key() == "/" && focus(&event) != Focus::Typing && !turned_off() {
            event.prevent_default();
            route.go("/sessions");
            // The search field exists once the page does.
            set_timeout(focus_search, std::time::Duration::from_millis(50));
        }
    });
    on_cleanup(move || {
        handle.remove();
        search.remove();
    });
}

fn is_plain(event: &KeyboardEvent) -> bool {
    !(event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented())
}

/// A key anywhere on the page, or in the list.
pub(super) fn on_key(state: State, event: &KeyboardEvent) {
    if !is_plain(event) || state.help.get_untracked() {
        return;
    }
    let key = event.key();
    let focus = focus(event);
    // Letters can be turned off, keys that have no letter cannot: they are the control's own.
    let letter = key.chars().count() == 1 && key != " ";
    let own = match focus {
        Focus::Typing => true,
        Focus::Button => key == " ",
        Focus::Scrolls => {
            matches!(key.as_str(), "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight" | "PageUp" | "PageDown")
        }
        Focus::Slides => !letter && key != " ",
        Focus::Page => false,
        // On the page itself page up and down scroll it.
        Focus::Nothing => matches!(key.as_str(), "PageUp" | "PageDown"),
    };
    if own || (letter && turned_off()) {
        return;
    }
    if press(state, &key) {
        event.prevent_default();
    }
}

/// True where the key does something.
fn press(state: State, key: &str) -> bool {
    match key {
        "?" => state.help.set(true),
        "r" => state.tab.update(|tab| *tab = if *tab == Tab::Result { Tab::Statement } else { Tab::Result }),
        "c" => state.copy_sql(),
        "y" => state.copy_link(),
        "f" => focus_on("find"),
        "L" => state.to_live_edge(),
        "J" => state.seek_transaction(false),
        "K" => state.seek_transaction(true),
        "n" => state.seek_trouble(false),
        "N" => state.seek_trouble(true),
        "ArrowRight" => state.seek_time(FIVE_SECONDS),
        "ArrowLeft" => state.seek_time(-FIVE_SECONDS),
        "j" | "ArrowDown" => state.step(Move::Next),
        "k" | "ArrowUp" => state.step(Move::Previous),
        "PageDown" => state.step(Move::LeapOn),
        "PageUp" => state.step(Move::LeapBack),
        "Home" => state.step(Move::First),
        "End" => state.step(Move::Last),
        " " => state.player.update(Player::toggle_play),
        ">" => state.player.update(Player::faster),
        "<" => state.player.update(Player::slower),
        "i" => state.player.update(Player::toggle_skip_idle),
        _ => return false,
    }
    true
}

/// Where a key was pressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Focus {
    /// Nowhere in particular.
    Nothing,
    /// On something without keys of its own, such as the list.
    Page,
    /// On a button, a link or a box: Space and Enter are its own.
    Button,
    /// On the slider.
    Slides,
    /// On something that scrolls by the arrows.
    Scrolls,
    /// Where it is a letter of a text.
    Typing,
}

fn focus(event: &KeyboardEvent) -> Focus {
    let Some(element) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return Focus::Nothing;
    };
    match element.tag_name().as_str() {
        "BODY" | "HTML" => Focus::Nothing,
        "TEXTAREA" | "SELECT" => Focus::Typing,
        "INPUT" => match element.get_attribute("type").as_deref() {
            Some("range") => Focus::Slides,
            Some("checkbox") => Focus::Button,
            _ => Focus::Typing,
        },
        "BUTTON" | "A" | "SUMMARY" => Focus::Button,
        _ if element.matches(".scroll, pre").unwrap_or(false) => Focus::Scrolls,
        _ => Focus::Page,
    }
}

/// `/` on the list of sessions itself.
pub(in crate::pages) fn listen_for_search() {
    let handle = window_event_listener(keydown, move |event: KeyboardEvent| {
        if is_plain(&event) && event.key() == "/" && focus(&event) != Focus::Typing && !turned_off() {
            event.prevent_default();
            focus_search();
        }
    });
    on_cleanup(move || handle.remove());
}

/// Puts the cursor into the session list's search field.
fn focus_search() {
    // On a phone the filters are folded away.
    if let Ok(Some(filters)) = document().query_selector("details.folded") {
        let _ = filters.set_attribute("open", "");
    }
    focus_on("search");
}

pub(super) fn focus_on(id: &str) {
    let field = document().get_element_by_id(id).and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(field) = field {
        let _ = field.focus();
    }
}
