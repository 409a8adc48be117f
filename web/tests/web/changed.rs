//! "Which job changed the table at that time?", as the API and the page answer it.

use hansard_schemas::http::{Page, RelationName, SessionSummary, WhoChanged};

use crate::browser::{holds, page};
use crate::client::Server;
use crate::doubts::{TURNED, doubts};

const WHO: &str = "/api/v1/who-changed";
const MINUTE: &str = "at=2026-11-22T03:12Z";

async fn names(server: &Server, prefix: &str) -> Vec<String> {
    let page: Page<RelationName> = server.get(&format!("/api/v1/relations?prefix={prefix}")).await.json();
    page.items.into_iter().map(|known| known.relation).collect()
}

#[tokio::test]
async fn the_answer_has_three_parts() {
    let server = Server::start().await;
    let gap = doubts(&server.night.fixture).await;
    let answer: WhoChanged = server.get(&format!("{WHO}?relation=Rankings&{MINUTE}")).await.json();
    assert_eq!((answer.relation.as_str(), answer.operations), ("Rankings", vec!["update".to_owned()]));
    assert_eq!(
        (answer.from.as_str(), answer.to.as_str()),
        ("2026-11-22T03:11:00.000000000Z", "2026-11-22T03:13:00.000000000Z")
    );
    let certain: Vec<_> = answer
        .certain
        .rows
        .iter()
        .map(|row| (row.job.as_str(), row.statement_no, row.via.as_deref().unwrap()))
        .collect();
    assert_eq!(
        certain,
        [
            (TURNED, 1, "trigger"),
            ("nightly-rerank", 4, "direct"),
            ("nightly-rerank", 5, "direct"),
            ("nightly-rerank", 6, "direct")
        ]
    );
    assert_eq!(answer.certain.total, 4);
    assert!(answer.certain.rows[1].sql.as_deref().unwrap().starts_with("UPDATE public.rankings"));
    let possible: Vec<_> = answer.possible.rows.iter().map(|row| (row.job.as_str(), row.statement_no)).collect();
    assert!(possible.contains(&(TURNED, 2)) && possible.contains(&("feature-backfill", 0)), "{possible:?}");
    assert!(answer.possible.rows.iter().all(|row| row.reason.is_some()), "each has its reason");
    assert!(answer.possible.rows.iter().any(|row| row.session_id == gap.to_string()));
    let [looked] = &answer.looked_at[..] else { panic!("{:?}", answer.looked_at) };
    assert_eq!((looked.target.as_str(), looked.sessions, looked.with_gaps), ("ranking", 3, 1));
    assert_eq!(looked.catalog.as_deref(), Some("2026-11-22T03:11:58.000000000Z"));
}

#[tokio::test]
async fn a_part_is_bounded_and_says_how_much_there_is() {
    let server = Server::start().await;
    let asked = format!("{WHO}?relation=rankings&{MINUTE}&operation=any&window=1h");
    let all: WhoChanged = server.get(&asked).await.json();
    assert!(all.certain.total > 40);
    assert_eq!(all.certain.rows.len() as u64, all.certain.total);
    let some: WhoChanged = server.get(&format!("{asked}&limit=2")).await.json();
    assert_eq!((some.certain.rows.len(), some.certain.total), (2, all.certain.total));
    assert_eq!(some.certain.rows, all.certain.rows[..2]);
    let csv = server.get(&format!("{asked}&format=csv")).await;
    let lines = String::from_utf8(csv.body.clone()).unwrap().matches("\r\n").count() as u64;
    assert_eq!((csv.complete, lines), (true, 1 + all.certain.total + all.possible.total));
    assert!(csv.header("content-disposition").unwrap().contains("hansard-who-changed.csv"));
}

#[tokio::test]
async fn the_question_is_narrowed_by_operation_window_and_target() {
    let server = Server::start().await;
    let ask = async |rest: &str| -> WhoChanged { server.get(&format!("{WHO}?relation=rankings&{rest}")).await.json() };
    assert_eq!(ask(&format!("{MINUTE}&operation=delete")).await.certain.total, 0);
    let both = ask(&format!("{MINUTE}&operation=Delete,%20UPDATE,update")).await;
    assert_eq!((both.operations, both.certain.total), (vec!["delete".to_owned(), "update".to_owned()], 3));
    assert_eq!(ask("at=2026-11-22T03:12:01Z&window=0s").await.certain.total, 3);
    assert_eq!(ask("at=2026-11-22T03:12:03Z&window=0s").await.certain.total, 0);
    assert_eq!(ask(&format!("{MINUTE}&target=ranking")).await.certain.total, 3);
    // A form sends what is left empty, too.
    assert_eq!(ask(&format!("{MINUTE}&operation=&window=&target=")).await.certain.total, 3);
    // Nobody was there.
    assert_eq!(ask("at=2026-11-21T03:12Z").await.looked_at, []);
}

