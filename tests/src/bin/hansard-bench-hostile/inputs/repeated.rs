//! Short statements, very many of them, in ways that make a record keep something for each.

use hansard_tests::wire::{bind, execute, extended, parse, query, sync};

use super::{Input, numbered};

pub(super) fn inputs() -> Vec<Input> {
    let relations = (0..200).map(|n| format!("public.t{n}")).collect::<Vec<_>>().join(" UNION ALL SELECT n FROM ");
    let columns = (0..1_500).map(|n| format!("c{n} = 0")).collect::<Vec<_>>().join(",");
    let large = format!("SELECT 1 /* {} */", "x".repeat(900_000));
    let insert = "INSERT INTO public.lines VALUES (1)";
    let of_long_texts = move |n: usize| {
        [parse(format!("p{n}"), &*format!("SELECT {n} /* {} */", "x".repeat(100_000)), &[]), sync()].concat()
    };
    let parameters = |n: usize| {
        let values: Vec<_> =
            (0..1_000).map(|m| hansard_tests::wire::Bound::Text((n + m).to_string().into_bytes())).collect();
        let marks = (1..=1_000).map(|n| format!("${n}::int")).collect::<Vec<_>>().join(",");
        [parse("", format!("SELECT 1 WHERE 1 IN ({marks})"), &[]), bind("", "", &values), execute("", 0), sync()]
            .concat()
    };
    let mut inputs = executed_again();
    inputs.extend([
        Input::new("Binds to a text of 900 kB", 60_000, |_| [bind("", "p", &[]), execute("", 0), sync()].concat())
            .opened_by(&[parse("p", large, &[]), sync()]),
        Input::new("EXECUTE of a text of 1,500 columns", 20_000, |_| query("EXECUTE p"))
            .opened_by(&[query(format!("PREPARE p AS UPDATE public.wide SET {columns} WHERE false"))]),
        Input::new("EXECUTE of 200 relations, one transaction", 40_000, |_| query("EXECUTE p"))
            .opened_by(&[query("BEGIN"), query(format!("PREPARE p AS SELECT n FROM {relations}"))])
            .closed_by(&[query("COMMIT")]),
        Input::new("190,000 statements, one transaction", 190_000, move |_| query(insert)).in_a_transaction(),
        Input::new("190,000 statements, one transaction, extended", 190_000, |_| {
            [bind("", "p", &[]), execute("", 0)].concat()
        })
        .opened_by(&[query("BEGIN"), parse("p", insert, &[]), sync()])
        .closed_by(&[sync(), query("COMMIT")]),
        Input::new("texts that fail, extended", 100_000, |_| [parse("", "x", &[]), sync()].concat()),
        Input::new("texts that fail, each another", 100_000, |n| query(format!("x{n}"))),
        Input::new("errors", 100_000, |_| query("SELECT 1/0")),
        Input::new("texts, each another", 100_000, |n| query(format!("SELECT {n} AS a{n}"))),
        Input::new("an aborted transaction", 100_000, |_| query("SELECT 1"))
            .opened_by(&[query("BEGIN"), query("SELECT 1/0")])
            .closed_by(&[query("ROLLBACK")]),
        Input::new("savepoints, each rolled back to", 40_000, |_| {
            query(format!("SAVEPOINT s; {}; ROLLBACK TO s", "INSERT INTO public.lines VALUES (1)"))
        })
        .in_a_transaction(),
        Input::new("savepoints in savepoints", 30_000, |n| query(format!("SAVEPOINT s{n}")))
            .opened_by(&[query("BEGIN")])
            .closed_by(&[query("ROLLBACK TO s0"), query("COMMIT")]),
        Input::new("one savepoint's name again", 30_000, |_| query("SAVEPOINT s"))
            .opened_by(&[query("BEGIN")])
            .closed_by(&[query("ROLLBACK")]),
        Input::new("transactions of one statement", 60_000, |_| query("BEGIN; SELECT 1; COMMIT")),
        Input::new("prepared texts", 100_000, |n| [parse(format!("p{n}"), "SELECT 1", &[]), sync()].concat()),
        Input::new("prepared texts of 100 kB", 400, of_long_texts),
        Input::new("PREPARE and DEALLOCATE", 60_000, |_| query("PREPARE p AS SELECT 1; DEALLOCATE p")),
        Input::new("PREPARE of 200 names, EXECUTE of each", 60_000, |n| query(format!("EXECUTE p{}", n % 200)))
            .opened_by(&(0..200).map(|n| query(format!("PREPARE p{n} AS SELECT {n}"))).collect::<Vec<_>>()),
        Input::new("portals", 60_000, |n| [bind(format!("c{n}"), "p", &[]), execute(format!("c{n}"), 1)].concat())
            .opened_by(&[query("BEGIN"), parse("p", "SELECT generate_series(1, 3)", &[]), sync()])
            .closed_by(&[sync(), query("COMMIT")]),
        Input::new("cursors", 20_000, |n| query(format!("DECLARE c{n} CURSOR FOR SELECT 1; FETCH c{n}")))
            .in_a_transaction(),
        Input::new("settings", 60_000, |n| query(format!("SET application_name = 'a{n}'"))),
        Input::new("search paths", 60_000, |n| query(format!("SET search_path = a{n}, public; SELECT FROM t0"))),
        Input::new("schemas of 10 KB in the search path", 10_000, |_| query("SELECT FROM t0 LIMIT 0"))
            .opened_by(&[query(format!("SET search_path = public,{}", numbered("a", 1_500)))]),
        Input::new("notices", 60, |_| query("DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE 'x'; END LOOP; END $$")),
        Input::new("notifications", 20_000, |n| query(format!("NOTIFY here, '{n}'")))
            .opened_by(&[query("LISTEN here")]),
        Input::new("1,000 parameters", 400, parameters),
        Input::new("extended, each another", 60_000, |n| [extended(format!("SELECT {n}")), sync()].concat()),
    ]);
    inputs
}

