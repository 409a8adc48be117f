//! COPY from the job, where the order of messages alone does not say what the server takes: the same answers as direct,
//! and a record of what the job sent and saw, nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use hansard_schemas::events::Direction;

use crate::cluster::Cluster;
use crate::proxy::{Plan, claims, token};
use crate::raw::{Message, Raw, field, frame, query, startup};
use crate::record;

/// Silence after which nothing more is expected.
const QUIET: Duration = Duration::from_millis(700);

fn parse(sql: &str) -> Vec<u8> {
    frame(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

/// Parse, Bind, Execute.
fn extended(sql: &str) -> Vec<u8> {
    [parse(sql), frame(b'B', &[0; 8]), frame(b'E', &[0; 5])].concat()
}

/// Close, of a statement that does not exist.
fn close() -> Vec<u8> {
    frame(b'C', b"Snone\0")
}

fn data(text: &str) -> Vec<u8> {
    frame(b'd', text.as_bytes())
}

/// The answers to what is sent in pieces, up to a silence.
async fn answers(raw: &mut Raw, bytes: &[u8], piece: usize) -> Vec<Message> {
    for piece in bytes.chunks(piece) {
        // The server may have ended the session already.
        if tokio::io::AsyncWriteExt::write_all(&mut raw.stream, piece).await.is_err() {
            break;
        }
        if piece.len() < bytes.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut messages = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(QUIET, raw.message()).await {
        messages.push(message);
    }
    messages
}

/// A session with the database itself, in the role that the proxy has there.
async fn direct() -> Raw {
    let address = SocketAddr::from(([127, 0, 0, 1], Cluster::get().port));
    let mut raw = Raw::connect(address).await;
    raw.send(&startup(&[("user", "app_trust"), ("database", "ranking")])).await;
    raw.until(b'Z').await;
    raw
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_copy_and_sync_is_answered_as_without_hansard() {
    const COPY: &str = "COPY copied FROM STDIN";
    let (sync, flush, done) = (frame(b'S', b""), frame(b'H', b""), frame(b'c', b""));
    let fail = frame(b'f', b"no\0");
    let update = || extended("UPDATE copied SET a = a + 1");
    let wrong = || extended("SELECT 1 / 0");
    let long = format!("/*{}*/ {COPY}", "x".repeat(70_000));
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (
            "extended, failed at once",
            vec![
                extended(COPY),
                sync.clone(),
                data("bad\n"),
                done.clone(),
                sync.clone(),
                query("UPDATE copied SET a = 2"),
                query("SELECT 1"),
            ],
        ),
        (
            "simple, an early Sync",
            vec![
                query(COPY),
                sync.clone(),
                data("1\n"),
                done.clone(),
                query("SELECT 1 / 0"),
                query("UPDATE copied SET a = 3"),
            ],
        ),
        (
            "pipelines",
            vec![
                extended(COPY),
                data("1\n"),
                done.clone(),
                sync.clone(),
                wrong(),
                sync.clone(),
                update(),
                sync.clone(),
                wrong(),
                sync.clone(),
            ],
        ),
        (
            "extended, failed, then a pipeline",
            vec![extended(COPY), sync.clone(), data("bad\n"), done.clone(), sync.clone(), update(), sync.clone()],
        ),
        (
            "simple, Syncs behind the failure",
            vec![query(COPY), data("bad\n"), sync.clone(), sync.clone(), done.clone(), query("SELECT 4")],
        ),
        (
            "simple, Syncs before the failure",
            vec![query(COPY), data("bad"), sync.clone(), sync.clone(), done.clone(), query("SELECT 4")],
        ),
        (
            "extended, a Sync before the failure",
            vec![
                extended(COPY),
                data("bad"),
                sync.clone(),
                done.clone(),
                update(),
                query("SELECT 1"),
                sync.clone(),
                query("SELECT 4"),
            ],
        ),
        (
            "extended, a Sync on both sides",
            vec![
                extended(COPY),
                data("1\n"),
                sync.clone(),
                data("bad\n"),
                sync.clone(),
                done.clone(),
                update(),
                sync.clone(),
            ],
        ),
        (
            "all ignored",
            vec![
                query(COPY),
                data("1\n"),
                sync.clone(),
                flush.clone(),
                sync.clone(),
                done.clone(),
                query("SELECT count(*) FROM copied"),
            ],
        ),
        ("simple, given up", vec![query(COPY), data("1\n"), sync.clone(), fail.clone(), query("SELECT 5")]),
        ("extended, given up", vec![extended(COPY), data("1\n"), sync.clone(), fail, sync.clone(), query("SELECT 5")]),
        ("an intruder", vec![query(COPY), data("1\n"), query("SELECT 6"), query("SELECT 7")]),
        (
            "an intruder in the extended protocol",
            vec![extended(COPY), data("1\n"), update(), sync.clone(), query("SELECT 7")],
        ),
        (
            "in a transaction",
            vec![
                query("BEGIN"),
                extended(COPY),
                data("bad"),
                sync.clone(),
                done.clone(),
                update(),
                sync.clone(),
                query("ROLLBACK"),
            ],
        ),
        (
            "a Close behind a Sync behind the failure",
            vec![
                extended(COPY),
                data("bad\n"),
                sync.clone(),
                close(),
                update(),
                sync.clone(),
                query("SELECT count(*) FROM copied"),
            ],
        ),
        (
            "a Close behind a Sync before the failure",
            vec![
                extended(COPY),
                data("1\n"),
                sync.clone(),
                data("bad\n"),
                close(),
                update(),
                query("SELECT 1"),
                sync.clone(),
                query("SELECT count(*) FROM copied"),
            ],
        ),
        (
            "a Close that is the failure",
            vec![extended(COPY), data("1\n"), sync.clone(), close(), update(), sync.clone(), query("SELECT 12")],
        ),
        (
            "a malformed Close behind a Sync",
            vec![
                extended(COPY),
                data("bad\n"),
                sync.clone(),
                frame(b'C', b"Xx\0"),
                update(),
                sync.clone(),
                query("SELECT 13"),
            ],
        ),
        (
            "simple, a Close behind Syncs and the failure",
            vec![query(COPY), data("bad\n"), sync.clone(), sync.clone(), close(), update(), sync.clone()],
        ),
        (
            "simple, a Close that is the failure",
            vec![query(COPY), data("1\n"), sync.clone(), close(), update(), sync.clone()],
        ),
        ("from STDOUT", vec![query("COPY copied FROM STDOUT"), data("1\n"), done.clone(), query("SELECT 8")]),
        (
            "two in one query",
            vec![
                query(&format!("{COPY}; {COPY}")),
                data("1\n"),
                done.clone(),
                data("2\n"),
                done.clone(),
                query("SELECT 9"),
            ],
        ),
        (
            "a long text",
            vec![
                query(&long),
                data("1\n"),
                sync.clone(),
                done.clone(),
                extended(&long),
                data("1\n"),
                done.clone(),
                sync.clone(),
            ],
        ),
        (
            "not one after all",
            vec![
                query("SELECT 'copy stdin'"),
                query("SELECT 10"),
                extended("SELECT 'copy stdin'"),
                update(),
                sync.clone(),
            ],
        ),
        (
            "never there",
            vec![
                extended("COPY nowhere FROM STDIN"),
                update(),
                sync.clone(),
                query("COPY nowhere FROM STDIN"),
                query("SELECT 11"),
            ],
        ),
    ];
    let proxy = Plan::new().upstream_user("app_trust").start().await;
    let (address, token) = (proxy.address, token(&claims()));
    let plays = cases.into_iter().flat_map(|(name, messages)| {
        let bytes = messages.concat();
        [usize::MAX, if bytes.len() > 10_000 { 7_001 } else { 11 }].map(|piece| (name, bytes.clone(), piece))
    });
    let plays = plays.map(|(name, bytes, piece)| {
        let token = token.clone();
        tokio::spawn(async move {
            let (mut direct, mut via) = (direct().await, Raw::session(address, &token).await);
            let table = query("CREATE TEMP TABLE copied (a int)");
            for raw in [&mut direct, &mut via] {
                raw.send(&table).await;
                raw.until(b'Z').await;
            }
            let (expected, seen) = tokio::join!(answers(&mut direct, &bytes, piece), answers(&mut via, &bytes, piece));
            let tags = |messages: &[Message]| messages.iter().map(|(tag, _)| char::from(*tag)).collect::<String>();
            assert_eq!(tags(&seen), tags(&expected), "{name}, in pieces of {piece}");
            assert_eq!(seen, expected, "{name}, in pieces of {piece}");
            let has_ended = seen.last().is_some_and(|(tag, body)| *tag == b'E' && field(body, b'S') == "FATAL");
            let mut sent = [&table[..], &bytes, &frame(b'X', b"")].concat();
            if has_ended {
                sent.truncate(table.len());
            } else {
                via.send(&frame(b'X', b"")).await;
            }
            let seen: Vec<u8> = seen.iter().flat_map(|(tag, body)| frame(*tag, body)).collect();
            (name, sent, seen)
        })
    });
    let plays: Vec<_> = plays.collect();
    let mut played = Vec::new();
    for play in plays {
        played.push(tokio::time::timeout(Duration::from_secs(60), play).await.expect("no hang").unwrap());
    }
    let jobs =
        record::until(&proxy.log, |jobs| jobs.len() == played.len() && jobs.iter().all(|job| job.end().is_some()))
            .await;
    let recorded: Vec<_> =
        jobs.iter().map(|job| (job.bytes(Direction::Frontend), job.bytes(Direction::Backend))).collect();
    for (name, sent, seen) in played {
        let found = recorded.iter().any(|(frontend, backend)| contains(frontend, &sent) && backend.ends_with(&seen));
        assert!(found, "{name}: the record is not what the job sent and saw");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_its_side_is_answered_as_without_hansard() {
    const COPY: &str = "COPY copied FROM STDIN";
    let (sync, done) = (frame(b'S', b""), frame(b'c', b""));
    let update = || extended("UPDATE copied SET a = a + 1");
    let cases = [
        ("while data is taken", vec![query(COPY), data("1\n")]),
        ("while data is taken, extended", vec![extended(COPY), data("1\n"), sync.clone()]),
        ("behind the data", vec![query(COPY), data("1\n"), sync.clone(), done.clone()]),
        ("behind the data, extended", vec![extended(COPY), data("1\n"), done.clone(), sync.clone()]),
        ("behind failed data", vec![query(COPY), data("bad\n"), sync.clone(), sync.clone(), done.clone()]),
        ("behind failed data, extended", vec![extended(COPY), data("bad\n"), sync.clone(), done.clone()]),
        ("behind failed data without an end", vec![query(COPY), data("bad\n"), sync.clone()]),
        ("behind failed data without an end, extended", vec![extended(COPY), data("bad\n"), sync.clone()]),
        ("behind a request", vec![extended(COPY), data("bad\n"), sync.clone(), update(), sync.clone()]),
        ("behind a Close", vec![extended(COPY), data("bad\n"), sync.clone(), close(), sync.clone()]),
        (
            "in a message",
            vec![extended(COPY), data("bad\n"), sync.clone(), data(&"1".repeat(70_000))[..60_000].to_vec()],
        ),
    ];
    let proxy = Plan::new().upstream_user("app_trust").start().await;
    for (name, messages) in cases {
        let (mut direct, mut via) = (direct().await, Raw::session(proxy.address, &token(&claims())).await);
        let mut all = Vec::new();
        for raw in [&mut direct, &mut via] {
            raw.send(&query("CREATE TEMP TABLE copied (a int)")).await;
            raw.until(b'Z').await;
            raw.send(&messages.concat()).await;
            tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await.unwrap();
        }
        for raw in [direct, via] {
            all.push(raw.rest().await);
        }
        let tags =
            |bytes: &[u8]| hansard_pg_wire::frame::frames(bytes).map(|frame| char::from(frame.tag)).collect::<String>();
        assert_eq!(tags(&all[1]), tags(&all[0]), "{name}");
        assert_eq!(all[1], all[0], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_session_behind_the_last_answer() {
    let proxy = Plan::new().upstream_user("app_trust").start().await;
    let ssl_request = crate::raw::SSL_REQUEST;
    for (wrong, number) in
        [(&frame(b'p', b"x\0")[..], 112), (&frame(b'K', &[0; 8]), 75), (&ssl_request, 0), (b"\xff", 255)]
    {
        for good in [query("SELECT pg_sleep(0.2)"), extended("SELECT pg_sleep(0.2)"), Vec::new()] {
            let (mut direct, mut via) = (direct().await, Raw::session(proxy.address, &token(&claims())).await);
            let bytes = [&good[..], wrong].concat();
            let mut ends = Vec::new();
            for raw in [&mut direct, &mut via] {
                raw.send(&bytes).await;
                let messages = raw.until(b'E').await;
                let (last, before) = messages.split_last().expect("an error");
                ends.push((before.to_vec(), field(&last.1, b'S'), field(&last.1, b'C'), field(&last.1, b'M')));
                assert!(raw.message().await.is_none(), "something follows");
            }
            assert_eq!(ends[1], ends[0]);
            assert_eq!(ends[1].3, format!("invalid frontend message type {number}"));
        }
    }
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 12 && jobs.iter().all(|job| job.end().is_some())).await;
    for job in jobs {
        assert_eq!(job.end(), Some("protocol violation"));
        let last = job.runs().last().unwrap();
        assert_eq!(
            last.origin(),
            hansard_schemas::events::Origin::Hansard,
            "Hansard's words are taken for the database's"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_length_behind_a_change_does_not_hide_that_it_was_made() {
    let proxy = Plan::new().upstream_user("app_trust").start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    raw.send(&query("CREATE TEMP TABLE kept (a int)")).await;
    raw.until(b'Z').await;
    raw.send(&[&query("INSERT INTO kept SELECT 1 FROM pg_sleep(0.5)")[..], b"Q\0\0\0\0"].concat()).await;
    let messages = raw.until(b'E').await;
    let tags: Vec<_> = messages.iter().map(|(tag, _)| char::from(*tag)).collect();
    assert_eq!(tags, ['C', 'Z', 'E'], "the change's own answer comes first");
    assert_eq!(field(&messages[2].1, b'C'), "08P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_while_its_messages_wait_is_noticed() {
    let proxy = Plan::new().upstream_user("app_trust").start().await;
    for dies in [true, false] {
        let mut raw = Raw::session(proxy.address, &token(&claims())).await;
        // The second waits for the answer to the first, which takes its time.
        let waits = if dies { 30 } else { 1 };
        raw.send(&[query(&format!("SELECT 'copy stdin', pg_sleep({waits})")), query("SELECT 2")].concat()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if dies {
            raw.stream.set_zero_linger().unwrap();
            drop(raw);
        } else {
            // Half close: both are answered.
            tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await.unwrap();
            let answered = raw.until(b'Z').await.len() + raw.until(b'Z').await.len();
            assert_eq!(answered, 8);
            assert!(raw.message().await.is_none());
        }
    }
    let began = std::time::Instant::now();
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 2 && jobs.iter().all(|job| job.end().is_some())).await;
    assert!(began.elapsed() < Duration::from_secs(20), "noticed after {:?}", began.elapsed());
    let ends: Vec<_> = jobs.iter().map(|job| job.end()).collect();
    assert_eq!(ends, [Some("connection to job lost"), Some("closed by job")]);
    let second = query("SELECT 2");
    let recorded: Vec<_> = jobs.iter().map(|job| contains(&job.bytes(Direction::Frontend), &second)).collect();
    assert_eq!(recorded, [false, true], "what has not left is not recorded");
}
