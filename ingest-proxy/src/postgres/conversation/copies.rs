//! Which statements and portals may be a COPY that takes data from the job.
//!
//! Nothing is missed; what is taken for one and is none costs latency only. Texts are searched for words, not parsed.
//! Names are bytes cut at [`NAME`], as the server's tables cut them; a name with other characters than ASCII may be
//! converted before it is cut, and with one of those, or with too many names, everything counts.

use std::collections::HashSet;

/// Bytes of a name that count (`NAMEDATALEN` - 1).
pub(super) const NAME: usize = 63;

/// Names of one kind that are kept.
const MOST_NAMES: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Copies {
    statements: Names,
    portals: Names,
}

/// Of one kind.
#[derive(Debug, Default)]
pub(super) struct Names {
    named: HashSet<Box<[u8]>>,
    everything: bool,
    /// The one without a name, as far as the server has answered.
    unnamed: bool,
    /// Requests for one without a name that have not been answered, of those that may be a COPY.
    unnamed_pending: u32,
    /// The last such request since the last Sync: where the server skips it, it skips all that follows up to a Sync.
    unnamed_last: Option<bool>,
}

/// What a Parse or Bind does once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Effect {
    #[default]
    Nothing,
    /// The statement without a name is another one; whether it may be a COPY.
    Statement(bool),
    /// The portal without a name likewise.
    Portal(bool),
}

impl Names {
    fn is_empty(&self) -> bool {
        !self.everything && self.named.is_empty() && !self.unnamed && self.unnamed_pending == 0
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.everything
            || if name.is_empty() {
                self.unnamed_last.unwrap_or(self.unnamed || self.unnamed_pending > 0)
            } else {
                self.named.contains(&name[..name.len().min(NAME)])
            }
    }

    fn insert(&mut self, name: &[u8]) {
        let name = &name[..name.len().min(NAME)];
        if name.is_empty() {
            self.unnamed_pending += 1;
        } else if !name.is_ascii() || self.named.len() >= MOST_NAMES {
            self.everything = true;
            self.named.clear();
        } else {
            self.named.insert(name.into());
        }
    }

    /// A request is passed; true when what becomes of it has to be known.
    fn request(&mut self, name: &[u8], copy: bool) -> bool {
        if copy {
            self.insert(name);
        }
        if name.is_empty() {
            self.unnamed_last = Some(copy);
        }
        name.is_empty() && !self.is_empty()
    }

    fn settle(&mut self, copy: bool, done: bool) {
        self.unnamed_pending -= u32::from(copy);
        if done {
            self.unnamed = copy;
        }
    }
}

impl Copies {
    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.portals.is_empty()
    }

    /// A Parse of that name is passed.
    pub(super) fn parse(&mut self, name: &[u8], copy: bool) -> Effect {
        if self.statements.request(name, copy) { Effect::Statement(copy) } else { Effect::Nothing }
    }

    /// A Bind is passed; `statement` is none where it could not be read.
    pub(super) fn bind(&mut self, portal: &[u8], statement: Option<&[u8]>) -> Effect {
        let copy = match statement {
            Some(name) => self.statements.contains(name),
            None => !self.statements.is_empty(),
        };
        if self.portals.request(portal, copy) { Effect::Portal(copy) } else { Effect::Nothing }
    }

    /// A Sync is passed.
    pub(super) fn sync(&mut self) {
        (self.statements.unnamed_last, self.portals.unnamed_last) = (None, None);
    }

    /// Whether an Execute of that portal may be a COPY.
    pub(super) fn execute(&self, portal: &[u8]) -> bool {
        self.portals.contains(portal)
    }

    /// A Parse or Bind was carried out (`done`), or not.
    pub(super) fn settle(&mut self, effect: Effect, done: bool) {
        match effect {
            Effect::Nothing => {}
            Effect::Statement(copy) => self.statements.settle(copy, done),
            Effect::Portal(copy) => self.portals.settle(copy, done),
        }
    }
}

/// Looks for the words of a COPY from the job in a text that comes in pieces. The server reads from the job for STDOUT
/// too, behind FROM.
#[derive(Debug, Default, Clone)]
pub(super) struct Search {
    copy: bool,
    standard: bool,
    /// The last bytes of the pieces before.
    tail: Vec<u8>,
}

/// Bytes that a word may have in the pieces before.
const TAIL: usize = 5;

impl Search {
    /// Whether a whole text may be one.
    pub(super) fn whole(text: &[u8]) -> bool {
        contains(text, b"copy") && (contains(text, b"stdin") || contains(text, b"stdout"))
    }

    pub(super) fn piece(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(&piece[..piece.len().min(TAIL)]);
        for text in [&self.tail[..], piece] {
            self.copy |= contains(text, b"copy");
            self.standard |= contains(text, b"stdin") || contains(text, b"stdout");
        }
        if piece.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - TAIL..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        }
    }

    pub(super) fn found(&self) -> bool {
        self.copy && self.standard
    }
}

/// `word` is in lower case.
fn contains(text: &[u8], word: &[u8]) -> bool {
    let first = word[0];
    text.windows(word.len()).any(|window| window[0] | 0x20 == first && window.eq_ignore_ascii_case(word))
}
