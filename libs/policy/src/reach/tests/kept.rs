//! Expressions that the catalog holds and that definitions and maintenance run.

use super::*;

/// `public.t` with an index, a constraint and a column of a domain whose functions write.
fn with_expressions() -> Built {
    let mut built = Built::new();
    for (name, relation) in [("indexes", "i"), ("checks", "c"), ("validates", "d"), ("bounds", "b")] {
        built.table(&format!("log.{relation}"), RelationKind::Table, |_| {});
        let source = format!("delete from log.{relation} returning true");
        built.function(&format!("app.{name}"), "sql", &source, |function| function.arguments = vec![23]);
    }
    let domain = Type {
        schema: "public".into(),
        name: "d".into(),
        kind: TypeKind::Domain,
        base: 23,
        checks: vec!["CHECK (app.validates(VALUE))".into()],
        ..Type::default()
    };
    let domain = built.add(Object::Type(domain));
    let expression = |when, text: &str| Expression { when, column: None, text: text.into() };
    built.table("app.kept", RelationKind::Table, |table| {
        table.columns = vec![Column { name: "n".into(), kind: domain }];
        table.expressions = vec![
            expression(When::Index, "CREATE INDEX i ON app.kept USING btree (app.indexes(n))"),
            expression(When::Check, "CHECK (app.checks(n)) NOT VALID"),
        ];
    });
    let parent = built.table("app.parted", RelationKind::Partitioned, |table| {
        table.partition_key = Some("LIST (app.bounds(id))".into());
    });
    built.table("app.rest", RelationKind::Table, |table| {
        (table.parents, table.bound) = (vec![parent], Some("DEFAULT".into()));
        table.expressions = vec![expression(When::Index, "CREATE INDEX j ON app.rest USING btree (app.indexes(id))")];
    });
    built
}

/// The relations of schema `log` that may be reached.
fn logged(built: &Built, sql: &str) -> String {
    let mut said: Vec<String> = built.say(sql).split(' ').map(str::to_owned).collect();
    said.retain(|touched| touched.starts_with("log.") || touched.starts_with('*'));
    said.sort();
    said.join(" ")
}

const I: &str = "log.i:delete/function?";
const D: &str = "log.d:delete/function?";
const B: &str = "log.b:delete/function?";
const ALL: &str = "log.c:delete/function? log.d:delete/function? log.i:delete/function?";

/// Known failures: each of these ran code of which nothing was told.
#[test]
fn definitions_run_what_the_catalog_knows() {
    let built = with_expressions();
    let with_bounds = format!("{B} {I}");
    let cases: &[(&str, &str)] = &[
        ("alter domain d validate constraint x", D),
        ("alter domain d add check (app.checks(value))", "log.c:delete/function?"),
        ("alter domain d add check (app.checks(value)) not valid", ""),
        ("alter table app.kept validate constraint x", ALL),
        ("alter table app.kept alter n type bigint", ALL),
        ("alter table app.kept set unlogged", ALL),
        ("alter table app.kept set access method heap", ALL),
        ("alter table app.kept add column a int generated always as identity", ALL),
        ("alter table app.kept add column a int", ""),
        ("alter table t add column a d", D),
        ("alter table t add column a d default 5", D),
        ("alter table t add exclude using btree ((app.checks(id)) with =)", "log.c:delete/function?"),
        ("alter table t add exclude using btree (id with =) where (app.checks(id))", "log.c:delete/function?"),
        ("alter table t alter v set expression as (app.checks(1))", "log.c:delete/function?"),
        ("create table app.p1 partition of app.parted for values in (1)", &with_bounds),
        ("create table t1 partition of t for values in (app.checks(1))", "log.c:delete/function?"),
        ("alter table app.parted attach partition t for values in (2)", &with_bounds),
        ("alter table app.parted detach partition app.rest", ""),
        ("create table x (a int, b int generated always as (app.checks(1)) stored)", "log.c:delete/function?"),
        ("create table x (a int) partition by list ((app.checks(1)))", "log.c:delete/function?"),
        ("create table x (a int check (app.checks(a)))", ""),
        ("create aggregate g (int) (sfunc = int4pl, stype = d, initcond = '5')", D),
    ];
    for (sql, expected) in cases {
        assert_eq!(logged(&built, sql), *expected, "{sql}");
    }
}

/// Known failures: maintenance of what is not named, and of partitions.
#[test]
fn maintenance_runs_the_expressions_of_all_indexes() {
    let built = with_expressions();
    for sql in [
        "analyze",
        "vacuum analyze",
        "reindex schema app",
        "reindex database x",
        "reindex index app.i",
        "cluster",
        "analyze app.kept",
        "analyze app.parted",
        "reindex table app.parted",
    ] {
        assert_eq!(logged(&built, sql), I, "{sql}");
    }
    for sql in ["vacuum", "analyze t", "checkpoint"] {
        assert_eq!(logged(&built, sql), "", "{sql}");
    }
    let mut plain = Built::new();
    plain.table("app.kept", RelationKind::Table, |table| {
        let text = "CREATE INDEX i ON app.kept USING btree (lower(v))".into();
        table.expressions = vec![Expression { when: When::Index, column: None, text }];
    });
    assert_eq!(plain.say("analyze"), "", "what PostgreSQL brings along writes nothing");
}

#[test]
fn views_of_postgres_itself_need_no_definition() {
    let mut built = Built::new();
    built.table("pg_catalog.pg_tables", RelationKind::View, |_| {});
    built.table("public.unread", RelationKind::View, |_| {});
    built.check(&[
        ("select * from pg_tables", "pg_catalog.pg_tables:select/direct"),
        ("select * from unread", "public.unread:select/direct *:select/view?"),
    ]);
}

/// A plan is made with immutable functions of constants, which planning runs.
#[test]
fn what_is_explained_is_planned_with_its_views() {
    let mut built = with_expressions();
    built.view("public.v", 0, "SELECT app.checks(1) AS c FROM public.t");
    let expected = "public.v:explain/direct public.t:explain/view log.c:delete/function?";
    assert_eq!(built.say("explain select * from v"), expected);
}
