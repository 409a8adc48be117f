//! What the replay asks of a session: what it is at a glance, where something is in it, windows of its results.

use hansard_schemas::http::{Found, Overview, Page, ResultGrid, SessionOutcome, SessionSummary, Step};

use crate::client::Server;
use crate::fixture::{Session, frame};

const SESSIONS: &str = "/api/v1/sessions";

#[tokio::test]
async fn a_session_is_shown_at_a_glance_by_time() {
    let server = Server::start().await;
    let glance: Overview =
        server.get(&format!("{SESSIONS}/{}/overview?stretches=38", server.night.rerank)).await.json();
    assert_eq!((glance.statements, glance.last, glance.landing, glance.troubles), (12, 12, Some(10), 1));
    assert_eq!(glance.busy.iter().map(|stretch| stretch.statements).sum::<i64>(), 12);
    assert!(glance.busy.len() < 12 && glance.stretches == 38);
    assert_eq!(glance.busy.iter().map(|stretch| stretch.failed).sum::<i64>(), 1);
    assert!(
        glance.busy.iter().any(|stretch| stretch.writes > 0) && glance.busy.iter().any(|stretch| stretch.reads > 0)
    );
    let quiet: Overview = server.get(&format!("{SESSIONS}/{}/overview", server.night.contractor)).await.json();
    assert_eq!((quiet.landing, quiet.troubles), (Some(2), 0), "without trouble it begins at the first write");
    assert_eq!(server.get(&format!("{SESSIONS}/019aa000-0000-7000-8000-00000000ffff/overview")).await.status, 404);
}

#[tokio::test]
async fn a_statement_that_fails_late_is_no_idle_time() {
    let server = Server::start().await;
    let mut session = Session::open(&server.night.fixture, 41, "fails-late", "03:45:00").await;
    session.exchange("03:45:01", &[frame(b'Q', b"SELECT pg_sleep(20)\0")], &[]).await;
    session
        .exchange("03:45:21", &[], &[frame(b'E', b"SERROR\0VERROR\0C57014\0Mcanceled\0\0"), frame(b'Z', b"I")])
        .await;
    session.close("03:45:22").await;
    let glance: Overview = server.get(&format!("{SESSIONS}/{}/overview?stretches=20", session.id)).await.json();
    assert_eq!((glance.troubles, glance.busy.len()), (1, 20), "{glance:?}");
    assert!(glance.busy[0].failed == 1 && glance.busy[1..].iter().all(|stretch| stretch.reads > 0));
}

#[tokio::test]
async fn gaps_of_a_session_without_statements_are_told() {
    let server = Server::start().await;
    let mut session = Session::open(&server.night.fixture, 42, "silent", "03:46:00").await;
    session.lose("03:46:01").await;
    session.close("03:46:02").await;
    let glance: Overview = server.get(&format!("{SESSIONS}/{}/overview", session.id)).await.json();
    assert_eq!((glance.statements, glance.gaps.len()), (0, 1), "{glance:?}");
    assert_eq!((glance.gaps[0].after, glance.gaps[0].frames), (0, Some(3)));
}