#[tokio::test]
async fn of_a_target_that_is_not_in_the_record_nothing_is_said_for_certain() {
    let server = Server::start().await;
    for (target, told) in [
        ("o'ther", "; there are: ranking"),
        ("rank*", "; nearest: ranking"),
        ("rankin", "; nearest: ranking"),
        ("Ranking", "; nearest: ranking"),
    ] {
        for format in ["json", "csv"] {
            let asked = format!("{WHO}?relation=rankings&{MINUTE}&format={format}&target={target}");
            let answer = server.get(&asked).await;
            assert_eq!((answer.status, answer.error().parameter.as_deref()), (404, Some("target")), "{target}");
            let message = answer.error().message;
            assert!(message.starts_with("no session of a target") && message.ends_with(told), "{message}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told_with_its_place() {
    let server = Server::start().await;
    doubts(&server.night.fixture).await;
    for (rest, status, parameter) in [
        (MINUTE.to_owned(), 400, "relation"),
        (format!("relation=%20&{MINUTE}"), 400, "relation"),
        (format!("relation=a.b.c.d&{MINUTE}"), 400, "relation"),
        (format!("relation=rank%20ings&{MINUTE}"), 400, "relation"),
        (format!("relation={}&{MINUTE}", "x".repeat(600)), 400, "relation"),
        ("relation=rankings".to_owned(), 400, "at"),
        ("relation=rankings&at=lately".to_owned(), 400, "at"),
        (format!("relation=rankings&{MINUTE}&window=long"), 400, "window"),
        (format!("relation=rankings&{MINUTE}&window=99999999999d"), 400, "window"),
        (format!("relation=rankings&{MINUTE}&operation=updaet"), 400, "operation"),
        (format!("relation=rankings&{MINUTE}&operation=insert,,"), 400, "operation"),
        (format!("relation=rankigns&{MINUTE}"), 404, "relation"),
    ] {
        let answer = server.get(&format!("{WHO}?{rest}")).await;
        assert_eq!((answer.status, answer.error().parameter.as_deref()), (status, Some(parameter)), "{rest}");
        assert!(!answer.error().message.contains("who_updated("), "{}", answer.error().message);
    }
    let nearest = server.get(&format!("{WHO}?relation=rankigns&{MINUTE}")).await.error();
    assert_eq!(nearest.nearest.first().map(String::as_str), Some("public.rankings"));
    assert!(nearest.hint.is_some());
    assert_eq!(server.get("/api/v1/relations?limit=x").await.status, 400);
}

#[tokio::test]
async fn relations_are_completed_by_what_catalogs_know() {
    let server = Server::start().await;
    assert_eq!(names(&server, "rank").await, [""; 0]);
    doubts(&server.night.fixture).await;
    assert_eq!(
        names(&server, "rank").await,
        [
            "public.rankings",
            "archive.\"Rankings \"\"2025\"\"\"",
            "public.ranking_history",
            "public.rerank_runs",
            "public.top_rankings"
        ],
        "those that begin with it first; an index is none"
    );
    assert_eq!(names(&server, "RANKINGS").await.len(), 3);
    assert_eq!(names(&server, "public.c").await, ["public.candidates"]);
    assert_eq!(names(&server, "arch").await, ["archive.\"Rankings \"\"2025\"\"\""]);
    assert_eq!(names(&server, "arch.%22Rank").await.len(), 1);
    assert_eq!(names(&server, "'%20OR%20true").await, [""; 0]);
    assert_eq!(names(&server, "").await.len(), 6);
    let two: Page<RelationName> = server.get("/api/v1/relations?prefix=rank&limit=2").await.json();
    assert_eq!(two.items.len(), 2);
    assert_eq!((two.items[0].kind.as_str(), &*two.items[0].targets), ("table", &["ranking".to_owned()][..]));
}

#[tokio::test]
async fn the_page_answers_what_its_address_asks() {
    let server = Server::start().await;
    doubts(&server.night.fixture).await;
    let shown = page(&server, &format!("/who-changed?relation=rankings&{MINUTE}")).await;
    holds(
        &shown,
        &[
            "<h1>Who changed</h1>",
            "2026-11-22 03:11:00 to 03:13:00 UTC",
            &format!("/sessions/{}?step=4", server.night.rerank),
            "by a trigger",
            "May have updated",
            "frames of this session, which was open then, are missing in the record",
            "1 with gaps in the record",
            "names by the catalog of 2026-11-22 03:11:58.000 UTC",
            "\\u{202e}",
        ],
    );
    assert!(!shown.contains('\u{202e}'), "a direction mark reached the page");
}

#[tokio::test]
async fn a_name_that_turns_text_round_is_shown_by_its_codes_everywhere() {
    let server = Server::start().await;
    doubts(&server.night.fixture).await;
    let sessions: Page<SessionSummary> = server.get("/api/v1/sessions?text=refresh_scores").await.json();
    for path in ["/sessions".to_owned(), format!("/sessions/{}?step=2", sessions.items[0].session_id)] {
        let shown = page(&server, &path).await;
        holds(&shown, &["\\u{202e}", "gnp.yllaer"]);
        assert!(!shown.contains('\u{202e}'), "a direction mark reached {path}");
    }
}

#[tokio::test]
async fn the_page_says_what_to_do_when_there_is_no_answer() {
    let server = Server::start().await;
    doubts(&server.night.fixture).await;
    let shown = page(&server, &format!("/who-changed?relation=rankigns&{MINUTE}")).await;
    holds(&shown, &["No target has a relation rankigns", "relation=public.rankings&amp;at=2026-11-22T03%3A12Z"]);
    let shown = page(&server, "/who-changed?relation=rankings&at=lately").await;
    holds(&shown, &["is not a time; write it like", "aria-invalid=\"true\""]);
    let shown = page(&server, "/who-changed?relation=rankings&at=2026-11-21T03:12Z").await;
    holds(
        &shown,
        &["No job is recorded to have certainly updated", "No session was open from 2026-11-21 03:11:00", "± 1 hour"],
    );
    holds(&page(&server, "/who-changed").await, &["Which job updated the ranking table at 03:12 UTC?"]);
}
