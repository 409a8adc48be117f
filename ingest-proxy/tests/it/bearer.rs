//! Tokens by SASL OAUTHBEARER, and what a job says of itself at start-up.

use hansard_ingest_proxy::Authentication;
use hansard_schemas::events::event::Kind;
use serde_json::{Value, json};

use crate::proxy::{Plan, RunningProxy, claims, token};
use crate::raw::{Message, Raw, startup};
use crate::record::{self, Recorded};

/// A message of type `p`.
fn response(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [b"p", &length[..], body].concat()
}

fn initial(message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    response(&[b"OAUTHBEARER\0", &length[..], message.as_bytes()].concat())
}

fn bearer(token: &str) -> Vec<u8> {
    initial(&format!("n,,\x01auth=Bearer {token}\x01\x01"))
}

const OFFER: &[u8] = b"\0\0\0\x0aOAUTHBEARER\0\0";

/// A connection that was asked for a bearer token.
async fn asked(proxy: &RunningProxy, parameters: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&[&[("user", "nightly"), ("database", "ranking")], parameters].concat())).await;
    assert_eq!(raw.message().await.unwrap(), (b'R', OFFER.to_vec()));
    raw
}

const CHOSEN: [(&str, &str); 1] = [("hansard.authentication", "oauthbearer")];

