//! What the proxy tells of a database's catalog, against what PostgreSQL says.

use std::collections::BTreeMap;
use std::time::Duration;

use hansard_event_log::LocalLog;
use hansard_ingest_proxy::check_catalog;
use hansard_policy::catalog::{
    Action, Catalog, Change, Expression, Function, FunctionKind, Kind as ObjectKind, Object, Relation, RelationKind,
    Trigger, When,
};
use hansard_schemas::events::{CatalogChanging, CatalogRead, event::Kind};
use tokio_postgres::{Client, NoTls};

use crate::cluster::Cluster;
use crate::proxy::{Plan, RunningProxy};
use crate::record::{own, told};

/// A database of the test's own, without its permissions taken from anybody.
pub(crate) async fn database(name: &str) -> Client {
    let admin = direct("postgres", "postgres").await;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let client = direct("postgres", name).await;
    client.batch_execute("GRANT ALL ON SCHEMA public TO PUBLIC").await.unwrap();
    client
}

pub(crate) async fn direct(user: &str, database: &str) -> Client {
    let port = Cluster::get().port;
    let (client, connection) =
        tokio_postgres::connect(&format!("host=127.0.0.1 port={port} user={user} dbname={database}"), NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    client
}

fn plan(database: &str) -> Plan {
    let mut plan = Plan::new();
    plan.options.targets[0].upstream.database = Some(database.to_owned());
    plan
}

async fn client(proxy: &RunningProxy) -> Client {
    client_with(proxy, "").await
}

/// That names no database: it gets the target's.
async fn client_with(proxy: &RunningProxy, parameters: &str) -> Client {
    let dsn = proxy.dsn(&crate::proxy::token(&crate::proxy::claims())).replace("dbname=ranking", "dbname=nightly");
    crate::proxy::connect(&format!("{dsn} {parameters}")).await.unwrap()
}

/// A shard's catalog events, put together as a reader does.
#[derive(Debug, Default)]
struct Reader {
    catalog: Catalog,
    reads: Vec<CatalogRead>,
    changing: Vec<CatalogChanging>,
    pending: BTreeMap<u64, CatalogChanging>,
}

impl Reader {
    fn of(kinds: &[Kind]) -> Reader {
        let mut reader = Reader::default();
        for kind in kinds {
            match kind {
                Kind::CatalogChanging(changing) => {
                    reader.pending.insert(changing.number, changing.clone());
                    reader.changing.push(changing.clone());
                }
                Kind::CatalogRead(read) => reader.read(read),
                other => panic!("{other:?}"),
            }
        }
        reader
    }

    fn read(&mut self, read: &CatalogRead) {
        let last = self.reads.last().map_or(0, |last: &CatalogRead| last.version);
        assert_eq!(read.version, if read.part == 1 { last + 1 } else { last });
        assert!(read.base_version == 0 || read.base_version == read.version - 1);
        if read.base_version == 0 && read.part == 1 {
            self.catalog = Catalog::default();
        }
        for change in read.unpack().unwrap() {
            let kind = serde_json::from_value(change.kind.clone().into()).unwrap();
            let object: Option<Object> = (!change.removed).then(|| serde_json::from_str(&change.definition).unwrap());
            assert!(object.as_ref().is_none_or(|object| object.kind() == kind));
            self.catalog.apply(Change { kind, oid: change.oid, object: object.map(Into::into) });
        }
        if read.last {
            self.pending.retain(|number, _| *number > read.announced || read.unsettled.contains(number));
        }
        self.reads.push(read.clone());
    }

    fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.catalog.relation(self.catalog.relation_named(schema, name)?)
    }

    fn function(&self, name: &str) -> &Function {
        self.catalog.functions_named(name).next().unwrap().1
    }
}

