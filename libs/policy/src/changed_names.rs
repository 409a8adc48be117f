//! Which names a text may change the meaning of, found without parsing it.
//!
//! [`changed_names`] is asked of every text before it is forwarded. Of nearly all texts the first word says that they
//! change nothing; only the others are taken apart into tokens. Names are then all words of a statement that changes the
//! catalog: more than it changes, and never less, or else [`ChangedNames::is_all`].
//!
//! What functions, DO and CALL do is not seen here. What a statement drops by CASCADE may have any name, but nothing comes
//! by it, and nothing gets another name ([`ChangedNames::drops`]); likewise where roles and their rights change ([`ChangedNames::paths`]). Temporary relations are seen by their own session alone, and are no change.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Dialect;
use crate::scan::{Keyword, Kind, Token, Tokens};

/// Longest text that is taken apart; a longer one that may change something may change anything.
const MAX_TEXT: usize = 64 * 1024;

/// Most names; behind them, any name may be meant.
const MAX_NAMES: usize = 256;

/// Bytes of a name that count (`NAMEDATALEN` - 1).
const MAX_NAME: usize = 63;

/// Names whose meaning may change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedNames {
    all: bool,
    #[serde(default)]
    drops: bool,
    #[serde(default)]
    paths: bool,
    names: BTreeSet<Box<str>>,
}

impl ChangedNames {
    /// Any name.
    pub fn all() -> ChangedNames {
        ChangedNames { all: true, drops: true, paths: true, names: BTreeSet::new() }
    }

    /// These names.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> ChangedNames {
        let names = names.take(MAX_NAMES + 1).map(Into::into).collect();
        let mut changed = ChangedNames { names, ..ChangedNames::default() };
        changed.bound();
        changed
    }

    /// Any name may be meant; there are no names then.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Anything may be dropped, whatever its name.
    pub fn drops(&self) -> bool {
        self.drops
    }

    /// Which schemas a role may use may change, and with it which of several relations of one name is meant.
    pub fn paths(&self) -> bool {
        self.paths
    }

    /// No name is meant.
    pub fn is_empty(&self) -> bool {
        !self.all && !self.drops && !self.paths && self.names.is_empty()
    }

    /// That name may be meant.
    pub fn may_be(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// All that `other` means is meant.
    pub fn covers(&self, other: &ChangedNames) -> bool {
        let each = (self.drops || !other.drops) && (self.paths || !other.paths);
        self.all || !other.all && each && other.names.is_subset(&self.names)
    }

    /// Adds what `other` means.
    pub fn add(&mut self, other: &ChangedNames) {
        if !self.covers(other) {
            self.all |= other.all;
            self.drops |= other.drops;
            self.paths |= other.paths;
            self.names.extend(other.names.iter().cloned());
            self.bound();
        }
    }

    fn insert(&mut self, name: &[u8]) {
        match std::str::from_utf8(&name[..name.len().min(MAX_NAME)]) {
            // How the server folds and cuts other letters depends on its encoding.
            Ok(name) if name.is_ascii() => _ = self.names.insert(name.into()),
            _ => self.all = true,
        }
        self.bound();
    }

    fn bound(&mut self) {
        if self.all || self.names.len() > MAX_NAMES {
            *self = ChangedNames::all();
        }
    }
}

/// The names whose meaning a text may change; `None`, as a rule within some ten nanoseconds, where there is none.
#[inline]
pub fn changed_names(text: &[u8]) -> Option<ChangedNames> {
    if !may_change(text) {
        return None;
    }
    let names = of_candidate(text);
    (!names.is_empty()).then_some(names)
}

/// The first words of its statements say that the text may change the catalog. Semicolons in strings and comments count
/// as well.
fn may_change(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        if begins_change(rest) {
            return true;
        }
        match memchr::memchr(b';', rest) {
            Some(at) => rest = &rest[at + 1..],
            None => return false,
        }
    }
}

/// The text begins with a word that begins a change.
fn begins_change(text: &[u8]) -> bool {
    let Some(text) = skip_blanks(text) else { return false };
    let length = text.iter().take(10).position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(text.len().min(10));
    let (word, rest) = text.split_at(length);
    let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
    match word.first().map(u8::to_ascii_lowercase) {
        Some(b'c') => is("create") || is("commit") && has_word(rest, b"prepared"),
        Some(b'a') => is("alter"),
        Some(b'd') => is("drop"),
        Some(b'g') => is("grant"),
        Some(b'r') => is("revoke") || is("reassign"),
        Some(b'i') => is("import"),
        Some(b'e') => is("explain") && (has_word(rest, b"create") || has_into(rest)),
        Some(b's') => is("select") && has_into(rest),
        Some(b'w') => is("with") && has_into(rest),
        Some(b'v') => is("values") && has_into(rest),
        Some(b't') => is("table") && has_into(rest),
        _ => false,
    }
}

