//! Questions end, and nobody who asks keeps the others from their answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hansard_query::{Engine, EngineOptions, ErrorKind, SessionFilter};

use crate::bulk;
use crate::fixture::Fixture;

/// Far more than any of the small questions takes, and far less than any of the heavy ones.
const LONG: Duration = Duration::from_secs(20);

/// 10^14 pairs, none of which comes out.
const JOIN: &str = "SELECT count(*) FROM touches a JOIN touches b ON a.relation = b.relation JOIN touches c ON c.relation = b.relation \
                    WHERE a.statement_no + b.statement_no + c.statement_no = -1";

/// Work that has to be ended where it stands: all within one batch of its operator.
const HEAVY: [&str; 6] = [
    JOIN,
    // All of them come out, and are counted.
    "SELECT count(*) FROM touches a JOIN touches b ON a.relation = b.relation JOIN touches c ON c.relation = b.relation",
    "SELECT count(*) FROM touches a, touches b, touches c WHERE a.statement_no * b.statement_no < c.statement_no - 1000000",
    "SELECT count(*) FROM touches a WHERE NOT EXISTS (SELECT 1 FROM touches b, touches c WHERE b.relation = a.relation AND c.relation = b.relation AND b.statement_no + c.statement_no < -a.statement_no)",
    "SELECT a.job FROM touches a, touches b, touches c ORDER BY a.statement_no + b.statement_no * c.statement_no LIMIT 3",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
];

async fn recorded(statements: u64) -> Fixture {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 1, statements).await;
    fixture
}

fn options() -> EngineOptions {
    EngineOptions { target_partitions: 2, timeout: Duration::from_secs(600), ..EngineOptions::default() }
}

/// The engine's threads have nothing to do any more.
async fn ends(engine: &Engine) {
    let began = Instant::now();
    while engine.load().heavy > 0 {
        assert!(began.elapsed() < LONG, "{:?} after {:?}", engine.load(), began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(engine.load().stuck, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_joins_that_were_given_up_stop() {
    let fixture = recorded(100_000).await;
    let engine = fixture.engine_with(options());
    for pair in HEAVY.chunks(2) {
        let both = futures::future::join(engine.sql(pair[0]), engine.sql(pair[1]));
        tokio::time::timeout(Duration::from_millis(1_500), both).await.expect_err(pair[0]);
        let began = Instant::now();
        let answer = engine.sql("SELECT count(*) AS n FROM sessions").await.unwrap();
        assert_eq!(answer.rows(), 1);
        assert!(began.elapsed() < LONG, "{:?} after {}", began.elapsed(), pair[0]);
        ends(&engine).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_out_of_time_stops() {
    let fixture = recorded(50_000).await;
    let engine = fixture.engine_with(EngineOptions { timeout: Duration::from_millis(1_500), ..options() });
    for sql in HEAVY {
        let error = engine.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{sql}: {error}");
        ends(&engine).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_who_ask_much_leave_the_pages_theirs() {
    let fixture = recorded(50_000).await;
    let engine = Arc::new(fixture.engine_with(options()));
    let mut askers = tokio::task::JoinSet::new();
    for asker in 0..50 {
        let engine = Arc::clone(&engine);
        askers.spawn(async move { engine.sql(HEAVY[asker % 2]).await.map(|_| ()) });
    }
    // Those that no place is left for are told at once.
    for _ in 0..50 - 2 - 32 {
        let refused = askers.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    }
    let load = engine.load();
    assert_eq!((load.heavy, load.waiting), (2, 32));
    assert!(load.remark().unwrap().contains("2 heavy ones"), "{load:?}");
    for _ in 0..5 {
        let began = Instant::now();
        let page = engine.sessions(&SessionFilter::default(), None, 50).await.unwrap();
        assert_eq!(page.sessions.rows(), 1);
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    }
    // So are small questions of anybody.
    let began = Instant::now();
    engine.sql("SELECT count(*) FROM statements WHERE statement_no < 10").await.unwrap();
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    askers.shutdown().await;
    ends(&engine).await;
    assert_eq!(engine.load().remark(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_share_one_memory() {
    let fixture = recorded(50_000).await;
    let limit = 64 * 1024 * 1024;
    let engine = Arc::new(fixture.engine_with(EngineOptions { memory_limit: limit, ..options() }));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let engine = Arc::clone(&engine);
        askers.spawn(async move {
            engine.sql("SELECT a.sql || b.sql AS both FROM statements a, statements b ORDER BY both").await.map(|_| ())
        });
    }
    while let Some(ended) = askers.join_next().await {
        let error = ended.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        // What the pages ask has a part of its own.
        assert_eq!(engine.sessions(&SessionFilter::default(), None, 50).await.unwrap().sessions.rows(), 1);
    }
}
