//! What is announced before a request is passed on.

use std::sync::Arc;

use hansard_schemas::events::CatalogChanging;
use uuid::Uuid;

use super::*;
use crate::postgres::catalog::{Catalogs, Database};

fn database() -> Arc<Database> {
    Catalogs::new().database(0, "target", "database").unwrap()
}

fn names(database: &Arc<Database>) -> Names {
    let node = ("n".to_owned(), "i".to_owned());
    Names::new(Some(SessionChanges::begin(database.clone(), Uuid::from_u128(1), 7, node)))
}

fn parse(statement: &str, text: &str) -> Vec<u8> {
    [statement.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat()
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0\0\0\0\0"].concat()
}

/// What is told before a message.
fn told(names: &mut Names, tag: u8, body: &[u8], idle: bool) -> Option<CatalogChanging> {
    match names.before(tag, body, idle)? {
        event::Kind::CatalogChanging(changing) => Some(changing),
        other => panic!("{other:?}"),
    }
}

/// Binds the statement to the portal without a name and runs it: the names that are told.
fn run(names: &mut Names, statement: &str) -> Vec<String> {
    assert_eq!(told(names, b'B', &bind("", statement), false), None);
    told(names, b'E', b"\0\0\0\0\0", false).map(|changing| changing.names).unwrap_or_default()
}

#[test]
fn a_text_is_told_of_once_in_a_transaction_and_open_until_its_end() {
    let database = database();
    let mut names = names(&database);
    let first = told(&mut names, b'Q', b"begin; drop table a\0", true).unwrap();
    assert_eq!((first.number, first.all, first.session_id.len()), (1, false, 16));
    assert_eq!(told(&mut names, b'Q', b"drop table a\0", true), None);
    assert_eq!(told(&mut names, b'Q', b"drop table b\0", true).unwrap().number, 2);
    names.idle(false);
    assert_eq!(database.open_numbers(), [1, 2]);
    names.idle(true);
    assert_eq!(database.open_numbers(), [0; 0]);
    assert_eq!(told(&mut names, b'Q', b"drop table a\0", true).unwrap().number, 3);
    drop(names);
    assert_eq!(database.open_numbers(), [3], "the server may go on");
}

#[test]
fn many_changes_in_one_transaction_are_any_change() {
    let database = database();
    let mut names = names(&database);
    let mut last = None;
    for number in 0..1000 {
        last = told(&mut names, b'Q', format!("drop table t{number}\0").as_bytes(), true).or(last);
    }
    assert!(last.unwrap().all, "behind what is told, any name is meant");
    assert!(database.open_numbers().len() <= 256);
}

#[test]
fn a_prepared_statement_is_told_of_when_it_is_run() {
    let database = database();
    let mut names = names(&database);
    assert_eq!(told(&mut names, b'P', &parse("s", "drop table a"), true), None);
    assert_eq!(told(&mut names, b'P', &parse("q", "select 1"), true), None);
    names.idle(true);
    assert_eq!(run(&mut names, "q"), [""; 0]);
    assert_eq!(run(&mut names, "s"), ["a", "drop"]);
    names.idle(true);
    // And each time.
    assert_eq!(run(&mut names, "s"), ["a", "drop"]);
    names.idle(true);
    assert_eq!(told(&mut names, b'C', b"Ss\0", true), None);
    assert_eq!(told(&mut names, b'P', &parse("s", "select 1"), true), None);
    assert_eq!(run(&mut names, "s"), [""; 0]);
}

#[test]
fn what_the_server_may_have_skipped_leaves_what_was_there() {
    let database = database();
    let mut names = names(&database);
    told(&mut names, b'P', &parse("", "drop table a"), true);
    told(&mut names, b'P', &parse("s", "drop table b"), true);
    names.idle(true);
    // An error before them: neither is carried out.
    told(&mut names, b'P', &parse("", "select 1"), false);
    told(&mut names, b'C', b"Ss\0", false);
    names.failed(b"SERROR\0C22012\0\0");
    names.idle(true);
    assert_eq!(run(&mut names, ""), ["a", "drop"]);
    names.idle(true);
    assert_eq!(run(&mut names, "s"), ["b", "drop"]);
    names.idle(true);
    // This time both are.
    told(&mut names, b'P', &parse("", "select 1"), false);
    told(&mut names, b'C', b"Ss\0", false);
    names.idle(true);
    assert_eq!(run(&mut names, ""), [""; 0]);
    assert_eq!(run(&mut names, "s"), [""; 0]);
}

#[test]
fn statements_that_find_no_place_count_for_all() {
    let database = database();
    let mut names = names(&database);
    for number in 0..=MOST_STATEMENTS {
        told(&mut names, b'P', &parse(&format!("s{number}"), &format!("drop table t{number}")), true);
    }
    assert_eq!(run(&mut names, "other"), ["drop", "t64"]);
}

#[test]
fn long_texts_are_told_of_before_the_piece_that_tells() {
    let database = database();
    let mut names = names(&database);
    let blanks = " ".repeat(1000);
    assert!(names.before_piece(b'Q', format!("select 1{blanks}").as_bytes(), true).is_none());
    assert!(names.before_piece(b'Q', format!("; drop table t{blanks}").as_bytes(), false).is_some());
    names.idle(true);
    assert!(names.before_piece(b'P', &parse("s", &format!("select 1{blanks}")), true).is_none());
    assert!(names.before_piece(b'd', b"; drop table t", false).is_none());
}

#[test]
fn without_a_database_nothing_is_told() {
    let mut names = Names::default();
    assert_eq!(told(&mut names, b'Q', b"drop table a\0", true), None);
    names.failed(b"C42P01\0\0");
    names.idle(true);
}
