//! What a relation's name means: by search path, role, temporary relations, encoding; and what hides behind it.

use hansard_tests::wire::{Bound, bind, execute, parse, query, sync};

use crate::scene::{Row, Scene, Touch, Turn, turn};

const UPDATE: &str = "UPDATE t SET n = 1";

/// Schemas with a table `t`; `decoy` has none.
const SCHEMAS: [&str; 7] = ["public", "prod", "app", "r", "sp1", "sp2", "sp3"];

/// A database whose catalog nobody has read.
pub(crate) async fn scene() -> Scene {
    let scene = Scene::start().await;
    let mut sql = "CREATE SCHEMA decoy; GRANT ALL ON SCHEMA decoy TO public; CREATE ROLE r; GRANT r TO app; \
                   ALTER ROLE app CREATEROLE; GRANT CREATE ON DATABASE ranking TO app;"
        .to_owned();
    for schema in SCHEMAS {
        sql.push_str(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}.t (n int); INSERT INTO {schema}.t VALUES (0); \
             GRANT ALL ON SCHEMA {schema} TO public; GRANT ALL ON {schema}.t TO public;"
        ));
    }
    scene.superuser.batch_execute(&sql).await.unwrap();
    scene
}

pub(crate) fn say(texts: &[&str]) -> Vec<Turn> {
    texts.iter().map(|sql| turn(&[query(sql)], 1)).collect()
}

/// The tables `t` that were updated since the last time.
pub(crate) async fn updated(scene: &Scene) -> Vec<String> {
    let mut found = Vec::new();
    for schema in SCHEMAS {
        let row = scene.superuser.query_one(&format!("SELECT max(n) FROM {schema}.t"), &[]).await.unwrap();
        if row.get::<_, i32>(0) == 1 {
            found.push(format!("{schema}.t"));
            scene.superuser.batch_execute(&format!("UPDATE {schema}.t SET n = 0")).await.unwrap();
        }
    }
    found
}

/// The one statement that updates something.
#[track_caller]
fn update(rows: &[Row]) -> &Row {
    let found: Vec<&Row> = rows.iter().filter(|row| row.sql.starts_with("UPDATE")).collect();
    assert_eq!(found.len(), 1, "{rows:#?}");
    found[0]
}

/// What it is said to have updated for certain.
pub(crate) fn certain(row: &Row) -> Vec<&str> {
    let is = |touch: &&Touch| touch.certain && touch.operation == "update" && touch.outcome == "committed";
    row.touches.iter().filter(is).map(|touch| touch.relation.as_str()).collect()
}

/// Plays a session with one update, which the record tells of for certain, and truly.
async fn is_told(scene: &Scene, start: &[(&str, &str)], turns: &[Turn], relation: &str) {
    let name = scene.play(start, turns).await;
    let rows = scene.recorded(&name);
    scene.nobody_is_left().await;
    let shown =
        format!("{start:?}, {:?}", turns.iter().map(|turn| turn.0.escape_ascii().to_string()).collect::<Vec<_>>());
    assert_eq!(updated(scene).await, [relation], "what the database says: {shown}, {rows:#?}");
    assert_eq!(certain(update(&rows)), [relation], "{shown}: {:#?}", update(&rows));
}

