//! What a session's beginning must survive, from the job's side and from the database's.

use std::time::Duration;

use hansard_ingest_proxy::check_target;
use hansard_schemas::events::Direction;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::Authority;
use crate::fake;
use crate::proxy::{Plan, RunningProxy, claims, connect, token};
use crate::raw::{Raw, SSL_REQUEST, frame, password, query, startup, startup_of};
use crate::record;

const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = 3 << 16 | 2;

fn cancel_request(process_id: &[u8], secret: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + process_id.len() + secret.len()).unwrap();
    [&length.to_be_bytes()[..], &80_877_102u32.to_be_bytes(), process_id, secret].concat()
}

/// Sends a CancelRequest and waits until the other side has done with it.
async fn cancel(proxy: &RunningProxy, process_id: &[u8], secret: &[u8]) {
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&cancel_request(process_id, secret)).await;
    assert_eq!(raw.rest().await, b"");
}

/// A session that speaks this version; with its BackendKeyData, process id and secret.
async fn session(proxy: &RunningProxy, version: u32) -> (Raw, Vec<u8>, Vec<u8>) {
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup_of(version, &[("user", "nightly"), ("database", "ranking")])).await;
    assert_eq!(raw.message().await.unwrap().0, b'R');
    raw.send(&password(&token(&claims()))).await;
    let messages = raw.until(b'Z').await;
    let key = &messages.iter().find(|(tag, _)| *tag == b'K').unwrap_or_else(|| panic!("{messages:?}")).1;
    let (process_id, secret) = (key[..4].to_vec(), key[4..].to_vec());
    (raw, process_id, secret)
}

