//! Ordinary clients, ordinary work: it arrives, and the record is what was on the wire.

use std::process::Stdio;

use hansard_ingest_proxy::Durability;
use hansard_schemas::events::{Direction, event::Kind};

use crate::house::{House, Plan, claims, dsn, token};
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
async fn assert_verbatim(house: &House, tap: &Tap) -> record::Recorded {
    let recorded = record::closed(&house.log).await;
    let seen = without_secrets(tap.seen.lock()[0].clone());
    assert_eq!(recorded.bytes(Direction::Frontend), seen.frontend);
    assert_eq!(recorded.bytes(Direction::Backend), seen.backend);
    assert_eq!(recorded.withheld(), ["password", "cancel key"]);
    recorded
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_works_and_is_recorded_verbatim() {
    for (durability, user) in [
        (Durability::WriteAhead, "app_scram"),
        (Durability::BeforeReply, "app_md5"),
        (Durability::Async, "app_clear"),
        (Durability::WriteAhead, "app_trust"),
    ] {
        let house = Plan::new().upstream_user(user).durability(durability).start().await;
        let tap = Tap::start(house.address).await;
        let out = psql(tap.address, "SELECT current_user; SELECT 1; SELECT 2\\; SELECT 3;\n\\conninfo\n").await;
        assert!(out.starts_with(&format!("{user}\n1\n2\n3\n")), "{out}");
        let recorded = assert_verbatim(&house, &tap).await;
        assert_eq!(recorded.end(), Some("terminated by job"));
        let mut kinds = recorded.kinds();
        let Some(Kind::SessionOpened(opened)) = kinds.next() else { panic!("{recorded:?}") };
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
        house.stop().await;
    }
}
