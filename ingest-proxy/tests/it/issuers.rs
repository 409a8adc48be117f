//! Keys that issuers are asked for, with jobs that log in meanwhile: rotated, down, slow, and garbage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hansard_identity::count_keys;
use hansard_identity::{KeySource, RemoteKeys};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;
use crate::proxy::{Plan, RunningProxy, claims, connect, key, key_set, signed};

/// An issuer's web server, as a test wants it.
struct Served {
    url: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
    authority: Authority,
}

#[derive(Clone)]
enum Answers {
    /// Documents at their paths: the configuration and the key set.
    Keys(JwkSet),
    /// This, whatever is asked for.
    Raw(Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// The connection is closed.
    Closed,
}

fn document(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

impl Served {
    async fn start(answers: Answers) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let authority = Authority::new("of the issuer");
        let acceptor = TlsAcceptor::from(authority.sign("issuer", &["localhost"]).server());
        let (answers, asked) = (Arc::new(Mutex::new(answers)), Arc::new(AtomicUsize::new(0)));
        let served = Served { url: url.clone(), answers: answers.clone(), asked: asked.clone(), authority };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answers, asked, url) = (acceptor.clone(), answers.clone(), asked.clone(), url.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        request.push(byte);
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                    let answers = answers.lock().clone();
                    let answer = match answers {
                        Answers::Keys(_) if request.starts_with(b"GET /.well-known/openid-configuration ") => {
                            document(&format!("{{\"issuer\": \"{url}\", \"jwks_uri\": \"{url}/keys\"}}"))
                        }
                        Answers::Keys(keys) => document(&serde_json::to_string(&keys).unwrap()),
                        Answers::Raw(bytes) => bytes,
                        Answers::Silence => return std::future::pending().await,
                        Answers::Closed => return,
                    };
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        served
    }

    fn answer(&self, answers: Answers) {
        *self.answers.lock() = answers;
    }

    /// A proxy that asks this issuer.
    fn plan(&self) -> Plan {
        let mut plan = Plan::new();
        let ca_file = self.authority.write(plan.folder(), "issuer-ca.crt");
        let issuer = &mut plan.options.identity.issuers[0];
        issuer.issuer.clone_from(&self.url);
        issuer.keys =
            KeySource::Remote(RemoteKeys { url: None, ca_file: Some(ca_file), max_age: Duration::from_secs(86_400) });
        plan
    }

    fn token(&self, key_id: &str, with: &str) -> String {
        let mut claims = claims();
        claims["iss"] = self.url.clone().into();
        signed(&claims, Algorithm::ES256, key_id, with)
    }
}

async fn logs_in(proxy: &RunningProxy, token: &str) -> Result<(), String> {
    match connect(&proxy.dsn(token)).await {
        Ok(client) => {
            client.query_one("SELECT 1", &[]).await.unwrap();
            Ok(())
        }
        // Where there is no place to wait for a refusal, the connection is closed.
        Err(error) => Err(error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())),
    }
}

/// With a key that is not one of the set of the tests.
fn rotated() -> JwkSet {
    let mut stranger = Jwk::from_encoding_key(&key("stranger"), Algorithm::ES256).unwrap();
    stranger.common.key_id = Some("new".to_owned());
    JwkSet { keys: vec![stranger] }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_discovered_and_taken_anew_when_the_issuer_changes_them() {
    let served = Served::start(Answers::Keys(key_set())).await;
    let proxy = served.plan().start().await;
    logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
    let session = connect(&proxy.dsn(&served.token("es256", "es256"))).await.unwrap();
    let stranger = served.token("new", "stranger");
    assert!(logs_in(&proxy, &stranger).await.unwrap_err().contains("has no key \"new\""));

    // Whoever sends tokens, the issuer is asked at most every 3 s.
    let asked = served.asked.load(Ordering::SeqCst);
    let many = (0..50).map(|_| logs_in(&proxy, &stranger));
    assert!(futures::future::join_all(many).await.iter().all(Result::is_err));
    let more = served.asked.load(Ordering::SeqCst) - asked;
    assert!(more <= 2, "{more} requests for 50 tokens of nobody");

    served.answer(Answers::Keys(rotated()));
    let begun = Instant::now();
    while let Err(reason) = logs_in(&proxy, &stranger).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{reason}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The key that is gone lets nobody in; who is in stays.
    assert!(logs_in(&proxy, &served.token("es256", "es256")).await.is_err());
    session.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_outlast_an_issuer_that_is_down_and_unknown_ones_fail() {
    let served = Served::start(Answers::Keys(key_set())).await;
    let proxy = served.plan().start().await;
    logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
    let huge = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 3 << 20]].concat();
    let endless_header = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
    let elsewhere = format!("HTTP/1.1 302 Found\r\nLocation: {}/keys\r\n\r\n", served.url).into_bytes();
    let other = document("{\"issuer\": \"https://evil.example\", \"jwks_uri\": \"https://evil.example/keys\"}");
    let endless =
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"1\r\n \r\n".repeat(2 << 20)].concat();
    let plain = document(&format!("{{\"issuer\": \"{}\", \"jwks_uri\": \"http://evil.example/keys\"}}", served.url));
    let nothing = document("{\"keys\": []}");
    let symmetric = document("{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\", \"kid\": \"new\"}]}");
    for raw in [
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n".to_vec(),
        b"garbage\r\n\r\n".to_vec(),
        huge,
        endless_header,
        elsewhere,
        endless,
        other,
        plain,
        nothing,
        symmetric,
    ] {
        served.answer(Answers::Raw(raw.clone()));
        assert!(fetch(&served).await.is_err(), "{:?}", String::from_utf8_lossy(&raw[..raw.len().min(200)]));
        assert!(logs_in(&proxy, &served.token("new", "stranger")).await.is_err());
        logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
    }
    served.answer(Answers::Silence);
    let begun = Instant::now();
    let reason = fetch(&served).await.unwrap_err();
    assert!(reason.contains("did not answer within 5 s") && begun.elapsed() < Duration::from_secs(20), "{reason}");
    logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
}

