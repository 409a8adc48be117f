//! Tokens of a text, as PostgreSQL's lexer finds them (`scan.l`), without a copy and without a tree.
//!
//! Invariant: of a text that the server accepts, the tokens' borders and the statements' are the server's. What is
//! wrong with a text that it refuses is not told apart. Setting `backslash_quote` makes no difference: it decides which
//! texts are refused, not how they read.

use std::ops::Range;

use crate::Dialect;
use crate::nesting::Depth;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// "..."
    Quoted,
    /// U&"..."
    UnicodeQuoted,
    /// '...' of all kinds, with what continues it on other lines; $$...$$.
    String,
    /// A number.
    Number,
    /// $1
    Parameter,
    /// One letter of an operator, or a letter that stands for itself.
    Symbol(u8),
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// The tokens of a text; ends early where one is not closed.
#[derive(Clone)]
pub(crate) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    standard_conforming_strings: bool,
    /// Why there are no more tokens although there is more text.
    pub(crate) broken: Option<&'static str>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(sql: &'a str, dialect: Dialect) -> Tokens<'a> {
        Tokens {
            text: sql.as_bytes(),
            at: 0,
            standard_conforming_strings: dialect.standard_conforming_strings,
            broken: None,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn skip_bytes(&mut self, keep: impl Fn(u8) -> bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len());
    }

    /// Blanks and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.skip_bytes(is_blank);
            match (self.peek(0), self.peek(1)) {
                (Some(b'-'), Some(b'-')) => self.skip_bytes(|byte| byte != b'\n' && byte != b'\r'),
                (Some(b'/'), Some(b'*')) => self.skip_comment(),
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.skip_bytes(|byte| byte != b'/' && byte != b'*');
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => (depth, self.at) = (depth + 1, self.at + 2),
                (Some(b'*'), Some(b'/')) => (depth, self.at) = (depth - 1, self.at + 2),
                (Some(_), _) => self.at += 1,
                (None, _) => return self.broken = Some("a comment that is not closed"),
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string from behind its first quote, with its continuations.
    fn string(&mut self, escapes: bool, doubles: bool) {
        loop {
            self.skip_bytes(|byte| byte != b'\'' && !(escapes && byte == b'\\'));
            match (self.peek(0), self.peek(1)) {
                (Some(b'\\'), _) => self.at += 2,
                (Some(_), Some(b'\'')) if doubles => self.at += 2,
                (Some(_), _) => {
                    self.at += 1;
                    match self.continuation() {
                        Some(at) => self.at = at,
                        None => return,
                    }
                }
                (None, _) => return self.broken = Some("a string that is not closed"),
            }
        }
    }

    /// Behind the quote that goes on with a string on another line (`quotecontinue`): blanks and `--` comments may stand
    /// between, and a line's end must.
    fn continuation(&self) -> Option<usize> {
        let mut ahead = self.clone();
        let mut lines = false;
        loop {
            match ahead.peek(0)? {
                b'\n' | b'\r' => lines = true,
                b' ' | b'\t' | b'\x0b' | b'\x0c' => {}
                b'-' if ahead.peek(1) == Some(b'-') => {
                    ahead.skip_bytes(|byte| byte != b'\n' && byte != b'\r');
                    continue;
                }
                b'\'' if lines => return Some(ahead.at + 1),
                _ => return None,
            }
            ahead.at += 1;
        }
    }

    /// A quoted name from behind its first quote.
    fn quoted(&mut self) {
        loop {
            self.skip_bytes(|byte| byte != b'"');
            match (self.peek(0), self.peek(1)) {
                (Some(_), Some(b'"')) => self.at += 2,
                (Some(_), _) => return self.at += 1,
                (None, _) => return self.broken = Some("a quoted name that is not closed"),
            }
        }
    }

    /// $tag$...$tag$ from its first letter; false where there is none.
    fn dollar_quoted(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let tag = rest[1..].iter().position(|byte| !is_word(*byte) || *byte == b'$');
        let Some(tag) = tag.map(|length| &rest[..length + 2]) else { return false };
        if tag.last() != Some(&b'$') || tag[1].is_ascii_digit() {
            return false;
        }
        self.at += tag.len();
        loop {
            self.skip_bytes(|byte| byte != b'$');
            // A tag holds no other `$`: no letter is compared more than twice.
            match self.text.get(self.at..).unwrap_or_default() {
                [] => self.broken = Some("a string that is not closed"),
                rest if rest.starts_with(tag) => self.at += tag.len(),
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            return true;
        }
    }

    fn number(&mut self) {
        self.skip_bytes(|byte| byte.is_ascii_digit());
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            self.at += 1;
            self.skip_bytes(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1 + sign;
                self.skip_bytes(|byte| byte.is_ascii_digit());
            }
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.broken.is_some() {
            return None;
        }
        self.skip_blanks();
        let start = self.at;
        let first = self.peek(0)?;
        let kind = match (first, self.peek(1), self.peek(2)) {
            (b'\'', ..) => {
                self.at += 1;
                self.string(!self.standard_conforming_strings, true);
                Kind::String
            }
            (b'e' | b'E', Some(b'\''), _) => {
                self.at += 2;
                self.string(true, true);
                Kind::String
            }
            (b'b' | b'B' | b'x' | b'X', Some(b'\''), _) => {
                self.at += 2;
                self.string(false, false);
                Kind::String
            }
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => {
                self.at += 3;
                self.string(false, true);
                if !self.standard_conforming_strings {
                    self.broken = Some("U&'...' without standard_conforming_strings");
                }
                Kind::String
            }
            (b'u' | b'U', Some(b'&'), Some(b'"')) => {
                self.at += 3;
                self.quoted();
                Kind::UnicodeQuoted
            }
            (b'"', ..) => {
                self.at += 1;
                self.quoted();
                Kind::Quoted
            }
            (b'$', Some(b'0'..=b'9'), _) => {
                self.at += 1;
                self.skip_bytes(|byte| byte.is_ascii_digit());
                Kind::Parameter
            }
            (b'$', ..) if self.dollar_quoted() => Kind::String,
            (b'0'..=b'9', ..) | (b'.', Some(b'0'..=b'9'), _) => {
                self.number();
                Kind::Number
            }
            (b'.', Some(b'.'), _) => {
                self.at += 2;
                Kind::Symbol(b'.')
            }
            (byte, ..) if is_word(byte) && byte != b'$' => {
                self.skip_bytes(is_word);
                Kind::Word
            }
            (byte, ..) => {
                self.at += 1;
                Kind::Symbol(byte)
            }
        };
        self.at = self.at.min(self.text.len());
        (self.broken.is_none()).then_some(Token { kind, range: start..self.at })
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')
}

/// Stands inside a word; at its begin, if it is no digit and no `$`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// A keyword in lower case, in a buffer that every keyword fits in; empty where the token is none.
pub(crate) struct Keyword {
    letters: [u8; 16],
    length: usize,
}

impl Keyword {
    pub(crate) fn none() -> Keyword {
        Keyword { letters: [0; 16], length: 0 }
    }

    pub(crate) fn of(sql: &str, token: &Token) -> Keyword {
        let mut keyword = Keyword::none();
        let word = &sql.as_bytes()[token.range.clone()];
        if token.kind == Kind::Word && word.len() <= keyword.letters.len() {
            keyword.length = word.len();
            keyword.letters[..word.len()].copy_from_slice(word);
            keyword.letters.make_ascii_lowercase();
        }
        keyword
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..self.length]).unwrap_or_default()
    }
}

