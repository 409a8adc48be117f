//! SQL texts byte by byte, as the server's scanner (`scan.l`) cuts them, as far as passwords need it.
//!
//! A literal's content is a text of its own, one level further in: the body of a DO block, a statement that is given to
//! EXECUTE or `dblink_exec`, a comment that holds a statement. Levels are bounded; what lies deeper is told by its words
//! alone.

use super::conninfo::Conninfo;
use super::word::Word;

/// Texts within texts.
const DEPTH: usize = 4;

/// Bytes of a dollar quote's tag that are compared; of longer ones, the length is, too.
const TAG: usize = 64;

/// Words of a statement that are counted.
const WORDS: u8 = 4;

/// What may stand before PASSWORD where a role is defined.
const OPTIONS: [&str; 12] = [
    "with",
    "encrypted",
    "unencrypted",
    "login",
    "nologin",
    "superuser",
    "nosuperuser",
    "createdb",
    "nocreatedb",
    "createrole",
    "nocreaterole",
    "inherit",
];

/// A text and what is in its literals.
#[derive(Debug, Clone)]
pub(super) struct Lexer {
    levels: [Level; DEPTH],
}

#[derive(Debug, Clone, Default)]
struct Level {
    state: State,
    /// A backslash escapes in literals without a prefix (`standard_conforming_strings` is off).
    escapes: bool,
    word: Word,
    /// Words of the statement so far, up to [`WORDS`].
    words: u8,
    /// The statement begins with CREATE or ALTER; and with ROLE, USER or GROUP behind that.
    defines: bool,
    defines_role: bool,
    /// The last word was the role's name, or an option of a role: behind it PASSWORD is an option, and not a name.
    option: bool,
    /// The last token was PASSWORD.
    armed: Armed,
    /// `armed` before the word that is being read.
    was_armed: Armed,
    /// The last token was a literal that ends within a secret, with which another one goes on.
    continues: bool,
    /// All literals up to the statement's end are taken for secrets: one of them was told to have its password elsewhere.
    open: bool,
    /// Everything up to the statement's end is taken for a secret.
    rest: bool,
    /// The literal that is being read is a secret.
    secret: bool,
    /// Nothing of it has been read.
    untouched: bool,
    conninfo: Conninfo,
    tag: Tag,
    depth: u32,
}

/// Whether a literal that comes now is a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Armed {
    #[default]
    No,
    Yes,
    /// And nothing but a literal or NULL is right here.
    Only,
}

/// The tag of a dollar quote.
#[derive(Debug, Clone)]
struct Tag {
    bytes: [u8; TAG],
    len: usize,
}

impl Default for Tag {
    fn default() -> Tag {
        Tag { bytes: [0; TAG], len: 0 }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Word,
    /// `U&`, before a quote.
    Unicode,
    Name,
    NameQuote,
    Dash,
    LineComment,
    Slash,
    /// With the byte before.
    BlockComment(u8),
    /// Reading the tag of a dollar quote.
    Tag,
    /// In a dollar quote; so much of what may be its end has been seen.
    Body(Option<usize>),
    /// In a literal between quotes; whether a backslash escapes.
    Literal(bool),
    LiteralQuote(bool),
    LiteralEscape,
}

impl Lexer {
    /// `escapes`: whether a backslash escapes in literals without a prefix.
    pub(super) fn new(escapes: bool) -> Lexer {
        let level = Level { escapes, ..Level::default() };
        Lexer { levels: std::array::from_fn(|_| level.clone()) }
    }

    /// Whether the byte belongs to a secret.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        feed(&mut self.levels, byte)
    }

    /// So many of the next bytes need not be fed: the content of a literal that begins and ends here, before the text does
    /// at a zero byte, and has none of the words that secrets go with.
    pub(super) fn passes(&mut self, bytes: &[u8]) -> usize {
        let text = &mut self.levels[0];
        if !std::mem::take(&mut text.untouched) || text.secret || text.rest {
            return 0;
        }
        if !matches!(text.state, State::Literal(_)) {
            return 0;
        }
        match memchr::memchr3(b'\'', b'\\', 0, bytes) {
            Some(end) if bytes[end] == b'\'' && bytes.get(end + 1).is_some_and(|&next| next != b'\'') => {
                if super::may_hold_secret(&bytes[..end]) {
                    0
                } else {
                    end
                }
            }
            _ => 0,
        }
    }

    /// Whether a backslash that comes now is read differently with and without escapes.
    pub(super) fn is_in_plain_literal(&self) -> bool {
        self.levels.iter().any(|level| level.state == State::Literal(false))
    }

