//! Bodies, and what is found in them.

use proptest::prelude::*;

use super::*;

/// The pieces; `!` before those that are always run, and `?` at the end of an opaque body.
fn say(body: &str) -> String {
    let found = read(body, Dialect::default());
    let mut said: Vec<String> =
        found.pieces.iter().map(|piece| format!("{}{}", if piece.always { "!" } else { "" }, piece.sql)).collect();
    if found.opaque.is_some() {
        said.push("?".to_owned());
    }
    said.join(" | ")
}

#[test]
fn the_types_of_variables_are_found() {
    for (body, expected) in [
        ("declare a s.d := 5; b constant text collate \"C\" not null default 'x'; c s.d; begin end", "s.d | text"),
        ("declare a t.n%type; b s.t.n%type; c a%type; d s.u%rowtype := null; e $1%type; begin end", "t | s.t | s.u"),
        (
            "declare a s.d[] = '{}'; b numeric(3, 1); c timestamp with time zone; begin end",
            "s.d[] | numeric(3, 1) | timestamp with time zone",
        ),
        (
            "declare a alias for $1; c cursor (x s.d, y numeric(1,2)) for select 1; d no scroll cursor for select 2; begin end",
            "s.d | numeric(1,2)",
        ),
        ("begin declare x \"S\".\"D\"; begin null; end; end", "\"S\".\"D\""),
        ("declare x int; r record; begin end", ""),
    ] {
        assert_eq!(read(body, Dialect::default()).types.join(" | "), expected, "{body}");
    }
    for (body, expected) in [
        ("begin r.x := 1; end", true),
        ("begin r.x[1] = 1; end", true),
        ("begin select 1 into a, r.x; end", true),
        ("begin new.x := 1; x := r.x; select r.x into a; update t set a = r.x; end", false),
    ] {
        assert_eq!(read(body, Dialect::default()).assigns_fields, expected, "{body}");
    }
}

#[test]
fn every_statement_is_found() {
    for (body, expected) in [
        ("begin update t set a = 1; end", "!update t set a = 1"),
        ("BEGIN\n perform f(1); call p(); END;", "!select f(1) | !call p()"),
        (
            "begin if f(1) then delete from t; else truncate u; end if; insert into v values (1); end",
            "!select f(1) | delete from t | truncate u | !insert into v values (1)",
        ),
        (
            "declare x int := g(1); c cursor (a int) for select * from t; begin open c(h(2)); close c; end",
            "!select g(1) | select * from t | !select cursor_arguments(h(2))",
        ),
        (
            "begin for r in select * from t loop update u set a = r.a; end loop; end",
            "!select * from t | update u set a = r.a",
        ),
        (
            "begin for i in reverse 1..f(2) by 3 loop insert into t values (i); end loop; end",
            "!select 1 , f(2) | insert into t values (i)",
        ),
        (
            "begin foreach x in array f(a) loop null; end loop; while g(1) loop exit when h(2); end loop; end",
            "!select f(a) | !select g(1) | select h(2)",
        ),
        (
            "begin select a, b into strict x, r.y from t; insert into u (a) values (1) returning a into z; end",
            "!select a, b from t | !insert into u (a) values (1) returning a ",
        ),
        ("begin execute 'delete from t where a = $1' using f(1); end", "!delete from t where a = $1 | !select f(1)"),
        ("begin execute format('delete from %I', x) into y using z; end", "!select format('delete from %I', x) | ?"),
        (
            "begin return query delete from t returning *; return; update u set a = 1; end",
            "!delete from t returning * | update u set a = 1",
        ),
        ("begin return query execute x; end", "?"),
        ("begin for r in execute x || 'y' loop null; end loop; end", "!select x || 'y' | ?"),
        (
            "begin x := f(1); r.a[g(2)] = h(3); \"Y\" := (select 1); end",
            "!select f(1) | !select g(2) | !select h(3) | !select (select 1)",
        ),
        (
            "begin insert into t values (1); exception when unique_violation then update t set a = 1; end",
            "insert into t values (1) | update t set a = 1",
        ),
        (
            "begin delete from s; begin delete from t; exception when others then null; end; delete from u; end",
            "!delete from s | delete from t | !delete from u",
        ),
        ("begin if x then return; end if; delete from t; end", "delete from t"),
        (
            "begin loop exit; end loop; delete from s; <<l>> loop loop continue l; end loop; end loop; delete from t; end",
            "!delete from s | delete from t",
        ),
        (
            "begin case f(x) when 1, g(2) then delete from t; else null; end case; end",
            "!select f(x) | select null in (1, g(2)) | delete from t",
        ),
        (
            "<<b>> begin raise notice 'a % ;', f(x) using hint = g(y), detail = h(z); assert i(1), 'no'; end b",
            "!select f(x) | !select g(y) | !select h(z) | !select i(1), 'no'",
        ),
        ("begin delete from t; commit; end", "delete from t"),
        (
            "begin create temp table t as select 1; drop table if exists u; end",
            "!create temp table t as select 1 | !drop table if exists u",
        ),
        ("begin open r for select f(1); open r for execute q using 1; fetch r into x; end", "!select select f(1) | ?"),
        (
            "begin /* update x */ merge into t using u on true when matched then delete; -- ;\n end",
            "!merge into t using u on true when matched then delete",
        ),
        (
            "begin with w as (insert into t values (1) returning a) select count(*) into n from w; end",
            "!with w as (insert into t values (1) returning a) select count(*) from w",
        ),
        ("begin update t set a = 1", "!update t set a = 1 | ?"),
    ] {
        let expected = expected.replace("select select", "select");
        assert_eq!(say(body), expected, "{body}");
    }
}

