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

/// Longest bound value that is taken for a connection string or a statement, in bytes.
pub const LONGEST_VALUE: u32 = 64 * 1024;

/// Bytes of the longest of the words that are looked for, less one.
const OVERLAP: usize = 13;

/// Pairs of bytes that are looked at in one go: of a vector register.
const BATCH: usize = 16;

/// Whether there may be a secret in these bytes: none of the words is missed that all of them go with.
///
/// Statements are searched with this, so it costs what a pass over the bytes does: each word has a pair of bytes that is
/// rare elsewhere, and pairs are compared without a branch.
#[inline]
pub fn may_hold_secret(bytes: &[u8]) -> bool {
    // The last batch reaches back, so that none is shorter.
    let Some(last) = bytes.len().checked_sub(BATCH + 1) else { return holds_word(bytes) };
    (0..last).step_by(BATCH).chain([last]).any(|at| holds_pair(&bytes[at..=at + BATCH]) && holds_word_at(bytes, at))
}

/// Whether a pair is among the bytes of a batch and the one behind it.
#[inline]
fn holds_pair(bytes: &[u8]) -> bool {
    let (Some(bytes), Some(next)) = (bytes.first_chunk::<BATCH>(), bytes.last_chunk::<BATCH>()) else { return true };
    let mut found = [0; BATCH];
    for at in 0..BATCH {
        // pas-s-s-word, SCRAM-SHA-25-6-$, postgres-:-/-/
        let word = u8::from(bytes[at] | 0x20 == b's') & u8::from(next[at] | 0x20 == b's');
        let verifier = u8::from(bytes[at] == b'6') & u8::from(next[at] == b'$');
        let uri = u8::from(bytes[at] == b':') & u8::from(next[at] == b'/');
        found[at] = word | verifier | uri;
    }
    u128::from_ne_bytes(found) != 0
}

#[cold]
fn holds_word_at(bytes: &[u8], at: usize) -> bool {
    holds_word(&bytes[at.saturating_sub(OVERLAP)..bytes.len().min(at + BATCH + OVERLAP)])
}

fn holds_word(bytes: &[u8]) -> bool {
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
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let open = self.passes(&bytes[at..]);
            if open > 0 {
                at += open;
                continue;
            }
            if self.is_secret(byte) {
                match found.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => found.push(at..at + 1),
                }
            }
            at += 1;
        }
    }

    /// So many of the next bytes need not be looked at.
    fn passes(&mut self, bytes: &[u8]) -> usize {
        match &mut self.reading {
            Reading::Text { names: 0, ended: false, lexer, escaping: None } => lexer.passes(bytes),
            Reading::Values(values) => values.passes(bytes.len()),
            Reading::Text { .. } => 0,
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
