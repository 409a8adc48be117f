//! Names in a session, with a catalog and without.

use hansard_policy::Name;
use hansard_policy::catalog::{Catalog, Object, Relation, RelationKind, Role as CatalogRole, Schema};
use hansard_policy::reach::{Resolve, Resolved};

use hansard_pg_wire::conversation::Outcome as Ended;

use super::*;
use crate::catalogs::Known;

mod moving;
mod unknown;

/// A session in a database with `public.t`, `public.u`, `app.t`.
struct Session {
    names: Names,
    known: Option<Known>,
    number: u64,
}

fn catalog(relations: &[&str]) -> Catalog {
    let mut oid = 100;
    let mut catalog = Catalog::default();
    let mut add = |object: Object| {
        oid += 1;
        catalog.insert(oid, object);
    };
    for schema in ["public", "app", "joe"] {
        add(Object::Schema(Schema { name: schema.into(), owner: 10, usage: vec![0] }));
    }
    for role in ["joe", "sam"] {
        add(Object::Role(CatalogRole { name: role.into(), ..CatalogRole::default() }));
    }
    for relation in relations {
        let (schema, name) = relation.split_once('.').unwrap();
        let (schema, name) = (schema.into(), name.into());
        add(Object::Relation(Box::new(Relation { schema, name, kind: RelationKind::Table, ..Relation::default() })));
    }
    catalog
}

impl Session {
    fn new() -> Session {
        let known = Known::of(catalog(&["public.t", "public.u", "app.t"]), 0);
        let mut session = Session { names: Names::default(), known: Some(known), number: 0 };
        session.names.begin(Start {
            path: Some(vec!["$user".into(), "public".into()]),
            schemas: vec!["public".into()],
            role: Some("sam".into()),
            session_role: Some("sam".into()),
            is_origin: true,
            at: 0,
        });
        session
    }

    fn without_catalog(schemas: &[&str]) -> Session {
        let mut session = Session { names: Names::default(), known: None, number: 0 };
        session.names.begin(Start { schemas: schemas.iter().map(|name| (*name).into()).collect(), ..Start::default() });
        session
    }

    /// Carries out statements.
    fn run(&mut self, sql: &str) -> &mut Session {
        for statement in hansard_policy::analyse(sql).statements {
            self.number += 1;
            let known = self.known.as_ref();
            let meanings = Meanings::new(&statement, &InSession::new(&self.names, known, uuid::Uuid::nil()));
            let bound = |_: u32| Some("app".to_owned());
            let reached = known.map(|known| {
                let session = InSession::new(&self.names, Some(known), uuid::Uuid::nil());
                hansard_policy::reach::reach(&statement, &known.catalog, &session, &session, &mut Default::default())
            });
            self.names.apply(self.number, &statement, reached.as_ref(), &bound, &meanings);
        }
        self
    }

    /// What a name means; with the number of others that it may mean.
    fn means(&self, name: &str) -> String {
        let name = Name::parse(name).unwrap();
        match InSession::new(&self.names, self.known.as_ref(), uuid::Uuid::nil()).relation(&name) {
            Resolved::Known { name, .. } => name.to_string(),
            Resolved::OneOf { candidates, .. } => {
                let all: Vec<String> = candidates.iter().map(|(_, name)| name.to_string()).collect();
                format!("?({})", all.join(" "))
            }
        }
    }

    fn commit(&mut self, at: i64) {
        self.names.end_transaction(&Ended::Committed, at);
    }

    fn read_again(&mut self, relations: &[&str], begun_at: i64) {
        self.known = Some(Known::of(catalog(relations), begun_at));
        self.names.covered(begun_at);
    }
}

