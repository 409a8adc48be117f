//! What is followed comes to an end.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_told_is_bounded() {
    let mut built = Built::new();
    for n in 0..200 {
        built.function(
            &format!("public.f{n}"),
            "plpgsql",
            &format!("begin perform f{}(); delete from t; end", n + 1),
            |_| {},
        );
        built.table(&format!("public.w{n}"), RelationKind::Table, |_| {});
    }
    built.function("public.f200", "sql", "delete from u", |_| {});
    let deep = built.reached("select f0()");
    assert_eq!(deep.touched.last().unwrap().relation, None);
    assert!(deep.touched.len() < 10 && deep.may_change_settings);
    let body: String = (0..200).map(|n| format!("delete from w{n}; update w{n} set v = 1;")).collect();
    let wide = built.reached(&format!("do $$ begin {body} end $$"));
    assert_eq!(wide.touched.len(), MAX_TOUCHED + 1);
    assert_eq!(wide.touched.last().unwrap().reason.as_deref(), Some("it touches more relations than are told"));
}

/// However much is behind the first of them.
#[test]
fn what_a_statement_names_is_told_in_any_case() {
    let mut built = Built::new();
    let body: String = (0..300).map(|n| format!("delete from public.w{n};")).collect();
    let f = built.function("public.f", "sql", &body, |_| {});
    built.trigger("public.t", 4 | 8 | 16, f);
    let reached = built.reached("with x as (delete from t returning *) insert into u select * from x");
    let direct: Vec<_> = reached.touched.iter().filter(|touched| touched.via == Via::Direct).collect();
    assert_eq!(direct.len(), 2);
    assert!(direct.iter().all(|touched| touched.certain));
    assert_eq!(reached.touched.last().unwrap().relation, None);
}

/// Objects that refer to one another at random: views of views, functions that call one another, keys and parents in circles.
fn tangled(links: Vec<(u8, u8, u8)>) -> Built {
    let mut built = Built::new();
    for n in 0..6 {
        built.table(&format!("public.x{n}"), RelationKind::Table, |_| {});
    }
    for (kind, from, to) in links {
        let (from, to) = (from % 6, to % 6);
        let (one, other) = (format!("public.x{from}"), format!("public.x{to}"));
        match kind {
            0 => built.key(&one, &other, Action::Cascade, Action::Cascade),
            1 => {
                let oid = built.oid(&one);
                let parent = built.oid(&other);
                let Object::Relation(mut relation) =
                    (**built.catalog.object(crate::catalog::Kind::Relation, oid).unwrap()).clone()
                else {
                    continue;
                };
                relation.parents.push(parent);
                built.catalog.insert(oid, Object::Relation(relation));
            }
            2 => {
                let oid = built.oid(&one);
                let view = Relation {
                    schema: "public".into(),
                    name: format!("x{from}").into(),
                    kind: RelationKind::View,
                    updatable: 28,
                    view: Some(format!("SELECT f{to}() FROM {other}").into()),
                    ..Relation::default()
                };
                built.catalog.insert(oid, Object::Relation(Box::new(view)));
            }
            3 => {
                _ = built.function(
                    &format!("public.f{from}"),
                    "plpgsql",
                    &format!("begin perform f{to}(); delete from x{to}; end"),
                    |_| {},
                )
            }
            4 => {
                let f = built.function(
                    &format!("public.t{from}"),
                    "plpgsql",
                    &format!("begin update x{to} set v = f{from}(); end"),
                    |_| {},
                );
                built.trigger(&one, 1 | 4 | 8 | 16, f);
            }
            _ => built.rule(&one, &format!("CREATE RULE r AS ON UPDATE TO {one} DO DELETE FROM {other}")),
        }
    }
    built
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Circles come to an end, and what the statement names is always told.
    #[test]
    fn circles_end(links in proptest::collection::vec((0..6u8, 0..6u8, 0..6u8), 0..30)) {
        let built = tangled(links);
        for sql in ["update x0 set v = 1", "delete from x1", "truncate x2 cascade", "select f3() from x3", "drop table x4 cascade"] {
            let reached = built.reached(sql);
            prop_assert!(reached.touched.len() <= MAX_TOUCHED + 1);
            prop_assert!(reached.touched.iter().any(|touched| touched.via == Via::Direct), "{}", sql);
            prop_assert!(reached.touched.iter().all(|touched| touched.certain == touched.reason.is_none()));
        }
    }
}
