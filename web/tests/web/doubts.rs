//! What makes an answer to "who changed it?" more than a list: a catalog, a way through a trigger, code that may have done
//! anything, a session that is not recorded in full, and names that would deceive a reader.

use hansard_policy::catalog::{Database, Object, Relation, RelationKind};
use hansard_record::{CatalogRow, Certainty, Outcome, Rows, TouchRow};
use uuid::Uuid;

use crate::fixture::{Fixture, Session, at};

/// A job's name that turns what follows it round.
pub(crate) const TURNED: &str = "etl\u{202e}gnp.yllaer";

fn row(clock: &str, oid: u32, object: &Object) -> CatalogRow {
    let (schema, name) = object.name();
    CatalogRow {
        target: "ranking".into(),
        database: "ranking".into(),
        node: "n".into(),
        instance: "i".into(),
        version: 1,
        base_version: 0,
        begun_at: at(clock),
        read_at: at(clock),
        kind: object.kind().as_str(),
        oid,
        schema: schema.map(|schema| (**schema).into()),
        name: name.into(),
        definition: Some(serde_json::to_string(object).unwrap().into()),
    }
}

fn relation(schema: &str, name: &str, kind: RelationKind) -> Object {
    Object::Relation(Box::new(Relation { schema: schema.into(), name: name.into(), kind, ..Relation::default() }))
}

/// Adds them to a night; gives the session with a gap.
pub(crate) async fn doubts(fixture: &Fixture) -> Uuid {
    let database = Database { search_path: "\"$user\", public".into(), ..Database::default() };
    let catalog = vec![
        row("03:00:00", 1, &Object::Database(database)),
        row("03:00:00", 2, &relation("public", "rankings", RelationKind::Table)),
        row("03:00:00", 3, &relation("public", "rankings_pkey", RelationKind::Index)),
        row("03:00:00", 4, &relation("public", "ranking_history", RelationKind::Partitioned)),
        row("03:00:00", 5, &relation("public", "top_rankings", RelationKind::View)),
        row("03:00:00", 6, &relation("archive", "Rankings \"2025\"", RelationKind::Table)),
        row("03:00:00", 7, &relation("public", "candidates", RelationKind::Table)),
        row("03:11:58", 8, &relation("public", "rerank_runs", RelationKind::Table)),
    ];

    let mut import = Session::open(fixture, 31, TURNED, "03:11:30").await;
    import.query("03:11:40", "UPDATE films SET votes = votes + 1 WHERE id = 42", &[], "UPDATE 1").await;
    import.query("03:11:50", "SELECT refresh_scores('science fiction')", &["ok"], "SELECT 1").await;
    import.close("03:11:55").await;
    let triggered = TouchRow {
        relation: "public.rankings".into(),
        operation: "update",
        at: at("03:11:40"),
        committed_at: Some(at("03:11:40.002")),
        job: TURNED.into(),
        subject: format!("svc:{TURNED}").into(),
        session_id: import.id,
        statement_no: 1,
        target: "ranking".into(),
        rows: None,
        transaction_id: 1,
        transaction_outcome: Some(Outcome::Committed),
        outcome_reason: None,
        columns: Vec::new().into(),
        via: "trigger",
        certainty: Certainty::Certain,
        reason: None,
    };
    fixture.put(Rows { catalog, touches: vec![triggered], ..Rows::default() }).await;

    let mut gap = Session::open(fixture, 32, "feature-backfill", "03:10:07").await;
    gap.query("03:10:08", "SELECT title FROM candidates WHERE id = 17", &["Alien"], "SELECT 1").await;
    gap.lose("03:12:02").await;
    gap.close("03:14:00").await;
    gap.id
}
