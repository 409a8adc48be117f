//! What the parts of a replay share, and how its statements come.
//!
//! Invariant: a page of statements is asked for once, and an answer that comes too late, or behind a newer question, changes
//! nothing.

use std::{collections::BTreeSet, sync::Arc};

use hansard_schemas::http::{ErrorBody, Found, Overview, Page, ResultGrid, SessionDetail, Step};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    pages::api::{self, Load, encode},
    player::{Move, Player},
    steps::{Lookup, PAGE, Steps, first_of, page_of},
    text,
};

/// Of a session that goes on: up to so many statements the lanes are counted again for each that comes.
const OFTEN_COUNTED: i64 = 20_000;

/// What the centre shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Statement,
    Result,
}

/// The statement that is asked for, as far as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Loading,
    /// The session has no statements.
    Nothing,
    /// The record has no statement of that number.
    Missing(i64),
    Step(Arc<Step>),
}

impl Shown {
    pub(super) fn step(&self) -> Option<&Arc<Step>> {
        match self {
            Shown::Step(step) => Some(step),
            Shown::Loading | Shown::Nothing | Shown::Missing(_) => None,
        }
    }
}

/// Everything the parts of the page share.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) id: StoredValue<String>,
    pub(super) session: RwSignal<Load<SessionDetail>>,
    pub(super) overview: RwSignal<Load<Overview>>,
    pub(super) steps: RwSignal<Steps>,
    /// Pages on their way.
    pending: StoredValue<BTreeSet<i64>>,
    pub(super) failed: RwSignal<Option<ErrorBody>>,
    pub(super) player: RwSignal<Player>,
    pub(super) shown: Memo<Shown>,
    pub(super) tab: RwSignal<Tab>,
    pub(super) result: RwSignal<Load<ResultGrid>>,
    /// The first row of a result to fetch, from 1.
    pub(super) first_row: RwSignal<u64>,
    /// What is sought in the statements, and where it was found.
    pub(super) find: RwSignal<String>,
    pub(super) found: RwSignal<Option<Found>>,
    /// Numbers what is sought: only the last answer counts.
    sought: StoredValue<u64>,
    /// Of a session that goes on: statements that came since somebody looked, and whether to go with them.
    pub(super) fresh: RwSignal<i64>,
    pub(super) follow: RwSignal<bool>,
    /// Said once, to be read aloud.
    pub(super) message: RwSignal<String>,
    pub(super) help: RwSignal<bool>,
}

impl State {
    pub(super) fn new(id: String, step: Option<i64>, tab: Tab, find: String) -> State {
        let (session, overview) = (RwSignal::new(Load::Loading), RwSignal::new(Load::Loading));
        let (steps, player) = (RwSignal::new(Steps::default()), RwSignal::new(Player::new(step)));
        let shown = Memo::new(move |_| {
            let (at, last) = player.with(|player| (player.at(), player.last()));
            let known = session.with(|session| !matches!(session, Load::Loading));
            let Some(no) = at else {
                return if known && last == 0 { Shown::Nothing } else { Shown::Loading };
            };
            match steps.with(|steps| steps.get(no)) {
                Lookup::Here(step) => Shown::Step(step),
                Lookup::Absent if known => Shown::Missing(no),
                Lookup::NotLoaded if known && (no < 1 || no > last) => Shown::Missing(no),
                Lookup::Absent | Lookup::NotLoaded => Shown::Loading,
            }
        });
        State {
            id: StoredValue::new(id),
            session,
            overview,
            steps,
            pending: StoredValue::new(BTreeSet::new()),
            failed: RwSignal::new(None),
            player,
            shown,
            tab: RwSignal::new(tab),
            result: RwSignal::new(Load::Loading),
            first_row: RwSignal::new(1),
            find: RwSignal::new(find),
            found: RwSignal::new(None),
            sought: StoredValue::new(0),
            fresh: RwSignal::new(0),
            follow: RwSignal::new(false),
            message: RwSignal::new(String::new()),
            help: RwSignal::new(false),
        }
    }

    pub(super) fn api(self, below: &str) -> String {
        format!("/sessions/{}{below}", encode(&self.id.get_value()))
    }

    /// False once the page has been left.
    pub(super) fn lives(self) -> bool {
        self.message.try_get_untracked().is_some()
    }

    pub(super) fn step(self, to: Move) {
        self.player.update(|player| {
            player.step(to);
        });
    }

