//! Ordinary clients, ordinary work: it arrives, and the record is what was on the wire.

use std::process::Stdio;
use std::time::Duration;

use hansard_event_log::Fsync;
use hansard_ingest_proxy::{Durability, SessionId};
use hansard_schemas::events::{Direction, Origin, event::Kind};

use crate::proxy::{Plan, RunningProxy, claims, dsn, token};
use crate::record;
use crate::tap::{Streams, Tap};

/// Runs psql over the tap and returns what it printed; it has to succeed.
pub(crate) async fn psql(address: std::net::SocketAddr, script: &str) -> String {
    let mut psql = tokio::process::Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &dsn(address, &token(&claims()))])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is needed: install the package postgresql-client");
    let mut stdin = psql.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, script.as_bytes()).await.unwrap();
    drop(stdin);
    let output = psql.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Takes the secrets out of a captured conversation: the password frame and BackendKeyData.
pub(crate) fn without_secrets(mut streams: Streams) -> Streams {
    // Start-up packets come first: the first 'p' frame behind them is the password.
    let at = start_up_length(&streams.frontend);
    assert_eq!(streams.frontend[at], b'p');
    let length = u32::from_be_bytes(streams.frontend[at + 1..at + 5].try_into().unwrap()) as usize + 1;
    streams.frontend.drain(at..at + length);
    let key = streams.backend.windows(5).position(|window| window == b"K\0\0\0\x0c").expect("a cancel key");
    streams.backend.drain(key..key + 13);
    streams
}

fn start_up_length(frontend: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let (packet, length) = hansard_pg_wire::frame::startup::parse(&frontend[at..]).unwrap().unwrap();
        at += length;
        if matches!(packet, hansard_pg_wire::frame::startup::Packet::Startup(_)) {
            return at;
        }
    }
}