#[test]
fn names_follow_path_and_role() {
    let mut session = Session::new();
    assert_eq!(session.means("t"), "public.t");
    assert_eq!(session.means("pg_class"), "pg_catalog.pg_class");
    assert_eq!(session.run("set search_path = decoy, public").means("t"), "public.t");
    assert_eq!(session.run("set search_path = app, public").means("t"), "app.t");
    assert_eq!(session.means("u"), "public.u");
    assert_eq!(session.means("nothing"), "?()");
    assert_eq!(session.run("select set_config('search_path', $1, false)").means("u"), "?(public.u)");
    assert_eq!(session.run("reset search_path; set role joe").means("t"), "public.t");
    session.read_again(&["public.t", "joe.t"], 1);
    assert_eq!(session.means("t"), "joe.t");
    assert_eq!(session.run("reset role").means("t"), "public.t");
    session.names.told("joe");
    assert_eq!(session.means("t"), "joe.t");
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let mut session = Session::new();
    session.run("do $$begin perform set_config('search_path', 'app', false); end$$");
    assert_eq!(session.means("t"), "?(app.t public.t)");
    assert_eq!(session.means("public.t"), "public.t");
    assert_eq!(session.run("set search_path = public").means("t"), "public.t");
    assert_eq!(session.run("drop owned by joe").means("t"), "?(app.t public.t)");
    session.commit(7);
    session.read_again(&["public.t"], 8);
    assert_eq!(session.means("t"), "?(public.t)", "temporary relations may have come");
    assert_eq!(session.run("discard temp").means("t"), "public.t");
}

#[test]
fn temporary_relations_hide_others() {
    let mut session = Session::new();
    session.run("create temp table t (a int)");
    session.commit(1);
    assert_eq!(session.means("t"), "pg_temp.t");
    assert_eq!(session.run("set search_path = public, pg_temp").means("t"), "public.t");
    session.run("reset search_path; alter table t rename to u");
    assert_eq!((session.means("t"), session.means("u")), ("public.t".into(), "pg_temp.u".into()));
    session.names.end_transaction(&Ended::RolledBack(None), 2);
    assert_eq!((session.means("t"), session.means("u")), ("pg_temp.t".into(), "public.u".into()));
    session.run("drop table t");
    assert_eq!(session.means("t"), "public.t");
    session.commit(3);
    session.run("create temp table t (a int) on commit drop");
    assert_eq!(session.means("t"), "pg_temp.t");
    session.commit(4);
    assert_eq!(session.means("t"), "public.t");
}

#[test]
fn own_changes_count_until_the_catalog_has_them() {
    let mut session = Session::new();
    session.run("create table n (a int); alter table u rename to v; create schema joe2 create table t (a int)");
    assert_eq!(session.means("n"), "public.n");
    assert_eq!((session.means("u"), session.means("v")), ("?()".into(), "public.v".into()));
    assert_eq!(session.run("set search_path = joe2, public").means("t"), "joe2.t");
    session.names.roll_back_from(2);
    assert_eq!(
        (session.means("n"), session.means("u"), session.means("t")),
        ("public.n".into(), "public.u".into(), "public.t".into())
    );
    session.commit(10);
    session.read_again(&["public.t", "public.u"], 9);
    assert_eq!(session.means("n"), "public.n", "the catalog was read before");
    session.read_again(&["public.t", "public.u"], 11);
    assert_eq!(session.means("n"), "?()", "somebody has dropped it");
}

#[test]
fn without_a_catalog_one_schema_leaves_no_choice() {
    let mut session = Session::without_catalog(&["public"]);
    assert_eq!((session.means("t"), session.means("pg_class")), ("public.t".into(), "pg_catalog.pg_class".into()));
    assert_eq!(session.run("set search_path = app").means("t"), "app.t");
    assert_eq!(session.run("set search_path = app, public").means("t"), "?()");
    assert_eq!(session.run("set search_path = \"$user\"").means("t"), "?()");
    assert_eq!(Session::without_catalog(&[]).means("t"), "?()");
    assert_eq!(Session::without_catalog(&["a", "b"]).means("t"), "?()");
}

#[test]
fn a_long_transaction_keeps_little_and_is_undone_all_the_same() {
    let mut session = Session::new();
    let long = |number: u64| format!("{number:063}");
    for number in 0..10_000 {
        session.names.change_temporary(number, vec![(long(number), Some(Temporary::default()))]);
    }
    for number in 10_000..11_000 {
        session.names.set_path(number, Path::Set(vec![long(number)]), false);
    }
    assert!(serde_json::to_vec(&session.names).unwrap().len() < 3 * 1024 * 1024);
    assert!(session.names.undo_bytes <= MAX_UNDO);
    session.names.roll_back_from(10_500);
    assert_eq!(session.names.path, Path::Set(vec![long(10_499)]));
    session.names.end_transaction(&Ended::RolledBack(None), 1);
    assert_eq!((session.names.undo.len(), session.names.undo_bytes, session.names.temporary.len()), (0, 0, 0));
    assert_eq!(session.means("t"), "public.t");
}