/// What follows blanks, comments and opening brackets; `None` where nothing does.
fn skip_blanks(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        match text {
            [b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' | b'(', rest @ ..] => text = rest,
            [b'-', b'-', rest @ ..] => text = &rest[memchr::memchr2(b'\n', b'\r', rest)?..],
            [b'/', b'*', rest @ ..] => {
                let (mut depth, mut at) = (1_usize, 0);
                while depth > 0 {
                    at += memchr::memchr2(b'*', b'/', &rest[at..])?;
                    match rest.get(at..at + 2)? {
                        b"*/" => (depth, at) = (depth - 1, at + 2),
                        b"/*" => (depth, at) = (depth + 1, at + 2),
                        _ => at += 1,
                    }
                }
                text = &rest[at..];
            }
            [] => return None,
            _ => return Some(text),
        }
    }
}

/// `word`, in lower case, stands in the text.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let first = word[0];
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text).any(|at| {
        text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
            && text.get(at + word.len()).is_none_or(|byte| !is_word(*byte))
            && !at.checked_sub(1).is_some_and(|before| is_word(text[before]))
    })
}

/// INTO stands in the text. Its letters are looked for side by side, without a branch, so that the compiler takes many at
/// once: SELECT is the most common text, and `i` a common letter.
fn has_into(text: &[u8]) -> bool {
    let Some(ends) = text.get(3..) else { return false };
    let letters = text.iter().zip(&text[1..]).zip(&text[2..]).zip(ends);
    let found = letters.fold(0, |found, (((i, n), t), o)| {
        found
            | (u8::from(i | 0x20 == b'i')
                & u8::from(n | 0x20 == b'n')
                & u8::from(t | 0x20 == b't')
                & u8::from(o | 0x20 == b'o'))
    });
    found != 0 && has_word(text, b"into")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// A text that comes in pieces, each of more than a few bytes.
#[derive(Debug, Clone, Default)]
pub struct LongText {
    begun: bool,
    /// A statement may begin with the next piece.
    open: bool,
    /// INTO may make a relation.
    selects: bool,
    /// The end of the piece before.
    tail: Vec<u8>,
}

/// Words that begin a change, as far as a piece's end can cut them.
const BEGINNINGS: [&str; 13] = [
    "alter", "commit", "create", "drop", "explain", "grant", "import", "reassign", "revoke", "select", "table",
    "values", "with",
];

/// Letters of INTO, and one on each side.
const TAIL: usize = 6;

impl LongText {
    /// The next piece. True where the text may change any name, as far as it has come.
    pub fn piece(&mut self, piece: &[u8]) -> bool {
        let mut rest = Some(piece).filter(|_| !std::mem::replace(&mut self.begun, true) || self.open);
        rest = rest.or_else(|| after_semicolon(piece));
        self.open = false;
        while let Some(text) = rest {
            match skip_blanks(text) {
                // A comment may begin here and end in another piece.
                None if text.iter().any(|byte| matches!(byte, b'-' | b'/')) => return true,
                Some(b"-" | b"/") => return true,
                None => self.open = true,
                Some(text) => {
                    let length = text.iter().take(10).position(|byte| !byte.is_ascii_alphabetic());
                    let word = text[..length.unwrap_or(text.len().min(10))].to_ascii_lowercase();
                    let is_cut = length.is_none() && text.len() < 10;
                    let begins = |known: &str| known.as_bytes().starts_with(&word) && !word.is_empty();
                    if is_cut && BEGINNINGS.iter().any(|known| begins(known)) {
                        return true;
                    }
                    match &word[..] {
                        b"explain" | b"select" | b"with" | b"values" | b"table" => self.selects = true,
                        b"commit" => {}
                        word if BEGINNINGS.iter().any(|known| known.as_bytes() == word) => return true,
                        _ => {}
                    }
                    if word == b"commit" && begins_change(text) || word == b"explain" {
                        return true;
                    }
                }
            }
            rest = after_semicolon(text);
        }
        if !self.selects {
            return false;
        }
        self.tail.extend_from_slice(&piece[..piece.len().min(TAIL)]);
        let found = has_into(&self.tail) || has_into(piece);
        self.tail.clear();
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL)..]);
        found
    }
}

fn after_semicolon(text: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b';', text).map(|at| &text[at + 1..])
}

