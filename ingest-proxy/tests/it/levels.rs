//! Capture levels and limits: what is in the log and what is not, while jobs get every byte.

use std::path::Path;

use futures::{SinkExt, StreamExt};
use hansard_ingest_proxy::{CaptureLevel, CaptureOptions, CaptureRule};
use hansard_schemas::events::{Direction, FrameRun, Part, event::Kind};

use crate::proxy::{Plan, RunningProxy, claims, connect, token};
use crate::record::{self, Recorded};

/// Bytes that are searched for: they come from the job, from the database, and in errors.
const MARKER: &str = "xq7-marker";

fn options(level: CaptureLevel, max_result_bytes: Option<u64>) -> CaptureOptions {
    CaptureOptions { level, max_result_bytes }
}

/// A proxy that records all of its sessions like that.
async fn proxy(capture: CaptureOptions) -> RunningProxy {
    let mut plan = Plan::new();
    plan.options.targets[0].capture = capture;
    plan.start().await
}

/// The session's record, once it is closed; and whether the log's files hold the marker.
async fn stopped(proxy: RunningProxy) -> (Recorded, bool) {
    let recorded = record::closed(&proxy.log).await;
    let (_log, folder) = proxy.stop().await;
    (recorded, holds(&folder.path().join("log"), MARKER.as_bytes()))
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
    })
}

fn capture_of(recorded: &Recorded) -> (String, u64) {
    let opened = recorded.opened();
    (opened.capture.clone(), opened.max_result_bytes)
}

fn marks<'a>(recorded: &'a Recorded, withheld: &'a str) -> impl Iterator<Item = &'a FrameRun> {
    recorded.runs().filter(move |run| run.withheld == withheld)
}

/// Frames and bytes that marks of this kind stand for.
fn left_out(recorded: &Recorded, withheld: &str) -> (u64, u64) {
    marks(recorded, withheld)
        .map(|run| run.omitted.unwrap())
        .fold((0, 0), |(frames, bytes), omitted| (frames + omitted.frames, bytes + omitted.bytes))
}

