//! The scanner beside PostgreSQL's own.

use proptest::prelude::*;

use super::*;

fn dialect(standard_conforming_strings: bool) -> Dialect {
    Dialect { standard_conforming_strings }
}

fn tokens(sql: &str) -> Vec<&str> {
    Tokens::new(sql, Dialect::default()).map(|token| &sql[token.range]).collect()
}

#[test]
fn tokens_are_postgres_s() {
    for (sql, expected) in [
        ("a.b,\"c d\"\"e\"", vec!["a", ".", "b", ",", "\"c d\"\"e\""]),
        ("U&\"x\"\"y\" u&'z'", vec!["U&\"x\"\"y\"", "u&'z'"]),
        ("'a''b' E'\\'' B'01' x'1F' n'z'", vec!["'a''b'", "E'\\''", "B'01'", "x'1F'", "n", "'z'"]),
        ("'a' -- b\n  'c' 'd'", vec!["'a' -- b\n  'c'", "'d'"]),
        ("e'a'\n'\\' b' c", vec!["e'a'\n'\\' b'", "c"]),
        ("$$a$$ $t$ $$ $u$ $t$ b$$c", vec!["$$a$$", "$t$ $$ $u$ $t$", "b$$c"]),
        ("1.5e-3 .5 1. $1 $12", vec!["1.5e-3", ".5", "1.", "$1", "$12"]),
        ("a/* /* */ ; */b--;\nc", vec!["a", "b", "c"]),
        ("a+--b\n*/**/", vec!["a", "+", "*"]),
        ("é€", vec!["é€"]),
    ] {
        assert_eq!(tokens(sql), expected, "{sql}");
    }
    for open in ["'a", "\"a", "/* /* */", "$$a$", "$a$ $b$ $$", "e'a\\'", "U&'a"] {
        let mut tokens = Tokens::new(open, Dialect::default());
        assert_eq!((tokens.by_ref().count(), tokens.broken.is_some()), (0, true), "{open}");
    }
}

#[test]
fn statements_are_split() {
    let parts = |sql: &str| {
        split(sql, Dialect::default(), 10)
            .map(|split| split.parts.iter().map(|part| sql[part.range.clone()].to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(parts("; /* a; */ select ';' ;; -- ;\n b(;) ; -- c").unwrap(), ["/* a; */ select ';'", "-- ;\n b(;)"]);
    assert_eq!(parts(" -- nothing").unwrap(), [""; 0]);
    let atomic = "select 1; create function f() begin atomic select 1; end; select 2";
    let split = split(atomic, Dialect::default(), 10).unwrap();
    assert_eq!((split.parts.len(), split.atomic), (2, true));
    assert!(parts("select 'a").is_err());
    assert!(parts(&"a;".repeat(11)).is_err());
    assert!(parts(&"a;".repeat(10)).is_ok());
}

/// Where the parser finds the statements, in the form of [`Part`].
fn parsers(sql: &str, dialect: Dialect) -> Option<Vec<Range<usize>>> {
    let parsed = pg_query::parse(sql, crate::parser_options(dialect)).ok()?;
    let mut before = 0;
    let range = |raw| {
        let range = crate::range(sql, before, raw);
        before = range.end;
        range
    };
    Some(parsed.protobuf.stmts.iter().map(range).collect())
}

const PIECES: &[&str] = &[
    "select",
    "1",
    "'a'",
    "'a''b'",
    "'\\'",
    "e'\\''",
    "E'a\\\\'",
    "u&'x'",
    "U&\"y\"",
    "\"q\"\"r\"",
    "$$",
    "$a$",
    "$a",
    "$1",
    ";",
    ";",
    "(",
    ")",
    ",",
    "+",
    "-",
    "--",
    "/*",
    "*/",
    "\n",
    "\r",
    " ",
    " ",
    "'",
    "\"",
    "\\",
    "a",
    "b1",
    ".",
    "1e",
    "1.5",
    "0x1f",
    "B'01'",
    "x'1'",
    "n'a'",
    "::",
    "||",
    "é",
    "begin",
    "commit",
    "as",
    "from",
    "t",
    "*",
    "/",
    "@",
    "create rule r as on insert to t do also (select 1; select 2)",
    "values (1)",
    "'x'\n'y'",
    "'x' -- c\n'y'",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Of what the parser takes, the scanner finds the same statements.
    #[test]
    fn splits_as_the_parser_does(
        pieces in proptest::collection::vec(prop_oneof![
            3 => proptest::sample::select(PIECES).prop_map(str::to_owned),
            1 => proptest::sample::select(PIECES).prop_map(|piece| format!("; select {piece} ;")),
            1 => proptest::sample::select(PIECES).prop_map(|piece| format!(" select {piece}")),
        ], 0..12),
        standard in any::<bool>(),
    ) {
        let sql = pieces.concat();
        if let Some(expected) = parsers(&sql, dialect(standard)) {
            let split = split(&sql, dialect(standard), 10_000);
            let ranges = split.map(|split| split.parts.into_iter().map(|part| part.range).collect::<Vec<_>>());
            prop_assert_eq!(ranges, Ok(expected), "{:?}", sql);
        }
    }

    /// Of what PostgreSQL's scanner takes, ours finds the same borders; but for operators, which are letters here, and
    /// comments, which are none.
    #[test]
    fn scans_as_the_scanner_does(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12),
    ) {
        use pg_query::protobuf::Token as Theirs;
        let sql = pieces.concat();
        if let Ok(tokens) = pg_query::scan(&sql) {
            let border = |place: i32| usize::try_from(place).unwrap_or(usize::MAX);
            let theirs: Vec<_> = tokens.tokens
                .iter()
                .filter(|token| !matches!(
                    Theirs::try_from(token.token), Ok(Theirs::SqlComment | Theirs::CComment)))
                .map(|token| border(token.start)..border(token.end))
                .collect();
            let ours: Vec<_> = Tokens::new(&sql, Dialect::default()).map(|token| (token.kind, token.range)).collect();
            for range in &theirs {
                let inside = ours.iter().any(|(kind, ours)| ours == range
                    || (matches!(kind, Kind::Symbol(_) | Kind::Number | Kind::Word)
                        && range.start <= ours.start && ours.end <= range.end));
                prop_assert!(inside, "{:?} in {:?}, not in {:?}", range, sql, ours);
            }
            let ends = ours.last().map(|(_, range)| range.end);
            prop_assert_eq!(ends, theirs.last().map(|range| range.end), "{:?}", sql);
        }
    }
}
