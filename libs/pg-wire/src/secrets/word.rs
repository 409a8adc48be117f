//! A word, as far as it is needed to tell whether it is one of a few.

/// Longest word that is told from others.
const LONGEST: usize = 12;

/// Bytes in lower case; of a word that is too long, that it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Word {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn push(&mut self, byte: u8) {
        let at = usize::from(self.len);
        if let Some(place) = self.bytes.get_mut(at) {
            *place = byte.to_ascii_lowercase();
        }
        // One more than the longest stands for all that are longer.
        self.len = u8::try_from((at + 1).min(LONGEST + 1)).unwrap_or(u8::MAX);
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.bytes.get(..usize::from(self.len)) == Some(word.as_bytes())
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is the beginning of `word`, or all of it.
    pub(super) fn begins(&self, word: &str) -> bool {
        self.bytes.get(..usize::from(self.len)).is_some_and(|bytes| word.as_bytes().starts_with(bytes))
    }

    /// Names of options whose value is a password.
    pub(super) fn is_password(&self) -> bool {
        self.is_any(&["password", "sslpassword"])
    }
}
