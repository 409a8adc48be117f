//! What the API answers.

use hansard_query::EngineOptions;
use hansard_schemas::http::{
    Cell, Page, QueryFormat, ResultGrid, SessionDetail, SessionOutcome, SessionSummary, Status, Step, TouchRow,
};

use crate::client::Server;

const SESSIONS: &str = "/api/v1/sessions";

async fn jobs(server: &Server, filter: &str) -> Vec<String> {
    let page: Page<SessionSummary> = server.get(&format!("{SESSIONS}?{filter}")).await.json();
    page.items.into_iter().map(|session| session.job).collect()
}

#[tokio::test]
async fn sessions_are_listed_filtered_and_paged() {
    let server = Server::start().await;
    let page: Page<SessionSummary> = server.get(SESSIONS).await.json();
    let [live, _, markup, rerank, contractor] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((live.outcome, live.statements, &live.duration_ns), (SessionOutcome::Live, 2, &None));
    assert_eq!(markup.errors, 1);
    assert_eq!((rerank.outcome, rerank.statements, rerank.errors), (SessionOutcome::Complete, 12, 1));
    assert_eq!(rerank.duration_ns, Some(38_000_000_000));
    assert_eq!(contractor.opened_at, "2026-11-22T03:02:19.000000000Z");

    assert_eq!(jobs(&server, "job=rag-reader").await, ["rag-reader"]);
    assert_eq!(jobs(&server, "relation=public.candidates").await, ["nightly-rerank"]);
    assert_eq!(jobs(&server, "text=RANKING_history").await, ["nightly-rerank"]);
    assert_eq!(jobs(&server, "outcome=live&job=&text=").await, ["embedding-refresh"]);
    assert_eq!(jobs(&server, "from=2026-11-22T03:11&to=2026-11-22T03:11:58").await, ["nightly-rerank"]);
    assert_eq!(jobs(&server, "job=x'%20OR%20'1'%3D'1").await, Vec::<String>::new());

    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: Page<SessionSummary> = server.get(&format!("{SESSIONS}?limit=2&cursor={cursor}")).await.json();
        assert!(page.items.len() <= 2);
        paged.extend(page.items.into_iter().map(|session| session.session_id));
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(paged, page.items.into_iter().map(|session| session.session_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_wrong_with_a_list_of_sessions_is_told_with_its_place() {
    let server = Server::start().await;
    for (rest, parameter) in [
        ("operation=udpate", "operation"),
        ("operation=update,insert", "operation"),
        ("from=2026-11-23&to=2026-11-22", "to"),
        ("from=lately", "from"),
        ("from=9999-01-01", "from"),
        ("cursor=x", "cursor"),
        ("cursor=1.2.3", "cursor"),
        ("newer_than=x", "newer_than"),
    ] {
        let answer = server.get(&format!("{SESSIONS}?{rest}")).await;
        assert_eq!((answer.status, answer.error().parameter.as_deref()), (400, Some(parameter)), "{rest}");
    }
    assert_eq!(server.get(&format!("{SESSIONS}?from=2026-11-22&to=2026-11-22&operation=UPDATE")).await.status, 200);
    let body = server.post("/api/v1/query", "[]").await.error().message;
    assert!(!body.contains("QueryRequest"), "{body}");
}

#[tokio::test]
async fn wrong_questions_get_clear_answers() {
    let server = Server::start().await;
    let rerank = server.night.rerank;
    for (path, status, code) in [
        (format!("{SESSIONS}?from=lately"), 400, "invalid"),
        (format!("{SESSIONS}?outcome=fine"), 400, "invalid"),
        (format!("{SESSIONS}?cursor=x"), 400, "invalid"),
        (format!("{SESSIONS}?limit=many"), 400, "invalid"),
        (format!("{SESSIONS}/none"), 404, "not_found"),
        (format!("{SESSIONS}/019aa000-0000-7000-8000-00000000ffff"), 404, "not_found"),
        (format!("{SESSIONS}/019aa000-0000-7000-8000-00000000ffff/steps"), 404, "not_found"),
        (format!("{SESSIONS}/{rerank}/steps/999"), 404, "not_found"),
        (format!("{SESSIONS}/{rerank}/steps/x"), 404, "not_found"),
        (format!("{SESSIONS}/{rerank}/steps/999/result"), 404, "not_found"),
        (format!("{SESSIONS}/{rerank}/export?table=secrets"), 400, "invalid"),
        ("/api/v1/who-touched".to_owned(), 400, "invalid"),
        ("/api/v2/sessions".to_owned(), 404, "not_found"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (status, code), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        assert!(!answer.error().message.is_empty());
    }
    assert_eq!(server.get("/api/v1/query").await.status, 405);
    for body in ["", "{}", "{\"sql\":1}", "{\"sql\":\"SELECT 1\",\"format\":\"xml\"}"] {
        assert_eq!(server.post("/api/v1/query", body).await.error().code, "invalid", "{body}");
    }
    for sql in ["SELEKT", "DROP TABLE frames", "SELECT * FROM nowhere", "COPY frames TO '/tmp/x'"] {
        let answer = server.post("/api/v1/query", &format!("{{\"sql\":\"{sql}\"}}")).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (400, "invalid"), "{sql}");
    }
}

#[tokio::test]
async fn a_session_is_told_with_its_files() {
    let server = Server::start().await;
    let rerank: SessionDetail = server.get(&format!("{SESSIONS}/{}", server.night.rerank)).await.json();
    assert_eq!(rerank.summary.job, "nightly-rerank");
    assert_eq!((rerank.client_addr.as_str(), rerank.groups), ("10.0.0.7:51234", vec!["batch".to_owned()]));
    assert_eq!(
        (rerank.tls_version.as_deref(), rerank.tls_cipher.as_deref()),
        (Some("TLSv1.3"), Some("TLS_AES_256_GCM_SHA384"))
    );
    assert_eq!(
        (rerank.client_dn.as_deref(), rerank.client_certificate_sha256),
        (Some("CN=nightly-rerank"), Some("c4".repeat(32)))
    );
    assert!(rerank.frames > 200 && rerank.gaps.is_empty());
    let mut tables: Vec<&str> = rerank.files.iter().map(|file| file.table.as_str()).collect();
    tables.sort_unstable();
    assert_eq!(tables, ["frames", "sessions", "statements", "touches", "transactions"]);

    let live: SessionDetail = server.get(&format!("{SESSIONS}/{}", server.night.live)).await.json();
    assert!(live.files.is_empty() && live.summary.closed_at.is_none());
}

#[tokio::test]
async fn steps_come_in_order_with_parameters_touches_and_outcomes() {
    let server = Server::start().await;
    let address = format!("{SESSIONS}/{}/steps", server.night.rerank);
    let page: Page<Step> = server.get(&address).await.json();
    assert_eq!(page.items.iter().map(|step| step.no).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let select = &page.items[2];
    assert_eq!(select.parameters, [Cell::Text("science fiction".into()), Cell::Text("1000".into())]);
    assert_eq!((select.rows, select.offset_ns), (Some(163), 1_000_000_000));
    assert_eq!(select.touches[0].relation, "public.candidates");
    let insert = &page.items[8];
    assert_eq!((insert.parameters.as_slice(), insert.transaction_outcome.as_str()), (&[Cell::Null][..], "rolled back"));
    let failed = &page.items[9];
    assert_eq!((failed.sqlstate.as_deref(), failed.transaction_id), (Some("42P01"), insert.transaction_id));

    let first: Page<Step> = server.get(&format!("{address}?limit=5")).await.json();
    let rest: Page<Step> = server.get(&format!("{address}?limit=50&cursor={}", first.next.unwrap())).await.json();
    assert_eq!([first.items, rest.items].concat(), page.items);
    assert_eq!(rest.next, None);
    let one: Step = server.get(&format!("{address}/3")).await.json();
    assert_eq!(&one, select);

    let undone: Page<Step> = server.get(&format!("{SESSIONS}/{}/steps", server.night.contractor)).await.json();
    assert!(!undone.items.is_empty());
    assert!(undone.items.iter().all(|step| step.transaction_outcome == "rolled back" && step.committed_at.is_none()));
    let live: Page<Step> = server.get(&format!("{SESSIONS}/{}/steps", server.night.live)).await.json();
    assert_eq!(live.items[1].transaction_outcome, "open");
}

#[tokio::test]
async fn results_tell_null_from_nothing_and_are_bounded() {
    let server = Server::start().await;
    let address = format!("{SESSIONS}/{}/steps/3/result", server.night.rerank);
    let grid: ResultGrid = server.get(&format!("{address}?rows=2")).await.json();
    let [set] = &grid.sets[..] else { panic!("{grid:?}") };
    assert_eq!((set.rows.len(), set.first_row, set.total_rows), (2, 1, 163));
    assert_eq!(set.rows[0][4], Cell::Text(String::new()));
    assert_eq!(set.rows[1][2], Cell::Null);
    let all: ResultGrid = server.get(&format!("{address}?rows=1000")).await.json();
    assert_eq!(all.sets[0].rows.len(), 163);
}

#[tokio::test]
async fn queries_answer_in_every_format() {
    let server = Server::start().await;
    for (format, begins, saved) in [
        (QueryFormat::Json, &b"["[..], false),
        (QueryFormat::Csv, b"\"job\",\"n\"", true),
        (QueryFormat::Parquet, b"PAR1", true),
        (QueryFormat::Arrow, b"\xff\xff\xff\xff", true),
    ] {
        let sql = "SELECT job, count(*) AS n FROM sessions GROUP BY job ORDER BY job";
        let body = format!("{{\"sql\":\"{sql}\",\"format\":\"{}\"}}", format.name());
        let answer = server.post("/api/v1/query", &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(format.content_type())));
        assert!(answer.body.starts_with(begins), "{format:?}");
        let name = answer.header("content-disposition");
        assert_eq!(
            name.is_some_and(|name| name.contains(&format!("hansard-query.{}", format.name()))),
            saved,
            "{name:?}"
        );
        // What is whole is answered as it comes: nobody knows its rows beforehand.
        let whole = matches!(format, QueryFormat::Csv | QueryFormat::Parquet);
        assert_eq!(answer.header("hansard-rows"), Some("5").filter(|_| !whole));
        assert_eq!(answer.header("hansard-truncated"), Some("false"));
    }
}

/// As many as a thousand sessions' would be.
const ROWS: &str = "SELECT a.sql FROM statements a, statements b, statements c";

fn asked(sql: &str, format: QueryFormat) -> String {
    serde_json::json!({ "sql": sql, "format": format }).to_string()
}

#[tokio::test]
async fn exports_are_whole_whatever_the_row_limit() {
    let server = Server::with(EngineOptions { row_limit: 10, ..EngineOptions::default() }).await;
    let count = server.post("/api/v1/query", &asked("SELECT count(*) AS n FROM statements", QueryFormat::Json)).await;
    let statements = count.json::<Vec<serde_json::Value>>()[0]["n"].as_u64().unwrap();
    let shown = server.post("/api/v1/query", &asked(ROWS, QueryFormat::Json)).await;
    assert_eq!((shown.header("hansard-rows"), shown.header("hansard-truncated")), (Some("10"), Some("true")));
    let whole = server.post("/api/v1/query?whole=true", &asked(ROWS, QueryFormat::Json)).await;
    assert_eq!(whole.header("hansard-truncated"), Some("false"));
    assert_eq!(whole.json::<Vec<serde_json::Value>>().len() as u64, statements.pow(3));
    let csv = server.post("/api/v1/query", &asked(ROWS, QueryFormat::Csv)).await;
    assert!(csv.complete && csv.body.iter().filter(|byte| **byte == b'\n').count() as u64 > statements.pow(3));
    let some = server.post("/api/v1/query?whole=false", &asked(ROWS, QueryFormat::Csv)).await;
    assert_eq!(some.header("hansard-truncated"), Some("true"));
    let frames = server.get(&format!("{SESSIONS}/{}/export?format=csv", server.night.rerank)).await;
    assert!(frames.body.iter().filter(|byte| **byte == b'\n').count() > 200);
}

#[tokio::test]
async fn an_export_that_breaks_is_no_complete_answer() {
    let server = Server::start().await;
    let breaks = "SELECT 1 / (n - 300000) AS n, repeat('x', 100) AS t FROM generate_series(1, 400000) AS g(n)";
    for format in QueryFormat::ALL {
        let answer = server.post("/api/v1/query?whole=true", &asked(breaks, format)).await;
        // What came is no whole answer of HTTP; of a Parquet file nothing is written before much of it is known.
        let expected = if format == QueryFormat::Parquet { (400, true) } else { (200, false) };
        assert_eq!((answer.status, answer.complete), expected, "{format:?}: {}", answer.body.len());
    }
    // Who cannot tell gets nothing.
    let bearer = format!("Bearer {}", server.token);
    let path = format!("{SESSIONS}/{}/export", server.night.rerank);
    let old = server.send_as("HTTP/1.0", "GET", &path, &[("authorization", &bearer)], "").await;
    assert_eq!((old.status, old.error().code.as_str()), (400, "invalid"));
}

#[tokio::test]
async fn a_query_may_take_longer_than_a_minute() {
    let timeout = std::time::Duration::from_secs(300);
    let server = Server::with(EngineOptions { timeout, ..EngineOptions::default() }).await;
    assert!(server.request_timeout > timeout);
}

#[tokio::test]
async fn who_touched_and_exports() {
    let server = Server::start().await;
    let asked =
        "/api/v1/who-touched?relation=rankings&from=2026-11-22T03:12:00Z&to=2026-11-22T03:12:01Z&operation=update";
    let rows: Vec<TouchRow> = server.get(asked).await.json();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.job == "nightly-rerank" && row.sql.is_some()));
    let csv = server.get(&format!("{asked}&format=csv")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));

    let frames = server.get(&format!("{SESSIONS}/{}/export", server.night.rerank)).await;
    assert!(frames.body.starts_with(b"PAR1") && frames.body.ends_with(b"PAR1"));
    assert!(frames.header("content-disposition").unwrap().contains("-frames.parquet"));
    let steps = server.get(&format!("{SESSIONS}/{}/export?table=statements&format=json", server.night.live)).await;
    assert_eq!(steps.json::<Vec<serde_json::Value>>().len(), 2);
}

#[tokio::test]
async fn the_status_teaches_how_to_connect() {
    let server = Server::start().await;
    let status: Status = server.get("/api/v1/status").await.json();
    assert_eq!(status.targets[0].listen, "127.0.0.1:6432");
}

#[tokio::test]
async fn assets_are_files_or_the_page() {
    let server = Server::start().await;
    for path in ["/", "/sessions", "/sessions/019aa000-0000-7000-8000-000000000001?step=4"] {
        let page = server.send("GET", path, &[], "").await;
        assert_eq!(page.status, 200, "{path}");
        assert!(String::from_utf8(page.body).unwrap().contains("Hansard"), "{path}");
    }
    for path in ["/assets/nothing.js", "/assets/../index.html", "/assets/..%2f..%2fCargo.toml", "/favicon.svg/x"] {
        let answer = server.send("GET", path, &[], "").await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("[package]"), "{path}");
    }
    assert_eq!(server.send("GET", "/assets/nothing.js", &[], "").await.status, 404);
    assert_eq!(server.send("POST", "/sessions", &[], "").await.status, 405);
}