async fn assert_alive(proxy: &RunningProxy) {
    let row = proxy.client().await.query_one("SELECT 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
}

/// The connection is Hansard's own, to read the catalog.
fn is_own(heard: &[u8]) -> bool {
    let name = b"application_name\0hansard\0";
    heard.windows(name.len()).any(|window| window == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_message_during_authentication_is_refused() {
    let (database, heard) = fake::saying(b"").await;
    let proxy = Plan::new().upstream_at(database.port(), "app", "").start().await;
    let second = startup(&[("user", "mallory"), ("database", "ranking")]);
    let tags = b"QPBEDCHSFXdcfKRZ\0\x16".iter().map(|&tag| frame(tag, b"SELECT 1\0"));
    for message in tags.chain([second]) {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup(&[("user", "nightly"), ("database", "ranking")])).await;
        assert_eq!(raw.message().await.unwrap(), (b'R', vec![0, 0, 0, 3]));
        raw.send(&message).await;
        assert_eq!(raw.fatal().await.0, "08P01", "{message:?}");
        // What follows is not read as if nothing had happened.
        let _ = raw.stream.write_all(&password(&token(&claims()))).await;
        assert_eq!(raw.rest().await, b"");
    }
    assert!(heard.lock().iter().all(|heard| is_own(heard)), "the database was asked for something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_up_packet_has_at_most_ten_thousand_bytes() {
    let proxy = RunningProxy::start().await;
    let padded = |length: usize| {
        let bare = startup(&[("user", "nightly"), ("database", "ranking"), ("application_name", "")]).len();
        startup(&[("user", "nightly"), ("database", "ranking"), ("application_name", &"x".repeat(length - bare))])
    };
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&padded(10_000)).await;
    assert_eq!(raw.message().await.unwrap().0, b'R');
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&padded(10_001)).await;
    assert_eq!(raw.fatal().await.0, "08P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_gives_its_place_back() {
    let authority = Authority::new("jobs");
    let mut plan = Plan::new().tls(&authority);
    plan.options.authentication_timeout = Duration::from_millis(500);
    plan.options.max_unauthenticated = 2;
    let proxy = plan.start().await;
    let mut first = TcpStream::connect(proxy.address).await.unwrap();
    first.write_all(&SSL_REQUEST).await.unwrap();
    let mut second = TcpStream::connect(proxy.address).await.unwrap();
    // A 5-byte TLS record header, and then silence.
    second.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let mut answers = Vec::new();
    first.read_to_end(&mut answers).await.unwrap();
    assert_eq!(answers, b"S");
    let _ = second.read_to_end(&mut answers).await;
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().filter(|job| job.end().is_some()).count() == 2).await;
    assert!(jobs.iter().all(|job| job.end() == Some("not authenticated")), "{jobs:?}");
    // And both places are free again.
    let mut raw = Raw::connect(proxy.address).await;
    assert_eq!(raw.ask(SSL_REQUEST).await, 'S');
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_versions_are_negotiated() {
    let proxy = RunningProxy::start().await;
    for (version, option, negotiated, secret) in [
        (PROTOCOL_3_0, None, None, 4),
        (3 << 16 | 1, None, None, 4),
        (PROTOCOL_3_2, None, None, 32),
        (3 << 16 | 3, None, Some(PROTOCOL_3_2), 32),
        (3 << 16 | 9999, None, Some(PROTOCOL_3_2), 32),
        (PROTOCOL_3_0, Some("_pq_.magic"), Some(PROTOCOL_3_0), 4),
        (3 << 16 | 9999, Some("_pq_.magic"), Some(PROTOCOL_3_2), 32),
    ] {
        let mut raw = Raw::connect(proxy.address).await;
        let mut parameters = vec![("user", "nightly"), ("database", "ranking")];
        parameters.extend(option.map(|option| (option, "1")));
        raw.send(&startup_of(version, &parameters)).await;
        if let Some(negotiated) = negotiated {
            let mut body = negotiated.to_be_bytes().to_vec();
            body.extend([0, 0, 0, u8::from(option.is_some())]);
            body.extend(option.map(|option| [option.as_bytes(), b"\0"].concat()).unwrap_or_default());
            assert_eq!(raw.message().await.unwrap(), (b'v', body), "{version:#x}");
        }
        assert_eq!(raw.message().await.unwrap().0, b'R', "{version:#x}");
        raw.send(&password(&token(&claims()))).await;
        let messages = raw.until(b'Z').await;
        let key = messages.iter().find(|(tag, _)| *tag == b'K').unwrap();
        assert_eq!(key.1.len(), 4 + secret, "{version:#x}");
    }
    for version in [2 << 16, 4 << 16, 0, 1234 << 16 | 5681] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup_of(version, &[("user", "nightly")])).await;
        let (sqlstate, message) = raw.fatal().await;
        assert_eq!(sqlstate, "08P01");
        assert!(message.ends_with("this server speaks 3.0 to 3.2"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_parameters_pass_by_allow_list() {
    let (database, heard) = fake::saying(b"").await;
    let proxy = Plan::new().upstream_at(database.port(), "app", "").start().await;
    for (name, value) in [
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("options", "-c role=postgres"),
        ("options", "--role=postgres -c jit=off"),
        // A blank for the server's isspace(), though not for everybody.
        ("options", "-c jit=off\x0b-c\x0brole=postgres"),
        ("options", "-c ROLE=postgres"),
        ("Role", "postgres"),
        ("options", "-ep /etc/passwd"),
        ("replication", "database"),
        ("replication", "true"),
        ("Replication", "true"),
        ("shared_preload_libraries", "evil"),
        ("session_preload_libraries", "evil"),
        ("local_preload_libraries", "evil"),
    ] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup(&[("user", "nightly"), ("database", "ranking"), (name, value)])).await;
        let (sqlstate, message) = raw.fatal().await;
        assert_eq!(sqlstate, "0A000", "{name}={value}: {message}");
    }
    assert!(heard.lock().iter().all(|heard| is_own(heard)));
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_options_reach_the_database_as_they_were_read() {
    let proxy = Plan::new().start().await;
    let parameters = [
        ("user", "nightly"),
        ("Application_Name", "night's work"),
        ("options", "-c SEARCH_PATH=pg_catalog,\\ public\x0b--statement-timeout=7s\x0c-cmy.tenant=a\\\\b"),
        ("DATESTYLE", "German"),
    ];
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&parameters)).await;
    raw.message().await.unwrap();
    raw.send(&password(&token(&claims()))).await;
    raw.until(b'Z').await;
    for (setting, expected) in [
        ("search_path", "pg_catalog, public"),
        ("statement_timeout", "7s"),
        ("my.tenant", "a\\b"),
        ("datestyle", "German, DMY"),
        ("application_name", "night's work"),
    ] {
        assert_eq!(raw.value(&format!("SELECT current_setting('{setting}')")).await, expected, "{setting}");
    }
    drop(raw);
    let recorded = record::closed(&proxy.log).await;
    assert_eq!(recorded.opened().application_name, "night's work");
    let search_path = recorded.kinds().find_map(|kind| match kind {
        hansard_schemas::events::event::Kind::Authenticated(authenticated) => Some(authenticated.search_path.clone()),
        _ => None,
    });
    assert_eq!(search_path.unwrap(), ["pg_catalog", "public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_the_users_name() {
    let mut plan = Plan::new();
    plan.options.targets[0].upstream.database = None;
    let proxy = plan.start().await;
    for parameters in [&[("user", "ranking")][..], &[("user", "ranking"), ("database", "")]] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup(parameters)).await;
        raw.message().await.unwrap();
        raw.send(&password(&token(&claims()))).await;
        raw.until(b'Z').await;
        assert_eq!(raw.value("SELECT current_database()").await, "ranking");
    }
    let jobs = record::until(&proxy.log, |jobs| jobs.len() == 2).await;
    for job in jobs {
        let opened = job.opened();
        assert_eq!((opened.db_user.as_str(), opened.database.as_str()), ("ranking", "ranking"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_passes_where_it_is_permitted_and_is_recorded() {
    let mut plan = Plan::new().upstream("app_replication", "");
    plan.options.targets[0].replication = true;
    let proxy = plan.start().await;
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&[("user", "nightly"), ("database", "ranking"), ("replication", "true")])).await;
    raw.message().await.unwrap();
    raw.send(&password(&token(&claims()))).await;
    let messages = raw.until(b'Z').await;
    assert_eq!(messages.last().unwrap().0, b'Z', "{messages:?}");
    raw.send(&query("IDENTIFY_SYSTEM")).await;
    let messages = raw.until(b'Z').await;
    assert!(messages.iter().any(|(tag, _)| *tag == b'D'), "{messages:?}");
    raw.send(&query("START_REPLICATION PHYSICAL 0/1000000")).await;
    assert_eq!(raw.message().await.unwrap().0, b'W');
    let (tag, body) = raw.message().await.unwrap();
    assert!(tag == b'd' && matches!(body[0], b'w' | b'k'), "{tag} {body:?}");
    // COPY BOTH ends from this side too; what is on its way still comes.
    raw.send(&frame(b'c', b"")).await;
    let messages = raw.until(b'Z').await;
    assert!(messages.iter().any(|(tag, _)| *tag == b'c') && messages.last().unwrap().0 == b'Z');
    raw.send(&frame(b'X', b"")).await;
    assert!(raw.message().await.is_none());
    let recorded = record::closed(&proxy.log).await;
    assert_eq!(recorded.end(), Some("terminated by job"));
    let sql = query("START_REPLICATION PHYSICAL 0/1000000");
    assert!(recorded.bytes(Direction::Frontend).windows(sql.len()).any(|window| window == sql));
    let copied = frame(b'd', &body);
    assert!(recorded.bytes(Direction::Backend).windows(copied.len()).any(|window| window == copied));
    // A database connection is not one.
    assert_alive(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_keys_of_both_lengths_are_mapped() {
    let proxy = RunningProxy::start().await;
    for version in [PROTOCOL_3_0, PROTOCOL_3_2] {
        let (mut raw, process_id, secret) = session(&proxy, version).await;
        // The process id is the database's, as a job can ask for it; the secret is not.
        assert_eq!(raw.value("SELECT pg_backend_pid()").await.parse::<u32>().unwrap().to_be_bytes()[..], process_id);
        raw.send(&query("SELECT pg_sleep(600)")).await;
        // Until it has begun, a request does nothing, as at the server itself.
        let ended = loop {
            cancel(&proxy, &process_id, &secret).await;
            let until = tokio::time::timeout(Duration::from_millis(100), raw.message()).await;
            match until {
                Ok(Some((b'E', body))) => break body,
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => panic!("the session ended"),
            }
        };
        assert!(ended.windows(6).any(|window| window == b"C57014"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_with_another_key_or_too_late_hits_nothing() {
    let mut plan = Plan::new();
    let mut second = plan.options.targets[0].clone();
    second.name = "other".to_owned();
    plan.options.targets.push(second);
    let proxy = plan.start().await;
    let (mut raw, process_id, secret) = session(&proxy, PROTOCOL_3_2).await;
    let (_other, others_process_id, others_secret) = session(&proxy, PROTOCOL_3_2).await;
    raw.send(&query("SELECT pg_sleep(1.5)")).await;
    record::until(&proxy.log, |jobs| {
        jobs.iter().any(|job| job.bytes(Direction::Frontend).windows(8).any(|window| window == b"pg_sleep"))
    })
    .await;
    let mut almost = secret.clone();
    almost[31] ^= 1;
    for (process_id, secret) in [
        (&process_id, &others_secret[..]),
        (&others_process_id, &secret),
        (&process_id, &almost),
        (&process_id, &secret[..4]),
        (&process_id, &[&secret[..], &[0]].concat()),
        (&process_id, &[0; 256]),
    ] {
        cancel(&proxy, process_id, secret).await;
    }
    // Through another target's door.
    let mut stranger = Raw::connect(proxy.addresses[1]).await;
    stranger.send(&cancel_request(&process_id, &secret)).await;
    assert_eq!(stranger.rest().await, b"");
    let messages = raw.until(b'Z').await;
    assert!(messages.iter().any(|(tag, _)| *tag == b'D') && !messages.iter().any(|(tag, _)| *tag == b'E'));
    // Late: the statement is over, and the one that begins after the request was taken is not hit.
    for number in 0..20 {
        cancel(&proxy, &process_id, &secret).await;
        assert_eq!(raw.value(&format!("SELECT {number}")).await, number.to_string());
    }
    // A session's key dies with it.
    raw.send(&frame(b'X', b"")).await;
    assert!(raw.message().await.is_none());
    cancel(&proxy, &process_id, &secret).await;
    let unknown = Some("cancel request with an unknown key");
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().filter(|job| job.end() == unknown).count() == 8).await;
    assert_eq!(jobs.iter().filter(|job| job.end() == Some("cancel request forwarded")).count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_cancel_keys_is_not_listened_to_and_does_not_fill_the_log() {
    let proxy = RunningProxy::start().await;
    let (mut raw, process_id, secret) = session(&proxy, PROTOCOL_3_0).await;
    for guess in 0..130u32 {
        cancel(&proxy, &process_id, &[&guess.to_be_bytes()[..], &secret].concat()).await;
    }
    assert_eq!(raw.value("SELECT 1").await, "1");
    let guesses = |jobs: &[record::Recorded]| {
        jobs.iter().filter(|job| job.end() == Some("cancel request with an unknown key")).count()
    };
    let jobs = record::until(&proxy.log, |jobs| guesses(jobs) >= 100).await;
    assert_eq!(guesses(&jobs), 100);
    assert_alive(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_keys_of_the_database_may_be_long_and_its_protocol_old() {
    let secret: Vec<u8> = (0..=255).collect();
    let (given, versions, cancels) = (secret.clone(), fake::Heard::default(), fake::Heard::default());
    let (all_versions, all_cancels) = (versions.clone(), cancels.clone());
    let database = fake::server(move |stream| {
        let (given, versions, cancels) = (given.clone(), all_versions.clone(), all_cancels.clone());
        async move {
            let mut raw = Raw::over(stream);
            let startup = fake::startup(&mut raw.stream).await;
            if startup.starts_with(&80_877_102u32.to_be_bytes()) {
                return cancels.lock().push(startup);
            }
            versions.lock().push(startup[..4].to_vec());
            if startup[..4] != PROTOCOL_3_0.to_be_bytes() {
                let words = b"SFATAL\0C0A000\0Munsupported frontend protocol 3.2: server supports 2.0 to 3.0\0\0";
                return raw.stream.write_all(&frame(b'E', words)).await.unwrap();
            }
            let key = [&[0, 0, 0, 7], &given[..]].concat();
            let welcome = [fake::ask(0, &[]), frame(b'K', &key), frame(b'Z', b"I")].concat();
            raw.stream.write_all(&welcome).await.unwrap();
            // What Hansard asks before.
            while let Some((tag, _)) = raw.message().await {
                if tag == b'Q' {
                    raw.stream.write_all(&frame(b'Z', b"I")).await.unwrap();
                }
            }
        }
    })
    .await;
    let proxy = Plan::new().upstream_at(database.port(), "app", "").start().await;
    let (_first, process_id, ours) = session(&proxy, PROTOCOL_3_2).await;
    assert!(versions.lock().contains(&PROTOCOL_3_2.to_be_bytes().to_vec()));
    versions.lock().clear();
    // What has been learned of it is kept.
    let (_second, ..) = session(&proxy, PROTOCOL_3_0).await;
    assert!(!versions.lock().is_empty());
    assert!(versions.lock().iter().all(|version| *version == PROTOCOL_3_0.to_be_bytes()));
    cancel(&proxy, &process_id, &ours).await;
    for _ in 0..200 {
        if let Some(request) = cancels.lock().first() {
            assert_eq!(request[4..], [&[0, 0, 0, 7], &secret[..]].concat());
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the request was not passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_database_cannot_begin_a_session() {
    let ok = fake::ask(0, &[]);
    let ready = frame(b'Z', b"I");
    let notice = frame(b'N', &[b'x'; 60_000]);
    for (name, words) in [
        ("no length", b"R\0\0\0\0".to_vec()),
        ("a negative length", b"R\xff\xff\xff\xff\0\0\0\0".to_vec()),
        ("a length of 2 GiB", b"R\x7f\xff\xff\xff\0\0\0\0".to_vec()),
        ("a row before authentication", [frame(b'D', b"\xff\xff"), ok.clone(), ready.clone()].concat()),
        ("ready before authentication", ready.clone()),
        ("a row before it is ready", [ok.clone(), frame(b'D', b"\xff\xff"), ready.clone()].concat()),
        ("a key of 3 bytes", [ok.clone(), frame(b'K', &[1; 7]), ready.clone()].concat()),
        ("a key of 257 bytes", [ok.clone(), frame(b'K', &[1; 4 + 257]), ready.clone()].concat()),
        ("a short authentication message", frame(b'R', &[0])),
        ("an unknown authentication method", fake::ask(99, &[])),
        ("a protocol option that nobody asked for", frame(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0")),
        ("the protocol twice", frame(b'v', b"\0\x03\0\0\0\0\0\0").repeat(2)),
        ("SASL out of turn", fake::ask(11, b"r=x,s=c2FsdA==,i=1")),
        ("notices without end", notice.repeat(10)),
        ("settings without end", [ok.clone(), frame(b'S', &[b'x'; 60_000]).repeat(10)].concat()),
        ("an HTTP server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ] {
        let (address, _) = fake::saying(&words).await;
        let mut plan = Plan::new().upstream_at(address.port(), "app", "");
        plan.options.connect_timeout = Duration::from_secs(20);
        assert!(check_target(&plan.options.targets[0]).await.is_err(), "{name}");
        let proxy = plan.start().await;
        let error = connect(&proxy.dsn(&token(&claims()))).await.err().unwrap();
        let sqlstate = error.code().unwrap_or_else(|| panic!("{name}: {error}")).code();
        assert!(["08001", "08004"].contains(&sqlstate), "{name}: {sqlstate}");
        assert_eq!(record::closed(&proxy.log).await.end(), Some("database unavailable"), "{name}");
    }
}
