//! Sessions in databases whose catalogs are told.

use hansard_policy::catalog::{Catalog, Object, Relation, RelationKind, Role, Schema, Trigger};
use hansard_schemas::events::{CatalogChange, CatalogChanging, CatalogMissing, CatalogRead};

use super::*;

mod hidden;

const PROCESS: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00ff);

fn relation(schema: &str, name: &str, kind: RelationKind) -> Relation {
    Relation { schema: schema.into(), name: name.into(), kind, ..Relation::default() }
}

/// `public.t`, `app.t`, the view `public.v` of `public.t`, `public.logged` with a trigger of which nothing is known.
fn catalog() -> Catalog {
    let schema = |name: &str| Object::Schema(Schema { name: name.into(), owner: 10, usage: vec![0] });
    let mut view = relation("public", "v", RelationKind::View);
    (view.view, view.updatable) = (Some("SELECT t.id FROM public.t".into()), 28);
    let trigger = Trigger { relation: 23, name: "tr".into(), function: 20_099, bits: 1 | 16, ..Trigger::default() };
    Catalog::of([
        (1, schema("public")),
        (2, schema("app")),
        (10, Object::Role(Role { name: "app".into(), ..Role::default() })),
        (20, Object::Relation(Box::new(relation("public", "t", RelationKind::Table)))),
        (21, Object::Relation(Box::new(relation("app", "t", RelationKind::Table)))),
        (22, Object::Relation(Box::new(view))),
        (23, Object::Relation(Box::new(relation("public", "logged", RelationKind::Table)))),
        (30, Object::Trigger(trigger)),
    ])
}

fn changes(catalog: &Catalog) -> Vec<CatalogChange> {
    let change = |(kind, oid, object): (hansard_policy::catalog::Kind, u32, &std::sync::Arc<Object>)| CatalogChange {
        kind: kind.as_str().into(),
        oid,
        removed: false,
        definition: serde_json::to_string(&**object).unwrap(),
    };
    catalog.objects().map(change).collect()
}

fn read(version: u64, at: u64, changes: Vec<CatalogChange>) -> CatalogRead {
    let mut read = CatalogRead {
        node: "n".into(),
        instance: "i".into(),
        target: "ranking".into(),
        database: "ranking".into(),
        version,
        base_version: version - 1,
        begun_at: at,
        read_at: at,
        complete: true,
        part: 1,
        last: true,
        ..CatalogRead::default()
    };
    read.pack(changes, 1).unwrap();
    read
}