/// One statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it stands, with the comments before it, without blanks around it and semicolons.
    pub(crate) range: Range<usize>,
    /// At least how deep its parse tree is; [`crate::nesting::MAX`] + 1 for all that is deeper.
    pub(crate) depth: usize,
}

/// A text's statements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) parts: Vec<Part>,
    /// A function's body stands between BEGIN ATOMIC and END: which semicolons are inside is the grammar's to say, and
    /// the last part is the whole rest.
    pub(crate) atomic: bool,
}

/// Splits a text into its statements, `most` at most; or says why it cannot.
pub(crate) fn split(sql: &str, dialect: Dialect, most: usize) -> Result<Split, String> {
    let Split { mut parts, mut atomic } = Split::default();
    let mut tokens = Tokens::new(sql, dialect);
    let mut depth = Depth::default();
    let (mut brackets, mut before, mut some, mut begin) = (0_usize, 0, false, false);
    let mut close = |end: usize, before: &mut usize, some: &mut bool, depth: &mut Depth| {
        if std::mem::take(some) {
            if parts.len() == most {
                return Err(format!("more than {most} statements"));
            }
            let range = trim(sql, *before..end);
            *before = range.end;
            parts.push(Part { range, depth: std::mem::take(depth).deepest() });
        }
        Ok(())
    };
    for token in tokens.by_ref() {
        match token.kind {
            Kind::Symbol(b';') if brackets == 0 && !atomic => {
                close(token.range.start, &mut before, &mut some, &mut depth)?;
                begin = false;
                continue;
            }
            Kind::Symbol(b'(') => brackets += 1,
            Kind::Symbol(b')') => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        let keyword = Keyword::of(sql, &token);
        atomic |= begin && keyword.as_str() == "atomic";
        begin = keyword.as_str() == "begin";
        depth.token(&token, keyword.as_str());
        some = true;
    }
    if let Some(reason) = tokens.broken {
        return Err(reason.to_owned());
    }
    close(sql.len(), &mut before, &mut some, &mut depth)?;
    Ok(Split { parts, atomic })
}

/// Leaves out blanks and semicolons at both ends.
pub(crate) fn trim(sql: &str, range: Range<usize>) -> Range<usize> {
    let between = |byte: &u8| is_blank(*byte) || *byte == b';';
    let text = &sql.as_bytes()[range.clone()];
    let start = text.iter().position(|byte| !between(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !between(byte)).map_or(start, |last| last + 1);
    range.start + start..range.start + end
}

#[cfg(test)]
mod tests;
