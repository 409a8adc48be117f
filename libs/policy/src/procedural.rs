//! The SQL inside a body in PL/pgSQL, found by its tokens, as PL/pgSQL's own parser finds it (`pl_gram.y`).
//!
//! libpg_query can parse PL/pgSQL, too (the tests compare), but refuses what another version of the server takes as a whole,
//! and walks a body by recursion, on a stack that a body can exhaust. A body is one that the server has taken: what is wrong
//! with another is not told.
//!
//! Invariants: every expression and statement of a body is in what is told, or the body is opaque; time grows with the
//! body's length alone.

use std::collections::HashSet;
use std::ops::Range;

use crate::scan::{Keyword, Kind, Token, Tokens};
use crate::{Dialect, MAX_TEXT};

/// Most pieces of one body; a longer one is opaque.
pub(crate) const MAX_PIECES: usize = 2000;

/// What a body consists of. Types are told by their names alone: which ones they are is in the catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Procedure {
    /// In the order of the text.
    pub(crate) pieces: Vec<Piece>,
    /// The types of its variables and of cursors' arguments, as written, each once; of `%TYPE` and `%ROWTYPE` the relation's.
    pub(crate) types: Vec<String>,
    /// It assigns to a field, perhaps of a row whose type is that of a query.
    pub(crate) assigns_fields: bool,
    /// Why it may do more than they tell.
    pub(crate) opaque: Option<&'static str>,
    /// It holds COMMIT or ROLLBACK.
    pub(crate) ends_transactions: bool,
}

/// A statement, or an expression as one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// SQL.
    pub(crate) sql: String,
    /// It is run whenever the body comes to its end.
    pub(crate) always: bool,
}

/// Deepest nesting in which a statement is told to be always run.
const MAX_STRAIGHT: usize = 16;

/// Why EXECUTE is opaque.
const DYNAMIC: &str = "runs SQL that is put together while it runs";

/// Why a body is opaque that is not read to its end.
const UNREAD: &str = "holds what is not understood";

/// What a body's END closes.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Block {
        handles: bool,
    },
    /// With what is compared: `CASE x WHEN ...`.
    Case {
        compares: bool,
    },
    Other,
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// With whether what follows its END is run whenever the body comes to its end, if nothing leaves before.
    open: Vec<(Open, bool)>,
    /// What follows is run whenever the body comes to its end.
    straight: bool,
    /// Something may have left: RETURN, or EXIT and CONTINUE with a label.
    left: bool,
    cursors: HashSet<String>,
    /// Types that are told.
    seen: HashSet<String>,
    found: Procedure,
}

/// The SQL of a body.
pub(crate) fn read(text: &str, dialect: Dialect) -> Procedure {
    if text.len() > 8 * MAX_TEXT {
        return Procedure { opaque: Some("is too long to be read"), ..Procedure::default() };
    }
    let mut tokens = Tokens::new(text, dialect);
    let all = tokens.by_ref().collect();
    let broken = tokens.broken.is_some();
    let (open, cursors, seen, found) = (Vec::new(), HashSet::new(), HashSet::new(), Procedure::default());
    let mut reader = Reader { text, tokens: all, at: 0, open, straight: true, left: false, cursors, seen, found };
    while reader.at < reader.tokens.len() {
        let before = reader.at;
        reader.statement();
        if reader.found.pieces.len().max(reader.found.types.len()) > MAX_PIECES {
            reader.found.pieces.truncate(MAX_PIECES);
            reader.found.types.truncate(MAX_PIECES);
            reader.found.opaque = Some("holds too many statements");
            break;
        }
        // A token that begins nothing is gone past.
        reader.at = reader.at.max(before + 1);
    }
    if broken || !reader.open.is_empty() {
        reader.found.opaque.get_or_insert(UNREAD);
    }
    let mut found = reader.found;
    if found.ends_transactions {
        // ROLLBACK undoes what was run before it.
        found.pieces.iter_mut().for_each(|piece| piece.always = false);
    }
    found
}

impl<'a> Reader<'a> {
    fn word_at(&self, place: usize) -> Keyword {
        self.tokens.get(place).map_or_else(Keyword::none, |token| Keyword::of(self.text, token))
    }

