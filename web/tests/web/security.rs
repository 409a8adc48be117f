//! Who gets in, and what a browser is told to refuse.

use std::sync::Arc;

use hansard_web::{Error, Web, WebOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::{client::Server, fixture::Fixture};

const SESSIONS: &str = "/api/v1/sessions";

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    for (listen, reachable) in [("0.0.0.0:0", true), ("[::]:0", true), ("192.0.2.1:80", true), ("127.0.0.1:0", false)] {
        let options = WebOptions {
            listen: listen.parse().unwrap(),
            token_file: folder.path().join("token"),
            login_command: String::new(),
            targets: Vec::new(),
            leases: None,
        };
        let bound = Web::bind(options, Arc::new(Fixture::new().engine())).await;
        assert_eq!(matches!(bound, Err(Error::NotLoopback(_))), reachable, "{listen}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = WebOptions {
        listen,
        token_file: folder.path().join("token"),
        login_command: String::new(),
        targets: Vec::new(),
        leases: None,
    };
    let Err(error) = Web::bind(options, Arc::new(Fixture::new().engine())).await else { panic!("the port was free") };
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

#[tokio::test]
async fn on_the_socket_beside_the_data_no_token_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = WebOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        token_file: folder.path().join("token"),
        login_command: String::new(),
        targets: Vec::new(),
        leases: None,
    };
    let fixture = Fixture::new();
    let web = Web::bind(options, Arc::new(fixture.engine())).await.unwrap();
    let (address, path) = (web.address(), folder.path().join("web.sock"));
    let socket = tokio::net::UnixListener::bind(&path).unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(web.also_on(socket).serve(stop.clone()));
    for (host, expected) in [("localhost", 200), ("evil.example", 403)] {
        let request = format!("GET {SESSIONS} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let mut local = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert_eq!(status(&mut local, &request).await, expected, "{host} on the socket");
        let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        assert_eq!(
            status(&mut tcp, &request).await,
            if expected == 200 { 401 } else { expected },
            "{host} on the port"
        );
    }
    stop.cancel();
    assert!(serving.await.unwrap().is_ok());
    assert!(tokio::net::UnixStream::connect(&path).await.is_err(), "both are let go");
}

async fn status(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_is_answered_without_identity() {
    let server = Server::start().await;
    let id = server.night.rerank;
    for path in [
        SESSIONS.to_owned(),
        "/api/v1/status".to_owned(),
        "/api/v1/openapi.json".to_owned(),
        format!("{SESSIONS}/{id}"),
        format!("{SESSIONS}/{id}/steps"),
        format!("{SESSIONS}/{id}/steps/1/result"),
        format!("{SESSIONS}/{id}/export"),
        "/api/v1/who-touched?relation=public.rankings".to_owned(),
        "/api/v1/who-changed?relation=public.rankings&at=2026-11-22".to_owned(),
        "/api/v1/relations?prefix=r".to_owned(),
        "/api/v1/nothing".to_owned(),
    ] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer wrong")],
            &[("authorization", "Basic YTpi")],
            &[("cookie", "hansard=x")],
        ] {
            let answer = server.send("GET", &path, headers, "").await;
            assert_eq!((answer.status, answer.error().code.as_str()), (401, "unauthenticated"), "{path} {headers:?}");
        }
    }
    for path in ["/api/v1/query", "/api/v1/login-links", "/api/v1/logout"] {
        assert_eq!(server.send("POST", path, &[], "{}").await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_login_link_opens_one_browser_session() {
    let server = Server::start().await;
    let cookie = server.log_in().await;
    assert_eq!(server.send("GET", SESSIONS, &[("cookie", &cookie)], "").await.status, 200);

    let (_, path) = server.link.split_once(&server.address.to_string()).unwrap();
    let again = server.send("GET", path, &[], "").await;
    assert_eq!(again.status, 403);
    assert!(again.header("set-cookie").is_none());

    let own = format!("http://{}", server.address);
    let out = server.send("POST", "/api/v1/logout", &[("cookie", &cookie), ("origin", &own)], "").await;
    assert_eq!(out.status, 204);
    assert_eq!(server.send("GET", SESSIONS, &[("cookie", &cookie)], "").await.status, 401);
}

#[tokio::test]
async fn the_cookie_is_for_this_server_and_no_script() {
    let server = Server::start().await;
    let (_, path) = server.link.split_once(&server.address.to_string()).unwrap();
    let answer = server.send("GET", path, &[], "").await;
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(answer.header("location"), Some("/sessions"));
}

#[tokio::test]
async fn a_login_leads_to_our_own_pages_only() {
    let server = Server::start().await;
    for (next, leads_to) in [
        ("%2Fsessions%2Fabc%3Fstep%3D4", "/sessions/abc?step=4"),
        ("https%3A%2F%2Fevil.example", "/sessions"),
        ("%2F%2Fevil.example", "/sessions"),
        ("%2Fsessions%2F%0d%0aset-cookie%3Ax", "/sessions"),
        ("%2Fsessionsevil", "/sessions"),
        ("%2Fwho-changed%3Frelation%3Dt%26at%3D2026-11-22", "/who-changed?relation=t&at=2026-11-22"),
        ("%2Fwho-changedevil", "/sessions"),
    ] {
        let link: hansard_schemas::http::LoginLink = server.post("/api/v1/login-links", "").await.json();
        let (_, path) = link.url.split_once(&server.address.to_string()).unwrap();
        let answer = server.send("GET", &format!("{path}&next={next}"), &[], "").await;
        assert_eq!(answer.header("location"), Some(leads_to), "{next}");
    }
}

#[tokio::test]
async fn another_host_is_refused_even_with_the_token() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token);
    for host in ["evil.example", "evil.example:80", "10.0.0.1"] {
        for path in [SESSIONS, "/", "/sessions", "/login?token=x"] {
            let answer = server.send("GET", path, &[("host", host), ("authorization", &bearer)], "").await;
            assert_eq!(answer.status, 403, "{host} {path}");
        }
    }
    let answer = server.send("GET", SESSIONS, &[("host", "localhost"), ("authorization", &bearer)], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn other_sites_cannot_use_the_cookie() {
    let server = Server::start().await;
    let cookie = server.log_in().await;
    let own = format!("http://{}", server.address);
    let query = r#"{"sql":"SELECT 1 AS one"}"#;
    let post = async |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        server.send("POST", "/api/v1/query", &all, query).await.status
    };
    assert_eq!(post(&[("origin", &own), ("sec-fetch-site", "same-origin")]).await, 200);
    assert_eq!(post(&[]).await, 403);
    assert_eq!(post(&[("origin", "http://127.0.0.1:1")]).await, 403);
    assert_eq!(post(&[("origin", "null")]).await, 403);
    assert_eq!(post(&[("origin", &own), ("sec-fetch-site", "same-site")]).await, 403);
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(server.send("GET", SESSIONS, &headers, "").await.status, 403);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let server = Server::start().await;
    for path in ["/", "/sessions/x", SESSIONS, "/api/v1/nothing", "/assets/nothing.js", "/login?token=x"] {
        let answer = server.send("GET", path, &[], "").await;
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "script-src 'self' 'wasm-unsafe-eval'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let cache = answer.header("cache-control").unwrap();
        assert!(cache == "no-store" || (!path.starts_with("/api") && cache == "no-cache"), "{path}: {cache}");
    }
}

#[tokio::test]
async fn a_body_is_bounded() {
    let server = Server::start().await;
    let long = format!("{{\"sql\":\"SELECT '{}'\"}}", "x".repeat(300 * 1024));
    let answer = server.post("/api/v1/query", &long).await;
    assert_eq!((answer.status, answer.error().code.as_str()), (413, "too_large"));
}
