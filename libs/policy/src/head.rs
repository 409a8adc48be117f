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
struct Head<'a> {
    sql: &'a str,
    dialect: Dialect,
    tokens: Peekable<Tokens<'a>>,
}

impl<'a> Head<'a> {
    fn new(sql: &'a str, dialect: Dialect) -> Head<'a> {
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
    fn part(&mut self) -> Option<String> {
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
        Some(name[..name.floor_char_boundary(MAX_NAME)].to_owned())
    }

    /// A name that may be qualified.
    fn name(&mut self) -> Option<Name> {
        let mut name = Name { schema: None, name: self.part()? };
        while self.peek_is(b'.') {
            self.tokens.next();
            name = Name { schema: Some(name.name), name: self.part()? };
        }
        Some(name)
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
    Relation { name, operation, columns: Vec::new(), counted: false }
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
mod tests {
    use super::*;

    fn say(sql: &str) -> String {
        let statement = statement(sql, Dialect::default(), "too long");
        assert_eq!(statement.opaque.as_deref(), Some("too long"));
        let show = |name: &Name, operation: Operation| match &name.schema {
            Some(schema) => format!(" {schema}.{}:{operation}", name.name),
            None => format!(" {}:{operation}", name.name),
        };
        let mut said = statement.operation.to_string();
        statement.relations.iter().for_each(|relation| said += &show(&relation.name, relation.operation));
        if let Some((operation, name)) = &statement.head {
            said += &format!(" ?{}", show(name, *operation));
        }
        said
    }

    #[test]
    fn heads_tell_the_target() {
        for (sql, expected) in [
            ("update t set a = 1", "update t:update"),
            ("UPDATE ONLY S.\"T \"\"x\" * as u set a = 1", "update s.T \"x:update"),
            ("update only (d.s.t) set a = 1", "update s.t:update"),
            ("update U&\"\\0074\\+000065\" set a = 1", "update te:update"),
            ("update U&\"!0074\" uescape '!' set a = 1", "update t:update"),
            ("/* c */ delete -- d\n from t using u", "delete t:delete"),
            ("insert into t select 1 from u", "insert t:insert"),
            ("insert into t (a) values (1) on conflict (a) do update set b = 1", "insert t:insert t:update"),
            ("insert into t values ('do update', (do update))", "insert t:insert"),
            ("truncate table a, only s.b cascade", "truncate a:truncate s.b:truncate"),
            ("copy t (a, b) from stdin", "copy_in t:copy_in"),
            ("copy t to '/x'", "copy_out t:copy_out"),
            ("select a from t", "select"),
            ("values (1)", "select"),
            ("do $$ begin end $$", "do"),
            ("call p()", "call"),
            ("execute p(1)", "execute"),
            ("prepare p (int) as update t set a = 1", "prepare"),
            ("declare c cursor for select 1", "declare"),
        ] {
            assert_eq!(say(sql), expected, "{sql}");
        }
        let long = format!("update \"x{}\" set a = 1", "é".repeat(40));
        assert_eq!(say(&long), format!("update x{0}:update", "é".repeat(31)));
        assert!(statement("copy t from stdin", Dialect::default(), "").copies_from_client);
        assert!(!statement("copy t from '/x'", Dialect::default(), "").copies_from_client);
    }

    #[test]
    fn what_is_not_certain_is_a_hint() {
        for (sql, expected) in [
            ("with d as (delete from s.t returning *) select 1", "opaque ? s.t:delete"),
            ("with d as (select 1) update t set a = 1", "opaque ? t:update"),
            ("explain analyze delete from t", "opaque ? t:delete"),
            ("explain (analyze) delete from t", "opaque ? t:delete"),
            ("merge into t using u on true when matched then delete", "opaque ? t:merge"),
            ("create temp table if not exists t (a int)", "opaque ? t:ddl"),
            ("create table t as select 1", "opaque ? t:ddl"),
            ("copy (delete from t returning *) to stdout", "opaque ? t:delete"),
            ("select 1 into t", "opaque"),
            ("(select 1) for update", "opaque"),
            ("update 'x'", "opaque"),
            ("update U&\"\\00\" set a = 1", "opaque"),
            ("", "opaque"),
            ("nonsense", "opaque"),
        ] {
            assert_eq!(say(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_long_prepare_tells_its_name() {
        let prepared = |sql: &str| match statement(sql, Dialect::default(), "too long").effect {
            Effect::Prepare { name, statement } => (name, *statement),
            effect => panic!("{effect:?}"),
        };
        let (name, inner) = prepared("prepare P (int, numeric(10, 2)) as update t set a = 1");
        assert_eq!((name.as_str(), inner.operation, inner.relations.len()), ("p", Operation::Update, 1));
        let (_, inner) = prepared("prepare p as with d as (delete from t) select 1");
        assert_eq!(
            (inner.operation, inner.head.map(|(operation, _)| operation)),
            (Operation::Opaque, Some(Operation::Delete))
        );
        assert_eq!(inner.opaque.as_deref(), Some("too long"));
    }
}