    fn is_symbol(&self, place: usize, letter: u8) -> bool {
        self.tokens.get(place).is_some_and(|token| token.kind == Kind::Symbol(letter))
    }

    /// The next place from here on where one of these words or letters stands outside brackets; the end where none does.
    fn find(&self, from: usize, words: &[&str], letters: &[u8]) -> usize {
        let mut depth = 0_usize;
        for (place, token) in self.tokens.iter().enumerate().skip(from) {
            match token.kind {
                Kind::Symbol(b'(' | b'[') => depth += 1,
                Kind::Symbol(b')' | b']') => depth = depth.saturating_sub(1),
                Kind::Symbol(letter) if depth == 0 && letters.contains(&letter) => return place,
                Kind::Symbol(b';') if depth == 0 => return place,
                Kind::Word if depth == 0 && words.contains(&self.word_at(place).as_str()) => return place,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// The text of these tokens.
    fn text_of(&self, range: Range<usize>) -> &'a str {
        match self.tokens.get(range.clone()) {
            Some([first, .., last]) => &self.text[first.range.start..last.range.end],
            Some([only]) => &self.text[only.range.clone()],
            _ => "",
        }
    }

    fn piece(&mut self, sql: String) {
        self.found.pieces.push(Piece { sql, always: self.straight });
    }

    fn expression(&mut self, range: Range<usize>) {
        let text = self.text_of(range);
        // Most expressions run nothing.
        if text.bytes().any(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b' ' | b'\n'))) {
            self.piece(format!("select {text}"));
        }
    }

    /// Goes to the `;` and past it; the tokens before it.
    fn rest(&mut self) -> Range<usize> {
        let end = self.find(self.at, &[], &[]);
        let rest = self.at..end;
        self.at = end + 1;
        rest
    }

    /// An expression up to a word, which is gone past.
    fn expression_until(&mut self, words: &[&str]) {
        let end = self.find(self.at, words, &[]);
        self.expression(self.at..end);
        self.at = end + 1;
    }

    fn open(&mut self, open: Open) {
        self.open.push((open, self.straight));
    }

    fn statement(&mut self) {
        // <<label>>
        while self.is_symbol(self.at, b'<') && self.is_symbol(self.at + 1, b'<') {
            self.at = self.tokens.len().min(self.at + 5);
        }
        if self.is_symbol(self.at, b';') || self.is_symbol(self.at, b'#') {
            self.at += if self.is_symbol(self.at, b'#') { 3 } else { 1 };
            return;
        }
        if let Some(after) = self.assignment() {
            self.at = after;
            let rest = self.rest();
            return self.expression(rest);
        }
        let word = self.word_at(self.at);
        let start = self.at;
        self.at += 1;
        match word.as_str() {
            "declare" => self.declarations(),
            "begin" => {
                // What a handler catches did not happen.
                self.open(Open::Block { handles: false });
                self.straight = self.straight && self.open.len() <= MAX_STRAIGHT && !self.handles();
            }
            "exception" => {
                self.straight = false;
                if let Some((Open::Block { handles }, _)) = self.open.last_mut() {
                    *handles = true;
                }
            }
            "if" | "elsif" | "elseif" => {
                if word.as_str() == "if" {
                    self.open(Open::Other);
                    self.expression_until(&["then"]);
                    self.straight = false;
                } else {
                    self.expression_until(&["then"]);
                }
            }
            "while" => {
                self.open(Open::Other);
                self.expression_until(&["loop"]);
                self.straight = false;
            }
            "for" | "foreach" => self.for_loop(),
            "loop" => {
                self.open(Open::Other);
                self.straight = false;
            }
            "case" => {
                let end = self.find(self.at, &["when"], &[]);
                self.open(Open::Case { compares: end > self.at });
                self.expression(self.at..end);
                self.at = end;
                self.straight = false;
            }
            "when" if matches!(self.open.last(), Some((Open::Case { compares: false }, _))) => {
                self.expression_until(&["then"]);
            }
            // PL/pgSQL asks whether it is one of them.
            "when" if matches!(self.open.last(), Some((Open::Case { compares: true }, _))) => {
                let end = self.find(self.at, &["then"], &[]);
                let values = self.text_of(self.at..end);
                self.piece(format!("select null in ({values})"));
                self.at = end + 1;
            }
            // Conditions of a handler are names.
            "when" => self.at = self.find(self.at, &["then"], &[]) + 1,
            "else" => {}
            "end" => {
                if let Some((_, straight)) = self.open.pop() {
                    self.straight = straight && !self.left;
                }
                self.rest();
            }
            "return" => self.returns(),
            "perform" => {
                let rest = self.rest();
                let text = self.text_of(rest);
                self.piece(format!("select {text}"));
            }
            "execute" => {
                let end = self.find(self.at, &[], &[]);
                self.dynamic(self.at..end);
                self.at = end + 1;
            }
            "raise" => self.raise(),
            "assert" => {
                let rest = self.rest();
                self.expression(rest);
            }
            "open" => self.opens(),
            "exit" | "continue" => {
                self.left |= !self.is_symbol(self.at, b';') && self.word_at(self.at).as_str() != "when";
                self.at = self.find(self.at, &["when"], &[]);
                if self.word_at(self.at).as_str() == "when" {
                    self.at += 1;
                }
                let rest = self.rest();
                self.expression(rest);
            }
            "commit" | "rollback" => {
                self.found.ends_transactions = true;
                self.rest();
            }
            "get" | "null" | "close" => _ = self.rest(),
            "fetch" | "move" => {
                let rest = self.rest();
                if self.text_of(rest).contains('(') {
                    self.found.opaque.get_or_insert(UNREAD);
                }
            }
            _ => {
                self.at = start;
                self.sql();
            }
        }
    }

