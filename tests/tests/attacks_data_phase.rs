//! What the proxy must survive once a session is open: clients and servers that lie, cut, interrupt or die. Each gets an
//! answer or an end, the record says which, and the proxy serves the next one. `docs/attacks.md` says which test covers
//! which attack; the rest of them lie in `ingest-proxy/tests/it`.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::postgres::DATABASE;
use hansard_tests::wire::{Message, Wire, frame, query, server};
use hansard_tests::{Config, Postgres, eventually};
use tokio::io::AsyncWriteExt;

const PATIENCE: Duration = Duration::from_secs(30);

/// Hansard in front of something that listens.
struct Fixture {
    config: Config,
    hansard: Hansard,
    token: String,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn before(upstream: SocketAddr) -> Fixture {
        Fixture::with(upstream.port(), &Settings { require_auth: Some("none"), ..Settings::default() })
    }

    fn with(port: u16, settings: &Settings) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::within(folder.path(), port, settings).unwrap();
        let hansard = config.start("up").unwrap();
        let token = config.token("attacker").unwrap();
        Fixture { config, hansard, token, _folder: folder }
    }

    async fn session(&self) -> Wire {
        Wire::session(self.hansard.proxy().unwrap(), "app", DATABASE, &self.token).await.unwrap()
    }

    /// Close reasons of all sessions, once none is open; each record is whole.
    fn closed(&self, sessions: usize) -> Vec<String> {
        eventually("all sessions are closed", PATIENCE, || {
            let rows = self
                .config
                .sql("SELECT close_reason, gaps, complete FROM sessions WHERE job = 'attacker' ORDER BY session_id")?;
            anyhow::ensure!(
                rows.len() == sessions && rows.iter().all(|row| row["close_reason"].is_string()),
                "{rows:?}"
            );
            assert!(rows.iter().all(|row| row["gaps"].is_null() && row["complete"] == true), "{rows:?}");
            Ok(rows.iter().map(|row| row["close_reason"].as_str().unwrap().to_owned()).collect())
        })
        .unwrap()
    }

    fn frames(&self, tag: char) -> usize {
        let sql = format!(
            "SELECT count(*) AS n FROM frames WHERE tag = '{tag}' \
             AND session_id IN (SELECT session_id FROM sessions WHERE job = 'attacker')"
        );
        usize::try_from(self.config.sql(&sql).unwrap()[0]["n"].as_i64().unwrap()).unwrap()
    }
}

/// A server that answers each session's first request with `words`, and closes.
async fn saying(words: Vec<u8>) -> SocketAddr {
    server(move |mut stream, _| {
        let words = words.clone();
        async move {
            let _ = stream.write_all(&words).await;
        }
    })
    .await
    .unwrap()
}