    /// From here on a backslash escapes in literals without a prefix, in the one that is being read as well.
    pub(super) fn escape(&mut self) {
        for level in &mut self.levels {
            level.escapes = true;
            if level.state == State::Literal(false) {
                level.state = State::Literal(true);
            }
        }
    }
}

fn feed(levels: &mut [Level], byte: u8) -> bool {
    match levels.split_first_mut() {
        Some((level, inner)) => level.feed(byte, inner),
        None => false,
    }
}

impl Level {
    fn feed(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        let secret = self.step(byte, inner);
        secret || self.rest
    }

    fn step(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        match self.state {
            State::Between => self.between(byte, inner),
            State::Word => self.in_word(byte, inner),
            State::Unicode => match byte {
                b'\'' => self.open_literal(State::Literal(false), inner),
                b'"' => self.go(State::Name),
                _ => self.token(byte, inner),
            },
            State::Name => {
                if byte == b'"' {
                    return self.go(State::NameQuote);
                }
                self.word.push(byte);
                false
            }
            State::NameQuote if byte == b'"' => {
                self.word.push(byte);
                self.go(State::Name)
            }
            State::NameQuote => {
                self.end_word();
                self.between(byte, inner)
            }
            State::Dash if byte == b'-' => self.open_comment(State::LineComment, inner),
            State::Slash if byte == b'*' => {
                self.depth = 1;
                self.open_comment(State::BlockComment(0), inner)
            }
            State::Dash | State::Slash => self.token(byte, inner),
            State::LineComment if matches!(byte, b'\n' | b'\r') => self.go(State::Between),
            State::LineComment => feed(inner, byte),
            State::BlockComment(before) => self.in_comment(before, byte, inner),
            State::Tag => self.in_tag(byte, inner),
            State::Body(seen) => self.in_body(seen, byte, inner),
            State::Literal(escapes) => match byte {
                b'\'' => self.go(State::LiteralQuote(escapes)),
                b'\\' if escapes => self.go(State::LiteralEscape),
                _ => self.content(byte, inner),
            },
            State::LiteralQuote(escapes) if byte == b'\'' => {
                self.state = State::Literal(escapes);
                // A quote that is doubled stays, so that the text around it reads as before.
                self.content(byte, inner);
                false
            }
            State::LiteralQuote(_) => {
                self.close_literal();
                self.between(byte, inner)
            }
            State::LiteralEscape => {
                self.state = State::Literal(true);
                let meant = if matches!(byte, b'n' | b'r' | b't' | b'b' | b'f') { b' ' } else { byte };
                self.content(meant, inner)
            }
        }
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        false
    }