    /// `name [.field] [\[index\]] := ` or `=`: the place behind it.
    fn assignment(&mut self) -> Option<usize> {
        let mut place = self.at;
        let first = self.tokens.get(place)?.kind;
        if !matches!(first, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted | Kind::Parameter) {
            return None;
        }
        place += 1;
        // The rows that a trigger is for are of its table.
        let of_trigger = matches!(self.word_at(self.at).as_str(), "new" | "old");
        let mut fields = false;
        loop {
            if self.is_symbol(place, b'.') {
                place += 2;
                fields = true;
            } else if self.is_symbol(place, b'[') {
                let start = place + 1;
                let mut depth = 1_usize;
                place = start;
                while depth > 0 {
                    match self.tokens.get(place)?.kind {
                        Kind::Symbol(b'[') => depth += 1,
                        Kind::Symbol(b']') => depth -= 1,
                        _ => {}
                    }
                    place += 1;
                }
                self.expression(start..place - 1);
            } else {
                let colon = self.is_symbol(place, b':') && self.is_symbol(place + 1, b'=');
                let found = colon || self.is_symbol(place, b'=');
                self.found.assigns_fields |= found && fields && !of_trigger;
                return found.then_some(place + 1 + usize::from(colon));
            }
        }
    }

    /// Up to BEGIN.
    fn declarations(&mut self) {
        while self.at < self.tokens.len() && self.word_at(self.at).as_str() != "begin" {
            let end = self.find(self.at, &[], &[]);
            let first = self.find(self.at, &["default", "for", "is", "cursor"], b":=").min(end);
            if self.word_at(first).as_str() == "cursor" {
                if let Some(name) = self.tokens.get(self.at) {
                    self.cursors.insert(self.text[name.range.clone()].to_ascii_lowercase());
                }
                self.cursor_types(first + 1);
                let query = (self.find(first, &["for", "is"], &[]) + 1).min(end);
                let (text, straight) = (self.text_of(query..end), std::mem::take(&mut self.straight));
                self.piece(text.to_owned());
                self.straight = straight;
            } else if self.word_at(first).as_str() != "for" {
                let written = self.find(self.at + 1, &["collate", "not"], &[]).min(first);
                let constant = self.word_at(self.at + 1).as_str() == "constant";
                self.type_of_variable(self.at + 1 + usize::from(constant)..written);
            }
            if !matches!(self.word_at(first).as_str(), "for" | "cursor") && first < end {
                let colon = self.is_symbol(first, b':') && self.is_symbol(first + 1, b'=');
                self.expression(first + 1 + usize::from(colon)..end);
            }
            self.at = end + 1;
        }
    }

