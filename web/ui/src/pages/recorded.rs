//! Recorded text on the page: isolated from what stands around it, with hidden characters made visible.

use leptos::prelude::*;

use crate::visible::{self, Piece};

/// A text from the record, on one line.
#[component]
pub(super) fn Recorded(#[prop(into)] text: String) -> impl IntoView {
    view! { <bdi>{pieces(&text, false)}</bdi> }
}

/// A text from the record that may have several lines.
#[component]
pub(super) fn RecordedLines(#[prop(into)] text: String) -> impl IntoView {
    view! { <bdi>{pieces(&text, true)}</bdi> }
}

/// A part of such a text, without the isolation.
pub(super) fn pieces(text: &str, lines: bool) -> Vec<AnyView> {
    let piece = |piece: Piece<'_>| match piece {
        Piece::Plain(text) => text.to_owned().into_any(),
        Piece::Escaped(character) => {
            let title = format!("The character U+{:04X}", u32::from(character));
            view! { <span class="escaped" title=title>{visible::name(character)}</span> }.into_any()
        }
    };
    visible::pieces(text, lines).into_iter().map(piece).collect()
}
