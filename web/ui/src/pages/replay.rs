//! One session, statement by statement.
//!
//! Invariants: the player decides what is shown; everything here only reads it, and hands it keys, clicks and time. The
//! statement that an address names is fetched first, whatever the session's length; of the others only what is looked at.

use std::time::Duration;

use hansard_schemas::http::{ResultGrid, SessionDetail, SessionOutcome};
use leptos::{prelude::*, task::spawn_local};

use super::{
    api::{self, Failure, Load},
    icon::{self, Badge},
    recorded::recorded,
    route::{self, use_route},
    set_title,
};
use crate::{
    player::Player,
    states,
    steps::{PAGE, Steps, first_of, page_of},
    text, visible,
};

mod facts;
mod grid;
mod help;
pub(super) mod keys;
mod list;
mod said;
mod state;
mod statement;
mod timeline;

use state::{Shown, State, Tab};

/// Sessions of so many statements are fetched whole once the wanted one is here.
const SHORT: i64 = 1_000;
/// How long to wait for the next key before fetching a result.
const SETTLE: Duration = Duration::from_millis(150);
/// The same before writing the address; browsers refuse to do that too often.
const SETTLE_ADDRESS: Duration = Duration::from_millis(350);
/// How often a playing player is told the time.
const TICK: Duration = Duration::from_millis(50);
/// How often a session that goes on is asked for what is new.
const LOOK: Duration = Duration::from_secs(3);

#[component]
pub(super) fn Session(id: String) -> impl IntoView {
    let route = use_route();
    let number = |text: Option<String>| text.and_then(|step| step.parse::<i64>().ok());
    let address = route.address_untracked();
    let step = number(address.get("step"));
    let tab = if address.get("tab").as_deref() == Some("result") { Tab::Result } else { Tab::Statement };
    let state = State::new(id, step, tab, address.get("find").unwrap_or_default());
    provide_context(state);
    set_title("Session");

    // The wanted statement comes first.
    state.want(step.unwrap_or(1));
    state.look();
    state.look_over();
    match step {
        _ if state.find.get_untracked().is_empty() => {}
        None => state.seek_text(false),
        Some(no) => state.count_text(no),
    }
    Effect::new(move |_| {
        let (at, playing) = state.player.with(|player| (player.at(), player.is_playing()));
        if let Some(no) = at {
            state.want(no);
            if playing {
                state.want(no + PAGE / 2);
            }
        }
    });
    Effect::new(move |_| {
        let last = state.last();
        if last <= SHORT {
            (0..=page_of(last)).for_each(|page| state.want(first_of(page)));
        }
    });
    // Somebody goes back or on, or follows a link into this session.
    Effect::new(move |before: Option<()>| {
        let address = route.address();
        if before.is_some()
            && let Some(no) = number(address.get("step"))
            && no != state.at()
        {
            state.go(no);
        }
    });
    fetch_results(state);
    keep_address(state);
    every(TICK, move || {
        if state.player.with_untracked(Player::is_playing) {
            let nanoseconds = i64::try_from(TICK.as_nanos()).unwrap_or(i64::MAX);
            state.player.update(|player| {
                state.steps.with_untracked(|steps| player.tick(nanoseconds, |no| offset(steps, no)));
            });
        }
    });
    every(LOOK, move || {
        let live = |session: &Load<SessionDetail>| match session {
            Load::Ready(session) => session.summary.outcome == SessionOutcome::Live,
            Load::Loading | Load::Failed(_) => false,
        };
        if state.session.with_untracked(live) && !document().hidden() {
            state.refresh();
        }
    });
    keys::listen(state);
    // Of a session that is not there, or not here yet, nothing is told: not that it has no statements either.
    let known = Memo::new(move |before: Option<&bool>| {
        before == Some(&true) || state.session.with(|session| matches!(session, Load::Ready(_)))
    });

    view! {
        <main id="main" class="replay">
            <Heading/>
            <Show when=move || known.get()>
                <list::List/>
                <statement::Statement/>
                <facts::Facts/>
                <timeline::Timeline/>
            </Show>
            <help::Help/>
            <div class="sr-only" role="status" aria-live="polite">
                {move || {
                    let at = state.player.with(Player::at).unwrap_or(0);
                    state.shown.with(|shown| match shown {
                        Shown::Missing(no) => format!("There is no statement {no}"),
                        shown => states::place(shown.step().map(|step| &**step), at, state.last()),
                    })
                }}
            </div>
            <div class="toast" role="status" class:shown=move || state.message.with(|message| !message.is_empty())>
                {state.message}
            </div>
        </main>
    }
}

