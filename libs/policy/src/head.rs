//! What the first words of a statement say, for one that cannot be parsed or is too long to be.
//!
//! Invariant: what is told as certain is so for every statement that the server accepts: it begins with a word that can
//! begin nothing else, and nothing that follows can make it change another relation.

use std::iter::Peekable;

use crate::scan::{Keyword, Kind, Token, Tokens};
use crate::{Dialect, Effect, Name, Operation, Relation, Statement, relations};

/// Longest name, in bytes (`NAMEDATALEN` - 1).
const MAX_NAME: usize = 63;

/// Most places where a hint is looked for.
const MAX_LOOKS: usize = 64;

/// The statement as far as its head tells; opaque in any case, for this reason.
pub(crate) fn statement(sql: &str, dialect: Dialect, reason: &str) -> Statement {
    let mut statement = Head::new(sql, dialect).statement().unwrap_or_else(|| Statement {
        head: hint(sql, dialect),
        may_end_transaction: true,
        ..Statement::new(Operation::Opaque, 0..sql.len())
    });
    statement.may_change_settings = true;
    statement.opaque = Some(reason.to_owned());
    if let Effect::Prepare { statement: inner, .. } = &mut statement.effect {
        inner.opaque.clone_from(&statement.opaque);
        inner.may_change_settings = true;
        statement.may_change_settings = false;
    }
    statement
}

/// What the statement may do, by its first words; or by those of a statement inside it that changes something.
pub(crate) fn hint(sql: &str, dialect: Dialect) -> Option<(Operation, Name)> {
    let mut head = Head::new(sql, dialect);
    let (mut begins, mut looks) = (true, 0);
    while let Some(token) = head.tokens.next() {
        let word = Keyword::of(sql, &token);
        if begins {
            if let Some(found) = head.clone().target(word.as_str()) {
                return Some(found);
            }
            looks += 1;
            if looks == MAX_LOOKS {
                return None;
            }
        }
        // A statement can stand behind a bracket, and behind what explains or prepares it.
        begins = matches!(token.kind, Kind::Symbol(b'(' | b')'))
            || matches!(word.as_str(), "explain" | "analyze" | "verbose" | "as");
    }
    None
}

#[derive(Clone)]
pub(crate) struct Head<'a> {
    sql: &'a str,
    dialect: Dialect,
    tokens: Peekable<Tokens<'a>>,
}

impl<'a> Head<'a> {
    pub(crate) fn new(sql: &'a str, dialect: Dialect) -> Head<'a> {
        Head { sql, dialect, tokens: Tokens::new(sql, dialect).peekable() }
    }

    fn keyword(&self, token: Option<&Token>) -> Keyword {
        token.map_or_else(Keyword::none, |token| Keyword::of(self.sql, token))
    }

    fn next_word(&mut self) -> Keyword {
        let token = self.tokens.next();
        self.keyword(token.as_ref())
    }

    fn peek_word(&mut self) -> Keyword {
        let token = self.tokens.peek().cloned();
        self.keyword(token.as_ref())
    }

    fn peek_is(&mut self, letter: u8) -> bool {
        self.tokens.peek().is_some_and(|token| token.kind == Kind::Symbol(letter))
    }

    /// Goes past the word, or past these words, where they are next.
    fn skip(&mut self, words: &[&str]) -> bool {
        let found = words.contains(&self.peek_word().as_str());
        if found {
            self.tokens.next();
        }
        found
    }

    /// A name of one part, folded and cut as the server does.
    pub(crate) fn part(&mut self) -> Option<String> {
        let token = self.tokens.next()?;
        let text = &self.sql[token.range.clone()];
        let name = match token.kind {
            Kind::Word => text.to_ascii_lowercase(),
            Kind::Quoted => text[1..text.len() - 1].replace("\"\"", "\""),
            Kind::UnicodeQuoted => {
                let escape = if self.skip(&["uescape"]) {
                    let token = self.tokens.next()?;
                    let mut letters = self.sql[token.range].trim_matches('\'').chars();
                    letters.next().filter(|_| letters.next().is_none())?
                } else {
                    '\\'
                };
                unescape(&text[3..text.len() - 1].replace("\"\"", "\""), escape)?
            }
            _ => return None,
        };
        Some(name[..name.floor_char_boundary(MAX_NAME)].to_owned()).filter(|name| !name.is_empty())
    }

    /// A name that may be qualified.
    fn name(&mut self) -> Option<Name> {
        self.name_of_parts().0
    }

    /// A name, and how many parts it has.
    pub(crate) fn name_of_parts(&mut self) -> (Option<Name>, usize) {
        let (mut name, mut parts) = (self.part().map(|name| Name { schema: None, name }), 1);
        while name.is_some() && self.peek_is(b'.') {
            self.tokens.next();
            parts += 1;
            name = name.zip(self.part()).map(|(before, name)| Name { schema: Some(before.name), name });
        }
        (name, parts)
    }

    /// Nothing follows.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.tokens.peek().is_none() && !self.is_broken()
    }

    /// The text ends inside a token.
    fn is_broken(&self) -> bool {
        let mut tokens = Tokens::new(self.sql, self.dialect);
        tokens.by_ref().for_each(drop);
        tokens.broken.is_some()
    }

    /// `[ONLY] name [*]`, or `ONLY (name)`.
    fn relation(&mut self) -> Option<Name> {
        let bracket = self.skip(&["only"]) && self.peek_is(b'(');
        if bracket {
            self.tokens.next();
        }
        let name = self.name()?;
        if bracket && !self.peek_is(b')') {
            return None;
        }
        if bracket || self.peek_is(b'*') {
            self.tokens.next();
        }
        Some(name)
    }