    fn between(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        self.state = State::Between;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => false,
            b'\'' => self.open_literal(State::Literal(self.escapes), inner),
            b'"' => {
                self.withhold_rest();
                self.begin_word(State::Name)
            }
            b'$' => {
                self.tag.len = 0;
                self.go(State::Tag)
            }
            b'-' => self.go(State::Dash),
            b'/' => self.go(State::Slash),
            b';' => {
                let escapes = self.escapes;
                let (conninfo, tag) = (std::mem::take(&mut self.conninfo), std::mem::take(&mut self.tag));
                *self = Level { escapes, conninfo, tag, ..Level::default() };
                false
            }
            byte if is_word(byte) => {
                // It may be a literal's prefix, or NULL.
                if !matches!(byte.to_ascii_lowercase(), b'e' | b'u' | b'n' | b'b' | b'x') {
                    self.withhold_rest();
                }
                self.begin_word(State::Word);
                self.word.push(byte);
                false
            }
            // Literals may be joined.
            b'|' => {
                self.withhold_rest();
                self.armed = Armed::No;
                false
            }
            _ => {
                self.withhold_rest();
                (self.armed, self.continues, self.option) = (Armed::No, false, false);
                false
            }
        }
    }

    /// A token that is none of those that are told apart, and the byte behind it.
    fn token(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        self.withhold_rest();
        (self.armed, self.continues, self.option) = (Armed::No, false, false);
        self.between(byte, inner)
    }

    /// Behind PASSWORD comes a literal. Where none does, the statement is wrong, and what does may be meant as one.
    fn withhold_rest(&mut self) {
        self.rest |= self.armed == Armed::Only;
    }

    fn begin_word(&mut self, state: State) -> bool {
        self.word.clear();
        self.was_armed = std::mem::take(&mut self.armed);
        self.go(state)
    }

    fn in_word(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        match byte {
            b'\'' if self.word.is_any(&["e", "n", "b", "x"]) => {
                self.armed = self.was_armed;
                let escapes = self.word.is("e") || self.escapes && self.word.is("n");
                self.open_literal(State::Literal(escapes), inner)
            }
            b'&' if self.word.is("u") => {
                self.armed = self.was_armed;
                self.go(State::Unicode)
            }
            byte if is_word(byte) || byte == b'$' => {
                self.word.push(byte);
                if !self.word.begins("null") {
                    self.rest |= self.was_armed == Armed::Only;
                }
                false
            }
            _ => {
                self.end_word();
                self.between(byte, inner)
            }
        }
    }

    fn end_word(&mut self) {
        self.continues = false;
        match self.words {
            0 => self.defines = self.word.is_any(&["create", "alter"]),
            1 => self.defines_role = self.defines && self.word.is_any(&["role", "user", "group"]),
            // CREATE USER MAPPING.
            2 if self.word.is("mapping") => self.defines_role = false,
            _ => {}
        }
        self.armed = match self.word.is_password() {
            false => Armed::No,
            true if self.defines_role && self.option => Armed::Only,
            true => Armed::Yes,
        };
        self.option = self.words == 2 || self.word.is_any(&OPTIONS);
        self.words = self.words.saturating_add(1).min(WORDS);
    }

    fn open_comment(&mut self, state: State, inner: &mut [Level]) -> bool {
        reset(inner);
        self.go(state)
    }

    fn in_comment(&mut self, before: u8, byte: u8, inner: &mut [Level]) -> bool {
        match (before, byte) {
            (b'*', b'/') => {
                self.depth -= 1;
                self.go(if self.depth == 0 { State::Between } else { State::BlockComment(0) })
            }
            (b'/', b'*') => {
                self.depth = self.depth.saturating_add(1);
                self.go(State::BlockComment(0))
            }
            _ => {
                self.state = State::BlockComment(byte);
                // What may end the comment stays.
                let secret = feed(inner, byte);
                secret && !matches!(byte, b'*' | b'/')
            }
        }
    }

    fn in_tag(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        match byte {
            b'$' => self.open_literal(State::Body(None), inner),
            // A parameter is `$` and digits.
            byte if is_word(byte) && !(self.tag.len == 0 && byte.is_ascii_digit()) => {
                if let Some(place) = self.tag.bytes.get_mut(self.tag.len) {
                    *place = byte;
                }
                self.tag.len += 1;
                false
            }
            _ => self.token(byte, inner),
        }
    }

    fn in_body(&mut self, seen: Option<usize>, byte: u8, inner: &mut [Level]) -> bool {
        let ends = match seen {
            _ if byte == b'$' && seen == Some(self.tag.len) => {
                self.close_literal();
                return self.go(State::Between);
            }
            _ if byte == b'$' => Some(0),
            Some(at) if at < self.tag.len && self.tag.bytes.get(at).is_none_or(|&expected| expected == byte) => {
                Some(at + 1)
            }
            _ => None,
        };
        self.state = State::Body(ends);
        // What may be the end stays.
        self.content(byte, inner) && ends.is_none()
    }

    fn open_literal(&mut self, state: State, inner: &mut [Level]) -> bool {
        self.secret = self.armed != Armed::No || self.continues || self.open;
        (self.armed, self.continues, self.option) = (Armed::No, false, false);
        self.conninfo = Conninfo::default();
        self.untouched = true;
        self.word.clear();
        reset(inner);
        self.go(state)
    }

    fn close_literal(&mut self) {
        self.open |= !self.secret && self.conninfo.is_open();
        self.continues = std::mem::take(&mut self.secret) || self.conninfo.is_inside();
    }

    fn content(&mut self, byte: u8, inner: &mut [Level]) -> bool {
        if self.secret {
            return true;
        }
        self.untouched = false;
        let connects = self.conninfo.feed(byte);
        if inner.is_empty() {
            // Too deep to be read: behind the word, all is taken for a secret.
            if is_word(byte) {
                self.word.push(byte);
            } else {
                self.secret = self.word.is_password();
                self.word.clear();
            }
            return connects;
        }
        feed(inner, byte) || connects
    }
}

fn reset(levels: &mut [Level]) {
    for level in levels {
        let fresh = level.state == State::Between && level.words == 0;
        if !fresh || level.armed != Armed::No || level.continues || level.open || level.rest {
            *level = Level { escapes: level.escapes, ..Level::default() };
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
