//! What is told so that others can say what of it may just have changed; and names behind code that changes them.

use super::*;

/// A procedure with a path of its own in which `t` is found in `app`, or behind it in `public`.
fn with_own_path() -> Built {
    let mut built = Built::new();
    built.function("public.own", "plpgsql", "begin update t set v = 1; end", |function| {
        function.kind = FunctionKind::Procedure;
        let value = "app, public, pg_temp".into();
        function.settings = vec![Setting { name: "search_path".into(), value }];
    });
    built
}

#[test]
fn a_path_of_its_own_does_not_tell_what_has_just_been_dropped() {
    let candidates = "?.t:update/function? public.t:update/function? app.t:update/function? sp1.t:update/function?";
    with_own_path().check(&[
        ("call public.own()", "app.t:update/function"),
        ("do $$ begin drop table app.t; call public.own(); end $$", &format!("app.t:ddl/function {candidates}")),
        (
            "do $$ begin alter table app.t rename to x; call public.own(); end $$",
            &format!("app.t:ddl/function {candidates}"),
        ),
        // The caller's path does not matter to it.
        ("do $$ begin set search_path = sp1; call public.own(); end $$", "app.t:update/function"),
    ]);
}

#[test]
fn names_of_postgres_are_told_where_another_could_be_meant() {
    let built = Built::new();
    let names = |sql: &str| {
        let names = built.reached(sql).built_in.into_iter().map(|(_, name)| name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("select lower(a), b::text, pg_catalog.upper(a), c::int from t where a = 'x'"), "lower = text");
    assert_eq!(names("update t set v = 1"), "");
    assert_eq!(built.reached("select lower(a)").code.len(), 0);
}

#[test]
fn that_something_is_defined_is_told_though_no_relation_is_touched() {
    let built = Built::new();
    for sql in
        ["create schema s", "comment on schema public is 'x'", "do $$ begin create schema s; end $$", "drop type y"]
    {
        assert!(built.reached(sql).defines, "{sql}");
    }
    for sql in ["select 1", "update t set v = 1", "do $$ begin update t set v = 1; end $$", "begin"] {
        assert!(!built.reached(sql).defines, "{sql}");
    }
}