fn of_candidate(text: &[u8]) -> ChangedNames {
    // In the protocol a zero byte ends it, and something else may follow.
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let Ok(sql) = std::str::from_utf8(text) else { return ChangedNames::all() };
    if text.len() > MAX_TEXT {
        return ChangedNames::all();
    }
    let names = of_text(sql, Dialect { standard_conforming_strings: true });
    if sql.contains('\\') && names != of_text(sql, Dialect { standard_conforming_strings: false }) {
        return ChangedNames::all();
    }
    names
}

fn of_text(sql: &str, dialect: Dialect) -> ChangedNames {
    let mut names = ChangedNames::default();
    let mut tokens = Tokens::new(sql, dialect);
    let mut statement: Vec<Token> = Vec::new();
    for token in tokens.by_ref() {
        if token.kind == Kind::Symbol(b';') {
            of_statement(sql, &std::mem::take(&mut statement), &mut names);
        } else {
            statement.push(token);
        }
    }
    of_statement(sql, &statement, &mut names);
    if tokens.broken.is_some() { ChangedNames::all() } else { names }
}

fn of_statement(sql: &str, tokens: &[Token], names: &mut ChangedNames) {
    let begin = tokens.iter().position(|token| token.kind != Kind::Symbol(b'(')).unwrap_or(0);
    let tokens = &tokens[begin..];
    let mut words = tokens.iter().map(|token| Keyword::of(sql, token));
    let Some(first) = words.next() else { return };
    let second = words.next().unwrap_or_else(Keyword::none);
    let has = |word: &str| tokens.iter().any(|token| Keyword::of(sql, token).as_str() == word);
    match first.as_str() {
        "create" => match of_create(sql, tokens) {
            Some(Create::Temporary) => return,
            // It may be made a member of others, and others of it.
            Some(Create::Named) => names.paths |= ["role", "user", "group"].contains(&second.as_str()),
            None => return names.add(&ChangedNames::all()),
        },
        // What sessions begin with later: each is asked for its own, and what names mean stays.
        "alter" if is_default(sql, tokens) => {}
        // A schema's name is part of others, and a role's is in paths.
        "alter" if OF_PATHS.contains(&second.as_str()) && has("rename") => return names.add(&ChangedNames::all()),
        "alter" if OF_PATHS.contains(&second.as_str()) => names.paths = true,
        "drop" if OF_PATHS.contains(&second.as_str()) => {
            names.drops |= has("cascade") || second.as_str() == "owned";
            names.paths = true;
        }
        "alter" | "drop" if !OF_ONE_NAME.contains(&second.as_str()) => return names.add(&ChangedNames::all()),
        "alter" | "drop" => names.drops |= has("cascade"),
        // What somebody may do to a table changes no name's meaning; whether a schema is in somebody's path does.
        "grant" | "revoke" if has("on") && !has("schema") => return,
        "grant" | "revoke" | "reassign" => names.paths = true,
        "import" => return names.add(&ChangedNames::all()),
        "commit" if second.as_str() == "prepared" => return names.add(&ChangedNames::all()),
        "explain" if has("create") => return names.add(&ChangedNames::all()),
        "select" | "with" | "values" | "table" | "explain" => {
            if let Some(target) = into(sql, tokens) {
                names_of(sql, target, names);
            }
            return;
        }
        _ => return,
    }
    names_of(sql, before_secrets(sql, tokens), names);
}

/// Of a statement that may hold a password, what comes before it: names are told as they stand in the text, and a secret
/// that somebody puts in the wrong quotes reads as one.
fn before_secrets<'a>(sql: &str, tokens: &'a [Token]) -> &'a [Token] {
    const HOLD: [&str; 5] = ["role", "user", "group", "subscription", "server"];
    const BEGIN: [&str; 3] = ["password", "connection", "options"];
    let word = |place: usize| tokens.get(place).map_or_else(Keyword::none, |token| Keyword::of(sql, token));
    let is = |place: usize, known: &str| word(place).as_str() == known;
    let holds = HOLD.iter().any(|known| is(1, known)) || is(1, "foreign") && is(2, "data");
    if !holds {
        return tokens;
    }
    let secret = tokens.iter().position(|token| BEGIN.contains(&Keyword::of(sql, token).as_str()));
    &tokens[..secret.unwrap_or(tokens.len())]
}

/// ALTER ROLE or ALTER DATABASE ... SET or RESET.
fn is_default(sql: &str, tokens: &[Token]) -> bool {
    let word = |place: usize| tokens.get(place).map_or_else(Keyword::none, |token| Keyword::of(sql, token));
    let sets = |place: usize| ["set", "reset"].contains(&word(place).as_str());
    match word(1).as_str() {
        "role" | "user" => sets(3) || word(3).as_str() == "in" && word(4).as_str() == "database" && sets(6),
        "database" => sets(3),
        _ => false,
    }
}