#[test]
fn what_cannot_be_undone_leaves_no_guess() {
    let mut session = Session::new();
    session.run("set search_path = app");
    session.commit(1);
    for number in 2..2000 {
        session.names.set_path(number, Path::Set(vec![format!("{number:02000}")]), false);
    }
    assert!(session.names.lost.is_some() && session.names.undo_bytes <= MAX_UNDO);
    session.names.roll_back_from(2000);
    session.names.roll_back_from(1999);
    assert_eq!(session.means("t"), "?(app.t public.t)");
    session.names.end_transaction(&Ended::RolledBack(None), 2);
    assert_eq!(session.means("t"), "?(app.t public.t)");
    session.run("set search_path = app; discard temp");
    session.names.covered(3);
    session.known = Some(Known::of(catalog(&["app.t"]), 3));
    assert_eq!(session.means("t"), "app.t");
}

#[test]
fn states_are_saved_whole() {
    let mut session = Session::new();
    session.run("create temp table x (a int); set local search_path = app; create table y (a int)");
    let names: Names = serde_json::from_slice(&serde_json::to_vec(&session.names).unwrap()).unwrap();
    let restored = Session { names, known: session.known.take(), number: 3 };
    assert_eq!(
        (restored.means("x"), restored.means("t"), restored.means("y")),
        ("pg_temp.x".into(), "app.t".into(), "app.y".into())
    );
}

/// PostgreSQL makes a view temporary that reads a temporary relation, whatever its text says.
#[test]
fn a_view_of_a_temporary_relation_is_temporary() {
    let mut session = Session::new();
    session.run("create view v as select * from t; create temp table t (a int); create view w as select * from t");
    assert_eq!((session.means("v"), session.means("w")), ("public.v".into(), "pg_temp.w".into()));
    assert!(session.names.attached_to_temporary());
    session.run("create view x as select 1 where exists (select from w); create table y as select * from t");
    assert_eq!((session.means("x"), session.means("y")), ("pg_temp.x".into(), "public.y".into()));
    session.run("create view z as with t as (select 1) select * from t");
    assert_eq!(session.means("z"), "public.z");
    session.names.end_transaction(&Ended::RolledBack(None), 1);
    assert_eq!(session.means("x"), "?()");
    // Where it is not known what is read, neither is what is made.
    let mut session = Session::new();
    session.names.set_untold(0, Untold { temporary_changed: Some(OPEN), ..Untold::default() });
    assert_eq!(session.run("create view v as select * from public.t").means("public.v"), "public.v");
    assert!(session.names.untold.changed.is_none());
    session.run("create view w as select * from t");
    assert_eq!((session.means("w"), session.means("public.t")), ("?()".into(), "public.t".into()));
    assert!(session.names.untold.changed.is_none());
}

#[test]
fn nothing_hangs_on_a_table_that_the_session_made_until_something_may() {
    let bare = |session: &Session, name: &str| {
        InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil()).is_bare(&Name::parse(name).unwrap())
    };
    let mut session = Session::new();
    session.run("create table public.made (a int primary key, b text default 'x')");
    assert!(bare(&session, "public.made") && !bare(&session, "public.t") && !bare(&session, "made"));
    for harmless in [
        "insert into made values (1)",
        "create index on made (b)",
        "alter table made add column c int",
        "create table public.other (a int check (a > 0))",
        "create trigger g before insert on t for each row execute function f()",
        "comment on table made is 'x'",
    ] {
        session.run(harmless);
        assert!(bare(&session, "public.made"), "{harmless}");
    }
    assert!(!bare(&session, "public.other"));
    for harmful in [
        "create trigger g before insert on made for each row execute function f()",
        "create rule r as on insert to public.made do also delete from t",
        "alter table made add check (f(a))",
        "alter table t add foreign key (a) references made on delete cascade",
        "create table p partition of made default",
        "create table p (a int) inherits (public.made)",
        "alter table made rename to renamed; alter table renamed rename to made",
        "drop table made",
        "do $$ begin execute 'x'; end $$",
        "select who_knows()",
        "create extension e",
    ] {
        let mut session = Session::new();
        session.run("create table public.made (a int)").run(harmful);
        assert!(!bare(&session, "public.made"), "{harmful}");
    }
    // A function takes the place of one of PostgreSQL's own.
    let mut session = Session::new();
    session.run("create function app.now() returns int language sql as 'select 1'");
    session.run("create table public.made (a int default now())");
    assert!(!bare(&session, "public.made"));
    // Made while something that is not told may be about to hang on it.
    let mut session = Session::new();
    session.run("select who_knows()").run("create table public.made (a int)");
    assert!(!bare(&session, "public.made"));
}

