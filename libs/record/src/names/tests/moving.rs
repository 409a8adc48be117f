//! Names while they are being changed, or have just been.

use hansard_policy::CallKind;

use super::*;

/// What another session announces.
fn announce(session: &mut Session, names: &[&str], paths: bool) {
    session.known.as_mut().unwrap().announce(uuid::Uuid::from_u128(7), names, paths);
}

/// The schema that a relation without one is made in.
fn creation(session: &Session) -> Option<String> {
    let names = InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil());
    names.creation().map(|schema| schema.to_string())
}

#[test]
fn a_relation_is_made_in_the_first_schema_unless_that_is_changing() {
    let with = |names: &[&str], paths: bool| {
        let mut session = Session::new();
        session.run("set search_path = early, app, public");
        announce(&mut session, names, paths);
        creation(&session)
    };
    assert_eq!(with(&["create", "table", "u"], false).as_deref(), Some("app"));
    // It may come, or become usable; the second one may go.
    assert_eq!(with(&["schema", "early"], false), None);
    assert_eq!(with(&["on", "schema", "early"], true), None);
    assert_eq!(with(&["drop", "schema", "app"], true), None);
    assert_eq!(with(&["revoke", "usage", "schema", "app"], true), None);
    // A right more takes nothing away, and what all may use depends on no role.
    assert_eq!(with(&["usage", "schema", "app"], true).as_deref(), Some("app"));
    assert_eq!(with(&["revoke", "somebody"], true).as_deref(), Some("app"));
    assert_eq!(with(&["drop", "owned", "somebody"], true), None);
    // What the session itself does is known.
    let mut session = Session::new();
    session.run("set search_path = early, app; create schema early");
    assert_eq!(creation(&session).as_deref(), Some("early"));
    assert_eq!(creation(session.run("drop schema early")).as_deref(), Some("app"));
}

#[test]
fn only_names_that_several_schemas_have_are_in_doubt() {
    let mut session = Session::new();
    session.run("set search_path = app, public");
    announce(&mut session, &["revoke", "schema", "app"], true);
    assert_eq!((session.means("t"), session.means("u")), ("?(app.t public.t)".into(), "public.u".into()));
}

#[test]
fn a_path_that_was_not_looked_at_since_roles_changed_is_in_doubt() {
    let mut session = Session::new();
    // `app` is for members of `joe` alone.
    let mut changed = catalog(&["public.t", "app.t"]);
    let joe = changed.role_named("joe").unwrap();
    let app = changed.schema_named("app").unwrap();
    changed.insert(app, Object::Schema(Schema { name: "app".into(), owner: 10, usage: vec![joe] }));
    session.known = Some(Known::of(changed, 5));
    session.names.answer(1, 1);
    session.run("set search_path = app, public");
    assert_eq!(session.means("t"), "public.t");
    session.known.as_mut().unwrap().roles_changed(10);
    assert_eq!(session.means("t"), "?(app.t public.t)");
    assert_eq!(creation(&session), None);
    // Set again, even to what it was, or with another role, PostgreSQL looks again.
    session.names.answer(2, 20);
    assert_eq!(session.run("set search_path = app, public").means("t"), "public.t");
    session.known.as_mut().unwrap().roles_changed(30);
    session.names.answer(3, 40);
    assert_eq!(session.run("set role sam").means("t"), "?(app.t public.t)");
    assert_eq!(session.run("set role joe").means("t"), "app.t");
}

#[test]
fn partitions_go_with_their_table() {
    let mut session = Session::new();
    session.run("set search_path = app, public; create table app.p (a int) partition by list (a)");
    session.run("create table app.u partition of app.p default");
    assert_eq!(session.means("u"), "app.u");
    session.run("alter table app.p rename to q; drop table app.q");
    assert_eq!(session.means("u"), "?(app.u public.u)");
    assert_eq!(session.means("app.u"), "app.u");
    session.commit(3);
    session.read_again(&["public.u", "app.u"], 4);
    assert_eq!(session.means("u"), "app.u");
    // A plain table takes none along.
    session.run("create table app.plain (a int); drop table app.plain");
    assert_eq!(session.means("u"), "app.u");
}

#[test]
fn what_depends_on_a_temporary_relation_that_goes_may_be_gone() {
    let mut session = Session::new();
    session.run("create temp table base (a int) on commit drop; create temp table own (a int)");
    session.run("create temp view t as select * from base");
    assert_eq!(session.means("t"), "pg_temp.t");
    session.commit(1);
    assert_eq!(
        (session.means("t"), session.means("own")),
        ("?(app.t pg_temp.t public.t)".into(), "pg_temp.own".into())
    );
    let mut session = Session::new();
    session.run("create temp table base (a int) partition by list (a); create temp table t partition of base default");
    assert_eq!(session.means("t"), "pg_temp.t");
    assert_eq!(session.run("drop table base").means("t"), "?(app.t pg_temp.t public.t)");
}

