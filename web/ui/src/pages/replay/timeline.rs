//! Bottom: playing, and the session at a glance.
//!
//! Invariant: the slider is a native range input over the statements; the lanes below it are over time, as the server counted
//! them, and the needle in them is the time of the statement shown.

use hansard_schemas::http::Overview;
use leptos::{html::Input, prelude::*};

use super::{State, offset};
use crate::{
    lanes::{Lane, Piece, pieces, place, statement_at},
    pages::{api::Load, icon},
    player::{Player, SPEEDS},
    states, text,
};

#[component]
pub(super) fn Timeline() -> impl IntoView {
    let state = expect_context::<State>();
    let playing = Memo::new(move |_| state.player.with(Player::is_playing));
    let last = Memo::new(move |_| state.last());
    let at = Memo::new(move |_| state.player.with(Player::at).unwrap_or(0));
    let spoken =
        move || state.shown.with(|shown| states::place(shown.step().map(|step| &**step), at.get(), last.get()));
    let slide = move |event| {
        if let Ok(no) = event_target_value(&event).parse() {
            state.go(no);
        }
    };
    let change_speed = move |event| {
        let wanted: u32 = event_target_value(&event).parse().unwrap_or(1);
        state.player.update(|player| player.set_speed(wanted));
    };
    let clock = move || {
        let ns = state.player.with(|player| state.steps.with(|steps| player.clock_ns(|no| offset(steps, no))));
        text::duration(ns)
    };
    // A slider takes no value beyond its end: so the value comes after the end.
    let slider = NodeRef::<Input>::new();
    Effect::new(move |_| {
        let (at, last) = (at.get(), last.get().max(1));
        if let Some(slider) = slider.get() {
            slider.set_max(&last.to_string());
            slider.set_value(&at.to_string());
        }
    });
    view! {
        <section class="timeline" aria-label="Timeline">
            <div class="controls">
                <button
                    class="button primary play"
                    type="button"
                    disabled=move || last.get() == 0
                    on:click=move |_| state.player.update(Player::toggle_play)
                >
                    {move || if playing.get() {
                        view! { {icon::icon(icon::Kind::Pause)}"Pause" }.into_any()
                    } else {
                        view! { {icon::icon(icon::Kind::Play)}"Play" }.into_any()
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
                <Troubles/>
                <span class="clock tabular">{clock}</span>
            </div>
            <input
                type="range"
                class="slider"
                aria-label="Statement"
                min="1"
                step="1"
                node_ref=slider
                aria-valuetext=spoken
                on:input=slide
            />
            <Lanes/>
        </section>
    }
}

#[component]
fn Troubles() -> impl IntoView {
    let state = expect_context::<State>();
    let troubles = Memo::new(move |_| {
        state.overview.with(|overview| match overview {
            Load::Ready(overview) => overview.troubles,
            Load::Loading | Load::Failed(_) => 0,
        })
    });
    let none = move || troubles.get() == 0;
    view! {
        <span class="quiet tabular">{move || text::counted(troubles.get(), "problem")}</span>
        <button class="button" type="button" disabled=none on:click=move |_| state.seek_trouble(true)>"Previous problem"</button>
        <button class="button" type="button" disabled=none on:click=move |_| state.seek_trouble(false)>"Next problem"</button>
    }
}

/// Thousandths of the width, as a style has it.
fn share(thousandths: i64) -> String {
    format!("{}%", text::decimal(thousandths, 10, 1))
}

#[component]
fn Lanes() -> impl IntoView {
    let state = expect_context::<State>();
    let needle = move || {
        let offset = state.shown.with(|shown| shown.step().map(|step| step.offset_ns));
        state.overview.with(|overview| match (overview, offset) {
            (Load::Ready(overview), Some(offset)) => {
                Some(format!("{}%", text::decimal(place(overview, offset), 10_000, 2)))
            }
            _ => None,
        })
    };
    move || {
        state.overview.with(|overview| match overview {
            Load::Ready(overview) if overview.last > 0 => {
                let lanes = Lane::ALL.map(|lane| lane_row(lane, &pieces(overview, lane))).collect_view();
                let gaps = gaps(overview);
                let seek = {
                    let overview = overview.clone();
                    move |event: leptos::ev::MouseEvent| {
                        if let Some(thousandths) = thousandths(&event) {
                            state.go(statement_at(&overview, thousandths));
                        }
                    }
                };
                view! {
                    <div class="lanes" aria-hidden="true" on:click=seek>
                        {lanes}
                        {gaps}
                        <div class="track-cursor">{move || needle().map(|left| view! { <div class="needle" style:left=left></div> })}</div>
                    </div>
                }
                .into_any()
            }
            Load::Failed(_) => view! { <p class="quiet">"The timeline could not be read."</p> }.into_any(),
            Load::Ready(_) | Load::Loading => ().into_any(),
        })
    }
}

fn lane_row(lane: Lane, pieces: &[Piece]) -> impl IntoView + use<> {
    let class = match lane {
        Lane::Reads => "lane reads",
        Lane::Writes => "lane writes",
        Lane::Errors => "lane errors",
        Lane::Idle => "lane idle",
    };
    let pieces = pieces
        .iter()
        .map(|piece| view! { <i style:left=share(piece.from) style:width=share(piece.width)></i> })
        .collect_view();
    view! { <div class=class><span class="lane-name">{lane.name()}</span><div class="track">{pieces}</div></div> }
}

/// Where frames are missing, a lane of its own. A gap whose time is not known is told in words alone.
fn gaps(overview: &Overview) -> Option<impl IntoView + use<>> {
    (!overview.gaps.is_empty()).then(|| {
        let marks = overview
            .gaps
            .iter()
            .filter_map(|gap| Some((gap, gap.offset_ns.or((gap.after == 0).then_some(0))?)))
            .map(|(gap, offset)| {
                let left = text::decimal(place(overview, offset), 10_000, 2);
                let title = crate::visible::escaped(&states::gap_place(gap));
                view! { <i style:left=format!("{left}%") title=title></i> }
            })
            .collect_view();
        view! { <div class="lane gaps"><span class="lane-name">"Gaps"</span><div class="track">{marks}</div></div> }
    })
}

/// Where in the lanes a click is.
fn thousandths(event: &leptos::ev::MouseEvent) -> Option<i64> {
    use wasm_bindgen::JsCast;
    let lanes = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok())?;
    let bounds = lanes.query_selector(".track").ok().flatten()?.get_bounding_client_rect();
    if bounds.width() <= 0.0 {
        return None;
    }
    let share = ((f64::from(event.client_x()) - bounds.left()) / bounds.width()).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a share of a thousand, floored on purpose")]
    Some((share * 1000.0) as i64)
}
