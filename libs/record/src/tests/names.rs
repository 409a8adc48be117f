//! What names and texts mean: search paths, temporary tables, prepared statements, settings.

use super::*;

#[test]
fn names_follow_the_session() {
    let frames = [
        simple("set search_path to sales", &["SET"]),
        simple("update t set a = 1", &["UPDATE 1"]),
        simple("create temp table t (a int)", &["CREATE TABLE"]),
        simple("delete from t", &["DELETE 0"]),
        simple("drop table t", &["DROP TABLE"]),
        within("begin; set local search_path to x", &["BEGIN", "SET"], b'T'),
        simple("insert into t values (1); commit", &["INSERT 0 1", "COMMIT"]),
        simple("select * from pg_class, t", &["SELECT 2"]),
        simple("discard all", &["DISCARD ALL"]),
        simple("truncate t", &["TRUNCATE TABLE"]),
    ]
    .concat();
    let rows = all(&frames);
    let touched: Vec<String> =
        told(&rows).iter().filter_map(|line| line.split_once(", ").map(|(_, rest)| rest.to_owned())).collect();
    assert_eq!(
        touched,
        [
            "sales.t update 1",
            "pg_temp.t ddl -",
            "pg_temp.t delete 0",
            "pg_temp.t ddl -",
            "x.t insert 1",
            "pg_catalog.pg_class select 2, sales.t select 2",
            "public.t truncate -",
        ]
    );
}

#[test]
fn prepared_in_sql_is_what_it_executes() {
    let frames = [
        simple("prepare p as update t set a = $1", &["PREPARE"]),
        simple("execute p(1)", &["UPDATE 5"]),
        simple("prepare q as delete from u; execute q; explain analyze execute q", &["PREPARE", "DELETE 2", "EXPLAIN"]),
        simple("deallocate p; execute p", &["DEALLOCATE", "EXECUTE"]),
        simple("prepare r as select a from t where a = $1; execute r(f(1))", &["PREPARE", "SELECT 1"]),
    ]
    .concat();
    assert_eq!(
        told(&all(&frames)),
        [
            "1 prepare committed",
            "2 update committed, public.t update 5",
            "3 prepare committed",
            "4 delete committed, public.u delete 2",
            "5 explain committed, public.u delete -",
            "6 deallocate committed",
            "7 opaque committed, ? opaque - possibly",
            "8 prepare committed",
            // What ran under a name that is not known may have set another path.
            "9 select committed, ?.t select - possibly, ? call - possibly",
        ]
    );
}

#[test]
fn backslashes_follow_the_setting() {
    let setting = (Direction::Backend, frame(b'S', b"standard_conforming_strings\0off\0"));
    let frames = [vec![setting], simple(r"select '\'; delete from t; --'", &["SELECT 1"])].concat();
    assert_eq!(told(&all(&frames)), ["1 select committed"]);
}

#[test]
fn what_a_text_names_is_told_for_as_much_as_was_sent() {
    let columns: Vec<String> = (0..1_500).map(|n| format!("c{n} = 0")).collect();
    let prepare = format!("prepare p as update wide set {}", columns.join(","));
    let mut frames = simple(&prepare, &["PREPARE"]);
    (0..200).for_each(|_| frames.extend(simple("execute p", &["UPDATE 0"])));
    let rows = project(&[block(SESSION, "ranking", session(&frames))]);
    let touches: Vec<_> = rows.touches.iter().filter(|row| &*row.relation == "public.wide").collect();
    assert_eq!(touches.len(), 200, "each is told, and that for certain");
    assert!(touches.iter().all(|row| row.certainty == Certainty::Certain));
    let (with, without): (Vec<_>, Vec<_>) = touches.into_iter().partition(|row| !row.columns.is_empty());
    assert!(with.iter().all(|row| row.columns.len() == 1_500) && with.len() < 100, "{}", with.len());
    for row in without {
        let statement = rows.statements.iter().find(|statement| statement.statement_no == row.statement_no).unwrap();
        assert!(statement.truncated);
    }
}

