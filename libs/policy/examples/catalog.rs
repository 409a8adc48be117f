//! What a catalog of 100,000 relations with ten columns each costs, in time and memory.
//!
//! `cargo run --release -p hansard-policy --no-default-features --example catalog`

use std::io::Write;
use std::time::Duration;

use hansard_policy::catalog::{Catalog, Change, Column, Names, Object, Oid, Relation, Schema};

const RELATIONS: Oid = 100_000;

/// As an answer of PostgreSQL's is read, row by row.
fn relation(number: Oid, names: &mut Names, columns: &[String]) -> Object {
    let column = |name: &String| Column { name: names.text(name), kind: 23 };
    Object::Relation(Box::new(Relation {
        columns: columns.iter().map(column).collect(),
        schema: names.text(&format!("schema_{}", number % 100)),
        name: format!("table_{number}").into(),
        ..Relation::default()
    }))
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let before = memory()?;
    let columns: Vec<String> = (0..10).map(|column| format!("column_{column}")).collect();
    let mut names = Names::default();
    let started = cpu()?;
    let mut catalog =
        Catalog::of((0..RELATIONS).map(|number| (20_000 + number, relation(number, &mut names, &columns))));
    for schema in 0..100 {
        let schema = Schema { name: format!("schema_{schema}").into(), usage: vec![0], ..Schema::default() };
        catalog.insert(200_000 + Oid::try_from(catalog.len()).unwrap_or(0), Object::Schema(schema));
    }
    writeln!(out, "built in {:?}, {} MiB", (cpu()? - started), memory()? - before)?;

    let started = cpu()?;
    let changes = Catalog::default().changes_to(&catalog);
    writeln!(out, "{} changes in {:?}", changes.len(), (cpu()? - started))?;
    let started = cpu()?;
    let json = serde_json::to_string(&changes)?;
    writeln!(out, "written in {:?}, {} bytes", (cpu()? - started), json.len())?;
    let started = cpu()?;
    let read: Vec<Change> = serde_json::from_str(&json)?;
    writeln!(out, "read from that in {:?}", (cpu()? - started))?;
    let started = cpu()?;
    let mut again = Catalog::default();
    read.into_iter().for_each(|change| again.apply(change));
    writeln!(out, "applied in {:?}", (cpu()? - started))?;
    let started = cpu()?;
    writeln!(out, "{} changes between equal ones in {:?}", again.changes_to(&catalog).len(), (cpu()? - started))?;

    Ok(())
}

/// Time that this program has been computing: what else the machine does is left out.
fn cpu() -> std::io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)))
}

/// Resident memory, in MiB.
fn memory() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.unwrap_or(0) / 1024)
}
