//! What it costs to follow a statement through a catalog of 100,000 relations.
//!
//! `cargo run --release -p hansard-policy --example reach`

use std::io::Write;
use std::time::Instant;

use hansard_policy::analyse;
use hansard_policy::catalog::{Action, Catalog, Column, ForeignKey, Function, Object, Oid, Relation, Schema, Trigger};
use hansard_policy::reach::{Memo, OnPath, reach};

const RELATIONS: Oid = 100_000;

fn relation(number: Oid) -> Object {
    let column = |column: u32| Column { name: format!("column_{column}").into(), kind: 23 };
    Object::Relation(Box::new(Relation {
        schema: format!("schema_{}", number % 100).into(),
        name: format!("table_{number}").into(),
        columns: (0..10).map(column).collect(),
        ..Relation::default()
    }))
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut catalog = Catalog::of((0..RELATIONS).map(|number| (20_000 + number, relation(number))));
    for schema in 0..100 {
        let schema = Schema { name: format!("schema_{schema}").into(), usage: vec![0], ..Schema::default() };
        catalog.insert(200_000 + Oid::try_from(catalog.len()).unwrap_or(0), Object::Schema(schema));
    }
    let log = Function {
        schema: "schema_0".into(),
        name: "log_it".into(),
        language: "plpgsql".into(),
        source: Some("begin insert into schema_1.table_1 values (1); return new; end".into()),
        ..Function::default()
    };
    catalog.insert(1_000_000, Object::Function(Box::new(log)));
    let trigger = Trigger { relation: 20_100, function: 1_000_000, bits: 1 | 4 | 16, ..Trigger::default() };
    catalog.insert(1_000_001, Object::Trigger(trigger));
    let on_delete = Action::Cascade;
    let key = ForeignKey { relation: 20_300, references: 20_200, on_delete, ..ForeignKey::default() };
    catalog.insert(1_000_002, Object::ForeignKey(key));
    let setting = vec!["schema_0".to_owned(), "schema_1".to_owned()];
    let resolve = OnPath::new(&catalog, Some(setting), None);
    let mut memo = Memo::default();
    for sql in [
        "update table_0 set column_1 = 1 where column_2 = 2",
        "select a.column_1, count(*) from table_0 a join table_1 b using (column_2) group by 1",
        "update table_100 set column_1 = 1",
        "delete from table_200",
        "update nowhere set a = 1",
    ] {
        let statement = analyse(sql).statements.remove(0);
        let started = Instant::now();
        let mut touched = 0;
        for _ in 0..100_000 {
            touched = reach(&statement, &catalog, &resolve, &resolve, &mut memo).touched.len();
        }
        writeln!(out, "{:8.2} us, {touched} touched: {sql}", started.elapsed().as_secs_f64() * 10.0)?;
    }
    Ok(())
}
