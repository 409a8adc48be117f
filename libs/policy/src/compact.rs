//! A statement without what tells nothing about it: comments, the text of long constants, constants in long lists.
//!
//! Invariant: what the parser's tree says of a statement and of its compact form is the same, but for constants.

use crate::Dialect;
use crate::scan::{Keyword, Kind, Token, Tokens};

/// Longest constant that stays as it is, in bytes.
const MAX_CONSTANT: usize = 1024;

/// Constants in a row that stay as they are.
const MAX_RUN: usize = 64;

/// One bracket's list.
#[derive(Default)]
struct List {
    /// Where its current element begins in the output, with the comma before it.
    element: usize,
    /// What the element is so far.
    is: Element,
    /// Constant elements before it, without another between.
    run: usize,
    /// All elements before it are constants.
    constant: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Element {
    #[default]
    Empty,
    /// Constants, with their signs and types.
    Constant,
    /// A list of constants in brackets.
    Row,
    Other,
}

/// The compact form.
pub(crate) struct Compact {
    pub(crate) sql: String,
    /// The text of a constant is missing.
    pub(crate) constants_cut: bool,
}

pub(crate) fn compact(sql: &str, dialect: Dialect) -> Compact {
    compact_to(sql, dialect, MAX_CONSTANT, MAX_RUN)
}

fn compact_to(sql: &str, dialect: Dialect, max_constant: usize, max_run: usize) -> Compact {
    let (mut out, mut constants_cut) = (String::new(), false);
    let mut lists = vec![List::default()];
    let mut before: Option<Token> = None;
    let mut colon = false;
    for token in Tokens::new(sql, dialect) {
        let outermost = lists.len() == 1;
        let Some(list) = lists.last_mut() else { break };
        if matches!(token.kind, Kind::Symbol(b',' | b')' | b']')) {
            list.end_element(&mut out, outermost, max_run);
        }
        let start = out.len();
        if before.as_ref().is_some_and(|before| before.range.end < token.range.start) {
            out.push(' ');
        }
        constants_cut |= push(sql, &token, max_constant, &mut out);
        match token.kind {
            Kind::Symbol(b',') => list.element = start,
            Kind::Symbol(b'(' | b'[') => {
                let opens_row = list.is == Element::Empty && token.kind == Kind::Symbol(b'(');
                list.is = if opens_row { Element::Row } else { Element::Other };
                lists.push(List { element: out.len(), constant: true, ..List::default() });
            }
            Kind::Symbol(b')' | b']') if !outermost => {
                let constant = list.constant;
                lists.pop();
                if let Some(around) = lists.last_mut().filter(|_| !constant) {
                    around.is = Element::Other;
                }
            }
            kind => {
                let constant = match kind {
                    Kind::String | Kind::Number | Kind::Parameter | Kind::Symbol(b'+' | b'-' | b':') => true,
                    Kind::Word => {
                        colon || matches!(Keyword::of(sql, &token).as_str(), "null" | "true" | "false" | "default")
                    }
                    _ => false,
                };
                list.is = match list.is {
                    Element::Empty | Element::Constant if constant => Element::Constant,
                    _ => Element::Other,
                };
            }
        }
        colon = token.kind == Kind::Symbol(b':');
        before = Some(token);
    }
    Compact { sql: out, constants_cut }
}

impl List {
    /// The element is over: it goes where enough of its kind stand before it.
    fn end_element(&mut self, out: &mut String, outermost: bool, max_run: usize) {
        let constant = match self.is {
            Element::Row => true,
            // Outside of brackets a constant may be a setting's value.
            Element::Constant => !outermost,
            Element::Empty | Element::Other => false,
        };
        self.constant &= constant;
        self.run = if constant { self.run + 1 } else { 0 };
        if self.run > max_run {
            out.truncate(self.element);
        }
        self.is = Element::Empty;
    }
}

/// Adds a token; true where it is a constant whose text is left out.
fn push(sql: &str, token: &Token, max_constant: usize, out: &mut String) -> bool {
    let text = &sql[token.range.clone()];
    let cut = token.kind == Kind::String && text.len() > max_constant;
    out.push_str(match text.as_bytes() {
        // UESCAPE may follow.
        [b'u' | b'U', ..] if cut => "U&''",
        _ if cut => "''",
        _ => text,
    });
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Effect, Statement};

