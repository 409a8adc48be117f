//! The questions that Hansard itself asks.

use std::time::Duration;

use hansard_query::{Engine, ErrorKind, SessionFilter};
use hansard_schemas::http::{QueryFormat, SessionOutcome};
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::bulk;
use crate::fixture::{Fixture, Session, at, column, story, whole};

const MINUTE: Duration = Duration::from_secs(60);

async fn updaters(engine: &Engine, relation: &str, at: &str, window: Duration) -> Vec<(String, String)> {
    let answer = engine.who_updated(relation, at, window).await.unwrap();
    column(&answer, "job").into_iter().zip(column(&answer, "transaction_outcome")).collect()
}

fn says(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(job, outcome)| ((*job).to_owned(), (*outcome).to_owned())).collect()
}

#[tokio::test]
async fn who_updated_names_the_jobs_that_did_and_no_other() {
    let fixture = story().await;
    let engine = fixture.engine();
    let night = says(&[("rerank", "committed"), ("nightly", "open")]);
    assert_eq!(updaters(&engine, "public.rankings", "2026-11-22T03:12Z", MINUTE).await, night);
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:12Z", MINUTE).await, night);
    // A minute is a minute long, whatever the window.
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:12Z", Duration::ZERO).await, night);
    // An instant is an instant: the commit counts, not the statement.
    let second = Duration::from_secs(1);
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:12:01.5Z", second).await, says(&[("rerank", "committed")]));
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:11:59.000000000Z", second).await, says(&[]));
    // Straight from the log, and an upsert.
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:14Z", second).await, says(&[("importer", "committed")]));
    // A failed update is none.
    assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:13:11Z", second).await, says(&[]));
    assert_eq!(
        updaters(&engine, "audit.rankings", "2026-11-22T03:12Z", MINUTE).await,
        says(&[("archiver", "committed")])
    );
    // The same from the lake alone.
    fixture.flush().await;
    let cold = Engine::new(fixture.lake.clone(), None, engine.options().clone());
    assert_eq!(updaters(&cold, "public.rankings", "2026-11-22T03:12Z", MINUTE).await, night);
    let answer = cold.who_updated("rankings", "2026-11-22T03:14Z", MINUTE).await.unwrap();
    assert!(column(&answer, "sql")[0].starts_with("INSERT INTO rankings"));
    assert_eq!(answer.schema.fields().len(), Table::Touches.schema().fields().len() + 1);
}

#[tokio::test]
async fn an_update_of_a_relation_whose_schema_is_not_known_is_not_missed() {
    let fixture = Fixture::new();
    let mut lost = Session::open(&fixture, 1, "lost", "03:12:00").await;
    lost.query("03:12:01", "SET search_path = \"$user\"", &[], "SET").await;
    lost.query("03:12:02", "UPDATE rankings SET score = 1", &[], "UPDATE 5").await;
    lost.query("03:12:03", "UPDATE sales.rankings SET score = 1", &[], "UPDATE 5").await;
    for _ in 0..2 {
        for relation in ["rankings", "audit.rankings"] {
            let answer = fixture.engine().who_updated(relation, "2026-11-22T03:12Z", MINUTE).await.unwrap();
            assert_eq!(column(&answer, "relation"), ["?.rankings"]);
        }
        let answer = fixture.engine().who_updated("films", "2026-11-22T03:12Z", MINUTE).await.unwrap();
        assert_eq!(column(&answer, "relation"), [""; 0]);
        // Once from the log, once from files.
        fixture.flush().await;
    }
}

#[tokio::test]
async fn a_commit_long_after_its_update_is_found_by_the_commit() {
    let fixture = Fixture::new();
    let mut slow = Session::open(&fixture, 1, "slow", "01:00:00").await;
    slow.query("01:00:01", "BEGIN", &[], "BEGIN").await;
    slow.query("01:00:02", "UPDATE rankings SET score = 1", &[], "UPDATE 5").await;
    fixture.flush().await;
    slow.query("03:12:30", "COMMIT", &[], "COMMIT").await;
    let engine = fixture.engine();
    for _ in 0..2 {
        assert_eq!(updaters(&engine, "rankings", "2026-11-22T03:12Z", MINUTE).await, says(&[("slow", "committed")]));
        assert_eq!(updaters(&engine, "rankings", "2026-11-22T01:00Z", MINUTE).await, says(&[]));
        fixture.flush().await;
    }
}

#[tokio::test]
async fn who_touched_shows_what_was_rolled_back_too() {
    let fixture = story().await;
    let engine = fixture.engine();
    let answer = engine
        .who_touched("rankings", Some("2026-11-22T03:12:20Z"), Some("2026-11-22T03:12"), Some("update"))
        .await
        .unwrap();
    assert_eq!(column(&answer, "job"), ["contractor", "nightly"]);
    assert_eq!(column(&answer, "transaction_outcome"), ["rolled back", "open"]);
    let all = engine.who_touched("rankings", None, None, None).await.unwrap();
    assert_eq!(
        column(&all, "job"),
        ["rerank", "rag-reader", "contractor", "nightly", "clumsy", "importer", "importer"]
    );
    assert!(column(&all, "sql").iter().all(|sql| sql.contains("rankings")));
    assert_eq!(engine.who_touched("\"it's\"", None, None, None).await.unwrap().rows(), 0);
}

