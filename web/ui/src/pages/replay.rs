//! One session, statement by statement.
//!
//! Invariant: the player decides what is shown; everything here only reads it, and hands it keys, clicks and time.

use std::{sync::Arc, time::Duration};

use hansard_schemas::http::{ErrorBody, Page, ResultGrid, SessionDetail, SessionOutcome, Step};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::{
    components::A,
    hooks::{use_params_map, use_query_map},
};

use super::{
    api::{self, Failure, Load, encode},
    icon::{self, Badge, Icon},
    recorded::Recorded,
    set_title,
};
use crate::{
    player::{Mark, Move, Player},
    text, visible,
};

mod facts;
mod grid;
mod help;
pub(super) mod keys;
mod list;
mod statement;
mod timeline;

/// Statements fetched at once, and at most.
const PAGE: usize = 1000;
const MOST: usize = 20_000;
/// How long to wait for the next key before fetching or writing the address.
const SETTLE: Duration = Duration::from_millis(150);
/// How often a playing player is told the time.
const TICK: Duration = Duration::from_millis(50);

/// What the centre shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Statement,
    Result,
}

/// Everything the parts of the page share.
#[derive(Clone, Copy)]
struct State {
    id: StoredValue<String>,
    session: RwSignal<Load<SessionDetail>>,
    steps: RwSignal<Vec<Arc<Step>>>,
    /// Where the next page of steps begins.
    next: RwSignal<Option<String>>,
    loading: RwSignal<bool>,
    failed: RwSignal<Option<ErrorBody>>,
    player: RwSignal<Player>,
    current: Memo<Option<Arc<Step>>>,
    tab: RwSignal<Tab>,
    result: RwSignal<Load<ResultGrid>>,
    /// Rows of a result to fetch.
    rows: RwSignal<usize>,
    /// Said once, to be read aloud.
    message: RwSignal<String>,
    help: RwSignal<bool>,
}

impl State {
    fn new(id: String, step: Option<i64>, tab: Tab) -> State {
        let session = api::load::<SessionDetail>({
            let id = id.clone();
            move || format!("/sessions/{}", encode(&id))
        });
        let (steps, player) = (RwSignal::new(Vec::<Arc<Step>>::new()), RwSignal::new(Player::new(step)));
        State {
            id: StoredValue::new(id),
            session,
            steps,
            next: RwSignal::new(None),
            loading: RwSignal::new(false),
            failed: RwSignal::new(None),
            player,
            current: Memo::new(move |_| {
                let place = player.with(Player::place);
                steps.with(|steps| steps.get(place).cloned())
            }),
            tab: RwSignal::new(tab),
            result: RwSignal::new(Load::Loading),
            rows: RwSignal::new(grid::FIRST_ROWS),
            message: RwSignal::new(String::new()),
            help: RwSignal::new(false),
        }
    }

    fn step(self, to: Move) {
        self.player.update(|player| {
            player.step(to);
        });
    }

    fn go_to_place(self, place: usize) {
        self.player.update(|player| player.go_to_place(place));
    }

    /// Fetches statements from `from` on, page after page, up to [`MOST`].
    fn load_steps(self, from: Option<String>) {
        if self.loading.get_untracked() {
            return;
        }
        self.loading.set(true);
        self.failed.set(None);
        let id = encode(&self.id.get_value());
        spawn_local(async move {
            let mut cursor = from;
            loop {
                let after = cursor.as_deref().map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
                let page = api::get::<Page<Step>>(&format!("/sessions/{id}/steps?limit={PAGE}{after}")).await;
                // The page may have been left meanwhile.
                if self.loading.try_get_untracked().is_none() {
                    return;
                }
                match page {
                    Err(error) => {
                        self.failed.set(Some(error));
                        break;
                    }
                    Ok(page) => {
                        self.add(page.items);
                        cursor = page.next;
                    }
                }
                if cursor.is_none() || self.steps.with_untracked(Vec::len) >= MOST {
                    break;
                }
            }
            self.next.set(cursor);
            self.loading.set(false);
        });
    }

