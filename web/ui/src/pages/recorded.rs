//! Recorded text on the page: isolated from what stands around it, with hidden characters made visible.

use std::ops::Range;

use leptos::prelude::*;

use crate::visible::{self, Piece};

/// A text from the record, on one line.
pub(super) fn recorded(text: impl AsRef<str>) -> AnyView {
    isolated(pieces(text.as_ref(), false))
}

fn isolated(parts: Vec<AnyView>) -> AnyView {
    view! { <bdi>{parts}</bdi> }.into_any()
}

/// A text from the record that may have several lines, with what is sought in it marked.
pub(super) fn marked(text: &str, find: &str) -> AnyView {
    isolated(marked_parts(text, 0, &visible::hits(text, find)))
}

/// A part of such a text, which begins at `at` of the whole, without the isolation.
pub(super) fn marked_parts(text: &str, at: usize, hits: &[Range<usize>]) -> Vec<AnyView> {
    visible::parted(text, at, hits)
        .into_iter()
        .flat_map(|(hit, part)| {
            let part = pieces(part, true);
            if hit { vec![view! { <mark>{part}</mark> }.into_any()] } else { part }
        })
        .collect()
}

/// A part of such a text, without the isolation.
fn pieces(text: &str, lines: bool) -> Vec<AnyView> {
    let piece = |piece: Piece<'_>| match piece {
        Piece::Plain(text) => text.to_owned().into_any(),
        Piece::Escaped(character) => {
            let title = format!("The character U+{:04X}", u32::from(character));
            view! { <span class="escaped" title=title>{visible::name(character)}</span> }.into_any()
        }
    };
    visible::pieces(text, lines).into_iter().map(piece).collect()
}