    /// The relation that a statement beginning with this word changes, or fills, or is about.
    fn target(&mut self, word: &str) -> Option<(Operation, Name)> {
        let operation = match word {
            "update" => Operation::Update,
            "delete" if self.skip(&["from"]) => Operation::Delete,
            "insert" if self.skip(&["into"]) => Operation::Insert,
            "merge" if self.skip(&["into"]) => Operation::Merge,
            "truncate" => {
                self.skip(&["table"]);
                Operation::Truncate
            }
            "copy" => {
                self.skip(&["binary"]);
                let name = self.relation()?;
                self.brackets();
                let from = self.next_word().as_str() == "from";
                return Some((if from { Operation::CopyIn } else { Operation::CopyOut }, name));
            }
            "create" | "alter" | "drop" => {
                self.skip(&["or"]);
                self.skip(&["replace"]);
                self.skip(&["global", "local"]);
                self.skip(&["temp", "temporary", "unlogged", "materialized", "foreign", "recursive"]);
                if !self.skip(&["table", "view", "sequence"]) {
                    return None;
                }
                if self.skip(&["if"]) {
                    self.skip(&["not"]);
                    self.skip(&["exists"]);
                }
                Operation::Ddl
            }
            _ => return None,
        };
        Some((operation, self.relation()?))
    }

    /// Goes past a bracket and what stands in it.
    fn brackets(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.peek() {
            match token.kind {
                Kind::Symbol(b'(') => depth += 1,
                Kind::Symbol(b')') => depth = depth.saturating_sub(1),
                _ if depth == 0 => return,
                _ => {}
            }
            self.tokens.next();
        }
    }

    /// Goes through the rest of the statement for the word behind the other, neither inside brackets.
    fn outside_brackets(&mut self, first: Option<&str>, second: &str) -> bool {
        let mut before = false;
        loop {
            self.brackets();
            let Some(token) = self.tokens.next() else { return false };
            let word = self.keyword(Some(&token));
            if word.as_str() == second && (before || first.is_none()) {
                return true;
            }
            before = first == Some(word.as_str());
        }
    }

    /// What is certain.
    fn statement(&mut self) -> Option<Statement> {
        let word = self.next_word();
        let whole = 0..self.sql.len();
        let new = |operation| Statement::new(operation, whole.clone());
        match word.as_str() {
            // A cursor's or a plain query may read what it likes; INTO would make a table.
            "select" => (!self.outside_brackets(None, "into")).then(|| new(Operation::Select)),
            "values" => Some(new(Operation::Select)),
            "do" => Some(Statement { may_end_transaction: true, ..new(Operation::Do) }),
            "call" => Some(Statement { may_end_transaction: true, ..new(Operation::Call) }),
            "execute" => {
                let mut statement = new(Operation::Execute);
                statement.effect = Effect::Execute(self.part()?);
                Some(statement)
            }
            "declare" => {
                let mut statement = new(Operation::Declare);
                statement.effect = Effect::Declare(self.part()?);
                Some(statement)
            }
            "prepare" => {
                let mut statement = new(Operation::Prepare);
                let name = self.part()?;
                self.brackets();
                if self.next_word().as_str() != "as" {
                    return None;
                }
                let start = self.tokens.peek()?.range.start;
                let inner = Head::new(&self.sql[start..], self.dialect).statement().unwrap_or_else(|| Statement {
                    head: hint(&self.sql[start..], self.dialect),
                    ..Statement::new(Operation::Opaque, 0..0)
                });
                let inner = Box::new(Statement { range: statement.range.clone(), ..inner });
                statement.effect = Effect::Prepare { name, statement: inner };
                Some(statement)
            }
            "truncate" => {
                let mut statement = new(Operation::Truncate);
                self.skip(&["table"]);
                loop {
                    let name = self.relation()?;
                    if statement.relations.len() < relations::MAX_RELATIONS {
                        statement.relations.push(touched(name, Operation::Truncate));
                    }
                    if !self.peek_is(b',') {
                        return Some(statement);
                    }
                    self.tokens.next();
                }
            }
            "update" | "delete" | "insert" | "copy" => {
                let (operation, name) = self.target(word.as_str())?;
                let mut statement = new(operation);
                statement.relations.push(Relation { counted: true, ..touched(name.clone(), operation) });
                match operation {
                    // DO is no name without quotes: these two words are of ON CONFLICT.
                    Operation::Insert if self.outside_brackets(Some("do"), "update") => {
                        statement.relations.push(touched(name, Operation::Update));
                    }
                    Operation::CopyIn => statement.copies_from_client = self.skip(&["stdin", "stdout"]),
                    _ => {}
                }
                Some(statement)
            }
            _ => None,
        }
    }
}

fn touched(name: Name, operation: Operation) -> Relation {
    Relation::new(name, operation)
}

/// The text of U&"...".
fn unescape(text: &str, escape: char) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.chars();
    let mut high = None;
    while let Some(letter) = rest.next() {
        if letter != escape {
            out.push(letter);
            continue;
        }
        let digits = match rest.as_str().as_bytes().first()? {
            b'+' => {
                rest.next();
                6
            }
            _ if rest.as_str().starts_with(escape) => {
                rest.next();
                out.push(escape);
                continue;
            }
            _ => 4,
        };
        let code = u32::from_str_radix(rest.as_str().get(..digits)?, 16).ok()?;
        rest.nth(digits - 1);
        match (high.take(), code) {
            (None, 0xD800..=0xDBFF) => high = Some(code),
            (Some(high), 0xDC00..=0xDFFF) => {
                out.push(char::from_u32(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00))?);
            }
            (None, _) => out.push(char::from_u32(code)?),
            (Some(_), _) => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