pub(crate) const APP: &[(&str, &str)] = &[("user", "app")];

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_the_path_that_has_no_such_relation_is_passed_over() {
    let scene = scene().await;
    is_told(&scene, APP, &say(&["SET search_path = decoy, public", UPDATE]), "public.t").await;
    is_told(&scene, APP, &say(&["SET search_path = nowhere, decoy, sp1, public", UPDATE]), "sp1.t").await;
    // The role's own schema.
    is_told(&scene, APP, &say(&[UPDATE]), "app.t").await;
    scene.superuser.batch_execute("DROP TABLE app.t").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_named_as_the_role_that_lacks_the_relation_is_passed_over() {
    let scene = scene().await;
    scene.superuser.batch_execute("ALTER TABLE app.t RENAME TO other").await.unwrap();
    let turns = say(&[UPDATE]);
    let name = scene.play(APP, &turns).await;
    assert_eq!(certain(update(&scene.recorded(&name))), ["public.t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roles_default_path_counts() {
    let scene = scene().await;
    scene.superuser.batch_execute("ALTER ROLE app SET search_path = decoy, sp2, public").await.unwrap();
    is_told(&scene, APP, &say(&[UPDATE]), "sp2.t").await;
    // Changed through Hansard, by whoever may, it counts for the next session, though it comes at once.
    scene.play(APP, &say(&["ALTER ROLE app SET search_path = sp3"])).await;
    is_told(&scene, APP, &say(&[UPDATE]), "sp3.t").await;
    is_told(&scene, APP, &say(&["SET search_path = sp1", "RESET search_path", UPDATE]), "sp3.t").await;
    scene.play(APP, &say(&["ALTER ROLE app IN DATABASE ranking SET search_path = sp1"])).await;
    is_told(&scene, APP, &say(&[UPDATE]), "sp1.t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_parameters_set_the_path() {
    let scene = scene().await;
    let with = |more: &[(&'static str, &'static str)]| [APP, more].concat();
    let turns = say(&[UPDATE]);
    is_told(&scene, &with(&[("SEARCH_PATH", "prod")]), &turns, "prod.t").await;
    let options = ("options", "-c search_path=public");
    is_told(&scene, &with(&[("search_path", "prod"), options]), &turns, "prod.t").await;
    is_told(&scene, &with(&[options]), &turns, "public.t").await;
    is_told(&scene, &with(&[("options", "--search_path=decoy,sp1")]), &turns, "sp1.t").await;
    // Whatever user the job says it is, the role at the database counts.
    is_told(&scene, &[("user", "public"), ("search_path", "\"$user\", sp1")], &turns, "app.t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_only_newer_grammars_know_hides_nothing() {
    let scene = scene().await;
    is_told(&scene, APP, &say(&["SET search_path = public", "UPDATE t AS system_user SET n = 1"]), "public.t").await;
    let turns = say(&["SET search_path = public; BEGIN", UPDATE, "COMMIT; SELECT 1/0 FROM (SELECT 1) system_user"]);
    is_told(&scene, APP, &turns, "public.t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn set_config_sets_what_its_bound_value_says() {
    let scene = scene().await;
    let value = [Bound::Text(b"sp1".to_vec())];
    for sql in [
        "select set_config('search_path',$1,false)",
        "SELECT pg_catalog.set_config('Search_Path', $1::text, 'f')",
        "SELECT set_config('search_path', $1, false) AS path",
    ] {
        let set = turn(&[parse("", sql, &[]), bind("", "", &value), execute("", 0), sync()], 1);
        is_told(&scene, APP, &[vec![set], say(&[UPDATE])].concat(), "sp1.t").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_sets_the_path_makes_it_unknown_until_it_is_set() {
    let scene = scene().await;
    let set = "do $$begin perform set_config('search_path','sp3',false); end$$";
    let name = scene.play(APP, &say(&[set, UPDATE])).await;
    let rows = scene.recorded(&name);
    scene.nobody_is_left().await;
    assert_eq!(updated(&scene).await, ["sp3.t"]);
    let row = update(&rows);
    let possible = row.touches.iter().any(|touch| touch.relation == "?.t" && !touch.certain);
    assert!(certain(row) == ["sp3.t"] || certain(row).is_empty() && possible, "{row:#?}");
    is_told(&scene, APP, &say(&[set, "SET search_path = sp2", UPDATE]), "sp2.t").await;
    is_told(&scene, APP, &say(&["BEGIN", set, "ROLLBACK", "SET search_path = sp2", UPDATE]), "sp2.t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_that_is_set_counts() {
    let scene = scene().await;
    is_told(&scene, APP, &say(&["SET ROLE r", UPDATE]), "r.t").await;
    is_told(&scene, APP, &say(&["SELECT set_config('role', 'r', false)", UPDATE]), "r.t").await;
    is_told(&scene, APP, &say(&["SET ROLE r", "RESET ROLE", UPDATE]), "app.t").await;
    is_told(&scene, APP, &say(&["BEGIN; SET ROLE r; ROLLBACK", UPDATE]), "app.t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_relation_is_found_as_long_as_it_is_there_and_where_the_path_has_it() {
    let scene = scene().await;
    let path = "SET search_path = public";
    is_told(
        &scene,
        APP,
        &say(&[path, "BEGIN; CREATE TEMP TABLE t (n int) ON COMMIT DROP; COMMIT", UPDATE]),
        "public.t",
    )
    .await;
    is_told(&scene, APP, &say(&[path, "create temp table t(v int) on commit drop", UPDATE]), "public.t").await;
    is_told(&scene, APP, &say(&[path, "BEGIN; CREATE TEMP TABLE t (n int); ROLLBACK", UPDATE]), "public.t").await;
    is_told(
        &scene,
        APP,
        &say(&["CREATE TEMP TABLE t (n int)", "SET search_path = public, pg_temp", UPDATE]),
        "public.t",
    )
    .await;
    is_told(&scene, APP, &say(&[path, "CREATE TEMP TABLE t (n int)", "DISCARD TEMP", UPDATE]), "public.t").await;
    is_told(&scene, APP, &say(&[path, "CREATE TEMP TABLE t (n int); ALTER TABLE t RENAME TO s", UPDATE]), "public.t")
        .await;
    // Renamed to it.
    let name = scene.play(APP, &say(&[path, "CREATE TEMP TABLE s (n int)", "ALTER TABLE s RENAME TO t", UPDATE])).await;
    assert_eq!(certain(update(&scene.recorded(&name))), ["pg_temp.t"]);
    scene.nobody_is_left().await;
    assert!(updated(&scene).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_read_in_the_clients_encoding() {
    let scene = scene().await;
    scene
        .superuser
        .batch_execute("CREATE TABLE public.\"café\" (n int); GRANT ALL ON public.\"café\" TO app")
        .await
        .unwrap();
    let update_it = [&b"UPDATE \"caf\xe9\" SET n = 1"[..], b" /* latin */"].concat();
    let turns = [turn(&[query("SET client_encoding = 'LATIN1'")], 1), turn(&[query(update_it)], 1)];
    let name = scene.play(APP, &turns).await;
    assert_eq!(certain(update(&scene.recorded(&name))), ["public.café"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_of_create_schema_are_made_in_it() {
    let scene = scene().await;
    let create = "create schema s create table t (n int) create view v as select n from t";
    let name = scene.play(APP, &say(&["SET search_path = public", create, "UPDATE s.v SET n = 1"])).await;
    let rows = scene.recorded(&name);
    let made = rows.iter().find(|row| row.sql.starts_with("create")).unwrap();
    let ddl = |relation: &str| made.touches.iter().any(|touch| touch.relation == relation && touch.operation == "ddl");
    assert!(ddl("s.t") && ddl("s.v") && !ddl("public.t") && !ddl("public.v"), "{made:#?}");
    assert!(made.touches.iter().all(|touch| touch.relation != "public.t"), "{made:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dot_in_a_name_does_not_part_it() {
    let scene = scene().await;
    let sql = "CREATE SCHEMA a; CREATE SCHEMA \"a.b\"; CREATE TABLE a.\"b.c\" (n int); CREATE TABLE \"a.b\".c (n int); \
               GRANT ALL ON SCHEMA a, \"a.b\" TO app; GRANT ALL ON a.\"b.c\", \"a.b\".c TO app";
    scene.superuser.batch_execute(sql).await.unwrap();
    for relation in ["a.\"b.c\"", "\"a.b\".c"] {
        let name = scene.play(APP, &say(&[&format!("UPDATE {relation} SET n = 1")])).await;
        assert_eq!(certain(update(&scene.recorded(&name))), [relation]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_behind_views_and_partitioned_tables_are_told() {
    let scene = scene().await;
    let sql = "CREATE VIEW public.v AS SELECT n FROM public.t; CREATE VIEW public.vv AS SELECT n FROM public.v; \
               CREATE TABLE public.p (n int, k int) PARTITION BY LIST (k); \
               CREATE TABLE public.p1 PARTITION OF public.p FOR VALUES IN (1); \
               CREATE TABLE public.p2 PARTITION OF public.p FOR VALUES IN (2); \
               INSERT INTO public.p VALUES (0, 1), (0, 2); GRANT ALL ON ALL TABLES IN SCHEMA public TO app";
    scene.superuser.batch_execute(sql).await.unwrap();
    for view in ["v", "public.vv"] {
        let name = scene
            .play(&[("user", "app"), ("search_path", "public")], &say(&[&format!("UPDATE {view} SET n = 1")]))
            .await;
        let rows = scene.recorded(&name);
        let row = update(&rows);
        let behind = |touch: &Touch| touch.relation == "public.t" && touch.via == "view" && touch.certain;
        assert!(row.touches.iter().any(|touch| behind(touch) && touch.operation == "update"), "{row:#?}");
    }
    scene.nobody_is_left().await;
    assert_eq!(updated(&scene).await, ["public.t"]);
    for (condition, one, two) in
        [("", None, None), ("WHERE k = 2", None, Some(true)), ("WHERE n = 5", Some(false), Some(false))]
    {
        let name = scene.play(APP, &say(&[&format!("UPDATE public.p SET n = 1 {condition}")])).await;
        let rows = scene.recorded(&name);
        let row = update(&rows);
        assert!(certain(row).contains(&"public.p"), "{row:#?}");
        for (partition, expected) in [("public.p1", one), ("public.p2", two)] {
            let found = row.touches.iter().find(|touch| touch.relation == partition);
            match (condition, expected) {
                ("", _) => assert!(found.is_some_and(|touch| touch.via == "partition"), "{row:#?}"),
                (_, Some(certain)) => assert_eq!(found.map(|touch| touch.certain), Some(certain), "{row:#?}"),
                (_, None) => assert!(found.is_none(), "{row:#?}"),
            }
        }
    }
}

/// PostgreSQL makes a view temporary that reads a temporary relation, though the text does not say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_temporary_relation_is_temporary() {
    let scene = scene().await;
    let turns = say(&[
        "CREATE TEMP TABLE own (n int); INSERT INTO own VALUES (0)",
        "CREATE VIEW seen AS SELECT n FROM own",
        "UPDATE seen SET n = 1",
        "DROP VIEW seen",
        "CREATE VIEW public.t2 AS SELECT n FROM sp1.t",
        "DROP VIEW public.t2",
    ]);
    let rows = scene.recorded(&scene.play(APP, &turns).await);
    assert_eq!(certain(update(&rows)), ["pg_temp.seen"], "{rows:#?}");
    let all = |prefix: &str| -> Vec<&str> {
        let of = rows.iter().filter(|row| row.sql.starts_with(prefix)).flat_map(|row| &row.touches);
        of.filter(|touch| touch.certain).map(|touch| touch.relation.as_str()).collect()
    };
    assert!(all("CREATE VIEW seen").contains(&"pg_temp.seen"), "{rows:#?}");
    assert_eq!((all("DROP VIEW seen"), all("DROP VIEW public")), (vec!["pg_temp.seen"], vec!["public.t2"]));
}

/// Where values are equal that are not written alike, constants do not tell the partition.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_told_only_where_the_key_compares_as_it_is_written() {
    let scene = scene().await;
    scene
        .superuser
        .batch_execute(
            "CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE public.loose (k text COLLATE public.loose, n int) PARTITION BY LIST (k);
             CREATE TABLE public.loose_x PARTITION OF public.loose FOR VALUES IN ('x');
             CREATE TABLE public.loose_d PARTITION OF public.loose DEFAULT;
             CREATE TABLE public.cut (k varchar(1), n int) PARTITION BY LIST (k);
             CREATE TABLE public.cut_x PARTITION OF public.cut FOR VALUES IN ('x');
             CREATE TABLE public.cut_d PARTITION OF public.cut DEFAULT;
             GRANT ALL ON public.loose, public.cut TO public",
        )
        .await
        .unwrap();
    for (sql, landed, sure) in [
        ("INSERT INTO public.loose VALUES ('X', 1)", "public.loose_x", false),
        ("INSERT INTO public.cut VALUES ('x  ', 1)", "public.cut_x", false),
        ("INSERT INTO public.cut VALUES ('x', 1)", "public.cut_x", true),
    ] {
        let rows = scene.recorded(&scene.play(APP, &say(&[sql])).await);
        let row = rows.iter().find(|row| row.sql == sql).unwrap();
        let of =
            |relation: &str| row.touches.iter().find(|touch| touch.relation == relation).map(|touch| touch.certain);
        assert_eq!(of(landed), Some(sure), "{row:#?}");
        assert_ne!(of(&landed.replace("_x", "_d")), Some(true), "{row:#?}");
    }
}

/// What is done before the catalog is read again: nothing is told for certain that is not so, and nothing is left out.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_has_just_defined_is_minded() {
    let scene = scene().await;
    scene
        .superuser
        .batch_execute("GRANT CREATE ON SCHEMA public TO app; GRANT ALL ON DATABASE ranking TO app")
        .await
        .unwrap();
    let w = "CREATE FUNCTION w(x int) RETURNS int LANGUAGE sql AS 'UPDATE sp1.t SET n = x RETURNING n'";
    for (texts, last, told) in [
        // A rule puts another relation in the place of the one that is written.
        (
            vec![
                "CREATE TABLE ruled (n int)",
                "CREATE RULE r AS ON INSERT TO ruled DO INSTEAD UPDATE sp1.t SET n = 1",
                "INSERT INTO ruled VALUES (1)",
            ],
            "INSERT INTO ruled",
            "public.ruled",
        ),
        (vec![w, "SELECT (x.v).w FROM (SELECT 1 AS v) x"], "SELECT (x.v)", ""),
        (vec!["PREPARE p AS UPDATE sp1.t SET n = 1", "DO $$ BEGIN EXECUTE 'EXECUTE p'; END $$"], "DO", ""),
        (
            vec![
                w,
                "CREATE TABLE plain (n int)",
                "DO $$ BEGIN ALTER TABLE plain ADD COLUMN m int DEFAULT w(1); END $$",
                "UPDATE sp1.t SET n = 0",
                "INSERT INTO plain VALUES (1)",
            ],
            "INSERT INTO plain",
            "",
        ),
        (
            vec![
                w,
                "CREATE DOMAIN d AS int CHECK (w(value) > 0)",
                "CREATE TABLE made AS SELECT 1::d AS n",
                "INSERT INTO made VALUES (1)",
            ],
            "INSERT INTO made",
            "",
        ),
        (
            vec![w, "CREATE TEMP TABLE own (n int DEFAULT w(1))", "INSERT INTO own DEFAULT VALUES"],
            "INSERT INTO own",
            "",
        ),
    ] {
        let rows = scene.recorded(&scene.play(APP, &say(&texts)).await);
        assert_eq!(updated(&scene).await, ["sp1.t"], "{texts:?}");
        let row = rows.iter().find(|row| row.sql.starts_with(last)).unwrap();
        let seen = |touch: &Touch| touch.relation == "?" || touch.relation == "sp1.t";
        assert!(row.opaque || row.touches.iter().any(seen), "{texts:?}: {row:#?}");
        let sure = row.touches.iter().any(|touch| touch.certain && touch.relation == told);
        assert!(!sure, "{texts:?}: {row:#?}");
        let clean = "DROP FUNCTION IF EXISTS w CASCADE; DROP TABLE IF EXISTS ruled, plain, made; DROP DOMAIN IF EXISTS d CASCADE";
        scene.superuser.batch_execute(clean).await.unwrap();
    }
}

/// A transaction that was prepared has made nothing yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_prepared_transaction_makes_is_not_meant() {
    let scene = scene().await;
    scene.superuser.batch_execute("GRANT CREATE ON SCHEMA decoy TO app").await.unwrap();
    let turns = say(&[
        "SET search_path = decoy, public",
        "BEGIN",
        "CREATE TABLE decoy.t (n int)",
        "PREPARE TRANSACTION 'x'",
        UPDATE,
        "ROLLBACK PREPARED 'x'",
    ]);
    let rows = scene.recorded(&scene.play(APP, &turns).await);
    assert_eq!(updated(&scene).await, ["public.t"]);
    assert!(!certain(update(&rows)).contains(&"decoy.t"), "{rows:#?}");
    assert!(
        update(&rows).touches.iter().any(|touch| touch.relation == "public.t" || touch.relation.starts_with('?')),
        "{rows:#?}"
    );
}
