//! Code that runs although no statement calls it by name.

use super::*;

/// A catalog with a function that writes, `public.f`, and one that does nothing, `public.noop`.
fn with_code() -> (Built, Oid) {
    let mut built = Built::new();
    built.function("public.f", "plpgsql", "begin insert into log.entries values (1); return 1; end", |function| {
        function.arguments = vec![23];
    });
    let noop = built.function("public.noop", "plpgsql", "begin return null; end", |_| {});
    (built, noop)
}

#[test]
fn a_triggers_condition_is_followed() {
    let (mut built, noop) = with_code();
    let when = |on: &str, text: &str| Trigger {
        relation: built.oid(on),
        name: "g".into(),
        function: noop,
        bits: 1 | 4,
        when: Some(text.into()),
        ..Trigger::default()
    };
    let (calls, plain, unread) =
        (when("public.t", "(public.f(new.id) > 0)"), when("public.u", "(new.id > 0)"), when("app.t", "?"));
    for trigger in [calls, plain, unread] {
        built.add(Object::Trigger(trigger));
    }
    built.check(&[
        ("insert into t values (1)", "public.t:insert/direct log.entries:insert/function?"),
        ("insert into u values (1)", "public.u:insert/direct"),
        ("insert into app.t values (1)", "app.t:insert/direct *:opaque/function?"),
        ("update t set id = 1", "public.t:update/direct"),
    ]);
}

#[test]
fn defaults_of_arguments_are_followed() {
    let (mut built, _) = with_code();
    built.function("public.g", "sql", "select 1", |function| {
        function.arguments = vec![23, 25];
        function.defaults = 2;
        function.default_values = Some("public.f(1), lower('X'::text)".into());
    });
    built.check(&[("select g()", "log.entries:insert/function?"), ("select g(1)", "log.entries:insert/function?")]);
}

#[test]
fn expressions_of_a_partition_key_are_followed() {
    let (mut built, _) = with_code();
    let key = "RANGE (public.f(id), v COLLATE \"C\" text_pattern_ops, ((id + 1)))";
    let p = built.table("public.p", RelationKind::Partitioned, |p| p.partition_key = Some(key.into()));
    built.table("public.p1", RelationKind::Table, |part| {
        (part.parents, part.bound) = (vec![p], Some("DEFAULT".into()));
    });
    built.table("public.kid", RelationKind::Table, |kid| kid.parents = vec![p]);
    built.check(&[
        ("insert into p1 values (1)", "public.p1:insert/direct log.entries:insert/function?"),
        ("copy p1 from stdin", "public.p1:copy_in/direct log.entries:insert/function?"),
        ("insert into kid values (1)", "public.kid:insert/direct"),
        ("delete from p1", "public.p1:delete/direct"),
    ]);
    assert!(built.say("update p set id = 1").contains("log.entries:insert/function?"));
}

#[test]
fn a_type_or_operator_that_is_not_known_may_do_anything() {
    let (mut built, _) = with_code();
    let function = built.catalog.functions_named("f").next().unwrap().0;
    let operator = Operator { schema: "app".into(), name: "###".into(), function, ..Operator::default() };
    built.add(Object::Operator(operator));
    built.add(Object::Type(Type {
        schema: "public".into(),
        name: "colour".into(),
        kind: TypeKind::Enum,
        ..Type::default()
    }));
    built.check(&[
        ("select 1::pg_temp.d", "*:opaque/function?"),
        ("select 1::d", "*:opaque/function?"),
        ("select 1::tmp", "*:opaque/function?"),
        ("select 1 operator(pg_temp.###) 2", "*:opaque/function?"),
        ("select 1 operator(pg_temp.+) 2", "*:opaque/function?"),
        ("select 1 ### 2", "*:opaque/function?"),
        ("select 1 operator(app.###) 2", "log.entries:insert/function?"),
        ("select 1 + 2, 1 between 2 and 3, 1 not between symmetric 2 and 3, 'a' similar to 'b', 1 = any('{1}'::int[])", ""),
        ("select 1 operator(pg_catalog.+) 2, 'a'::information_schema.sql_identifier, 'a'::pg_catalog.text", ""),
        ("select 'red'::colour, '{red}'::colour[], '{red}'::_colour, null::t", ""),
    ]);
    for (sql, name) in [("select 1::pg_temp.d", "d"), ("select 1 operator(pg_temp.###) 2", "###")] {
        let reached = built.reached(sql);
        assert!(reached.code.contains(name) && reached.may_change_settings, "{sql}");
    }
}

#[test]
fn domains_inside_of_rows_are_followed() {
    let (mut built, _) = with_code();
    let checks = vec!["CHECK ((public.f(VALUE) > 0))".into()];
    let kind = |name: &str, kind, base, array| Type {
        schema: "public".into(),
        name: name.into(),
        kind,
        base,
        array,
        ..Type::default()
    };
    let column = |kind| move |relation: &mut Relation| relation.columns = vec![Column { name: "a".into(), kind }];
    let d = built.add(Object::Type(Type { checks, ..kind("d", TypeKind::Domain, 23, 30_001) }));
    built.table("public.c", RelationKind::Composite, column(d));
    let c = built.add(Object::Type(kind("c", TypeKind::Composite, 0, 30_002)));
    built.add(Object::Type(kind("over", TypeKind::Domain, c, 0)));
    built.table("public.arrays", RelationKind::Table, column(30_001));
    built.table("public.rows", RelationKind::Table, column(30_002));
    built.table("public.strange", RelationKind::Table, column(30_009));
    built.check(&[
        ("select row(1)::c", "log.entries:insert/function?"),
        ("select '{}'::c[]", "log.entries:insert/function?"),
        ("select row(1)::over", "log.entries:insert/function?"),
        ("select '(5)'::arrays", "log.entries:insert/function?"),
        ("insert into arrays values (null)", "public.arrays:insert/direct log.entries:insert/function?"),
        ("insert into rows values (null)", "public.rows:insert/direct log.entries:insert/function?"),
        ("insert into strange values (null)", "public.strange:insert/direct *:opaque/function?"),
        ("select a from rows", "public.rows:select/direct"),
    ]);
    // A type that contains itself is no loop.
    let own = built.next + 2;
    built.table("public.own", RelationKind::Composite, column(own));
    assert_eq!(built.add(Object::Type(kind("own", TypeKind::Composite, 0, 0))), own);
    built.check(&[("select null::own", "")]);
}

#[test]
fn a_field_of_a_value_may_be_a_call() {
    let (mut built, _) = with_code();
    built.function("public.w", "sql", "delete from log.entries", |function| function.arguments = vec![23]);
    built.check(&[
        ("select (v).w from (select 1 as v) x", "log.entries:delete/function?"),
        ("select (x.v).w from (select 1 as v) x", "log.entries:delete/function?"),
        ("select (v).field from (select 1 as v) x", ""),
    ]);
}

#[test]
fn what_was_prepared_is_not_known_to_code() {
    let (mut built, _) = with_code();
    built.function("public.runs", "plpgsql", "begin execute 'execute p(1)'; end", |_| {});
    built.check(&[
        ("do $$ begin execute 'execute p(1)'; end $$", "*:opaque/function?"),
        ("select runs()", "*:opaque/function?"),
    ]);
}
