//! Recorded text on the page: isolated from what stands around it, with hidden characters made visible.

use leptos::prelude::*;

use crate::visible::{self, Piece};

/// A text from the record.
#[component]
pub(super) fn Recorded(#[prop(into)] text: String) -> impl IntoView {
    let pieces = visible::pieces(&text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(text) => text.to_owned().into_any(),
            Piece::Escaped(character) => {
                let name = visible::name(character);
                view! { <span class="escaped" title=format!("The character U+{:04X}", u32::from(character))>{name}</span> }
                    .into_any()
            }
        })
        .collect_view();
    view! { <bdi>{pieces}</bdi> }
}
