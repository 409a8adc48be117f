//! What proxies tell of catalogs, as rows.

use hansard_policy::catalog::{Object, Relation};
use hansard_schemas::events::{CatalogChange, CatalogMissing, CatalogRead};

use super::*;

fn read(version: u64, base_version: u64, changes: &[(u32, Option<&str>)]) -> CatalogRead {
    let change = |(oid, name): &(u32, Option<&str>)| CatalogChange {
        kind: "relation".to_owned(),
        oid: *oid,
        removed: name.is_none(),
        definition: name.map_or_else(String::new, |name| {
            let relation = Relation { schema: "public".into(), name: name.into(), ..Relation::default() };
            serde_json::to_string(&Object::Relation(Box::new(relation))).unwrap()
        }),
    };
    let mut read = CatalogRead {
        node: "n".to_owned(),
        instance: "i".to_owned(),
        target: "ranking".to_owned(),
        database: "d".to_owned(),
        version,
        base_version,
        begun_at: version * 100,
        read_at: version * 100 + 10,
        complete: true,
        part: 1,
        last: true,
        ..CatalogRead::default()
    };
    read.pack(changes.iter().map(change).collect(), 1).unwrap();
    read
}

fn told(shard: u16, reads: &[CatalogRead]) -> Vec<String> {
    let mut projector = Projector::restore(shard, []).unwrap();
    let mut rows = Rows::default();
    for read in reads {
        let event = event(read.read_at, 0, Kind::CatalogRead(read.clone()));
        projector.apply(&block(Uuid::from_u128(9), "", vec![event]), &mut rows);
        let saved = projector.take_changes().sessions;
        let saved = saved.iter().map(|session| (session.session_id, &session.state[..]));
        projector = Projector::restore(shard, saved).unwrap();
    }
    assert_eq!(rows.batch(Table::Catalog).num_rows(), rows.catalog.len());
    let line = |row: &CatalogRow| {
        let schema = row.schema.as_deref().unwrap_or("-");
        let what = row.definition.as_deref().map_or("gone", |definition| &definition[..5]);
        format!(
            "{} on {} at {}: {} {} {schema} {} {what}",
            row.version, row.base_version, row.read_at, row.kind, row.oid, row.name
        )
    };
    rows.catalog.iter().map(line).collect()
}

#[test]
fn each_object_of_a_version_is_a_row() {
    let failed = CatalogRead {
        missing: vec![CatalogMissing { kind: String::new(), reason: "denied".to_owned() }],
        complete: false,
        ..read(3, 2, &[])
    };
    let reads = [read(1, 0, &[(7, Some("t")), (8, Some("u"))]), read(2, 1, &[(7, Some("s")), (8, None)]), failed];
    let expected = [
        "1 on 0 at 110: relation 7 public t {\"rel",
        "1 on 0 at 110: relation 8 public u {\"rel",
        "2 on 1 at 210: relation 7 public s {\"rel",
        "2 on 1 at 210: relation 8 public u gone",
        "3 on 2 at 310: missing 0 -  \"deni",
    ];
    assert_eq!(told(0, &reads), expected);
    // What a process tells is in every shard, and once in the lake.
    assert_eq!(told(1, &reads), [""; 0]);
    let [first, second, third] = reads;
    let twice = [first.clone(), first, second.clone(), second, third.clone(), third];
    assert_eq!(told(0, &twice), expected);
}

#[test]
fn a_version_in_parts_is_told_once() {
    let part = |part, last, oid| CatalogRead { part, last, ..read(1, 0, &[(oid, Some("t"))]) };
    let parts = [part(1, false, 7), part(1, false, 7), part(2, true, 8), part(2, true, 8)];
    let lines = told(0, &parts);
    assert_eq!(lines, ["1 on 0 at 110: relation 7 public t {\"rel", "1 on 0 at 110: relation 8 public t {\"rel"]);
}
