//! Ends that come by time: a token's expiry, a stop of the proxy; and how soon an answer is in the log.

use std::time::Duration;

use hansard_event_log::Fsync;
use hansard_schemas::events::{Direction, Origin};
use serde_json::json;

use crate::proxy::{Plan, RunningProxy, claims, now, token};
use crate::raw::{Raw, frame, query};
use crate::record;

/// A session whose token is good for two seconds.
async fn short_session(proxy: &RunningProxy) -> Raw {
    let mut short = claims();
    short["exp"] = json!(now() + 2);
    Raw::session(proxy.address, &token(&short)).await
}

/// What the job is told at the end; whatever comes before it is passed over.
async fn last_error(raw: &mut Raw) -> String {
    let mut last = None;
    while let Some(message) = raw.message().await {
        last = Some(message);
    }
    let (tag, body) = last.unwrap_or((0, Vec::new()));
    assert_eq!(char::from(tag), 'E');
    crate::raw::field(&body, b'C')
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_ends_what_needs_no_further_statement() {
    let mut plan = Plan::new().upstream_user("app_replication");
    plan.options.targets[0].replication = true;
    let proxy = plan.start().await;
    let mut listening = short_session(&proxy).await;
    listening.send(&query("LISTEN ranks")).await;
    listening.until(b'Z').await;
    let mut taking = short_session(&proxy).await;
    taking.send(&query("CREATE TEMP TABLE taken (a int)")).await;
    taking.until(b'Z').await;
    taking.send(&query("COPY taken FROM STDIN")).await;
    taking.until(b'G').await;
    taking.send(&frame(b'd', b"1\n")).await;
    let mut giving = short_session(&proxy).await;
    giving
        .send(&query("COPY (SELECT repeat('x', 3000), pg_sleep(0.05) FROM generate_series(1, 1000)) TO STDOUT"))
        .await;
    giving.until(b'd').await;
    let mut idle = short_session(&proxy).await;
    let began = std::time::Instant::now();
    for (name, raw) in
        [("LISTEN", &mut listening), ("COPY IN", &mut taking), ("COPY OUT", &mut giving), ("idle", &mut idle)]
    {
        assert_eq!(last_error(raw).await, "28000", "{name}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().all(|job| job.end().is_some())).await;
    for job in jobs {
        assert_eq!(job.end(), Some("token expired"));
        assert_eq!(job.runs().last().unwrap().origin(), Origin::Hansard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_lets_the_running_statement_be_answered() {
    let proxy = RunningProxy::start().await;
    let mut raw = short_session(&proxy).await;
    raw.send(&[query("SELECT pg_sleep(2.5)"), query("SELECT 1")].concat()).await;
    let tags: Vec<_> = raw.until(b'Z').await.iter().map(|(tag, _)| char::from(*tag)).collect();
    assert_eq!(tags, ['T', 'D', 'C', 'Z']);
    // Both were passed before the expiry.
    raw.until(b'Z').await;
    assert_eq!(raw.fatal().await.0, "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_transaction_come_to_its_end() {
    let mut plan = Plan::new();
    plan.options.shutdown_grace = Duration::from_secs(3);
    let proxy = plan.start().await;
    let mut working = Raw::session(proxy.address, &token(&claims())).await;
    let mut staying = Raw::session(proxy.address, &token(&claims())).await;
    for raw in [&mut working, &mut staying] {
        raw.send(&query("BEGIN")).await;
        raw.until(b'Z').await;
    }
    let mut pipelining = Raw::session(proxy.address, &token(&claims())).await;
    pipelining.send(&query("SELECT pg_sleep(1.5)")).await;
    // The statement has to be on its way before the stop.
    record::until(&proxy.log, |jobs| {
        jobs.iter().any(|job| job.bytes(Direction::Frontend).windows(8).any(|window| window == b"pg_sleep"))
    })
    .await;
    let stopped = tokio::spawn(proxy.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Between two statements, the second of which comes after the stop.
    pipelining.send(&query("SELECT 'second'")).await;
    assert_eq!(pipelining.until(b'Z').await.len(), 4);
    assert!(pipelining.until(b'Z').await.iter().any(|(tag, body)| *tag == b'D' && body.ends_with(b"second")));
    assert_eq!(pipelining.fatal().await.0, "57P01");
    working.send(&query("SELECT 1")).await;
    assert_eq!(working.until(b'Z').await.last().unwrap().1, b"T");
    working.send(&query("COMMIT")).await;
    assert_eq!(working.until(b'Z').await.last().unwrap().1, b"I");
    assert_eq!(working.fatal().await.0, "57P01");
    // Whoever does not end is ended.
    assert_eq!(staying.fatal().await.0, "57P01");
    let (log, _folder) = stopped.await.unwrap();
    for job in record::jobs(&log).await {
        assert_eq!(job.end(), Some("proxy stopped"));
        let last = job.runs().last().unwrap();
        assert_eq!((last.direction(), last.origin()), (Direction::Backend, Origin::Hansard));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_in_the_log_soon_although_acknowledgements_are_slow() {
    let mut plan = Plan::new();
    plan.fsync = Fsync::Always;
    let proxy = plan.start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    for number in 0..20 {
        assert_eq!(raw.value(&format!("SELECT 'answer {number}'")).await, format!("answer {number}"));
        // Due after 5 ms; a machine under load may be late, but not by what a job's patience is.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let jobs = record::jobs(&proxy.log).await;
        let text = format!("answer {number}");
        let seen = jobs[0].bytes(Direction::Backend);
        assert!(seen.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is not in the log");
    }
}
