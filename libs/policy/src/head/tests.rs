//! Heads beside what the parser finds in the whole.

use super::*;

fn say(sql: &str) -> String {
    let statement = statement(sql, Dialect::default(), "too long");
    assert_eq!(statement.opaque.as_deref(), Some("too long"));
    let show = |name: &Name, operation: Operation| match &name.schema {
        Some(schema) => format!(" {schema}.{}:{operation}", name.name),
        None => format!(" {}:{operation}", name.name),
    };
    let mut said = statement.operation.to_string();
    statement.relations.iter().for_each(|relation| said += &show(&relation.name, relation.operation));
    if let Some((operation, name)) = &statement.head {
        said += &format!(" ?{}", show(name, *operation));
    }
    said
}

#[test]
fn heads_tell_the_target() {
    for (sql, expected) in [
        ("update t set a = 1", "update t:update"),
        ("UPDATE ONLY S.\"T \"\"x\" * as u set a = 1", "update s.T \"x:update"),
        ("update only (d.s.t) set a = 1", "update s.t:update"),
        ("update U&\"\\0074\\+000065\" set a = 1", "update te:update"),
        ("update U&\"!0074\" uescape '!' set a = 1", "update t:update"),
        ("/* c */ delete -- d\n from t using u", "delete t:delete"),
        ("insert into t select 1 from u", "insert t:insert"),
        ("insert into t (a) values (1) on conflict (a) do update set b = 1", "insert t:insert t:update"),
        ("insert into t values ('do update', (do update))", "insert t:insert"),
        ("truncate table a, only s.b cascade", "truncate a:truncate s.b:truncate"),
        ("copy t (a, b) from stdin", "copy_in t:copy_in"),
        ("copy t to '/x'", "copy_out t:copy_out"),
        ("select a from t", "select"),
        ("values (1)", "select"),
        ("do $$ begin end $$", "do"),
        ("call p()", "call"),
        ("execute p(1)", "execute"),
        ("prepare p (int) as update t set a = 1", "prepare"),
        ("declare c cursor for select 1", "declare"),
    ] {
        assert_eq!(say(sql), expected, "{sql}");
    }
    let long = format!("update \"x{}\" set a = 1", "é".repeat(40));
    assert_eq!(say(&long), format!("update x{0}:update", "é".repeat(31)));
    assert!(statement("copy t from stdin", Dialect::default(), "").copies_from_client);
    assert!(!statement("copy t from '/x'", Dialect::default(), "").copies_from_client);
}

#[test]
fn what_is_not_certain_is_a_hint() {
    for (sql, expected) in [
        ("with d as (delete from s.t returning *) select 1", "opaque ? s.t:delete"),
        ("with d as (select 1) update t set a = 1", "opaque ? t:update"),
        ("explain analyze delete from t", "opaque ? t:delete"),
        ("explain (analyze) delete from t", "opaque ? t:delete"),
        ("merge into t using u on true when matched then delete", "opaque ? t:merge"),
        ("create temp table if not exists t (a int)", "opaque ? t:ddl"),
        ("create table t as select 1", "opaque ? t:ddl"),
        ("copy (delete from t returning *) to stdout", "opaque ? t:delete"),
        ("select 1 into t", "opaque"),
        ("(select 1) for update", "opaque"),
        ("update 'x'", "opaque"),
        ("update U&\"\\00\" set a = 1", "opaque"),
        ("", "opaque"),
        ("nonsense", "opaque"),
    ] {
        assert_eq!(say(sql), expected, "{sql}");
    }
}

#[test]
fn a_long_prepare_tells_its_name() {
    let prepared = |sql: &str| match statement(sql, Dialect::default(), "too long").effect {
        Effect::Prepare { name, statement } => (name, *statement),
        effect => panic!("{effect:?}"),
    };
    let (name, inner) = prepared("prepare P (int, numeric(10, 2)) as update t set a = 1");
    assert_eq!((name.as_str(), inner.operation, inner.relations.len()), ("p", Operation::Update, 1));
    let (_, inner) = prepared("prepare p as with d as (delete from t) select 1");
    assert_eq!(
        (inner.operation, inner.head.map(|(operation, _)| operation)),
        (Operation::Opaque, Some(Operation::Delete))
    );
    assert_eq!(inner.opaque.as_deref(), Some("too long"));
}

