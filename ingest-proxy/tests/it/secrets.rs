//! Passwords in SQL are not in the record, and the database gets them all the same.

use hansard_ingest_proxy::{CaptureLevel, CaptureOptions};
use hansard_schemas::events::{Direction, FrameRun};

use crate::proxy::{Plan, RunningProxy};
use crate::record::{self, Recorded};

/// Searched for in every decoded byte of the record.
const SECRET: &str = "xq8-secret";
const SEEN: &str = "xq8-seen";

/// Statements with a secret in them; the database refuses them all, or reads back what it got.
const STATEMENTS: [&str; 8] = [
    "ALTER ROLE nobody PASSWORD 'xq8-secret'; SELECT 'xq8-seen'",
    "create user nobody with /* as 'asked' */ encrypted password E'xq8-secret\\x21' login",
    "CREATE ROLE nobody PASSWORD $pw$xq8-secret$pw$",
    "ALTER USER nobody PASSWORD U&'xq8-secret'",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE nobody PASSWORD ''xq8-secret'''; END $$",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 password=xq8-secret' PUBLICATION p",
    "SELECT 'host=h password=xq8-secret'::int",
    // It is wrong, and the server says so with the words themselves.
    "ALTER ROLE nobody PASSWORD \"xq8-secret\"",
];

fn holds(recorded: &Recorded, text: &str) -> bool {
    let streams = [Direction::Frontend, Direction::Backend].map(|direction| recorded.bytes(direction));
    let in_bytes = streams.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    in_bytes || format!("{recorded:?}").contains(text)
}

fn masked(recorded: &Recorded) -> Vec<&FrameRun> {
    recorded.runs().filter(|run| run.masked).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_a_statement_is_overwritten_in_the_record_alone() {
    let proxy = RunningProxy::start().await;
    let job = proxy.client().await;
    let mut sent = 0;
    for statement in STATEMENTS {
        let error = job.simple_query(statement).await.unwrap_err();
        let text = error.as_db_error().unwrap();
        sent += usize::from(text.message().contains(SECRET));
        // And with the extended protocol.
        if !statement.contains(';') {
            job.prepare(statement).await.map(drop).unwrap_or_default();
        }
    }
    assert!(sent >= 2, "the job is told what the server says");
    let got: String = job.query_one("SELECT 'password=xq8-secret' || $1", &[&"!"]).await.unwrap().get(0);
    assert_eq!(got, format!("password={SECRET}!"), "the database got it");
    drop(job);
    let recorded = record::closed(&proxy.log).await;
    let rows = recorded.bytes(Direction::Backend);
    // What a query returns is data, and is recorded.
    let rows = rows.windows(SECRET.len()).filter(|window| *window == SECRET.as_bytes()).count();
    assert_eq!(rows, 1);
    let frontend = recorded.bytes(Direction::Frontend);
    assert!(!frontend.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    let marks = masked(&recorded);
    assert!(marks.len() > STATEMENTS.len(), "{marks:#?}");
    for run in marks {
        assert_eq!((run.withheld.as_str(), run.count), ("password in SQL", 1));
        assert_eq!(hansard_pg_wire::frame::frames(&run.frames).count(), 1, "as long as it was");
    }
    assert!(holds(&recorded, SEEN) && holds(&recorded, "ALTER ROLE nobody PASSWORD '**********'; SELECT"));
    assert!(holds(&recorded, "invalid input syntax for type integer: \"host=h password=**********\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bound_values_and_in_messages_longer_than_any_buffer() {
    let proxy = RunningProxy::start().await;
    let job = proxy.client().await;
    let conninfo = format!("host=h password={SECRET} user={SEEN}");
    let long = "x".repeat(300_000);
    let seen: i32 =
        job.query_one("SELECT length($1::text) + length($2::text)", &[&conninfo, &long]).await.unwrap().get(0);
    assert_eq!(usize::try_from(seen).unwrap(), conninfo.len() + long.len());
    let seen: i32 =
        job.query_one("SELECT length($1::text) + length($2::text)", &[&long, &conninfo]).await.unwrap().get(0);
    assert_eq!(usize::try_from(seen).unwrap(), conninfo.len() + long.len());
    for before in [70_000, 130_000, 262_144] {
        let statement = format!("/*{}*/ ALTER ROLE nobody PASSWORD '{SECRET}' /* {SEEN} */", "y".repeat(before));
        job.simple_query(&statement).await.unwrap_err();
    }
    drop(job);
    let recorded = record::closed(&proxy.log).await;
    assert!(!holds(&recorded, SECRET), "a secret is in the log");
    let frontend = recorded.bytes(Direction::Frontend);
    let seen = frontend.windows(SEEN.len()).filter(|window| *window == SEEN.as_bytes()).count();
    assert_eq!(seen, 5);
    assert!(masked(&recorded).len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_capture_level() {
    for level in CaptureLevel::ALL {
        let mut plan = Plan::new();
        plan.options.targets[0].capture = CaptureOptions { level, max_result_bytes: None };
        let proxy = plan.start().await;
        let job = proxy.client().await;
        for statement in STATEMENTS {
            job.simple_query(statement).await.unwrap_err();
        }
        drop(job);
        let recorded = record::closed(&proxy.log).await;
        assert!(!holds(&recorded, SECRET), "{level:?}");
        assert_eq!(masked(&recorded).is_empty(), level == CaptureLevel::Metadata);
    }
}
