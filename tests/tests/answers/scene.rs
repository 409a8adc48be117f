//! A database with rankings, Hansard in front of it, and what its record says of one session.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use hansard_tests::hansard::Settings;
use hansard_tests::postgres::DATABASE;
use hansard_tests::wire::{Wire, query, terminate};
use hansard_tests::{Config, Hansard, Postgres, eventually};
use serde_json::Value;
use tokio_postgres::Client;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Changes all rows, of which there are [`ROWS`].
pub(crate) const UPDATE: &str = "UPDATE public.rankings SET score = score + 1";

pub(crate) const ROWS: i64 = 5;

const SCHEMA: &str = "
CREATE TABLE public.rankings (id int PRIMARY KEY, score int NOT NULL);
INSERT INTO public.rankings SELECT n, 0 FROM generate_series(1, 5) AS n;
CREATE TABLE public.copied (n int);
CREATE PROCEDURE public.commit_and_fail() LANGUAGE plpgsql AS $$
BEGIN UPDATE public.rankings SET score = score + 1; COMMIT; RAISE EXCEPTION 'x'; END $$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO public;
CREATE ROLE admin;
GRANT admin TO app;
";

pub(crate) struct Scene {
    pub(crate) postgres: Postgres,
    pub(crate) superuser: Client,
    pub(crate) config: Config,
    pub(crate) hansard: Hansard,
    pub(crate) token: String,
    sessions: AtomicUsize,
}

/// Messages that are sent in one write, and how many ReadyForQuery messages answer them.
pub(crate) type Turn = (Vec<u8>, usize);

pub(crate) fn turn(messages: &[Vec<u8>], ready: usize) -> Turn {
    (messages.concat(), ready)
}

/// A row of `statements`, with its rows of `touches`.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) sql: String,
    pub(crate) operation: String,
    pub(crate) rows: Option<i64>,
    pub(crate) sqlstate: Option<String>,
    pub(crate) outcome: String,
    pub(crate) opaque: bool,
    pub(crate) touches: Vec<Touch>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) relation: String,
    pub(crate) operation: String,
    pub(crate) outcome: String,
    pub(crate) via: String,
    pub(crate) reason: String,
    pub(crate) certain: bool,
}

impl Row {
    /// It is said with certainty to have updated all rankings, and to be committed.
    #[track_caller]
    pub(crate) fn updated(&self) {
        assert!(self.says("committed"), "{self:?}");
        assert_eq!((self.rows, &self.sqlstate), (Some(ROWS), &None), "{self:?}");
    }

    /// It is said with certainty to have updated rankings, with this outcome.
    pub(crate) fn says(&self, outcome: &str) -> bool {
        let is = |touch: &Touch| touch.relation == "public.rankings" && touch.operation == "update";
        self.touches.iter().any(|touch| is(touch) && touch.certain && touch.outcome == outcome)
    }

    /// It is said to be possible that it updated rankings.
    pub(crate) fn may_have_updated(&self) -> bool {
        self.opaque && self.outcome != "rolled back"
            || self.touches.iter().any(|touch| {
                let here = ["public.rankings", "?.rankings", "?"].contains(&touch.relation.as_str());
                here && (touch.outcome == "unknown" || touch.outcome == "committed" && !touch.certain)
            })
    }
}

/// What is known of a session.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) rows: Vec<Row>,
    /// How often rankings have been updated since the session before, as the database says.
    pub(crate) updates: i64,
}

impl Told {
    /// The only statement with this word in its text.
    #[track_caller]
    pub(crate) fn statement(&self, word: &str) -> &Row {
        let found = self.statements(word);
        assert_eq!(found.len(), 1, "statements with {word:?}: {:#?}", self.rows);
        found[0]
    }

    pub(crate) fn statements(&self, word: &str) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.sql.contains(word)).collect()
    }

    /// All of the changes are the database's, and each of these statements is said to have made one.
    #[track_caller]
    pub(crate) fn updated_by(&self, words: &[&str]) {
        assert_eq!(self.updates, i64::try_from(words.len()).unwrap(), "the database's own word: {:#?}", self.rows);
        for word in words {
            self.statement(word).updated();
        }
        let said = self.rows.iter().filter(|row| row.says("committed")).count();
        assert_eq!(said, words.len(), "{:#?}", self.rows);
    }
}