/// When a statement that is here began.
fn offset(steps: &Steps, no: i64) -> Option<i64> {
    steps.here(no).map(|step| step.offset_ns.max(0))
}

/// Does something again and again, until the page is left.
fn every(interval: Duration, what: impl Fn() + 'static) {
    let ticking = set_interval_with_handle(what, interval);
    on_cleanup(move || {
        if let Ok(ticking) = ticking {
            ticking.clear();
        }
    });
}

/// Fetches the result of the statement shown, once the keys have come to rest.
fn fetch_results(state: State) {
    let asked = StoredValue::new(0_u64);
    let shown = Memo::new(move |_| state.shown.with(|shown| shown.step().map(|step| (step.no, step.duration_ns))));
    // A new statement begins with its first rows.
    Effect::new(move |_| {
        shown.track();
        if state.first_row.get_untracked() != 1 {
            state.first_row.set(1);
        }
    });
    Effect::new(move |_| {
        let (Some((no, _)), first) = (shown.get(), state.first_row.get()) else { return };
        let number = asked.get_value() + 1;
        asked.set_value(number);
        state.result.set(Load::Loading);
        let address = state.api(&format!("/steps/{no}/result?from={first}&rows={}", grid::ROWS));
        let is_current = move || asked.try_get_value() == Some(number);
        set_timeout(
            move || {
                if !is_current() {
                    return;
                }
                spawn_local(async move {
                    let answer = api::get::<ResultGrid>(&address).await;
                    if is_current() {
                        state.result.set(answer.into());
                    }
                });
            },
            SETTLE,
        );
    });
}

/// Keeps the address naming what is shown, without a step in the browser's history for each key.
fn keep_address(state: State) {
    let asked = StoredValue::new(0_u64);
    let write = move || {
        let number = asked.get_value() + 1;
        asked.set_value(number);
        set_timeout(
            move || {
                // Refused when it is done too often: then once more, later.
                if asked.try_get_value() == Some(number) && !route::replace(&state.link()) {
                    set_timeout(
                        move || {
                            if asked.try_get_value() == Some(number) {
                                route::replace(&state.link());
                            }
                        },
                        Duration::from_secs(10),
                    );
                }
            },
            SETTLE_ADDRESS,
        );
    };
    Effect::new(move |_| {
        state.tab.track();
        state.find.track();
        if state.player.with(Player::at).is_some() {
            write();
        }
    });
    Effect::new(move |_| {
        if state.message.with(|message| !message.is_empty()) {
            set_timeout(move || state.message.set(String::new()), Duration::from_secs(6));
        }
    });
}

