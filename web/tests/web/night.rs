//! A night to look at: sessions of all outcomes, in the lake and in the log, with every kind of value.

use uuid::Uuid;

use crate::fixture::{Fixture, Session, frame};

/// A row description; columns are name, type OID and format (0 text, 1 binary).
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

/// Length-prefixed values, as in DataRow and Bind.
fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            Some(value) => {
                body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend_from_slice(value);
            }
            None => body.extend_from_slice(&[0xff; 4]),
        }
    }
    body
}

/// Parse, Bind, Describe, Execute and Sync in one go, as drivers send them.
fn extended(sql: &str, parameters: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
    let parse = [b"\0", sql.as_bytes(), b"\0\0\0"].concat();
    let bind = [b"\0\0\0\0".as_slice(), &values(parameters), b"\0\0"].concat();
    vec![frame(b'P', &parse), frame(b'B', &bind), frame(b'D', b"P\0"), frame(b'E', b"\0\0\0\0\0"), frame(b'S', b"")]
}

fn answer(columns: Option<Vec<u8>>, rows: Vec<Vec<u8>>, tag: &str, status: u8) -> Vec<Vec<u8>> {
    let mut frames = vec![frame(b'1', b""), frame(b'2', b"")];
    frames.push(columns.unwrap_or_else(|| frame(b'n', b"")));
    frames.extend(rows);
    frames.push(frame(b'C', &[tag.as_bytes(), b"\0"].concat()));
    frames.push(frame(b'Z', &[status]));
    frames
}

/// What there is to see, and whose it is.
pub(crate) struct Night {
    pub(crate) fixture: Fixture,
    /// Candidates read, scored and updated; one statement fails, one transaction is rolled back.
    pub(crate) rerank: Uuid,
    /// Rolled back, on purpose.
    pub(crate) contractor: Uuid,
    /// Still open, in the log alone.
    pub(crate) live: Uuid,
    /// Holds markup wherever a job can put text.
    pub(crate) markup: Uuid,
}

/// Text that would run, were it markup.
pub(crate) const MARKUP: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

pub(crate) async fn night() -> Night {
    let fixture = Fixture::new();

    let mut contractor = Session::open(&fixture, 3, "contractor-cleanup", "03:02:19").await;
    contractor.query("03:02:19.5", "BEGIN", &[], "BEGIN").await;
    contractor.query("03:02:20", "UPDATE public.rankings SET score = 0", &[], "UPDATE 3201").await;
    contractor.query("03:02:51", "ROLLBACK", &[], "ROLLBACK").await;
    contractor.close("03:02:52").await;

    let mut rerank = Session::open(&fixture, 1, "nightly-rerank", "03:11:57").await;
    rerank.query("03:11:57.2", "SET statement_timeout = '30s'", &[], "SET").await;
    rerank.query("03:11:57.6", "BEGIN", &[], "BEGIN").await;
    let films =
        description(&[("id", 23, 0), ("title", 25, 0), ("rating", 1700, 0), ("poster", 17, 0), ("note", 25, 0)]);
    let film = |id: i32, title: &str, rating: Option<&str>, poster: Option<&str>, note: &str| {
        let id = id.to_string();
        let cells = [
            Some(id.as_bytes()),
            Some(title.as_bytes()),
            rating.map(str::as_bytes),
            poster.map(str::as_bytes),
            Some(note.as_bytes()),
        ];
        frame(b'D', &values(&cells))
    };
    let mut rows = vec![
        film(17, "Alien", Some("8.5"), Some("\\x89504e47"), ""),
        film(42, "Brazil", None, None, "two lines\nof a note"),
        film(
            77,
            "Amélie — 天使",
            Some("8.3"),
            None,
            "a value that goes on for quite a while, as descriptions in tables do",
        ),
    ];
    rows.extend((100..260).map(|id| film(id, &format!("Film number {id}"), Some("6.1"), None, "x")));
    let count = rows.len();
    rerank
        .exchange(
            "03:11:58",
            &extended(
                "SELECT c.id, c.title, c.rating, c.poster, c.note\n  FROM public.candidates AS c\n WHERE c.genre = $1 -- tonight's\n   AND c.votes > $2\n ORDER BY c.rating DESC NULLS LAST",
                &[Some(b"science fiction"), Some(b"1000")],
            ),
            &answer(Some(films), rows, &format!("SELECT {count}"), b'T'),
        )
        .await;
    for (place, id, score) in [(0, "17", "0.9312"), (1, "42", "0.8876"), (2, "77", "0.8641")] {
        rerank
            .exchange(
                &format!("03:12:00.{}", place + 1),
                &extended(
                    "UPDATE public.rankings SET score = $1, updated_at = now() WHERE film_id = $2",
                    &[Some(score.as_bytes()), Some(id.as_bytes())],
                ),
                &answer(None, vec![], "UPDATE 1", b'T'),
            )
            .await;
    }
    rerank.query("03:12:01", "COMMIT", &[], "COMMIT").await;
    rerank.query("03:12:31", "BEGIN", &[], "BEGIN").await;
    rerank
        .exchange(
            "03:12:31.5",
            &extended("INSERT INTO public.rerank_runs (finished_at, note) VALUES (now(), $1)", &[None]),
            &answer(None, vec![], "INSERT 0 1", b'T'),
        )
        .await;
    rerank
        .fails(
            "03:12:32",
            "UPDATE public.ranking_history SET run = 12 WHERE day = '2026-11-22'",
            "42P01",
            "relation \"public.ranking_history\" does not exist",
        )
        .await;
    rerank.query("03:12:33", "ROLLBACK", &[], "ROLLBACK").await;
    rerank
        .query(
            "03:12:34",
            "SELECT count(*) FROM public.rankings WHERE updated_at > now() - interval '1 minute'",
            &["3"],
            "SELECT 1",
        )
        .await;
    rerank.close("03:12:35").await;
    fixture.flush().await;

    let mut markup = Session::open(&fixture, 6, MARKUP, "03:20:00").await;
    markup.query("03:20:01", &format!("SELECT '{MARKUP}' AS \"<b>title</b>\""), &[MARKUP], "SELECT 1").await;
    markup.fails("03:20:02", "SELECT 1/0", "22012", MARKUP).await;
    markup.close("03:20:03").await;

    let mut reader = Session::open(&fixture, 2, "rag-reader", "03:25:09").await;
    for place in 0..40 {
        reader
            .query(
                &format!("03:25:{:02}", place + 10),
                "SELECT title FROM public.rankings WHERE score > 0.8",
                &["Alien", "Brazil"],
                "SELECT 2",
            )
            .await;
    }
    reader.close("03:25:58").await;

    let mut live = Session::open(&fixture, 5, "embedding-refresh", "03:30:39").await;
    live.query("03:30:39.5", "BEGIN", &[], "BEGIN").await;
    live.query("03:30:40", "UPDATE rankings SET score = 7 WHERE film_id = 7", &[], "UPDATE 1").await;

    let ids = (rerank.id, contractor.id, live.id, markup.id);
    Night { fixture, rerank: ids.0, contractor: ids.1, live: ids.2, markup: ids.3 }
}
