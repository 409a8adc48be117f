//! PostgreSQL's text cut into tokens, for colour.
//!
//! Invariant: the tokens' texts, joined, are the input, byte for byte; whatever was recorded can be shown. It does not
//! judge: what it does not know is plain.

/// What a token is, as far as colour goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reserved and common words.
    Keyword,
    /// Quoted text, in any of PostgreSQL's ways.
    Text,
    /// Numbers.
    Number,
    /// To the end of the line, or nested blocks.
    Comment,
    /// `$1`, `:name` is none.
    Parameter,
    /// Quoted identifiers.
    Identifier,
    /// Everything else.
    Plain,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// The piece itself.
    pub text: &'a str,
}

/// Cuts a text; neighbouring plain pieces come as one.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let (mut at, mut plain_from) = (0, 0);
    while at < sql.len() {
        let (kind, length) = next(&sql[at..]);
        if kind != Kind::Plain {
            if plain_from < at {
                found.push(Token { kind: Kind::Plain, text: &sql[plain_from..at] });
            }
            found.push(Token { kind, text: &sql[at..at + length] });
            plain_from = at + length;
        }
        at += length;
    }
    if plain_from < sql.len() {
        found.push(Token { kind: Kind::Plain, text: &sql[plain_from..] });
    }
    found
}

/// The kind and the length in bytes of what `rest` begins with; `rest` is not empty.
fn next(rest: &str) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    let second = bytes.get(1).copied().unwrap_or(0);
    match bytes[0] {
        b'-' if second == b'-' => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        b'/' if second == b'*' => (Kind::Comment, block_comment(bytes)),
        b'\'' => (Kind::Text, quoted(bytes, 0, b'\'', false)),
        b'"' => (Kind::Identifier, quoted(bytes, 0, b'"', false)),
        b'e' | b'E' if second == b'\'' => (Kind::Text, quoted(bytes, 1, b'\'', true)),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if second == b'\'' => (Kind::Text, quoted(bytes, 1, b'\'', false)),
        b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'\'') => (Kind::Text, quoted(bytes, 2, b'\'', false)),
        b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'"') => {
            (Kind::Identifier, quoted(bytes, 2, b'"', false))
        }
        b'$' if second.is_ascii_digit() => (Kind::Parameter, 1 + count(&bytes[1..], u8::is_ascii_digit)),
        b'$' => dollar_quoted(rest).map_or((Kind::Plain, 1), |length| (Kind::Text, length)),
        b'0'..=b'9' => (Kind::Number, number(bytes)),
        b'.' if second.is_ascii_digit() => (Kind::Number, number(bytes)),
        _ => word(rest),
    }
}

fn count(bytes: &[u8], is: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(byte)).count()
}

fn word(rest: &str) -> (Kind, usize) {
    let length: usize = rest
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'))
        .map(char::len_utf8)
        .sum();
    if length == 0 {
        return (Kind::Plain, rest.chars().next().map_or(1, char::len_utf8));
    }
    let upper = rest[..length].to_ascii_uppercase();
    (if KEYWORDS.binary_search(&upper.as_str()).is_ok() { Kind::Keyword } else { Kind::Plain }, length)
}

