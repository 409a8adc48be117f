//! Passwords in connection strings, and password verifiers, in the content of a literal or of a bound value.
//!
//! Keywords and values (`host=h password=p`), URIs (`postgres://user:p@h/db?password=p`), and what the server keeps of a
//! password (`SCRAM-SHA-256$…`). Source: the PostgreSQL manual, "Connection Strings"; libpq's `conninfo_parse` and
//! `conninfo_uri_parse_options`.
//!
//! What is no connection string up to its password is not taken for one: prose, or the body of a function, that has the
//! words `password =` somewhere keeps all of its bytes. One word may stand before the first keyword, for strings are put
//! together from pieces.

use super::word::Word;

const VERIFIER: &[u8] = b"-SHA-256$";

/// Takes a content byte by byte.
#[derive(Debug, Clone, Default)]
pub(super) struct Conninfo {
    state: State,
    key: Word,
    /// The value that is being read is a secret.
    secret: bool,
    /// A word without a value was seen, or a value: no further word without one is taken.
    begun: bool,
    /// The secret comes from somewhere else: this content ends behind `password=`, or has a place for it.
    open: bool,
    /// The value that is being read holds a `%`, as of `format()`.
    placeholder: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Before a keyword.
    #[default]
    Blank,
    Key,
    AfterKey,
    /// A word that is no keyword.
    Fragment,
    /// Behind `=`.
    Equals,
    Value,
    ValueEscape,
    Quoted,
    QuotedEscape,
    /// So much of [`VERIFIER`].
    Verifier(u8),
    /// Behind it, to the end.
    Rest,
    /// Behind the colon of a URI, and so many slashes.
    Slashes(u8),
    /// Of a URI: user or host.
    Authority,
    /// Of a URI: what is a password if an `@` follows.
    UriPassword,
    /// Of a URI: host, path and names of parameters.
    Path,
    UriValue,
    /// No connection string.
    Other,
}

impl Conninfo {
    /// Whether the byte belongs to a secret.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        let is_blank = byte.is_ascii_whitespace() || byte == 0x0b;
        match self.state {
            State::Other => false,
            State::Rest => true,
            State::Blank | State::AfterKey if is_blank => false,
            State::Blank if is_key(byte) => self.begin(byte),
            State::AfterKey if is_key(byte) && !self.begun => {
                self.begun = true;
                self.begin(byte)
            }
            State::Key if is_key(byte) => {
                self.key.push(byte);
                false
            }
            State::Key if is_blank => self.go(State::AfterKey),
            State::Key | State::AfterKey if byte == b'=' => {
                self.secret = self.key.is_password();
                self.open = self.secret;
                self.begun = true;
                self.go(State::Equals)
            }
            State::Key if byte == b':' && self.key.is_any(&["postgres", "postgresql"]) => self.go(State::Slashes(0)),
            State::Key if byte == b'-' && self.key.is("scram") => self.go(State::Verifier(1)),
            State::Blank | State::Key if !self.begun => {
                self.begun = true;
                self.go(State::Fragment)
            }
            State::Fragment if is_blank => self.go(State::Blank),
            State::Fragment => false,
            State::Blank | State::Key | State::AfterKey => self.go(State::Other),
            State::Equals if is_blank => false,
            State::Equals if byte == b'\'' => self.go(State::Quoted),
            State::Equals | State::Value if byte == b'\\' => self.take(State::ValueEscape, byte),
            State::Value if is_blank => self.go(State::Blank),
            State::Equals | State::Value | State::ValueEscape => self.take(State::Value, byte),
            State::Quoted if byte == b'\'' => self.go(State::Blank),
            State::Quoted if byte == b'\\' => self.take(State::QuotedEscape, byte),
            State::Quoted | State::QuotedEscape => self.take(State::Quoted, byte),
            State::Verifier(seen) => {
                let at = usize::from(seen);
                if !VERIFIER[at].eq_ignore_ascii_case(&byte) {
                    self.begun = true;
                    return self.go(if is_blank { State::Blank } else { State::Fragment });
                }
                self.go(if at + 1 == VERIFIER.len() { State::Rest } else { State::Verifier(seen + 1) })
            }
            State::Slashes(seen) if byte == b'/' => {
                self.go(if seen == 0 { State::Slashes(1) } else { State::Authority })
            }
            State::Slashes(_) => self.go(State::Other),
            State::Authority => match byte {
                b':' => {
                    (self.secret, self.open) = (true, true);
                    self.go(State::UriPassword)
                }
                b'@' | b'/' | b'?' => self.path(byte),
                _ => false,
            },
            State::UriPassword if matches!(byte, b'@' | b'/' | b'?') => self.path(byte),
            State::UriPassword => self.take(State::UriPassword, byte),
            State::Path => match byte {
                b'=' if self.key.is_password() => {
                    (self.secret, self.open) = (true, true);
                    self.go(State::UriValue)
                }
                _ => self.path(byte),
            },
            State::UriValue if byte == b'&' => self.path(byte),
            State::UriValue => self.take(State::UriValue, byte),
        }
    }

    /// Whether the secret, or more of it, is not in this content but in another that is put together with it.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the content, as far as it was read, ends within a secret.
    pub(super) fn is_inside(&self) -> bool {
        match self.state {
            State::Value | State::ValueEscape | State::Quoted | State::QuotedEscape => self.secret,
            State::Rest | State::UriPassword | State::UriValue => true,
            _ => false,
        }
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        false
    }

    fn begin(&mut self, byte: u8) -> bool {
        self.key.clear();
        self.key.push(byte);
        self.go(State::Key)
    }

    /// A byte of a value.
    fn take(&mut self, state: State, byte: u8) -> bool {
        self.state = state;
        if self.secret {
            self.placeholder |= byte == b'%';
            self.open = self.placeholder;
        }
        self.secret
    }

    fn path(&mut self, byte: u8) -> bool {
        if matches!(byte, b'?' | b'&' | b'@' | b'/') {
            self.key.clear();
        } else {
            self.key.push(byte);
        }
        self.go(State::Path)
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