/// A job whose results, errors and messages carry the marker; `sends_it` says whether its own words do.
async fn marked_job(proxy: &RunningProxy, sends_it: bool) {
    let job = proxy.client().await;
    let split = format!("'{}' || '{}'", &MARKER[..5], &MARKER[5..]);
    job.batch_execute("CREATE TEMP TABLE seen (n int UNIQUE, word text)").await.unwrap();
    job.batch_execute(&format!("INSERT INTO seen SELECT n, {split} FROM generate_series(1, 300) n")).await.unwrap();
    assert_eq!(job.simple_query("SELECT word FROM seen; SELECT word FROM seen WHERE n < 3").await.unwrap().len(), 306);
    let select = job.prepare("SELECT n, word FROM seen WHERE n <= $1").await.unwrap();
    assert_eq!(job.query(&select, &[&200]).await.unwrap().len(), 200);
    let copied = Box::pin(job.copy_out("COPY seen TO STDOUT").await.unwrap());
    assert_eq!(copied.map(|chunk| chunk.unwrap().len()).collect::<Vec<_>>().await.len(), 300);
    job.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT word FROM seen").await.unwrap();
    assert_eq!(job.simple_query("FETCH 50 FROM c").await.unwrap().len(), 52);
    job.batch_execute("CLOSE c; COMMIT").await.unwrap();
    if !sends_it {
        return;
    }
    assert_eq!(job.query("SELECT n FROM seen WHERE word = $1", &[&MARKER]).await.unwrap().len(), 300);
    let mut sink = Box::pin(job.copy_in("COPY seen FROM STDIN").await.unwrap());
    sink.send(std::io::Cursor::new(format!("1000\t{MARKER}\n").into_bytes())).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
    for sql in [
        &format!("SELECT '{MARKER}'::int")[..],
        &format!("DO $$ BEGIN RAISE EXCEPTION '{MARKER}' USING ERRCODE = '22012', DETAIL = '{MARKER}'; END $$"),
        &format!("SELECT 1 AS \"{MARKER}\", * FROM nowhere"),
    ] {
        let error = job.simple_query(sql).await.unwrap_err();
        assert!(error.code().is_some());
    }
    job.batch_execute(&format!("DO $$ BEGIN RAISE NOTICE '{MARKER}'; END $$")).await.unwrap();
    job.batch_execute(&format!("SELECT 1 AS \"{MARKER}\"; SET application_name = '{MARKER}'")).await.unwrap();
    job.batch_execute(&format!("LISTEN news; NOTIFY news, '{MARKER}'")).await.unwrap();
    // Longer than any buffer: both come in parts.
    let long = MARKER.repeat(20_000);
    let back: String = job.query_one("SELECT $1::text", &[&long]).await.unwrap().get(0);
    assert_eq!(back, long);
    let error = job.simple_query(&format!("SELECT '{long}'::int")).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22P02");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_recorded_without_the_rows_of_their_results() {
    let proxy = proxy(options(CaptureLevel::Statements, None)).await;
    marked_job(&proxy, false).await;
    let (recorded, found) = stopped(proxy).await;
    assert!(!found, "a row is in the log");
    assert_eq!(capture_of(&recorded), ("statements".to_owned(), 0));
    // 302 rows of the simple queries, 200 of the prepared one, 300 lines, 50 fetched.
    assert_eq!(left_out(&recorded, "result rows").0, 852);
    assert!(marks(&recorded, "result rows").all(|run| run.frames.is_empty() && run.count == 1 && run.tag.is_some()));
    let frontend = recorded.bytes(Direction::Frontend);
    assert!(frontend.windows(11).any(|window| window == b"FROM seen W"), "statements are there");
    let backend = recorded.bytes(Direction::Backend);
    assert!(backend.windows(11).any(|window| window == b"SELECT 300\0"), "so are their answers");
    let Some(Kind::SessionClosed(closed)) = recorded.kinds().last() else { panic!("not closed") };
    assert_eq!(closed.bytes_backend, backend.len() as u64 + left_out(&recorded, "result rows").1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_job_writes_is_a_part_of_its_statements() {
    let proxy = proxy(options(CaptureLevel::Statements, None)).await;
    marked_job(&proxy, true).await;
    let (recorded, found) = stopped(proxy).await;
    assert!(found);
    let frontend = recorded.bytes(Direction::Frontend);
    assert!(frontend.windows(15).any(|window| window == b"1000\txq7-marker"), "COPY data from the job");
    assert!(recorded.bytes(Direction::Backend).windows(6).any(|window| window == b"C22012"), "errors are whole");
    let long: Vec<Part> =
        marks(&recorded, "result rows").map(FrameRun::part).filter(|part| *part != Part::Whole).collect();
    assert_eq!((long.first(), long.last()), (Some(&Part::First), Some(&Part::Last)));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_holds_no_text_no_value_and_no_row() {
    let proxy = proxy(options(CaptureLevel::Metadata, None)).await;
    marked_job(&proxy, true).await;
    let (recorded, found) = stopped(proxy).await;
    assert!(!found, "content is in the log");
    assert_eq!(capture_of(&recorded).0, "metadata");
    let kept = [recorded.bytes(Direction::Frontend), recorded.bytes(Direction::Backend)].concat();
    for absent in ["seen", "nowhere", "news", "generate_series"] {
        assert!(!kept.windows(absent.len()).any(|window| window == absent.as_bytes()), "{absent}");
    }
    for present in ["COPY 300\0", "FETCH 50\0", "INSERT 0 300\0", "C22P02\0", "C22012\0", "C42P01\0"] {
        assert!(kept.windows(present.len()).any(|window| window == present.as_bytes()), "{present:?}");
    }
    assert_eq!(left_out(&recorded, "error text").0, 4);
    assert_eq!(left_out(&recorded, "copied data").0, 1);
    // Those above, one for each: 300 by parameter, `SELECT 1`, and the long one.
    assert_eq!(left_out(&recorded, "result rows").0, 852 + 302);
    assert!(left_out(&recorded, "parameters").1 > 200_000);
    let Some(Kind::SessionClosed(closed)) = recorded.kinds().last() else { panic!("not closed") };
    assert!(closed.bytes_frontend > 400_000 && closed.bytes_backend > 400_000, "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_costs_next_to_nothing() {
    let proxy = proxy(options(CaptureLevel::Statements, None)).await;
    let job = proxy.client().await;
    let rows = job.simple_query("SELECT repeat('x', 90) FROM generate_series(1, 200000)").await.unwrap();
    assert_eq!(rows.len(), 200_002);
    drop(job);
    let (recorded, _) = stopped(proxy).await;
    let (rows, bytes) = left_out(&recorded, "result rows");
    assert_eq!((rows, bytes), (200_000, 200_000 * 101));
    // At most one for each read.
    let marks = marks(&recorded, "result rows").count();
    assert!(marks < 10_000, "{marks} marks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_cut_at_the_limit_and_the_next_one_is_not() {
    let proxy = proxy(options(CaptureLevel::Full, Some(10_000))).await;
    let job = proxy.client().await;
    // 41 bytes a row: 243 fit.
    let sql = "SELECT repeat('x', 30) FROM generate_series(1, 1000)";
    assert_eq!(job.simple_query(sql).await.unwrap().len(), 1002);
    assert_eq!(job.query(sql, &[]).await.unwrap().len(), 1000);
    let copied =
        Box::pin(job.copy_out("COPY (SELECT repeat('x', 30) FROM generate_series(1, 1000)) TO STDOUT").await.unwrap());
    assert_eq!(copied.count().await, 1000);
    let long = MARKER.repeat(100_000);
    let back: String = job.query_one(&format!("SELECT repeat('{MARKER}', 100000)"), &[]).await.unwrap().get(0);
    assert_eq!(back, long);
    assert_eq!(job.simple_query("SELECT 'short-result'").await.unwrap().len(), 3);
    drop(job);
    let (recorded, _) = stopped(proxy).await;
    assert_eq!(capture_of(&recorded), ("full".to_owned(), 10_000));
    let backend = recorded.bytes(Direction::Backend);
    // Lines of COPY are 5 + 31 bytes long: 277 fit.
    let (rows, bytes) = left_out(&recorded, "result over limit");
    assert_eq!(rows, 2 * (1000 - 243) + (1000 - 277) + 1);
    assert_eq!(bytes, 2 * (1000 - 243) * 41 + (1000 - 277) * 36 + 11 + long.len() as u64);
    let kept = |needle: &[u8]| backend.windows(needle.len()).filter(|window| *window == needle).count();
    assert_eq!(kept(&[&b"D\0\0\0\x28\0\x01\0\0\0\x1e"[..], &[b'x'; 30]].concat()), 2 * 243);
    assert_eq!(kept(&[&b"d\0\0\0\x23"[..], &[b'x'; 30], b"\n"].concat()), 277);
    assert_eq!(kept(b"short-result"), 1, "the next result begins anew");
    assert_eq!(kept(MARKER.as_bytes()), 0, "a row is recorded whole or not at all");
    assert!(marks(&recorded, "result over limit").any(|run| run.part() == Part::First));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_longer_than_any_buffer_is_recorded_whole_or_not_at_all() {
    let proxy = proxy(options(CaptureLevel::Full, Some(1 << 20))).await;
    let job = proxy.client().await;
    // Of 300,000 bytes each: three are within the limit.
    let rows = job.query("SELECT repeat('v', 300000) FROM generate_series(1, 5)", &[]).await.unwrap();
    assert_eq!(rows.len(), 5);
    drop(job);
    let (recorded, _) = stopped(proxy).await;
    assert_eq!(left_out(&recorded, "result over limit"), (2, 2 * 300_011));
    let parts: Vec<&FrameRun> =
        recorded.runs().filter(|run| run.part() != Part::Whole && run.withheld.is_empty()).collect();
    let bytes: Vec<u8> = parts.iter().flat_map(|run| run.frames.to_vec()).collect();
    assert_eq!(bytes.len(), 3 * 300_011);
    assert_eq!(parts.iter().filter(|run| run.part() == Part::First).count(), 3);
    assert_eq!(hansard_pg_wire::frame::frames(&bytes).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_goes_by_who_a_job_is_and_not_by_the_role_that_it_asks_for() {
    let mut plan = Plan::new();
    plan.options.targets[0].upstream.database = None;
    let rule = |job: &str, groups: &[&str], capture| CaptureRule {
        issuer: Some("ci".to_owned()),
        job: Some(job.to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        capture,
        ..CaptureRule::default()
    };
    plan.options.targets[0].capture_rules = vec![
        rule("etl_*", &[], options(CaptureLevel::Metadata, None)),
        rule("*", &["jobs", "secretive"], options(CaptureLevel::Statements, None)),
        rule("nightly", &[], options(CaptureLevel::Full, Some(1 << 20))),
    ];
    let proxy = plan.start().await;
    for (job, groups, role) in [
        ("etl_night", &["jobs"][..], "nightly"),
        ("other", &["secretive", "jobs"], "nightly"),
        ("nightly", &["jobs"], "etl_night"),
        // Neither its role nor what else it asks for makes a job another one.
        ("other", &["jobs"], "etl_night"),
    ] {
        let mut claims = claims();
        (claims["job"], claims["groups"]) = (job.into(), groups.into());
        let dsn = proxy.dsn(&token(&claims)).replace("user=nightly", &format!("user={role}"));
        let client = connect(&format!("{dsn} application_name=etl_night")).await.unwrap();
        client.simple_query("SELECT 1").await.unwrap();
    }
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 4 && jobs.iter().all(|job| job.end().is_some())).await;
    let captures: Vec<_> = jobs.iter().map(capture_of).collect();
    let expected = [("metadata", 0), ("statements", 0), ("full", 1 << 20), ("full", 0)];
    assert_eq!(captures, expected.map(|(level, limit)| (level.to_owned(), limit)));
    let holds = |job: &Recorded| job.bytes(Direction::Frontend).windows(8).any(|window| window == b"SELECT 1");
    assert_eq!(jobs.iter().map(holds).collect::<Vec<_>>(), [false, true, true, true]);
}
