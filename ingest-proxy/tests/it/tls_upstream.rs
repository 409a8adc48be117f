//! TLS and authentication between proxy and database. Jobs show tokens, so SCRAM and its channel binding are between
//! Hansard and the database alone: there is no exchange of the job's from which PLUS could be stripped.

use std::time::Duration;

use hansard_ingest_proxy::check_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{Authority, client, handshake, self_signed};
use crate::cluster::Cluster;
use crate::fake;
use crate::proxy::{Plan, RunningProxy, claims, connect, token};
use crate::raw::{Raw, SSL_REQUEST, frame, query};
use crate::record;
use crate::tap::Tap;

const IS_ENCRYPTED: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// What a session's first answer is: the value of a query, or the SQLSTATE it is refused with.
async fn ask(proxy: &RunningProxy, sql: &str) -> Result<String, String> {
    match connect(&proxy.dsn(&token(&claims()))).await {
        Ok(client) => Ok(client.query_one(sql, &[]).await.unwrap().get(0)),
        Err(error) => Err(error.code().unwrap_or_else(|| panic!("{error}")).code().to_owned()),
    }
}

/// What `hansard check` finds wrong.
async fn finding(plan: &Plan) -> String {
    check_target(&plan.options.targets[0]).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_reaches_the_database() {
    for (user, parameters, encrypted) in [
        ("app_scram", "", "false"),
        ("app_scram", "sslmode=disable", "false"),
        ("app_tls", "sslmode=require", "true"),
        ("app_tls", "sslmode=verify-ca&sslrootcert=CA", "true"),
        ("app_tls", "sslmode=verify-full&sslrootcert=CA", "true"),
        ("app_tls", "sslmode=verify-full&sslrootcert=CA&channel_binding=require", "true"),
        ("app_tls", "sslmode=verify-full&sslrootcert=CA&channel_binding=disable", "true"),
    ] {
        let plan = Plan::new().upstream(user, parameters);
        let found = check_target(&plan.options.targets[0]).await.unwrap();
        assert_eq!(found.contains(" with TLS: PostgreSQL"), encrypted == "true", "{found}");
        let proxy = plan.start().await;
        assert_eq!(ask(&proxy, IS_ENCRYPTED).await.as_deref(), Ok(encrypted), "{parameters}");
        // The keys of the first session's password serve the second.
        assert_eq!(ask(&proxy, "SELECT current_user::text").await.as_deref(), Ok(user), "{parameters}");
        let jobs = record::until(&proxy.log, |jobs| jobs.len() == 2).await;
        for job in jobs {
            let began = job.authenticated();
            assert_eq!(began.search_path_setting.as_deref(), Some("\"$user\", public"), "{parameters}");
            assert_eq!((began.role.as_str(), began.session_role.as_str()), (user, user), "{parameters}");
        }
    }
    // The server wants it, and the target's URL does not.
    let proxy = Plan::new().upstream("app_tls", "").start().await;
    assert_eq!(ask(&proxy, "SELECT 1").await, Err("08004".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_fit_is_refused() {
    let stranger = Authority::new("stranger");
    for mode in ["verify-ca", "verify-full"] {
        let plan = Plan::new().upstream("app_tls", &format!("sslmode={mode}&sslrootcert=CA"));
        std::fs::write(plan.folder().join("upstream-ca.crt"), &stranger.pem).unwrap();
        let line = finding(&plan).await;
        assert!(line.contains("TLS with it failed: invalid peer certificate: UnknownIssuer; see sslmode"), "{line}");
        let proxy = plan.start().await;
        assert_eq!(ask(&proxy, "SELECT 1").await, Err("08001".to_owned()), "{mode}");
    }
    // The right authority, another name: 127.0.0.1 is in the certificate, localhost is not.
    for (mode, fits) in [("verify-ca", true), ("verify-full", false)] {
        let mut plan = Plan::new().upstream("app_tls", &format!("sslmode={mode}&sslrootcert=CA"));
        plan.options.targets[0].upstream.host = "localhost".to_owned();
        assert_eq!(check_target(&plan.options.targets[0]).await.is_ok(), fits, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_signs_itself_is_good_where_it_is_named() {
    let (good, other) = (self_signed(&["127.0.0.1"], 4096), self_signed(&["127.0.0.1"], 4096));
    let (elsewhere, expired) = (self_signed(&["db.example"], 4096), self_signed(&["127.0.0.1"], 2000));
    let welcome = [fake::ask(0, &[]), frame(b'Z', b"I")].concat();
    for (name, shown, named, mode, fits) in [
        ("named", &good, &good, "verify-full", true),
        ("another one is named", &good, &other, "verify-full", false),
        ("for another host", &elsewhere, &elsewhere, "verify-full", false),
        ("for another host, which is not asked", &elsewhere, &elsewhere, "verify-ca", true),
        ("expired", &expired, &expired, "verify-ca", false),
    ] {
        let words = welcome.clone();
        let address = fake::tls_server(shown, move |mut raw| {
            let words = words.clone();
            async move {
                fake::answered(&mut raw, &words).await;
            }
        })
        .await;
        let plan = Plan::new().upstream_at(address.port(), "app", &format!("sslmode={mode}&sslrootcert=CA"));
        std::fs::write(plan.folder().join("upstream-ca.crt"), &named.certificate).unwrap();
        let found = check_target(&plan.options.targets[0]).await;
        assert_eq!(found.is_ok(), fits, "{name}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hansard_shows_its_own_certificate() {
    let parameters = "sslmode=verify-full&sslrootcert=CA&sslcert=OWN.crt&sslkey=OWN.key";
    let plan = Plan::new();
    let own = plan.folder().join("own").display().to_string();
    let own_certificate = Cluster::get().authority.sign("app_certificate", &[]);
    own_certificate.write(plan.folder(), "own");
    let proxy = plan.upstream("app_certificate", &parameters.replace("OWN", &own)).start().await;
    assert_eq!(ask(&proxy, "SELECT current_user::text").await.as_deref(), Ok("app_certificate"));
    let proxy = Plan::new().upstream("app_certificate", "sslmode=verify-full&sslrootcert=CA").start().await;
    assert_eq!(ask(&proxy, "SELECT 1").await, Err("08004".to_owned()));
    // What cannot be used is named when the proxy starts.
    let plan = Plan::new();
    let other = plan.folder().join("own");
    own_certificate.write(plan.folder(), "own");
    std::fs::write(other.with_extension("key"), Authority::new("x").sign("x", &[]).key).unwrap();
    let plan = plan.upstream("app_certificate", &parameters.replace("OWN", &other.display().to_string()));
    let error = plan.bind().unwrap_err().to_string();
    assert!(error.ends_with("own.key: is not the key of the certificate in sslcert"), "{error}");
    let error = Plan::new().upstream("x", "sslmode=verify-full&sslrootcert=/nowhere.crt").bind().unwrap_err();
    assert!(error.to_string().contains("sslrootcert /nowhere.crt: No such file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn require_never_goes_on_in_plain_text() {
    let error = frame(b'E', b"SFATAL\0VFATAL\0C28000\0Mcome in without\0\0");
    let ready = [fake::ask(0, &[]), frame(b'Z', b"I")].concat();
    for (words, reason) in [
        (&b"N"[..], "it does not offer TLS"),
        (&error, "it answered a request for TLS with something else"),
        (&[b"S", &ready[..]].concat(), "it sent data before TLS was up"),
        (&ready, "it answered a request for TLS with something else"),
    ] {
        let (address, heard) = fake::saying(words).await;
        let proxy = Plan::new().upstream_at(address.port(), "app", "sslmode=require").start().await;
        assert_eq!(ask(&proxy, "SELECT 1").await, Err("08001".to_owned()), "{reason}");
        let plan = Plan::new().upstream_at(address.port(), "app", "sslmode=require");
        let line = finding(&plan).await;
        assert!(line.contains(reason), "{line}");
        // The session's own connection, those for the catalog, and the check's: nobody said more than the request.
        for _ in 0..200 {
            if heard.lock().len() >= 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(heard.lock().len() >= 3);
        assert!(heard.lock().iter().all(|heard| heard[..] == SSL_REQUEST[..]), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_is_bound_to_the_certificate() {
    // Somebody in between, with a certificate of its own and the server's for itself: it passes everything on.
    let stranger = Authority::new("stranger").sign("server", &["127.0.0.1"]);
    let between = fake::tls_server(&stranger, |mut job| async move {
        let cluster = Cluster::get();
        let mut server = TcpStream::connect(("127.0.0.1", cluster.port)).await.unwrap();
        server.write_all(&SSL_REQUEST).await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        let mut server = handshake(&client(&cluster.authority, None, &[]), server).await.unwrap();
        // Ends when one of them has heard enough.
        let _ = tokio::io::copy_bidirectional(&mut job.stream, &mut server).await;
    })
    .await;
    let start = async |channel_binding: &str| {
        let parameters = format!("sslmode=require&channel_binding={channel_binding}");
        Plan::new().upstream_at(between.port(), "app_tls", &parameters).start().await
    };
    // Without binding nobody notices: sslmode=require alone does not help against this.
    assert_eq!(ask(&start("disable").await, IS_ENCRYPTED).await.as_deref(), Ok("true"));
    for channel_binding in ["prefer", "require"] {
        assert_eq!(ask(&start(channel_binding).await, "SELECT 1").await, Err("08004".to_owned()), "{channel_binding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_strips_plus_is_refused_or_learns_that_it_was_noticed() {
    let authority = Authority::new("fakes");
    let certificate = authority.sign("server", &["127.0.0.1"]);
    for (offered, channel_binding, expected) in [
        (&["SCRAM-SHA-256"][..], "require", None),
        (&["SCRAM-SHA-256"], "prefer", Some("SCRAM-SHA-256\0____y,,n=,r=")),
        (&["SCRAM-SHA-256"], "disable", Some("SCRAM-SHA-256\0____n,,n=,r=")),
        (&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], "disable", Some("SCRAM-SHA-256\0____n,,n=,r=")),
        (&["SCRAM-SHA-256-PLUS"], "prefer", Some("SCRAM-SHA-256-PLUS\0____p=tls-server-end-point,,n=,r=")),
        (&["SCRAM-SHA-256-PLUS"], "disable", None),
        (&["OAUTHBEARER"], "prefer", None),
    ] {
        let (address, said) = fake::saying_over_tls(&certificate, &fake::sasl(offered)).await;
        let parameters = format!("sslmode=require&channel_binding={channel_binding}");
        let plan = Plan::new().upstream_at(address.port(), "app", &parameters);
        assert!(check_target(&plan.options.targets[0]).await.is_err());
        for _ in 0..200 {
            if !said.lock().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let said = said.lock().remove(0);
        match expected {
            None => assert!(said.is_empty(), "{offered:?} {channel_binding}: {said:?}"),
            Some(expected) => {
                let length = expected.find("____").unwrap();
                let (mechanism, first) = (&expected[..length], &expected[length + 4..]);
                assert!(said.starts_with(mechanism.as_bytes()), "{offered:?} {channel_binding}: {said:?}");
                assert!(said[length + 4..].starts_with(first.as_bytes()), "{offered:?} {channel_binding}: {said:?}");
            }
        }
    }
    // Offered where there is no TLS: somebody has taken it away.
    let (address, heard) = fake::saying(&fake::sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])).await;
    let line = finding(&Plan::new().upstream_at(address.port(), "app", "")).await;
    assert!(line.contains("it offers channel binding on a connection without TLS"), "{line}");
    assert!(!heard.lock().iter().any(|heard| heard.windows(5).any(|window| window == b"SCRAM")));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_in_the_clear_go_only_to_whom_is_known() {
    let proxy = Plan::new().upstream("app_tls_clear", "sslmode=verify-full&sslrootcert=CA").start().await;
    assert_eq!(ask(&proxy, "SELECT current_user::text").await.as_deref(), Ok("app_tls_clear"));
    let line = finding(&Plan::new().upstream("app_tls_clear", "sslmode=require")).await;
    assert!(line.contains("in the clear and its certificate is not checked; say sslmode=verify-full"), "{line}");
    // Whoever asks for channel binding gives nothing without it.
    for words in [fake::ask(3, &[]), fake::ask(5, b"salt"), [fake::ask(0, &[]), frame(b'Z', b"I")].concat()] {
        let certificate = Authority::new("fakes").sign("server", &["127.0.0.1"]);
        let (address, said) = fake::saying_over_tls(&certificate, &words).await;
        let line =
            finding(&Plan::new().upstream_at(address.port(), "app", "sslmode=require&channel_binding=require")).await;
        assert!(line.contains("it does not offer channel binding"), "{line}");
        assert!(said.lock().iter().all(Vec::is_empty));
    }
}

/// Plays SCRAM with what the client does not expect. `{nonce}` stands for the client's.
async fn scram_server(challenge: &'static str, then: Vec<u8>) -> std::net::SocketAddr {
    fake::server(move |stream| {
        let then = then.clone();
        async move {
            let mut raw = Raw::over(stream);
            let Some(first) = fake::answered(&mut raw, &fake::sasl(&["SCRAM-SHA-256"])).await else { return };
            let first = String::from_utf8(first).unwrap();
            let nonce = first.split("r=").nth(1).unwrap();
            let challenge = challenge.replace("{nonce}", nonce);
            let _ = raw.stream.write_all(&fake::ask(11, challenge.as_bytes())).await;
            if raw.message().await.is_some() {
                let _ = raw.stream.write_all(&then).await;
                // Until the client has heard it.
                raw.message().await;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_lengths_nonces_and_iteration_counts_are_checked() {
    let good = "r={nonce}theirs,s=c2FsdA==,i=4096";
    let welcome = [fake::ask(0, &[]), frame(b'Z', b"I")].concat();
    let proof = |text: &str| [fake::ask(12, text.as_bytes()), welcome.clone()].concat();
    for (challenge, then, reason) in [
        ("r={nonce}theirs,s=c2FsdA==,i=2000000000", vec![], "iteration count of its SCRAM challenge is not between"),
        ("r={nonce}theirs,s=c2FsdA==,i=0", vec![], "iteration count"),
        ("r=theirs,s=c2FsdA==,i=4096", vec![], "does not continue Hansard's"),
        ("r={nonce},s=c2FsdA==,i=4096", vec![], "does not continue Hansard's"),
        ("r={nonce}theirs,s=,i=4096", vec![], "salt of its SCRAM challenge"),
        ("", vec![], "its SCRAM challenge is not valid"),
        (good, proof("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "did not prove that it knows the password"),
        (good, proof("v="), "did not prove that it knows the password"),
        (good, proof("e=other-error"), "ended the SCRAM exchange: other-error"),
        // Letting the client in without a proof.
        (good, welcome.clone(), "message 'R' that has no place there"),
        (good, frame(b'R', &[]), "message 'R' that has no place there"),
    ] {
        let address = scram_server(challenge, then).await;
        let plan = Plan::new().upstream_at(address.port(), "app", "");
        let line = finding(&plan).await;
        assert!(line.contains(reason), "{challenge}: {line}");
        let proxy = plan.start().await;
        let sqlstate = ask(&proxy, "SELECT 1").await.unwrap_err();
        assert!(["08001", "08004"].contains(&sqlstate.as_str()), "{challenge}: {sqlstate}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_split_of_the_exchange_gives_the_same_session() {
    // One byte of the server's at a time, for as long as the start-up takes.
    let port = Cluster::get().port;
    let dripping = fake::server(move |job| async move {
        let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_job, mut to_job) = job.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_job, &mut to_server).await });
        let (mut buffer, mut dripped) = ([0; 4096], 0);
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            for byte in buffer[..read].chunks(if dripped < 1500 { 1 } else { 4096 }) {
                if to_job.write_all(byte).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            dripped += read;
        }
    })
    .await;
    for (user, parameters) in [
        ("app_scram", ""),
        ("app_md5", ""),
        ("app_clear", ""),
        ("app_tls", "sslmode=verify-full&sslrootcert=CA&channel_binding=require"),
    ] {
        let mut plan = Plan::new().upstream_at(dripping.port(), user, parameters);
        plan.options.connect_timeout = Duration::from_secs(60);
        let proxy = plan.start().await;
        assert_eq!(ask(&proxy, "SELECT current_user::text").await.as_deref(), Ok(user), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_proves_less_than_the_password_could_is_refused() {
    for (user, parameters, reason) in [
        ("app_scram", "", None),
        ("app_clear", "", None),
        ("app_trust", "", Some("without a proof of the password")),
        ("app_md5", "", Some("by MD5")),
        ("app_trust", "require_auth=none", None),
        ("app_md5", "require_auth=md5", None),
        ("app_md5", "require_auth=scram-sha-256,md5", None),
        ("app_clear", "require_auth=scram-sha-256", Some("the password in the clear")),
        ("app_scram", "require_auth=none,password,md5", Some("asks for SCRAM")),
    ] {
        let mut plan = Plan::new().upstream(user, parameters);
        if parameters.is_empty() {
            plan.options.targets[0].upstream.require_auth = None;
        }
        let target = plan.options.targets[0].clone();
        let proxy = plan.start().await;
        let asked = ask(&proxy, "SELECT current_user::text").await;
        let checked = hansard_ingest_proxy::check_target(&target).await;
        match reason {
            None => assert_eq!((asked.as_deref(), checked.is_ok()), (Ok(user), true), "{user} {parameters}"),
            Some(reason) => {
                assert!(asked.is_err(), "{user} {parameters}");
                let told = checked.unwrap_err();
                assert!(told.contains(reason) && told.contains("say require_auth="), "{user} {parameters}: {told}");
            }
        }
    }
    // Nothing is configured that it could prove.
    let mut plan = Plan::new().upstream("app_trust", "");
    let upstream = &mut plan.options.targets[0].upstream;
    (upstream.password, upstream.require_auth) = (None, None);
    assert_eq!(ask(&plan.start().await, "SELECT current_user::text").await.as_deref(), Ok("app_trust"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_and_what_hansard_asks_go_over_tls_too() {
    let upstream = std::net::SocketAddr::from(([127, 0, 0, 1], Cluster::get().port));
    let tap = Tap::start(upstream).await;
    let plan = Plan::new().upstream_at(tap.address.port(), "app_tls", "sslmode=verify-full&sslrootcert=CA");
    let proxy = plan.start().await;
    let client = proxy.client().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
    while !sleeping.is_finished() {
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sleeping.await.unwrap().unwrap_err().code().unwrap().code(), "57014");
    let seen = tap.seen.lock().clone();
    assert!(seen.len() >= 3, "{}", seen.len());
    for streams in seen {
        // The request for TLS, and then its first record: a handshake.
        assert!(streams.frontend.starts_with(&[&SSL_REQUEST[..], &[0x16]].concat()));
        for secret in [&b"app_tls"[..], b"search_path", b"pg_catalog", b"pg_sleep"] {
            assert!(!streams.frontend.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_of_databases_are_read_again() {
    let plan = Plan::new().upstream("app_tls", "sslmode=verify-full&sslrootcert=CA");
    let file = plan.folder().join("upstream-ca.crt");
    let proxy = plan.start().await;
    assert!(ask(&proxy, "SELECT 'in'").await.is_ok());
    let until = async |welcome: bool| {
        for _ in 0..100 {
            if ask(&proxy, "SELECT 'in'").await.is_ok() == welcome {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the change of the file is not noticed");
    };
    std::fs::write(&file, Authority::new("stranger").pem).unwrap();
    until(false).await;
    std::fs::write(&file, &Cluster::get().authority.pem).unwrap();
    until(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_pass_with_tls_to_the_database() {
    let proxy = Plan::new().upstream("app_tls", "sslmode=verify-full&sslrootcert=CA").start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    let value = "v".repeat(5_000_000);
    assert_eq!(raw.value(&format!("SELECT length('{value}')")).await, value.len().to_string());
    assert_eq!(raw.value("SELECT repeat('w', 5000000)").await.len(), value.len());
    raw.send(&query("SELECT 1").repeat(5000)).await;
    for _ in 0..5000 {
        assert_eq!(raw.until(b'Z').await.len(), 4);
    }
    raw.stream.shutdown().await.unwrap();
    assert!(raw.message().await.is_none());
    assert_eq!(record::closed(&proxy.log).await.end(), Some("closed by job"));
}
