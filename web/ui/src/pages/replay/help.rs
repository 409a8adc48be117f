//! The keys, and the switch that turns them off.

use leptos::{html::Dialog, prelude::*};

use super::{
    State,
    keys::{KEYS, turn_off, turned_off},
};
use crate::pages::icon;

#[component]
pub(super) fn Help() -> impl IntoView {
    let state = expect_context::<State>();
    let dialog = NodeRef::<Dialog>::new();
    let off = RwSignal::new(turned_off());
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if state.help.get() {
            // Refused only when it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let switch = move |event| {
        let on = event_target_checked(&event);
        turn_off(!on);
        off.set(!on);
    };
    let rows = KEYS
        .map(|(keys, effect)| {
            let keys = keys.split("  ").map(|key| view! { <kbd>{key}</kbd>" " }).collect_view();
            view! { <tr><th scope="row">{keys}</th><td>{effect}</td></tr> }
        })
        .collect_view();
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| state.help.set(false)>
            <header>
                <h2 id="help-title">"Keys"</h2>
                <button class="button" type="button" on:click=move |_| state.help.set(false)>
                    {icon::icon(icon::Kind::Close)}"Close"
                </button>
            </header>
            <table><tbody>{rows}</tbody></table>
            <label class="inline">
                <input type="checkbox" prop:checked=move || !off.get() on:change=switch/>
                <span>"Single keys are on in this browser"</span>
            </label>
        </dialog>
    }
}
