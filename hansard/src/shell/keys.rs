//! What a terminal sends, as keys.
//!
//! Invariant: whatever bytes come, they are keys or nothing; no sequence is kept that never ends.

use std::io::{self, Read};

/// A key, or several that mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    EraseWord,
    EraseBefore,
    EraseBehind,
    Clear,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    Leave,
    /// A text is pasted from here on, and up to here.
    Paste(bool),
    /// Nothing that is known.
    Other,
}

/// Longest sequence that is read, in bytes.
const LONGEST: usize = 32;

/// The next key; `None` at the end of input.
pub(super) fn next(input: &mut impl Read) -> io::Result<Option<Key>> {
    let Some(first) = byte(input)? else { return Ok(None) };
    Ok(Some(match first {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::Leave,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0b => Key::EraseBehind,
        0x0c => Key::Clear,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::EraseBefore,
        0x17 => Key::EraseWord,
        0x1b => sequence(input)?,
        0..=0x1f => Key::Other,
        first => letter(first, input)?,
    }))
}

fn byte(input: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Behind Escape.
fn sequence(input: &mut impl Read) -> io::Result<Key> {
    let mut sequence = Vec::new();
    while sequence.len() < LONGEST {
        let Some(next) = byte(input)? else { break };
        sequence.push(next);
        let first = sequence[0];
        let ended = match (first, sequence.len()) {
            (b'[' | b'O', 1) => false,
            (b'[', _) => (0x40..=0x7e).contains(&next),
            _ => true,
        };
        if ended {
            break;
        }
    }
    Ok(match &sequence[..] {
        b"[A" | b"OA" => Key::Up,
        b"[B" | b"OB" => Key::Down,
        b"[C" | b"OC" => Key::Right,
        b"[D" | b"OD" => Key::Left,
        b"[H" | b"OH" | b"[1~" | b"[7~" => Key::Home,
        b"[F" | b"OF" | b"[4~" | b"[8~" => Key::End,
        b"[3~" => Key::Delete,
        b"b" | b"[1;5D" | b"[1;3D" => Key::WordLeft,
        b"f" | b"[1;5C" | b"[1;3C" => Key::WordRight,
        b"\x7f" => Key::EraseWord,
        b"[200~" => Key::Paste(true),
        b"[201~" => Key::Paste(false),
        _ => Key::Other,
    })
}

/// A character of UTF-8.
fn letter(first: u8, input: &mut impl Read) -> io::Result<Key> {
    let length = match first {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Ok(Key::Other),
    };
    let mut bytes = vec![first];
    while bytes.len() < length {
        let Some(next) = byte(input)? else { return Ok(Key::Other) };
        bytes.push(next);
    }
    let letter = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    Ok(letter.filter(|letter| !letter.is_control()).map_or(Key::Other, Key::Letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(mut bytes: &[u8]) -> Vec<Key> {
        std::iter::from_fn(|| next(&mut bytes).unwrap()).collect()
    }

    #[test]
    fn sequences_of_usual_terminals() {
        let found = keys(b"a\x1b[A\x1bOB\x1b[1;5C\x1b[3~\x1b[200~\r\x7f\x03\xc3\xa9");
        let expected = [
            Key::Letter('a'),
            Key::Up,
            Key::Down,
            Key::WordRight,
            Key::Delete,
            Key::Paste(true),
            Key::Enter,
            Key::Backspace,
            Key::Interrupt,
            Key::Letter('é'),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn no_bytes_are_kept_for_ever() {
        let found = keys(&[&b"\x1b["[..], &b"1".repeat(1000), b"x"].concat());
        assert_eq!(found[0], Key::Other);
        assert_eq!(found.last(), Some(&Key::Letter('x')));
        assert_eq!(keys(&[0xff, 0xc3, 0xc2, 0x9b, b'y']), [Key::Other, Key::Other, Key::Other, Key::Letter('y')]);
    }
}
