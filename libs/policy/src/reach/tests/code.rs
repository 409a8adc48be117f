//! Bodies, and what they do to names.

use super::*;

/// Known failures: DO with set_config, temporary relations that functions make.
#[test]
fn code_is_read_and_what_it_does_to_names_is_told() {
    let mut built = Built::new();
    built.function("public.p", "plpgsql", "begin delete from t; if x then delete from u; end if; end", |function| {
        function.kind = FunctionKind::Procedure;
    });
    built.function("public.commits", "plpgsql", "begin delete from t; commit; end", |function| {
        function.kind = FunctionKind::Procedure;
    });
    built.function("public.sets", "plpgsql", "begin perform set_config('search_path', 'app', false); end", |_| {});
    built.check(&[
        ("call p()", "public.t:delete/function public.u:delete/function?"),
        ("call commits()", "public.t:delete/function?"),
        ("do $$ begin delete from u; call commits(); end $$", "public.u:delete/function? public.t:delete/function?"),
        ("call gone()", "*:opaque/function?"),
        ("do $$ begin update rankings set v = 1; end $$", "public.rankings:update/function"),
        (
            "do $$ begin for i in 1..2 loop update rankings set v = 1; end loop; end $$",
            "public.rankings:update/function?",
        ),
        ("do language plpython3u 'x'", "*:opaque/function?"),
        ("do $$ begin execute 'drop table t'; end $$", "public.t:ddl/function"),
        (
            "do $$ begin perform set_config('search_path', 'sp1', false); update t set v = 1; end $$",
            "?.t:update/function? public.t:update/function? app.t:update/function? sp1.t:update/function?",
        ),
        (
            "do $$ begin perform sets(); delete from t; end $$",
            "?.t:delete/function? public.t:delete/function? app.t:delete/function? sp1.t:delete/function?",
        ),
        (
            "do $$ begin create temp table u (a int); insert into u values (1); end $$",
            "pg_temp.u:ddl/function pg_temp.u:insert/function",
        ),
        (
            "do $$ begin if x then create temp table u (a int); end if; delete from u; end $$",
            "pg_temp.u:ddl/function? ?.u:delete/function? public.u:delete/function?",
        ),
    ]);
    built.check(&[
        ("create temp table t as select * from t", "pg_temp.t:ddl/direct public.t:select/direct"),
        ("create table none as select * from u", "public.none:ddl/direct public.u:select/direct"),
        ("do $$ begin update t set v = 1; create temp table t (a int); delete from t; end $$",
         "public.t:update/function pg_temp.t:ddl/function pg_temp.t:delete/function"),
        ("do $$ begin loop delete from t; perform sets(); end loop; end $$",
         "public.t:delete/function? ?.t:delete/function? app.t:delete/function? sp1.t:delete/function?"),
        ("do $$ begin alter table u rename to w; delete from t; end $$",
         "public.u:ddl/function ?.t:delete/function? public.t:delete/function? app.t:delete/function? sp1.t:delete/function?"),
    ]);
    built.function("public.makes", "plpgsql", "begin create temp table t (a int); end", |_| {});
    built.function("public.writes", "sql", "delete from t", |_| {});
    built.check(&[
        ("do $$ begin perform makes(); delete from t; end $$",
         "pg_temp.t:ddl/function? ?.t:delete/function? public.t:delete/function? app.t:delete/function? sp1.t:delete/function?"),
        ("select sets(), writes()",
         "public.t:delete/function? ?.t:delete/function? app.t:delete/function? sp1.t:delete/function?"),
        ("select set_config('search_path', 'app', false), writes()",
         "?.t:delete/function? public.t:delete/function? app.t:delete/function? sp1.t:delete/function?"),
    ]);
    assert!(built.reached("do $$ begin perform set_config('search_path', 'sp3', false); end $$").may_change_settings);
    assert!(built.reached("select sets()").may_change_settings);
    assert!(built.reached("call commits()").may_end_transaction);
    assert!(built.reached("do $$ begin drop table u; end $$").may_change_names);
    let quiet = built.reached("do $$ begin update t set v = 1; end $$");
    assert!(!quiet.may_change_settings && !quiet.may_change_names && !quiet.may_end_transaction);
}

#[test]
fn a_security_definer_sees_its_owners_schema() {
    let mut built = Built::new();
    built.catalog.insert(10, Object::Role(Role { name: "secret".into(), ..Role::default() }));
    built.table("secret.t", RelationKind::Table, |_| {});
    built.function("public.as_owner", "sql", "delete from t", |function| function.security_definer = true);
    built.function("public.as_caller", "sql", "delete from t", |_| {});
    let path: &[&str] = &["$user", "public"];
    assert_eq!(built.say_on(Some(path), "select as_owner()"), "secret.t:delete/function?");
    assert_eq!(built.say_on(Some(path), "select as_caller()"), "public.t:delete/function?");
}

#[test]
fn a_temporary_schema_by_its_number_may_be_the_sessions_own() {
    let built = Built::new();
    built.check(&[(
        "delete from pg_temp_3.t",
        "?.t:delete/direct? pg_temp_3.t:delete/direct? pg_temp.t:delete/direct?",
    )]);
    assert!(built.say_on(Some(&["public", "pg_temp_3"]), "delete from t").starts_with("?.t:delete/direct? "));
    assert!(built.reached("drop table pg_temp_3.t").touched.iter().all(|touched| !touched.certain));
}

#[test]
fn a_function_called_by_its_number_is_read() {
    let mut built = Built::new();
    let f = built.function("public.f", "sql", "delete from t", |_| {});
    let resolve = OnPath::new(&built.catalog, Some(vec!["public".to_owned()]), Some("job"));
    let call = |oid| {
        let reached = reach_call(oid, &built.catalog, &resolve, &mut Memo::default());
        reached
            .touched
            .into_iter()
            .map(|touched| (touched.relation.map(|name| name.to_string()), touched.operation, touched.certain))
            .collect::<Vec<_>>()
    };
    assert_eq!(call(f), [(Some("public.t".to_owned()), Operation::Delete, false)]);
    assert_eq!(call(955), [(Some("pg_catalog.pg_largeobject".to_owned()), Operation::Update, true)]);
    assert_eq!(call(952), []);
    assert_eq!(call(1), [(None, Operation::Opaque, false)]);
}