async fn ended(proxy: &RunningProxy, sessions: usize) -> Vec<Recorded> {
    record::until(&proxy.log, |jobs| jobs.len() == sessions && jobs.iter().all(|job| job.end().is_some())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_lets_a_job_in_and_says_who_acts_and_why() {
    let proxy = RunningProxy::start().await;
    let mut claims = claims();
    claims["act"] = json!({ "sub": "runner-7", "iss": "https://ci.example", "act": { "sub": "gateway" } });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parameters = [
        ("options", "-c Hansard.Authentication=oauthbearer -c hansard.purpose=TICKET-1:\\ rerank"),
        ("hansard.traceparent", trace),
    ];
    let mut raw = asked(&proxy, &parameters).await;
    raw.send(&bearer(&token(&claims))).await;
    let messages = raw.until(b'Z').await;
    assert_eq!(messages[0], (b'R', vec![0; 4]), "{messages:?}");
    // Nothing of it is a setting of the session.
    assert_eq!(raw.value("SELECT count(*) FROM pg_settings WHERE name LIKE 'hansard.%'").await, "0");
    assert_eq!(raw.value("SELECT coalesce(current_setting('hansard.purpose', true), 'none')").await, "none");
    drop(raw);
    let jobs = ended(&proxy, 1).await;
    let opened = jobs[0].opened();
    assert_eq!((opened.purpose.as_str(), opened.traceparent.as_str()), ("TICKET-1: rerank", trace));
    let told = jobs[0].kinds().find_map(|kind| match kind {
        Kind::Authenticated(told) => Some(told),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told.authentication.as_str(), told.subject.as_str()), ("oauthbearer", "service-account"));
    let actors: Vec<_> = told.actors.iter().map(|actor| (actor.subject.as_str(), actor.issuer.as_str())).collect();
    assert_eq!(actors, [("runner-7", "https://ci.example"), ("gateway", "")]);
    assert_eq!(jobs[0].withheld(), ["password", "cancel key"]);
    assert!(!format!("{:?}", jobs[0]).contains("Bearer"));
}

/// What a refused client is told by the mechanism, and then by PostgreSQL.
async fn refused(mut raw: Raw, message: &[u8]) -> (Value, (String, String)) {
    raw.send(message).await;
    let (tag, body): Message = raw.message().await.unwrap();
    assert_eq!((tag, &body[..4]), (b'R', &[0, 0, 0, 11][..]), "{body:?}");
    raw.send(&response(b"\x01")).await;
    (serde_json::from_slice(&body[4..]).unwrap(), raw.fatal().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bearer_token_is_refused_as_the_mechanism_has_it() {
    let mut plan = Plan::new();
    plan.options.targets[0].authentication = Authentication::OAuthBearer;
    let proxy = plan.start().await;
    let mut expired = claims();
    expired["exp"] = json!(1);
    for (message, sqlstate, reason) in [
        (bearer(&token(&expired)), "28P01", "the token expired at"),
        (bearer("xq9-marker"), "28P01", "is not a token"),
        // A client that has none asks where to get one.
        (initial("n,,\x01auth=\x01\x01"), "28P01", "no token was sent"),
    ] {
        let (told, (code, said)) = refused(asked(&proxy, &[]).await, &message).await;
        assert_eq!(told["status"], "invalid_token");
        // Of an issuer whose keys are in a file there is no such document, and null is none.
        assert!(told.get("openid-configuration").is_none(), "{told}");
        assert_eq!(code, sqlstate);
        assert!(said.contains(reason), "{said}");
    }
    // The first that names the mechanism and is not as it has it, is a violation of the protocol.
    for message in
        [initial("n,,\x01auth=xq9-marker\x01\x01"), response(b"SCRAM-SHA-256\0\0\0\0\x01n"), response(b"xq9-marker")]
    {
        let mut raw = asked(&proxy, &[]).await;
        raw.send(&message).await;
        assert_eq!(raw.fatal().await.0, "08P01");
    }
    let mut raw = asked(&proxy, &[]).await;
    raw.send(&[b"p".as_slice(), &u32::MAX.to_be_bytes()].concat()).await;
    assert_eq!(raw.fatal().await.0, "08P01");
    let mut raw = asked(&proxy, &[]).await;
    raw.send(&[b"p".as_slice(), &20_000_u32.to_be_bytes()].concat()).await;
    assert_eq!(raw.fatal().await.0, "28P01");
    for job in ended(&proxy, 8).await {
        assert!(!format!("{job:?}").contains("xq9-marker"), "{job:#?}");
        assert!(job.kinds().any(|kind| matches!(kind, Kind::AuthenticationFailed(_))));
    }
    // Who has heard that it is refused need not say so: the reason is recorded all the same.
    for answer in [&b""[..], b"X\0\0\0\x04", b"Q\0\0\0\x05\0", b"p\0\0\0\x04"] {
        let mut raw = asked(&proxy, &[]).await;
        raw.send(&bearer(&token(&expired))).await;
        assert_eq!(raw.message().await.unwrap().0, b'R');
        raw.send(answer).await;
    }
    let jobs = ended(&proxy, 12).await;
    let named = jobs.iter().flat_map(Recorded::kinds).filter(|kind| match kind {
        Kind::AuthenticationFailed(failed) => failed.job == "nightly-rerank" && failed.message.contains("expired"),
        _ => false,
    });
    assert_eq!(named.count(), 5);
    // A job may still say that it sends the token as a password.
    let mut raw = Raw::connect(proxy.address).await;
    let parameters = [("user", "nightly"), ("database", "ranking"), ("hansard.authentication", "password")];
    raw.send(&startup(&parameters)).await;
    assert_eq!(raw.message().await.unwrap(), (b'R', vec![0, 0, 0, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_hansards_own_are_not_the_jobs_to_set() {
    let proxy = RunningProxy::start().await;
    for parameter in [
        ("hansard.job", "root"),
        ("HANSARD.job", "root"),
        ("options", "-c hansard.job=root"),
        ("options", "--hansard.session=x"),
        ("hansard.authentication", "none"),
        ("hansard.traceparent", "xq9-marker"),
    ] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup(&[("user", "nightly"), ("database", "ranking"), parameter])).await;
        let (code, said) = raw.fatal().await;
        assert_eq!(code, "0A000", "{parameter:?}");
        assert!(said.contains("start-up parameter \"hansard."), "{said}");
    }
    assert!(!format!("{:?}", ended(&proxy, 6).await).contains("xq9-marker"));
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&[("user", "nightly"), ("database", "ranking"), CHOSEN[0]])).await;
    assert_eq!(raw.message().await.unwrap().1, OFFER);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_has_to_be_said_whole() {
    let proxy = RunningProxy::start().await;
    let nested = |depth: usize| (0..depth).fold(json!({ "sub": "last" }), |act, _| json!({ "sub": "x", "act": act }));
    for act in [
        json!("runner"),
        json!({}),
        json!({ "sub": "" }),
        json!({ "sub": "x", "iss": 1 }),
        json!({ "sub": "x", "act": [] }),
        nested(8),
    ] {
        let mut claims = claims();
        claims["act"] = act.clone();
        let mut raw = asked(&proxy, &CHOSEN).await;
        let (_, (code, said)) = {
            raw.send(&bearer(&token(&claims))).await;
            let message = raw.message().await.unwrap();
            raw.send(&response(b"\x01")).await;
            (message, raw.fatal().await)
        };
        assert_eq!(code, "28000", "{act}");
        assert!(said.contains("claim \"act\""), "{said}");
    }
    let mut claims = claims();
    claims["act"] = nested(7);
    let mut raw = asked(&proxy, &CHOSEN).await;
    raw.send(&bearer(&token(&claims))).await;
    assert_eq!(raw.until(b'Z').await[0], (b'R', vec![0; 4]));
}