#[test]
fn a_long_text_that_is_sent_once_and_run_often_stands_in_few_rows() {
    let sql = format!("select 1 /* {} */", "x".repeat(10_000));
    let front = |tag, body: &[u8]| (Direction::Frontend, frame(tag, body));
    let back = |tag| (Direction::Backend, frame(tag, b""));
    let parse = [b"s\0", sql.as_bytes(), b"\0\0\0"].concat();
    let mut frames = vec![front(b'P', &parse), front(b'S', b""), back(b'1'), ready(b'I')];
    for _ in 0..300 {
        let bind = front(b'B', b"\0s\0\0\0\0\0\0\0");
        frames.extend([bind, front(b'E', b"\0\0\0\0\0"), front(b'S', b"")]);
        frames.extend([back(b'2'), done("SELECT 1"), ready(b'I')]);
    }
    let rows = project(&[block(SESSION, "ranking", session(&frames))]);
    assert_eq!(rows.statements.len(), 300);
    let (whole, cut): (Vec<_>, Vec<_>) = rows.statements.iter().partition(|row| *row.sql == *sql);
    assert!((1..25).contains(&whole.len()), "{}", whole.len());
    assert!(cut.iter().all(|row| row.truncated && row.sql.len() <= 256 && sql.starts_with(&*row.sql)));
}

/// What follows a text that is not known, or not whole, is told of no certain schema until the session is as at its start and the path is set again.
#[test]
fn what_is_not_understood_may_have_changed_what_names_mean() {
    let front = |tag, body: &[u8]| (Direction::Frontend, frame(tag, body));
    let back = |tag, body: &[u8]| (Direction::Backend, frame(tag, body));
    let config = "select set_config('search_path', 'app', false)";
    let parse = [b"\0", config.as_bytes(), b"\0\0\0"].concat();
    let call = [&2077_u32.to_be_bytes()[..], b"\0\0\0\0\0\0"].concat();
    let cases = [
        ("refused by the grammar", simple(&format!("{config} from (select 1) system_user"), &["SELECT 1"])),
        (
            "fetched",
            [
                within(&format!("begin; declare c cursor for {config}"), &["BEGIN", "DECLARE CURSOR"], b'T'),
                within("fetch c", &["FETCH 1"], b'T'),
                simple("commit", &["COMMIT"]),
            ]
            .concat(),
        ),
        (
            "a portal with rows left",
            [
                within("begin", &["BEGIN"], b'T'),
                vec![
                    front(b'P', &parse),
                    front(b'B', b"p\0\0\0\0\0\0\0\0"),
                    front(b'E', b"p\0\0\0\0\x01"),
                    front(b'S', b""),
                ],
                vec![back(b'1', b""), back(b'2', b""), back(b'D', b"\0\0"), back(b's', b""), ready(b'T')],
                within("select 1", &["SELECT 1"], b'T'),
                simple("commit", &["COMMIT"]),
            ]
            .concat(),
        ),
        ("a function by its number", vec![front(b'F', &call), back(b'V', &(-1_i32).to_be_bytes()), ready(b'I')]),
        (
            "committed before it failed",
            vec![
                query(
                    "do $$ begin perform set_config('search_path', 'app', false); commit; raise exception 'x'; end $$",
                ),
                failed("P0001"),
                ready(b'I'),
            ],
        ),
        ("a name that is not known", simple("execute gone", &["SELECT 1"])),
        ("another answer than the text's", simple("select 1", &["SET"])),
    ];
    for (name, frames) in cases {
        let before = simple("set search_path to sales", &["SET"]);
        let after = simple("update t set a = 1", &["UPDATE 1"]);
        let set = [
            simple("discard all", &["DISCARD ALL"]),
            simple("set search_path to x", &["SET"]),
            simple("delete from t", &["DELETE 1"]),
        ]
        .concat();
        let rows = all(&[before, frames, after, set].concat());
        let touched: Vec<String> = told(&rows)
            .iter()
            .filter(|line| line.contains(" update ") || line.contains(" delete "))
            .map(|line| line.split_once(", ").map_or(line.clone(), |(_, rest)| rest.to_owned()))
            .collect();
        assert!(touched[0].starts_with("?.t update - possibly"), "{name}: {touched:?}");
        assert!(touched[1].starts_with("x.t delete"), "{name}: {touched:?}");
    }
}

#[test]
fn a_gap_may_have_changed_what_names_mean() {
    let update = || simple("update t set a = 1", &["UPDATE 1"]);
    let mut events = opening();
    let frames = [simple("set search_path to sales", &["SET"]), update()].concat();
    events.push(run(200, 1, &[ready(b'I')]));
    for (seq, frame) in (2..).zip(&frames) {
        events.push(run(200 + seq * 10, seq, std::slice::from_ref(frame)));
    }
    for (seq, frame) in (20..).zip(&update()) {
        events.push(run(200 + seq * 10, seq, std::slice::from_ref(frame)));
    }
    let rows = project(&[block(SESSION, "ranking", events)]);
    let relations: Vec<&str> = rows.touches.iter().map(|touch| &*touch.relation).collect();
    assert_eq!(relations[0], "sales.t");
    assert!(relations.len() > 1 && relations[1..].iter().all(|relation| relation.starts_with('?')), "{relations:?}");
}