impl Scene {
    pub(crate) async fn start() -> Scene {
        Scene::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Scene {
        let postgres = Postgres::start_on(None, &["max_prepared_transactions=10"]).await.unwrap();
        let superuser = postgres.superuser(DATABASE).await.unwrap();
        superuser.batch_execute(SCHEMA).await.unwrap();
        let config = Config::new(&postgres, &settings).unwrap();
        let hansard = config.start("up").unwrap();
        let token = config.token("reranker").unwrap();
        Scene { postgres, superuser, config, hansard, token, sessions: AtomicUsize::new(0) }
    }

    pub(crate) fn proxy(&self) -> SocketAddr {
        self.hansard.proxy().unwrap()
    }

    /// A name for a session that no other has.
    pub(crate) fn name(&self) -> String {
        format!("session-{}", self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn session(&self, name: &str) -> Wire {
        self.session_with(name, &[("user", "app")]).await
    }

    /// With more start-up parameters, a user among them.
    pub(crate) async fn session_with(&self, name: &str, more: &[(&str, &str)]) -> Wire {
        let parameters = [&[("database", DATABASE), ("application_name", name)], more].concat();
        Wire::session_with(self.proxy(), &parameters, &self.token).await.unwrap()
    }

    /// A session that takes these turns, each when the one before is answered, and terminates.
    pub(crate) async fn run(&self, turns: &[Turn]) -> Told {
        let name = self.play(&[("user", "app")], turns).await;
        self.told(&name).await
    }

    /// Likewise, with these start-up parameters; the session's name.
    pub(crate) async fn play(&self, start: &[(&str, &str)], turns: &[Turn]) -> String {
        let name = self.name();
        let mut wire = self.session_with(&name, start).await;
        for (bytes, ready) in turns {
            wire.send(bytes).await.unwrap();
            for _ in 0..*ready {
                wire.until(b'Z').await.unwrap();
            }
        }
        wire.send(&terminate()).await.unwrap();
        wire.rest().await.unwrap();
        name
    }

    /// What is recorded of a session once it is closed.
    pub(crate) async fn told(&self, name: &str) -> Told {
        let rows = self.recorded(name);
        self.nobody_is_left().await;
        Told { rows, updates: self.updates().await }
    }

    pub(crate) fn recorded(&self, name: &str) -> Vec<Row> {
        let id = self.closed(name);
        self.rows(&format!("WHERE session_id = '{id}'")).unwrap()
    }

    /// The session's id, once it is closed.
    fn closed(&self, name: &str) -> String {
        eventually("the session is closed", PATIENCE, || {
            let sessions = self.config.sql(&format!(
                "SELECT session_id FROM sessions WHERE application_name = '{name}' AND closed_at IS NOT NULL"
            ))?;
            ensure!(sessions.len() == 1, "{sessions:?}");
            Ok(sessions[0]["session_id"].as_str().context("an id")?.to_owned())
        })
        .unwrap()
    }

    /// How many rows of that table a session has, once it is closed.
    pub(crate) fn count(&self, name: &str, table: &str, condition: &str) -> i64 {
        let id = self.closed(name);
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE session_id = '{id}' AND {condition}");
        self.config.sql(&sql).unwrap()[0]["n"].as_i64().unwrap()
    }

    fn rows(&self, condition: &str) -> anyhow::Result<Vec<Row>> {
        let touches = self.config.sql(&format!("SELECT * FROM touches {condition}"))?;
        // The column may be younger than the record's maker.
        let opaque = if self.config.sql("SELECT opaque FROM statements LIMIT 1").is_ok() { ", opaque" } else { "" };
        let statements = self.config.sql(&format!(
            "SELECT statement_no, operation, left(sql, 4000) AS sql, rows, sqlstate, transaction_outcome{opaque} \
             FROM statements {condition} ORDER BY statement_no"
        ))?;
        let text = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| Row {
            sql: text(row, "sql"),
            operation: text(row, "operation"),
            rows: row["rows"].as_i64(),
            sqlstate: row["sqlstate"].as_str().map(str::to_owned),
            outcome: text(row, "transaction_outcome"),
            opaque: !row["opaque"].is_null() || row["operation"] == "opaque",
            touches: (touches.iter().filter(|touch| touch["statement_no"] == row["statement_no"]))
                .map(|touch| Touch {
                    relation: text(touch, "relation"),
                    operation: text(touch, "operation"),
                    outcome: text(touch, "transaction_outcome"),
                    via: text(touch, "via"),
                    reason: text(touch, "reason"),
                    certain: touch["certainty"] != "possible",
                })
                .collect(),
        };
        Ok(statements.iter().map(row).collect())
    }

    /// Waits until the catalog has been read since the last announced change: until then, what an update reaches is not certain.
    pub(crate) async fn catalog_is_read(&self) {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let name = self.play(&[("user", "app")], &[turn(&[query(format!("{UPDATE} WHERE false"))], 1)]).await;
            let rows = self.recorded(&name);
            if rows[0].says("committed") {
                return;
            }
            assert!(std::time::Instant::now() < until, "the catalog is not read: {rows:#?}");
        }
    }

    /// Waits until the database works for no job any more.
    pub(crate) async fn nobody_is_left(&self) {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'hansard'";
        let until = std::time::Instant::now() + PATIENCE;
        while self.superuser.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(std::time::Instant::now() < until, "the database still works for a job that is gone");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How often rankings were updated; it is counted from here again.
    pub(crate) async fn updates(&self) -> i64 {
        let scores = self.superuser.query_one("SELECT min(score)::bigint, max(score)::bigint FROM rankings", &[]);
        let scores = scores.await.unwrap();
        let (least, most): (i64, i64) = (scores.get(0), scores.get(1));
        assert_eq!(least, most, "all rows are updated alike");
        self.superuser.batch_execute("UPDATE rankings SET score = 0").await.unwrap();
        least
    }
}

/// An update that says a word.
pub(crate) fn update(word: &str) -> String {
    format!("{UPDATE} /* {word} */")
}
