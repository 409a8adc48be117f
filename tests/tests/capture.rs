//! Capture levels from the job to the lake: what is there, and that what should not be is in no file.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use hansard_tests::hansard::Settings;
use hansard_tests::postgres::DATABASE;
use hansard_tests::{Config, Hansard, Postgres, eventually, lake};
use serde_json::Value;

/// In the first row of each result, in a row behind many others, in an error's text, and in what the job sends.
const ROW: &str = "mark-row-71";
const LATE: &str = "mark-late-72";
const ERROR: &str = "mark-error-73";
const SENT: &str = "mark-sent-74";

/// A password.
const SECRET: &str = "mark-secret-75";

/// What a session left behind.
struct Found {
    config: Config,
    statements: Vec<Value>,
    session: Value,
    replay: String,
}

/// What a job may do that results, values and errors come of.
async fn job(hansard: &Hansard, token: &str) {
    let mut job = hansard.connect(token).await.unwrap();
    // Simple, several in one text.
    assert_eq!(job.simple_query("SELECT word FROM words ORDER BY n; SELECT 7").await.unwrap().len(), 1005);
    // Extended, with a parameter.
    let found = job.query("SELECT n FROM words WHERE word <> $1 ORDER BY n", &[&SENT]).await.unwrap();
    assert_eq!(found.len(), 1000);
    // A portal in portions, and a cursor.
    let transaction = job.transaction().await.unwrap();
    let portal = transaction.bind("SELECT word FROM words ORDER BY n", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 400).await.unwrap().len(), 400);
    assert_eq!(transaction.query_portal(&portal, 700).await.unwrap().len(), 600);
    transaction.batch_execute("DECLARE c CURSOR FOR SELECT word FROM words ORDER BY n").await.unwrap();
    assert_eq!(transaction.simple_query("FETCH 600 FROM c").await.unwrap().len(), 602);
    transaction.rollback().await.unwrap();
    // Both ways of COPY.
    let lines = Box::pin(job.copy_out("COPY (SELECT word FROM words ORDER BY n) TO STDOUT").await.unwrap());
    assert_eq!(lines.count().await, 1000);
    let mut sink = Box::pin(job.copy_in("COPY copies FROM STDIN").await.unwrap());
    sink.send(std::io::Cursor::new(format!("{SENT}\nmore\n").into_bytes())).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 2);
    // An error that tells a value.
    let error = job.simple_query("SELECT word::int FROM errors").await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains(ERROR));
    // One row longer than any buffer.
    let long: String = job.query_one("SELECT repeat(word, 30000) FROM words WHERE n = 900", &[]).await.unwrap().get(0);
    assert!(long.len() > 300_000);
}

async fn recorded(postgres: &Postgres, settings: &Settings) -> Found {
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    superuser.batch_execute("TRUNCATE copies").await.unwrap();
    let config = Config::new(postgres, settings).unwrap();
    let mut hansard = config.start("up").unwrap();
    job(&hansard, &config.token("job").unwrap()).await;
    // While it may still be in the log alone, and then from files.
    let session = eventually("the session is closed", Duration::from_secs(20), || {
        let mut sessions = config.sql("SELECT * FROM sessions WHERE complete AND job = 'job'")?;
        sessions.pop().ok_or_else(|| anyhow::anyhow!("it is open"))
    })
    .unwrap();
    let columns = "SELECT statement_no, operation, sql, parameters, rows, sqlstate, error, transaction_outcome, truncated, \
                   omitted_rows, omitted_bytes, first_seq, last_seq FROM statements WHERE job = 'job' ORDER BY statement_no";
    let hot = config.sql(columns).unwrap();
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    let statements = config.sql(columns).unwrap();
    assert_eq!(hot, statements);
    for marker in [ROW, LATE, ERROR, SENT] {
        assert!(!hansard.logged().contains(marker));
    }
    let frames = lake::frames(&config.data().join("lake")).unwrap();
    let frames = &frames[session["session_id"].as_str().unwrap()];
    assert!((1..).zip(frames.keys()).all(|(expected, seq)| expected == *seq), "frames are gapless by seq");
    assert_eq!(session["frames"], frames.len());
    let replay = config.ask("replay", &[session["session_id"].as_str().unwrap()]).unwrap();
    Found { config, statements, session, replay }
}

impl Found {
    /// Whether a marker is in the log's files, and in the lake.
    fn holds(&self, marker: &str) -> (bool, bool) {
        let data = self.config.data();
        let lake = lake::holds(&data.join("lake"), marker.as_bytes()).unwrap();
        let elsewhere = holding(&data, marker.as_bytes());
        // Neither is it in the catalog, nor in what sessions leave there.
        assert!(lake || !elsewhere, "{marker} is in a file beside the lake");
        (holding(&data.join("log"), marker.as_bytes()), lake)
    }

