//! Verbatim: both byte streams of a session, rebuilt from Parquet, are what was on the wire on the job's side. For
//! psql, tokio-postgres, psycopg and pgbench in all three protocol modes, on both event logs.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use hansard_tests::hansard::{Settings, connect};
use hansard_tests::lake::{self, Frame};
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::process::{run_with_input, succeed};
use hansard_tests::tap::{Capture, Tap};
use hansard_tests::{Config, Nats, Postgres};

const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
const GSS_REQUEST: [u8; 4] = 80_877_104_u32.to_be_bytes();

/// Both streams of a session without the frames that hold secrets, and how many of those there were.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Streams {
    frontend: Vec<u8>,
    backend: Vec<u8>,
    secrets: (usize, usize),
}

/// Takes the secret frames out of a capture. A little walker of its own, not Hansard's.
fn without_secrets(capture: &Capture) -> Streams {
    let (mut frontend, mut backend, mut secrets) = (Vec::new(), Vec::new(), (0, 0));
    let (mut rest, mut answers) = (capture.frontend.as_slice(), 0);
    loop {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (packet, more) = rest.split_at(length);
        frontend.extend_from_slice(packet);
        rest = more;
        if packet[4..8] != SSL_REQUEST && packet[4..8] != GSS_REQUEST {
            break;
        }
        answers += 1;
    }
    secrets.0 = tagged(rest, b'p', &mut frontend);
    let (negotiation, rest) = capture.backend.split_at(answers);
    backend.extend_from_slice(negotiation);
    secrets.1 = tagged(rest, b'K', &mut backend);
    Streams { frontend, backend, secrets }
}

/// Copies whole frames but those with the secret's tag; says how many those were.
fn tagged(mut bytes: &[u8], secret: u8, kept: &mut Vec<u8>) -> usize {
    let mut left_out = 0;
    while !bytes.is_empty() {
        let length = 1 + u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let (frame, more) = bytes.split_at(length);
        if frame[0] == secret {
            left_out += 1;
        } else {
            kept.extend_from_slice(frame);
        }
        bytes = more;
    }
    left_out
}

fn recorded<'a>(frames: impl Iterator<Item = (&'a i64, &'a Frame)>) -> Streams {
    let mut streams = Streams { frontend: Vec::new(), backend: Vec::new(), secrets: (0, 0) };
    for (expected, (seq, frame)) in (1..).zip(frames) {
        assert_eq!(*seq, expected, "frames are gapless by seq");
        let stream = if frame.frontend { &mut streams.frontend } else { &mut streams.backend };
        stream.extend_from_slice(&frame.bytes);
        match frame.withheld.as_deref() {
            None => {}
            Some("password") => streams.secrets.0 += 1,
            Some("cancel key") => streams.secrets.1 += 1,
            Some(other) => panic!("{other:?} was withheld"),
        }
        if frame.withheld.is_some() {
            assert!(frame.bytes.is_empty() && !frame.tag.is_empty(), "{frame:?}");
        }
    }
    streams
}

fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("HANSARD_PYTHON") {
        return python.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let python = cache.join("hansard/venv/bin/python");
    assert!(
        python.exists(),
        "there is no Python with psycopg: `cargo xtask test` makes one, or name yours in HANSARD_PYTHON"
    );
    python
}

const PSQL: &str = r#"
SELECT 1 AS one, 'zwei' AS two, NULL AS three; SELECT count(*) FROM things;
\echo a failed statement, and a transaction that is taken back
SELECT 1/0;
BEGIN; INSERT INTO things VALUES (1001, 'gone'); ROLLBACK;
DO $$ BEGIN RAISE NOTICE 'hello %', 'there'; END $$;
\copy things TO '/dev/null'
\copy things (n, name) FROM STDIN WITH (FORMAT csv)
2001,copied in
2002,"also, this"
\.
SELECT n, name FROM things WHERE n > 2000;
LISTEN news; NOTIFY news, 'read all about it';
SELECT E'\\x00ff'::bytea, repeat('long ', 50000);
"#;

const PSYCOPG: &str = r"
import os, psycopg
with psycopg.connect(os.environ['DSN'], password=os.environ['TOKEN']) as db:
    with db.cursor() as cursor:
        cursor.execute('SELECT n, name FROM things WHERE n = %s', (7,))
        assert cursor.fetchone()[0] == 7
        cursor.executemany('INSERT INTO things VALUES (%s, %s)', [(3000 + n, f'many {n}') for n in range(50)])
        with cursor.copy('COPY things (n, name) FROM STDIN') as copy:
            for n in range(200):
                copy.write_row((4000 + n, 'x' * n))
        with cursor.copy('COPY things TO STDOUT') as copy:
            assert sum(1 for _ in copy) >= 250
    with db.pipeline():
        for n in range(20):
            db.execute('UPDATE things SET name = %s WHERE n = %s', (f'pipelined {n}', n), prepare=True)
    try:
        with db.transaction():
            db.execute('INSERT INTO things VALUES (1, NULL)')
            db.execute('SELECT * FROM nowhere')
    except psycopg.errors.UndefinedTable:
        pass
";