/// Waits until what every shard is told fulfils the condition.
async fn until(log: &LocalLog, condition: impl Fn(&Reader) -> bool) -> Reader {
    let mut last = None;
    for _ in 0..400 {
        let told = told(log).await;
        let readers: Vec<Reader> = told.values().map(|kinds| Reader::of(kinds)).collect();
        if readers.len() == usize::from(log.shards()) && readers.iter().all(&condition) {
            return readers.into_iter().next().unwrap();
        }
        last = readers.into_iter().next();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let last = last.unwrap_or_default();
    panic!("what is waited for is not told: {:#?} {:#?}", last.reads, last.changing)
}

const SCHEMA: &str = r#"
    CREATE SCHEMA app;
    GRANT USAGE ON SCHEMA app TO app_md5;
    CREATE TABLE app.t (id int PRIMARY KEY, v int DEFAULT 1, w int GENERATED ALWAYS AS (v * 2) STORED,
        "at" timestamptz DEFAULT now(), CHECK (v > 0));
    CREATE VIEW app.tv AS SELECT id, v FROM app.t WHERE v > 1;
    CREATE MATERIALIZED VIEW app.mv AS SELECT * FROM app.tv;
    CREATE TABLE app.p (a int, b text) PARTITION BY RANGE (a);
    CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM (0) TO (10);
    CREATE TABLE app.kid (z int) INHERITS (app.t);
    CREATE TABLE app.c (x int REFERENCES app.t ON DELETE CASCADE ON UPDATE SET NULL);
    "#;

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_what_postgresql_says() {
    let admin = database("catalog_whole").await;
    admin.batch_execute(SCHEMA).await.unwrap();
    admin
        .batch_execute(
            r#"
        CREATE FUNCTION app.f(a int, b text DEFAULT 'x', VARIADIC c int[] DEFAULT '{}') RETURNS int
            LANGUAGE sql STABLE SET search_path = app, "x y" AS 'SELECT 1';
        CREATE FUNCTION app.trg() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            AS $$BEGIN UPDATE app.c SET x = 1; RETURN new; END$$;
        CREATE FUNCTION app.g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
        CREATE FUNCTION app.h(a int DEFAULT app.g(1), b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE PROCEDURE app.pr(INOUT a int) LANGUAGE plpgsql AS $$BEGIN a := 1; END$$;
        CREATE FUNCTION app.plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
        CREATE AGGREGATE app.agg(int) (sfunc = app.plus, stype = int);
        CREATE TRIGGER tr BEFORE UPDATE OF v ON app.t FOR EACH ROW WHEN (new.v > 3) EXECUTE FUNCTION app.trg();
        CREATE RULE r AS ON DELETE TO app.c DO ALSO INSERT INTO app.p VALUES (1, 'x');
        CREATE DOMAIN app.d AS int CHECK (app.g(value) > 0) DEFAULT 3;
        CREATE TYPE app.e AS ENUM ('a');
        CREATE FUNCTION app.cst(app.e) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE CAST (app.e AS int) WITH FUNCTION app.cst(app.e) AS IMPLICIT;
        CREATE OPERATOR app.<+> (leftarg = int, rightarg = int, function = app.plus);
        CREATE INDEX ON app.t (app.g(v)) WHERE v > 2;
        ALTER TABLE app.t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY pol ON app.t USING (app.g(id) > 0);
        CREATE FUNCTION app.evt() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
        CREATE EVENT TRIGGER ev ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.evt();
        CREATE SEQUENCE app.s;
        CREATE TEMP TABLE gone (a int);
        CREATE TABLE "größe" ("Spalte ""x""" int);
        ALTER ROLE app_md5 IN DATABASE catalog_whole SET search_path = app, "x y";
        ALTER DATABASE catalog_whole SET work_mem = '5MB';"#,
        )
        .await
        .unwrap();
    let proxy = plan("catalog_whole").start().await;
    let reader = until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let read = &reader.reads[0];
    assert!(read.complete, "{:?}", read.missing);
    assert!(read.begun_at <= read.read_at);
    assert_eq!((read.target.as_str(), read.database.as_str(), read.base_version), ("ranking", "catalog_whole", 0));
    let catalog = &reader.catalog;

    let rows = admin
        .query(
            "SELECT n.nspname, c.relname, c.relkind::text, c.oid, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = ANY ('{r,p,v,m,f,S,c}') AND relpersistence <> 't' AND nspname <> 'pg_toast'",
            &[],
        )
        .await
        .unwrap();
    for row in &rows {
        let (schema, name, kind, oid): (String, String, String, u32) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let relation = catalog.relation(oid).unwrap_or_else(|| panic!("{schema}.{name} is missing"));
        assert_eq!((&*relation.schema, &*relation.name), (schema.as_str(), name.as_str()));
        assert_eq!(Some(relation.kind), RelationKind::of_letter(kind.chars().next().unwrap()), "{name}");
        if !["pg_catalog", "information_schema"].contains(&schema.as_str()) && kind != "S" {
            assert_eq!(relation.columns.len() as i64, row.get::<_, i64>(4), "{name}");
        }
    }
    assert_eq!(catalog.objects().filter(|(kind, ..)| *kind == ObjectKind::Relation).count(), rows.len());

    let t = reader.relation("app", "t").unwrap();
    assert_eq!(t.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["id", "v", "w", "at"]);
    assert!(t.row_security);
    let expression =
        |when, column: Option<&str>, text: &str| Expression { when, column: column.map(Into::into), text: text.into() };
    for expected in [
        expression(When::Check, None, "CHECK ((v > 0))"),
        expression(When::Default, Some("at"), "now()"),
        expression(When::Generated, Some("w"), "(v * 2)"),
        expression(When::Index, None, "CREATE INDEX t_g_idx ON app.t USING btree (app.g(v)) WHERE (v > 2)"),
        expression(When::Policy, None, "(app.g(id) > 0)"),
    ] {
        assert!(t.expressions.contains(&expected), "{expected:?} in {:?}", t.expressions);
    }
    let view = reader.relation("app", "tv").unwrap();
    assert!(view.view.as_ref().unwrap().contains("FROM app.t"));
    assert_eq!(view.updatable & 28, 28);
    assert!(reader.relation("app", "mv").unwrap().view.as_ref().unwrap().contains("FROM app.tv"));
    let parent = catalog.relation_named("app", "p").unwrap();
    assert_eq!(reader.relation("app", "p").unwrap().partition_key.as_deref(), Some("RANGE (a)"));
    let part = reader.relation("app", "p1").unwrap();
    assert_eq!(part.parents, [parent]);
    assert_eq!(part.bound.as_deref(), Some("FOR VALUES FROM (0) TO (10)"));
    let t_oid = catalog.relation_named("app", "t").unwrap();
    assert_eq!(catalog.children(t_oid), [catalog.relation_named("app", "kid").unwrap()]);
    assert_eq!(&*reader.relation("public", "größe").unwrap().columns[0].name, "Spalte \"x\"");
    assert!(catalog.relations_named("gone").is_empty());

    let key = catalog.referencing(t_oid).next().unwrap();
    assert_eq!(
        (key.on_delete, key.on_update, &*key.columns[0], &*key.references_columns[0]),
        (Action::Cascade, Action::SetNull, "x", "id")
    );
    let trigger = catalog.triggers(t_oid).next().unwrap();
    let function = catalog.function(trigger.function).unwrap();
    assert_eq!((&*function.name, function.security_definer), ("trg", true));
    let expected = Trigger {
        relation: t_oid,
        name: "tr".into(),
        function: trigger.function,
        bits: 19,
        columns: vec!["v".into()],
        when: Some("(new.v > 3)".into()),
        ..Trigger::default()
    };
    assert_eq!(*trigger, expected);
    let rule = catalog.rules(catalog.relation_named("app", "c").unwrap()).next().unwrap().1;
    assert!(rule.definition.contains("INSERT INTO app.p"), "{rule:?}");

    let f = reader.function("f");
    assert_eq!((f.defaults, f.variadic, f.arguments.len(), &*f.language), (2, true, 3, "sql"));
    assert_eq!(f.settings[0].value, "app, \"x y\"");
    assert_eq!(f.source.as_deref(), Some("SELECT 1"));
    assert!(reader.function("g").source.as_ref().unwrap().contains("(a + 1)"));
    assert_eq!(f.default_values, None, "constants alone");
    assert_eq!(reader.function("h").default_values.as_deref(), Some("app.g(1), 'x'::text"));
    assert_eq!(reader.function("pr").kind, FunctionKind::Procedure);
    let plus = catalog.functions_named("plus").next().unwrap().0;
    assert_eq!(reader.function("agg").parts, [plus]);
    let domain = catalog.types_named("d").next().unwrap().1;
    assert_eq!(&*domain.checks[0], "CHECK ((app.g(VALUE) > 0))");
    assert!(catalog.casts_to(23).next().unwrap().implicit);
    assert_eq!(catalog.operators_named("<+>").next().unwrap().function, plus);
    assert_eq!(*catalog.event_triggers().next().unwrap().tags, ["CREATE TABLE"]);
    let role = catalog.role_named("app_md5").unwrap();
    assert_eq!(catalog.role(role).unwrap().settings_here[0].value, "app, \"x y\"");
    assert!(catalog.schema(catalog.schema_named("app").unwrap()).unwrap().usage.contains(&role));
    let database = catalog.database().unwrap();
    assert_eq!(
        (&*database.name, &*database.search_path, &*database.encoding),
        ("catalog_whole", "\"$user\", public", "UTF8")
    );
    assert_eq!(&*database.settings[0].name, "work_mem");
    assert!(database.version >= 12_00_00);
    admin.batch_execute("DROP EVENT TRIGGER ev").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_through_the_proxy_are_told_before_and_read_after() {
    let _admin = database("catalog_changes").await;
    let proxy = plan("catalog_changes").start().await;
    let job = client(&proxy).await;
    job.batch_execute("CREATE TABLE first (a int)").await.unwrap();
    let reader =
        until(&proxy.log, |reader| reader.relation("public", "first").is_some() && reader.pending.is_empty()).await;
    let [changing] = &reader.changing[..] else { panic!("{:?}", reader.changing) };
    assert!(!changing.all && changing.names.contains(&"first".to_owned()));
    assert_eq!((changing.target.as_str(), changing.database.as_str()), ("ranking", "catalog_changes"));
    let session =
        crate::record::read(&proxy.log).await.into_iter().find(|(id, _)| id.as_bytes()[..] == changing.session_id[..]);
    assert_eq!(session.unwrap().1.authenticated().job, "nightly-rerank");

    // Not settled before the transaction has ended.
    job.batch_execute("BEGIN; ALTER TABLE first RENAME TO second").await.unwrap();
    let other = client(&proxy).await;
    other.batch_execute("CREATE TABLE third (a int)").await.unwrap();
    let reader = until(&proxy.log, |reader| reader.relation("public", "third").is_some()).await;
    assert!(reader.relation("public", "first").is_some());
    assert_eq!(reader.pending.values().map(|changing| changing.number).collect::<Vec<_>>(), [2]);
    assert!(reader.pending[&2].names.contains(&"second".to_owned()));
    job.batch_execute("ROLLBACK").await.unwrap();
    let reader = until(&proxy.log, |reader| reader.pending.is_empty()).await;
    assert!(reader.relation("public", "second").is_none());
    assert!(reader.relation("public", "first").is_some());

    // By the extended protocol, with a statement that was prepared before.
    let statement = other.prepare("DROP TABLE first").await.unwrap();
    other.execute(&statement, &[]).await.unwrap();
    let reader =
        until(&proxy.log, |reader| reader.relation("public", "first").is_none() && reader.pending.is_empty()).await;
    let last = reader.changing.last().unwrap();
    assert!(last.names.contains(&"first".to_owned()), "{:?}", reader.changing);
    let told = reader.changing.len();

    // What changes nothing is not told.
    other
        .batch_execute("CREATE TEMP TABLE x (a int); INSERT INTO third VALUES (1); DROP TABLE IF EXISTS pg_temp.x")
        .await
        .unwrap();
    other.query("SELECT a FROM third", &[]).await.unwrap();
    assert_eq!(Reader::of(&crate::record::told(&proxy.log).await[&0]).changing.len(), told + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_temporary_relations_are_told_whoever_made_them() {
    let admin = database("catalog_temporary").await;
    let proxy = plan("catalog_temporary").start().await;
    let job = client(&proxy).await;
    let names = |reader: &Reader| {
        let database = reader.catalog.database().and_then(|database| database.temporary.clone());
        database.map(|names| names.iter().map(|name| name.to_string()).collect::<Vec<_>>())
    };
    admin.batch_execute("CREATE TEMP TABLE theirs (a int); CREATE TEMP VIEW seen AS SELECT 1").await.unwrap();
    job.batch_execute("DO $$BEGIN EXECUTE 'CREATE TEMP TABLE own (a int)'; END$$").await.unwrap();
    until(&proxy.log, |reader| names(reader) == Some(vec!["own".into(), "seen".into(), "theirs".into()])).await;
    admin.batch_execute("DISCARD TEMP").await.unwrap();
    until(&proxy.log, |reader| names(reader) == Some(vec!["own".into()])).await;
    admin
        .batch_execute("DO $$BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TEMP TABLE t%s ()', i); END LOOP; END$$")
        .await
        .unwrap();
    until(&proxy.log, |reader| names(reader).is_some_and(|names| names.len() == 201)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_while_it_is_read_is_no_reason_to_know_nothing() {
    let _admin = database("catalog_vanishing").await;
    let proxy = plan("catalog_vanishing").start().await;
    let job = client(&proxy).await;
    let until_then = tokio::time::Instant::now() + Duration::from_secs(6);
    let busy = (0..3).map(|number| async move {
        let admin = direct("postgres", "catalog_vanishing").await;
        while tokio::time::Instant::now() < until_then {
            let text = format!(
                "CREATE TABLE v{number} (a int CHECK (a > length('x')), b int DEFAULT length('yy')) PARTITION BY RANGE ((a + 1)); \
                 CREATE TABLE w{number} PARTITION OF v{number} FOR VALUES FROM (1) TO (2); \
                 CREATE INDEX ON w{number} ((a + b)); CREATE VIEW x{number} AS SELECT * FROM v{number}; \
                 CREATE RULE r AS ON INSERT TO x{number} DO INSTEAD INSERT INTO v{number} VALUES (new.a)"
            );
            admin.batch_execute(&text).await.unwrap();
            admin.batch_execute(&format!("DROP TABLE v{number} CASCADE")).await.unwrap();
        }
    });
    futures::future::join_all(busy).await;
    job.batch_execute("CREATE TABLE last (a int)").await.unwrap();
    until(&proxy.log, |reader| reader.relation("public", "last").is_some()).await;
    let told = told(&proxy.log).await;
    let reads = told.values().flatten().filter_map(|kind| match kind {
        Kind::CatalogRead(read) => Some(read),
        _ => None,
    });
    let missing: Vec<_> = reads.flat_map(|read| &read.missing).map(|missing| &missing.reason).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// As versions 12 to 14 have them: a partition's trigger is internal there.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_partitions_are_read_where_they_are_internal() {
    let admin = database("catalog_clones").await;
    admin.batch_execute(SCHEMA).await.unwrap();
    admin
        .batch_execute(
            "CREATE FUNCTION app.trg() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN new; END$$;
             CREATE TRIGGER tr AFTER INSERT ON app.p FOR EACH ROW EXECUTE FUNCTION app.trg();
             SET allow_system_table_mods = on;
             UPDATE pg_trigger SET tgisinternal = true WHERE tgrelid = 'app.p1'::regclass",
        )
        .await
        .unwrap();
    let proxy = plan("catalog_clones").start().await;
    let reader = until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let names = |relation: &str| {
        let oid = reader.catalog.relation_named("app", relation).unwrap();
        reader.catalog.triggers(oid).map(|trigger| trigger.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((names("p"), names("p1")), (vec!["tr".to_owned()], vec!["tr".to_owned()]));
    assert_eq!((names("t"), names("c")), (vec![], vec![]), "of foreign keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_an_owner_lost_and_row_types_of_columns_are_told() {
    let admin = database("catalog_usage").await;
    admin
        .batch_execute(
            "CREATE SCHEMA a AUTHORIZATION app_md5; CREATE SCHEMA b AUTHORIZATION app_md5;
             REVOKE USAGE ON SCHEMA b FROM app_md5;
             CREATE TABLE of_row (a int); CREATE TABLE of_rows (a int); CREATE TABLE alone (a int);
             CREATE TABLE t (a of_row, b of_rows[])",
        )
        .await
        .unwrap();
    let proxy = plan("catalog_usage").start().await;
    let reader = until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let catalog = &reader.catalog;
    let owner = catalog.role_named("app_md5").unwrap();
    let usage = |schema: &str| &catalog.schema(catalog.schema_named(schema).unwrap()).unwrap().usage[..];
    assert_eq!((usage("a"), usage("b")), (&[owner][..], &[][..]));
    let table = reader.relation("public", "t").unwrap();
    let kinds = table.columns.iter().map(|column| &*catalog.type_or_element(column.kind).unwrap().1.name);
    assert_eq!(kinds.collect::<Vec<_>>(), ["of_row", "of_rows"]);
    assert_eq!(catalog.types_named("alone").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_session_is_gone_is_settled_when_the_server_has_ended_it() {
    let _admin = database("catalog_lost").await;
    let proxy = plan("catalog_lost").start().await;
    let job = client(&proxy).await;
    job.batch_execute("BEGIN; CREATE TABLE lost (a int)").await.unwrap();
    until(&proxy.log, |reader| reader.pending.len() == 1).await;
    drop(job);
    let reader = until(&proxy.log, |reader| !reader.changing.is_empty() && reader.pending.is_empty()).await;
    assert!(reader.relation("public", "lost").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_from_elsewhere_are_seen_within_seconds_and_at_once_where_a_job_meets_them() {
    let admin = database("catalog_outside").await;
    let proxy = plan("catalog_outside").start().await;
    let job = client(&proxy).await;
    admin.batch_execute("CREATE TABLE t (a int); ALTER TABLE t RENAME a TO b").await.unwrap();
    let reader =
        until(&proxy.log, |reader| reader.relation("public", "t").is_some_and(|t| &*t.columns[0].name == "b")).await;
    assert!(reader.changing.is_empty());
    let begun = std::time::Instant::now();
    admin.batch_execute("ALTER TABLE t RENAME b TO c").await.unwrap();
    job.query("SELECT b FROM t", &[]).await.unwrap_err();
    until(&proxy.log, |reader| reader.relation("public", "t").is_some_and(|t| &*t.columns[0].name == "c")).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Written anew, and not changed.
    let versions = Reader::of(&told(&proxy.log).await[&0]).reads.len();
    for text in ["TRUNCATE t", "VACUUM FULL t", "ANALYZE t", "CREATE TEMP TABLE u (a int)"] {
        admin.batch_execute(text).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let reads = Reader::of(&told(&proxy.log).await[&0]).reads.split_off(versions);
    assert!(!reads.is_empty(), "that nothing has changed is told, too");
    let kinds: Vec<_> = reads.iter().flat_map(|read| read.unpack().unwrap()).map(|change| change.kind).collect();
    assert_eq!(kinds, ["database"], "the name of the temporary table");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_with_the_right_that_is_missing() {
    let admin = database("catalog_denied").await;
    admin.batch_execute("CREATE TABLE t (a int); REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC").await.unwrap();
    let plan = plan("catalog_denied");
    let found = check_catalog(&plan.options.targets[0]).await.unwrap_err();
    assert!(found.contains("GRANT SELECT ON pg_catalog.pg_proc"), "{found}");
    let proxy = plan.start().await;
    let reader = until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let read = &reader.reads[0];
    assert!(!read.complete);
    assert!(
        read.missing.iter().any(|missing| missing.kind == "function" && missing.reason.contains("pg_proc")),
        "{:?}",
        read.missing
    );
    assert!(reader.relation("public", "t").is_some());
    let job = client(&proxy).await;
    admin.batch_execute("GRANT SELECT ON pg_catalog.pg_proc TO PUBLIC").await.unwrap();
    until(&proxy.log, |reader| reader.reads.last().is_some_and(|read| read.complete)).await;
    drop(job);
    let found = check_catalog(&crate::catalog::plan("catalog_denied").options.targets[0]).await.unwrap();
    assert!(found.contains("relations"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_read_is_told_once() {
    let mut plan = Plan::new();
    plan.options.targets[0].upstream.database = Some("catalog_none".to_owned());
    let proxy = plan.start().await;
    let reader = until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let [missing] = &reader.reads[0].missing[..] else { panic!("{:?}", reader.reads) };
    assert_eq!(missing.kind, "");
    assert!(missing.reason.contains("catalog_none"), "{missing:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(Reader::of(&told(&proxy.log).await[&0]).reads.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_recorded_as_a_session_of_hansards_own() {
    let _admin = database("catalog_own").await;
    let proxy = plan("catalog_own").start().await;
    until(&proxy.log, |reader| !reader.reads.is_empty()).await;
    let (log, _folder) = proxy.stop().await;
    let [session] = &own(&log).await[..] else { panic!("one session") };
    assert_eq!(session.target, "ranking");
    assert_eq!(session.opened().database, "catalog_own");
    assert_eq!(session.end(), Some("proxy stopped"));
    let asked = session.bytes(hansard_schemas::events::Direction::Frontend);
    let asked = String::from_utf8_lossy(&asked);
    assert!(asked.contains("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    assert!(session.withheld().contains(&"result rows"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_relations_are_told_in_parts() {
    let admin = database("catalog_many").await;
    for batch in 0..10 {
        let tables: Vec<String> = (0..1000)
            .map(|n| format!("CREATE TABLE t{}(id int, name text, at timestamptz)", batch * 1000 + n))
            .collect();
        admin.batch_execute(&tables.join(";")).await.unwrap();
    }
    let proxy = plan("catalog_many").start().await;
    let reader = until(&proxy.log, |reader| reader.reads.last().is_some_and(|read| read.last)).await;
    assert!(reader.reads.len() > 1);
    assert!(reader.reads.iter().all(|read| read.version == 1));
    assert_eq!(reader.catalog.relations_named("t9999").len(), 1);
    admin.batch_execute("ALTER TABLE t5 RENAME TO u5").await.unwrap();
    let _job = client(&proxy).await;
    let reader = until(&proxy.log, |reader| reader.relation("public", "u5").is_some()).await;
    assert_eq!(reader.reads.last().unwrap().unpack().unwrap().len(), 1);
}

/// What it costs to read a catalog of 100,000 relations with ten columns each, over a connection and until it is built:
/// `cargo test --release -p hansard-ingest-proxy --test it a_hundred_thousand -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes 100,000 tables, which takes a minute"]
async fn a_hundred_thousand_relations_are_read_within_seconds() {
    let admin = database("catalog_large").await;
    let columns: Vec<String> = (0..10).map(|column| format!("column_{column} int")).collect();
    for batch in 0..1000 {
        let table = |n| format!("CREATE TABLE t{}({})", batch * 100 + n, columns.join(","));
        admin.batch_execute(&(0..100).map(table).collect::<Vec<_>>().join(";")).await.unwrap();
    }
    let plan = plan("catalog_large");
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let found = check_catalog(&plan.options.targets[0]).await.unwrap();
        eprintln!("{found}: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

/// What a session is told to begin with, of the only session.
async fn beginning(proxy: &RunningProxy, parameters: &str) -> (Option<String>, String, Vec<String>) {
    let count = crate::record::jobs(&proxy.log).await.len();
    let client = client_with(proxy, parameters).await;
    client.batch_execute("SELECT 1").await.unwrap();
    let jobs = crate::record::until(&proxy.log, |jobs| jobs.len() > count).await;
    let found = jobs.last().unwrap().authenticated();
    (found.search_path_setting.clone(), found.role.clone(), found.search_path.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_with_what_it_begins_with() {
    let admin = database("catalog_begins").await;
    admin
        .batch_execute(
            "CREATE SCHEMA prod; CREATE SCHEMA app_begins; CREATE SCHEMA other; CREATE SCHEMA closed; \
            CREATE ROLE app_begins LOGIN; CREATE ROLE member; GRANT member TO app_begins; \
            GRANT USAGE ON SCHEMA prod, app_begins, other TO PUBLIC",
        )
        .await
        .unwrap();
    let proxy = plan("catalog_begins").upstream_user("app_begins").start().await;
    let schemas = |schemas: &[&str]| schemas.iter().map(|schema| (*schema).to_owned()).collect::<Vec<_>>();
    let role = "app_begins".to_owned();
    assert_eq!(
        beginning(&proxy, "").await,
        (Some("\"$user\", public".to_owned()), role.clone(), schemas(&["app_begins", "public"]))
    );
    let found = beginning(&proxy, "options='-c search_path=prod'").await;
    assert_eq!(found, (Some("prod".to_owned()), role.clone(), schemas(&["prod"])));
    admin.batch_execute("ALTER ROLE app_begins SET search_path = closed, other, gone").await.unwrap();
    let found = beginning(&proxy, "").await;
    assert_eq!(found, (Some("closed, other, gone".to_owned()), role, schemas(&["other"])));
    admin.batch_execute("ALTER ROLE app_begins IN DATABASE catalog_begins SET role = member").await.unwrap();
    assert_eq!(beginning(&proxy, "").await.1, "member");
}
