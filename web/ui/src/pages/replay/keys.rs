//! Single keys, unless somebody is typing or has turned them off (WCAG 2.1.4).

use leptos::{
    ev::{KeyboardEvent, keydown},
    prelude::*,
};
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsCast;

use super::{State, Tab};
use crate::player::{Move, Player};

const FIVE_SECONDS: i64 = 5_000_000_000;
/// Where the browser remembers that single keys are off.
const STORED: &str = "hansard.single-keys-off";

/// Keys and what they do, for the help.
pub(super) const KEYS: [(&str, &str); 16] = [
    ("j  k", "next, previous statement"),
    ("J  K", "next, previous transaction"),
    ("n  N", "next, previous denial or error"),
    ("Home  End", "first, last statement"),
    ("←  →", "5 seconds back, on"),
    ("Space", "play, pause"),
    ("<  >", "slower, faster"),
    ("i", "skip idle time, or not"),
    ("r", "result, or back to the statement"),
    ("c", "copy the SQL"),
    ("y", "copy a link to this statement"),
    ("/", "search sessions"),
    ("?", "this help"),
    ("Esc", "close this help"),
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
    let navigate = use_navigate();
    let handle = window_event_listener(keydown, move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
            return;
        }
        let Some(focus) = focus(&event) else { return };
        if state.help.get_untracked() || turned_off() {
            return;
        }
        let key = event.key();
        let done = match key.as_str() {
            "Home" | "End" | "ArrowLeft" | "ArrowRight" | " " if focus == Focus::Control => false,
            "/" => {
                navigate("/sessions", leptos_router::NavigateOptions::default());
                // The search field exists once the page does.
                set_timeout(focus_search, std::time::Duration::from_millis(50));
                true
            }
            "?" => {
                state.help.set(true);
                true
            }
            "r" => {
                state.tab.update(|tab| *tab = if *tab == Tab::Result { Tab::Statement } else { Tab::Result });
                true
            }
            "c" => {
                state.copy_sql();
                true
            }
            "y" => {
                state.copy_link();
                true
            }
            key => drive(state, key),
        };
        if done {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

/// Keys of the player itself.
fn drive(state: State, key: &str) -> bool {
    let to = match key {
        "j" => Move::NextStatement,
        "k" => Move::PreviousStatement,
        "J" => Move::NextTransaction,
        "K" => Move::PreviousTransaction,
        "n" => Move::NextTrouble,
        "N" => Move::PreviousTrouble,
        "Home" => Move::First,
        "End" => Move::Last,
        "ArrowRight" => Move::Seek(FIVE_SECONDS),
        "ArrowLeft" => Move::Seek(-FIVE_SECONDS),
        _ => {
            let change: fn(&mut Player) = match key {
                " " => Player::toggle_play,
                ">" => Player::faster,
                "<" => Player::slower,
                "i" => Player::toggle_skip_idle,
                _ => return false,
            };
            state.player.update(change);
            return true;
        }
    };
    if !state.player.with_untracked(|player| player.can(to)) && matches!(to, Move::NextTrouble | Move::PreviousTrouble)
    {
        state.message.set("No denial or error that way.".into());
    }
    state.step(to);
    true
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Focus {
    /// On the page itself.
    Page,
    /// On something that has keys of its own.
    Control,
}

/// Where the key was pressed; `None` where it is being typed.
fn focus(event: &KeyboardEvent) -> Option<Focus> {
    let Some(element) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return Some(Focus::Page);
    };
    match element.tag_name().as_str() {
        "TEXTAREA" | "SELECT" => None,
        "INPUT" => {
            let kind = element.get_attribute("type").unwrap_or_default();
            if kind == "range" || kind == "checkbox" { Some(Focus::Control) } else { None }
        }
        "BUTTON" | "A" | "SUMMARY" => Some(Focus::Control),
        _ => Some(Focus::Page),
    }
}

/// `/` on the list of sessions itself.
pub(in crate::pages) fn listen_for_search() {
    let handle = window_event_listener(keydown, move |event: KeyboardEvent| {
        let plain = !(event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented());
        if plain && event.key() == "/" && focus(&event).is_some() && !turned_off() {
            event.prevent_default();
            focus_search();
        }
    });
    on_cleanup(move || handle.remove());
}

/// Puts the cursor into the session list's search field.
fn focus_search() {
    let field = document().get_element_by_id("search").and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(field) = field {
        let _ = field.focus();
    }
}
