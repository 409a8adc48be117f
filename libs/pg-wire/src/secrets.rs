//! Passwords in what a job sends: where they are, so that a record need not hold them.
//!
//! Found are literals behind PASSWORD (`ALTER ROLE`, `CREATE USER`, the options of user mappings), passwords in connection
//! strings (`CREATE SUBSCRIPTION`, `dblink`), in literals as in bound values, and what the server keeps of passwords
//! (`SCRAM-SHA-256$…`). Literals within literals, as in the body of a DO block, are read like the text around them. Where
//! two readings are possible, for it is not known whether a backslash escapes, what is secret in either is.
//!
//! Invariants: bytes are looked at once, in any pieces, and cut anywhere give the same answer; memory is bounded whatever
//! they are; what delimits literals is never told to be secret, so that a text whose secrets are overwritten by letters
//! reads as before, unless it was wrong where a password had to be. Not found are passwords that are put together from pieces that do not say so, and md5 verifiers
//! anywhere but behind PASSWORD.

mod conninfo;
mod echo;
mod lexer;
#[cfg(test)]
mod tests;
mod values;
mod word;

use std::ops::Range;

pub use echo::Echo;
use lexer::Lexer;
use values::Values;

/// Longest of the words that [`may_hold_secret`] looks for, less one: so many bytes before a cut have to be looked at
/// again.
pub const OVERLAP: usize = 13;

/// Whether there may be a secret in these bytes: none of the words is missed that all of them go with. Costs what a
/// search for bytes costs.
#[inline]
pub fn may_hold_secret(bytes: &[u8]) -> bool {
    memchr::memchr3_iter(b'w', b'W', b'$', bytes).any(|at| {
        let (before, after) = bytes.split_at(at);
        if after[0] == b'$' {
            ends_with(before, b"scram-sha-256")
        } else {
            ends_with(before, b"pass") && after.get(1..4).is_some_and(|ord| ord.eq_ignore_ascii_case(b"ord"))
        }
    }) || memchr::memchr_iter(b':', bytes).any(|at| {
        let (before, after) = bytes.split_at(at);
        after.starts_with(b"://") && (ends_with(before, b"postgres") || ends_with(before, b"postgresql"))
    })
}

fn ends_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.len().checked_sub(word.len()).is_some_and(|at| bytes[at..].eq_ignore_ascii_case(word))
}

/// Looks through the body of one message of the job.
#[derive(Debug, Clone)]
pub struct Scanner {
    reading: Reading,
}

#[derive(Debug, Clone)]
enum Reading {
    Text {
        /// So many names before it.
        names: u8,
        ended: bool,
        lexer: Box<Lexer>,
        /// The other reading, from where it may differ on.
        escaping: Option<Box<Lexer>>,
    },
    Values(Box<Values>),
}

impl Scanner {
    /// For a message with that tag; `None` where it carries neither a text nor values.
    pub fn new(tag: u8) -> Option<Scanner> {
        let text = |names| Reading::Text { names, ended: false, lexer: Box::new(Lexer::new(false)), escaping: None };
        let reading = match tag {
            b'Q' => text(0),
            b'P' => text(1),
            b'B' => Reading::Values(Box::new(Values::new(2, 0))),
            // Behind the function's number.
            b'F' => Reading::Values(Box::new(Values::new(0, 4))),
            _ => return None,
        };
        Some(Scanner { reading })
    }

    /// Looks at the next bytes of the body and adds the places of secrets in them.
    pub fn feed(&mut self, bytes: &[u8], found: &mut Vec<Range<usize>>) {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.is_secret(byte) {
                match found.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => found.push(at..at + 1),
                }
            }
        }
    }

    fn is_secret(&mut self, byte: u8) -> bool {
        match &mut self.reading {
            Reading::Values(values) => values.feed(byte),
            Reading::Text { names: names @ 1.., .. } => {
                *names -= u8::from(byte == 0);
                false
            }
            Reading::Text { ended: true, .. } => false,
            Reading::Text { ended, .. } if byte == 0 => {
                *ended = true;
                false
            }
            Reading::Text { lexer, escaping, .. } => {
                if byte == b'\\' && escaping.is_none() && lexer.is_in_plain_literal() {
                    let mut other = lexer.clone();
                    other.escape();
                    *escaping = Some(other);
                }
                let also = escaping.as_mut().is_some_and(|escaping| escaping.feed(byte));
                lexer.feed(byte) || also
            }
        }
    }
}
