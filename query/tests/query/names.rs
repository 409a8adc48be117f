//! Relations that are asked for by names that a catalog tells.

use hansard_policy::catalog::{Database, Object, Relation};
use hansard_query::{Engine, ErrorKind};
use hansard_record::{CatalogRow, Rows};

use crate::fixture::{Fixture, Session, at, column};

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

fn table(schema: &str, name: &str) -> Object {
    Object::Relation(Box::new(Relation { schema: schema.into(), name: name.into(), ..Relation::default() }))
}

/// `ranks` became `rankings` at four; unqualified names are in `app`.
async fn renamed() -> Fixture {
    let fixture = Fixture::new();
    let database = Database { search_path: "\"$user\", app".into(), ..Database::default() };
    let catalog = vec![
        row("03:00:00", 1, &Object::Database(database)),
        row("03:00:00", 2, &table("app", "ranks")),
        row("03:00:00", 3, &table("public", "MixedCase")),
        row("04:00:00", 2, &table("app", "rankings")),
    ];
    fixture.put(Rows { catalog, ..Rows::default() }).await;
    let mut job = Session::open(&fixture, 1, "nightly", "03:10:00").await;
    job.query("03:12:00", "UPDATE app.ranks SET n = 1", &[], "UPDATE 1").await;
    job.query("03:12:01", "UPDATE public.rankings SET n = 1", &[], "UPDATE 1").await;
    job.query("03:12:02", "DELETE FROM public.\"MixedCase\"", &[], "DELETE 1").await;
    job.query("04:12:00", "UPDATE app.rankings SET n = 2", &[], "UPDATE 1").await;
    job.query("04:12:01", "UPDATE app.ranks SET n = 3", &[], "UPDATE 1").await;
    fixture
}

async fn found(engine: &Engine, arguments: &str) -> Vec<String> {
    let answer = engine.sql(&format!("SELECT * FROM who_updated({arguments})")).await.unwrap();
    column(&answer, "relation")
}

/// Known failure: `who-updated Rankings` for `rankings`, and for a table that was renamed since.
#[tokio::test]
async fn a_relation_is_found_by_its_default_path_and_by_what_it_was_called() {
    let fixture = renamed().await;
    for _ in 0..2 {
        let engine = fixture.engine();
        for relation in ["rankings", "Rankings", "app.rankings", " APP . \"rankings\" "] {
            assert_eq!(
                found(&engine, &format!("'{relation}', '2026-11-22T03:12Z'")).await,
                ["app.ranks"],
                "{relation}"
            );
            assert_eq!(found(&engine, &format!("'{relation}', '2026-11-22T04:12Z'")).await, ["app.rankings"]);
        }
        let answer = engine.sql("SELECT * FROM who_updated('rankings', '2026-11-22T03:12Z')").await.unwrap();
        assert_eq!(column(&answer, "reason"), ["the relation had this name then"]);
        assert_eq!(column(&answer, "certainty"), ["certain"]);
        // Recorded, but in no catalog.
        assert_eq!(found(&engine, "'public.rankings', '2026-11-22T03:12Z'").await, ["public.rankings"]);
        fixture.flush().await;
    }
}

/// Known failure: `who-updated public."MixedCase"`.
#[tokio::test]
async fn quoted_names_and_several_operations() {
    let fixture = renamed().await;
    let engine = fixture.engine();
    let of = async |operation: &str| {
        found(&engine, &format!("'public.\"MixedCase\"', '2026-11-22T03:12Z', '0s', '{operation}'")).await
    };
    assert_eq!(of("delete").await, ["public.\"MixedCase\""]);
    assert_eq!(of("insert, DELETE").await, ["public.\"MixedCase\""]);
    assert_eq!(of("any").await, ["public.\"MixedCase\""]);
    assert_eq!(of("update").await, [""; 0]);
}

/// Known failure: nothing, and exit 0, for a relation that does not exist.
#[tokio::test]
async fn a_relation_that_is_not_there_is_an_error_with_the_nearest() {
    let fixture = renamed().await;
    let engine = fixture.engine();
    for (relation, message) in [
        ("mixedcase", "no target has a relation mixedcase; nearest: public.\"MixedCase\""),
        ("app.rankngs", "no target has a relation app.rankngs; nearest: app.rankings, app.ranks"),
        ("nothing_like_it", "no target has a relation nothing_like_it"),
    ] {
        let error = engine.sql(&format!("SELECT * FROM who_touched('{relation}', NULL, NULL)")).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, message.to_owned()));
    }
    let error = engine.sql("SELECT * FROM who_touched('a b', NULL, NULL)").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_was_looked_at_is_told() {
    let fixture = renamed().await;
    let engine = fixture.engine();
    let answer = engine.sql("SELECT * FROM looked_at('2026-11-22T03:12Z', '0s')").await.unwrap();
    let told = ["target", "sessions", "with_gaps", "catalog"].map(|name| column(&answer, name).join(","));
    assert_eq!(told, ["ranking", "1", "0", "2026-11-22T03:00:00.000000000Z"]);
    let answer = engine.sql("SELECT * FROM looked_at('2026-11-22T02:12Z')").await.unwrap();
    assert_eq!(answer.rows(), 0);
}