async fn tokio_postgres_job(tap: &Tap, token: &str) {
    let mut job = connect(tap.address(), token).await.unwrap();
    let select = job.prepare("SELECT n, name FROM things WHERE n BETWEEN $1 AND $2").await.unwrap();
    // Pipelined: all are on their way before the first answer.
    let all = (0..20).map(|n| {
        let (job, select) = (&job, &select);
        async move { job.query(select, &[&n, &(n + 5)]).await.unwrap().len() }
    });
    assert_eq!(futures::future::join_all(all).await.len(), 20);
    let transaction = job.transaction().await.unwrap();
    let portal = transaction.bind("SELECT * FROM things", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 10).await.unwrap().len(), 10);
    assert_eq!(transaction.query_portal(&portal, 10).await.unwrap().len(), 10);
    transaction.rollback().await.unwrap();
    let mut sink = Box::pin(job.copy_in("COPY things FROM STDIN").await.unwrap());
    for n in 5000..5100 {
        sink.send(std::io::Cursor::new(format!("{n}\tcopied {n}\n").into_bytes())).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), 100);
    let copied = job.copy_out("COPY things TO STDOUT (FORMAT binary)").await.unwrap();
    assert!(copied.collect::<Vec<_>>().await.len() > 100);
    assert!(job.query("SELECT $1::int / 0", &[&1_i32]).await.is_err());
    assert!(job.simple_query("SELECT 1; SELECT 'two'; SELECT nothing").await.is_err());
    let large = "x".repeat(3_000_000);
    let back: String = job.query_one("SELECT $1::text", &[&large]).await.unwrap().get(0);
    assert_eq!(back.len(), large.len());
}

async fn all_clients(settings: &Settings) {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE things (n int, name text); INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 500) AS n; \
             GRANT ALL ON things TO app",
        )
        .await
        .unwrap();
    let config = Config::new(&postgres, settings).unwrap();
    let mut hansard = config.start("up").unwrap();
    let tap = Tap::start(hansard.proxy().unwrap()).await.unwrap();
    let port = tap.address().port().to_string();
    let token = config.token("job").unwrap();

    let client = |program: &str| {
        let mut command = postgres.client_program(program);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "app"]).env("PGPASSWORD", &token);
        command
    };
    let ended = run_with_input(client("psql").args(["-X", DATABASE]), PSQL.as_bytes()).unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("division by zero") && ended.stderr.contains("hello there"), "{ended:?}");
    assert!(ended.stdout.contains("read all about it"), "{ended:?}");

    tokio_postgres_job(&tap, &token).await;

    let dsn = format!("host=127.0.0.1 port={port} user=app dbname={DATABASE}");
    succeed(Command::new(python()).args(["-c", PSYCOPG]).env("DSN", dsn).env("TOKEN", &token)).unwrap();

    let script = config.folder().join("bench.sql");
    std::fs::write(&script, "\\set n random(1, 500)\nBEGIN;\nUPDATE things SET name = 'b' WHERE n = :n;\nSELECT name FROM things WHERE n = :n;\nEND;\n").unwrap();
    for mode in ["simple", "extended", "prepared"] {
        let mut bench = client("pgbench");
        bench.args(["-n", "-c", "3", "-t", "20", "-M", mode, "-f"]).arg(&script).arg(DATABASE);
        succeed(&mut bench).unwrap();
    }
    // What a job says last is not asked for once the proxy is told to stop.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'hansard'";
    while superuser.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());

    let captures = tap.captures();
    // psql, tokio-postgres, psycopg, and three of pgbench in each mode, which looks at the server once more before.
    assert!(captures.len() >= 12, "{} connections", captures.len());
    let mut expected: Vec<Streams> = captures.iter().map(without_secrets).collect();
    let mut sessions = lake::frames(&config.data().join("lake")).unwrap();
    for row in config.sql("SELECT session_id FROM sessions WHERE job = 'hansard'").unwrap() {
        sessions.remove(row["session_id"].as_str().unwrap());
    }
    let mut found: Vec<Streams> = sessions.values().map(|frames| recorded(frames.iter())).collect();
    expected.sort();
    found.sort();
    assert_eq!(found.len(), expected.len(), "a session for each connection");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.secrets, expected.secrets, "secret frames are marked, and only they");
        assert_eq!(found.secrets, (1, 1));
        same(&found.frontend, &expected.frontend, "from the job");
        same(&found.backend, &expected.backend, "to the job");
    }
    // The lake's files are compressed: what they hold is looked at, not their bytes.
    let lake = config.data().join("lake");
    assert!(lake::holds(&lake, b"UPDATE things SET name").unwrap(), "what is there is found");
    for secret in [token.as_str(), PASSWORD] {
        assert!(!lake::holds(&lake, secret.as_bytes()).unwrap(), "a secret is in the lake");
        assert_eq!(holding(&config.data(), secret.as_bytes()), Vec::<PathBuf>::new(), "a secret is in no other file");
        assert!(!hansard.logged().contains(secret));
    }
    let complete = config.sql("SELECT complete, gaps FROM sessions WHERE job <> 'hansard'").unwrap();
    assert_eq!(complete.len(), expected.len());
    assert!(complete.iter().all(|session| session["complete"] == true && session["gaps"].is_null()), "{complete:?}");
}

#[track_caller]
fn same(found: &[u8], expected: &[u8], direction: &str) {
    if found != expected {
        let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
        let around = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(40).min(bytes.len())..(at + 40).min(bytes.len())])
                .into_owned()
        };
        panic!(
            "{direction}: {} bytes are recorded, {} were on the wire; they differ from byte {at} on: {:?} / {:?}",
            found.len(),
            expected.len(),
            around(found),
            around(expected)
        );
    }
}

/// Files below a folder that hold the bytes, as they are.
fn holding(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle) {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_parquet_is_what_was_on_the_wire_embedded() {
    all_clients(&Settings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_parquet_is_what_was_on_the_wire_with_nats() {
    let nats = Nats::start().unwrap();
    let event_log = nats.event_log();
    all_clients(&Settings { event_log, ..Settings::default() }).await;
}