    fn short(sql: &str) -> String {
        compact(sql, Dialect::default()).sql
    }

    #[test]
    fn only_comments_and_constants_go() {
        for (sql, expected) in [
            ("select/* c */1 -- d\n+2", "select 1 +2"),
            ("select 'a' -- b\n 'c', a||b, $$x$$", "select 'a' -- b\n 'c', a||b, $$x$$"),
        ] {
            assert_eq!(short(sql), expected);
        }
        let run = |element: &str, count: usize| vec![element; count].join(", ");
        for element in ["1", "-2.5", "'x'::date", "(1, null)", "$1", "((1), 2)", "default"] {
            let sql = |count| format!("select a in ({}, b, 1)", run(element, count));
            assert_eq!(short(&sql(500)), short(&sql(64)), "{element}");
            assert_eq!(short(&sql(64)), sql(64));
        }
        let rows = |count| format!("insert into t values {} returning a", run("(1, 'x')", count));
        assert_eq!(short(&rows(500)), short(&rows(66)));
        for element in ["a", "f(1)", "(a)", "(select 1)", "1 + a", "date", "'x'::numeric(1, 2)"] {
            let sql = format!("select a in ({})", run(element, 100));
            assert_eq!(short(&sql), sql);
        }
        let settings = format!("set search_path = {}", run("'a'", 100));
        assert_eq!(short(&settings), settings);
        let long = "x".repeat(2000);
        let cut = compact(&format!("select '{long}', U&'{long}' uescape '!', $a${long}$a$"), Dialect::default());
        assert_eq!((cut.sql.as_str(), cut.constants_cut), ("select '', U&'' uescape '!', ''", true));
    }

    const PIECES: &[&str] = &[
        "1",
        "-2",
        "'x'",
        "null",
        "default",
        "(1)",
        "(1, 'a')",
        "(a)",
        "(1, f(2))",
        "a",
        "f(1, 2, 3)",
        "t.b",
        "'x'::date",
        "'x'::numeric(1, 2)",
        "$1",
        "e'\\''",
        "array[1, 2, 3]",
        "(select 1 from u where c in (1, 2, 3))",
        "case when a in (1, 2, b) then 1 end",
        "row(1, 2)",
        "U&'x'",
        "'x' -- c\n 'y'",
        "1 + a",
        "(1) + 2",
        "date",
        "B'01'",
        "$$x$$",
        "/* , */ 1",
        "(values (1), (2), (3))",
        "interval '1' day",
        "true",
        "x'1f'",
    ];

    const AROUND: &[(&str, &str)] = &[
        ("select ", " from t"),
        ("select a in (", ") from t"),
        ("insert into t values ", " returning d"),
        ("insert into t (a, b) values (", ") on conflict (a) do update set c = 1"),
        ("update t set a = v.b from (values ", ") v where c = 1"),
        ("delete from t where (a) in (", ")"),
        ("select * from f(", ")"),
        ("execute p(", ")"),
        ("call p(", ")"),
        ("prepare p as select a from t where b in (", ")"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_else_is_lost(
            around in proptest::sample::select(AROUND),
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12),
        ) {
            let sql = format!("{}{}{}", around.0, pieces.join(", "), around.1);
            let told = |sql: &str| {
                let told = |statement: &Statement| {
                    (statement.operation, statement.relations.clone(), statement.functions.clone())
                };
                let mut statement = crate::analyse(sql).statements.remove(0);
                crate::without_constants(&mut statement);
                let inner = match &statement.effect {
                    Effect::Prepare { statement, .. } => Some(told(statement)),
                    _ => None,
                };
                // The parser's words for what it refuses hold the place.
                statement.opaque = statement.opaque.map(|_| String::new());
                (told(&statement), inner, statement.opaque)
            };
            let short = compact_to(&sql, Dialect::default(), 3, 2).sql;
            prop_assert_eq!(told(&short), told(&sql), "{} for {}", short, sql);
        }
    }
}