#[component]
fn Heading() -> impl IntoView {
    let state = expect_context::<State>();
    Effect::new(move |_| {
        if let Load::Ready(session) = state.session.get() {
            let job = visible::escaped(&session.summary.job);
            set_title(&format!("{job} at {}", text::time(&session.summary.opened_at)));
        }
    });
    // What stands there need not be made anew each time that a live session is asked.
    let told = Memo::new(move |_| match state.session.get() {
        Load::Loading => None,
        Load::Failed(error) => Some(Err(error)),
        Load::Ready(session) => Some(Ok((session.summary, session.capture))),
    });
    view! {
        <div class="heading">
            <nav aria-label="Breadcrumb"><a href="/sessions">"Sessions"</a>" / "</nav>
            {move || match told.get() {
                None => view! { <h1>"Session"</h1> }.into_any(),
                Some(Err(error)) => view! { <h1>"Session"</h1><Failure error=error/> }.into_any(),
                Some(Ok((summary, capture))) => {
                    let captured = match capture.as_deref() {
                        _ if summary.outcome == SessionOutcome::Refused => None,
                        Some("statements") => Some("Rows of results are not recorded"),
                        Some("metadata") => Some("Neither texts nor rows are recorded"),
                        _ => None,
                    };
                    let (ending, words) = states::ending(&summary);
                    let record = states::record(&summary);
                    let doubt = icon::Kind::of_record(&summary);
                    let job = if summary.job.is_empty() { "(unknown job)".to_owned() } else { summary.job };
                    view! {
                        <h1>{recorded(job)}</h1>
                        <Badge kind=icon::Kind::of_ending(ending) text=words/>
                        <Badge kind=doubt text=format!("Record: {}", text::decapitalised(&record))/>
                        {captured.map(|text| view! { <Badge kind=icon::Kind::Doubt text=text/> })}
                        <span class="quiet when">
                            {text::date(&summary.opened_at).to_owned()}" "{text::time(&summary.opened_at).to_owned()}" UTC"
                        </span>
                        {(ending == states::Ending::Open).then(|| view! { <Live/> })}
                    }
                    .into_any()
                }
            }}
            <span class="spring"></span>
            <button class="button" type="button" on:click=move |_| state.copy_link()>
                {icon::icon(icon::Kind::Copy)}"Copy link"
            </button>
            <button class="button" type="button" on:click=move |_| state.help.set(true)>
                {icon::icon(icon::Kind::Keyboard)}"Keys"
            </button>
            <Banner/>
        </div>
    }
}

/// What a reader must know before anything else: that the job was not let in, that the record is not whole.
#[component]
fn Banner() -> impl IntoView {
    let state = expect_context::<State>();
    let told = Memo::new(move |_| {
        let mut told: Vec<(bool, String)> = Vec::new();
        state.session.with(|session| {
            if let Load::Ready(session) = session {
                told.extend(session.auth_failure.as_ref().map(|reason| (true, format!("Not let in: {reason}"))));
                told.extend(states::unseen(&session.summary).map(|words| (false, words)));
            }
        });
        state.overview.with(|overview| {
            if let Load::Ready(overview) = overview
                && let Some(first) = overview.gaps.first()
            {
                let others = i64::try_from(overview.gaps.len()).unwrap_or(i64::MAX) - 1 + overview.more_gaps;
                let mut words = format!("Not all of this session is recorded: {}", states::gap_place(first));
                if others > 0 {
                    words += &format!(" {}: the session's facts name them.", text::counted(others, "more gap"));
                }
                told.push((false, words));
            }
        });
        told
    });
    let notice = |(refused, words): (bool, String)| {
        let (tone, kind) = if refused { ("bad", icon::Kind::Refused) } else { ("odd", icon::Kind::Warning) };
        icon::notice(tone, kind, view! { {recorded(words)} }.into_any())
    };
    move || told.get().into_iter().map(notice).collect_view()
}

/// What came of a session that goes on.
#[component]
fn Live() -> impl IntoView {
    let state = expect_context::<State>();
    view! {
        <label class="inline">
            <input
                type="checkbox"
                prop:checked=state.follow
                on:change=move |event| {
                    let follow = event_target_checked(&event);
                    state.follow.set(follow);
                    if follow {
                        state.to_live_edge();
                    }
                }
            />
            <span>"Follow"</span>
        </label>
        {move || {
            let fresh = state.fresh.get();
            (fresh > 0).then(|| view! {
                <button class="button" type="button" on:click=move |_| state.to_live_edge()>
                    {format!("{} new", text::count(fresh))}
                </button>
            })
        }}
    }
}
