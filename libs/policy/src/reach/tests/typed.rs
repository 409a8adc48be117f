//! Types behind variables, arguments, results and parameters: values become theirs without a cast that is written.

use super::*;

/// Domain `app.d`, whose check writes; a composite type, a table and a domain that hold it.
fn with_domain() -> Built {
    let mut built = Built::new();
    built.function("app.check_it", "sql", "delete from log.entries returning true", |function| {
        function.arguments = vec![23];
    });
    let domain = Type {
        schema: "app".into(),
        name: "d".into(),
        kind: TypeKind::Domain,
        base: 23,
        checks: vec!["CHECK (app.check_it(VALUE))".into()],
        ..Type::default()
    };
    let domain = built.add(Object::Type(domain));
    built.add(Object::Type(Type {
        kind: TypeKind::Composite,
        schema: "app".into(),
        name: "c".into(),
        ..Type::default()
    }));
    let columns = || vec![Column { name: "n".into(), kind: domain }];
    built.table("app.c", RelationKind::Composite, |composite| composite.columns = columns());
    built.table("app.rows", RelationKind::Table, |table| table.columns = columns());
    built
}

const RUNS: &str = "log.entries:delete/function?";

/// Known failures: domains of variables, in DO.
#[test]
fn the_types_of_variables_run_their_constraints() {
    let built = with_domain();
    for (declared, runs) in [
        ("v app.d := 5", true),
        ("v app.d", true),
        ("v constant app.d default 5", true),
        ("v app.d[]", true),
        ("v app.c", true),
        ("v app.rows%rowtype", true),
        ("v app.rows.n%type", true),
        ("c cursor (a app.d) for select a", true),
        ("v int := 5; w text; x timestamp with time zone; y record; z numeric(3, 1)[]; r pg_class%rowtype", false),
        ("v public.t%rowtype; w t.id%type; x v%type", false),
    ] {
        let sql = format!("do $$ declare {declared}; begin null; end $$");
        assert_eq!(built.say(&sql), if runs { RUNS } else { "" }, "{sql}");
    }
    let field = "do $$ declare r record; begin select * from app.rows into r; r.n := 5; end $$";
    assert!(built.say(field).ends_with(RUNS), "{}", built.say(field));
    assert_eq!(built.say(&field.replace("r.n :=", "x :=")), "app.rows:select/function");
    assert!(built.say("do $$ declare v app.gone; begin null; end $$").contains('*'));
}

/// Known failures: domains of arguments and results, of functions in whichever language.
#[test]
fn the_types_of_arguments_and_results_run_their_constraints() {
    let mut built = with_domain();
    let signatures = [
        ("a app.d", "integer", true),
        ("a integer", "app.d", true),
        ("a integer, OUT b app.d", "app.d", true),
        ("INOUT a app.c", "app.c", true),
        ("a integer", "TABLE(x integer, y app.d)", true),
        ("a integer", "SETOF app.rows", true),
        ("VARIADIC a app.d[]", "void", true),
        ("a integer DEFAULT 1, b public.t DEFAULT NULL::public.t", "SETOF record", false),
        ("a anyelement, VARIADIC b \"any\"", "anyarray", false),
        ("", "trigger", false),
    ];
    for (number, (signature, result, runs)) in signatures.into_iter().enumerate() {
        for (language, source) in [("sql", "select 1"), ("plpgsql", "begin null; end")] {
            let name = format!("{language}{number}");
            built.function(&format!("public.{name}"), language, source, |function| {
                (function.signature, function.result) = (signature.into(), result.into());
            });
            assert_eq!(built.say(&format!("select {name}()")), if runs { RUNS } else { "" }, "{signature} {result}");
        }
    }
    built.function("public.p", "plpgsql", "begin null; end", |function| {
        (function.kind, function.signature) = (FunctionKind::Procedure, "INOUT a app.d".into());
    });
    assert_eq!(built.say("call p()"), RUNS);
    let aggregate = built.function("public.g", "internal", "aggregate_dummy", |function| {
        function.kind = FunctionKind::Aggregate;
        (function.signature, function.result) = ("double precision ORDER BY double precision".into(), "integer".into());
    });
    assert_ne!(aggregate, 0);
    assert_eq!(built.say("select g()"), "");
    let f = built.function("public.tr", "plpgsql", "declare v app.d := 1; begin return new; end", |function| {
        function.result = "trigger".into();
    });
    built.trigger("public.t", 1 | 4, f);
    assert_eq!(built.say("insert into t values (1)"), "public.t:insert/direct log.entries:delete/function?");
}

/// Known failure: `prepare q(d) as select $1`.
#[test]
fn the_types_of_parameters_run_their_constraints() {
    let built = with_domain();
    let Effect::Prepare { statement, .. } = analyse("prepare q(app.d, int) as select $1").statements.remove(0).effect
    else {
        panic!();
    };
    let resolve = OnPath::new(&built.catalog, Some(vec!["public".to_owned()]), Some("job"));
    let reached = reach(&statement, &built.catalog, &resolve, &resolve, &mut Memo::default());
    let names: Vec<_> = reached.touched.into_iter().filter_map(|touched| touched.relation).collect();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["log.entries"]);
}

/// What is assigned is cast by what runs without being written alone.
#[test]
fn only_implicit_casts_run_for_results() {
    let mut built = with_domain();
    built.add(Object::Type(Type { schema: "app".into(), name: "e".into(), ..Type::default() }));
    let e = built.next;
    let casts = built.function("app.casts", "sql", "delete from sp1.t returning null::app.e", |_| {});
    built.function("public.f", "sql", "select 1", |function| function.result = "app.e".into());
    for (implicit, expected) in [(false, ""), (true, "sp1.t:delete/function?")] {
        let cast = Cast { source: 23, target: e, function: casts, implicit };
        built.catalog.insert(1, Object::Cast(cast));
        assert_eq!(built.say("select f()"), expected);
        assert_eq!(built.say("select 1::app.e"), "sp1.t:delete/function?");
    }
}