#[tokio::test]
async fn sessions_are_listed_by_page_and_filter() {
    let fixture = story().await;
    let engine = fixture.engine();
    let all = SessionFilter::default();
    let (mut jobs, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = engine.sessions(&all, cursor.as_deref(), 3).await.unwrap();
        jobs.extend(column(&page.sessions, "job"));
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(jobs, ["importer", "clumsy", "nightly", "contractor", "rag-reader", "archiver", "rerank"]);
    assert_eq!(pages, 3);

    let list = async |filter: SessionFilter| column(&engine.sessions(&filter, None, 50).await.unwrap().sessions, "job");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(list(SessionFilter { job: some("clumsy"), ..all.clone() }).await, ["clumsy"]);
    assert_eq!(list(SessionFilter { subject: some("svc:nightly"), ..all.clone() }).await, ["nightly"]);
    assert_eq!(list(SessionFilter { target: some("elsewhere"), ..all.clone() }).await, [""; 0]);
    assert_eq!(list(SessionFilter { relation: some("candidates"), ..all.clone() }).await, ["rerank"]);
    assert_eq!(list(SessionFilter { text: some("ON CONFLICT"), ..all.clone() }).await, ["importer"]);
    assert_eq!(list(SessionFilter { text: some("' OR 1=1"), ..all.clone() }).await, [""; 0]);
    assert_eq!(list(SessionFilter { outcome: Some(SessionOutcome::Live), ..all.clone() }).await, ["nightly"]);
    assert_eq!(list(SessionFilter { from: Some(at("03:13:00")), ..all.clone() }).await, ["importer", "clumsy"]);
    assert_eq!(list(SessionFilter { to: Some(at("03:12:00")), ..all.clone() }).await, ["rerank"]);
    let error = engine.sessions(&all, Some("nonsense"), 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let failed = engine.sessions(&SessionFilter { job: some("clumsy"), ..all }, None, 1).await.unwrap();
    assert_eq!(column(&failed.sessions, "errors"), ["1"]);
}

#[tokio::test]
async fn one_session_its_steps_and_its_files() {
    let fixture = story().await;
    let engine = fixture.engine();
    let page = engine
        .sessions(&SessionFilter { job: Some("rerank".to_owned()), ..Default::default() }, None, 1)
        .await
        .unwrap();
    let id = Uuid::parse_str(&column(&page.sessions, "session_id")[0]).unwrap();
    let session = engine.session(id).await.unwrap();
    assert_eq!(
        (column(&session, "job"), column(&session, "errors")),
        (vec!["rerank".to_owned()], vec!["0".to_owned()])
    );
    assert_eq!(engine.session(Uuid::nil()).await.unwrap().rows(), 0);

    let steps = engine.session_steps(id).await.unwrap();
    assert_eq!(column(&steps, "statement_no"), ["1", "2", "3", "4"]);
    assert_eq!(column(&steps, "operation"), ["transaction", "select", "update", "transaction"]);
    assert_eq!(column(&steps, "duration_ns")[2], "2000000");
    assert!(column(&steps, "transaction_outcome").iter().all(|outcome| outcome == "committed"));
    let later = engine.steps(id, 3, 1).await.unwrap();
    assert_eq!(column(&later, "statement_no"), ["3"]);
    let touches = engine.session_touches(id, 1, 4).await.unwrap();
    assert_eq!(column(&touches, "relation"), ["public.candidates", "public.rankings"]);

    let frames = engine.session_export(id, Table::Frames, QueryFormat::Json).await.unwrap();
    let frames: Vec<serde_json::Value> = serde_json::from_slice(&whole(frames).await.unwrap()).unwrap();
    assert_eq!((frames.len(), &frames[17]["seq"]), (18, &18.into()));

    let files = engine.session_files(id).await.unwrap();
    let tables: Vec<&str> = files.iter().map(|file| file.table.name()).collect();
    assert_eq!(tables, ["frames", "statements", "touches", "transactions", "sessions"]);
}

#[tokio::test]
async fn every_table_of_a_lake_far_larger_than_a_page_can_be_asked() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 12, 20).await;
    let engine = fixture.engine();
    let page = engine.sessions(&SessionFilter::default(), None, 5).await.unwrap();
    assert_eq!(column(&page.sessions, "job"), ["job-11", "job-10", "job-9", "job-8", "job-7"]);
    let next = engine.sessions(&SessionFilter::default(), page.next.as_deref(), 5).await.unwrap();
    assert_eq!(column(&next.sessions, "job"), ["job-6", "job-5", "job-4", "job-3", "job-2"]);
}