    /// Values of one column, of all statements in their order.
    fn column(&self, name: &str) -> Vec<Value> {
        self.statements.iter().map(|row| row[name].clone()).collect()
    }

    fn frames(&self, sql: &str) -> Vec<Value> {
        self.config.sql(sql).unwrap()
    }
}

fn holding(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holding(&path, needle);
        }
        std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
    })
}

async fn postgres() -> Postgres {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    superuser
        .batch_execute(&format!(
            "CREATE TABLE words (n int, word text); \
             INSERT INTO words SELECT n, CASE n WHEN 1 THEN '{ROW}' WHEN 900 THEN '{LATE}' ELSE 'word ' || n END \
             FROM generate_series(1, 1000) n; \
             CREATE TABLE copies (word text); CREATE TABLE errors AS SELECT '{ERROR}' AS word; \
             GRANT ALL ON words, copies, errors TO app"
        ))
        .await
        .unwrap();
    postgres
}

const OPERATIONS: [&str; 12] = [
    "select",
    "select",
    "select",
    "transaction",
    "select",
    "declare",
    "fetch",
    "transaction",
    "copy_out",
    "copy_in",
    "select",
    "select",
];

/// What each statement's answer says, whatever the level: rows, SQLSTATE, and whether it came to nothing.
fn answers(found: &Found) -> Vec<(Option<u64>, Option<&str>, &str)> {
    found
        .statements
        .iter()
        .map(|row| (row["rows"].as_u64(), row["sqlstate"].as_str(), row["transaction_outcome"].as_str().unwrap()))
        .collect()
}

