//! Reads lines from a terminal, with editing, history and completion.
//!
//! rustyline and reedline would do this, but the features that they switch on in `libc` and `chrono` build DataFusion and
//! all below it anew.

use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use unicode_width::UnicodeWidthStr;

use super::history::History;
use super::keys::{self, Key};
use super::line::Line;
use super::words::Words;

/// Most candidates that are listed.
const MOST_LISTED: usize = 100;

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// See the module.
pub(super) struct Editor {
    words: Words,
    history: History,
}

/// The terminal sends key by key, until this is dropped.
struct KeyByKey(Termios);

impl KeyByKey {
    fn begin() -> Option<KeyByKey> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        keys.input_modes.remove(rustix::termios::InputModes::ICRNL | rustix::termios::InputModes::IXON);
        tcsetattr(io::stdin(), OptionalActions::Drain, &keys).ok()?;
        // Pasted text is told from keys.
        write("\x1b[?2004h");
        Some(KeyByKey(before))
    }
}

impl Drop for KeyByKey {
    fn drop(&mut self) {
        write("\x1b[?2004l");
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    // A terminal that is gone is noticed when it is read.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

impl Editor {
    pub(super) fn new(words: Words) -> Editor {
        Editor { words, history: History::open() }
    }

    /// The next line.
    pub(super) fn read(&mut self, prompt: &str) -> Typed {
        let Some(_raw) = KeyByKey::begin() else { return Typed::End };
        let typed = self.edit(prompt, &mut Unbuffered);
        if let Typed::Line(line) = &typed {
            self.history.add(line);
            self.history.save();
        }
        typed
    }

    fn edit(&mut self, prompt: &str, input: &mut impl Read) -> Typed {
        let (mut line, mut place, mut kept) = (Line::default(), self.history.lines().len(), String::new());
        let (mut pasting, mut listed) = (false, false);
        loop {
            draw(prompt, &line);
            let Ok(Some(key)) = keys::next(input) else { return Typed::End };
            let again = std::mem::replace(&mut listed, key == Key::Tab);
            match key {
                Key::Paste(on) => pasting = on,
                // A pasted tab is no question for names.
                Key::Tab if pasting => line.insert(" "),
                Key::Tab => self.complete(&mut line, again),
                Key::Enter => {
                    write("\r\n");
                    return Typed::Line(line.text());
                }
                Key::Interrupt => {
                    write("^C\r\n");
                    return Typed::Interrupted;
                }
                Key::Leave if line.is_empty() => {
                    write("\r\n");
                    return Typed::End;
                }
                Key::Leave => line.take(Key::Delete),
                Key::Clear => write("\x1b[H\x1b[2J"),
                Key::Up | Key::Down => {
                    let lines = self.history.lines();
                    if place == lines.len() {
                        kept = line.text();
                    }
                    place = if key == Key::Up { place.saturating_sub(1) } else { (place + 1).min(lines.len()) };
                    line.set(lines.get(place).unwrap_or(&kept));
                }
                key => line.take(key),
            }
        }
    }

    /// Completes the word before the cursor as far as it is certain; asked again, lists what it may be.
    fn complete(&self, line: &mut Line, again: bool) {
        let before = line.before();
        let (begin, found) = self.words.complete(&before);
        let typed = before[begin..].chars().count();
        match &found[..] {
            [] => {}
            [only] => {
                line.erase(typed);
                line.insert(only);
                if before.matches('\'').count() % 2 == 1 {
                    line.insert("' ");
                } else if !only.ends_with('(') {
                    line.insert(" ");
                }
            }
            several if again => {
                let shown: Vec<&str> = several.iter().take(MOST_LISTED).copied().collect();
                let more = several.len().saturating_sub(shown.len());
                let more = if more > 0 { format!("  … and {more} more") } else { String::new() };
                write(&format!("\r\n{}{more}\r\n", crate::output::safe(&shown.join("  "), false)));
            }
            several => {
                let common = common(several);
                if common.chars().count() > typed {
                    line.erase(typed);
                    line.insert(common);
                }
            }
        }
    }
}

/// What all words begin with, whatever the case.
fn common<'a>(words: &[&'a str]) -> &'a str {
    let Some((first, others)) = words.split_first() else { return "" };
    let mut end = first.len();
    for other in others {
        let pairs = first.char_indices().zip(other.chars());
        let same = pairs.take_while(|((_, a), b)| a.to_lowercase().eq(b.to_lowercase()));
        end = end.min(same.last().map_or(0, |((at, letter), _)| at + letter.len_utf8()));
    }
    &first[..end]
}

fn draw(prompt: &str, line: &Line) {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)).max(20);
    let room = width.saturating_sub(prompt.width());
    let (shown, place) = line.shown(room);
    let column = prompt.width() + place + 1;
    write(&format!("\r{prompt}{}\x1b[K\x1b[{column}G", crate::output::safe(&shown, false)));
}

/// Keys one by one: what is read ahead would be missing where a question is interrupted.
struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustix::io::read(io::stdin(), buffer).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_words_begin_with() {
        assert_eq!(common(&["session_id", "sessions"]), "session");
        assert_eq!(common(&["Größe", "größer"]), "Größe");
        assert_eq!(common(&["a", "b"]), "");
    }
}