    /// Adds steps; one that is known already is replaced, for it may have ended meanwhile.
    fn add(self, fresh: Vec<Step>) {
        let Some(first) = fresh.first().map(|step| step.no) else { return };
        self.steps.update(|steps| {
            steps.truncate(steps.partition_point(|step| step.no < first));
            steps.extend(fresh.into_iter().map(Arc::new));
        });
        let marks = self.steps.with_untracked(|steps| steps.iter().map(|step| Mark::of(step)).collect());
        self.player.update(|player| player.load(marks));
    }

    /// Asks again for what may have changed: the session, and the statements of its last, maybe open, transactions.
    fn refresh(self) {
        let id = encode(&self.id.get_value());
        spawn_local(async move {
            let answer = api::get::<SessionDetail>(&format!("/sessions/{id}")).await;
            if self.loading.try_get_untracked().is_some() {
                self.session.set(answer.into());
            }
        });
        let unsettled = self.steps.with_untracked(|steps| {
            let first = steps.iter().find(|step| step.transaction_outcome == "open" || step.duration_ns.is_none());
            first.or_else(|| steps.last()).map(|step| step.no.to_string())
        });
        self.load_steps(unsettled);
    }

    /// Replaces a shortened step by the whole one.
    fn load_whole(self, no: i64) {
        let id = encode(&self.id.get_value());
        spawn_local(async move {
            let answer = api::get::<Step>(&format!("/sessions/{id}/steps/{no}")).await;
            match answer {
                Ok(whole) => self.steps.update(|steps| {
                    if let Ok(place) = steps.binary_search_by_key(&no, |step| step.no) {
                        steps[place] = Arc::new(whole);
                    }
                }),
                Err(error) => self.message.set(error.message),
            }
        });
    }

    /// The address of what is shown, for somebody else.
    fn link(self) -> String {
        let no = self.current.with_untracked(|step| step.as_ref().map(|step| step.no));
        let tab = if self.tab.get_untracked() == Tab::Result { "&tab=result" } else { "" };
        let step = no.map(|no| format!("?step={no}{tab}")).unwrap_or_default();
        format!("/sessions/{}{step}", encode(&self.id.get_value()))
    }

    fn copy(self, text: String, done: &'static str) {
        let promise = window().navigator().clipboard().write_text(&text);
        spawn_local(async move {
            let copied = wasm_bindgen_futures::JsFuture::from(promise).await.is_ok();
            self.message.set(if copied { done } else { "The browser did not allow copying." }.into());
        });
    }

    fn copy_link(self) {
        let origin = window().location().origin().unwrap_or_default();
        self.copy(format!("{origin}{}", self.link()), "Link copied.");
    }

    fn copy_sql(self) {
        if let Some(step) = self.current.get_untracked() {
            self.copy(step.sql.clone(), "SQL copied.");
        }
    }
}

#[component]
pub(super) fn Replay() -> impl IntoView {
    let params = use_params_map();
    // Another session in the address is another page.
    move || {
        let id = params.with(|params| params.get("id").unwrap_or_default());
        view! { <Session id=id/> }
    }
}

#[component]
fn Session(id: String) -> impl IntoView {
    let query = use_query_map().get_untracked();
    let step = query.get("step").and_then(|step| step.parse().ok());
    let tab = if query.get("tab").as_deref() == Some("result") { Tab::Result } else { Tab::Statement };
    let state = State::new(id, step, tab);
    provide_context(state);
    set_title("Session");

    state.load_steps(None);
    fetch_results(state);
    keep_address(state);
    let ticking = set_interval_with_handle(
        move || {
            if state.player.with_untracked(Player::is_playing) {
                let nanoseconds = i64::try_from(TICK.as_nanos()).unwrap_or(i64::MAX);
                state.player.update(|player| {
                    player.tick(nanoseconds);
                });
            }
        },
        TICK,
    );
    on_cleanup(move || {
        if let Ok(ticking) = ticking {
            ticking.clear();
        }
    });
    keys::listen(state);

    view! {
        <main id="main" class="replay">
            <Heading/>
            <list::List/>
            <statement::Statement/>
            <facts::Facts/>
            <timeline::Timeline/>
            <help::Help/>
            <div class="sr-only" role="status" aria-live="polite">
                {move || {
                    let place = state.player.with(Player::place);
                    let all = state.steps.with(Vec::len);
                    state.current.with(|step| text::place(step.as_deref(), place, all))
                }}
            </div>
            <div class="toast" role="status" class:shown=move || state.message.with(|message| !message.is_empty())>
                {state.message}
            </div>
        </main>
    }
}