#[test]
fn a_sequence_that_no_text_names_may_be_meant() {
    let sequences = ["public.made_id_seq", "public.t"];
    let mut session = Session::new();
    session.read_again(&sequences, 0);
    session.run("set search_path = app, public");
    assert_eq!(session.means("made_id_seq"), "public.made_id_seq");
    assert_eq!(session.run("create table app.made (id serial)").means("made_id_seq"), "?(public.made_id_seq)");
    assert_eq!(session.means("t"), "public.t");
    // Of the first schema it is known.
    assert_eq!(session.run("set search_path = public").means("made_id_seq"), "public.made_id_seq");
    session.commit(1);
    session.read_again(&sequences, 2);
    session.run("set search_path = app, public");
    assert_eq!(session.means("made_id_seq"), "public.made_id_seq");
    announce(&mut session, &["made", "id", "serial"], false);
    assert_eq!(session.means("made_id_seq"), "?(public.made_id_seq)");
    // Temporary ones are in no catalog, ever.
    session.read_again(&sequences, 3);
    session.run("create temp table other (id serial)");
    assert_eq!(session.means("made_id_seq"), "?(public.made_id_seq)");
}

#[test]
fn a_function_that_was_read_hides_none_that_was_not() {
    let read = "create function f(int) returns int language sql as 'select 1'";
    let unread = "create function f(text) returns int language sql set search_path = app as 'select 1'";
    let in_motion = |first: &str, second: &str| {
        let mut session = Session::new();
        session.run(first).run(second);
        announce(&mut session, &["other"], false);
        session.known.as_mut().unwrap().announce(uuid::Uuid::nil(), &["function", "f"], false);
        let names = InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil());
        (names.is_in_motion("f"), names.is_built_in_in_motion(CallKind::Function, "f"))
    };
    assert_eq!(in_motion(read, "select 1"), (false, false));
    assert_eq!(in_motion(unread, read), (true, true));
    assert_eq!(in_motion(read, unread), (true, true));
    let mut session = Session::new();
    session.run(unread).run(read).commit(1);
    session.read_again(&[], 2);
    assert!(!session.names.may_have_made_unread("f"));
}

#[test]
fn a_name_of_postgres_is_in_motion_where_others_make_code_of_it() {
    let in_motion = |names: &[&str]| {
        let mut session = Session::new();
        announce(&mut session, names, false);
        InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil())
            .is_built_in_in_motion(CallKind::Function, "lower")
    };
    assert!(in_motion(&["function", "lower", "boolean"]) && in_motion(&["alter", "routine", "x", "rename", "lower"]));
    assert!(!in_motion(&["index", "t", "lower"]) && !in_motion(&["function", "upper"]));
}

#[test]
fn a_type_in_the_temporary_schema_lasts() {
    let domain = "create domain pg_temp.d as int check (g(value))";
    let mut session = Session::new();
    session.run(domain).run("create type e as enum ('a'); create temp table f (a int)").commit(1);
    session.read_again(&[], 2);
    let made = |session: &Session, name: &str| {
        InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil()).made(name).len()
    };
    assert_eq!((made(&session, "d"), made(&session, "e"), made(&session, "f")), (1, 0, 0));
    session.run("discard temp").commit(3);
    session.read_again(&[], 4);
    assert_eq!(made(&session, "d"), 0);
}

#[test]
fn many_types_that_last_leave_room_for_others() {
    let mut session = Session::new();
    session.run("create domain pg_temp.d as int").commit(1);
    for round in 0..i64::from(MAX_DEFINITIONS) + 10 {
        session.run("create type e as enum ('a')").commit(2 * round + 2);
        session.read_again(&[], 2 * round + 3);
    }
    session.run("create type e as enum ('a')");
    let names = InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil());
    assert_eq!((names.made("d").len(), names.made("e").len()), (1, 1));
}

#[test]
fn a_temporary_child_is_known_by_whatever_letters() {
    for child in ["c", "\"Künd\""] {
        let mut session = Session::new();
        session.run(&format!("create temp table {child} (a int); alter table {child} inherit \"Grün\""));
        assert!(session.names.has_temporary_kin("Grün") && !session.names.has_temporary_kin("t"), "{child}");
    }
}