fn expected_answers() -> Vec<(Option<u64>, Option<&'static str>, &'static str)> {
    vec![
        (Some(1000), None, "committed"),
        (Some(1), None, "committed"),
        (Some(1000), None, "committed"),
        (None, None, "rolled back"),
        (Some(1000), None, "rolled back"),
        (None, None, "rolled back"),
        (Some(600), None, "rolled back"),
        (None, None, "rolled back"),
        (Some(1000), None, "committed"),
        (Some(2), None, "committed"),
        (None, Some("22P02"), "rolled back"),
        (Some(1), None, "committed"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_holds_what_it_says_and_nothing_else() {
    let postgres = postgres().await;
    full(&recorded(&postgres, &Settings::default()).await);
    let recording = "capture = \"statements\"".to_owned();
    statements(&recorded(&postgres, &Settings { recording, ..Settings::default() }).await);
    let more = "[[targets.capture_rules]]\njob = \"jo*\"\ncapture = \"metadata\"".to_owned();
    metadata(&recorded(&postgres, &Settings { more, ..Settings::default() }).await);
    let recording = "max_result_bytes = \"4KiB\"".to_owned();
    limited(&recorded(&postgres, &Settings { recording, ..Settings::default() }).await);
}

fn full(found: &Found) {
    for marker in [ROW, LATE, ERROR, SENT] {
        assert_eq!(found.holds(marker), (true, true), "{marker}");
    }
    assert_eq!((found.session["capture"].as_str(), found.session["max_result_bytes"].as_u64()), (Some("full"), None));
    assert_eq!(found.column("operation"), OPERATIONS);
    assert_eq!(answers(found), expected_answers());
    assert!(found.column("omitted_rows").iter().all(Value::is_null));
    assert!(!found.replay.contains("not recorded"), "{}", found.replay);
}

fn statements(found: &Found) {
    assert_eq!(found.session["capture"], "statements");
    assert_eq!((found.holds(ROW), found.holds(LATE)), ((false, false), (false, false)));
    assert_eq!((found.holds(SENT), found.holds(ERROR)), ((true, true), (true, true)));
    assert_eq!(found.column("operation"), OPERATIONS);
    assert_eq!(answers(found), expected_answers());
    assert!(found.statements[2]["parameters"].as_str().unwrap().contains(SENT));
    let omitted: Vec<Option<u64>> = found.column("omitted_rows").iter().map(Value::as_u64).collect();
    let all =
        [Some(1000), Some(1), Some(1000), None, Some(1000), None, Some(600), None, Some(1000), None, None, Some(1)];
    assert_eq!(omitted, all);
    assert!(found.statements[11]["omitted_bytes"].as_u64().unwrap() > 300_000);
    let touched = found.frames("SELECT DISTINCT relation FROM touches WHERE job = 'job' ORDER BY relation");
    assert_eq!(
        touched.iter().map(|row| row["relation"].as_str().unwrap()).collect::<Vec<_>>(),
        ["public.copies", "public.errors", "public.words"]
    );
    // A run of rows is one row of the table.
    let marks = found.frames("SELECT tag, sum(omitted_frames) AS frames, count(*) AS marks, bool_and(encode(frame, 'hex') = '' AND masked) AS empty FROM frames WHERE session_id IN (SELECT session_id FROM sessions WHERE job = 'job') AND withheld = 'result rows' GROUP BY tag ORDER BY tag");
    assert_eq!(
        (marks[0]["tag"].as_str(), marks[0]["frames"].as_u64()),
        (Some("D"), Some(1000 + 1 + 1000 + 1000 + 600 + 1))
    );
    assert_eq!((marks[1]["tag"].as_str(), marks[1]["frames"].as_u64()), (Some("d"), Some(1000)));
    assert!(marks.iter().all(|row| row["empty"] == true && row["marks"].as_u64().unwrap() < 100), "{marks:?}");
    for said in [
        "capture level statements",
        "rows not recorded (capture level statements): 1,000 rows, ",
        "SELECT word::int FROM errors",
    ] {
        assert!(found.replay.contains(said), "{} lacks {said}", found.replay);
    }
}

fn metadata(found: &Found) {
    assert_eq!(found.session["capture"], "metadata");
    for marker in [ROW, LATE, ERROR, SENT, "SELECT word", "FROM words", "COPY copies", "DECLARE c"] {
        assert_eq!(found.holds(marker), (false, false), "{marker}");
    }
    // Without its text, DECLARE and the like are told by their command tags; only what failed has none.
    let operations: Vec<&str> = found.statements.iter().map(|row| row["operation"].as_str().unwrap()).collect();
    let mut expected = OPERATIONS.to_vec();
    expected[10] = "opaque";
    assert_eq!(operations, expected);
    // A statement that failed may have been a procedure that committed before: without its text nobody knows.
    let mut expected = expected_answers();
    expected[10].2 = "unknown";
    assert_eq!(answers(found), expected);
    for absent in ["parameters", "error"] {
        assert!(found.column(absent).iter().all(Value::is_null), "{absent}");
    }
    assert!(found.statements.iter().all(|row| row["sql"] == "" && row["truncated"] == false));
    let touched = found.frames("SELECT DISTINCT relation, certainty FROM touches WHERE job = 'job'");
    assert_eq!(touched, [serde_json::json!({"relation": "?", "certainty": "possible"})]);
    let withheld = found.frames("SELECT DISTINCT withheld FROM frames WHERE session_id IN (SELECT session_id FROM sessions WHERE job = 'job') AND withheld IS NOT NULL ORDER BY withheld");
    let words: Vec<&str> = withheld.iter().map(|row| row["withheld"].as_str().unwrap()).collect();
    assert_eq!(
        words,
        [
            "cancel key",
            "content",
            "copied data",
            "error text",
            "parameters",
            "password",
            "result rows",
            "statement text"
        ]
    );
    for said in [
        "capture level metadata",
        "(text not recorded",
        "rows not recorded (capture level metadata): 1,000 rows",
        "error 22P02",
    ] {
        assert!(found.replay.contains(said), "{} lacks {said}", found.replay);
    }
}

fn limited(found: &Found) {
    assert_eq!(
        (found.session["capture"].as_str(), found.session["max_result_bytes"].as_u64()),
        (Some("full"), Some(4096))
    );
    // The first rows are there, those beyond the limit are not: neither the 900th nor the one that is too long by itself.
    assert_eq!((found.holds(ROW), found.holds(LATE)), ((true, true), (false, false)));
    assert_eq!((found.holds(SENT), found.holds(ERROR)), ((true, true), (true, true)));
    assert_eq!(found.column("operation"), OPERATIONS);
    assert_eq!(answers(found), expected_answers());
    let omitted: Vec<bool> = found.column("omitted_rows").iter().map(|rows| !rows.is_null()).collect();
    assert_eq!(omitted, [true, false, true, false, true, false, true, false, true, false, false, true]);
    // What is left of each result is whole rows within the limit, and with what is marked it is all of them.
    for statement in [0, 2, 4, 6, 8] {
        let row = &found.statements[statement];
        let (first, last) = (&row["first_seq"], &row["last_seq"]);
        let of_rows = format!("tag IN ('D', 'd') AND direction = 'backend' AND seq BETWEEN {first} AND {last}");
        let kept = found.frames(&format!("SELECT count(*) AS rows, sum(length(encode(frame, 'hex')) / 2) AS bytes FROM frames WHERE session_id IN (SELECT session_id FROM sessions WHERE job = 'job') AND withheld IS NULL AND {of_rows}"));
        let marked = found.frames(&format!(
            "SELECT sum(omitted_frames) AS rows FROM frames WHERE session_id IN (SELECT session_id FROM sessions WHERE job = 'job') AND withheld = 'result over limit' AND {of_rows}"
        ));
        let bytes = kept[0]["bytes"].as_u64().unwrap();
        assert!((4000..=4096).contains(&bytes), "{statement}: {bytes}");
        let rows = kept[0]["rows"].as_u64().unwrap() + marked[0]["rows"].as_u64().unwrap();
        assert_eq!(rows, row["rows"].as_u64().unwrap(), "{statement}");
        assert_eq!(row["omitted_rows"], marked[0]["rows"]);
    }
    assert!(found.replay.contains("result cut in the record at the limit: "), "{}", found.replay);
}

/// What a job does with passwords: what succeeds, what fails, and what the database repeats of it.
async fn job_with_passwords(hansard: &Hansard, token: &str) {
    let job = hansard.connect(token).await.unwrap();
    job.batch_execute(&format!("INSERT INTO copies VALUES ('{SENT} host=h password={SECRET} user=u')")).await.unwrap();
    job.execute("INSERT INTO copies VALUES ($1)", &[&format!("host=h password={SECRET} user={SENT}")]).await.unwrap();
    let mut repeated = 0;
    for statement in [
        "ALTER ROLE nobody PASSWORD 'mark-secret-75'",
        "ALTER ROLE nobody PASSWORD \"mark-secret-75\"",
        "DO $$ BEGIN EXECUTE 'ALTER ROLE nobody PASSWORD ''mark-secret-75'''; END $$",
        "SELECT 'password=mark-secret-75'::int",
        "CREATE SUBSCRIPTION s CONNECTION 'postgres://u:mark-secret-75@127.0.0.1:1/d' PUBLICATION p",
    ] {
        let error = job.simple_query(statement).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        repeated += usize::from(format!("{error:?}").contains(SECRET));
    }
    assert!(repeated >= 3, "the job is told {repeated} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_sql_is_in_no_row_of_the_lake() {
    let postgres = postgres().await;
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    job_with_passwords(&hansard, &config.token("job").unwrap()).await;
    let columns = "SELECT operation, sql, parameters, error, rows, transaction_outcome FROM statements WHERE job = 'job' ORDER BY statement_no";
    let session = eventually("the session is closed", Duration::from_secs(20), || {
        let mut sessions = config.sql("SELECT * FROM sessions WHERE complete AND job = 'job'")?;
        sessions.pop().ok_or_else(|| anyhow::anyhow!("it is open"))
    })
    .unwrap();
    let hot = config.sql(columns).unwrap();
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    let statements = config.sql(columns).unwrap();
    assert_eq!(hot, statements);
    let replay = config.ask("replay", &[session["session_id"].as_str().unwrap()]).unwrap();
    let found = Found { config, statements, session, replay };
    assert_eq!((found.holds(SENT), found.holds(SECRET)), ((true, true), (false, false)));
    for told in [found.replay.as_str(), &hansard.logged(), &format!("{:?}", found.statements)] {
        assert!(!told.contains(SECRET), "{told}");
    }
    // With what it was, and on what.
    assert_eq!(found.statements.len(), 7, "{:#?}", found.statements);
    assert!(found.statements[0]["sql"].as_str().unwrap().contains("password=************** user=u"));
    assert!(found.statements[1]["parameters"].as_str().unwrap().contains("password=************** user=mark-sent-74"));
    assert_eq!(found.statements[2]["sql"], "ALTER ROLE nobody PASSWORD '**************'");
    assert!(found.statements[3]["error"].as_str().unwrap().contains("******"), "{:#?}", found.statements[3]);
    let touched = found.frames("SELECT relation, operation, rows FROM touches WHERE job = 'job' AND relation <> '?'");
    let insert = serde_json::json!({"relation": "public.copies", "operation": "insert", "rows": 1});
    assert_eq!(touched, [insert.clone(), insert]);
    let marks = found.frames(
        "SELECT count(*) AS marks, bool_and(masked AND encode(frame, 'hex') <> '') AS there FROM frames \
         WHERE withheld = 'password in SQL'",
    );
    assert!(marks[0]["marks"].as_u64().unwrap() >= 10 && marks[0]["there"] == true, "{marks:?}");
}