    /// The types of a cursor's arguments: `(name type, ...)`.
    fn cursor_types(&mut self, open: usize) {
        if !self.is_symbol(open, b'(') {
            return;
        }
        let mut start = open + 1;
        loop {
            let (mut depth, mut end) = (0_usize, start);
            while let Some(token) = self.tokens.get(end) {
                match token.kind {
                    Kind::Symbol(b'(' | b'[') => depth += 1,
                    Kind::Symbol(b')' | b',') if depth == 0 => break,
                    Kind::Symbol(b')' | b']') => depth = depth.saturating_sub(1),
                    _ => {}
                }
                end += 1;
            }
            self.type_of_variable(start + 1..end);
            if !self.is_symbol(end, b',') {
                return;
            }
            start = end + 1;
        }
    }

    /// Values become ones of that type when they are assigned.
    fn type_of_variable(&mut self, range: Range<usize>) {
        let mut written = range.clone();
        if let Some(percent) = range.clone().find(|place| self.is_symbol(*place, b'%')) {
            written.end = percent;
            if self.word_at(percent + 1).as_str() == "type" {
                // Of another variable, or of a column: the type is one of those that its relation's rows consist of.
                if !range.clone().any(|place| place < percent && self.is_symbol(place, b'.')) {
                    return;
                }
                written.end = percent.saturating_sub(2);
            }
        }
        let text = self.text_of(written);
        // What has no name of its own is not to be looked for again and again.
        let known = matches!(text, "int" | "integer" | "bigint" | "boolean" | "record");
        if !text.is_empty() && !known && self.seen.insert(text.to_owned()) {
            self.found.types.push(text.to_owned());
        }
    }

    /// The block that begins here has handlers.
    fn handles(&self) -> bool {
        let mut depth = 0_usize;
        for place in self.at..self.tokens.len() {
            let begins_statement = place == self.at
                || self.is_symbol(place - 1, b';')
                || matches!(self.word_at(place - 1).as_str(), "begin" | "then" | "else" | "loop");
            match self.word_at(place).as_str() {
                "exception" if depth == 0 && begins_statement => return true,
                "begin" if begins_statement => depth += 1,
                // An END of a block is followed by nothing or a label.
                "end" if begins_statement && !matches!(self.word_at(place + 1).as_str(), "if" | "loop" | "case") => {
                    let Some(less) = depth.checked_sub(1) else { return false };
                    depth = less;
                }
                _ => {}
            }
        }
        false
    }

    fn for_loop(&mut self) {
        self.open(Open::Other);
        let word = self.find(self.at, &["in"], &[]);
        let start = if self.word_at(word + 1).as_str() == "array" { word + 2 } else { word + 1 };
        let end = self.find(start, &["loop"], &[]);
        self.at = end + 1;
        let first = self.word_at(start);
        let text = self.text_of(start..end);
        match first.as_str() {
            "execute" => self.dynamic(start + 1..end),
            "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge" | "explain" | "show" => {
                self.piece(text.to_owned());
            }
            _ if start == word + 2 => self.expression(start..end),
            _ if text.starts_with('(') && !text.contains("..") => self.piece(text.to_owned()),
            _ if self
                .tokens
                .get(start)
                .is_some_and(|name| self.cursors.contains(&self.text[name.range.clone()].to_ascii_lowercase())) =>
            {
                self.arguments(start + 1..end);
            }
            reverse => {
                let start = start + usize::from(reverse == "reverse");
                let by = self.find(start, &["by"], &[]).min(end);
                // The borders stand around `..`, which may be part of numbers.
                let borders = self.text_of(start..by).replace("..", " , ");
                self.piece(format!("select {borders}"));
                self.expression((by + 1).min(end)..end);
            }
        }
        self.straight = false;
    }