    pub(super) fn go(self, no: i64) {
        self.player.update(|player| player.go(no));
    }

    pub(super) fn at(self) -> i64 {
        self.player.with_untracked(Player::at).unwrap_or(0)
    }

    /// How many statements there are.
    pub(super) fn last(self) -> i64 {
        self.player.with(Player::last)
    }

    /// Fetches the page of a statement, unless it is here or on its way.
    pub(super) fn want(self, no: i64) {
        let page = page_of(no);
        let here = self.steps.try_update_untracked(|steps| steps.use_page(page)).unwrap_or(true);
        if no >= 1 && !here {
            self.fetch(page);
        }
    }

    pub(super) fn fetch(self, page: i64) {
        if !self.pending.try_update_value(|pending| pending.insert(page)).unwrap_or(false) {
            return;
        }
        let address = self.api(&format!("/steps?from={}&limit={PAGE}", first_of(page)));
        spawn_local(async move {
            let answer = api::get::<Page<Step>>(&address).await;
            if !self.lives() {
                return;
            }
            self.pending.update_value(|pending| {
                pending.remove(&page);
            });
            match answer {
                Err(error) => self.failed.set(Some(error)),
                Ok(found) => {
                    self.failed.set(None);
                    let last = found.items.last().map_or(0, |step| step.no);
                    self.player.update(|player| player.grow(last));
                    self.steps.update(|steps| steps.put(page, found.items));
                }
            }
        });
    }

    /// Asks for the session and for what it is at a glance, and again for what may have changed.
    pub(super) fn look(self) {
        spawn_local(async move {
            let answer = api::get::<SessionDetail>(&self.api("")).await;
            if !self.lives() {
                return;
            }
            if let Ok(session) = &answer {
                let gaps = self.session.with_untracked(|session| match session {
                    Load::Ready(session) => Some(session.summary.gap_count),
                    Load::Loading | Load::Failed(_) => None,
                });
                let (before, now) = (self.player.with_untracked(Player::last), session.summary.statements);
                if now > before {
                    self.player.update(|player| player.grow(now));
                    self.fresh.update(|fresh| *fresh += if before > 0 { now - before } else { 0 });
                    if self.follow.get_untracked() {
                        self.to_live_edge();
                    }
                }
                let grown = now > before && now <= OFTEN_COUNTED;
                if gaps.is_some_and(|gaps| grown || gaps != session.summary.gap_count) {
                    self.look_over();
                }
            }
            self.session.set(answer.into());
        });
    }

    pub(super) fn look_over(self) {
        spawn_local(async move {
            let answer = api::get::<Overview>(&self.api("/overview")).await;
            if !self.lives() {
                return;
            }
            let landing = answer.as_ref().ok().map(|overview| (overview.last, overview.landing.unwrap_or(1)));
            self.player.update(|player| match landing {
                Some((last, no)) => {
                    player.grow(last);
                    player.land(no);
                }
                None => player.land(1),
            });
            self.overview.set(answer.into());
        });
    }

    /// Asks again for what may have changed.
    pub(super) fn refresh(self) {
        self.look();
        for page in self.steps.with_untracked(Steps::unsettled) {
            self.fetch(page);
        }
    }

    /// `L`: the last statement, and whatever comes after it.
    pub(super) fn to_live_edge(self) {
        self.fresh.set(0);
        self.step(Move::Last);
    }

    /// Goes to the next one of a kind, as the server finds it.
    pub(super) fn seek(self, of: &'static str, more: String, back: bool, none: &'static str) {
        let number = self.sought.get_value() + 1;
        self.sought.set_value(number);
        let address = self.api(&format!("/find?of={of}&from={}&back={back}{more}", self.at()));
        spawn_local(async move {
            let answer = api::get::<Found>(&address).await;
            if self.sought.try_get_value() != Some(number) {
                return;
            }
            match answer {
                Err(error) => self.message.set(error.message),
                Ok(found) => {
                    match found.no {
                        Some(no) => self.go(no),
                        None => self.message.set(none.to_owned()),
                    }
                    if of == "text" && (found.no.is_some() || found.total == 0) {
                        self.found.set(Some(found));
                    }
                }
            }
        });
    }

    pub(super) fn seek_trouble(self, back: bool) {
        self.seek("trouble", String::new(), back, "No denial or error that way.");
    }