/// The record of the only session equals what the tap saw.
async fn assert_verbatim(proxy: &RunningProxy, tap: &Tap) -> record::Recorded {
    let recorded = record::closed(&proxy.log).await;
    let seen = without_secrets(tap.seen.lock()[0].clone());
    assert_eq!(recorded.bytes(Direction::Frontend), seen.frontend);
    assert_eq!(recorded.bytes(Direction::Backend), seen.backend);
    assert_eq!(recorded.withheld(), ["password", "cancel key"]);
    recorded
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_works_and_is_recorded_verbatim() {
    let interval = Fsync::Interval(Duration::from_millis(50));
    for (durability, user, fsync) in [
        (Durability::WriteAhead, "app_scram", interval),
        (Durability::BeforeReply, "app_md5", interval),
        (Durability::Async, "app_clear", interval),
        // Acknowledged later than written: both gates have to wait.
        (Durability::WriteAhead, "app_trust", Fsync::Always),
        (Durability::BeforeReply, "app_scram", Fsync::Always),
    ] {
        let mut plan = Plan::new().upstream_user(user).durability(durability);
        plan.fsync = fsync;
        let proxy = plan.start().await;
        let tap = Tap::start(proxy.address).await;
        let out = psql(tap.address, "SELECT current_user; SELECT 1; SELECT 2\\; SELECT 3;\n\\conninfo\n").await;
        assert!(out.starts_with(&format!("{user}\n1\n2\n3\n")), "{out}");
        let recorded = assert_verbatim(&proxy, &tap).await;
        assert_eq!(recorded.end(), Some("terminated by job"));
        let (opened, mut kinds) = (recorded.opened(), recorded.kinds().skip(1));
        assert_eq!((opened.db_user.as_str(), opened.database.as_str()), ("nightly", "ranking"));
        assert_eq!(opened.application_name, "psql");
        let Some(Kind::Authenticated(authenticated)) = kinds.next() else { panic!("{recorded:?}") };
        assert_eq!((authenticated.issuer.as_str(), authenticated.job.as_str()), ("ci", "nightly-rerank"));
        assert_eq!((authenticated.subject.as_str(), authenticated.token_id.as_str()), ("service-account", "token-1"));
        assert_eq!(authenticated.groups, ["rankers", "nightly"]);
        assert_eq!(authenticated.search_path, ["public"]);
        let Some(Kind::SessionClosed(closed)) = kinds.next() else { panic!("{recorded:?}") };
        let runs: u64 = recorded.runs().map(|run| u64::from(run.count)).sum();
        assert_eq!(closed.frames, runs);
        proxy.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_learns_the_id_of_its_session() {
    for way in SessionId::ALL {
        let mut plan = Plan::new();
        plan.options.session_id = way;
        let proxy = plan.start().await;
        let tap = Tap::start(proxy.address).await;
        psql(tap.address, "SELECT 1").await;
        let recorded = assert_verbatim(&proxy, &tap).await;
        let id = record::read(&proxy.log)
            .await
            .into_iter()
            .find(|(_, session)| session.target == "ranking" && !session.is_own());
        let id = id.unwrap().0.to_string();
        let own: Vec<_> = recorded.runs().filter(|run| run.origin() == Origin::Hansard).collect();
        let said: Vec<u8> = own.iter().flat_map(|run| run.frames.to_vec()).collect();
        let expected = match way {
            SessionId::Parameter => format!("hansard.session\0{id}\0"),
            SessionId::Notice => format!("Mhansard.session = {id}\0\0"),
            SessionId::Off => "R\0\0\0\u{8}\0\0\0\0".to_owned(),
        };
        assert!(said.ends_with(expected.as_bytes()), "{way:?}: {said:?}");
        let seen = tap.seen.lock()[0].backend.clone();
        let at = seen.windows(said.len()).position(|window| window == said).expect("it is said in one piece");
        let ready = seen.windows(6).position(|window| window == b"Z\0\0\0\x05I").unwrap();
        assert!(at < ready, "before the job may ask");
        proxy.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol_pipelining_and_copy() {
    use futures::{SinkExt, StreamExt, TryStreamExt};
    let proxy = RunningProxy::start().await;
    let tap = Tap::start(proxy.address).await;
    let client = crate::proxy::connect(&dsn(tap.address, &token(&claims()))).await.unwrap();

    let statement = client.prepare("SELECT score FROM rankings WHERE id = $1").await.unwrap();
    // All in flight at once, on one connection.
    let ids: Vec<i32> = (1..=200).collect();
    let ask = async |id: &i32| client.query_one(&statement, &[id]).await.unwrap().get::<_, i32>(0);
    let scores = futures::future::join_all(ids.iter().map(ask)).await;
    assert_eq!(scores, ids);

    let error = client.query("SELECT 1 / $1::int", &[&0i32]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22012");
    client.batch_execute("CREATE TEMP TABLE copied (a int, b text)").await.unwrap();
    let sink = client.copy_in("COPY copied FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    for number in 0..1000 {
        sink.send(bytes::Bytes::from(format!("{number}\t{}\n", "x".repeat(100)))).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1000);
    let out = client.copy_out("COPY copied TO STDOUT").await.unwrap();
    let bytes: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
    assert_eq!(bytes.len(), 1000);
    let portal: Vec<_> =
        Box::pin(client.query_raw("SELECT * FROM copied", Vec::<i32>::new()).await.unwrap()).collect().await;
    assert_eq!(portal.len(), 1000);
    drop(client);
    let recorded = assert_verbatim(&proxy, &tap).await;
    assert_eq!(recorded.end(), Some("terminated by job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_come_between_messages() {
    let proxy = RunningProxy::start().await;
    let mut listener = crate::raw::Raw::session(proxy.address, &token(&claims())).await;
    listener.send(&crate::raw::query("LISTEN ranks")).await;
    listener.until(b'Z').await;
    proxy.client().await.batch_execute("NOTIFY ranks, 'changed'").await.unwrap();
    let (tag, body) = listener.message().await.unwrap();
    assert_eq!(tag, b'A');
    assert!(body.ends_with(b"ranks\0changed\0"));
    // Nothing follows from the job: the record has it all the same, within the time that backend bytes may wait.
    record::until(&proxy.log, |jobs| {
        jobs.iter().any(|job| job.bytes(Direction::Backend).windows(7).any(|window| window == b"changed"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_can_be_cancelled() {
    let proxy = RunningProxy::start().await;
    let client = proxy.client().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
    // A cancel that comes before the statement does nothing, here as at the server itself.
    let error = loop {
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if sleeping.is_finished() {
            break sleeping.await.unwrap().unwrap_err();
        }
    };
    assert_eq!(error.code().unwrap().code(), "57014");
    let jobs = record::until(&proxy.log, |jobs| jobs.len() >= 2 && jobs.iter().all(|job| job.end().is_some())).await;
    let cancels: Vec<_> = jobs.iter().filter(|job| job.end() == Some("cancel request forwarded")).collect();
    assert!(!cancels.is_empty());
    for cancel in cancels {
        assert_eq!(cancel.withheld(), ["cancel key"]);
        assert_eq!(cancel.opened().parameters[0].name, "cancels_session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_at_once_spread_over_the_shards() {
    let proxy = RunningProxy::start().await;
    let clients = futures::future::join_all((0..40).map(|_| proxy.client())).await;
    for (number, client) in (0i32..).zip(&clients) {
        let row = client.query_one("SELECT $1::int", &[&number]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number);
    }
    drop(clients);
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 40 && jobs.iter().all(|job| job.end().is_some())).await;
    let first = jobs.iter().filter(|job| job.shards == [0]).count();
    assert!((10..=30).contains(&first), "{first} of 40 sessions in shard 0");
    let (log, _folder) = proxy.stop().await;
    // The proxy's own record frames them all.
    let own: Vec<_> = record::read(&log).await.into_values().filter(|session| session.target.is_empty()).collect();
    assert_eq!(own.len(), 2);
    for own in own {
        assert!(matches!(own.kinds().next(), Some(Kind::ProxyStarted(_))));
        assert!(matches!(own.kinds().last(), Some(Kind::ProxyStopped(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_reach_the_database() {
    let proxy = RunningProxy::start().await;
    let dsn = format!(
        "{} application_name=rerank options='-c search_path=pg_catalog,public -c statement_timeout=7s'",
        proxy.dsn(&token(&claims()))
    );
    let client = crate::proxy::connect(&dsn).await.unwrap();
    for (setting, value) in
        [("application_name", "rerank"), ("search_path", "pg_catalog,public"), ("statement_timeout", "7s")]
    {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value);
    }
    drop(client);
    let recorded = record::closed(&proxy.log).await;
    let search_path = recorded.kinds().find_map(|kind| match kind {
        Kind::Authenticated(authenticated) => Some(authenticated.search_path.clone()),
        _ => None,
    });
    assert_eq!(search_path.unwrap(), ["pg_catalog", "public"]);
    // A parameter that would change who the session is.
    let error = crate::proxy::connect(&format!("{} options='-c role=postgres'", proxy.dsn(&token(&claims()))))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code().unwrap().code(), "0A000");
}
