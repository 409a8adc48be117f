//! Texts that change names, and texts that do not.

use super::*;

#[track_caller]
fn names(text: &str) -> Option<String> {
    let names = changed_names(text.as_bytes())?;
    let drops = names.drops().then_some("and drops").into_iter().chain(names.paths().then_some("and paths"));
    Some(if names.is_all() { "*".to_owned() } else { names.names().chain(drops).collect::<Vec<_>>().join(" ") })
}

#[test]
fn the_lists_can_be_searched() {
    assert!(RESERVED.is_sorted());
}

#[test]
fn ordinary_statements_change_nothing() {
    for text in [
        "",
        ";",
        "SELECT 1",
        "update t set created = 1; delete from dropped",
        "insert into t select * from u",
        "with x as (insert into t values (1) returning *) select * from x",
        "merge into t using u on true when matched then delete",
        "with x as (select 1) insert into t table x",
        "select 'create table; create table t', 'x into y', \"into\" from t",
        "select ';create table t'",
        "/* create table t */ -- drop table t\n select 1",
        "do $$begin create table t(); end$$; select 1",
        "grant select on t to u; revoke update (a) on public.t from u",
        "create temp table t(a int); CREATE LOCAL TEMPORARY TABLE u(); create or replace temp view v as select 1",
        "select * into temp t from u",
        "commit; begin; commit and chain",
        "explain (analyze) insert into t values (1)",
        "set search_path = a; prepare p as select 1; copy t from stdin",
        "comment on table t is 'x'; vacuum t; truncate t; reindex table t",
    ] {
        assert_eq!(names(text), None, "{text}");
    }
}

#[test]
fn changes_mean_the_names_in_their_text() {
    for (text, expected) in [
        ("CREATE TABLE t(a int)", "a int t"),
        (" /* x /* y */ */ -- z\n ( create table App.\"Oddt\" (a int references b)", "Oddt a app b int"),
        ("alter table t rename to u", "alter rename t u"),
        ("drop table if exists a, s.b", "a b drop exists if s"),
        ("begin; create index i on t (a); commit", "a i index t"),
        ("select 1; select a into x from t", "t x"),
        ("explain analyze select a into x from t", "t x"),
        (
            "create or replace function f() returns int language sql as 'create table z()'",
            "f function int language replace returns sql",
        ),
        ("create schema s create table t()", "s schema t"),
        ("create unlogged table t()", "t unlogged"),
        ("create trigger x before insert on t execute function f()", "before execute f function insert t trigger x"),
    ] {
        assert_eq!(names(text).as_deref(), Some(expected), "{text}");
    }
    let odd = changed_names(b"create table \"Odd \"\"t\" ()").unwrap();
    assert!(odd.names().any(|name| name == "Odd \"t"));
}

