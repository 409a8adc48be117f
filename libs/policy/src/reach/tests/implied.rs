//! Code that runs without being named: operators that the syntax means, and what has the name of a newer keyword.

use super::*;

/// `app` has operators of its own for what the syntax compares with; their function writes.
fn with_operators() -> Built {
    let mut built = Built::new();
    let f = built.function("app.compares", "sql", "delete from log.entries returning true", |_| {});
    for name in ["=", ">=", "<"] {
        let operator = Operator { schema: "app".into(), name: name.into(), left: 23, right: 23, function: f };
        built.add(Object::Operator(operator));
    }
    built
}

const RUNS: &str = "log.entries:delete/function?";

/// Known failures: CASE, IN (SELECT), USING, NATURAL and BETWEEN with operators that come before PostgreSQL's own.
#[test]
fn the_syntax_means_operators_as_the_path_has_them() {
    let built = with_operators();
    for sql in [
        "select case 1 when 2 then 3 end",
        "select 1 in (select 2)",
        "select 1 not in (select 2)",
        "select (1, 2) in (select 2, 3)",
        "select (1, 2) = (3, 4)",
        "select 1 = any (select 2)",
        "select 1 in (2, 3)",
        "select 1 from (values (1)) a (n) join (values (1)) b (n) using (n)",
        "select 1 from (values (1)) a (n) natural join (values (1)) b (n)",
        "select 1 between 0 and 2",
        "select 1 not between 0 and 2",
        "select 1 between symmetric 0 and 2",
        "select nullif(1, 2)",
        "select 1 is distinct from 2",
        "do $$ begin case 1 when 2, 3 then null; else null; end case; end $$",
    ] {
        assert_eq!(built.say_on(Some(&["app", "pg_catalog"]), sql), RUNS, "{sql}");
        assert_eq!(built.say_on(Some(&["public"]), sql), "", "{sql}");
    }
}

/// `select_common_type`, sorting and grouping take the operators of a type's default operator class.
#[test]
fn what_sorts_and_groups_is_a_types_own() {
    let built = with_operators();
    for sql in [
        "select distinct 1",
        "select count(*) from (values (1)) a (n) group by n order by n",
        "select 1 union select 2",
        "select 1 except select 2",
        "select greatest(1, 2), least(1, 2)",
        "select row_number() over (partition by 1 order by 2)",
        "select case when true then 1 end",
        "select exists (select 1), array(select 1)",
        "do $$ begin case when true then null; end case; end $$",
    ] {
        assert_eq!(built.say_on(Some(&["app", "pg_catalog"]), sql), "", "{sql}");
    }
}

/// PostgreSQL writes CASE, USING and NULLIF in a definition as they were, whichever operators they mean.
#[test]
fn a_definition_does_not_say_which_operator_its_syntax_means() {
    let mut built = with_operators();
    built.view("public.v", 0, "SELECT CASE t.id WHEN 1 THEN 2 ELSE 3 END AS c FROM public.t");
    built.view("public.w", 0, "SELECT t.id FROM public.t WHERE (t.id = 1)");
    built.check(&[
        ("select * from v", "public.v:select/direct public.t:select/view log.entries:delete/function?"),
        ("select * from w", "public.w:select/direct public.t:select/view"),
    ]);
}

/// Known failure: `'...'::json` with a domain of that name, before version 17.
#[test]
fn what_is_a_keyword_of_newer_versions_may_be_a_name() {
    let mut built = with_operators();
    built.function("app.check_it", "sql", "delete from log.entries returning true", |function| {
        function.arguments = vec![25];
    });
    let domain = Type {
        schema: "app".into(),
        name: "json".into(),
        kind: TypeKind::Domain,
        base: 25,
        checks: vec!["CHECK (app.check_it(VALUE))".into()],
        ..Type::default()
    };
    built.add(Object::Type(domain));
    for name in ["json", "json_scalar", "json_array", "json_object", "merge_action", "normalize"] {
        built.function(&format!("app.{name}"), "sql", "delete from log.entries returning true", |function| {
            if name != "merge_action" {
                function.arguments = vec![25];
            }
        });
    }
    for sql in [
        "select '{}'::json",
        "select cast('{}' as json)",
        "select json('{}')",
        "select json_scalar('a')",
        "select json_array('a')",
        "select json_object('{a,b}')",
        "select normalize('a')",
        "merge into u using u o on true when matched then do nothing returning merge_action()",
    ] {
        assert!(built.say_on(Some(&["app", "public"]), sql).contains("log.entries:delete/function?"), "{sql}");
        assert!(!built.say(sql).contains("log.entries"), "{sql}");
        assert!(!built.say(sql).contains('*'), "{sql}");
    }
}
