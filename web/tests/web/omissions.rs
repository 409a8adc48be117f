//! Sessions of which not everything was recorded, as the API and the pages show them.

use hansard_schemas::events::{Direction, Omitted};
use hansard_schemas::http::{Page, ResultGrid, SessionDetail, Step};
use uuid::Uuid;

use crate::browser::{holds, page};
use crate::client::Server;
use crate::fixture::{Session, frame};

/// A session at each level, in the log alone: without rows, and without texts.
async fn sessions(server: &Server) -> (Uuid, Uuid) {
    let fixture = &server.night.fixture;
    let mut without_rows = Session::open_as(fixture, 21, "sampler", "03:40:00", "statements").await;
    without_rows.exchange("03:40:01", &[frame(b'Q', b"SELECT title FROM films\0")], &[frame(b'T', b"\0\0")]).await;
    let rows = Omitted { frames: 1234, bytes: 5_600_000 };
    without_rows.omit("03:40:02", Direction::Backend, b'D', "result rows", rows).await;
    without_rows.exchange("03:40:03", &[], &[frame(b'C', b"SELECT 1234\0"), frame(b'Z', b"I")]).await;
    without_rows.close("03:40:04").await;

    let mut without_texts = Session::open_as(fixture, 22, "payroll", "03:50:00", "metadata").await;
    let one = Omitted { frames: 1, bytes: 60 };
    without_texts.omit("03:50:01", Direction::Frontend, b'Q', "statement text", one).await;
    without_texts.exchange("03:50:02", &[], &[frame(b'C', b"UPDATE 3\0"), frame(b'Z', b"I")]).await;
    without_texts.close("03:50:03").await;
    (without_rows.id, without_texts.id)
}

#[tokio::test]
async fn what_was_not_recorded_is_told_with_its_reason() {
    let server = Server::start().await;
    let (without_rows, without_texts) = sessions(&server).await;
    let at = |id: Uuid, rest: &str| format!("/api/v1/sessions/{id}{rest}");

    let detail: SessionDetail = server.get(&at(without_rows, "")).await.json();
    assert_eq!((detail.capture.as_deref(), detail.max_result_bytes), (Some("statements"), None));
    assert!(detail.bytes_backend > 5_600_000);
    let steps: Page<Step> = server.get(&at(without_rows, "/steps")).await.json();
    assert_eq!((steps.items[0].rows, steps.items[0].omitted_rows), (Some(1234), Some(1234)));
    assert!(!steps.items[0].text_omitted);
    let grid: ResultGrid = server.get(&at(without_rows, "/steps/1/result")).await.json();
    assert_eq!(grid.sets, []);
    assert_eq!(grid.notices, ["Rows not recorded (capture level statements): 1,234 rows, 5.6 MB."]);

    let steps: Page<Step> = server.get(&at(without_texts, "/steps")).await.json();
    let [step] = &steps.items[..] else { panic!("{steps:?}") };
    assert_eq!((step.operation.as_str(), step.sql.as_str(), step.rows), ("update", "", Some(3)));
    assert!(step.text_omitted && step.omitted_rows.is_none());
    // What it touched is not known: anything.
    assert_eq!(step.touches.iter().map(|touch| touch.relation.as_str()).collect::<Vec<_>>(), ["?"]);

    let detail: SessionDetail = server.get(&at(server.night.rerank, "")).await.json();
    assert_eq!(detail.capture.as_deref(), Some("full"));
}

#[tokio::test]
async fn the_replay_says_what_was_not_recorded() {
    let server = Server::start().await;
    let (without_rows, without_texts) = sessions(&server).await;
    let shown = page(&server, &format!("/sessions/{without_rows}?step=1&tab=result")).await;
    holds(
        &shown,
        &[
            "rows, not recorded",
            "Rows not recorded (capture level statements): 1,234 rows, 5.6 MB.",
            "statements, without the rows of results",
        ],
    );
    assert!(!shown.contains("returned no rows"), "{shown}");
    let shown = page(&server, &format!("/sessions/{without_texts}?step=1")).await;
    holds(
        &shown,
        &[
            "(text not recorded)",
            "The text of this statement, its parameters and what it touched are not recorded (capture level metadata).",
            "metadata: neither texts nor values nor rows",
        ],
    );
    assert!(!shown.contains("Copy SQL"), "{shown}");
}
