//! Names that come from outside, and how long they may be.
//!
//! Invariant: no name is shortened in silence. Who a job is, is never shortened: two jobs would be one.

/// Most bytes of a name: of a job, a subject (OpenID Connect has 255 characters), a group, an application.
pub const MAX_NAME: usize = 512;

/// A text, or its beginning and how long it was.
pub fn bounded(text: &str, most: usize) -> String {
    match cut(text, most) {
        whole if whole.len() == text.len() => text.to_owned(),
        beginning => format!("{beginning}… ({} bytes)", text.len()),
    }
}

/// The beginning of a text, at most so many bytes, and no part of a character.
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_ends_with_a_whole_character() {
        assert_eq!(bounded("größe", 7), "größe");
        assert_eq!(bounded("größe", 5), "grö… (7 bytes)");
        assert_eq!((cut("größe", 3), cut("größe", 100)), ("gr", "größe"));
    }
}
