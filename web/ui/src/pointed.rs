//! Where in a text an error points: the server tells the number of a character.
//!
//! Invariant: what is pointed at, and the part of its line, begin and end between characters of the text, however long it is.

use std::ops::Range;

/// Characters of the line that are shown before and behind the place.
const AROUND: usize = 60;
/// Longest word that is pointed at, in bytes.
const LONGEST: usize = 200;

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// What is pointed at; empty at the end of the text.
    pub place: Range<usize>,
    /// The number of its line, from 1.
    pub line: i64,
    /// The part of the line to show.
    pub part: Range<usize>,
    /// Where the line begins and ends.
    pub whole: Range<usize>,
}

/// The n-th character of a text, from 1; `None` where the text has none, nor ends right before it.
pub fn pointed(text: &str, position: i64) -> Option<Pointed> {
    let before = usize::try_from(position).ok()?.checked_sub(1)?;
    let mut letters = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let at = letters.nth(before)?;
    let begin = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let place = at..at + word(&text[at..end]);
    let left = text[begin..at].char_indices().rev().take(AROUND).last().map_or(at, |(from, _)| begin + from);
    let right = text[place.end..end].char_indices().nth(AROUND).map_or(end, |(to, _)| place.end + to);
    let line = text[..begin].matches('\n').count();
    Some(Pointed { place, line: i64::try_from(line + 1).unwrap_or(i64::MAX), part: left..right, whole: begin..end })
}

/// Bytes of the word, the quoted name or text, or the sign that a line goes on with.
fn word(rest: &str) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    let length = match first {
        '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
        _ => rest
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '$' | '.')))
            .unwrap_or(rest.len()),
    };
    rest.floor_char_boundary(length.clamp(1, LONGEST)).max(first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, position: i64) -> Option<(i64, &str, &str)> {
        let found = pointed(text, position)?;
        Some((found.line, &text[found.place], &text[found.part]))
    }

    #[test]
    fn a_place_is_a_word_in_its_line() {
        let sql = "SELECT 映画,\n  \"Xx y\", nope FROM t";
        assert_eq!(shown(sql, 8), Some((1, "映画", "SELECT 映画,")));
        assert_eq!(shown(sql, 14), Some((2, "\"Xx y\"", "  \"Xx y\", nope FROM t")));
        assert_eq!(shown(sql, 22).map(|found| found.1), Some("nope"));
        assert_eq!(shown("SELECT", 7), Some((1, "", "SELECT")));
        assert_eq!(shown("(", 1), Some((1, "(", "(")));
        assert_eq!((shown(sql, 0), shown(sql, -1), shown(sql, 999)), (None, None, None));
    }

    #[test]
    fn long_lines_and_words_are_shown_in_part() {
        let sql = format!("{} {} {}", "é".repeat(5_000), "w".repeat(5_000), "x".repeat(5_000));
        let found = pointed(&sql, 5_002).unwrap();
        assert_eq!((found.place.len(), found.line), (LONGEST, 1));
        assert_eq!(sql[found.part.clone()].chars().count(), LONGEST + 2 * AROUND);
        assert_eq!(found.whole, 0..sql.len());
        let wide = "映".repeat(1_000);
        assert!(pointed(&wide, 1).unwrap().place.len() <= LONGEST);
    }
}