/// Quotes end where one stands alone; a doubled one is inside.
fn quoted(bytes: &[u8], open: usize, quote: u8, escapes: bool) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Block comments nest.
fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$$...$$` and `$tag$...$tag$`.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag = rest[1..].find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))? + 1;
    if rest.as_bytes().get(tag) != Some(&b'$') {
        return None;
    }
    let open = &rest[..=tag];
    Some(rest[open.len()..].find(open).map_or(rest.len(), |body| body + 2 * open.len()))
}

fn number(bytes: &[u8]) -> usize {
    let mut at = count(bytes, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    // The sign of an exponent.
    let exponent = matches!(bytes.get(at - 1), Some(b'e' | b'E')) && matches!(bytes.get(at), Some(b'+' | b'-'));
    if exponent && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at += 1 + count(&bytes[at + 1..], u8::is_ascii_digit);
    }
    at
}

/// In order, for the search.
#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "ABORT", "ADD", "ALL", "ALTER", "ANALYZE", "AND", "ANY", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "CALL", "CASCADE",
    "CASE", "CAST", "CHECK", "CLOSE", "COLLATE", "COLUMN", "COMMENT", "COMMIT", "CONFLICT", "CONSTRAINT", "COPY",
    "CREATE", "CROSS", "CURRENT", "CURRENT_DATE", "CURRENT_TIMESTAMP", "CURSOR", "DATABASE", "DEALLOCATE", "DECLARE",
    "DEFAULT", "DELETE", "DESC", "DISCARD", "DISTINCT", "DO", "DROP", "ELSE", "END", "EXCEPT", "EXECUTE", "EXISTS",
    "EXPLAIN", "EXTENSION", "FALSE", "FETCH", "FILTER", "FIRST", "FOLLOWING", "FOR", "FOREIGN", "FROM", "FULL",
    "FUNCTION", "GRANT", "GROUP", "HAVING", "IF", "ILIKE", "IN", "INDEX", "INNER", "INSERT", "INTERSECT", "INTERVAL",
    "INTO", "IS", "ISOLATION", "JOIN", "KEY", "LANGUAGE", "LAST", "LATERAL", "LEFT", "LEVEL", "LIKE", "LIMIT",
    "LISTEN", "LOCAL", "LOCK", "MATCHED", "MATERIALIZED", "MERGE", "NATURAL", "NOT", "NOTHING", "NOTIFY", "NULL",
    "NULLS", "OF", "OFFSET", "ON", "ONLY", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PRECEDING", "PREPARE",
    "PRIMARY", "PROCEDURE", "READ", "RECURSIVE", "REFERENCES", "REINDEX", "RELEASE", "RENAME", "REPLACE", "RESET",
    "RETURNING", "RETURNS", "REVOKE", "RIGHT", "ROLE", "ROLLBACK", "ROW", "ROWS", "SAVEPOINT", "SCHEMA", "SELECT",
    "SEQUENCE", "SET", "SHOW", "SKIP", "START", "TABLE", "TEMPORARY", "THEN", "TO", "TRANSACTION", "TRIGGER", "TRUE",
    "TRUNCATE", "UNION", "UNIQUE", "UPDATE", "USING", "VACUUM", "VALUES", "VIEW", "WHEN", "WHERE", "WINDOW", "WITH",
    "WORK", "WRITE",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &[(Kind, &str)]) {
        let found: Vec<(Kind, &str)> = tokens(sql).iter().map(|token| (token.kind, token.text)).collect();
        assert_eq!(found, expected, "{sql}");
    }

    use Kind::{Comment, Identifier, Keyword, Number, Parameter, Plain, Text};

    #[test]
    fn keywords_are_in_order() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn a_statement() {
        check(
            "Update public.rankings set score = $1 WHERE id=42",
            &[
                (Keyword, "Update"),
                (Plain, " public.rankings "),
                (Keyword, "set"),
                (Plain, " score = "),
                (Parameter, "$1"),
                (Plain, " "),
                (Keyword, "WHERE"),
                (Plain, " id="),
                (Number, "42"),
            ],
        );
    }

    #[test]
    fn quotes_of_all_kinds() {
        check("'it''s'", &[(Text, "'it''s'")]);
        check(r"'a\'b", &[(Text, r"'a\'"), (Plain, "b")]);
        check(r"E'a\'b' c", &[(Text, r"E'a\'b'"), (Plain, " c")]);
        check("x'1F'", &[(Text, "x'1F'")]);
        check("U&'d' U&\"d\"", &[(Text, "U&'d'"), (Plain, " "), (Identifier, "U&\"d\"")]);
        check("\"select\"\"x\" y", &[(Identifier, "\"select\"\"x\""), (Plain, " y")]);
        check("$$a 'b$$ c", &[(Text, "$$a 'b$$"), (Plain, " c")]);
        check("$f$ $$ $f$", &[(Text, "$f$ $$ $f$")]);
    }

    #[test]
    fn comments_nest() {
        check("-- a\nb", &[(Comment, "-- a"), (Plain, "\nb")]);
        check("/* a /* b */ c */d", &[(Comment, "/* a /* b */ c */"), (Plain, "d")]);
    }

    #[test]
    fn numbers() {
        check("1.5e-3+2", &[(Number, "1.5e-3"), (Plain, "+"), (Number, "2")]);
        check(".5", &[(Number, ".5")]);
        check("1-2", &[(Number, "1"), (Plain, "-"), (Number, "2")]);
        check("a1", &[(Plain, "a1")]);
    }

    #[test]
    fn what_never_ends_is_kept() {
        for open in ["'abc", "\"abc", "/* abc", "$$abc", "$t$abc", "E'abc\\", "--", "$", "$t", "é$", "select é 'ü"] {
            assert_eq!(tokens(open).iter().map(|token| token.text).collect::<String>(), open);
        }
    }
}