#[test]
fn what_the_session_s_own_functions_do_is_known_before_the_catalog_has_them() {
    let touches = |session: &Session, sql: &str| {
        let known = session.known.as_ref().unwrap();
        let names = InSession::new(&session.names, Some(known), uuid::Uuid::nil());
        let statement = hansard_policy::analyse(sql).statements.remove(0);
        let reached = hansard_policy::reach::reach(&statement, &known.catalog, &names, &names, &mut Default::default());
        let mut told: Vec<String> = reached
            .touched
            .iter()
            .map(|touched| {
                let relation = touched.relation.as_ref().map_or("*".to_owned(), ToString::to_string);
                format!("{relation}:{}{}", touched.operation.as_str(), if touched.certain { "" } else { "?" })
            })
            .collect();
        told.sort();
        (told.join(" "), reached.may_change_settings)
    };
    let mut session = Session::new();
    assert_eq!(touches(&session, "select f()"), ("*:opaque?".to_owned(), true));
    session.run("create function f() returns int language sql as 'delete from t returning 1'");
    assert_eq!(touches(&session, "select f()"), ("public.t:delete?".to_owned(), false));
    assert_eq!(touches(&session, "select public.f()"), ("public.t:delete?".to_owned(), false));
    // It takes none, and is in another schema.
    assert!(touches(&session, "select f(1)").1 && touches(&session, "select app.f()").1);
    // Replaced: either may be meant, if the transaction is rolled back.
    session.run(
        "create or replace function f() returns int language plpgsql as 'begin update u set a = 1; return 1; end'",
    );
    assert_eq!(touches(&session, "select f()"), ("public.t:delete? public.u:update?".to_owned(), false));
    // One that calls another, one that is recursive.
    session.run("create function g() returns int language sql as 'select f() + g()'");
    assert_eq!(touches(&session, "select g()"), ("public.t:delete? public.u:update?".to_owned(), false));
    session.run("create procedure p() language sql as 'delete from u'");
    assert_eq!(touches(&session, "call p()").0, "public.u:delete?");
    for lost in [
        "alter function f() rename to h",
        "alter function f() set search_path = app",
        "alter function f() security definer",
        "create or replace function f() returns int language sql set search_path = app as 'select 1'",
        "create or replace function f() returns int language c as 'x', 'y'",
        "create or replace function f() returns int language sql begin atomic select 1; end",
        "select who_knows()",
    ] {
        let mut session = Session::new();
        session.run("create function f() returns int language sql as 'delete from t returning 1'").run(lost);
        assert_eq!(touches(&session, "select f()"), ("*:opaque?".to_owned(), true), "{lost}");
    }
    // The catalog has it.
    session.names.end_transaction(&Ended::Committed, 10);
    session.names.covered(9);
    assert!(!touches(&session, "select f()").1);
    session.names.covered(10);
    assert!(touches(&session, "select f()").1);
    // Beyond the bound.
    let body = "x".repeat(10_000);
    for number in 0..20 {
        let create = format!("create function f{number}() returns int language sql as 'select ''{body}'' from t'");
        session.run(&create);
    }
    assert!(!touches(&session, "select f1()").1 && touches(&session, "select f19()").1);
}

