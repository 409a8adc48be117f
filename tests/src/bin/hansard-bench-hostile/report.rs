//! The figures: a row for each input, what is over a bar, and JSON.

use serde_json::{Value, json};

use crate::site::{Measured, PARTS};

/// Most CPU time for each megabyte, of that of `pgbench -M simple`.
const TIMES: f64 = 5.0;

/// Most memory above what a part has when it does nothing, in bytes.
const MEMORY: u64 = 64 * MIB;

const MIB: u64 = 1024 * 1024;

/// What goes over a bar, in words; empty where nothing does.
pub(crate) fn misses(measured: &Measured, usual: &Measured) -> Vec<String> {
    let mut misses = Vec::new();
    for (part, name) in PARTS.iter().enumerate() {
        if times(measured, usual, part) > TIMES {
            misses.push(format!("{name} CPU"));
        }
        if measured.costs[part].memory >= MEMORY {
            misses.push(format!("{name} memory"));
        }
    }
    if measured.unanswered.is_some() {
        misses.push("a question is not answered".to_owned());
    }
    misses
}

/// Milliseconds of CPU time for each megabyte.
fn rate(measured: &Measured, part: usize) -> f64 {
    measured.costs[part].cpu * 1e3 / measured.megabytes
}

fn times(measured: &Measured, usual: &Measured, part: usize) -> f64 {
    rate(measured, part) / rate(usual, part)
}

pub(crate) fn head() {
    println!(
        "| input | MB | statements | proxy, ms/MB | recorder, ms/MB | query, ms/MB | of pgbench | proxy, MiB | recorder, MiB | \
         query, MiB | over a bar |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
}

pub(crate) fn row(name: &str, measured: &Measured, usual: &Measured) {
    let each = |text: fn(&Measured, &Measured, usize) -> String, between: &str| {
        (0..PARTS.len()).map(|part| text(measured, usual, part)).collect::<Vec<_>>().join(between)
    };
    println!(
        "| {name} | {:.1} | {} | {} | {} | {} | {} |",
        measured.megabytes,
        measured.statements,
        each(|measured, _, part| format!("{:.0}", rate(measured, part)), " | "),
        each(|measured, usual, part| format!("{:.1}", times(measured, usual, part)), ", "),
        each(|measured, _, part| (measured.costs[part].memory / MIB).to_string(), " | "),
        misses(measured, usual).join(", ")
    );
    if let Some(unanswered) = &measured.unanswered {
        println!("\n{unanswered}\n");
    }
}

pub(crate) fn json(name: &str, measured: &Measured, usual: &Measured) -> Value {
    let parts = PARTS.iter().enumerate().map(|(part, name)| {
        let cost = measured.costs[part];
        let figures = json!({ "cpu_seconds": cost.cpu, "times_pgbench": times(measured, usual, part), "memory_bytes": cost.memory });
        ((*name).to_owned(), figures)
    });
    let parts: serde_json::Map<String, Value> = parts.collect();
    json!({ "input": name, "megabytes": measured.megabytes, "statements": measured.statements, "parts": parts,
            "over": misses(measured, usual), "unanswered": measured.unanswered })
}