#[tokio::test]
async fn what_is_sought_in_a_session_is_found_and_counted() {
    let server = Server::start().await;
    let address = format!("{SESSIONS}/{}/find", server.night.rerank);
    let find = async |asked: &str| server.get(&format!("{address}?{asked}")).await.json::<Found>();
    let found = |no, place, total| Found { no, place, total };
    assert_eq!(find("of=trouble").await, found(Some(10), 1, 1));
    assert_eq!(find("of=trouble&from=10").await, found(None, 0, 1));
    assert_eq!(find("of=trouble&from=12&back=true").await, found(Some(10), 1, 1));
    // In the text, in a bound value, in an error, whatever the case.
    assert_eq!(find("of=text&text=RANKINGS%20set").await, found(Some(4), 1, 3));
    assert_eq!(find("of=text&text=rankings%20set&from=4").await, found(Some(5), 2, 3));
    assert_eq!(find("of=text&text=0.8876").await, found(Some(5), 1, 1));
    assert_eq!(find("of=text&text=does%20not%20exist").await, found(Some(10), 1, 1));
    assert_eq!(find("of=text&text=nowhere").await, found(None, 0, 0));
    // Statement 2 begins a transaction of several, which 7 ends.
    assert_eq!(find("of=transaction&from=4").await.no, Some(8));
    assert_eq!(find("of=transaction&from=5&back=true").await.no, Some(2));
    assert_eq!(find("of=transaction&from=2&back=true").await.no, Some(1));
    assert_eq!(find("of=time&offset_ns=3900000000").await.no, Some(6));
    for wrong in ["of=nothing", "of=text", "of=time", "from=1"] {
        assert_eq!(server.get(&format!("{address}?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_result_comes_in_windows_and_whole_as_csv() {
    let server = Server::start().await;
    let address = format!("{SESSIONS}/{}/steps/3/result", server.night.rerank);
    let window: ResultGrid = server.get(&format!("{address}?from=101&rows=100")).await.json();
    let set = &window.sets[0];
    assert_eq!((set.first_row, set.rows.len(), set.total_rows), (101, 63, 163));
    let beyond: ResultGrid = server.get(&format!("{address}?from=164")).await.json();
    assert!(beyond.sets[0].rows.is_empty() && beyond.notices[0].contains("no row 164"), "{beyond:?}");
    let csv = server.get(&format!("{address}?format=csv")).await;
    let text = String::from_utf8(csv.body.clone()).unwrap();
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(text.matches("\r\n").count(), 164, "{text}");
    assert!(text.starts_with("\"id\",\"title\",\"rating\",\"poster\",\"note\"\r\n\"17\",\"Alien\",\"8.5\","));
    assert_eq!(server.get(&format!("{address}?format=parquet")).await.status, 400);
}

#[tokio::test]
async fn steps_are_asked_by_their_number_and_a_step_that_is_not_there_is_none() {
    let server = Server::start().await;
    let address = format!("{SESSIONS}/{}/steps", server.night.rerank);
    let page: Page<Step> = server.get(&format!("{address}?from=11&limit=100")).await.json();
    assert_eq!(page.items.iter().map(|step| step.no).collect::<Vec<_>>(), [11, 12]);
    let beyond: Page<Step> = server.get(&format!("{address}?from=13")).await.json();
    assert!(beyond.items.is_empty() && beyond.next.is_none());
    let live: Page<Step> = server.get(&format!("{SESSIONS}/{}/steps", server.night.live)).await.json();
    assert!(live.items.iter().all(|step| !step.unanswered));
}

#[tokio::test]
async fn sessions_are_counted_sorted_and_found_by_what_they_hold() {
    let server = Server::start().await;
    let page = async |asked: &str| server.get(&format!("{SESSIONS}?{asked}")).await.json::<Page<SessionSummary>>();
    let jobs = async |asked: &str| page(asked).await.items.into_iter().map(|one| one.job).collect::<Vec<_>>();
    let all = page("limit=2").await;
    assert_eq!((all.items.len(), all.total), (2, Some(5)), "the total is that of all pages");
    assert_eq!(page("limit=1&job=*-re*").await.total, Some(3));
    assert_eq!(jobs("job=nightly*").await, ["nightly-rerank"]);
    assert_eq!(jobs("job=nightly").await, Vec::<String>::new());
    assert_eq!(jobs("role=app&target=rank*&client=10.0.0.7*&application=nightly*").await, ["nightly-rerank"]);
    assert_eq!(jobs("operation=INSERT").await, ["nightly-rerank"]);
    assert_eq!(page("errors=true").await.total, Some(2));
    assert_eq!(page("errors=false").await.total, Some(3));
    let sorted = jobs("sort=statements").await;
    assert_eq!((sorted[0].as_str(), sorted[1].as_str()), ("rag-reader", "nightly-rerank"));
    assert_eq!(jobs("sort=duration&order=asc&limit=1").await, ["embedding-refresh"]);
    // Page by page in any order, each once.
    for order in ["sort=statements", "sort=duration&order=asc", "order=asc"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = page(&format!("{order}&limit=2&cursor={cursor}")).await;
            found.extend(page.items.into_iter().map(|one| one.session_id));
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let whole: Vec<String> = page(order).await.items.into_iter().map(|one| one.session_id).collect();
        assert_eq!((found.len(), found), (5, whole), "{order}");
    }
    let hit = &page("text=0.8876").await.items[0];
    assert_eq!((hit.job.as_str(), hit.hits, hit.first_hit), ("nightly-rerank", Some(1), Some(5)));
    for wrong in ["errors=maybe", "sort=colour", "order=up", "newer_than=x"] {
        assert_eq!(server.get(&format!("{SESSIONS}?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn what_is_new_is_counted_from_the_latest_that_is_shown() {
    let server = Server::start().await;
    let all: Page<SessionSummary> = server.get(SESSIONS).await.json();
    for (place, session) in all.items.iter().enumerate() {
        let newer: Page<SessionSummary> =
            server.get(&format!("{SESSIONS}?limit=1&newer_than={}", session.cursor)).await.json();
        assert_eq!(newer.total, Some(u64::try_from(place).unwrap()));
    }
    assert_eq!((all.items[0].outcome, all.items[0].close_reason.as_deref()), (SessionOutcome::Live, None));
}

#[tokio::test]
async fn answers_are_packed_where_a_browser_takes_it() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token);
    let path = format!("{SESSIONS}/{}/steps", server.night.rerank);
    let plain = server.get(&path).await;
    let headers = [("authorization", bearer.as_str()), ("accept-encoding", "gzip, br")];
    let packed = server.send("GET", &path, &headers, "").await;
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), (None, Some("gzip")));
    assert!(packed.body.len() * 2 < plain.body.len() && packed.body.starts_with(&[0x1f, 0x8b]));
    let short = server.send("GET", "/api/v1/status", &headers, "").await;
    assert_eq!(short.header("content-encoding"), None);
}

#[tokio::test]
async fn a_browser_that_is_not_logged_in_is_told_the_command() {
    let server = Server::start().await;
    let command = "hansard login --config hansard.toml";
    let refused = server.send("GET", SESSIONS, &[], "").await;
    assert!(refused.error().hint.unwrap().contains(command));
    for (path, status) in [("/login", 200), ("/login?token=used-up", 403)] {
        let page = server.send("GET", path, &[], "").await;
        let text = String::from_utf8(page.body).unwrap();
        assert_eq!(page.status, status, "{path}");
        assert!(text.contains(command) && !text.contains("Start Hansard again"), "{text}");
    }
}
