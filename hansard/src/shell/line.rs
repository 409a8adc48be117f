//! A line that is typed: its text, the cursor, and which part of it a narrow terminal shows.

use unicode_width::UnicodeWidthChar;

use super::keys::Key;

/// Longest line, in characters.
const LONGEST: usize = 256 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    letters: Vec<char>,
    cursor: usize,
}

impl Line {
    pub(super) fn text(&self) -> String {
        self.letters.iter().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// What stands before the cursor.
    pub(super) fn before(&self) -> String {
        self.letters[..self.cursor].iter().collect()
    }

    /// Another text, with the cursor at its end.
    pub(super) fn set(&mut self, text: &str) {
        self.letters = text.chars().take(LONGEST).collect();
        self.cursor = self.letters.len();
    }

    /// Puts a text at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.letters.len());
        let letters: Vec<char> = text.chars().take(room).collect();
        let length = letters.len();
        self.letters.splice(self.cursor..self.cursor, letters);
        self.cursor += length;
    }

    /// Takes away so many characters before the cursor.
    pub(super) fn erase(&mut self, count: usize) {
        let from = self.cursor.saturating_sub(count);
        self.letters.drain(from..self.cursor);
        self.cursor = from;
    }

    /// Takes a key that edits; others change nothing.
    pub(super) fn take(&mut self, key: Key) {
        let end = self.letters.len();
        match key {
            Key::Letter(letter) => self.insert(letter.encode_utf8(&mut [0; 4])),
            Key::Backspace => self.erase(1),
            Key::Delete if self.cursor < end => _ = self.letters.remove(self.cursor),
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(end),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = end,
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_behind(),
            Key::EraseWord => self.erase(self.cursor - self.word_before()),
            Key::EraseBefore => self.erase(self.cursor),
            Key::EraseBehind => self.letters.truncate(self.cursor),
            _ => {}
        }
    }

    fn word_before(&self) -> usize {
        let space = self.letters[..self.cursor].iter().rposition(|letter| letter.is_alphanumeric());
        let end = space.map_or(0, |at| at + 1);
        self.letters[..end].iter().rposition(|letter| !letter.is_alphanumeric()).map_or(0, |at| at + 1)
    }

    fn word_behind(&self) -> usize {
        let rest = &self.letters[self.cursor..];
        let begin = rest.iter().position(|letter| letter.is_alphanumeric()).unwrap_or(rest.len());
        let length = rest[begin..].iter().position(|letter| !letter.is_alphanumeric());
        self.cursor + begin + length.unwrap_or(rest.len() - begin)
    }

    /// The part around the cursor that so many columns hold, and in which of them the cursor is.
    pub(super) fn shown(&self, columns: usize) -> (String, usize) {
        let width = |letter: &char| letter.width().unwrap_or(0);
        let (mut from, mut used) = (self.cursor, 0);
        // Room is kept for the cursor itself, behind the last character.
        while from > 0 && used + width(&self.letters[from - 1]) < columns {
            from -= 1;
            used += width(&self.letters[from]);
        }
        let place = used;
        let mut to = self.cursor;
        while to < self.letters.len() && used + width(&self.letters[to]) < columns {
            used += width(&self.letters[to]);
            to += 1;
        }
        (self.letters[from..to].iter().collect(), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, keys: &[Key]) -> Line {
        let mut line = Line::default();
        line.set(text);
        keys.iter().for_each(|key| line.take(*key));
        line
    }

    #[test]
    fn keys_edit() {
        let typed = line("select größe", &[Key::WordLeft, Key::Letter('x'), Key::End, Key::Backspace]);
        assert_eq!((typed.text().as_str(), typed.before().as_str()), ("select xgröß", "select xgröß"));
        assert_eq!(line("a b c", &[Key::EraseWord]).text(), "a b ");
        assert_eq!(line("a b c", &[Key::Home, Key::WordRight, Key::EraseBehind]).text(), "a");
        assert_eq!(line("", &[Key::Left, Key::Delete, Key::Backspace, Key::EraseWord, Key::WordLeft]).text(), "");
    }

    #[test]
    fn a_narrow_terminal_shows_what_is_around_the_cursor() {
        let long = "0123456789".repeat(10);
        assert_eq!(line(&long, &[]).shown(10), ("123456789".to_owned(), 9));
        assert_eq!(line(&long, &[Key::Home]).shown(10), ("012345678".to_owned(), 0));
        assert_eq!(line("映画映画", &[]).shown(6), ("映画".to_owned(), 4));
    }
}
