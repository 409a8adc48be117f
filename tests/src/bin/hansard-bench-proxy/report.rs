//! The figures: medians, ratios taken within a round, a table and JSON.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::contenders::{Contender, DIRECT, HAPROXY, OFF, PGBOUNCER, PROXY, SPOOL};
use crate::loads::{Load, Measured};

/// The measurements of each load and contender, in the order of the rounds.
#[derive(Default)]
pub(crate) struct Results(HashMap<(&'static str, &'static str), Vec<Measured>>);

impl Results {
    pub(crate) fn add(&mut self, load: &Load, contender: &Contender, measured: Measured) {
        self.0.entry((load.name, contender.name)).or_default().push(measured);
    }

    fn of(&self, load: &Load, contender: &'static str) -> Result<&[Measured]> {
        self.0.get(&(load.name, contender)).map(Vec::as_slice).with_context(|| format!("no figures of {contender}"))
    }

    /// The median over the rounds of how one contender's figure relates to another's.
    fn ratio(&self, load: &Load, ours: &'static str, theirs: &'static str) -> Result<f64> {
        let pairs = self.of(load, ours)?.iter().zip(self.of(load, theirs)?);
        Ok(median(pairs.map(|(ours, theirs)| ours.rate / theirs.rate).collect()))
    }

    pub(crate) fn report(&self, loads: &[Load], contenders: &[Contender], rounds: u32, seconds: u32) -> Result<Value> {
        let mut all = Map::new();
        for load in loads {
            println!("\n### {}\n", load.name);
            println!("| | {0} | of direct | of HAProxy | of PgBouncer | p50 µs | p99 µs | CPU µs each |", load.unit());
            println!("|---|---|---|---|---|---|---|---|");
            let mut rows = Map::new();
            for contender in contenders.iter().filter(|contender| load.concerns(contender)) {
                let measured = self.of(load, contender.name)?;
                let figure = |pick: fn(&Measured) -> Option<f64>| {
                    let values: Option<Vec<f64>> = measured.iter().map(pick).collect();
                    values.map(median)
                };
                let (rate, cpu) = (figure(|m| Some(m.rate)), figure(|m| Some(m.cpu_us)));
                let (p50, p99) = (figure(|m| m.p50_us), figure(|m| m.p99_us));
                let ratios = [DIRECT, HAPROXY, PGBOUNCER].map(|other| self.ratio(load, contender.name, other));
                let [direct, haproxy, pgbouncer] = ratios;
                let (direct, haproxy, pgbouncer) = (direct?, haproxy?, pgbouncer?);
                println!(
                    "| {} | {} | {direct:.2} | {haproxy:.2} | {pgbouncer:.2} | {} | {} | {} |",
                    contender.name,
                    cell(rate, 0),
                    cell(p50, 0),
                    cell(p99, 0),
                    cell(cpu.filter(|_| contender.name != DIRECT), 1)
                );
                rows.insert(
                    contender.name.to_owned(),
                    json!({ "rate": rate, "unit": load.unit(), "of_direct": direct, "of_haproxy": haproxy,
                            "of_pgbouncer": pgbouncer, "p50_us": p50, "p99_us": p99, "cpu_us": cpu }),
                );
            }
            let on_off = self.ratio(load, PROXY, OFF)?;
            println!("\nRecording on/off: {on_off:.2}");
            let spool = self.ratio(load, SPOOL, PROXY).ok();
            if let Some(spool) = spool {
                println!("NATS with wait_for = spool, of the embedded log: {spool:.2}");
            }
            all.insert(
                load.name.to_owned(),
                json!({ "contenders": rows, "recording_on_off": on_off, "nats_spool_of_embedded": spool }),
            );
        }
        Ok(json!({ "rounds": rounds, "seconds": seconds, "loads": all }))
    }
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}
