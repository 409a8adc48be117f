//! The pages in a real browser: needs chromium, and the pages built (`cargo xtask web`); fails where either is missing.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::client::Server;

/// What the page is once its scripts have come to rest.
pub(crate) async fn page(server: &Server, path: &str) -> String {
    assert!(Path::new("dist/index.html").exists(), "the pages are not built: run `cargo xtask web`");
    let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("no browser: install chromium (Debian: chromium)");
    let profile = tempfile::tempdir().unwrap();
    let link: hansard_schemas::http::LoginLink = server.post("/api/v1/login-links", "").await.json();
    let next: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
        .args(["--window-size=1440,900", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{}&next={next}", link.url))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn holds(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "the page does not hold {part:?}:\n{page}");
    }
}

#[tokio::test]
async fn the_list_shows_every_session() {
    let server = Server::start().await;
    let page = page(&server, "/sessions").await;
    holds(
        &page,
        &[
            "<h1>Sessions</h1>",
            "embedding-refresh",
            "nightly-rerank",
            "Open",
            "Ended, 1 error",
            "Whole",
            "38.0 s",
            "5 sessions",
        ],
    );
    holds(&page, &[&format!("/sessions/{}", server.night.rerank)]);
}

#[tokio::test]
async fn jobs_are_listed_and_lead_to_their_sessions() {
    let server = Server::start().await;
    let all = page(&server, "/jobs").await;
    holds(
        &all,
        &["<h1>Jobs</h1>", "nightly-rerank", "svc:nightly-rerank", "/sessions?job=nightly-rerank&amp;subject=svc"],
    );
    let found = page(&server, "/jobs?job=rag-*").await;
    holds(&found, &["rag-reader", "1 job<"]);
    assert!(!found.contains("nightly-rerank"));
    holds(&page(&server, "/jobs?job=nobody").await, &["No job matches"]);
}

#[tokio::test]
async fn the_list_is_filtered_by_its_address() {
    let server = Server::start().await;
    let found = page(&server, "/sessions?job=rag-reader").await;
    holds(&found, &["rag-reader"]);
    assert!(!found.contains("nightly-rerank"));
    holds(&page(&server, "/sessions?job=nobody").await, &["No session matches"]);
}

#[tokio::test]
async fn the_replay_lands_on_the_first_error() {
    let server = Server::start().await;
    let page = page(&server, &format!("/sessions/{}", server.night.rerank)).await;
    holds(
        &page,
        &[
            "aria-valuetext=\"Statement 10 of 12, 35.0 s, error 42P01\"",
            "relation \"public.ranking_history\" does not exist",
            "rolled back: nothing of it stayed",
            "ERROR:  42P01: ",
            "transaction 2, committed",
            "Record: whole",
            "svc:nightly-rerank",
            "TLSv1.3, TLS_AES_256_GCM_SHA384",
            "CN=nightly-rerank",
            "day=2026-11-22",
        ],
    );
}

#[tokio::test]
async fn a_deep_link_opens_a_statement_with_its_result() {
    let server = Server::start().await;
    let page = page(&server, &format!("/sessions/{}?step=3&tab=result", server.night.rerank)).await;
    holds(
        &page,
        &["aria-valuetext=\"Statement 3 of 12", "aria-selected=\"true\"", "Amélie — 天使", "NULL", "empty text", "163"],
    );
}

#[tokio::test]
async fn a_deep_link_to_a_statement_that_is_not_there_says_so() {
    let server = Server::start().await;
    let page = page(&server, &format!("/sessions/{}?step=999", server.night.rerank)).await;
    holds(&page, &["There is no statement 999: the session has statements 1 to 12."]);
    assert!(!page.contains("id=\"tab-statement\""), "nothing else is shown in its place");
}

#[tokio::test]
async fn recorded_markup_stays_text() {
    let server = Server::start().await;
    for path in ["/sessions".to_owned(), format!("/sessions/{}?step=1", server.night.markup)] {
        let page = page(&server, &path).await;
        holds(&page, &["&lt;img src=x onerror="]);
        assert!(!page.contains("<img") && !page.contains("<title>owned"), "{page}");
    }
}
