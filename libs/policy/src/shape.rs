//! The shape of a statement: its text with other constants, and without comments.
//!
//! Jobs that do not bind parameters send a text for each value; what such texts do is the same, and parsing each of them
//! is most of what it costs to record them.
//!
//! Invariant: texts of one shape, read in one dialect, have the same analysis, but for [`Statement::range`] and the
//! rows that [`Statement::forget_rows`] forgets, and unless it is opaque, for which the reason may quote the text, or
//! [`Statement::depends_on_constants`].

use crate::scan::{Keyword, Kind, Token, Tokens};
use crate::{Dialect, Effect, MAX_FINGERPRINT, Rows, Statement};

/// What a shape begins with; other statements mostly mean what their constants say.
const FIRST: [&str; 7] = ["select", "insert", "update", "delete", "merge", "with", "values"];

/// The shape of a text that is one statement; `None` where it has to be analysed itself.
pub fn shape(sql: &str, dialect: Dialect) -> Option<String> {
    if sql.len() > MAX_FINGERPRINT || sql.contains('\0') {
        return None;
    }
    let mut shape = String::with_capacity(sql.len());
    let mut tokens = Tokens::new(sql, dialect);
    let (mut end, mut over) = (0, false);
    for token in tokens.by_ref() {
        if over {
            // Another statement, or another semicolon.
            return None;
        }
        let first = shape.is_empty();
        if first && !FIRST.contains(&Keyword::of(sql, &token).as_str()) {
            return None;
        }
        if token.kind == Kind::Symbol(b';') {
            over = true;
            continue;
        }
        if !first && end < token.range.start {
            shape.push(' ');
        }
        end = token.range.end;
        shape.push_str(stands_for(sql, &token, dialect));
    }
    (tokens.broken.is_none() && !shape.is_empty()).then_some(shape)
}

/// A token, or a constant that stands for it.
fn stands_for<'a>(sql: &'a str, token: &Token, dialect: Dialect) -> &'a str {
    let text = &sql[token.range.clone()];
    match token.kind {
        // What follows at once may make another token of it, or an error.
        Kind::Number if !sql.as_bytes().get(token.range.end).is_some_and(joins) => number(text),
        // Quotes inside, escapes and continuations stay: they are rare.
        Kind::String if text.starts_with('\'') && plain(&text[1..], dialect) => "''",
        _ => text,
    }
}

fn joins(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | 0x80..)
}

/// To the grammar there are two kinds: what certainly fits an `integer`, and what certainly does not.
fn number(text: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = |(whole, part): (&str, &str)| digits(whole) && digits(part);
    match text.len() {
        0..=9 if digits(text) => "0",
        11.. if digits(text) && !text.starts_with('0') => "0.0",
        _ if text.split_once('.').is_some_and(fraction) => "0.0",
        _ => text,
    }
}

/// A string, from behind its first quote, that holds nothing but its letters.
fn plain(text: &str, dialect: Dialect) -> bool {
    text.find('\'').is_some_and(|end| end + 1 == text.len())
        && (dialect.standard_conforming_strings || !text.contains('\\'))
}

impl Statement {
    /// Forgets which rows it is about, as constants tell; true if it told any. What is left is the same for all texts of
    /// its shape.
    pub fn forget_rows(&mut self) -> bool {
        let mut told = false;
        for relation in &mut self.relations {
            told |= std::mem::take(&mut relation.rows) != Rows::Any;
        }
        told
    }

