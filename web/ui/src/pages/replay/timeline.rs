//! Bottom: playing, and the session at a glance.
//!
//! Invariant: the slider is a native range input over the statements, and the lanes above it share its scale.

use leptos::prelude::*;

use super::State;
use crate::{
    lanes::{Lane, stretches},
    pages::icon::{self, Icon},
    player::{Move, Player, SPEEDS},
    text,
};

#[component]
pub(super) fn Timeline() -> impl IntoView {
    let state = expect_context::<State>();
    let playing = Memo::new(move |_| state.player.with(Player::is_playing));
    let last = Memo::new(move |_| state.steps.with(Vec::len).saturating_sub(1));
    let place = Memo::new(move |_| state.player.with(Player::place));
    let spoken = move || state.current.with(|step| text::place(step.as_deref(), place.get(), last.get() + 1));
    let slide = move |event| {
        if let Ok(place) = event_target_value(&event).parse() {
            state.go_to_place(place);
        }
    };
    let change_speed = move |event| {
        let wanted: u32 = event_target_value(&event).parse().unwrap_or(1);
        state.player.update(|player| player.set_speed(wanted));
    };
    // A percentage of the lanes' width: the middle of the statement's own stretch.
    let cursor = move || {
        let [place, all] = [place.get(), last.get() + 1].map(|number| i64::try_from(number).unwrap_or(0));
        format!("{}%", text::decimal((2 * place + 1) * 100, (2 * all).max(1), 3))
    };
    view! {
        <section class="timeline" aria-label="Timeline">
            <div class="controls">
                <button
                    class="button primary play"
                    type="button"
                    disabled=move || state.steps.with(Vec::is_empty)
                    on:click=move |_| state.player.update(Player::toggle_play)
                >
                    {move || if playing.get() {
                        view! { <Icon kind=icon::Kind::Pause/>"Pause" }.into_any()
                    } else {
                        view! { <Icon kind=icon::Kind::Play/>"Play" }.into_any()
                    }}
                </button>
                <label class="inline">
                    <span>"Speed"</span>
                    <select on:change=change_speed prop:value=move || state.player.with(Player::speed).to_string()>
                        {SPEEDS.map(|speed| view! { <option value=speed.to_string()>{format!("{speed}×")}</option> }).collect_view()}
                    </select>
                </label>
                <label class="inline">
                    <input
                        type="checkbox"
                        prop:checked=move || state.player.with(Player::skips_idle)
                        on:change=move |_| state.player.update(Player::toggle_skip_idle)
                    />
                    <span>"Skip idle time"</span>
                </label>
                <span class="spring"></span>
                <Jump to=Move::PreviousTrouble label="Previous problem"/>
                <Jump to=Move::NextTrouble label="Next problem"/>
                <span class="clock tabular">{move || state.player.with(|player| text::duration(player.clock_ns()))}</span>
            </div>
            <div class="scale">
                <div class="lanes" aria-hidden="true" on:click=move |event| seek(state, &event, last.get_untracked() + 1)>
                    {Lane::ALL.map(|lane| view! { <LaneRow lane=lane/> }).collect_view()}
                    <div class="track-cursor"><div class="needle" style:left=cursor></div></div>
                </div>
                <div class="slide" style=("--all", move || (last.get() + 1).to_string())>
                    <input
                        type="range"
                        class="slider"
                        aria-label="Statement"
                        min="0"
                        max=move || last.get().to_string()
                        step="1"
                        prop:value=move || place.get().to_string()
                        aria-valuetext=spoken
                        on:input=slide
                    />
                </div>
            </div>
        </section>
    }
}

#[component]
fn Jump(to: Move, label: &'static str) -> impl IntoView {
    let state = expect_context::<State>();
    let possible = move || state.player.with(|player| player.can(to));
    view! {
        <button class="button" type="button" disabled=move || !possible() on:click=move |_| state.step(to)>{label}</button>
    }
}

#[component]
fn LaneRow(lane: Lane) -> impl IntoView {
    let state = expect_context::<State>();
    let marks = Memo::new(move |_| state.steps.with(|_| state.player.with(|player| stretches(player.marks(), lane))));
    let class = match lane {
        Lane::Reads => "lane reads",
        Lane::Writes => "lane writes",
        Lane::Errors => "lane errors",
        Lane::Idle => "lane idle",
    };
    view! {
        <div class=class>
            <span class="lane-name">{lane.name()}</span>
            <div class="track">
                {move || marks.get().into_iter().map(|stretch| {
                    // The lane is a thousand wide.
                    let [left, width] = [stretch.from, stretch.width].map(|share| format!("{}.{}%", share / 10, share % 10));
                    view! { <i style:left=left style:width=width></i> }
                }).collect_view()}
            </div>
        </div>
    }
}

/// A click into the lanes goes to the statement under it.
fn seek(state: State, event: &leptos::ev::MouseEvent, all: usize) {
    use wasm_bindgen::JsCast;
    let lanes = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let Some(track) = lanes.and_then(|lanes| lanes.query_selector(".track").ok().flatten()) else { return };
    let bounds = track.get_bounding_client_rect();
    if bounds.width() <= 0.0 {
        return;
    }
    let share = ((f64::from(event.client_x()) - bounds.left()) / bounds.width()).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, floored on purpose"
    )]
    state.go_to_place((share * all as f64) as usize);
}
