//! The icons: strokes that take the text's colour. Each stands beside a word that says the same.

use hansard_schemas::http::{SessionOutcome, SessionSummary, Step};
use leptos::prelude::*;

use crate::{
    player::{Class, classify},
    states::{self, Ending},
};

/// What an icon shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Brand,
    Done,
    Failed,
    Denied,
    RolledBack,
    Open,
    Live,
    Warning,
    Refused,
    Play,
    Pause,
    Copy,
    Keyboard,
    Download,
    Refresh,
    Close,
    Doubt,
    Look,
    NotRun,
    Record,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Kind::Brand => "M3 3.5h10M3 6.5h10M3 9.5h6M3 12.5h8",
            Kind::Done => "M3.5 8.5l3 3 6-7",
            Kind::Failed => "M4.5 4.5l7 7M11.5 4.5l-7 7",
            Kind::Denied => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M4.2 11.8l7.6-7.6",
            Kind::RolledBack => "M6 3.5L3 6.5l3 3M3 6.5h6.5a3.25 3.25 0 0 1 0 6.5H6",
            Kind::Open => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3.2l2 1.3",
            Kind::Live => "M8 5.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5",
            Kind::Warning => "M8 2.5l6 11H2zM8 6.5v3.2M8 11.4v.4",
            Kind::Refused => "M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2",
            Kind::Play => "M5 3.5v9l7.5-4.5z",
            Kind::Pause => "M5.5 3.5v9M10.5 3.5v9",
            Kind::Copy => "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
            Kind::Keyboard => "M2 4.5h12v7H2zM4.5 7h.5M7.2 7h.5M10 7h.5M5 9.3h6",
            Kind::Download => "M8 2.5v7.5M5 7.5l3 3 3-3M3 13.5h10",
            Kind::Refresh => "M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3",
            Kind::Close => "M4 4l8 8M12 4l-8 8",
            Kind::Doubt => "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.6 8 9 8 10M8 12.6v.4",
            Kind::NotRun => "M4 8h8",
            Kind::Record => "M4 2.5h6l2.5 2.5v8.5h-8.5zM6 8h4.5M6 10.5h4.5",
            Kind::Look => "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.3 10.3l3.2 3.2",
        }
    }

    pub(super) fn of_ending(ending: Ending) -> Kind {
        match ending {
            Ending::Open => Kind::Live,
            Ending::Well => Kind::Done,
            Ending::Troubled => Kind::Failed,
            Ending::Broken => Kind::Warning,
            Ending::Refused => Kind::Refused,
        }
    }

    pub(super) fn of_record(session: &SessionSummary) -> Kind {
        match session.outcome {
            _ if session.gap_count > 0 => Kind::Warning,
            SessionOutcome::Incomplete => Kind::Warning,
            SessionOutcome::Live => Kind::Open,
            SessionOutcome::Complete | SessionOutcome::Refused => Kind::Record,
        }
    }

    pub(super) fn of_step(step: &Step) -> Kind {
        match classify(step) {
            Class::Denied => Kind::Denied,
            Class::Failed => Kind::Failed,
            Class::NotRun => Kind::NotRun,
            _ if states::is_unanswered(step) => Kind::Doubt,
            _ if step.transaction_outcome == "rolled back" => Kind::RolledBack,
            _ if step.transaction_outcome == "unknown" => Kind::Warning,
            _ if step.duration_ns.is_none() || step.transaction_outcome == "open" => Kind::Open,
            _ => Kind::Done,
        }
    }

    /// The colour that goes with it; never alone, see the words beside.
    pub(super) fn tone(self) -> &'static str {
        match self {
            Kind::Done => "good",
            Kind::Failed | Kind::Denied | Kind::Refused => "bad",
            Kind::RolledBack | Kind::Warning | Kind::Doubt | Kind::NotRun => "odd",
            Kind::Live => "live",
            _ => "calm",
        }
    }
}

pub(super) fn icon(kind: Kind) -> AnyView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=kind.path()/>
        </svg>
    }
    .into_any()
}

/// An icon and its word, in a pill.
#[component]
pub(super) fn Badge(kind: Kind, #[prop(into)] text: String) -> impl IntoView {
    view! { <span class=format!("badge {}", kind.tone())>{icon(kind)}{text}</span> }
}

/// An icon and what is to be said with it, in a box: `bad`, `odd` or `calm`.
pub(super) fn notice(tone: &'static str, kind: Kind, content: AnyView) -> AnyView {
    view! { <p class=format!("notice {tone}")>{icon(kind)}<span>{content}</span></p> }.into_any()
}