#[test]
fn what_a_transaction_of_unknown_end_changed_is_not_known() {
    let unknown = || Ended::Unknown("it was lost".into());
    let mut session = Session::new();
    session.run("set search_path = app");
    session.names.end_transaction(&unknown(), 1);
    assert!(session.means("t").starts_with('?'), "{}", session.means("t"));
    session.run("set search_path = public");
    session.names.end_transaction(&Ended::Committed, 2);
    assert_eq!(session.means("t"), "public.t");
    // One that changed nothing.
    session.run("insert into t values (1)");
    session.names.end_transaction(&unknown(), 3);
    assert_eq!(session.means("t"), "public.t");
    session.run("create table app.u (a int); set search_path = app, public");
    session.names.end_transaction(&unknown(), 4);
    assert!(session.means("u").starts_with('?'));
}

#[test]
fn what_a_prepared_transaction_made_is_not_there_yet() {
    let mut session = Session::new();
    session.run("set search_path = app, public");
    session.names.end_transaction(&Ended::Committed, 1);
    session.run("create table app.u (a int)");
    assert_eq!(session.means("u"), "app.u");
    session.names.end_transaction(&Ended::Prepared("x".into()), 2);
    assert_eq!(session.means("u"), "public.u");
    // A setting stays.
    session.run("set search_path = public");
    session.names.end_transaction(&Ended::Prepared("y".into()), 3);
    assert_eq!(session.means("t"), "public.t");
}

#[test]
fn if_not_exists_leaves_a_temporary_relation_as_it_is() {
    let mut session = Session::new();
    session.run("create temp table t (a int)");
    session.names.end_transaction(&Ended::Committed, 1);
    session.run("create temp table if not exists t (a int) on commit drop");
    session.names.end_transaction(&Ended::Committed, 2);
    assert_eq!(session.means("t"), "pg_temp.t");
}

#[test]
fn role_none_is_that_of_the_session_s_authorization() {
    let mut session = Session::new();
    session.run("create schema joe; create table joe.t (a int)").run("set role joe");
    assert_eq!(session.names.current_role(), Some("joe"));
    session.run("reset role");
    assert_eq!(session.names.current_role(), Some("sam"));
    session.run("set session authorization joe").run("set role sam").run("set role none");
    assert_eq!(session.names.current_role(), None);
    session.run("set role joe");
    assert_eq!(session.names.current_role(), Some("joe"));
}

#[test]
fn something_may_hang_on_a_temporary_table_with_code_in_it() {
    let attached = |sql: &str| {
        let mut session = Session::new();
        session.run(sql);
        session.names.attached_to_temporary()
    };
    for sql in [
        "create temp table u (a int default 1, b text)",
        "create temp table u as select 1 as a",
        "select 1 as a into temp u",
    ] {
        assert!(!attached(sql), "{sql}");
    }
    for sql in [
        "create temp table u (a int default f())",
        "create temp table u (a int check (f(a)))",
        "create temp table u (a my_domain)",
        "create temp table u (a int); alter table u alter a set default f()",
        "create temp table u (a int); alter table u add check (f(a))",
        "create temp table u (a int); create index on u (f(a))",
        "create temp table u () inherits (t)",
        "create temp view u as select * from t",
        "create domain d as int check (f(value)); create temp table u as select 1::d as a",
    ] {
        assert!(attached(sql), "{sql}");
    }
}

#[test]
fn a_permanent_table_may_have_temporary_children() {
    let kin = |sql: &str| {
        let mut session = Session::new();
        session.run(sql);
        (session.names.has_temporary_kin("t"), session.names.has_temporary_kin("u"))
    };
    assert_eq!(kin("create temp table c () inherits (t)"), (true, false));
    assert_eq!(kin("create temp table c (a int); alter table c inherit t"), (true, false));
    assert_eq!(kin("create temp table c (a int); alter table t add check (a > 0)"), (false, false));
}

#[test]
fn a_table_is_bare_by_the_catalog_that_was_read_when_it_was_made_alone() {
    let mut session = Session::new();
    let bare = |session: &Session| {
        InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil())
            .is_bare(&Name::parse("public.made").unwrap())
    };
    session.run("create table public.made (a int)");
    assert!(bare(&session));
    // Read before the table's end was told, and perhaps after somebody has hung something on it.
    session.known = Some(Known::of(catalog(&["public.t", "public.made"]), 5));
    session.names.end_transaction(&Ended::Committed, 9);
    session.names.covered(5);
    assert!(!bare(&session));
    // Code in a body.
    for code in [
        "do $$ begin alter table made add b int default f(); end $$",
        "do $$ begin create index on made (f(a)); end $$",
    ] {
        let mut session = Session::new();
        session.run("create table public.made (a int)").run(code);
        assert!(!bare(&session), "{code}");
    }
}

