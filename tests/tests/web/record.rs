//! What the record has of statements and sessions is told by the pages: what the server said, and how things stand.

use std::time::Duration;

use anyhow::Context;
use hansard_tests::browser::Browser;
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::wire::{Wire, extended, query, sync};
use hansard_tests::{Config, Postgres, eventually};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SCHEMA: &str = "
    CREATE TABLE rankings (film_id int CONSTRAINT rankings_pkey PRIMARY KEY, score float8 CHECK (score < 100));
    CREATE TABLE ranking_history (day date, \"Odd \u{202e}eman\" text CONSTRAINT \"k\u{200b}\" CHECK (false));
    INSERT INTO rankings VALUES (7, 6.1), (8, 3.4);
    CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        RAISE NOTICE E'counting \u{202e}%', 1 USING DETAIL = E'two lines\\nof detail', HINT = 'the hint';
        RAISE WARNING 'careful';
        RETURN 1;
    END $$;
    CREATE FUNCTION deep() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT score / 0 FROM rankings LIMIT 1); END $$;
    GRANT ALL ON rankings, ranking_history TO app";

/// A database, Hansard before it, and a browser that is logged in.
pub(crate) struct Scene {
    pub(crate) postgres: Postgres,
    pub(crate) config: Config,
    pub(crate) hansard: Hansard,
    pub(crate) browser: Browser,
}

impl Scene {
    pub(crate) async fn start() -> Scene {
        let postgres = Postgres::start().await.unwrap();
        postgres.superuser("ranking").await.unwrap().batch_execute(SCHEMA).await.unwrap();
        let config = Config::new(&postgres, &Settings::default()).unwrap();
        let hansard = config.start("up").unwrap();
        let mut browser = Browser::start().unwrap();
        let link = config.ask("login", &[]).unwrap();
        browser.open(link.trim().strip_prefix("open ").unwrap()).unwrap();
        browser.shows(&["No session has been recorded yet"]).unwrap();
        Scene { postgres, config, hansard, browser }
    }

    /// A job of that name, message by message.
    pub(crate) async fn wire(&self, job: &str) -> Wire {
        let token = self.config.token(job).unwrap();
        Wire::session(self.hansard.proxy().unwrap(), "app", "ranking", &token).await.unwrap()
    }

    /// The latest session of a job, once it has ended.
    pub(crate) fn ended(&self, job: &str) -> Value {
        let ended = || {
            let sessions = self.config.rows("sessions", &["--job", job])?;
            sessions.first().filter(|session| session["closed_at"].is_string()).cloned().context("it is still open")
        };
        eventually("the session has ended", PATIENCE, ended).unwrap()
    }

    pub(crate) fn open(&mut self, path: &str) {
        let web = self.hansard.web().unwrap();
        self.browser.open(&format!("http://{web}{path}")).unwrap();
    }

    /// A step of a session, or what is shown first.
    pub(crate) fn step(&mut self, session: &Value, step: &str) {
        self.open(&format!("/sessions/{}?{step}", session["session_id"].as_str().unwrap()));
    }

    fn text(&mut self, selector: &str) -> String {
        let text = format!("[...document.querySelectorAll('{selector}')].map(one => one.textContent).join('|')");
        self.browser.value(&text).unwrap().as_str().unwrap().to_owned()
    }
}

