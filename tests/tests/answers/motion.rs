//! What names mean, and what hides behind them, while it is being changed: by another session, or by the session itself
//! before the catalog is read again.

use std::time::Duration;

use hansard_tests::wire::{Wire, query};

use crate::resolution::{APP, certain, scene, updated};
use crate::scene::{Row, Scene};

/// Who says a text.
#[derive(Clone, Copy, Debug)]
enum By {
    /// The session that is looked at.
    Own,
    /// Another one.
    Other,
    /// Past Hansard; seen by it before the next text.
    Owner,
}

use By::{Other, Own, Owner};

struct Sessions<'a> {
    scene: &'a Scene,
    name: String,
    own: Wire,
    other: Wire,
}

impl<'a> Sessions<'a> {
    async fn open(scene: &'a Scene) -> Sessions<'a> {
        let name = scene.name();
        let own = scene.session_with(&name, APP).await;
        let other = scene.session_with(&scene.name(), APP).await;
        Sessions { scene, name, own, other }
    }

    async fn say(&mut self, by: By, sql: &str) {
        match by {
            Own => _ = self.own.query(sql).await.unwrap(),
            Other => _ = self.other.query(sql).await.unwrap(),
            Owner if sql.is_empty() => self.catalog_is_read().await,
            Owner => {
                self.scene.superuser.batch_execute(sql).await.unwrap();
                self.catalog_is_read().await;
            }
        }
    }

    /// All that has been done by now is read.
    async fn catalog_is_read(&mut self) {
        let name = self.scene.name().replace('-', "_");
        self.scene.superuser.batch_execute(&format!("CREATE TABLE public.{name} ()")).await.unwrap();
        // Otherwise it takes some seconds until somebody looks.
        self.other.query("CREATE TABLE public.seen (); DROP TABLE public.seen").await.unwrap();
        hansard_tests::eventually("the catalog is read", crate::scene::PATIENCE, || {
            let found = self.scene.config.sql(&format!("SELECT version FROM catalog WHERE name = '{name}'"))?;
            anyhow::ensure!(!found.is_empty(), "not yet");
            Ok(())
        })
        .unwrap();
    }

    /// The last statement of the session itself that begins so.
    fn last(self, begins: &str) -> Row {
        drop(self.own);
        let rows = self.scene.recorded(&self.name);
        let shown = format!("{rows:#?}");
        rows.into_iter().rfind(|row| row.sql.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {shown}"))
    }
}

/// Plays texts; of the last one, which the session itself says, all is told that was updated, and nothing for certain that
/// was not. What it updated.
async fn is_told(scene: &Scene, texts: &[(By, &str)]) -> Vec<String> {
    let (&(_, last), before) = texts.split_last().unwrap();
    let mut sessions = Sessions::open(scene).await;
    for (by, sql) in before {
        sessions.say(*by, sql).await;
    }
    // Not of the last statement, and quickly: the catalog is not to be read meanwhile.
    for schema in ["prod", "sp1", "sp2"] {
        scene.superuser.batch_execute(&format!("UPDATE {schema}.t SET n = 0 WHERE n <> 0")).await.unwrap();
    }
    sessions.say(Own, last).await;
    let row = sessions.last(last);
    let updated = updated(scene).await;
    judge(&row, &updated, &format!("{texts:?}"));
    updated
}

#[track_caller]
fn judge(row: &Row, updated: &[String], shown: &str) {
    assert_eq!(row.sqlstate, None, "{shown}: {row:#?}");
    for relation in updated {
        let here = |told: &str| told == relation || told == "?";
        assert!(row.opaque || row.touches.iter().any(|touch| here(&touch.relation)), "{shown}: {updated:?}, {row:#?}");
    }
    let sure = certain(row);
    assert!(sure.iter().all(|told| updated.iter().any(|relation| relation == told)), "{shown}: {updated:?}, {row:#?}");
}

/// The schemas that have a relation of that name.
async fn made_in(scene: &Scene, name: &str) -> Vec<String> {
    let sql = "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = $1";
    scene.superuser.query(sql, &[&name]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

const UPDATE: &str = "UPDATE t SET n = 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_relation_is_made_in_a_schema_that_has_just_come_or_may_just_be_used() {
    let scene = scene().await;
    scene.superuser.batch_execute("GRANT ALL ON SCHEMA sp1 TO app").await.unwrap();
    let early = "CREATE SCHEMA {s} AUTHORIZATION app";
    let closed = "CREATE SCHEMA {s} AUTHORIZATION app; REVOKE ALL ON SCHEMA {s} FROM app";
    let changes = [
        ("{s}, sp1", "", "CREATE SCHEMA {s}", true),
        ("{s}, pg_temp, sp1", "", "CREATE SCHEMA {s}", true),
        ("{s}, sp1", early, "DROP SCHEMA {s} CASCADE", false),
        ("{s}, sp1", early, "REVOKE ALL ON SCHEMA {s} FROM app", false),
        ("{s}, sp1", closed, "GRANT ALL ON SCHEMA {s} TO app", true),
    ];
    let texts = ["CREATE TABLE {t} (n int)", "SELECT 1 AS n INTO {t}", "CREATE VIEW {t} AS SELECT 1 AS n"];
    let all = || (0..).zip(changes.iter().flat_map(|change| texts.map(|text| (*change, text))));
    let setups: Vec<String> =
        all().map(|(number, ((_, setup, ..), _))| setup.replace("{s}", &format!("early_{number}"))).collect();
    Sessions::open(&scene).await.say(Owner, &setups.join(";")).await;
    for (number, ((path, _, change, is_early), text)) in all() {
        let (schema, made) = (format!("early_{number}"), format!("made_{number}"));
        let (path, change) = (path.replace("{s}", &schema), change.replace("{s}", &schema));
        let sql = text.replace("{t}", &made);
        let mut sessions = Sessions::open(&scene).await;
        sessions.say(Own, &format!("SET search_path = {path}")).await;
        sessions.say(Other, &change).await;
        sessions.say(Own, &sql).await;
        let expected = if is_early { schema } else { "sp1".to_owned() };
        assert_eq!(made_in(&scene, &made).await, std::slice::from_ref(&expected), "{change}, {sql}");
        let row = sessions.last(&sql);
        for touch in row.touches.iter().filter(|touch| touch.certain && touch.operation == "ddl") {
            assert_eq!(touch.relation, format!("{expected}.{made}"), "{change}: {row:#?}");
        }
        let told = [format!("{expected}.{made}"), format!("?.{made}")];
        assert!(row.touches.iter().any(|touch| told.contains(&touch.relation)), "{change}: {row:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_go_with_their_table_though_nobody_says_cascade() {
    let scene = scene().await;
    for by in [Own, Other] {
        let make = "CREATE SCHEMA part AUTHORIZATION app; SET ROLE app; \
                    CREATE TABLE part.p (n int) PARTITION BY LIST (n); CREATE TABLE part.t PARTITION OF part.p DEFAULT; RESET ROLE";
        let path = (Own, "SET search_path = part, sp1");
        let texts = [(Owner, make), path, (by, "DROP TABLE part.p"), (Own, UPDATE)];
        assert_eq!(is_told(&scene, &texts).await, ["sp1.t"]);
        scene.superuser.batch_execute("DROP SCHEMA part CASCADE").await.unwrap();
        // Made since the catalog was read.
        let texts = [
            (Own, "CREATE SCHEMA part"),
            path,
            (by, "CREATE TABLE part.p (n int) PARTITION BY LIST (n); CREATE TABLE part.t PARTITION OF part.p DEFAULT"),
            (by, "DROP TABLE part.p"),
            (Own, UPDATE),
        ];
        assert_eq!(is_told(&scene, &texts).await, ["sp1.t"]);
        scene.superuser.batch_execute("DROP SCHEMA part CASCADE").await.unwrap();
    }
    // What is dropped is told as well.
    let mut sessions = Sessions::open(&scene).await;
    for sql in [
        "CREATE SCHEMA part",
        "CREATE TABLE part.p (n int) PARTITION BY LIST (n); CREATE TABLE part.t PARTITION OF part.p DEFAULT",
        "DROP TABLE part.p",
    ] {
        sessions.say(Own, sql).await;
    }
    let row = sessions.last("DROP TABLE part.p");
    assert!(row.touches.iter().any(|touch| ["part.t", "?"].contains(&touch.relation.as_str())), "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_type_or_a_schema_goes_with_it() {
    let scene = scene().await;
    let cases = [
        ("CREATE TYPE {s}.c AS (n int); CREATE TABLE {s}.t OF {s}.c", "DROP TYPE {s}.c CASCADE"),
        ("CREATE TABLE {s}.t (n int)", "DROP SCHEMA {s} CASCADE"),
        ("CREATE TABLE {s}.u (n int); CREATE VIEW {s}.t AS SELECT n FROM {s}.u", "DROP TABLE {s}.u CASCADE"),
        ("CREATE TABLE {s}.u (n int); CREATE TABLE {s}.t () INHERITS ({s}.u)", "DROP TABLE {s}.u CASCADE"),
        (
            "CREATE TABLE {s}.u (n int, m int); CREATE VIEW {s}.t AS SELECT n FROM {s}.u",
            "ALTER TABLE {s}.u DROP COLUMN n CASCADE",
        ),
        (
            "CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW {s}.t AS SELECT {s}.f() AS n",
            "DROP FUNCTION {s}.f() CASCADE",
        ),
    ];
    let all = || [Own, Other].into_iter().flat_map(|by| cases.map(|case| (by, case))).enumerate();
    let of = |text: &str, number: usize| text.replace("{s}", &format!("typed_{number}"));
    let make = all().map(|(number, (_, (make, _)))| {
        of(&format!("CREATE SCHEMA {{s}} AUTHORIZATION app; SET ROLE app; {make}; RESET ROLE;"), number)
    });
    Sessions::open(&scene).await.say(Owner, &make.collect::<String>()).await;
    for (number, (by, (_, drop))) in all() {
        let (path, drop) = (of("SET search_path = {s}, sp1", number), of(drop, number));
        assert_eq!(is_told(&scene, &[(Own, &path), (by, &drop), (Own, UPDATE)]).await, ["sp1.t"], "{drop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_code_of_the_session_or_a_prepared_transaction_has_made_is_minded() {
    let scene = scene().await;
    scene.superuser.batch_execute("GRANT ALL ON SCHEMA sp1 TO app; GRANT ALL ON SCHEMA decoy TO app").await.unwrap();
    let mut sessions = Sessions::open(&scene).await;
    for sql in ["SET search_path = early, sp1", "DO $$ BEGIN CREATE SCHEMA early; END $$", "CREATE TABLE made (n int)"]
    {
        sessions.say(Own, sql).await;
    }
    assert_eq!(made_in(&scene, "made").await, ["early"]);
    let row = sessions.last("CREATE TABLE made");
    assert!(row.touches.iter().all(|touch| !touch.certain || touch.relation == "early.made"), "{row:#?}");
    for by in [Own, Other] {
        for (prepared, expected) in
            [("CREATE TABLE decoy.t (n int)", vec![]), ("DROP TABLE decoy.t", vec!["sp1.t".to_owned()])]
        {
            let prepare = format!("BEGIN; {prepared}; PREPARE TRANSACTION 'x'");
            let texts =
                [(Own, "SET search_path = decoy, sp1"), (by, &prepare), (by, "COMMIT PREPARED 'x'"), (Own, UPDATE)];
            assert_eq!(is_told(&scene, &texts).await, expected, "{by:?}, {prepared}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_view_goes_with_the_temporary_table_that_it_reads() {
    let scene = scene().await;
    let texts = [
        (Own, "SET search_path = sp1"),
        (Own, "BEGIN; CREATE TEMP TABLE base (n int) ON COMMIT DROP; CREATE TEMP VIEW t AS SELECT n FROM base; COMMIT"),
        (Own, UPDATE),
    ];
    assert_eq!(is_told(&scene, &texts).await, ["sp1.t"]);
    let texts = [
        (Own, "SET search_path = sp1"),
        (Own, "CREATE TEMP TABLE base (n int)"),
        (Own, "CREATE VIEW t AS SELECT n FROM base"),
        (Own, "DROP TABLE base CASCADE"),
        (Own, UPDATE),
    ];
    assert_eq!(is_told(&scene, &texts).await, ["sp1.t"]);
}

/// Plays a statement that takes its time, and another session's meanwhile.
async fn slowly(scene: &Scene, before: &[(By, &str)], slow: &str, meanwhile: &str) -> Vec<String> {
    let mut sessions = Sessions::open(scene).await;
    for (by, sql) in before {
        sessions.say(*by, sql).await;
    }
    sessions.own.send(&query(slow)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    sessions.say(Other, meanwhile).await;
    sessions.own.until(b'Z').await.unwrap();
    let row = sessions.last(slow);
    let updated = updated(scene).await;
    judge(&row, &updated, &format!("{before:?}, {slow}, {meanwhile}"));
    updated
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_replaced_while_it_ran_is_not_told_as_what_ran() {
    let scene = scene().await;
    let function = |schema: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION public.w() RETURNS int LANGUAGE plpgsql AS \
             'BEGIN UPDATE {schema}.t SET n = 1; RETURN 1; END'"
        )
    };
    let procedure = |schema: &str| {
        format!(
            "CREATE OR REPLACE PROCEDURE public.w2() LANGUAGE plpgsql AS \
             'BEGIN UPDATE {schema}.t SET n = 1; PERFORM pg_sleep(2); END'"
        )
    };
    let fires = |schema: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION public.w3() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN UPDATE {schema}.t SET n = 1; RETURN NEW; END'"
        )
    };
    let checks = |schema: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION public.w4(int) RETURNS boolean LANGUAGE plpgsql AS \
             'BEGIN UPDATE {schema}.t SET n = 1; RETURN true; END'"
        )
    };
    let grant = "GRANT ALL ON SCHEMA public TO app";
    scene.superuser.batch_execute(grant).await.unwrap();
    let tables = "CREATE TABLE public.fires (n int); CREATE DOMAIN public.d AS int CHECK (public.w4(value));
                  CREATE TRIGGER g BEFORE INSERT ON public.fires FOR EACH ROW EXECUTE FUNCTION public.w3()";
    let before = [function("sp1"), procedure("sp1"), fires("sp1"), checks("sp1"), tables.to_owned()];
    let before: Vec<(By, &str)> = before.iter().map(|sql| (Other, sql.as_str())).chain([(Owner, "")]).collect();
    for (slow, meanwhile) in [
        ("SELECT public.w(), pg_sleep(2)", function("sp2")),
        ("CALL public.w2()", procedure("sp2")),
        (
            "INSERT INTO public.fires SELECT CASE WHEN g = 3 THEN length(pg_sleep(2)::text) ELSE g END FROM generate_series(1, 3) g",
            fires("sp2"),
        ),
        ("SELECT 1::public.d, pg_sleep(2)", checks("sp2")),
        ("SELECT public.w() AS a, pg_sleep(2)", "DROP FUNCTION public.w() CASCADE".to_owned()),
    ] {
        let setup = [function("sp1"), procedure("sp1"), fires("sp1"), checks("sp1")];
        let again: Vec<(By, &str)> = match slow {
            "SELECT public.w(), pg_sleep(2)" => before.clone(),
            _ => setup.iter().map(|sql| (Other, sql.as_str())).chain([(Owner, "")]).collect(),
        };
        let updated = slowly(&scene, &again, slow, &meanwhile).await;
        assert!(updated.contains(&"sp1.t".to_owned()), "{slow}: {updated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_function_of_the_same_name_hides_none() {
    let scene = scene().await;
    scene.superuser.batch_execute("GRANT ALL ON SCHEMA public TO app").await.unwrap();
    let body = "LANGUAGE plpgsql SET search_path = sp1 AS 'BEGIN UPDATE sp1.t SET n = 1; RETURN 1; END'";
    let plain = "LANGUAGE plpgsql AS 'BEGIN UPDATE sp1.t SET n = 1; RETURN 1; END'";
    let unread = format!("CREATE FUNCTION public.two(text) RETURNS int {body}");
    let read = "CREATE FUNCTION public.two(int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    let path = (Own, "SET search_path = public");
    let texts = [path, (Own, &unread), (Own, read), (Own, "SELECT two('x'::text)")];
    assert_eq!(is_told(&scene, &texts).await, ["sp1.t"]);
    // Of PostgreSQL's own names.
    let make = |name: &str, body: &str| format!("CREATE FUNCTION public.{name}(boolean) RETURNS int {body}");
    for by in [Own, Other] {
        for (name, body) in [("lower", body), ("upper", plain)] {
            let create = make(name, body);
            let call = format!("SELECT {name}(true)");
            assert_eq!(is_told(&scene, &[path, (by, &create), (Own, &call)]).await, ["sp1.t"], "{by:?}");
            let prepare = format!("PREPARE p AS SELECT {name}(true)");
            let drop = format!("DROP FUNCTION public.{name}(boolean)");
            let texts = [path, (by, &drop), (by, &create), (Own, &prepare), (Own, "EXECUTE p")];
            assert_eq!(is_told(&scene, &texts).await, ["sp1.t"], "{by:?}");
            scene.superuser.batch_execute(&drop).await.unwrap();
        }
        let create = "CREATE FUNCTION public.plus(boolean, boolean) RETURNS int LANGUAGE plpgsql \
                      SET search_path = sp1 AS 'BEGIN UPDATE sp1.t SET n = 1; RETURN 1; END'";
        let operator = "CREATE OPERATOR public.+ (LEFTARG = boolean, RIGHTARG = boolean, FUNCTION = public.plus)";
        let texts = [path, (by, create), (by, operator), (Own, "SELECT true + true")];
        assert_eq!(is_told(&scene, &texts).await, ["sp1.t"], "{by:?}");
        scene.superuser.batch_execute("DROP FUNCTION public.plus CASCADE").await.unwrap();
        // In front of PostgreSQL's own schema.
        let check = "CREATE FUNCTION public.checks(bigint) RETURNS boolean LANGUAGE plpgsql \
                     SET search_path = sp1 AS 'BEGIN UPDATE sp1.t SET n = 1; RETURN true; END'";
        let domain = "CREATE DOMAIN public.money AS bigint CHECK (public.checks(value))";
        let front = (Own, "SET search_path = public, pg_catalog");
        let texts = [front, (by, check), (by, domain), (Own, "SELECT 1::money")];
        assert_eq!(is_told(&scene, &texts).await, ["sp1.t"], "{by:?}");
        scene.superuser.batch_execute("DROP DOMAIN public.money; DROP FUNCTION public.checks").await.unwrap();
    }
}

/// The path is computed anew when it or the role is set, or when a schema changes, and not when a role gets rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_path_when_its_role_becomes_a_member() {
    let scene = scene().await;
    let close = "REVOKE ALL ON SCHEMA prod FROM public; GRANT USAGE ON SCHEMA prod TO r";
    let path = (Own, "SET search_path = prod, sp1");
    for (before, change, kept) in
        [("REVOKE r FROM app", "GRANT r TO app", "sp1.t"), ("GRANT r TO app", "REVOKE r FROM app", "prod.t")]
    {
        let before = format!("{close}; {before}");
        let texts = [(Owner, before.as_str()), path, (Own, "UPDATE t SET n = 0"), (Other, change), (Own, UPDATE)];
        assert_eq!(is_told(&scene, &texts).await, [kept], "{change}");
        // The catalog has it by then.
        let texts = [(Owner, before.as_str()), path, (Own, "UPDATE t SET n = 0"), (Owner, change), (Own, UPDATE)];
        assert_eq!(is_told(&scene, &texts).await, [kept], "{change}");
    }
    // Of other changes of a role it depends on PostgreSQL's release.
    let before = format!("{close}; GRANT r TO app");
    let texts =
        [(Owner, &*before), path, (Own, "UPDATE t SET n = 0"), (Owner, "ALTER ROLE app NOINHERIT"), (Own, UPDATE)];
    is_told(&scene, &texts).await;
    // Set again, it is known again.
    let mut sessions = Sessions::open(&scene).await;
    for sql in ["SET search_path = prod, sp1", UPDATE] {
        sessions.say(Own, sql).await;
    }
    let row = sessions.last(UPDATE);
    let updated = updated(&scene).await;
    assert_eq!(certain(&row), updated, "{row:#?}");
}

/// What sessions begin with is asked when they begin; one that goes on has what it began with.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_the_defaults_that_it_began_with() {
    let scene = scene().await;
    for change in [
        "ALTER ROLE app SET search_path = sp1",
        "ALTER ROLE app IN DATABASE ranking SET search_path = sp1",
        "ALTER ROLE ALL SET search_path = sp1",
        "ALTER DATABASE ranking SET search_path = sp1",
    ] {
        let mut sessions = Sessions::open(&scene).await;
        sessions.say(Owner, change).await;
        for sql in ["SET search_path = sp2", "RESET search_path", UPDATE] {
            sessions.say(Own, sql).await;
        }
        let row = sessions.last(UPDATE);
        assert_eq!(updated(&scene).await, ["app.t"]);
        assert_eq!(certain(&row), ["app.t"], "{change}: {row:#?}");
        scene.superuser.batch_execute(&change.replace("= sp1", "TO DEFAULT")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_a_path_of_its_own_finds_what_its_caller_has_just_changed() {
    let scene = scene().await;
    let make = "CREATE SCHEMA gone AUTHORIZATION app; GRANT USAGE ON SCHEMA gone TO public; SET ROLE app; CREATE TABLE gone.t (n int); \
                CREATE PROCEDURE gone.p() LANGUAGE plpgsql SET search_path = gone, sp1, pg_temp AS \
                'BEGIN UPDATE t SET n = 1; END'; RESET ROLE";
    for sql in [
        "DO $$ BEGIN DROP TABLE gone.t; CALL gone.p(); END $$",
        "DO $$ BEGIN ALTER TABLE gone.t RENAME TO away; CALL gone.p(); END $$",
        "DO $$ BEGIN EXECUTE 'DROP TABLE gone.t'; CALL gone.p(); END $$",
    ] {
        assert_eq!(is_told(&scene, &[(Owner, make), (Own, sql)]).await, ["sp1.t"]);
        scene.superuser.batch_execute("DROP SCHEMA gone CASCADE").await.unwrap();
    }
    // The path alone is changed: the function has its own.
    let texts = [(Owner, make), (Own, "DO $$ BEGIN DROP TABLE gone.t; END $$"), (Owner, "")];
    let mut sessions = Sessions::open(&scene).await;
    for (by, sql) in texts {
        sessions.say(by, sql).await;
    }
    let sql = "DO $$ BEGIN SET search_path = sp2; CALL gone.p(); END $$";
    sessions.say(Own, sql).await;
    let row = sessions.last(sql);
    assert_eq!(updated(&scene).await, ["sp1.t"]);
    let is = |touch: &crate::scene::Touch| touch.relation == "sp1.t" && touch.operation == "update" && touch.certain;
    assert!(row.touches.iter().any(is), "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_in_the_temporary_schema_is_minded_as_long_as_the_session_lasts() {
    let scene = scene().await;
    let make = "CREATE DOMAIN public.d AS int; CREATE FUNCTION public.w(int) RETURNS boolean LANGUAGE sql AS \
                'UPDATE sp1.t SET n = 1; SELECT true'";
    for create in [
        "CREATE DOMAIN pg_temp.d AS int CHECK (public.w(value))",
        "SET search_path = pg_temp, public; CREATE DOMAIN d AS int CHECK (public.w(value)); RESET search_path",
        "DO $$ BEGIN CREATE DOMAIN pg_temp.d AS int CHECK (public.w(value)); END $$; SET search_path = public",
    ] {
        let texts = [(Owner, make), (Own, create), (Owner, ""), (Own, "SELECT 1::d")];
        assert_eq!(is_told(&scene, &texts).await, ["sp1.t"], "{create}");
        scene.superuser.batch_execute("DROP DOMAIN public.d; DROP FUNCTION public.w CASCADE").await.unwrap();
    }
}

/// The sequence of a serial or identity column is nowhere in the text.
#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_nobody_names_is_minded() {
    let scene = scene().await;
    let dropped = "DROP TABLE own.{t}";
    let cases = [
        (Own, "CREATE TABLE own.{t} (id serial)", "own"),
        (Other, "CREATE TABLE own.{t} (id serial)", "own"),
        (Own, "CREATE TABLE own.{t} (id int GENERATED ALWAYS AS IDENTITY)", "own"),
        (Own, "CREATE TABLE own.{t} (); ALTER TABLE own.{t} ADD COLUMN id bigserial", "own"),
        (Own, "CREATE TEMP TABLE {t} (id serial)", "pg_temp"),
        (Own, "CREATE TEMP TABLE {t} (id serial); ALTER TABLE {t} RENAME TO other", "pg_temp"),
        // It goes with its table.
        (Own, dropped, "sp1"),
        (Other, dropped, "sp1"),
    ];
    let of = |text: &str, number: usize| text.replace("{t}", &format!("made_{number}"));
    let make = cases.iter().enumerate().map(|(number, (_, change, _))| {
        let sequence = "CREATE SEQUENCE sp1.{t}_id_seq; ALTER SEQUENCE sp1.{t}_id_seq OWNER TO app;";
        let table =
            if *change == dropped { "CREATE TABLE own.{t} (id serial); ALTER TABLE own.{t} OWNER TO app;" } else { "" };
        of(&format!("{sequence} {table}"), number)
    });
    let make: String = make.collect();
    let make = format!("CREATE SCHEMA own AUTHORIZATION app; GRANT ALL ON SCHEMA sp1 TO app; {make}");
    Sessions::open(&scene).await.say(Owner, &make).await;
    for (number, (by, change, is_in)) in cases.into_iter().enumerate() {
        let mut sessions = Sessions::open(&scene).await;
        sessions.say(Own, "SET search_path = own, sp1").await;
        sessions.say(by, &of(change, number)).await;
        sessions.say(Own, &of("ALTER SEQUENCE {t}_id_seq RESTART", number)).await;
        let row = sessions.last("ALTER SEQUENCE");
        assert_eq!(row.sqlstate, None, "{change}: {row:#?}");
        let meant = of(&format!("{is_in}.{{t}}_id_seq"), number);
        let mut sure = row.touches.iter().filter(|touch| touch.certain);
        assert!(sure.all(|touch| touch.relation == meant), "{change}: {row:#?}");
        let here = [meant, of("?.{t}_id_seq", number), "?".to_owned()];
        assert!(row.touches.iter().any(|touch| here.contains(&touch.relation)), "{change}: {row:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_child_is_minded_whatever_letters_are_in_its_name() {
    let scene = scene().await;
    let make = "CREATE TABLE public.\"Grün\" (n int); ALTER TABLE public.\"Grün\" OWNER TO app; \
                CREATE FUNCTION public.g() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN UPDATE sp1.t SET n = 1; RETURN NEW; END'";
    for child in ["kind", "\"Künd\""] {
        let texts = [
            (Owner, make.to_owned()),
            (Own, format!("CREATE TEMP TABLE {child} (n int)")),
            (Own, format!("INSERT INTO {child} VALUES (0)")),
            (Own, format!("CREATE TRIGGER g BEFORE UPDATE ON {child} FOR EACH ROW EXECUTE FUNCTION public.g()")),
            (Own, format!("ALTER TABLE {child} INHERIT public.\"Grün\"")),
            (Owner, String::new()),
            (Own, "UPDATE public.\"Grün\" SET n = 1".to_owned()),
        ];
        let texts: Vec<(By, &str)> = texts.iter().map(|(by, sql)| (*by, sql.as_str())).collect();
        let (&(_, last), before) = texts.split_last().unwrap();
        let mut sessions = Sessions::open(&scene).await;
        for (by, sql) in before {
            sessions.say(*by, sql).await;
        }
        sessions.say(Own, last).await;
        let row = sessions.last(last);
        assert_eq!(updated(&scene).await, ["sp1.t"]);
        let told = |relation: &str| ["sp1.t", "?"].contains(&relation);
        assert!(row.opaque || row.touches.iter().any(|touch| told(&touch.relation)), "{child}: {row:#?}");
        scene
            .superuser
            .batch_execute("DROP TABLE public.\"Grün\" CASCADE; DROP FUNCTION public.g CASCADE")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_trigger_that_has_just_been_made_runs_for_whatever_is_defined() {
    let scene = scene().await;
    scene.superuser.batch_execute("ALTER ROLE app SUPERUSER; GRANT ALL ON SCHEMA public TO app").await.unwrap();
    let function = "CREATE OR REPLACE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS \
                    'BEGIN UPDATE sp1.t SET n = n + 1; END'";
    let trigger = "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION public.e()";
    let code = "DO $$ BEGIN CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION public.e(); END $$";
    let defined = [
        "CREATE SCHEMA z1",
        "CREATE TYPE public.z2 AS ENUM ('z')",
        "CREATE FUNCTION public.z3() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "COMMENT ON SCHEMA public IS 'z'",
        "ALTER TYPE public.y ADD VALUE 'z'",
        "DROP TYPE public.y",
        "DO $$ BEGIN CREATE SCHEMA z4; END $$",
        "SELECT 1 AS n INTO public.z5",
        "REFRESH MATERIALIZED VIEW public.x",
        "GRANT USAGE ON SCHEMA public TO r",
    ];
    for (by, create) in [(Own, trigger), (Other, trigger), (Own, code)] {
        let mut sessions = Sessions::open(&scene).await;
        let make = "CREATE TYPE public.y AS ENUM ('y'); CREATE MATERIALIZED VIEW public.x AS SELECT 1 AS n";
        for (by, sql) in [(Owner, make), (by, function), (by, create), (Own, "UPDATE sp1.t SET n = 0")] {
            sessions.say(by, sql).await;
        }
        for sql in defined {
            sessions.say(Own, sql).await;
        }
        let runs: i32 = scene.superuser.query_one("SELECT n FROM sp1.t", &[]).await.unwrap().get(0);
        assert_eq!(runs, i32::try_from(defined.len()).unwrap(), "each of them runs it");
        drop(sessions.own);
        let rows = scene.recorded(&sessions.name);
        for sql in defined {
            let row = rows.iter().find(|row| row.sql == sql).unwrap();
            let told = |relation: &str| ["sp1.t", "?"].contains(&relation);
            assert!(row.opaque || row.touches.iter().any(|touch| told(&touch.relation)), "{create}: {row:#?}");
        }
        let clean = "DROP EVENT TRIGGER e; DROP SCHEMA z1, z4; DROP TYPE public.z2; DROP FUNCTION public.z3(); \
                     DROP TABLE public.z5; DROP MATERIALIZED VIEW public.x";
        scene.superuser.batch_execute(clean).await.unwrap();
    }
}