/// An answer to `SELECT`: one row of one column.
fn answer() -> Vec<Vec<u8>> {
    let column = [&b"\0\x01name\0"[..], &[0; 6], &25_u32.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
    vec![
        frame(b'T', &column),
        frame(b'D', b"\0\x01\0\0\0\x05value"),
        frame(b'D', b"\0\x01\xff\xff\xff\xff"),
        frame(b'C', b"SELECT 2\0"),
        frame(b'Z', b"I"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datarow_with_a_negative_count_from_a_hostile_server_passes_and_is_recorded() {
    let rows = [&b"\xff\xff"[..], b"\x7f\xff\0\0\0\x01x", b"\0\x01\x80\0\0\0", b"\0\x01\x7f\xff\xff\xff", b""];
    for row in rows {
        let words = [answer()[0].clone(), frame(b'D', row), frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat();
        let fixture = Fixture::before(saying(words.clone()).await);
        let mut wire = fixture.session().await;
        wire.send(&query("SELECT name FROM somewhere")).await.unwrap();
        let heard = wire.rest().await.unwrap();
        assert!(heard.starts_with(&words), "what frames well passes as it is: {}", heard.escape_ascii());
        assert_eq!(fixture.closed(1), ["closed by database"]);
        assert_eq!(fixture.frames('D'), 1);
        let statements = fixture.config.sql("SELECT sql FROM statements WHERE job = 'attacker'").unwrap();
        assert_eq!(statements.len(), 1, "{statements:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_lengths_and_garbage_tags_from_a_hostile_server_end_the_session() {
    let lengths = [0_u32, 3, 0x8000_0000, u32::MAX, u32::MAX - 3, 0x7fff_ffff];
    let tags = (0..=255_u8).filter(|tag| tag.is_ascii_control() || *tag >= 0x80).step_by(40);
    let words = lengths.iter().map(|length| [&b"D"[..], &length.to_be_bytes()].concat());
    for words in words.chain(tags.map(|tag| [&[tag][..], &[0xff; 4]].concat())) {
        let fixture = Fixture::before(saying(words.clone()).await);
        let mut wire = fixture.session().await;
        wire.send(&query("SELECT 1")).await.unwrap();
        let (sqlstate, message) = wire.fatal().await.unwrap();
        assert_eq!((sqlstate.as_str(), message.as_str()), ("08006", "the database closed the connection"), "{words:?}");
        assert_eq!(fixture.closed(1), ["closed by database"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notice_notify_and_parameter_status_pass_between_any_two_messages() {
    let asides = [
        frame(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mwell\0\0"),
        frame(b'A', b"\0\0\0\x07news\0payload\0"),
        frame(b'S', b"application_name\0renamed\0"),
    ];
    let words: Vec<u8> = answer().iter().flat_map(|message| [&asides.concat()[..], message].concat()).collect();
    let fixture = Fixture::before(saying(words.clone()).await);
    let mut wire = fixture.session().await;
    wire.send(&query("SELECT name FROM somewhere")).await.unwrap();
    let heard = wire.rest().await.unwrap();
    assert!(heard.starts_with(&words), "{}", heard.escape_ascii());
    fixture.closed(1);
    for tag in ['N', 'A'] {
        assert_eq!(fixture.frames(tag), answer().len());
    }
    let statements = fixture.config.sql("SELECT rows, sqlstate FROM statements WHERE job = 'attacker'").unwrap();
    assert_eq!((statements.len(), statements[0]["rows"].as_i64()), (1, Some(2)), "{statements:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_cut_at_every_byte_boundary_gives_the_same_outcome() {
    let length = answer().concat().len();
    // The query says where to cut.
    let address = server(|mut stream, (_, body): Message| async move {
        let at: usize = std::str::from_utf8(&body[..body.len() - 1]).unwrap().parse().unwrap();
        let words = answer().concat();
        let _ = stream.write_all(&words[..at]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let _ = stream.write_all(&words[at..]).await;
        let _ = stream.write_all(&frame(b'E', b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0")).await;
    })
    .await
    .unwrap();
    let fixture = Fixture::before(address);
    for at in 0..=length {
        let mut wire = fixture.session().await;
        wire.send(&query(at.to_string())).await.unwrap();
        let heard = wire.rest().await.unwrap();
        assert!(
            heard.starts_with(&answer().concat()) && heard.ends_with(b"Mbye\0\0"),
            "{at}: {}",
            heard.escape_ascii()
        );
    }
    assert!(fixture.closed(length + 1).iter().all(|reason| reason == "closed by database"));
    let odd = fixture
        .config
        .sql("SELECT sql, rows FROM statements WHERE job = 'attacker' AND (rows IS NULL OR rows <> 2)")
        .unwrap();
    assert!(odd.is_empty(), "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_cut_at_every_byte_boundary_gives_the_same_outcome_as_whole() {
    let postgres = Postgres::start().await.unwrap();
    let fixture = Fixture::with(postgres.port(), &Settings::default());
    let mut wire = fixture.session().await;
    wire.query("CREATE TEMP TABLE t (n int)").await.unwrap();
    let call =
        [&1397_u32.to_be_bytes()[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 4], &(-7_i32).to_be_bytes(), &[0, 1]].concat();
    let extended = [
        frame(b'P', b"s\0SELECT $1::text\0\0\0"),
        frame(b'D', b"Ss\0"),
        frame(b'B', b"p\0s\0\0\0\0\x01\0\0\0\x03abc\0\0"),
        frame(b'D', b"Pp\0"),
        frame(b'E', b"p\0\0\0\0\x01"),
        frame(b'H', b""),
        frame(b'C', b"Pp\0"),
        frame(b'C', b"Ss\0"),
        frame(b'S', b""),
    ];
    let groups = [
        query("SELECT 'x'"),
        query("SELECT 1/0"),
        frame(b'F', &call),
        extended.concat(),
        [query("COPY t FROM STDIN"), frame(b'd', b"1\n"), frame(b'c', b"")].concat(),
        [query("COPY t FROM STDIN"), frame(b'd', b"1\n"), frame(b'f', b"no\0")].concat(),
    ];
    for group in groups {
        wire.send(&group).await.unwrap();
        let whole = wire.until(b'Z').await.unwrap();
        for at in 1..group.len() {
            wire.send(&group[..at]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            wire.send(&group[at..]).await.unwrap();
            assert_eq!(wire.until(b'Z').await.unwrap(), whole, "cut at {at}: {}", group.escape_ascii());
        }
    }
    wire.send(&frame(b'X', b"")).await.unwrap();
    assert_eq!(fixture.closed(1), ["terminated by job"]);
    assert_eq!(fixture.frames('F'), 5 + call.len(), "each FunctionCall is recorded, cut or whole");
}

/// A state that a session can be in, by what brings it there and the tag that shows it has arrived.
const STATES: [(&str, &str, u8); 5] = [
    ("idle", "SELECT 1", b'Z'),
    ("in the middle of a query", "SELECT g, pg_sleep(0.01) FROM generate_series(1, 100000) AS g", b'T'),
    ("in a transaction", "BEGIN", b'Z'),
    ("in COPY IN", "COPY t FROM STDIN", b'G'),
    ("in COPY OUT", "COPY (SELECT repeat('x', 100) FROM generate_series(1, 10000000)) TO STDOUT", b'H'),
];

/// A session in that state, and its process at the database.
async fn in_state(fixture: &Fixture, (_, sql, shown): (&str, &str, u8)) -> (Wire, i32) {
    let mut wire = fixture.session().await;
    wire.query("CREATE TEMP TABLE t (n int)").await.unwrap();
    let messages = wire.query("SELECT pg_backend_pid()").await.unwrap();
    let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
    let id = std::str::from_utf8(&row[6..]).unwrap().parse().unwrap();
    wire.send(&query(sql)).await.unwrap();
    assert_eq!(wire.until(shown).await.unwrap().last().unwrap().0, shown);
    (wire, id)
}

/// Waits until the database works for nobody of Hansard's any more.
async fn nobody_is_left(postgres: &Postgres, state: &str) {
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    for _ in 0..600 {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'hansard'";
        if superuser.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the database still works for a job that is gone, {state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_fatal_reaches_the_client_in_every_state() {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    for state in STATES {
        let fixture = Fixture::with(postgres.port(), &Settings::default());
        let (mut wire, id) = in_state(&fixture, state).await;
        superuser.query("SELECT pg_terminate_backend($1)", &[&id]).await.unwrap();
        let (sqlstate, message) = wire.fatal().await.unwrap();
        assert_eq!(sqlstate, "57P01", "{}: {message}", state.0);
        assert_eq!(fixture.closed(1), ["closed by database"], "{}", state.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_is_told_in_every_state() {
    for state in STATES {
        let postgres = Postgres::start().await.unwrap();
        let fixture = Fixture::with(postgres.port(), &Settings::default());
        let (mut wire, id) = in_state(&fixture, state).await;
        // Without a last word.
        hansard_tests::process::signal(u32::try_from(id).unwrap(), "KILL").unwrap();
        match wire.fatal().await {
            Ok((sqlstate, message)) => {
                assert_eq!((sqlstate.as_str(), message.as_str()), ("08006", "the database closed the connection"));
            }
            // In the middle of a message a word more would be taken for a part of it.
            Err(_) => assert!(matches!(state.2, b'T' | b'H'), "{}", state.0),
        }
        assert_eq!(fixture.closed(1), ["closed by database"], "{}", state.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_reset_in_every_state_is_closed_at_the_database() {
    let postgres = Postgres::start().await.unwrap();
    let fixture = Fixture::with(postgres.port(), &Settings::default());
    for state in STATES {
        let (wire, _) = in_state(&fixture, state).await;
        wire.stream.set_zero_linger().unwrap();
        drop(wire);
        nobody_is_left(&postgres, state.0).await;
    }
    let reasons = fixture.closed(STATES.len());
    assert!(reasons.iter().all(|reason| reason == "connection to job lost"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_close_in_every_state_ends_as_it_does_direct() {
    let postgres = Postgres::start().await.unwrap();
    let fixture = Fixture::with(postgres.port(), &Settings::default());
    for (name, sql, shown) in STATES {
        // To its end in both cases: what is asked for before a half close is answered.
        let sql = sql.replace("100000", "20");
        let (mut wire, _) = in_state(&fixture, (name, &sql, shown)).await;
        wire.stream.shutdown().await.unwrap();
        let rest = wire.rest().await.unwrap();
        assert_eq!(rest.is_empty(), shown == b'Z', "{name}: {}", rest.escape_ascii());
        nobody_is_left(&postgres, name).await;
    }
    let reasons = fixture.closed(STATES.len());
    assert!(reasons.iter().all(|reason| reason == "closed by job"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_on_sigterm_refuses_new_sessions_finishes_open_ones_and_completes_the_record() {
    let postgres = Postgres::start().await.unwrap();
    let mut fixture = Fixture::with(postgres.port(), &Settings::default());
    let mut idle = fixture.session().await;
    let mut busy = fixture.session().await;
    busy.send(&query("SELECT pg_sleep(3)")).await.unwrap();
    eventually("the statement is on its way", PATIENCE, || {
        anyhow::ensure!(fixture.frames('Q') == 1, "not in the record");
        Ok(())
    })
    .unwrap();
    let address = fixture.hansard.proxy().unwrap();
    fixture.hansard.signal("TERM").unwrap();
    assert_eq!(idle.fatal().await.unwrap().0, "57P01");
    let refused = Wire::session(address, "app", DATABASE, &fixture.token).await;
    assert!(refused.is_err(), "a new session began");
    let messages = busy.until(b'Z').await.unwrap();
    assert!(messages.iter().any(|(tag, _)| *tag == b'D'), "{messages:?}");
    assert_eq!(busy.fatal().await.unwrap().0, "57P01");
    let status = eventually("the proxy ends", PATIENCE, || fixture.hansard.ended().context("it runs")).unwrap();
    assert!(status.success(), "{}", fixture.hansard.logged());
    let open = fixture.config.sql("SELECT close_reason FROM sessions WHERE job = 'attacker' AND (NOT complete OR close_reason <> 'proxy stopped')").unwrap();
    assert!(open.is_empty(), "{open:?}");
    let finished = fixture
        .config
        .sql("SELECT sqlstate FROM statements WHERE sql LIKE '%pg_sleep%' AND finished_at IS NOT NULL")
        .unwrap();
    assert!(!finished.is_empty(), "the record lacks the last answer");
}
