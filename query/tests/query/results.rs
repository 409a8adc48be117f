//! Results of statements, read from their frames.

use hansard_query::{Engine, ErrorKind};
use hansard_schemas::events::{Direction, Omitted};
use hansard_schemas::http::{Cell, ResultGrid};

use crate::fixture::{Fixture, Session, frame};

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn description(columns: &[(&str, u32, u16)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for (name, oid, format) in columns {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0xff; 6]);
        body.extend_from_slice(&format.to_be_bytes());
    }
    frame(b'T', &body)
}

fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
    for cell in cells {
        match cell {
            Some(cell) => {
                body.extend_from_slice(&u32::try_from(cell.len()).unwrap().to_be_bytes());
                body.extend_from_slice(cell);
            }
            None => body.extend_from_slice(&[0xff; 4]),
        }
    }
    frame(b'D', &body)
}

async fn grid(engine: &Engine, session: &Session, statement: i64, rows: usize) -> ResultGrid {
    engine.step_result(session.id, statement, 1, rows).await.unwrap()
}

#[tokio::test]
async fn a_simple_query_s_rows() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "reader", "03:00:00").await;
    session.query("03:00:01", "SELECT title FROM films", &["Alien", "Brazil", ""], "SELECT 3").await;
    session.query("03:00:02", "UPDATE films SET seen = true", &[], "UPDATE 3").await;
    let answers = [description(&[("n", 23, 0)]), frame(b'C', b"SELECT 0\0"), frame(b'Z', b"I")];
    session.exchange("03:00:03", &[frame(b'Q', b"SELECT n FROM t\0")], &answers).await;
    let engine = fixture.engine();
    for _ in 0..2 {
        let films = grid(&engine, &session, 1, 10).await;
        let [set] = &films.sets[..] else { panic!("{films:?}") };
        assert_eq!((set.columns[0].name.as_str(), set.columns[0].type_name.as_str()), ("title", "text"));
        assert_eq!(set.rows, [[text("Alien")], [text("Brazil")], [text("")]]);
        assert_eq!((set.total_rows, films.notices.len()), (3, 0));

        let first = grid(&engine, &session, 1, 1).await;
        assert_eq!((first.sets[0].rows.len(), first.sets[0].total_rows), (1, 3));
        assert_eq!((first.sets[0].first_row, first.notices.len()), (1, 0));

        assert_eq!(grid(&engine, &session, 2, 10).await, ResultGrid::default());
        let empty = grid(&engine, &session, 3, 10).await;
        assert_eq!((empty.sets[0].columns[0].name.as_str(), empty.sets[0].rows.len()), ("n", 0));
        assert!(empty.sets[0].columns[0].numeric);
        let error = engine.step_result(session.id, 9, 1, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        fixture.flush().await;
    }
}

#[tokio::test]
async fn several_statements_in_one_text_have_each_their_own() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "reader", "03:00:00").await;
    let answers = [
        description(&[("a", 25, 0)]),
        row(&[Some(b"first")]),
        frame(b'C', b"SELECT 1\0"),
        description(&[("b", 25, 0), ("c", 25, 0)]),
        row(&[Some(b"second"), None]),
        frame(b'C', b"SELECT 1\0"),
        frame(b'Z', b"I"),
    ];
    session.exchange("03:00:01", &[frame(b'Q', b"SELECT a FROM x; SELECT b, c FROM y\0")], &answers).await;
    let engine = fixture.engine();
    assert_eq!(grid(&engine, &session, 1, 10).await.sets[0].rows, [[text("first")]]);
    assert_eq!(grid(&engine, &session, 2, 10).await.sets[0].rows, [[text("second"), Cell::Null]]);
}

#[tokio::test]
async fn a_prepared_statement_in_binary_and_pipelined() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "reader", "03:00:00").await;
    let prepare = [frame(b'P', b"s\0SELECT id, title FROM films\0\0\0"), frame(b'D', b"Ss\0"), frame(b'S', b"")];
    let prepared =
        [frame(b'1', b""), frame(b't', b"\0\0"), description(&[("id", 23, 0), ("title", 25, 0)]), frame(b'Z', b"I")];
    session.exchange("03:00:01", &prepare, &prepared).await;
    // Two executions at once; results in binary.
    let run = [frame(b'B', b"\0s\0\0\0\0\0\0\x01\0\x01"), frame(b'E', b"\0\0\0\0\0")];
    let requests = [&run[..], &run[..], &[frame(b'S', b"")]].concat();
    let answer = |id: i32, title: &[u8]| {
        [frame(b'2', b""), row(&[Some(&id.to_be_bytes()), Some(title)]), frame(b'C', b"SELECT 1\0")]
    };
    let answers = [&answer(7, b"Alien")[..], &answer(8, "Brasília".as_bytes())[..], &[frame(b'Z', b"I")]].concat();
    session.exchange("03:00:02", &requests, &answers).await;
    let engine = fixture.engine();
    let first = grid(&engine, &session, 1, 10).await;
    assert_eq!(first.sets[0].columns[0].type_name, "int4");
    assert_eq!(first.sets[0].rows, [[text("7"), text("Alien")]]);
    assert_eq!(grid(&engine, &session, 2, 10).await.sets[0].rows, [[text("8"), text("Brasília")]]);
}