#[test]
fn cascades_drop_whatever_depends_on_it() {
    for (text, expected) in [
        ("drop table t cascade", "cascade drop t and drops"),
        ("drop schema s", "drop s schema and paths"),
        ("drop schema s cascade", "cascade drop s schema and drops and paths"),
        ("drop role r", "drop r role and paths"),
        ("drop owned by r", "by drop owned r and drops and paths"),
        ("alter role r superuser", "alter r role superuser and paths"),
        ("alter schema s owner to r", "alter owner r s schema and paths"),
        ("grant a to b", "a b and paths"),
        ("grant usage on schema s to r", "r s schema usage and paths"),
        ("reassign owned by a to b", "a b by owned reassign and paths"),
        ("alter database d rename to e", "alter d database e rename"),
        ("alter table t drop column a cascade", "a alter cascade drop t and drops"),
        (
            "drop event trigger e; drop operator class c using btree cascade",
            "btree c cascade class drop e event operator trigger and drops",
        ),
        ("create table t(a int references u on delete cascade)", "a cascade delete int t u"),
    ] {
        assert_eq!(names(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_may_be_a_password_is_no_name() {
    for text in [
        "alter role r password \"secret\"",
        "create user u encrypted password secret",
        "CREATE ROLE r LOGIN PASSWORD \"secret\" CREATEDB",
        "alter group g with password \"secret\"",
        "create subscription s connection \"host=h password=secret\" publication p",
        "alter server s options (set password \"secret\")",
        "create user mapping for r server s options (user 'u', password \"secret\")",
        "create foreign data wrapper w options (password \"secret\")",
    ] {
        let names = names(text).unwrap();
        assert!(!names.contains("secret"), "{text}: {names}");
    }
    assert_eq!(names("create table t (password int references u)").as_deref(), Some("int password t u"));
}

#[test]
fn operators_are_names_too() {
    for (text, expected) in [
        ("drop operator === (int, int)", "=== drop int operator"),
        ("create operator s.<<-(function = f, leftarg=int)", "<<- = f function int leftarg operator s"),
        ("alter operator @ (none, int) owner to r", "@ alter int none operator owner r"),
    ] {
        assert_eq!(names(text).as_deref(), Some(expected), "{text}");
    }
}

/// A session that begins is asked for its settings: what others' names mean stays.
#[test]
fn defaults_of_roles_and_databases_change_no_other_names() {
    for (text, expected) in [
        ("ALTER ROLE r SET search_path = x", "alter r role search_path set x"),
        ("alter user all in database d set search_path to default", "alter d database search_path set user"),
        ("alter database d reset all", "alter d database reset"),
    ] {
        assert_eq!(names(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_may_change_more_means_all() {
    for text in [
        "alter schema s rename to r",
        "ALTER ROLE r RENAME TO set",
        "alter role set rename to reset",
        "create extension x",
        "create table \"größe\"()",
        "create table größe()",
        "create table u&\"x\"()",
        "import foreign schema s from server x into y",
        "commit prepared 'x'",
        "select 'a\\'; create table t(); select '",
        "create table t(a text default 'x",
        "explain create table t as select 1",
    ] {
        assert_eq!(names(text).as_deref(), Some("*"), "{text}");
    }
    assert_eq!(changed_names(b"create table \xff()"), Some(ChangedNames::all()));
    let many: Vec<String> = (0..300).map(|number| format!("c{number} int")).collect();
    assert_eq!(names(&format!("create table t({})", many.join(","))).as_deref(), Some("*"));
    let long = format!("create table t(a text default '{}')", "x".repeat(MAX_TEXT));
    assert_eq!(names(&long).as_deref(), Some("*"));
}

#[test]
fn names_are_cut_and_folded_as_the_server_does() {
    let long = "a".repeat(70);
    assert!(names(&format!("create table {long}()")).unwrap().split(' ').any(|name| name.len() == 63));
    assert_eq!(changed_names(b"drop table T\0\0\x01\xff"), changed_names(b"drop table t"));
}

#[test]
fn covering_and_adding() {
    let (a, b) = (changed_names(b"drop table a").unwrap(), changed_names(b"drop table a, b").unwrap());
    assert!(b.covers(&a) && !a.covers(&b) && ChangedNames::all().covers(&b) && !b.covers(&ChangedNames::all()));
    let mut sum = ChangedNames::default();
    assert!(sum.is_empty());
    sum.add(&a);
    sum.add(&b);
    assert_eq!(sum, b);
    let cascade = changed_names(b"drop table a cascade").unwrap();
    assert!(cascade.covers(&a) && !b.covers(&cascade) && ChangedNames::all().covers(&cascade));
    sum.add(&cascade);
    assert!(sum.covers(&b) && sum.covers(&cascade) && sum.drops() && !sum.is_all());
    sum.add(&ChangedNames::all());
    assert!(sum.is_all() && sum.names().next().is_none());
}

#[test]
fn long_texts_are_searched_in_pieces() {
    let found = |text: &str, cut: usize| {
        let mut long = LongText::default();
        text.as_bytes().chunks(cut).any(|piece| long.piece(piece))
    };
    for cut in 16..40 {
        for text in [
            "select 1; create table t()",
            "insert into t values (1, 'x;y');  drop table t; select 1 from somewhere",
            "update t set a = 1; /* create */ select a, b, c into u from v",
            "with x as (select 1) select * into t from x",
            "create table t as select 1 as a",
        ] {
            assert!(found(text, cut), "{text}: {cut}");
        }
    }
    for text in [
        "update t set created = 'recreate dropped'; delete from t where a = 'create table'",
        "insert into t values (';', 'create', 'into'); ",
        "select 1 from created, altered where x = 'y;z'",
    ] {
        assert!(!found(text, 200), "{text}");
    }
}

/// Who asks whether a rule or an event trigger is about to come asks for these words.
#[test]
fn rules_and_event_triggers_mean_their_words() {
    let may_be = |sql: &str, word: &str| changed_names(sql.as_bytes()).is_some_and(|names| names.may_be(word));
    assert!(may_be("create rule r as on insert to t do instead nothing", "rule"));
    assert!(may_be("CREATE OR REPLACE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "rule"));
    assert!(may_be("create event trigger e on ddl_command_end execute function f()", "event"));
    assert!(may_be("alter event trigger e enable", "event"));
    assert!(!may_be("create table t (a int)", "rule") && !may_be("create table t (a int)", "event"));
}
