//! Recorded text as it can be shown: what would be invisible, or would reorder what stands around it, becomes visible.
//!
//! Invariant: no control character, no direction mark and no other invisible character of a text reaches the page as itself.

use std::ops::Range;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Shown as it is.
    Plain(&'a str),
    /// Shown by its name: see [`name`].
    Escaped(char),
}

/// A text cut where a character must not be shown as itself. Where there may be several lines, line breaks and tabs stay.
pub fn pieces(text: &str, lines: bool) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let shown = |character| lines && matches!(character, '\n' | '\t');
    for (place, character) in text.char_indices().filter(|(_, character)| is_hidden(*character) && !shown(*character)) {
        if from < place {
            pieces.push(Piece::Plain(&text[from..place]));
        }
        pieces.push(Piece::Escaped(character));
        from = place + character.len_utf8();
    }
    if from < text.len() {
        pieces.push(Piece::Plain(&text[from..]));
    }
    pieces
}

/// `\n`, `\t`, `\r`, or the code point: `\u{202e}`.
pub fn name(character: char) -> String {
    match character {
        '\n' | '\t' | '\r' => character.escape_default().to_string(),
        character => character.escape_unicode().to_string(),
    }
}

/// The same in one text, where there is no markup: titles and labels.
pub fn escaped(text: &str) -> String {
    pieces(text, false)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(text) => text.to_owned(),
            Piece::Escaped(character) => name(character),
        })
        .collect()
}

/// Where a text holds another one, in bytes; letters of ASCII count the same in both cases.
pub fn hits(text: &str, find: &str) -> Vec<Range<usize>> {
    let (hay, needle) = (text.as_bytes(), find.as_bytes());
    let mut hits = Vec::new();
    let mut at = 0;
    while !needle.is_empty() && at + needle.len() <= hay.len() && hits.len() < MAX_HITS {
        // What begins and ends as a text does is cut at letters, since both are UTF-8.
        if hay[at].eq_ignore_ascii_case(&needle[0]) && hay[at..at + needle.len()].eq_ignore_ascii_case(needle) {
            hits.push(at..at + needle.len());
            at += needle.len();
        } else {
            at += 1;
        }
    }
    hits
}

/// A part of a text that begins at `at` of the whole, cut where hits begin and end; true for what is of a hit.
pub fn parted<'a>(text: &'a str, at: usize, hits: &[Range<usize>]) -> Vec<(bool, &'a str)> {
    let mut parts = Vec::new();
    let mut from = 0;
    let first = hits.partition_point(|hit| hit.end <= at);
    for hit in &hits[first..] {
        let begin = hit.start.saturating_sub(at).clamp(from, text.len());
        let end = hit.end.saturating_sub(at).clamp(from, text.len());
        if hit.start >= at + text.len() {
            break;
        }
        if from < begin {
            parts.push((false, &text[from..begin]));
        }
        parts.push((true, &text[begin..end]));
        from = end;
    }
    if from < text.len() {
        parts.push((false, &text[from..]));
    }
    parts
}

/// Hits that are marked in one text.
const MAX_HITS: usize = 1_000;

/// Control and format characters, fillers and other blanks without width.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_reorders_is_named() {
        assert_eq!(
            pieces("a\u{202e}b\n", false),
            [Piece::Plain("a"), Piece::Escaped('\u{202e}'), Piece::Plain("b"), Piece::Escaped('\n')]
        );
        assert_eq!(pieces("a\n\tb\r", true), [Piece::Plain("a\n\tb"), Piece::Escaped('\r')]);
        assert_eq!(escaped("x\u{200b}\u{7}y\t"), "x\\u{200b}\\u{7}y\\t");
        assert_eq!(escaped("\u{2066}\u{feff}\u{e0041}"), "\\u{2066}\\u{feff}\\u{e0041}");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["", "naïve — 日本 🎬", "שלום", "select 1 -- 'x'"] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn hits_are_marked_across_pieces() {
        let text = "SELECT é FROM Select";
        let found = hits(text, "select");
        assert_eq!(found, [0..6, 15..21]);
        assert_eq!(parted(text, 0, &found), [(true, "SELECT"), (false, " é FROM "), (true, "Select")]);
        assert_eq!(parted("LECT é", 2, &found), [(true, "LECT"), (false, " é")]);
        assert_eq!(parted(" FROM Sel", 9, &found), [(false, " FROM "), (true, "Sel")]);
        assert_eq!((hits("aaaa", "aa"), hits("abc", ""), hits("", "x")), (vec![0..2, 2..4], vec![], vec![]));
    }
}