/// Whatever the head tells as certain is what the parser finds in the whole; and plain changes are certain.
#[test]
fn the_parser_agrees() {
    let names = ["t", "T1", "s.t", "\"T t\"", "D.s.\"t.\"", "U&\"\\0074x\"", "\"a\"\"b\"", "n\u{e9}\u{20ac}"];
    let long = [format!("\"{}\"", "\u{20ac}".repeat(22)), "x".repeat(70), format!("{}.t", "S".repeat(70))];
    let withs = ["", "/* c */ ", "with d as (delete from w returning *) ", "with d as (select 1) "];
    let verbs = [
        "update N set a = 1",
        "update only N as u set a = 1",
        "update N * set a = 1",
        "delete from N",
        "delete from only (N) using u",
        "insert into N values (1)",
        "insert into N (a) select 1",
        "insert into N as x default values on conflict do nothing",
        "insert into N (a) values (1) on conflict (a) do update set b = 1",
        "merge into N using u on true when matched then delete",
        "merge into N using u on true when not matched then insert default values",
        "truncate N, only z restart identity cascade",
        "truncate table N",
        "copy N from stdin",
        "copy N (a, b) from '/x'",
        "copy N to stdout",
        "copy (select 1 from N) to stdout",
        "copy (delete from N returning *) to stdout",
        "select a from N",
        "select a into N",
        "select a into temp N from u",
        "values (1)",
        "table N",
        "create table N as select 1",
        "create view N as select 1",
        "prepare P (int) as update N set a = $1",
        "prepare p as insert into N values (1) on conflict (a) do update set b = 1",
        "execute \"P\" (1)",
        "declare C cursor for select 1 from N",
        "explain analyze update N set a = 1",
        "call N()",
        "do 'N'",
    ];
    let tails = ["", " where b in (select c from u)", " returning *", " for update", " -- c"];
    let mut seen = 0;
    for (name, with, verb, tail) in names
        .into_iter()
        .chain(long.iter().map(String::as_str))
        .flat_map(|name| withs.map(|with| (name, with)))
        .flat_map(|(name, with)| verbs.map(|verb| (name, with, verb)))
        .flat_map(|(name, with, verb)| tails.map(|tail| (name, with, verb, tail)))
    {
        let sql = format!("{with}{}{tail}", verb.replace('N', name));
        let whole = crate::analyse(&sql).statements.remove(0);
        if whole.operation == Operation::Opaque {
            continue;
        }
        seen += 1;
        agree(&statement(&sql, Dialect::default(), "too long"), &whole, with.ends_with(") "), &sql);
    }
    assert!(seen > 1000, "{seen}");
}

fn agree(head: &Statement, whole: &Statement, with: bool, sql: &str) {
    let relations = |statement: &Statement, reads: bool| {
        let kept = statement.relations.iter().filter(|relation| relations::reads(relation.operation) == reads);
        kept.map(|relation| (relation.name.clone(), relation.operation)).collect::<Vec<_>>()
    };
    if head.operation == Operation::Opaque {
        let plain = matches!(
            whole.operation,
            Operation::Update | Operation::Delete | Operation::Insert | Operation::Truncate | Operation::CopyIn
        );
        assert!(with || !plain, "not told of {sql}");
        let Some((operation, name)) = &head.head else { return };
        let same = |relation: &Relation| {
            relation.name == *name && (relation.operation == *operation || *operation == Operation::Merge)
        };
        let prepared = matches!(whole.operation, Operation::Prepare);
        assert!(prepared || whole.relations.iter().any(same), "a hint at {operation} {name:?} for {sql}");
        return;
    }
    assert_eq!(head.operation, whole.operation, "{sql}");
    assert_eq!(relations(head, false), relations(whole, false), "{sql}");
    assert!(relations(head, true).iter().all(|read| relations(whole, true).contains(read)), "{sql}");
    assert_eq!(head.may_end_transaction, whole.may_end_transaction, "{sql}");
    assert_eq!(head.copies_from_client, whole.copies_from_client, "{sql}");
    match (&head.effect, &whole.effect) {
        (Effect::Prepare { name, statement }, Effect::Prepare { name: other, statement: inner }) => {
            assert_eq!(name, other, "{sql}");
            agree(statement, inner, false, sql);
        }
        (effect, other) => assert_eq!(effect, other, "{sql}"),
    }
}