#[test]
fn a_type_or_operator_that_the_session_made_runs_what_it_is_made_of() {
    let unknown = |made: &str, used: &str| {
        let mut session = Session::new();
        session.run(made);
        let known = session.known.as_ref().unwrap();
        let names = InSession::new(&session.names, Some(known), uuid::Uuid::nil());
        let statement = hansard_policy::analyse(used).statements.remove(0);
        let reached = hansard_policy::reach::reach(&statement, &known.catalog, &names, &names, &mut Default::default());
        let opaque = reached.touched.iter().any(|touched| touched.operation == hansard_policy::Operation::Opaque);
        let inner =
            reached.touched.iter().any(|touched| touched.relation.as_ref().is_some_and(|name| name.name == "u"));
        (opaque || reached.may_change_settings, inner)
    };
    let f = "create function f(int) returns bool language sql as 'update u set a = 1 returning true';";
    for (made, used, expected) in [
        ("create domain d as int check (value > 0)", "select 1::d", (false, false)),
        ("create domain d as int check (strange(value))", "select 1::d", (true, false)),
        (
            "create domain d as int; drop domain d; create domain d as int check (g(value))",
            "select 1::d",
            (true, false),
        ),
        ("create type d as enum ('a')", "select 'a'::d", (false, false)),
        ("create type d as enum ('a'); create type c as (a d, b int)", "select null::c[]", (false, false)),
        ("create type c as (a d, b int)", "select null::c", (true, false)),
        ("create table c (a int default f(1))", "select null::c", (false, false)),
        ("create table c (a int); alter table c add b unknown_type", "select null::c", (true, false)),
        ("create domain d as int; alter domain d add check (g(value))", "select 1::d", (true, false)),
        ("create domain app.d as int", "select 1::d", (true, false)),
        ("create temp table c (a int)", "select null::c", (false, false)),
        ("create temp table c (a d)", "select null::c", (true, false)),
        (
            "create domain d as int; begin; create domain d as int check (g(value)); rollback",
            "select 1::d",
            (true, false),
        ),
    ] {
        assert_eq!(unknown(made, used), expected, "{made}; {used}");
    }
    let made = |rest: &str| format!("{f} {rest}");
    for (rest, used) in [
        ("create domain d as int check (f(value))", "select 1::d"),
        ("create operator === (function = f, rightarg = int)", "select === 1"),
        ("create domain d as int check (f(value)); create type c as (a int, b d)", "select '(1,2)'::c"),
        ("create domain d as int check (f(value)); create table c (b d)", "select '(2)'::c"),
    ] {
        assert_eq!(unknown(&made(rest), used), (false, true), "{rest}; {used}");
    }
    assert_eq!(unknown("create operator === (function = g, rightarg = int)", "select === 1"), (true, false));
}

#[test]
fn temporary_relations_stay_known_where_another_was_dropped_that_is_not() {
    let mut session = Session::new();
    session.run("create temp table own (a int)");
    session.names.set_untold(0, Untold { changed: Some(OPEN), ..Untold::default() });
    session.run("drop table u").run("alter table t rename to v");
    assert_eq!(session.means("own"), "pg_temp.own");
    assert_eq!(session.names.untold.temporary_changed, None);
    session.run("set search_path = app, pg_temp").run("drop table own");
    assert_eq!((session.means("own"), session.names.untold.temporary_changed), ("?(pg_temp.own)".into(), None));
    // A plain table depends on nothing; a view, on what it reads.
    let mut session = Session::new();
    session.run("create temp table own (a int)").run("drop type y cascade").run("drop table t cascade");
    assert_eq!(session.names.untold.temporary_changed, None);
    let mut session = Session::new();
    session.run("create temp view v as select * from u").run("drop table u cascade");
    assert_eq!((session.means("v"), session.means("own")), ("?(pg_temp.v)".into(), "?()".into()));
    assert_eq!(session.names.untold.temporary_changed, None);
}