#[tokio::test]
async fn a_gap_in_that_time_may_hide_an_update() {
    let fixture = renamed().await;
    let mut lost = Session::open(&fixture, 2, "lost", "03:10:00").await;
    lost.lose("03:11:00").await;
    lost.close("03:20:00").await;
    for _ in 0..2 {
        let engine = fixture.engine();
        let answer = engine.sql("SELECT * FROM who_updated('rankings', '2026-11-22T03:12Z')").await.unwrap();
        assert_eq!(column(&answer, "job"), ["nightly", "lost"]);
        assert_eq!(column(&answer, "relation"), ["app.ranks", "?"]);
        assert_eq!(column(&answer, "certainty"), ["certain", "possible"]);
        assert_eq!(column(&answer, "columns")[1], "[]");
        assert!(column(&answer, "reason")[1].contains("missing in the record"));
        assert_eq!(found(&engine, "'rankings', '2026-11-22T04:12Z'").await, ["app.rankings"]);
        let answer = engine.sql("SELECT * FROM looked_at('2026-11-22T03:12Z')").await.unwrap();
        assert_eq!(
            (column(&answer, "sessions"), column(&answer, "with_gaps")),
            (vec!["2".to_owned()], vec!["1".to_owned()])
        );
        fixture.flush().await;
    }
}

#[tokio::test]
async fn a_gap_hides_nothing_where_no_such_relation_was() {
    let fixture = renamed().await;
    let elsewhere = |oid, object: &Object| CatalogRow { database: "other".into(), ..row("03:00:00", oid, object) };
    let catalog = vec![
        elsewhere(1, &Object::Database(Database { search_path: "public".into(), ..Database::default() })),
        elsewhere(2, &table("public", "films")),
    ];
    fixture.put(Rows { catalog, ..Rows::default() }).await;
    // At database `ranking`, the one before its catalog was read.
    for (id, job, opened) in [(2, "late", "03:10:00"), (3, "early", "02:50:00")] {
        let mut lost = Session::open(&fixture, id, job, opened).await;
        lost.lose("03:11:00").await;
        lost.close("03:20:00").await;
    }
    for _ in 0..2 {
        let engine = fixture.engine();
        let jobs = async |question: &str| {
            let answer = engine.sql(&format!("SELECT * FROM {question} ORDER BY job")).await.unwrap();
            assert!(column(&answer, "certainty").iter().all(|certainty| certainty == "possible"));
            column(&answer, "job")
        };
        assert_eq!(jobs("who_updated('films', '2026-11-22T03:14Z')").await, ["early"]);
        assert_eq!(jobs("who_updated('public.\"MixedCase\"', '2026-11-22T03:14Z')").await, ["early", "late"]);
        // Also of any operation, at any time of the session.
        let touched = "who_touched('public.\"MixedCase\"', '2026-11-22T03:15Z', '2026-11-22T03:30Z', 'select')";
        assert_eq!(jobs(touched).await, ["early", "late"]);
        assert_eq!(jobs("who_touched('films', '2026-11-22T03:15Z', NULL)").await, ["early"]);
        assert_eq!(jobs("who_touched('films', NULL, '2026-11-22T02:40Z')").await, [""; 0]);
        fixture.flush().await;
    }
}

#[tokio::test]
async fn a_name_with_a_database_is_of_that_database() {
    let fixture = renamed().await;
    let engine = fixture.engine();
    assert_eq!(found(&engine, "'ranking.app.rankings', '2026-11-22T03:12Z'").await, ["app.ranks"]);
    let error = engine.sql("SELECT * FROM who_updated('nowhere.app.rankings', '2026-11-22T03:12Z')").await.unwrap_err();
    let message = "no session was recorded at a database nowhere";
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, message.to_owned()));
}

#[tokio::test]
async fn an_operation_that_there_is_not_is_told() {
    let fixture = renamed().await;
    let asked = "SELECT * FROM who_updated('rankings', '2026-11-22T03:12Z', '1m', 'insert,updat')";
    let error = fixture.engine().sql(asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("'updat' is no operation; those are select, insert, update"), "{error}");
}

/// What was found before is no answer once more is recorded.
#[tokio::test]
async fn names_are_looked_up_again_when_a_catalog_was_read() {
    let fixture = renamed().await;
    let engine = fixture.engine();
    assert_eq!(found(&engine, "'rankings', '2026-11-22T03:12Z'").await, ["app.ranks"]);
    let catalog =
        vec![row("05:00:00", 2, &table("app", "rankings_old")), row("05:00:00", 9, &table("app", "rankings"))];
    fixture.put(Rows { catalog, ..Rows::default() }).await;
    assert_eq!(found(&engine, "'rankings_old', '2026-11-22T04:12Z'").await, ["app.rankings"]);
    assert_eq!(found(&engine, "'rankings', '2026-11-22T03:12Z'").await, [""; 0]);
}