/// Fetches the result of the statement shown, once the keys have come to rest.
fn fetch_results(state: State) {
    let asked = StoredValue::new(0_u64);
    let shown = Memo::new(move |_| state.current.with(|step| step.as_ref().map(|step| step.no)));
    // A new statement begins with few rows again.
    Effect::new(move |_| {
        shown.track();
        if state.rows.get_untracked() != grid::FIRST_ROWS {
            state.rows.set(grid::FIRST_ROWS);
        }
    });
    Effect::new(move |_| {
        let (Some(no), rows) = (shown.get(), state.rows.get()) else { return };
        let number = asked.get_value() + 1;
        asked.set_value(number);
        state.result.set(Load::Loading);
        let id = encode(&state.id.get_value());
        let is_current = move || asked.try_get_value() == Some(number);
        set_timeout(
            move || {
                if !is_current() {
                    return;
                }
                spawn_local(async move {
                    let answer = api::get::<ResultGrid>(&format!("/sessions/{id}/steps/{no}/result?rows={rows}")).await;
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
    Effect::new(move |_| {
        state.current.track();
        state.tab.track();
        // A deep link that is still loading stays as it is.
        if state.current.with(Option::is_none) || state.player.with(|player| player.wanted().is_some()) {
            return;
        }
        let number = asked.get_value() + 1;
        asked.set_value(number);
        set_timeout(
            move || {
                if asked.try_get_value() == Some(number)
                    && let Ok(history) = window().history()
                {
                    let kept = history.state().unwrap_or_default();
                    // Refused when it is done too often: the next one will do.
                    let _ = history.replace_state_with_url(&kept, "", Some(&state.link()));
                }
            },
            SETTLE,
        );
    });
    Effect::new(move |_| {
        if state.message.with(|message| !message.is_empty()) {
            set_timeout(move || state.message.set(String::new()), Duration::from_secs(4));
        }
    });
}

#[component]
fn Heading() -> impl IntoView {
    let state = expect_context::<State>();
    let session = move || match state.session.get() {
        Load::Ready(session) => Some(session),
        _ => None,
    };
    Effect::new(move |_| {
        if let Some(session) = session() {
            set_title(&format!(
                "{} at {}",
                visible::escaped(&session.summary.job),
                text::time(&session.summary.opened_at)
            ));
        }
    });
    view! {
        <div class="heading">
            <nav aria-label="Breadcrumb"><A href="/sessions">"Sessions"</A>" / "</nav>
            {move || match state.session.get() {
                Load::Loading => view! { <h1>"Session"</h1> }.into_any(),
                Load::Failed(error) => view! { <h1>"Session"</h1><Failure error=error/> }.into_any(),
                Load::Ready(session) => {
                    let summary = session.summary;
                    let job = if summary.job.is_empty() { "(unknown job)".to_owned() } else { summary.job };
                    let live = summary.outcome == SessionOutcome::Live;
                    view! {
                        <h1><Recorded text=job/></h1>
                        <Badge kind=icon::Kind::of_session(summary.outcome) text=text::session_outcome(summary.outcome)/>
                        <span class="quiet when">
                            {text::date(&summary.opened_at).to_owned()}" "{text::time(&summary.opened_at).to_owned()}" UTC"
                        </span>
                        {live.then(|| view! {
                            <button class="button" type="button" on:click=move |_| state.refresh()>
                                <Icon kind=icon::Kind::Refresh/>"Load what is new"
                            </button>
                        })}
                    }
                    .into_any()
                }
            }}
            <span class="spring"></span>
            <button class="button" type="button" on:click=move |_| state.copy_link()>
                <Icon kind=icon::Kind::Copy/>"Copy link"
            </button>
            <button class="button" type="button" on:click=move |_| state.help.set(true)>
                <Icon kind=icon::Kind::Keyboard/>"Keys"
            </button>
        </div>
    }
}
