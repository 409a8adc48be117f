//! Clients that do not play by the rules. Each gets an answer or an end; the proxy serves the next one.

use std::time::Duration;

use crate::proxy::{Plan, RunningProxy, claims, token};
use crate::raw::{GSSENC_REQUEST, Raw, SSL_REQUEST, frame, password, query, startup};
use crate::record;

/// The proxy still serves.
async fn assert_alive(proxy: &RunningProxy) {
    let row = proxy.client().await.query_one("SELECT 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_on_the_port() {
    let proxy = RunningProxy::start().await;
    let mut http = Raw::connect(proxy.address).await;
    http.send(b"GET / HTTP/1.1\r\nhost: hansard\r\n\r\n").await;
    let answer = String::from_utf8(http.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("speaks the PostgreSQL protocol") && answer.contains("psql"), "{answer}");
    let mut tls = Raw::connect(proxy.address).await;
    tls.send(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
    assert_eq!(tls.rest().await, [0x15, 3, 1, 0, 2, 2, 40]);
    let mut ssh = Raw::connect(proxy.address).await;
    ssh.send(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(ssh.fatal().await.0, "08P01");
    // A port check leaves no record.
    drop(Raw::connect(proxy.address).await);
    assert_alive(&proxy).await;
    let jobs = record::until(&proxy.log, |jobs| jobs.iter().filter(|job| job.end().is_some()).count() == 4).await;
    assert_eq!(jobs.iter().filter(|job| job.end() == Some("protocol violation")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_lie() {
    let proxy = RunningProxy::start().await;
    for packet in [
        [0, 0, 0, 7, 0, 3, 0, 0],
        [0, 0, 0x27, 0x11, 0, 3, 0, 0],
        [0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        [0, 0, 0, 0, 0, 3, 0, 0],
        [0, 0, 0, 8, 0, 2, 0, 0],
        [0, 0, 0, 9, 0, 3, 0, 0],
    ] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&packet).await;
        raw.send(b"x").await;
        assert_eq!(raw.fatal().await.0, "08P01", "{packet:?}");
    }
    // A password of 2 GiB, of no length, longer than a token.
    for (length, sqlstate) in [(0x7fff_ffffu32, "28P01"), (3, "08P01"), (u32::MAX, "08P01"), (16 * 1024 + 6, "28P01")] {
        let mut raw = Raw::connect(proxy.address).await;
        raw.send(&startup(&[("user", "nightly")])).await;
        raw.message().await.unwrap();
        raw.send(&[&b"p"[..], &length.to_be_bytes()].concat()).await;
        assert_eq!(raw.fatal().await.0, sqlstate, "{length}");
    }
    // In the data phase.
    for length in [0u32, 3, u32::MAX, 0x8000_0000, (1 << 30) + 64 * 1024] {
        let mut raw = Raw::session(proxy.address, &token(&claims())).await;
        raw.send(&[&b"Q"[..], &length.to_be_bytes()].concat()).await;
        assert_eq!(raw.fatal().await.0, "08P01", "{length}");
    }
    assert_alive(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_start_up_is_kept() {
    let proxy = RunningProxy::start().await;
    // Both kinds of encryption are declined and the session goes on.
    let mut raw = Raw::connect(proxy.address).await;
    for request in [GSSENC_REQUEST, SSL_REQUEST] {
        assert_eq!(raw.ask(request).await, 'N');
    }
    raw.send(&startup(&[("user", "nightly")])).await;
    assert_eq!(raw.message().await.unwrap(), (b'R', vec![0, 0, 0, 3]));
    // A query where the password belongs.
    raw.send(&query("SELECT 1")).await;
    assert_eq!(raw.fatal().await.0, "08P01");
    // Bytes that came before the answer about encryption (CVE-2021-23214).
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&[&SSL_REQUEST[..], &startup(&[("user", "nightly")])].concat()).await;
    assert_eq!(raw.fatal().await.1, "received data after a request for encryption");
    // A second StartupMessage.
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&[startup(&[("user", "nightly")]), startup(&[("user", "nightly")])].concat()).await;
    assert_eq!(raw.fatal().await.0, "08P01");
    // Encryption twice, and no user.
    let mut raw = Raw::connect(proxy.address).await;
    assert_eq!(raw.ask(SSL_REQUEST).await, 'N');
    raw.send(&SSL_REQUEST).await;
    assert_eq!(raw.fatal().await.0, "08P01");
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&[("database", "ranking")])).await;
    assert_eq!(raw.fatal().await.0, "28000");
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&startup(&[("user", "nightly"), ("replication", "database")])).await;
    assert_eq!(raw.fatal().await.0, "0A000");
    assert_alive(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_cut_at_every_byte_gives_the_same_session() {
    let proxy = RunningProxy::start().await;
    let token = token(&claims());
    let opening = startup(&[("user", "nightly"), ("database", "ranking")]);
    let secret = password(&token);
    let work = [query("SELECT 42"), frame(b'X', b"")].concat();
    // Every place in the packets that are short, and some in the token.
    let cuts = (1..opening.len())
        .map(|at| (at, 1, 1))
        .chain([1, 2, 4, 5, 6, 100, secret.len() - 1].map(|at| (1, at, 1)))
        .chain((1..work.len()).map(|at| (1, 1, at)));
    let mut replies = std::collections::BTreeSet::new();
    for (first, second, third) in cuts {
        let mut raw = Raw::connect(proxy.address).await;
        send_cut(&mut raw, &opening, first).await;
        assert_eq!(raw.message().await.unwrap().0, b'R');
        send_cut(&mut raw, &secret, second).await;
        assert_eq!(raw.until(b'Z').await.last().unwrap().0, b'Z');
        send_cut(&mut raw, &work, third).await;
        replies.insert(raw.rest().await);
    }
    assert_eq!(replies.len(), 1, "{replies:?}");
    let frontends: std::collections::BTreeSet<_> =
        record::until(&proxy.log, |jobs| jobs.iter().all(|job| job.end().is_some()))
            .await
            .iter()
            .map(|job| job.bytes(hansard_schemas::events::Direction::Frontend))
            .collect();
    assert_eq!(frontends.into_iter().collect::<Vec<_>>(), [[opening, work].concat()]);
}

async fn send_cut(raw: &mut Raw, bytes: &[u8], at: usize) {
    raw.send(&bytes[..at]).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    raw.send(&bytes[at..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_refused_in_time() {
    let mut plan = Plan::new();
    plan.options.authentication_timeout = Duration::from_secs(2);
    let proxy = plan.start().await;
    let mut silent = Raw::connect(proxy.address).await;
    let mut half = Raw::connect(proxy.address).await;
    half.send(&[0, 0, 0, 40, 0]).await;
    let mut shy = Raw::connect(proxy.address).await;
    shy.send(&startup(&[("user", "nightly")])).await;
    shy.message().await.unwrap();
    for raw in [&mut silent, &mut half, &mut shy] {
        let (sqlstate, message) = raw.fatal().await;
        assert_eq!((sqlstate.as_str(), message.starts_with("no valid token came within")), ("28000", true));
    }
    // One byte after the other keeps nobody in.
    let mut slow = Raw::connect(proxy.address).await;
    let opening = startup(&[("user", "a-user-with-a-rather-long-name")]);
    for byte in opening.chunks(1) {
        if tokio::io::AsyncWriteExt::write_all(&mut slow.stream, byte).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(slow.message().await.is_none_or(|(tag, _)| tag == b'E'));
}

#[tokio::test(flavor = "multi_thread")]
async fn places_without_a_token_run_out() {
    let mut plan = Plan::new();
    plan.options.max_unauthenticated = 2;
    let proxy = plan.start().await;
    // An answer shows that a connection has its place: threads let connections in in any order.
    let mut first = Raw::connect(proxy.address).await;
    assert_eq!(first.ask(SSL_REQUEST).await, 'N');
    let mut second = Raw::connect(proxy.address).await;
    assert_eq!(second.ask(SSL_REQUEST).await, 'N');
    let mut refused = Raw::connect(proxy.address).await;
    assert_eq!(refused.fatal().await.0, "53300");
    // Those who are told so and stay cannot hold more connections either: the next are closed without a word.
    let mut staying = vec![refused, Raw::connect(proxy.address).await];
    while staying.last_mut().unwrap().message().await.is_some_and(|(tag, _)| tag == b'E') {
        assert!(staying.len() < 1000, "every one was told");
        staying.push(Raw::connect(proxy.address).await);
    }
    // A place that is given back is somebody's again.
    drop(first);
    let job = async {
        loop {
            let mut raw = Raw::connect(proxy.address).await;
            raw.send(&startup(&[("user", "nightly"), ("database", "ranking")])).await;
            if let Some((b'R', _)) = raw.message().await {
                return raw;
            }
        }
    };
    let mut job = tokio::time::timeout(Duration::from_secs(60), job).await.expect("no place came free");
    job.send(&password(&token(&claims()))).await;
    assert_eq!(job.until(b'Z').await[0], (b'R', vec![0; 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_cancel_keys_reach_nobody() {
    let proxy = RunningProxy::start().await;
    let mut raw = Raw::connect(proxy.address).await;
    raw.send(&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 1, 2, 3, 4]).await;
    assert!(raw.rest().await.is_empty());
    let recorded = record::closed(&proxy.log).await;
    assert_eq!(recorded.end(), Some("cancel request with an unknown key"));
    assert_eq!(recorded.withheld(), ["cancel key"]);
    assert_alive(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_legal_traffic_passes() {
    let proxy = RunningProxy::start().await;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    // FunctionCall of int4abs(-7): passed on and answered.
    let call = [&1397u32.to_be_bytes()[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 4], &(-7i32).to_be_bytes(), &[0, 1]].concat();
    raw.send(&frame(b'F', &call)).await;
    let messages = raw.until(b'Z').await;
    assert_eq!(messages[0], (b'V', vec![0, 0, 0, 4, 0, 0, 0, 7]));
    // Sync and Flush during COPY IN, CopyDone after the server's error.
    raw.send(&query("COPY rankings FROM STDIN")).await;
    assert_eq!(raw.until(b'G').await.last().unwrap().0, b'G');
    let copy = [frame(b'S', b""), frame(b'H', b""), frame(b'd', b"not a number\n"), frame(b'c', b"")].concat();
    raw.send(&copy).await;
    let messages = raw.until(b'Z').await;
    assert!(messages.iter().any(|(tag, _)| *tag == b'E'), "{messages:?}");
    // Text that is not UTF-8, in a client encoding that allows it.
    raw.send(&query("SET client_encoding = LATIN1")).await;
    raw.until(b'Z').await;
    raw.send(&frame(b'Q', b"SELECT '\xe9'::text\0")).await;
    let messages = raw.until(b'Z').await;
    assert!(messages.iter().any(|(tag, body)| *tag == b'D' && body.ends_with(b"\xe9")), "{messages:?}");
}