    /// The arguments of a cursor, in brackets: those with a name stand behind `:=` or `=>`.
    fn arguments(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            let text = self.text_of(range);
            self.piece(format!("select cursor_arguments{text}"));
        }
    }

    fn returns(&mut self) {
        let word = self.word_at(self.at);
        let rest = match word.as_str() {
            "next" | "query" => {
                self.at += 1;
                self.rest()
            }
            _ => {
                let rest = self.rest();
                self.expression(rest);
                (self.straight, self.left) = (false, true);
                return;
            }
        };
        match word.as_str() {
            "next" => self.expression(rest),
            _ if self.word_at(rest.start).as_str() == "execute" => self.dynamic(rest.start + 1..rest.end),
            _ => {
                let text = self.text_of(rest);
                self.piece(text.to_owned());
            }
        }
    }

    /// The text of EXECUTE with what follows it.
    fn dynamic(&mut self, range: Range<usize>) {
        let text_end = self.find(range.start, &["into", "using"], &[]).min(range.end);
        let constant = self.tokens.get(range.start..text_end).and_then(|tokens| match tokens {
            [Token { kind: Kind::String, range }] => constant(&self.text[range.clone()]),
            _ => None,
        });
        match constant {
            Some(sql) => self.piece(sql),
            None => {
                self.found.opaque = Some(DYNAMIC);
                self.expression(range.start..text_end);
            }
        }
        let using = self.find(range.start, &["using"], &[]);
        if using < range.end {
            let end = self.find(using, &["into"], &[]).min(range.end);
            self.expression(using + 1..end);
        }
    }

    fn raise(&mut self) {
        let rest = self.rest();
        let using = self.find(rest.start, &["using"], &[]).min(rest.end);
        let comma = self.find(rest.start, &[], b",").min(using);
        self.expression((comma + 1).min(using)..using);
        let mut at = using;
        while at < rest.end {
            let value = self.find(at, &[], b"=").min(rest.end);
            let end = self.find(value + 1, &[], b",").min(rest.end);
            self.expression((value + 1).min(end)..end);
            at = end.max(at + 1);
        }
    }

    fn opens(&mut self) {
        let rest = self.rest();
        let query = self.find(rest.start, &["for"], &[]).min(rest.end);
        if query == rest.end {
            return self.arguments((rest.start + 1).min(rest.end)..rest.end);
        }
        if self.word_at(query + 1).as_str() == "execute" {
            return self.dynamic(query + 2..rest.end);
        }
        let text = self.text_of(query + 1..rest.end);
        self.piece(text.to_owned());
    }

    /// A statement of SQL, without the variables that its rows go to.
    fn sql(&mut self) {
        let rest = self.rest();
        let imports = self.word_at(rest.start).as_str() == "import";
        let mut sql = String::new();
        let mut from = rest.start;
        for place in rest.start + 1..rest.end {
            let into = self.word_at(place).as_str() == "into"
                && !imports
                && !matches!(self.word_at(place - 1).as_str(), "insert" | "merge");
            if into && place >= from {
                sql.push_str(self.text_of(from..place));
                sql.push(' ');
                from = self.targets(place + 1).min(rest.end);
                self.found.assigns_fields |= (place + 1..from).any(|place| self.is_symbol(place, b'.'));
            }
        }
        sql.push_str(self.text_of(from..rest.end));
        let makes_code = self.word_at(rest.start).as_str() == "create" && sql.to_ascii_lowercase().contains("atomic");
        if makes_code {
            self.found.opaque.get_or_insert(UNREAD);
        }
        self.piece(sql);
    }

    /// The place behind `[STRICT] name [.field] [, ...]`.
    fn targets(&self, mut place: usize) -> usize {
        if self.word_at(place).as_str() == "strict" {
            place += 1;
        }
        loop {
            place += 1;
            while self.is_symbol(place, b'.') {
                place += 2;
            }
            if !self.is_symbol(place, b',') {
                return place;
            }
            place += 1;
        }
    }
}

/// The text of a string constant that has one part and no escapes of its own kind.
fn constant(token: &str) -> Option<String> {
    if let Some(text) = token.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        let plain = text.replace("''", "");
        return (!plain.contains('\'')).then(|| text.replace("''", "'"));
    }
    let tag = token.strip_prefix('$')?.find('$')? + 2;
    token.get(tag..token.len().checked_sub(tag)?).map(str::to_owned)
}

#[cfg(test)]
mod tests;
