//! TLS between job and proxy.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hansard_ingest_proxy::{ClientCertificates, Error, OptionsError};
use hansard_schemas::events::{Direction, event::Kind};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::certificates::{Authority, client, handshake};
use crate::proxy::{Plan, RunningProxy, claims, dsn, token};
use crate::raw::{GSSENC_REQUEST, Raw, SSL_REQUEST, frame, query, startup};
use crate::record;

/// Runs a query by libpq with more in its connection string.
async fn psql(proxy: &RunningProxy, more: &str, sql: &str) -> Output {
    tokio::process::Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-d", &format!("{} {more}", dsn(proxy.address, &token(&claims()))), "-c", sql])
        .output()
        .await
        .expect("psql is needed: install the package postgresql-client")
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The TCP connection, up to the answer to an SSLRequest.
async fn asked(proxy: &RunningProxy) -> TcpStream {
    let mut raw = Raw::connect(proxy.address).await;
    assert_eq!(raw.ask(SSL_REQUEST).await, 'S');
    raw.stream
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_connects_with_sslmode_require_and_verify_full() {
    let authority = Authority::new("jobs");
    let plan = Plan::new().tls(&authority);
    let ca = authority.write(plan.folder(), "ca.crt");
    let stranger = Authority::new("stranger").write(plan.folder(), "stranger.crt");
    let proxy = plan.start().await;
    let verify = |mode: &str, ca: &Path| format!("sslmode={mode} sslrootcert={}", ca.display());
    for more in ["sslmode=require".to_owned(), verify("verify-ca", &ca), verify("verify-full", &ca)] {
        assert_eq!(printed(&psql(&proxy, &more, "SELECT 42").await), "42", "{more}");
    }
    let refused = complained(&psql(&proxy, &verify("verify-full", &stranger), "SELECT 42").await);
    assert!(refused.contains("certificate verify failed"), "{refused}");
    // A record tells that TLS was asked for and given, and holds what was said in it.
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().filter(|job| job.end().is_some()).count() == 4).await;
    let sql = query("SELECT 42");
    let frontend = jobs[0].bytes(Direction::Frontend);
    assert!(frontend.starts_with(&SSL_REQUEST) && frontend.windows(sql.len()).any(|window| window == sql));
    assert!(jobs[0].bytes(Direction::Backend).starts_with(b"SR"));
    assert_eq!(jobs[0].end(), Some("terminated by job"));
    assert_eq!(jobs[3].end(), Some("not authenticated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_is_taken_only_where_it_is_allowed() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let refused = complained(&psql(&proxy, "sslmode=disable", "SELECT 1").await);
    assert!(refused.contains("sessions without TLS are not taken here"), "{refused}");
    assert!(refused.contains("sslmode=verify-full"), "{refused}");
    // Before a token was asked for.
    let recorded = record::closed(&proxy.log).await;
    assert_eq!((recorded.end(), recorded.withheld()), (Some("not authenticated"), vec!["not identified"]));

    let mut plan = Plan::new().tls(&authority);
    plan.options.targets[0].allow_plaintext = true;
    let proxy = plan.start().await;
    for more in ["sslmode=disable", "sslmode=require"] {
        assert_eq!(printed(&psql(&proxy, more, "SELECT 1").await), "1", "{more}");
    }

    // Off the machine it needs TLS or the word.
    let mut plan = Plan::new();
    plan.options.targets[0].listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(plan.bind(), Err(Error::Options(OptionsError::Plaintext { .. }))));
    let mut plan = Plan::new().tls(&authority);
    plan.options.targets[0].listen = "0.0.0.0:0".parse().unwrap();
    plan.bind().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_needs_alpn() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let connect = async |protocols: &[&str]| {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        handshake(&client(&authority, None, protocols), stream).await
    };
    let mut raw = Raw::over(connect(&["postgresql"]).await.unwrap());
    raw.log_in(&token(&claims())).await;
    assert_eq!(raw.value("SELECT 6 * 7").await, "42");
    raw.send(&frame(b'X', b"")).await;
    assert!(raw.message().await.is_none());
    assert_eq!(record::closed(&proxy.log).await.end(), Some("terminated by job"));
    // Encryption is not asked for in it.
    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let mut raw = Raw::over(connect(&["postgresql"]).await.unwrap());
        raw.send(&request).await;
        assert_eq!(raw.fatal().await.0, "08P01");
    }
    let mut nameless = Raw::over(connect(&[]).await.unwrap());
    let (sqlstate, message) = nameless.fatal().await;
    assert_eq!((sqlstate.as_str(), message.as_str()), ("28000", "a direct TLS connection has to name its protocol"));
    let error = connect(&["http/1.1"]).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // With a request before it, a name is not needed, but it must not be another's.
    let mut raw = Raw::over(handshake(&client(&authority, None, &[]), asked(&proxy).await).await.unwrap());
    raw.log_in(&token(&claims())).await;
    assert!(handshake(&client(&authority, None, &["http/1.1"]), asked(&proxy).await).await.is_err());
    // A target without a certificate answers with an alert.
    let plain = RunningProxy::start().await;
    let stream = TcpStream::connect(plain.address).await.unwrap();
    let error = handshake(&client(&authority, None, &["postgresql"]), stream).await.unwrap_err();
    assert!(error.to_string().contains("HandshakeFailure"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_sent_before_tls_is_up_are_refused() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let injected = startup(&[("user", "mallory"), ("database", "ranking")]);
    // In one go with the request, as somebody in between would put them there (CVE-2021-23214).
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&[&SSL_REQUEST[..], &injected].concat()).await;
    assert_eq!(raw.fatal().await.1, "received data after a request for encryption");
    // After the request has been read, and before the handshake: they are no handshake, and nothing comes after them.
    let mut stream = asked(&proxy).await;
    stream.write_all(&injected).await.unwrap();
    let error = handshake(&client(&authority, None, &[]), stream).await.unwrap_err();
    assert_ne!(error.kind(), std::io::ErrorKind::NotConnected);
    // In front of direct TLS: a first byte decides, and then it is a start-up packet, in plain text.
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&injected).await;
    assert_eq!(raw.fatal().await.1, "sessions without TLS are not taken here");
    // A session that follows is nobody else's.
    let mut raw = Raw::over(handshake(&client(&authority, None, &[]), asked(&proxy).await).await.unwrap());
    raw.log_in(&token(&claims())).await;
    assert_eq!(raw.value("SELECT 1").await, "1");
    drop(raw);
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 4 && jobs.iter().all(|job| job.end().is_some())).await;
    let authenticated = |kind: &Kind| matches!(kind, Kind::Authenticated(_));
    assert_eq!(jobs.iter().filter(|job| job.kinds().any(authenticated)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn gss_encryption_is_declined_and_tls_may_follow() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let mut raw = Raw::connect(proxy.address).await;
    assert_eq!(raw.ask(GSSENC_REQUEST).await, 'N');
    assert_eq!(raw.ask(SSL_REQUEST).await, 'S');
    let mut raw = Raw::over(handshake(&client(&authority, None, &[]), raw.stream).await.unwrap());
    raw.log_in(&token(&claims())).await;
    assert_eq!(raw.value("SELECT 1").await, "1");
    // Once each, and not within TLS.
    let mut raw = Raw::connect(proxy.address).await;
    assert_eq!(raw.ask(GSSENC_REQUEST).await, 'N');
    raw.send(&GSSENC_REQUEST).await;
    assert_eq!(raw.fatal().await.1, "encryption was asked for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_are_optional_or_required() {
    let authority = Authority::new("jobs");
    let good = authority.sign("job", &[]);
    let bad = Authority::new("stranger").sign("job", &[]);
    for wanted in [ClientCertificates::Optional, ClientCertificates::Required] {
        let proxy = Plan::new().client_certificates(&authority, wanted).start().await;
        for (own, welcome) in [(Some(&good), true), (Some(&bad), false), (None, wanted == ClientCertificates::Optional)]
        {
            let connector = client(&authority, own, &["postgresql"]);
            let stream = TcpStream::connect(proxy.address).await.unwrap();
            // With TLS 1.3 the client is done before the server has looked at its certificate.
            let answer = match handshake(&connector, stream).await {
                Ok(stream) => {
                    let mut raw = Raw::over(stream);
                    raw.stream.write_all(&startup(&[("user", "nightly")])).await.unwrap();
                    raw.message().await.map(|(tag, _)| tag)
                }
                Err(_) => None,
            };
            assert_eq!(answer == Some(b'R'), welcome, "{wanted:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_of_no_use_without_its_certificate() {
    let authority = Authority::new("jobs");
    let (own, other) = (authority.sign("job", &[]), authority.sign("thief", &[]));
    let mut plan = Plan::new().client_certificates(&authority, ClientCertificates::Optional);
    plan.options.targets[0].allow_plaintext = true;
    let proxy = plan.start().await;
    let mut bound = claims();
    bound["cnf"] = serde_json::json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(own.sha256()) });
    let bound = token(&bound);
    for (shown, reason) in [
        (Some(&own), None),
        (Some(&other), Some("another TLS certificate")),
        (None, Some("this connection shows none")),
    ] {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        let mut raw = Raw::over(handshake(&client(&authority, shown, &["postgresql"]), stream).await.unwrap());
        match reason {
            None => raw.log_in(&bound).await,
            Some(reason) => {
                raw.send(&startup(&[("user", "nightly"), ("database", "ranking")])).await;
                assert_eq!(raw.message().await.unwrap().0, b'R');
                raw.send(&frame(b'p', &[bound.as_bytes(), b"\0"].concat())).await;
                let (code, message) = raw.fatal().await;
                assert!(code == "28P01" && message.contains(reason), "{code} {message}");
            }
        }
    }
    assert!(crate::proxy::connect(&proxy.dsn(&bound)).await.is_err(), "in the clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_says_how_a_connection_was_encrypted() {
    let authority = Authority::new("jobs");
    let own = authority.sign("reranker, \u{1b}[1mnightly", &[]);
    let mut plan = Plan::new().client_certificates(&authority, ClientCertificates::Optional);
    plan.options.targets[0].allow_plaintext = true;
    let proxy = plan.start().await;
    for own in [Some(&own), None] {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        let mut raw = Raw::over(handshake(&client(&authority, own, &["postgresql"]), stream).await.unwrap());
        raw.log_in(&token(&claims())).await;
    }
    let mut plain = Raw::session(proxy.address, &token(&claims())).await;
    plain.send(&frame(b'X', b"")).await;
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 3 && jobs.iter().all(|job| job.end().is_some())).await;
    let [with, without, plain] = &jobs.iter().map(|job| job.opened().tls.clone()).collect::<Vec<_>>()[..] else {
        panic!("{jobs:?}")
    };
    assert_eq!(*plain, None);
    let without = without.as_ref().unwrap();
    assert_eq!((without.version.as_str(), without.client_certificate.as_ref()), ("TLSv1.3", None));
    assert!(
        ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
            .contains(&&*without.cipher)
    );
    let shown = with.as_ref().unwrap().client_certificate.as_ref().unwrap();
    assert_eq!(shown.sha256, own.sha256());
    // The name is the job's authority's: text of its choice stays in its place.
    assert!(shown.subject.starts_with("CN=reranker\\, ") && !shown.subject.contains('\u{1b}'), "{:?}", shown.subject);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_taken_anew_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let proxy = Plan::new().tls(&old).start().await;
    let accepts = async |authority: &Authority| {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        handshake(&client(authority, None, &["postgresql"]), stream).await.is_ok()
    };
    let mut open = Raw::over(handshake(&client(&old, None, &[]), asked(&proxy).await).await.unwrap());
    open.log_in(&token(&claims())).await;
    assert!(!accepts(&new).await);
    // Broken ones change nothing.
    std::fs::write(proxy.folder.path().join("job.crt"), "not a certificate").unwrap();
    for _ in 0..30 {
        assert!(accepts(&old).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    new.sign("hansard", &["127.0.0.1"]).write(proxy.folder.path(), "job");
    for _ in 0..100 {
        if accepts(&new).await {
            // Whoever is there stays.
            assert_eq!(open.value("SELECT 1").await, "1");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new certificate is not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_certificates_are_named_when_the_proxy_starts() {
    let authority = Authority::new("jobs");
    let complains = |change: &dyn Fn(&Path), expected: &str| {
        let plan = Plan::new().tls(&authority);
        change(plan.folder());
        let folder = plan.folder().display().to_string();
        let error = plan.bind().unwrap_err().to_string().replace(&format!("{folder}/"), "");
        assert!(error.starts_with(&format!("target \"ranking\": {expected}")), "{error}");
        assert!(!error.contains('\n') && !error.contains("PRIVATE KEY"), "{error}");
    };
    let write =
        |name: &'static str, text: &'static str| move |folder: &Path| std::fs::write(folder.join(name), text).unwrap();
    complains(&|folder| std::fs::remove_file(folder.join("job.crt")).unwrap(), "tls.cert_file job.crt: No such file");
    complains(&write("job.crt", ""), "tls.cert_file job.crt: holds no certificate in PEM form");
    complains(
        &write("job.crt", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"),
        "tls.cert_file job.crt: is not valid PEM",
    );
    complains(&write("job.key", "x"), "tls.key_file job.key: holds no private key in PEM form");
    let other = |folder: &Path| std::fs::write(folder.join("job.key"), authority.sign("x", &[]).key).unwrap();
    complains(&other, "tls.key_file job.key: is not the key of the certificate in tls.cert_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_pass_both_ways() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let mut raw = Raw::over(
        handshake(&client(&authority, None, &["postgresql"]), TcpStream::connect(proxy.address).await.unwrap())
            .await
            .unwrap(),
    );
    raw.log_in(&token(&claims())).await;
    let value = "v".repeat(5_000_000);
    assert_eq!(raw.value(&format!("SELECT length('{value}')")).await, value.len().to_string());
    raw.send(&query("SELECT repeat('w', 5000000)")).await;
    let messages = raw.until(b'Z').await;
    let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
    assert!(row.len() == 6 + value.len() && row.ends_with(b"wwww"));
    // Many small messages in one write.
    raw.send(&query("SELECT 1").repeat(5000)).await;
    for _ in 0..5000 {
        assert_eq!(raw.until(b'Z').await.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_closes_its_half_is_still_answered() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let mut raw = Raw::over(handshake(&client(&authority, None, &[]), asked(&proxy).await).await.unwrap());
    raw.log_in(&token(&claims())).await;
    raw.close_half_and_read_the_answer().await;
    assert_eq!(record::closed(&proxy.log).await.end(), Some("closed by job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_without_tls_own_goodbye_has_still_said_terminate() {
    let authority = Authority::new("jobs");
    let proxy = Plan::new().tls(&authority).start().await;
    let mut raw = Raw::over(handshake(&client(&authority, None, &[]), asked(&proxy).await).await.unwrap());
    raw.log_in(&token(&claims())).await;
    raw.send(&frame(b'X', b"")).await;
    let (tcp, _) = raw.stream.into_inner();
    drop(tcp);
    assert_eq!(record::closed(&proxy.log).await.end(), Some("terminated by job"));
}