    /// What it does is said by a constant: texts of its shape may do something else.
    pub fn depends_on_constants(&self) -> bool {
        let effect = matches!(
            self.effect,
            Effect::Setting { .. }
                | Effect::SearchPath { .. }
                | Effect::PrepareTransaction(_)
                | Effect::CommitPrepared(_)
                | Effect::RollbackPrepared(_)
        );
        let set_config = || self.functions.iter().any(|function| function.name == "set_config");
        effect || !self.settings.is_empty() || !self.bound_settings.is_empty() || self.body.is_some() || set_config()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(sql: &str) -> Option<String> {
        shape(sql, Dialect::default())
    }

    #[test]
    fn only_constants_and_comments_are_left_out() {
        for (sql, expected) in [
            ("select a from t where b = 123456789 and c = 'x''y'", "select a from t where b = 0 and c = 'x''y'"),
            ("SELECT/*x*/1 , -2.50, 12345678901, 1234567890, 1e5, $1;", "SELECT 0 , -0.0, 0.0, 1234567890, 1e5, $1"),
            (
                "insert into t values ('a', E'a', $$a$$, U&'a', N'a', 'a\\')",
                "insert into t values ('', E'a', $$a$$, U&'a', N'', '')",
            ),
            (
                "select 1a, 1..2, 00000000000, \"1\", t1.x, 'a'\n'b'",
                "select 1a, 1..0, 00000000000, \"1\", t1.x, 'a'\n'b'",
            ),
        ] {
            assert_eq!(of(sql).as_deref(), Some(expected));
        }
        for sql in ["", "set a = 1", "select 1; select 2", "select 1;;", "select 'a", "/* */", "do 'x'", "select 1 \0"]
        {
            assert_eq!(of(sql), None, "{sql}");
        }
        let off = Dialect { standard_conforming_strings: false };
        assert_eq!(shape("select 'a', 'a\\b'", off).as_deref(), Some("select '', 'a\\b'"));
    }

    const PIECES: &[&str] = &[
        "1",
        "2.5",
        "'x'",
        "'1 day'",
        "'public.t'::regclass",
        "a",
        "f(7)",
        "set_config('role', 'x', false)",
        "interval '1' day",
        "(select 3 from u)",
        "99999999999",
        "x'1f'",
        "numeric(10, 2) '3'",
        "-8",
        "null",
        "$1",
        "current_setting('role')",
        "cast('a' as char(3))",
        "a[1:2]",
        "'a' || 'b'",
        "1234567890",
        "E'a'",
        "'it''s'",
    ];

    const AROUND: &[(&str, &str)] = &[
        ("select ", " from t where b > 5 limit 10"),
        ("select ", " order by 1 fetch first 3 rows only"),
        ("insert into t values (", ") on conflict (a) do update set b = 'x' returning 1"),
        ("update t set a = 1 where b in (", ")"),
        ("delete from s.t using u where a = any (array[", "])"),
        ("with x as (insert into t select ", " returning *) select 1 from x"),
        ("values (", ")"),
        ("select set_config('search_path', ", ", false)"),
    ];

    /// The same text with other constants.
    fn other(sql: &str, number: u32) -> String {
        let (mut other, mut end) = (String::new(), 0);
        for token in Tokens::new(sql, Dialect::default()) {
            let text = &sql[token.range.clone()];
            other.push_str(&sql[end..token.range.start]);
            end = token.range.end;
            match token.kind {
                Kind::Number if super::number(text) == "0" => other.push_str(&number.to_string()),
                Kind::String if text.starts_with('\'') && plain(&text[1..], Dialect::default()) => {
                    other.push_str(&format!("'{number}; select'"));
                }
                _ => other.push_str(text),
            }
        }
        other
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn texts_of_one_shape_do_the_same(
            around in proptest::sample::select(AROUND),
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..6),
            number in 0_u32..999_999_999,
        ) {
            let sql = format!("{}{}{}", around.0, pieces.join(" , "), around.1);
            let other = other(&sql, number);
            prop_assert_eq!(of(&other), of(&sql));
            let read = |sql: &str| {
                let mut statement = crate::analyse(sql).statements.remove(0);
                statement.range = 0..0;
                statement.forget_rows();
                statement
            };
            let (one, two) = (read(&sql), read(&other));
            prop_assert_eq!(one.depends_on_constants(), two.depends_on_constants());
            prop_assert_eq!(one.opaque.is_some(), two.opaque.is_some());
            if !one.depends_on_constants() && one.opaque.is_none() {
                prop_assert_eq!(one, two);
            }
        }
    }
}