/// What `hansard check` finds.
async fn fetch(served: &Served) -> Result<usize, String> {
    count_keys(&served.plan().options.identity.issuers[0]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_nobody_is_let_in_until_it_is_there() {
    let served = Served::start(Answers::Closed).await;
    let proxy = served.plan().start().await;
    let token = served.token("es256", "es256");
    let reason = logs_in(&proxy, &token).await.unwrap_err();
    assert_eq!(reason, "the keys of issuer \"ci\" are not known at present");
    served.answer(Answers::Keys(key_set()));
    let begun = Instant::now();
    while let Err(reason) = logs_in(&proxy, &token).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{reason}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_not_believed_for_ever() {
    let served = Served::start(Answers::Keys(key_set())).await;
    let mut plan = served.plan();
    let KeySource::Remote(remote) = &mut plan.options.identity.issuers[0].keys else { unreachable!() };
    remote.max_age = Duration::from_secs(4);
    let proxy = plan.start().await;
    logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
    served.answer(Answers::Closed);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let reason = logs_in(&proxy, &served.token("es256", "es256")).await.unwrap_err();
    assert!(reason.contains("are not known at present"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_under_its_name_is_taken() {
    let mut first = key_set();
    first.keys.truncate(1);
    let served = Served::start(Answers::Keys(first)).await;
    let proxy = served.plan().start().await;
    logs_in(&proxy, &served.token("es256", "es256")).await.unwrap();
    let mut second = rotated();
    second.keys[0].common.key_id = Some("es256".to_owned());
    served.answer(Answers::Keys(second));
    logs_in(&proxy, &served.token("es256", "stranger")).await.unwrap();
    let reason = logs_in(&proxy, &served.token("es256", "es256")).await.unwrap_err();
    assert!(reason.contains("the token's signature is not one of issuer"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_hangs_takes_no_places_from_others() {
    let served = Served::start(Answers::Silence).await;
    let mut plan = served.plan();
    let mut other = plan.options.identity.issuers[0].clone();
    (other.name, other.issuer) = ("other".to_owned(), "https://other.example".to_owned());
    other.keys = KeySource::File(plan.folder().join("jwks.json"));
    plan.options.identity.issuers.push(other);
    plan.options.max_unauthenticated = 80;
    let proxy = plan.start().await;
    let mut of_other = claims();
    of_other["iss"] = "https://other.example".into();
    let of_other = signed(&of_other, Algorithm::ES256, "es256", "es256");
    let hanging = served.token("es256", "es256");
    let flood = futures::future::join_all((0..300).map(|_| logs_in(&proxy, &hanging)));
    let others = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            // Places are taken for as long as it takes to be refused.
            let begun = Instant::now();
            while let Err(reason) = logs_in(&proxy, &of_other).await {
                assert!(begun.elapsed() < Duration::from_secs(3), "{reason}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let (refused, ()) = tokio::join!(flood, others);
    assert!(refused.iter().all(Result::is_err));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_nobody_known_is_not_believed() {
    let served = Served::start(Answers::Keys(key_set())).await;
    assert_eq!(fetch(&served).await, Ok(3));
    let mut plan = served.plan();
    let ca_file = Authority::new("another").write(plan.folder(), "another-ca.crt");
    let issuer = &mut plan.options.identity.issuers[0];
    issuer.keys = KeySource::Remote(RemoteKeys { url: None, ca_file: Some(ca_file), max_age: Duration::from_secs(60) });
    let reason = count_keys(issuer).await.unwrap_err();
    assert!(reason.contains("TLS: "), "{reason}");
}
