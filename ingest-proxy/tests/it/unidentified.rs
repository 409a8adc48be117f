//! Who has no valid token chooses neither what the record says nor how long it becomes.

use hansard_schemas::events::{AuthenticationFailed, Direction, event::Kind};
use jsonwebtoken::Algorithm;

use crate::proxy::{RunningProxy, claims, signed, token};
use crate::raw::{Raw, SSL_REQUEST, password, startup};
use crate::record::{self, Recorded};

/// Name and value.
type Parameter<'a> = (&'a str, &'a str);

/// In everything that a client may write.
const MARKER: &str = "xq9-marker";

fn failed(recorded: &Recorded) -> &AuthenticationFailed {
    let failed = recorded.kinds().find_map(|kind| match kind {
        Kind::AuthenticationFailed(failed) => Some(failed),
        _ => None,
    });
    failed.unwrap_or_else(|| panic!("{recorded:?}"))
}

fn packet(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup(&[&[("user", MARKER), ("database", "ranking")], parameters].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_only_sizes_and_digests_are_recorded() {
    let proxy = RunningProxy::start().await;
    let with = |claim: &str| {
        let mut claims = claims();
        claims[claim] = MARKER.into();
        token(&claims)
    };
    let marked_key = signed(&claims(), Algorithm::ES256, MARKER, "es256");
    let odd = format!("_pq_.{MARKER}");
    let cases: [(&[Parameter<'_>], &str, &str, &str); 9] = [
        (&[("application_name", MARKER)], MARKER, "28P01", "the password is not a token: it does not have three parts"),
        (&[("my.setting", MARKER)], &with("iss"), "28P01", "the token's issuer is not known here"),
        (&[], &with("aud"), "28P01", "the token is meant for another audience than \"hansard\""),
        (&[], &marked_key, "28P01", "the token's issuer has no such key"),
        (&[(&odd, "on")], MARKER, "28P01", "the password is not a token: it does not have three parts"),
        (&[(MARKER, "x")], "", "0A000", "a start-up parameter is not passed on by Hansard"),
        (&[("options", "-c xq9-marker=x")], "", "0A000", "a start-up parameter is not passed on by Hansard"),
        (&[("options", "-xq9-marker")], "", "0A000", "a start-up parameter is not passed on by Hansard"),
        (&[("database", MARKER), ("user", "x")], "", "3D000", "a database that this target does not serve"),
    ];
    for (done, (parameters, token, sqlstate, message)) in cases.into_iter().enumerate() {
        let packet = packet(parameters);
        let mut raw = Raw::connect(proxy.address).await;
        assert_eq!(raw.ask(SSL_REQUEST).await, 'N');
        raw.send(&packet).await;
        if !token.is_empty() {
            while raw.message().await.unwrap().0 != b'R' {}
            raw.send(&password(token)).await;
        }
        let (told, _) = raw.fatal().await;
        assert_eq!(told, sqlstate);
        let jobs =
            record::until(&proxy.log, |jobs| jobs.len() > done && jobs.iter().all(|job| job.end().is_some())).await;
        let job = &jobs[done];
        assert!(!format!("{job:?}").contains(MARKER), "{job:#?}");
        // Why, from where, and what can be compared.
        assert_eq!((failed(job).sqlstate.as_str(), failed(job).message.as_str()), (sqlstate, message));
        assert!(job.opened().client_addr.starts_with("127.0.0.1:"));
        assert_eq!((job.opened().db_user.as_str(), job.opened().capture.as_str()), ("", "metadata"));
        let digest = sha256(&packet);
        let run = job.runs().find(|run| run.sha256 == digest).unwrap_or_else(|| panic!("{job:#?}"));
        let omitted = run.omitted.unwrap();
        assert_eq!((omitted.frames, omitted.bytes, run.tag), (1, packet.len() as u64, Some(0)));
        assert!(run.frames.is_empty() && run.withheld == "not identified");
        assert_eq!(job.withheld().contains(&"password"), !token.is_empty());
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_start_up_packet_leaves_its_digest() {
    let proxy = RunningProxy::start().await;
    let request = format!("GET /{MARKER} HTTP/1.1\r\n\r\n");
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(request.as_bytes()).await;
    raw.rest().await;
    let recorded = record::closed(&proxy.log).await;
    assert!(!format!("{recorded:?}").contains(MARKER));
    assert!(recorded.runs().any(|run| run.sha256 == sha256(request.as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_valid_token_the_packet_is_recorded_as_it_was() {
    let proxy = RunningProxy::start().await;
    let packet = packet(&[("application_name", MARKER)]);
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&packet).await;
    raw.message().await.unwrap();
    raw.send(&password(&token(&claims()))).await;
    raw.until(b'Z').await;
    drop(raw);
    let recorded = record::closed(&proxy.log).await;
    assert!(recorded.bytes(Direction::Frontend).starts_with(&packet));
    assert_eq!((recorded.opened().db_user.as_str(), recorded.opened().application_name.as_str()), (MARKER, MARKER));
    assert_eq!(recorded.withheld(), ["password", "cancel key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_does_not_fill_the_log() {
    let proxy = RunningProxy::start().await;
    let refused = async || {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&packet(&[("role", "postgres")])).await;
        // It is told in any case.
        assert_eq!(raw.fatal().await.0, "0A000");
    };
    for _ in 0..250 {
        refused().await;
    }
    // What is recorded stays below what came, and says how much it is not.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    refused().await;
    let all = |jobs: &[Recorded]| {
        let unrecorded: u64 = jobs.iter().map(|job| failed(job).unrecorded).sum();
        jobs.len() as u64 + unrecorded == 251
    };
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().all(|job| job.end().is_some()) && all(jobs)).await;
    assert!((120..200).contains(&jobs.len()), "{}", jobs.len());
    // Whoever has one is recorded all the same.
    let client = proxy.client().await;
    client.simple_query("SELECT 'seen'").await.unwrap();
    drop(client);
    record::until(&proxy.log, |jobs| jobs.iter().any(|job| job.end() == Some("terminated by job"))).await;
}
