//! What commands print.
//!
//! Invariants: a reader that goes away (`| head`) ends the work, and is no error; what came from a job or a database never
//! reaches a terminal as anything but text.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes to stdout.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::finding(format!("cannot write the answer: {error}")),
    })
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

/// Ends when nobody reads stdout any more; where that is no pipe, never.
#[cfg(feature = "query")]
pub(crate) async fn reader_gone() {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    use tokio::io::Interest;
    let pipe = || {
        let stdout = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
        let stdout = std::fs::File::from(stdout);
        let is_pipe = stdout.metadata().ok()?.file_type().is_fifo();
        // Nothing is written here, so that it may block.
        is_pipe.then(|| tokio::net::unix::pipe::Sender::from_file_unchecked(stdout).ok())?
    };
    match pipe() {
        Some(pipe) if pipe.ready(Interest::ERROR).await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Text from a job or a database, safe to show in a terminal: control characters are shown, not obeyed. Line
/// breaks and tabs stay where `multiline` says so.
#[cfg(feature = "query")]
pub(crate) fn safe(text: &str, multiline: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' if multiline => shown.push(character),
            character if is_invisible(character) => shown.extend(character.escape_unicode()),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// JSON that is safe to show in a terminal, and still the same JSON: what would be obeyed there is written by its code.
#[cfg(feature = "query")]
pub(crate) fn safe_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        // Outside of strings, JSON has no other control characters than these.
        if character != '\n' && (character.is_control() || is_invisible(character)) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that take no space but change how others are shown: marks of direction, joiners, fillers, tags.
#[cfg(feature = "query")]
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(all(test, feature = "query"))]
mod tests {
    use super::{safe, safe_json};

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(safe("a\u{1b}[31mb\r\u{7}", true), "a\\u{1b}[31mb\\r\\u{7}");
        assert_eq!(safe("x\u{202e}y\u{200b}z\u{feff}", false), "x\\u{202e}y\\u{200b}z\\u{feff}");
        assert_eq!(safe("a\nb\tc", true), "a\nb\tc");
        assert_eq!(safe("a\nb", false), "a\\nb");
        assert_eq!(safe("naïve 日本", false), "naïve 日本");
    }

    #[test]
    fn json_stays_the_same_json() {
        let hostile = "\u{9b}1m\u{202e}\u{7f}\u{e0041}é";
        let json = serde_json::json!([hostile]).to_string();
        let shown = safe_json(&json);
        assert_eq!(shown, "[\"\\u009b1m\\u202e\\u007f\\udb40\\udc41é\"]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [hostile]);
    }
}
