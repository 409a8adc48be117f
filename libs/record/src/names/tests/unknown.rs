//! Names after code that could not be read.

use hansard_policy::catalog::Database;

use super::*;

/// What a name means to a statement that ran, or why that is not known.
fn existing(session: &Session, name: &str) -> String {
    let of = InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil());
    match of.looked_up(None).existing(&Name::parse(name).unwrap()) {
        Resolved::Known { name, .. } => name.to_string(),
        Resolved::OneOf { reason, .. } => format!("? {reason}"),
    }
}

/// A reading of the catalog, with the names of everybody's temporary relations, where they are known.
fn read_again(session: &mut Session, relations: &[&str], temporary: Option<&[&str]>, begun_at: i64) {
    let mut catalog = catalog(relations);
    let temporary = temporary.map(|names| names.iter().map(|name| (*name).into()).collect());
    catalog.insert(1, Object::Database(Database { temporary, ..Database::default() }));
    session.known = Some(Known::of(catalog, begun_at));
    session.names.covered(begun_at);
}

/// A reading that began behind it says which names temporary relations have, whoever's; and what has one meaning alone means
/// that to a statement that ran.
#[test]
fn after_unknown_code_a_later_reading_says_what_names_mean() {
    const RELATIONS: [&str; 5] = ["public.t", "public.u", "app.t", "app.x", "public.pg_class"];
    let mut session = Session::new();
    session.run("do $$begin execute 'x'; end$$");
    session.commit(5);
    read_again(&mut session, &RELATIONS, Some(&["elsewhere"]), 4);
    assert_eq!(existing(&session, "u"), "? the search path is not known", "it began before");
    read_again(&mut session, &RELATIONS, None, 6);
    assert_eq!(existing(&session, "u"), "? the search path is not known", "temporary names are not known");
    read_again(&mut session, &RELATIONS, Some(&["elsewhere", "u"]), 6);
    assert_eq!(existing(&session, "u"), "? the search path is not known", "somebody has a temporary one");
    assert_eq!(existing(&session, "x"), "app.x");
    read_again(&mut session, &RELATIONS, Some(&["elsewhere"]), 6);
    assert_eq!((existing(&session, "u"), existing(&session, "x")), ("public.u".into(), "app.x".into()));
    assert!(existing(&session, "t").starts_with('?'), "there are two");
    assert!(existing(&session, "pg_class").starts_with('?'), "and PostgreSQL's own");
    assert!(existing(&session, "nothing").starts_with('?'));
    assert!(session.means("u").starts_with('?'), "DROP TABLE IF EXISTS need not have found it");
    session.run("set search_path = public");
    assert_eq!((session.means("u"), session.means("t")), ("public.u".into(), "public.t".into()));
    session.run("create temp table u (a int)");
    assert!(session.means("u").starts_with('?'), "its own, which may be gone");
    session.run("do $$begin execute 'x'; end$$");
    assert!(existing(&session, "x").starts_with('?'), "until the next reading");
}

/// Where it is not known in which schema a relation is made, its own name is unsure, until a reading began behind that, and
/// no other.
#[test]
fn what_is_made_in_a_schema_that_is_not_known_leaves_other_names_known() {
    let is_unsure = |session: &Session, name: &str| existing(session, name).starts_with('?');
    let ahead =
        |session: &Session| InSession::new(&session.names, session.known.as_ref(), uuid::Uuid::nil()).is_ahead();
    let mut session = Session::new();
    session.run("do $$begin execute 'x'; end$$");
    session.commit(5);
    read_again(&mut session, &["public.u", "app.made"], Some(&[]), 6);
    assert_eq!(existing(&session, "made"), "app.made");
    session.run("create table made (a int); create view seen as select 1");
    assert_eq!((existing(&session, "u").as_str(), ahead(&session)), ("public.u", false));
    assert_eq!((is_unsure(&session, "made"), is_unsure(&session, "seen")), (true, true));
    session.names.end_transaction(&Ended::RolledBack(None), 7);
    assert_eq!(existing(&session, "made"), "app.made");
    session.run("create table made (a int)");
    session.commit(8);
    read_again(&mut session, &["public.u", "app.made"], Some(&[]), 7);
    assert!(is_unsure(&session, "made"), "the reading began before");
    read_again(&mut session, &["public.u", "app.made"], Some(&["made"]), 9);
    assert!(is_unsure(&session, "made"), "it was made as a temporary one, perhaps");
    read_again(&mut session, &["public.u", "app.made"], Some(&[]), 9);
    assert_eq!(existing(&session, "made"), "app.made", "IF NOT EXISTS would have left it");
    read_again(&mut session, &["public.u", "app.made", "joe.made"], Some(&[]), 9);
    assert!(is_unsure(&session, "made"), "there are two");
}