#[tokio::test]
async fn copy_out_is_shown_by_line() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "reader", "03:00:00").await;
    let answers = [
        frame(b'H', b"\0\0\x02\0\0\0\0"),
        frame(b'd', b"1\tAlien\n"),
        frame(b'd', b"2\tBrazil\n"),
        frame(b'c', b""),
        frame(b'C', b"COPY 2\0"),
        frame(b'Z', b"I"),
    ];
    session.exchange("03:00:01", &[frame(b'Q', b"COPY films TO STDOUT\0")], &answers).await;
    let copied = grid(&fixture.engine(), &session, 1, 10).await;
    assert_eq!(copied.sets[0].rows, [[text("1\tAlien")], [text("2\tBrazil")]]);
    assert_eq!(copied.notices.len(), 1);
}

#[tokio::test]
async fn what_was_copied_in_is_shown_by_line() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "loader", "03:00:00").await;
    let copy = [frame(b'Q', b"COPY films FROM STDIN\0")];
    session.exchange("03:00:01", &copy, &[frame(b'G', b"\0\0\x02\0\0\0\0")]).await;
    // Messages end where the driver's buffer ends, not where lines do.
    let given = [b"1\tAli" as &[u8], b"en\n2\tBrazil\n\n", b"3\tCube"].map(|data| frame(b'd', data));
    session.exchange("03:00:02", &given, &[]).await;
    let answers = [frame(b'C', b"COPY 3\0"), frame(b'Z', b"I")];
    session.exchange("03:00:03", &[frame(b'c', b"")], &answers).await;
    session.query("03:00:04", "SELECT title FROM films", &["Alien"], "SELECT 1").await;
    let engine = fixture.engine();
    for _ in 0..2 {
        let copied = grid(&engine, &session, 1, 10).await;
        let lines = [[text("1\tAlien")], [text("2\tBrazil")], [text("")], [text("3\tCube")]];
        assert_eq!(copied.sets[0].rows, lines);
        assert_eq!(copied.sets[0].columns[0].name, "line");
        assert_eq!(copied.notices, ["The job sent this to COPY: every row is one line of it."]);
        let first = grid(&engine, &session, 1, 1).await;
        assert_eq!((first.sets[0].rows.len(), first.sets[0].columns[0].name.as_str()), (1, "line"));
        assert_eq!((first.sets[0].first_row, first.sets[0].total_rows), (1, 3), "{first:?}");
        // What follows is its own.
        assert_eq!(grid(&engine, &session, 2, 10).await.sets[0].rows, [[text("Alien")]]);
        fixture.flush().await;
    }
}

#[tokio::test]
async fn rows_that_were_not_recorded_are_said_in_place_of_the_grid() {
    let fixture = Fixture::new();
    let mut session = Session::open_as(&fixture, 1, "reader", "03:00:00", "statements").await;
    session.exchange("03:00:01", &[frame(b'Q', b"SELECT n FROM t\0")], &[description(&[("n", 23, 0)])]).await;
    let omitted = Omitted { frames: 1234, bytes: 5_600_000 };
    session.omit("03:00:02", Direction::Backend, b'D', "result rows", omitted).await;
    session.exchange("03:00:03", &[], &[frame(b'C', b"SELECT 1234\0"), frame(b'Z', b"I")]).await;

    let mut limited = Session::open(&fixture, 2, "reader", "03:01:00").await;
    let answers = [description(&[("n", 23, 0)]), row(&[Some(b"1")]), row(&[Some(b"2")])];
    limited.exchange("03:01:01", &[frame(b'Q', b"SELECT n FROM t; SELECT 7\0")], &answers).await;
    let omitted = Omitted { frames: 8, bytes: 96 };
    limited.omit("03:01:02", Direction::Backend, b'D', "result over limit", omitted).await;
    let answers = [
        frame(b'C', b"SELECT 10\0"),
        description(&[("m", 23, 0)]),
        row(&[Some(b"7")]),
        frame(b'C', b"SELECT 1\0"),
        frame(b'Z', b"I"),
    ];
    limited.exchange("03:01:03", &[], &answers).await;

    let mut hidden = Session::open_as(&fixture, 3, "reader", "03:02:00", "metadata").await;
    let one = Omitted { frames: 1, bytes: 30 };
    hidden.omit("03:02:01", Direction::Frontend, b'Q', "statement text", one).await;
    hidden.exchange("03:02:02", &[], &[frame(b'C', b"UPDATE 3\0")]).await;
    hidden.omit("03:02:02", Direction::Backend, b'D', "result rows", one).await;
    hidden.exchange("03:02:02", &[], &[frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")]).await;

    let engine = fixture.engine();
    for _ in 0..2 {
        let absent = grid(&engine, &session, 1, 10).await;
        assert_eq!(absent.sets, []);
        assert_eq!(absent.notices, ["Rows not recorded (capture level statements): 1,234 rows, 5.6 MB."]);

        let cut = grid(&engine, &limited, 1, 10).await;
        assert_eq!(cut.sets[0].rows, [[text("1")], [text("2")]]);
        assert_eq!(cut.sets[0].total_rows, 2);
        assert_eq!(cut.notices, ["Result cut in the record at the limit: 8 rows more, 96 B, not recorded."]);
        let shorter = grid(&engine, &limited, 1, 1).await;
        assert_eq!((shorter.sets[0].rows.len(), shorter.sets[0].total_rows), (1, 2));
        let whole = grid(&engine, &limited, 2, 10).await;
        assert_eq!((whole.sets[0].rows.clone(), whole.notices.len()), (vec![vec![text("7")]], 0));

        assert_eq!(grid(&engine, &hidden, 1, 10).await, ResultGrid::default());
        let absent = grid(&engine, &hidden, 2, 10).await;
        assert_eq!(absent.sets, []);
        assert_eq!(absent.notices, ["Rows not recorded (capture level metadata): 1 row, 30 B."]);
        fixture.flush().await;
    }
}
