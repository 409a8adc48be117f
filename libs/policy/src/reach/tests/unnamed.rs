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