/// One text, prepared once and run again and again.
fn again(name: &'static str, times: usize, sql: impl Into<String>) -> Input {
    Input::new(name, times, |_| [bind("", "p", &[]), execute("", 0), sync()].concat())
        .opened_by(&[parse("p", sql.into(), &[]), sync()])
}

/// What costs as much as its text should not cost it each time.
fn executed_again() -> Vec<Input> {
    let columns = (0..1_500).map(|n| format!("c{n} = 0")).collect::<Vec<_>>().join(",");
    let relations = (0..64).map(|n| format!("public.t{n}")).collect::<Vec<_>>().join(" UNION ALL SELECT n FROM ");
    let calls = (0..64).map(|n| format!("lower(upper('{n}'))")).collect::<Vec<_>>().join(",");
    let few = (0..200).map(|n| format!("c{n} = 0")).collect::<Vec<_>>().join(",");
    let long = "n".repeat(900_000);
    let names =
        |n: usize| [parse(format!("s{n}"), "SELECT 1", &[]), bind(format!("c{n}"), format!("s{n}"), &[])].concat();
    vec![
        again("again: 1,500 columns", 10_000, format!("UPDATE public.wide SET {columns} WHERE false")),
        again("again: 64 relations", 10_000, format!("SELECT n FROM {relations}")),
        again("again: 128 calls", 40_000, format!("SELECT {calls}")),
        again("again: a text of 900 kB that fails", 10_000, format!("SELECT 1/0 /* {long} */")),
        again("again: a setting of 900 kB", 5_000, format!("SET a.b = '{long}'")),
        again("again: 1,500 schemas", 5_000, format!("SET search_path = public,{}", numbered("a", 1_500))),
        again("again: a name of 900 kB", 40_000, format!("UPDATE public.\"{long}\" SET a = 0")),
        again("again: a notice of 64 bytes", 40_000, "DO $$ BEGIN RAISE NOTICE 'x'; END $$"),
        Input::new("again: PREPARE of 200 columns", 10_000, |_| {
            [bind("", "p", &[]), execute("", 0), sync(), query("DEALLOCATE q")].concat()
        })
        .opened_by(&[parse("p", format!("PREPARE q AS UPDATE public.wide SET {few} WHERE false"), &[]), sync()]),
        Input::new("DO, with 20,000 names", 20_000, |_| query("DO $$BEGIN END$$"))
            .opened_by(&[query("BEGIN"), (0..20_000).flat_map(names).collect(), sync()])
            .closed_by(&[query("COMMIT")]),
        Input::new("ROLLBACK TO, with 20,000 names", 10_000, |_| query("ROLLBACK TO s"))
            .opened_by(&[query("BEGIN"), (0..20_000).flat_map(names).collect(), sync(), query("SAVEPOINT s")])
            .closed_by(&[query("COMMIT")]),
        Input::new("portals, each of another text of 100 kB", 160, |n| {
            let sql = format!("SELECT {n} /* {} */", "x".repeat(100_000));
            [parse("", sql, &[]), bind(format!("c{n}"), "", &[])].concat()
        })
        .opened_by(&[query("BEGIN")])
        .closed_by(&[sync(), query("COMMIT")]),
        Input::new("cursors, each of another text of 100 kB", 160, |n| {
            query(format!("DECLARE c{n} CURSOR FOR SELECT {n} /* {} */", "x".repeat(100_000)))
        })
        .in_a_transaction(),
    ]
}