    pub(super) fn seek_transaction(self, back: bool) {
        self.seek("transaction", String::new(), back, "No transaction that way.");
    }

    pub(super) fn seek_text(self, back: bool) {
        let words = self.find.get_untracked();
        if !words.is_empty() {
            self.seek("text", format!("&text={}", encode(&words)), back, "Not found that way.");
        }
    }

    /// How many statements hold what is sought, and which of them this one is, without going anywhere.
    pub(super) fn count_text(self, no: i64) {
        let words = encode(&self.find.get_untracked());
        let address = self.api(&format!("/find?of=text&text={words}&from={}", no.saturating_sub(1)));
        spawn_local(async move {
            if let Ok(found) = api::get::<Found>(&address).await
                && self.lives()
            {
                let place = if found.no == Some(no) { found.place } else { 0 };
                self.found.set(Some(Found { place, ..found }));
            }
        });
    }

    /// So much recorded time on, or back: the last statement begun by then, but always at least one.
    pub(super) fn seek_time(self, by_ns: i64) {
        let Some(step) = self.shown.with_untracked(|shown| shown.step().cloned()) else { return };
        let number = self.sought.get_value() + 1;
        self.sought.set_value(number);
        let then = step.offset_ns.saturating_add(by_ns);
        let address = self.api(&format!("/find?of=time&offset_ns={then}"));
        spawn_local(async move {
            let answer = api::get::<Found>(&address).await;
            if self.sought.try_get_value() != Some(number) {
                return;
            }
            let found = answer.ok().and_then(|found| found.no).unwrap_or(1);
            let last = self.player.with_untracked(Player::last);
            self.go(if by_ns > 0 { found.max(step.no + 1).min(last) } else { found.min(step.no - 1).max(1) });
        });
    }

    /// The whole of a statement whose texts were shortened for a list.
    pub(super) async fn whole(self, no: i64) -> Result<Step, ErrorBody> {
        let whole = api::get::<Step>(&self.api(&format!("/steps/{no}"))).await;
        if let (Ok(step), true) = (&whole, self.lives()) {
            self.steps.update(|steps| steps.replace(step.clone()));
        }
        whole
    }

    pub(super) fn load_whole(self, no: i64) {
        spawn_local(async move {
            if let Err(error) = self.whole(no).await {
                self.message.set(error.message);
            }
        });
    }

    /// The address of what is shown, for somebody else.
    pub(super) fn link(self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if let Some(no) = self.player.with_untracked(Player::at) {
            parts.push(format!("step={no}"));
        }
        if self.tab.get_untracked() == Tab::Result {
            parts.push("tab=result".to_owned());
        }
        let find = self.find.get_untracked();
        if !find.is_empty() {
            parts.push(format!("find={}", encode(&find)));
        }
        format!("/sessions/{}?{}", encode(&self.id.get_value()), parts.join("&"))
    }

    pub(super) async fn copy(self, text: &str, done: String) {
        let promise = window().navigator().clipboard().write_text(text);
        let copied = wasm_bindgen_futures::JsFuture::from(promise).await.is_ok();
        if self.lives() {
            self.message.set(if copied { done } else { "The browser did not allow copying.".into() });
        }
    }

    pub(super) fn copy_link(self) {
        let origin = window().location().origin().unwrap_or_default();
        let link = format!("{origin}{}", self.link());
        spawn_local(async move { self.copy(&link, "Link copied.".into()).await });
    }

    /// All of the text, also where the page holds its beginning.
    pub(super) fn copy_sql(self) {
        let Some(step) = self.shown.with_untracked(|shown| shown.step().cloned()) else { return };
        if step.text_omitted {
            self.message.set("Its text is not recorded: there is nothing to copy.".into());
            return;
        }
        spawn_local(async move {
            let step = if step.cut { self.whole(step.no).await.map(Arc::new) } else { Ok(step) };
            match step {
                Err(error) => self.message.set(error.message),
                Ok(step) => {
                    let letters = i64::try_from(step.sql.chars().count()).unwrap_or(i64::MAX);
                    let letters = text::counted(letters, "character");
                    let done = if step.truncated {
                        format!("Copied the first {letters} of the SQL: the recorded frames hold all of it.")
                    } else {
                        format!("SQL copied: {letters}.")
                    };
                    self.copy(&step.sql, done).await;
                }
            }
        });
    }
}