/// Texts of PL/pgSQL's expressions as libpg_query finds them.
fn theirs(value: &serde_json::Value, queries: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            serde_json::Value::String(query) if name == "query" => queries.push(query.clone()),
            value => theirs(value, queries),
        }),
        serde_json::Value::Array(values) => values.iter().for_each(|value| theirs(value, queries)),
        _ => {}
    }
}

const STATEMENTS: &[&str] = &[
    "update t set a = f1(1);",
    "x := f2(x, '; end if');",
    "select f3(a) into x from t;",
    "if f4(x) = 1 then update u set a = 2; elsif f5(x) then null; else perform f6(1); end if;",
    "for r in select f7(a) from t loop x := f8(1); end loop;",
    "for i in 1..f9(2) loop continue when f10(i); end loop;",
    "while f11(1) loop exit; end loop;",
    "begin delete from t where a = f12(1); exception when others then x := f13(1); end;",
    "case f14(x) when 1 then x := f15(1); else x := f16(2); end case;",
    "raise notice '%', f17(1) using hint = f18(2);",
    "execute 'x' || f19(1) using f20(2);",
    "insert into t values (f21(1)) returning a into x;",
    "declare y int default f22(3); begin y := f23($$;$$); end;",
    "foreach x in array f24(1) loop x := case when f25(1) then 1 else f26(2) end; end loop;",
    "perform f27(1) /* ; */ from t -- begin\n where f28(2);",
    "<<l>> loop exit l when f29(1); end loop l;",
    "assert f30(1), f31(2);",
    "return;",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every function that PL/pgSQL's parser finds called in a body is in a piece.
    #[test]
    fn nothing_is_missing_that_the_parser_finds(
        statements in proptest::collection::vec(proptest::sample::select(STATEMENTS), 0..8),
    ) {
        let body = format!("declare x int; r record; begin {} end", statements.join(" "));
        let parsed = pg_query::parse_plpgsql(&format!("do $body${body}$body$")).unwrap();
        let mut queries = Vec::new();
        theirs(&parsed, &mut queries);
        let ours = read(&body, Dialect::default());
        let found = ours.pieces.iter().map(|piece| piece.sql.as_str()).collect::<Vec<_>>().join("\n");
        for query in queries {
            for call in query.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| word.starts_with('f') && word.len() <= 3) {
                prop_assert!(found.contains(&format!("{call}(")) || !query.contains(&format!("{call}(")), "{call} of {query} in {found}");
            }
        }
        let dynamic = statements.iter().any(|statement| statement.contains("execute"));
        prop_assert_eq!(ours.opaque.is_some(), dynamic, "{:?}", ours);
        for piece in &ours.pieces {
            prop_assert!(pg_query::parse(&piece.sql, 0).is_ok(), "{}", piece.sql);
        }
    }

    #[test]
    fn no_body_makes_it_panic(body in "(begin|end|if|then|loop|for|in|case|when|execute|into|using|raise|return|query|x|:=|=|\\(|\\)|\\[|\\]|;|,|\\.|'a'| ){0,30}") {
        read(&body, Dialect::default());
    }
}