/// What a server can say about statements, in one session that says good-bye.
pub(crate) async fn talkative(scene: &Scene) -> Value {
    let mut wire = scene.wire("talkative").await;
    for sql in [
        "SELECT tell()",
        "INSERT INTO rankings VALUES (7, 1)",
        "SELECT score,\n       nope FROM rankings",
        "SELECT deep()",
        "INSERT INTO ranking_history VALUES ('2026-11-22', 'x')",
        "PREPARE q AS SELECT film_id FROM rankings WHERE score > $1",
        "EXECUTE q(1)",
        "SELECT (",
    ] {
        wire.query(sql).await.unwrap();
    }
    // One text with two errors' worth: what comes behind the first is not run. And a pipeline.
    wire.query("UPDATE rankings SET score = 1000; SELECT 'not reached'").await.unwrap();
    wire.send(&[extended("SELECT 1/0"), extended("SELECT 'skipped'"), sync()].concat()).await.unwrap();
    wire.until(b'Z').await.unwrap();
    for sql in ["BEGIN", "SELECT film_id, score FROM rankings", "UPDATE rankings SET score = 5", "ROLLBACK"] {
        wire.query(sql).await.unwrap();
    }
    wire.send(&hansard_tests::wire::terminate()).await.unwrap();
    wire.rest().await.unwrap();
    scene.ended("talkative")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_said_is_shown_in_psqls_order_and_words() {
    let mut scene = Scene::start().await;
    let session = talkative(&scene).await;
    scene.step(&session, "step=1");
    scene
        .browser
        .shows(&[
            "NOTICE: counting \\u{202e}1",
            "DETAIL",
            "two lines\nof detail",
            "HINT",
            "the hint",
            "WARNING: 01000: careful",
        ])
        .unwrap();
    let shown = scene.text(".centre");
    let places: Vec<_> =
        ["NOTICE", "DETAIL", "HINT", "CONTEXT", "WARNING"].map(|word| shown.find(word).unwrap()).into();
    assert!(places.is_sorted(), "{shown}");
    assert!(!shown.contains('\u{202e}'), "a direction mark reached the page");

    scene.step(&session, "step=2");
    let parts =
        ["ERROR:  23505: duplicate key", "DETAIL", "Key (film_id)=(7) already exists.", "SCHEMA NAME", "public"];
    scene.browser.shows(&parts).unwrap();
    scene.browser.shows(&["TABLE NAME", "rankings", "CONSTRAINT NAME", "rankings_pkey"]).unwrap();
    scene.step(&session, "step=3");
    // Both the line of it and the text itself point at the word.
    scene
        .browser
        .shows(&["ERROR:  42703: column \"nope\" does not exist", "LINE 2:        nope FROM rankings"])
        .unwrap();
    assert_eq!(scene.text(".line .fault"), "nope");
    assert_eq!(scene.text(".code .fault"), "nope");
    scene.step(&session, "step=4");
    scene
        .browser
        .shows(&["ERROR:  22012: division by zero", "CONTEXT", "PL/pgSQL function deep() line 1 at RETURN"])
        .unwrap();
    scene.step(&session, "step=5");
    scene.browser.shows(&["ERROR:  23514:", "CONSTRAINT NAME", "k\\u{200b}"]).unwrap();
    scene.step(&session, "step=7");
    scene.browser.shows(&["What it ran", "PREPARE q AS SELECT film_id FROM rankings"]).unwrap();
    scene.step(&session, "step=8");
    scene.browser.shows(&["ERROR:  42601: syntax error at end of input", "LINE 1: SELECT (the end"]).unwrap();

    // What was not run is no error, and says so.
    scene.step(&session, "step=10&tab=result");
    scene
        .browser
        .shows(&["not run", "the database did not run this one", "It was not run: a statement before it"])
        .unwrap();
    assert_eq!(scene.text(".centre .notice.bad"), "");
    scene.step(&session, "step=12");
    scene.browser.shows(&["not run", "SELECT 'skipped'", "the database did not run this one"]).unwrap();
    // A read in a transaction that was rolled back did reach the job; a write did not stay.
    scene.step(&session, "step=14&tab=result");
    scene.browser.shows(&["read, rolled back", "What it read was sent to the job all the same.", "6.1"]).unwrap();
    scene.step(&session, "step=15");
    scene.browser.shows(&["rolled back", "nothing of it stayed in the database"]).unwrap();

    // The session's own: who it was for the database, how it went, how much of it is recorded.
    let facts = scene.text(".facts-pane");
    for fact in
        ["Asked-for roleapp", "Database roleapp", "Backend pid", "Errors7", "EndingEnded, 7 errors", "Last frame20"]
    {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    assert_eq!(scene.text(".heading .badge"), "Ended, 7 errors|Record: whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_sessions_end_is_told_apart_from_how_whole_their_record_is() {
    let mut scene = Scene::start().await;
    let superuser = scene.postgres.superuser("ranking").await.unwrap();
    // The job is gone without a word, in the middle of a transaction.
    let mut wire = scene.wire("hangs-up").await;
    wire.query("BEGIN").await.unwrap();
    wire.query("UPDATE rankings SET score = 5").await.unwrap();
    drop(wire);
    // The database ends it.
    let mut wire = scene.wire("is-ended").await;
    wire.query("SELECT 1").await.unwrap();
    superuser.execute("SELECT pg_terminate_backend($1)", &[&i32::try_from(wire.process_id()).unwrap()]).await.unwrap();
    wire.rest().await.unwrap();

    let session = scene.ended("hangs-up");
    scene.step(&session, "step=2");
    scene.browser.shows(&["Job hung up", "Record: whole", "rolled back", "Reason: the connection ended"]).unwrap();
    // Rolled back is known: that is no unknown outcome.
    assert!(!scene.text(".centre").contains("not known"), "{}", scene.text(".centre"));
    let session = scene.ended("is-ended");
    scene.step(&session, "step=1");
    scene
        .browser
        .shows(&[
            "Ended by the database",
            "Record: whole",
            "Said outside of any statement",
            "FATAL: 57P01:",
            "terminating connection",
        ])
        .unwrap();
    assert!(!scene.text(".heading .badge.good").contains("Ended"), "no green tick");
    scene.open("/sessions");
    scene.browser.shows(&["Job hung up", "Ended by the database"]).unwrap();

    // Killed: nobody saw the end, and no duration is made up.
    let mut wire = scene.wire("killed-with").await;
    wire.query("BEGIN").await.unwrap();
    wire.query("UPDATE rankings SET score = 5").await.unwrap();
    wire.query("COMMIT").await.unwrap();
    wire.query("BEGIN").await.unwrap();
    wire.query("UPDATE rankings SET score = 6").await.unwrap();
    wire.send(&query("SELECT pg_sleep(60)")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = jiff::Timestamp::now();
    scene.hansard.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.hansard = scene.config.start("up").unwrap();
    let session = scene.ended("killed-with");
    assert!(session["duration"].is_null(), "{session}");
    let link = scene.config.ask("login", &[]).unwrap();
    scene.browser.open(link.trim().strip_prefix("open ").unwrap()).unwrap();
    scene.step(&session, "step=5");
    scene.browser.shows(&["End not seen", "Record: end missing", "Last frame at", "closed on recovery at"]).unwrap();
    let banner = scene.text(".heading .notice");
    let told: jiff::civil::DateTime = banner["Last frame at ".len()..][..23].parse().unwrap();
    let told = told.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    assert!(told < last && last.duration_since(told).as_secs() < 20, "{banner}, killed at {last}");
    let facts = scene.text(".facts-pane");
    assert!(facts.contains("Closed on recovery") && !facts.contains("Duration"), "{facts}");
    // Its last transaction: rolled back or not is told with the reason, or not at all.
    let explained = "['Reason: ', 'nothing of it stayed'].some(words => document.querySelector('.centre').textContent.includes(words))";
    scene.browser.holds(explained).unwrap();
    scene.step(&session, "step=6&tab=result");
    scene.browser.shows(&["no answer", "No answer was recorded before the session ended"]).unwrap();
    let centre = scene.text(".centre");
    assert!(!centre.contains("It answers without rows") && !centre.contains("0 rows"), "{centre}");
    scene.open("/sessions?job=killed-with");
    scene.browser.shows(&["End not seen", "End missing", "–"]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_log_in_names_its_job_only_where_the_signature_was_good() {
    let mut scene = Scene::start().await;
    let good = scene.config.ask("token", &["--subject", "elsewhere-bound", "--claim", "aud=elsewhere"]).unwrap();
    // The signature of another token under the claims of this one.
    let other = scene.config.token("other").unwrap();
    let forged = scene.config.token("forged-name").unwrap();
    let forged = format!("{}.{}", forged.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    for token in [good.trim(), &forged] {
        let refused = Wire::session(scene.hansard.proxy().unwrap(), "app", "ranking", token).await;
        assert!(refused.is_err());
    }
    let sessions = || {
        let sessions = scene.config.sql("SELECT * FROM sessions WHERE auth_failure IS NOT NULL ORDER BY opened_at")?;
        anyhow::ensure!(sessions.len() == 2, "{sessions:?}");
        Ok(sessions)
    };
    let sessions = eventually("both are recorded", PATIENCE, sessions).unwrap();
    let known = sessions.iter().find(|session| session["job"] == "elsewhere-bound").unwrap().clone();
    let unknown = sessions.iter().find(|session| session["job"] == "").unwrap().clone();
    scene.open("/sessions");
    scene.browser.shows(&["elsewhere-bound", "(unknown)", "Not let in"]).unwrap();
    scene.step(&known, "");
    scene
        .browser
        .shows(&["elsewhere-bound", "Not let in: ", "Subject", "Issuer", "No statement was recorded"])
        .unwrap();
    scene.step(&unknown, "");
    scene.browser.shows(&["(unknown job)", "Not let in: ", "No statement was recorded"]).unwrap();
    let page = scene.text("body");
    assert!(!page.contains("forged-name") && !page.contains("Subject") && !page.contains("Issuer"), "{page}");
}
