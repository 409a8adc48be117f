//! What commands print. A reader that goes away (`| head`) is no error.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes to stdout.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to stdout.
pub(crate) fn line(line: &str) -> Result<(), Failure> {
    bytes(format!("{line}\n").as_bytes())
}

/// What a command ends with when it does not end well.
pub(crate) fn error(failure: &Failure) {
    for line in failure.lines() {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(std::io::stderr(), "error: {line}");
    }
}

/// A remark beside the answer.
#[cfg(feature = "query")]
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

/// Text from a job or a database, safe to show in a terminal: control characters are shown, not obeyed. Line
/// breaks and tabs stay where `multiline` says so.
#[cfg(feature = "query")]
pub(crate) fn safe(text: &str, multiline: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' if multiline => shown.push(character),
            // Direction marks reorder what is read, as control characters do.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(all(test, feature = "query"))]
mod tests {
    use super::safe;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(safe("a\u{1b}[31mb\r\u{7}", true), "a\\u{1b}[31mb\\r\\u{7}");
        assert_eq!(safe("x\u{202e}y", false), "x\\u{202e}y");
        assert_eq!(safe("a\nb\tc", true), "a\nb\tc");
        assert_eq!(safe("a\nb", false), "a\\nb");
        assert_eq!(safe("naïve 日本", false), "naïve 日本");
    }
}
