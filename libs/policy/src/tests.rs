//! What is said about texts, one line each.

use proptest::prelude::*;

use super::*;

/// `operation relation:operation(columns)+ ...` of every statement, `+` where the tag counts; `!` where opaque.
fn say(sql: &str) -> String {
    analyse(sql).statements.iter().map(say_statement).collect::<Vec<_>>().join("; ")
}

fn say_statement(statement: &Statement) -> String {
    let mut said = statement.operation.to_string();
    for relation in &statement.relations {
        let schema = relation.name.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        said += &format!(" {schema}{}:{}", relation.name.name, relation.operation);
        if !relation.columns.is_empty() {
            said += &format!("({})", relation.columns.join(","));
        }
        if relation.counted {
            said += "+";
        }
    }
    for function in &statement.functions {
        said += &format!(" {}()", function.name);
    }
    if statement.opaque.is_some() {
        said += " !";
    }
    said
}

fn check(cases: &[(&str, &str)]) {
    let failures: Vec<String> = cases
        .iter()
        .filter(|(sql, expected)| say(sql) != *expected)
        .map(|(sql, expected)| format!("{sql}\n  is  {}\n  not {expected}", say(sql)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn queries() {
    check(&[
        ("", ""),
        (" -- nothing\n /* at /* all */ */ ;", ""),
        ("select 1", "select"),
        ("table t", "select t:select(*)+"),
        ("values (1), (2)", "select"),
        ("select a, b as c from s.t where d = 1 order by c, e", "select s.t:select(a,b,d,e)+"),
        ("select x.a, y.* from t x join u as y on x.id = y.id", "select t:select(a,id)+ u:select(*,id)+"),
        ("select a from t, u", "select t:select+ u:select+"),
        ("select t from t", "select t:select(*)+"),
        (
            "select a from t where exists (select 1 from u where u.id = t.id and b)",
            "select t:select(a,id)+ u:select(id)",
        ),
        ("select (select max(v) from w) from t", "select t:select+ w:select max()"),
        ("select * from (select a from t) s, lateral (select b from u) v", "select t:select(a)+ u:select+"),
        ("select a from t union select b from u order by a", "select t:select(a)+ u:select(b)+"),
        ("with c as (select a from t) select a from c", "select t:select(a)"),
        ("with t as (select a from t) select a from t", "select t:select(a)"),
        ("with recursive t as (select 1 union all select n from t) select n from t", "select"),
        ("with c as (select 1) select * from s.c", "select s.c:select(*)+"),
        ("select * from f(1) g, t tablesample system (5)", "select t:select(*)+ f()"),
        ("select a from db.s.t for update", "select s.t:select(a)+"),
        ("select t.a, xmlelement(name x, t.b), coalesce(c, d) from t", "select t:select(a,b,c,d)+"),
        ("select json_object('a': (select b from u)) from t", "select t:select+ u:select"),
        ("select a, b.c from t, (select x from s where a) b", "select t:select+ s:select(a,x)+"),
        (
            "select a from t where exists (select b from (select c from u) v, w)",
            "select t:select(a)+ u:select w:select",
        ),
        ("select *, x.*, * from (t x join u on true) j, v", "select t:select+ u:select+ v:select(*)+"),
        ("select count(*) filter (where a > 1) over (partition by b) from t", "select t:select(a,b)+ count()"),
    ]);
}

#[test]
fn changes() {
    check(&[
        ("insert into t values (1)", "insert t:insert+"),
        ("insert into t (a, b) select c, d from u", "insert t:insert(a,b)+ u:select(c,d)"),
        (
            "insert into t (a) values (1) on conflict (a) do update set b = excluded.b where t.c",
            "insert t:insert(a)+ t:update(b)",
        ),
        ("insert into t (a) values (1) on conflict do nothing", "insert t:insert(a)+"),
        ("update t set a = 1, b = c where d = 2", "update t:update(a,b)+"),
        ("update t set a = s.a from s where s.id = t.id", "update t:update(a)+ s:select(a,id)"),
        ("update t as s set (a, b) = (select x, y from u where u.id = s.id)", "update t:update(a,b)+ u:select(id)"),
        ("delete from t using s where s.id = t.id returning *", "delete t:delete+ s:select(*,id)"),
        ("delete from t where id in (select id from u)", "delete t:delete+ u:select"),
        ("with d as (delete from a returning *) insert into b select * from d", "insert a:delete b:insert+"),
        (
            "merge into t using s on t.id = s.id when matched then update set a = s.a when not matched then insert (a) values (s.a)",
            "merge s:select(a,id) t:update(a) t:insert(a)",
        ),
        (
            "merge into t using s on t.id = s.id when matched then delete when not matched then do nothing",
            "merge s:select(id) t:delete+",
        ),
        ("truncate a, s.b", "truncate a:truncate s.b:truncate"),
        ("select 1; update t set a = 1 ;; delete from u", "select; update t:update(a)+; delete u:delete+"),
    ]);
}

#[test]
fn utilities() {
    check(&[
        ("copy t (a, b) from stdin", "copy_in t:copy_in(a,b)+"),
        ("copy s.t to stdout", "copy_out s.t:copy_out+"),
        ("copy (select a from t) to stdout", "copy_out t:select(a)+"),
        ("explain select a from t", "explain t:explain"),
        ("explain (analyze false) delete from t", "explain t:explain"),
        ("explain (analyze, verbose) update t set a = 1", "explain t:update(a)"),
        ("create table t (a int)", "ddl t:ddl"),
        ("create table t as select a from u", "ddl t:ddl+ u:select(a)"),
        ("create view v as select a from t", "ddl v:ddl t:ddl"),
        ("drop table a, s.b", "ddl a:ddl s.b:ddl"),
        ("drop trigger g on s.t", "ddl s.t:ddl"),
        ("drop function f(int)", "ddl"),
        ("alter table t add column a int", "ddl t:ddl"),
        ("create index on t (a)", "ddl t:ddl"),
        ("comment on column s.t.a is 'x'", "ddl s.t:ddl"),
        ("create schema s create table t (a int)", "ddl s.t:ddl"),
        ("create table t (a int references u, foreign key (b) references s.v)", "ddl t:ddl u:ddl s.v:ddl"),
        ("alter table t attach partition s.u default", "ddl t:ddl s.u:ddl"),
        ("alter table t detach partition u", "ddl t:ddl u:ddl"),
        ("alter table t inherit u", "ddl t:ddl u:ddl"),
        ("grant select on t to r", "grant t:grant"),
        ("create role r", "grant"),
        ("alter table t owner to r", "ddl t:ddl"),
        ("vacuum analyze t", "maintenance t:maintenance"),
        ("refresh materialized view m", "maintenance m:maintenance"),
        ("lock table t", "lock t:lock"),
        ("listen c", "listen"),
        ("notify c, 'x'", "listen"),
        ("show search_path", "show"),
        ("set local work_mem = '1MB'", "set"),
        ("set transaction isolation level serializable", "transaction"),
        ("begin; savepoint a; rollback to a; commit", "transaction; transaction; transaction; transaction"),
        ("declare c cursor for select a from t", "declare t:select(a)"),
        ("fetch 5 from c", "fetch"),
        ("close c", "close"),
        ("deallocate p", "deallocate"),
        ("discard all", "set"),
        ("reset role", "set"),
        ("checkpoint", "maintenance"),
    ]);
}

/// `attacks.md`, "Past the policy".
#[test]
fn what_would_slip_past_a_naive_reader() {
    check(&[
        ("SELECT 1; DROP TABLE t", "select; ddl t:ddl"),
        ("/* /* nested */ select */ drop table t -- select", "ddl t:ddl"),
        (r"select E'\'' ; drop table t --'", "select; ddl t:ddl"),
        ("select $a$ ; drop table t $a$", "select"),
        ("select $$)$$; delete from t", "select; delete t:delete+"),
        (r#"select * from U&"\0074""#, "select t:select(*)+"),
        ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "select t:delete"),
        ("COPY (DELETE FROM t RETURNING *) TO STDOUT", "copy_out t:delete+"),
        ("COPY t TO PROGRAM 'sh -c id'", "copy_out t:copy_out+"),
        ("EXPLAIN ANALYZE DELETE FROM t", "explain t:delete"),
        ("SELECT * INTO u FROM t", "ddl u:ddl+ t:select(*)+"),
        ("PREPARE p AS DELETE FROM t", "prepare"),
        ("DECLARE c CURSOR FOR SELECT * FROM t", "declare t:select(*)"),
        ("DO $$ begin delete from t; end $$", "do !"),
        ("CALL p(1)", "call p() !"),
        ("select dblink('x', 'delete from t'), lo_export(1, '/tmp/x')", "select dblink() lo_export()"),
        (
            "select pg_read_file('/etc/passwd'), query_to_xml('delete from t', true, true, '')",
            "select pg_read_file() query_to_xml()",
        ),
        (
            "select pg_catalog.set_config('search_path', 's', false), pg_terminate_backend(1)",
            "select pg_terminate_backend() set_config()",
        ),
        ("set role admin", "set"),
        ("set session authorization admin", "set"),
        ("alter default privileges grant all on tables to public", "grant"),
        ("select row_to_json(t), t::text from t", "select t:select(*)+ row_to_json()"),
        (
            "select case when (select a from u) then 1 end from t group by grouping sets ((a), (b))",
            "select t:select(a,b)+ u:select",
        ),
        (
            "select string_agg(email, ',' order by id) from t having min(x) > 1",
            "select t:select(email,id,x)+ min() string_agg()",
        ),
        ("update t set a[(select i from u)] = 1", "update t:update(a)+ u:select"),
        ("not sql", "opaque !"),
        ("select 1; not sql", "select; opaque !"),
    ]);
}

/// Functions that no call names.
#[test]
fn code_of_others_is_told_wherever_it_runs() {
    check(&[
        ("alter table t alter column a type int using f(a)", "ddl t:ddl f()"),
        ("alter table t alter a type mood", "ddl t:ddl mood()"),
        ("alter table t add column a int default f(), add b mood", "ddl t:ddl f() mood()"),
        ("alter table t add constraint c check (f(a))", "ddl t:ddl f()"),
        ("alter table t alter column a set default f()", "ddl t:ddl"),
        ("create index on t (f(a), b) where g(b)", "ddl t:ddl f() g()"),
        ("truncate t", "truncate t:truncate"),
        ("truncate t restrict", "truncate t:truncate"),
        ("truncate t cascade", "truncate t:truncate !"),
        ("select 1 operator(pg_catalog.+) 2 + 3", "select"),
        ("select 1 operator(s.+) 2", "select +()"),
        ("select 1 operator(s.=) any (select 2) order by 1 using operator(s.<)", "select <() =()"),
        (
            "select 'a'::text[], cast(1 as pg_catalog._int4), date 'today', '{}'::jsonb, 1::numeric(3, 1), ''::uuid",
            "select",
        ),
        (
            "select 1::int, interval '1 day', x::double precision, 'c'::\"char\", now()::timestamp with time zone",
            "select now()",
        ),
        ("select 'sad'::mood, s.mood 'sad', cast(a as text.text) from t", "select t:select(a)+ mood() mood() text()"),
        ("select * from json_to_record('{}') as x(a int, b mood)", "select json_to_record() mood()"),
        ("select * from xmltable('/a' passing '' columns a mood, b text) x", "select mood()"),
        ("select * from json_table('{}', '$' columns (a mood path '$.a', b text)) x", "select mood()"),
        ("select json_value('{}', '$.a' returning mood)", "select mood()"),
    ]);
    let settings = |sql: &str| analyse(sql).statements[0].may_change_settings;
    assert!(!settings("truncate t cascade") && !settings("select 'sad'::mood"));
    assert!(settings("select 1 operator(s.+) 2") && settings("alter table t alter a type int using f(a)"));
}

#[test]
fn backslashes_follow_the_session() {
    let sql = r"select '\'; delete from t; --'";
    assert_eq!(say(sql), "select; delete t:delete+");
    let plain = analyse_as(sql, Dialect { standard_conforming_strings: false });
    assert_eq!(plain.statements.iter().map(say_statement).collect::<Vec<_>>(), ["select"]);
}

#[test]
fn effects() {
    let effect = |sql: &str| analyse(sql).statements.remove(0).effect;
    let path = |schemas: &[&str], local| Effect::SearchPath {
        schemas: Some(schemas.iter().map(|schema| (*schema).to_owned()).collect()),
        local,
    };
    let default = Effect::SearchPath { schemas: None, local: false };
    for (sql, expected) in [
        ("begin", Effect::Begin),
        ("start transaction read only", Effect::Begin),
        ("end", Effect::Commit { chain: false }),
        ("commit and chain", Effect::Commit { chain: true }),
        ("abort", Effect::Rollback { chain: false }),
        ("savepoint \"A\"", Effect::Savepoint("A".into())),
        ("release A", Effect::Release("a".into())),
        ("rollback to savepoint a", Effect::RollbackTo("a".into())),
        ("prepare transaction 'X y'", Effect::PrepareTransaction("X y".into())),
        ("commit prepared 'x'", Effect::CommitPrepared("x".into())),
        ("rollback prepared 'x'", Effect::RollbackPrepared("x".into())),
        ("set search_path = sales, \"Mixed\", 'a, b'", path(&["sales", "Mixed", "a, b"], false)),
        ("set schema 'x'", path(&["x"], false)),
        ("set search_path = ''", path(&[], false)),
        ("set local search_path to a", path(&["a"], true)),
        ("set search_path to default", default.clone()),
        ("reset search_path", default),
        ("reset all", Effect::ResetAll),
        ("select set_config('search_path', 'a, \"B\"', true)", path(&["a", "B"], true)),
        ("select set_config('search_path', x, true) from t", Effect::None),
        ("discard all", Effect::Discard { temporary: true, all: true }),
        ("discard temp", Effect::Discard { temporary: true, all: false }),
        ("discard plans", Effect::None),
        ("execute p(1)", Effect::Execute("p".into())),
        ("explain analyze execute p", Effect::Execute("p".into())),
        ("explain execute p", Effect::None),
        ("deallocate all", Effect::Deallocate(None)),
        ("deallocate p", Effect::Deallocate(Some("p".into()))),
        ("declare \"C\" cursor for select 1", Effect::Declare("C".into())),
        ("fetch all from C", Effect::Fetch("c".into())),
        ("fetch c", Effect::Fetch("c".into())),
        ("move backward 2 in c", Effect::Fetch("c".into())),
        ("close c", Effect::CloseCursor(Some("c".into()))),
        ("close all", Effect::CloseCursor(None)),
        ("create temp table x (a int)", Effect::CreateTemporary("x".into())),
        ("create temporary view x as select 1", Effect::CreateTemporary("x".into())),
        ("select 1 into temp x", Effect::CreateTemporary("x".into())),
        ("create table pg_temp.x as select 1", Effect::CreateTemporary("x".into())),
        ("drop table x", Effect::Drop(vec![Name { schema: None, name: "x".into() }])),
    ] {
        assert_eq!(effect(sql), expected, "{sql}");
    }
    let Effect::Prepare { name, statement } = effect("prepare p(int) as update t set a = $1") else { panic!() };
    assert_eq!((name.as_str(), say_statement(&statement)), ("p", "update t:update(a)+".to_owned()));
}

#[test]
fn copies_from_the_client_are_told() {
    for (sql, expected) in [
        ("copy t from stdin", true),
        ("copy t (a) from stdin with (format binary)", true),
        ("copy t from stdout", true),
        ("copy t from '/x'", false),
        ("copy t from program 'cat'", false),
        ("copy t to stdout", false),
        ("select 1", false),
    ] {
        assert_eq!(analyse(sql).statements[0].copies_from_client, expected, "{sql}");
    }
}

/// `NAMEDATALEN`: 63 bytes, on a character boundary.
#[test]
fn names_are_folded_and_cut_as_the_server_does() {
    let name = |sql: &str| match analyse(sql).statements.remove(0).effect {
        Effect::Execute(name) | Effect::Fetch(name) | Effect::Savepoint(name) => name,
        Effect::Prepare { name, .. } | Effect::Deallocate(Some(name)) => name,
        effect => panic!("{effect:?}"),
    };
    let long = "é".repeat(40);
    for sql in ["execute NAME", "fetch NAME", "savepoint NAME", "prepare NAME as select 1", "deallocate NAME"] {
        assert_eq!(name(&sql.replace("NAME", &"Ab".repeat(40))), "ab".repeat(40)[..63], "{sql}");
        assert_eq!(name(&sql.replace("NAME", &format!("\"x{long}\""))), format!("x{}", "é".repeat(31)), "{sql}");
        assert_eq!(name(&sql.replace("NAME", &format!("\"{long}\""))), "é".repeat(31), "{sql}");
    }
}

#[test]
fn ranges_and_fingerprints() {
    let sql = " /* é */ select 1 ;;\n update t set a = 2; ";
    let statements = analyse(sql).statements;
    assert_eq!(
        statements.iter().map(|s| &sql[s.range.clone()]).collect::<Vec<_>>(),
        ["/* é */ select 1", "update t set a = 2"]
    );
    let fingerprint = |sql: &str| analyse(sql).statements[0].fingerprint.clone().unwrap();
    assert_eq!(fingerprint("select a from t where b = 1"), fingerprint("SELECT a FROM t WHERE b = 23"));
    assert_ne!(fingerprint("select a from t where b = 1"), fingerprint("select a from t where c = 1"));
}

#[test]
fn long_and_deep_texts_end_well() {
    let chain = |terms: usize, operator: &str| format!("select {} from t", vec!["a"; terms].join(operator));
    assert_eq!(analyse(&chain(500, " || ")).statements[0].opaque, None);
    assert_eq!(say(&chain(500, " || ")), "select t:select(a)+");
    assert_eq!(say(&format!("select {}a{} from t", "abs(".repeat(300), ")".repeat(300))), "select t:select(a)+ abs()");
    let unions = vec!["select a from t"; 500].join(" union all ");
    assert_eq!(say(&unions), "select t:select(a)+");
    for deep in [chain(200_000, "+"), chain(5000, "||"), format!("select {}1", "(".repeat(500_000))] {
        let statement = analyse(&deep).statements.remove(0);
        assert_eq!(statement.opaque.as_deref(), Some("nested deeper than 2000 levels"), "{}", &deep[..40]);
    }
    // The deepest that is let through by the estimate in each form has room on the stack.
    let limit = nesting::MAX - 10;
    for deep in [
        chain(limit, "+"),
        format!("select {}1{}", "(".repeat(limit), ")".repeat(limit)),
        format!("select {}1{}", "f(".repeat(limit / 2), ")".repeat(limit / 2)),
        format!("select {}1{}", "(select ".repeat(limit / 3), ")".repeat(limit / 3)),
        format!("select {} 1", "not ".repeat(limit)),
        format!("select 1{}", "::int".repeat(limit / 2)),
        vec!["select 1"; limit / 2].join(" union all "),
        format!("select * from {}", vec!["t"; limit / 2].join(" cross join ")),
        format!("select {} 1 {}", "case when true then ".repeat(limit / 3), "end ".repeat(limit / 3)),
    ] {
        assert!(!analyse(&deep).statements.is_empty(), "{}", &deep[..40]);
    }
    let rows = format!("insert into t values {}", vec!["(1, 'abc', -2.5)"; 20_000].join(", "));
    assert_eq!(say(&rows), "insert t:insert+");
    assert_eq!(say(&" ".repeat(5 * MAX_TEXT)), "");
    assert!(analyse("select '\0'").is_opaque());
}

/// Long comments, constants and lists of constants are left out before a statement is parsed; of one that is long
/// without them, the head is read.
#[test]
fn long_statements_tell_their_relations() {
    let all = |sql: &str| {
        let statement = analyse(sql).statements.remove(0);
        (say_statement(&statement), statement.opaque)
    };
    let update = ("update t:update(a) u:select".to_owned() + "(b)", None);
    let numbers = (0..300_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let rows = (0..100_000).map(|n| format!("({n}, 'a row''s {n}', null, -1.5)")).collect::<Vec<_>>().join(",\n");
    for (sql, expected) in [
        (format!("update t set a = 1 /* {} */ from u where u.b = 2", "x".repeat(1_100_000)), &update),
        (format!("update t set a = 1 from u where u.b in ({numbers})"), &update),
        (format!("update t set a = u.b from u, (values {rows}) v where v.x = u.b"), &update),
        (format!("update t set a = '{}' from u where u.b = 2", "x".repeat(2_000_000)), &update),
        (format!("insert into t (a) values {rows}"), &("insert t:insert(a)+".to_owned(), None)),
    ] {
        let (said, opaque) = all(&sql);
        assert_eq!((said.replace("(a)+ u", "(a) u"), &opaque), (expected.0.clone(), &expected.1), "{}", &sql[..60]);
    }
    let calls = vec!["now()"; 200_000].join(",");
    let (said, opaque) = all(&format!("update only s.t set a = 1 where b in ({calls})"));
    assert_eq!(said, "update s.t:update+ !");
    assert_eq!(opaque.unwrap(), format!("longer than {MAX_TEXT} bytes: only its head was read"));
    let path = format!("select set_config('search_path', '{}', false), {numbers}", "x".repeat(100_000));
    let statement = analyse(&path).statements.remove(0);
    assert_eq!((statement.settings.len(), statement.may_change_settings), (0, true));
    let long = format!("select set_config('search_path', '{}', false)", "x".repeat(100_000));
    let statement = analyse(&long).statements.remove(0);
    assert_eq!((statement.settings.len(), statement.effect, statement.may_change_settings), (0, Effect::None, true));
}

#[test]
fn what_is_not_readable_alone_leaves_the_rest_readable() {
    let analysis = analyse("update t set a = 1; update u sett b = 2; delete from v");
    assert!(!analysis.is_opaque());
    let said: Vec<String> = analysis.statements.iter().map(say_statement).collect();
    assert_eq!(said, ["update t:update(a)+", "update u:update+ !", "delete v:delete+"]);
    let head = analysis.statements[1].head.clone().unwrap();
    assert_eq!(head, (Operation::Update, Name { schema: None, name: "u".into() }));
    let function = "create function f() returns int begin atomic select 1; select 2; end; select 3";
    assert_eq!(say(function), "ddl; select");
}

#[test]
fn what_is_told_of_a_statement_is_bounded() {
    let numbered = |word: &str, count: usize| (0..count).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(",");
    let only = |sql: &str| analyse(sql).statements.remove(0);
    let statement = only(&format!("insert into t select 1 from {}", numbered("r", 63)));
    assert_eq!((statement.relations.len(), statement.opaque), (64, None));
    let many = (0..300).map(|n| format!("a operator(pg_catalog.{}) b", "@".repeat(n % 60 + 1))).collect::<Vec<_>>();
    let operators = only(&format!("select {}", many.join(",")));
    assert_eq!((operators.calls.len(), operators.opaque), (60, None));
    let casts = only(&format!("select {}", (0..300).map(|n| format!("a::k{n}")).collect::<Vec<_>>().join(",")));
    assert_eq!((casts.calls.len(), casts.opaque.is_some()), (256, true));
    let statement = only(&format!("with x as (select 1 from {}) delete from t using u", numbered("r", 100)));
    assert_eq!(say_statement(&statement)[..24], *"delete t:delete+ r0:sele");
    assert_eq!(statement.relations.len(), MAX_RELATIONS);
    assert_eq!(statement.opaque.as_deref(), Some("touches more than 64 relations"));
    let statement = only(&format!("select {} from t", numbered("c", 1601)));
    assert_eq!(statement.relations[0].columns.len(), MAX_COLUMNS);
    assert_eq!(statement.opaque.as_deref(), Some("names more than 1600 columns"));
    let calls = (0..65).map(|n| format!("f{n}()")).collect::<Vec<_>>().join(",");
    let statement = only(&format!("select {calls}"));
    assert_eq!(statement.functions.len(), 64);
    assert_eq!(statement.opaque.as_deref(), Some("calls more than 64 functions"));
    assert!(analyse(&"a;".repeat(MAX_STATEMENTS + 1)).is_opaque());
}

#[test]
fn operations_have_their_words() {
    for operation in Operation::ALL {
        assert_eq!(serde_json::to_value(operation).unwrap(), operation.as_str());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(sql in "[ -~]{0,60}") {
        analyse(&sql);
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(
        prop_oneof![
            Just("select"), Just("from"), Just("t"), Just("("), Just(")"), Just(","), Just("*"), Just("with"),
            Just("as"), Just("update"), Just("set"), Just("="), Just("1"), Just("insert into"), Just("values"),
            Just("delete"), Just("where"), Just("drop"), Just("rule"), Just("on"), Just("create"), Just("table"),
            Just("function"), Just("explain"), Just("analyze"), Just("prepare"), Just("execute"), Just(";"),
            Just("copy"), Just("to"), Just("stdin"), Just("'x'"), Just("case"), Just("when"), Just("end"), Just("join"),
        ], 0..14)) {
        analyse(&words.join(" "));
    }
}

#[test]
fn the_last_analyze_of_explain_counts() {
    let runs = |options: &str| {
        let sql = format!("EXPLAIN ({options}) UPDATE t SET a = 1");
        analyse(&sql).statements[0].relations.iter().any(|relation| relation.operation == Operation::Update)
    };
    assert!(runs("ANALYZE") && runs("ANALYZE off, ANALYZE on") && runs("analyze 1, costs off"));
    assert!(!runs("ANALYZE true, ANALYZE off") && !runs("ANALYZE off") && !runs("costs off"));
}

/// Known failures: texts that PostgreSQL 15 takes and the parser, which is PostgreSQL 18's, does not.
#[test]
fn what_only_the_server_can_read_does_not_vanish() {
    check(&[
        ("UPDATE t AS system_user SET a = 1", "update t:update+ !"),
        ("insert into s.t select 1 from (select 1) system_user", "insert s.t:insert+ !"),
        ("delete from only \"T\" system_user", "delete T:delete+ !"),
        ("copy t from stdin with (bogus (1 2))", "copy_in t:copy_in+ !"),
        ("COMMIT; SELECT 1/0 FROM (SELECT 1) system_user", "transaction; select !"),
    ]);
    assert_eq!(
        analyse("COMMIT; SELECT 1/0 FROM (SELECT 1) system_user").statements[0].effect,
        Effect::Commit { chain: false }
    );
}

/// The constants of a long text are cut, and nothing is told that depends on them.
#[test]
fn a_long_text_tells_no_constants() {
    let rows = (0..1500).map(|n| format!("({n}, f(1, 2))")).collect::<Vec<_>>().join(",");
    let statement = analyse(&format!("insert into t values {rows}")).statements.remove(0);
    assert_eq!((&statement.relations[0].rows, statement.calls[0].arguments), (&Rows::Any, None));
    let code = analyse(&format!("do $$ begin delete from t; {} end $$", "null;".repeat(5000))).statements.remove(0);
    assert_eq!((code.operation, code.body, code.opaque_without_catalog), (Operation::Do, None, false));
    assert!(code.opaque.is_some());
}

#[test]
fn what_a_statement_takes_is_counted() {
    let bytes = |sql: &str| analyse(sql).statements[0].bytes();
    let values = vec!["'xxxxxxxxxx'"; 100].join(",");
    assert!(bytes(&format!("insert into t values ({values})")) > bytes("insert into t values (1)") + 100 * 10);
    assert!(bytes("prepare p as delete from t") > bytes("delete from t"));
    assert!(bytes("do 'begin null; null; null; end'") > bytes("do ''"));
}