/// The first announcement, of that session.
fn changing(session: Uuid, names: &[&str]) -> Kind {
    Kind::CatalogChanging(CatalogChanging {
        node: "n".into(),
        instance: "i".into(),
        target: "ranking".into(),
        database: "ranking".into(),
        number: 1,
        session_id: session.as_bytes().to_vec(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..CatalogChanging::default()
    })
}

fn process(kind: Kind) -> Block {
    block(PROCESS, "", vec![event(50, 1, kind)])
}

/// The session's events in blocks of their own, each behind what a process tells before the frame of that number.
fn told_among(frames: &[(Direction, Vec<u8>)], mut told_before: Vec<(u64, Kind)>) -> Rows {
    let mut events = session(frames);
    let Some(Kind::Authenticated(authenticated)) = &mut events[1].kind else { panic!() };
    (authenticated.search_path_setting, authenticated.role) = (Some("public".into()), "app".into());
    authenticated.session_role = "app".into();
    authenticated.session_replication_role = "origin".into();
    let mut rows = Rows::default();
    let mut projector = Projector::default();
    let mut saved = std::collections::BTreeMap::new();
    for event in events {
        let seq = match &event.kind {
            Some(Kind::Frames(run)) => run.first_seq,
            _ => 0,
        };
        let (now, later) = told_before.into_iter().partition(|(before, _)| *before <= seq);
        told_before = later;
        let now: Vec<(u64, Kind)> = now;
        now.into_iter().for_each(|(_, kind)| projector.apply(&process(kind), &mut rows));
        projector.apply(&block(SESSION, "ranking", vec![event]), &mut rows);
        // What is saved goes on in the same way.
        let changes = projector.take_changes();
        saved.extend(changes.sessions.into_iter().map(|state| (state.session_id, state)));
        changes.ended.iter().for_each(|gone| _ = saved.remove(gone));
        projector = restored(&saved.values().cloned().collect::<Vec<_>>());
    }
    rows
}

fn whole() -> Kind {
    Kind::CatalogRead(read(1, 90, changes(&catalog())))
}

#[test]
fn what_hides_behind_a_name_is_told() {
    let frames = [
        simple("update v set id = 1", &["UPDATE 2"]),
        simple("set search_path = decoy, app, public; update t set id = 1", &["SET", "UPDATE 3"]),
        simple("update \"A.b\" set id = 1", &["UPDATE 1"]),
        simple("update logged set id = 1", &["UPDATE 1"]),
        simple("update t set id = 1", &["UPDATE 1"]),
    ]
    .concat();
    let rows = told_among(&frames, vec![(0, whole())]);
    assert_eq!(
        told(&rows),
        [
            "1 update committed, public.v update 2, public.t update 2",
            "2 set committed",
            "3 update committed, app.t update 3",
            "4 update committed, ?.\"A.b\" update - possibly",
            "5 update committed, public.logged update 1, ? opaque - possibly",
            // The trigger's code may have set the search path.
            "6 update committed, ?.t update - possibly, app.t update - possibly, public.t update - possibly, ? opaque - possibly",
        ]
    );
    let via: Vec<&str> = rows.touches.iter().map(|touch| touch.via).collect();
    assert_eq!(
        via,
        ["direct", "view", "direct", "direct", "direct", "trigger", "direct", "direct", "direct", "trigger"]
    );
}

#[test]
fn a_catalog_in_parts_holds_when_all_have_come_and_changes_with_the_next_version() {
    let all = changes(&catalog());
    let (first, second) = all.split_at(4);
    let part = |part, last, changes: &[CatalogChange]| {
        let mut read = read(1, 90, changes.to_vec());
        (read.part, read.last) = (part, last);
        Kind::CatalogRead(read)
    };
    let gone = CatalogChange { kind: "relation".into(), oid: 21, removed: true, ..CatalogChange::default() };
    let frames = [
        simple("set search_path = app, public", &["SET"]),
        simple("update t set id = 1", &["UPDATE 1"]),
        simple("update t set id = 2", &["UPDATE 1"]),
        simple("update t set id = 3", &["UPDATE 1"]),
    ]
    .concat();
    let before = |statement: u64| 2 + statement * 3;
    let later = Kind::CatalogRead(read(2, 95, vec![gone]));
    let told_before = vec![(0, part(1, false, first)), (before(2), part(2, true, second)), (before(3), later)];
    let lines = told(&told_among(&frames, told_before));
    assert_eq!(lines[1], "2 update committed, ?.t update - possibly, ? opaque - possibly", "not all of it has come");
    assert_eq!(lines[2], "3 update committed, app.t update 1");
    assert_eq!(lines[3], "4 update committed, public.t update 1");
}

#[test]
fn what_another_session_is_changing_is_not_certain_until_it_is_read() {
    let changing = |session| changing(session, &["t"]);
    let frames = [
        simple("update t set id = 1", &["UPDATE 1"]),
        simple("update t set id = 2", &["UPDATE 1"]),
        simple("update t set id = 3", &["UPDATE 1"]),
    ]
    .concat();
    let mut settled = read(2, 95, Vec::new());
    settled.announced = 1;
    let events = |session| vec![(0, whole()), (5, changing(session)), (8, Kind::CatalogRead(settled.clone()))];
    let in_between = ", ? opaque - possibly";
    let others = told(&told_among(&frames, events(PROCESS)));
    assert_eq!(others[0], "1 update committed, public.t update 1");
    assert!(
        others[1].starts_with(
            "2 update committed, ?.t update - possibly, app.t update - possibly, public.t update - possibly"
        )
    );
    assert_eq!(others[2], "3 update committed, public.t update 1");
    let by_view = simple("update v set id = 1", &["UPDATE 1"]);
    let by_view = told(&told_among(&by_view, vec![(0, whole()), (2, changing(PROCESS))]));
    assert_eq!(
        by_view,
        ["1 update committed, public.v update 1, public.t update - possibly, ? opaque - possibly"],
        "the view may be another one by now"
    );
    let own = told(&told_among(&frames, events(SESSION)));
    assert_eq!(own[1], format!("2 update committed, public.t update 1{in_between}"), "what it did itself is known");
}

#[test]
fn what_could_not_be_read_for_a_while_goes_on_from_what_was_known() {
    let mut trouble = read(2, 92, Vec::new());
    trouble.complete = false;
    trouble.missing = vec![CatalogMissing { kind: String::new(), reason: "no right to read".into() }];
    let frames = [
        simple("update t set id = 1", &["UPDATE 1"]),
        simple("update t set id = 2", &["UPDATE 1"]),
        simple("update t set id = 3", &["UPDATE 1"]),
    ]
    .concat();
    let again = Kind::CatalogRead(read(3, 95, Vec::new()));
    let told_before = vec![(0, whole()), (0, whole()), (5, Kind::CatalogRead(trouble)), (8, again)];
    let lines = told(&told_among(&frames, told_before));
    assert_eq!(lines[0], "1 update committed, public.t update 1");
    assert!(lines[1].contains("? opaque - possibly"), "{}", lines[1]);
    assert_eq!(lines[2], "3 update committed, public.t update 1");
}

#[test]
fn a_proxy_that_starts_anew_tells_anew() {
    let started =
        Kind::ProxyStarted(ProxyStarted { node: "n".into(), instance: "j".into(), ..ProxyStarted::default() });
    let mut rows = Rows::default();
    let mut projector = Projector::default();
    projector.apply(&process(whole()), &mut rows);
    let saved = projector.take_changes().sessions;
    assert_eq!(saved.iter().map(|state| state.session_id).collect::<Vec<_>>(), [PROCESS]);
    let mut projector = restored(&saved);
    projector.apply(&block(Uuid::from_u128(5), "", vec![event(60, 1, started)]), &mut rows);
    assert_eq!(projector.take_changes().ended, [PROCESS]);
}

#[test]
fn what_the_session_has_made_is_used_before_the_catalog_has_it() {
    let frames = [
        simple("create type mood as enum ('a')", &["CREATE TYPE"]),
        simple("create domain positive as int check (value > 0)", &["CREATE DOMAIN"]),
        simple("select 'a'::mood, 1::positive", &["SELECT 1"]),
        simple("update t set id = 1", &["UPDATE 1"]),
        simple("create domain strange as int check (unknown_function(value))", &["CREATE DOMAIN"]),
        simple("update t set id = 2", &["UPDATE 1"]),
        simple("select 1::strange", &["SELECT 1"]),
        simple("update t set id = 3", &["UPDATE 1"]),
    ]
    .concat();
    let lines = told(&told_among(&frames, vec![(0, whole())]));
    assert_eq!(lines[3], "4 update committed, public.t update 1");
    assert_eq!(lines[5], "6 update committed, public.t update 1");
    assert!(lines[6].contains("? opaque - possibly"), "{lines:?}");
    assert!(lines[7].contains("?.t update - possibly"), "{lines:?}");
}

#[test]
fn what_was_prepared_while_a_name_was_gone_may_keep_the_other_meaning() {
    let frames = [
        simple("set search_path = app, public", &["SET"]),
        simple("prepare before as update t set id = 0", &["PREPARE"]),
        within("begin; drop table t; prepare p as update t set id = 1", &["BEGIN", "DROP TABLE", "PREPARE"], b'T'),
        simple("rollback", &["ROLLBACK"]),
        simple("execute p", &["UPDATE 1"]),
        simple("update t set id = 2", &["UPDATE 1"]),
    ]
    .concat();
    let lines = told(&told_among(&frames, vec![(0, whole())]));
    let last = &lines[lines.len() - 2..];
    assert_eq!(
        last[0],
        "7 update committed, ?.t update - possibly, app.t update - possibly, public.t update - possibly"
    );
    assert_eq!(last[1], "8 update committed, app.t update 1");
}

#[test]
fn a_statement_means_what_names_meant_when_it_began() {
    let name = |oid, name: &str| CatalogChange {
        kind: "relation".into(),
        oid,
        removed: false,
        definition: serde_json::to_string(&Object::Relation(Box::new(relation("app", name, RelationKind::Table))))
            .unwrap(),
    };
    let frames = [
        simple("set search_path = app, public", &["SET"]),
        simple("update t set id = 1", &["UPDATE 1"]),
        simple("update t set id = 2", &["UPDATE 1"]),
    ]
    .concat();
    // The relation gets its name back between request and answer, by a reading that began behind the request.
    let away = Kind::CatalogRead(read(2, 95, vec![name(21, "away")]));
    let back = Kind::CatalogRead(read(3, 1_000_000, vec![name(21, "t")]));
    let lines = told(&told_among(&frames, vec![(0, whole()), (0, away), (6, back)]));
    assert_eq!(
        lines[1],
        "2 update committed, ?.t update - possibly, app.t update - possibly, public.t update - possibly"
    );
}

#[test]
fn what_is_hung_on_a_parent_or_on_definitions_is_not_known_before_it_is_read() {
    let mut child = relation("public", "child", RelationKind::Table);
    child.parents = vec![20];
    let child = CatalogChange {
        kind: "relation".into(),
        oid: 40,
        removed: false,
        definition: serde_json::to_string(&Object::Relation(Box::new(child))).unwrap(),
    };
    let with_child = Kind::CatalogRead(read(2, 95, vec![child]));
    let frames = [
        simple("insert into child values (1)", &["INSERT 0 1"]),
        simple("create table made (id int)", &["CREATE TABLE"]),
    ]
    .concat();
    let lines = |names: &[&str]| {
        told(&told_among(&frames, vec![(0, whole()), (0, with_child.clone()), (0, changing(Uuid::nil(), names))]))
    };
    assert_eq!(
        lines(&["create", "trigger", "g", "t"])[0],
        "1 insert committed, public.child insert 1, ? opaque - possibly"
    );
    assert_eq!(lines(&["event", "trigger", "e"])[1], "2 ddl committed, public.made ddl -, ? opaque - possibly");
    assert_eq!(lines(&["other"]), ["1 insert committed, public.child insert 1", "2 ddl committed, public.made ddl -"]);
}

#[test]
fn code_that_was_changed_while_a_statement_ran_is_told_as_possible() {
    let function = |oid: u32, schema: &str| {
        let source = format!("update {schema}.t set id = 1 returning 1");
        let function = hansard_policy::catalog::Function {
            schema: "public".into(),
            name: "w".into(),
            language: "sql".into(),
            source: Some(source.as_str().into()),
            ..Default::default()
        };
        CatalogChange {
            kind: "function".into(),
            oid,
            removed: false,
            definition: serde_json::to_string(&Object::Function(Box::new(function))).unwrap(),
        }
    };
    let frames = [simple("select w()", &["SELECT 1"]), simple("select w()", &["SELECT 1"])].concat();
    let made = Kind::CatalogRead(read(2, 95, vec![function(50, "public")]));
    let replaced = Kind::CatalogRead(read(3, 1_000_000, vec![function(50, "app")]));
    let lines = told(&told_among(&frames, vec![(0, whole()), (0, made), (3, replaced)]));
    assert_eq!(lines[0], "1 select committed, app.t update - possibly, ? opaque - possibly");
}