enum Create {
    Temporary,
    Named,
}

/// What CREATE makes: `None` where it is none that is known to concern the names in its text alone.
fn of_create(sql: &str, tokens: &[Token]) -> Option<Create> {
    const FILLERS: [&str; 8] = ["or", "replace", "unlogged", "unique", "constraint", "recursive", "global", "local"];
    for token in tokens.iter().skip(1) {
        let word = Keyword::of(sql, token);
        match word.as_str() {
            filler if FILLERS.contains(&filler) => {}
            "temp" | "temporary" => return Some(Create::Temporary),
            "schema" | "role" | "user" | "group" => return Some(Create::Named),
            word => return OF_ONE_NAME.contains(&word).then_some(Create::Named),
        }
    }
    None
}

/// What decides who may use which schema: second words of ALTER and DROP.
const OF_PATHS: [&str; 5] = ["schema", "role", "user", "group", "owned"];

/// Objects that only what is named in the text depends on: second words of CREATE, ALTER and DROP.
const OF_ONE_NAME: [&str; 29] = [
    "table",
    "view",
    "materialized",
    "index",
    "sequence",
    "function",
    "procedure",
    "routine",
    "trigger",
    "rule",
    "type",
    "domain",
    "aggregate",
    "policy",
    "statistics",
    "foreign",
    "collation",
    "conversion",
    "publication",
    "subscription",
    "text",
    "access",
    "operator",
    "event",
    "server",
    "language",
    "tablespace",
    "default",
    "database",
];

/// What stands behind the INTO of SELECT INTO, one name; `None` where that is none, or a temporary relation.
fn into<'a>(sql: &str, tokens: &'a [Token]) -> Option<&'a [Token]> {
    let mut before = Keyword::none();
    for (place, token) in tokens.iter().enumerate() {
        let word = Keyword::of(sql, token);
        if word.as_str() == "into" && !["insert", "merge"].contains(&before.as_str()) {
            let target = &tokens[place + 1..];
            let first = target.first().map_or_else(Keyword::none, |token| Keyword::of(sql, token));
            let temporary = ["temp", "temporary", "local", "global"].contains(&first.as_str());
            return (!temporary).then(|| &target[..target.len().min(6)]);
        }
        before = word;
    }
    None
}

/// Words that name nothing where a statement begins with CREATE, ALTER or DROP; each could be a name only in quotes. CHECK is
/// told: it says that the statement may hang an expression on a table.
const RESERVED: [&str; 37] = [
    "all",
    "and",
    "as",
    "asc",
    "case",
    "cast",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "else",
    "end",
    "foreign",
    "from",
    "grant",
    "group",
    "in",
    "into",
    "not",
    "null",
    "on",
    "only",
    "or",
    "order",
    "primary",
    "references",
    "select",
    "table",
    "then",
    "to",
    "unique",
    "using",
    "when",
    "where",
];

/// Letters of operators.
const OPERATOR: &[u8] = b"+-*/<>=~!@#%^&|`?";

fn names_of(sql: &str, tokens: &[Token], names: &mut ChangedNames) {
    let of_operators = tokens.get(1).is_some_and(|second| Keyword::of(sql, second).as_str() == "operator");
    // The operator whose letters came last.
    let mut operator: Option<Range<usize>> = None;
    for token in tokens {
        let ends =
            |before: &mut Range<usize>| before.end != token.range.start || !matches!(token.kind, Kind::Symbol(_));
        if let Some(range) = operator.take_if(ends) {
            names.insert(&sql.as_bytes()[range]);
        }
        let bytes = &sql.as_bytes()[token.range.clone()];
        match token.kind {
            Kind::Word => {
                let word = bytes.to_ascii_lowercase();
                let reserved = std::str::from_utf8(&word).is_ok_and(|word| RESERVED.binary_search(&word).is_ok());
                if !reserved {
                    names.insert(&word);
                }
            }
            Kind::Quoted => {
                let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
                names.insert(sql_unquoted(inner).as_bytes());
            }
            Kind::Symbol(letter) if of_operators && OPERATOR.contains(&letter) => {
                let begins = operator.as_ref().filter(|before| before.end == token.range.start);
                operator = Some(begins.map_or(token.range.start, |before| before.start)..token.range.end);
            }
            Kind::UnicodeQuoted => names.add(&ChangedNames::all()),
            _ => {}
        }
        if names.is_all() {
            return;
        }
    }
    if let Some(range) = operator {
        names.insert(&sql.as_bytes()[range]);
    }
}

fn sql_unquoted(inner: &[u8]) -> String {
    String::from_utf8_lossy(inner).replace("\"\"", "\"")
}

#[cfg(test)]
mod tests;
