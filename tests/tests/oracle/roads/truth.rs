//! Where numbers have come to, by logical decoding, and what the record says of it.
//!
//! MISSED: a table has a change, and no statement with its number is said to have touched that table, nor that it may
//! have. WRONG: a statement is said with certainty to have changed a table, and changed one of the same name elsewhere.
//! UNSURE: the record says only that it may have.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use hansard_tests::Config;
use hansard_tests::decoding::{self, Change};
use tokio_postgres::Client;

use crate::judge::{Failure, Statement, Touch, Verdict, numbers, record};
use crate::roads::Conversation;

/// A schema and a relation in it.
type Name = (String, String);

/// The relations that have a change with this number, and the kind of change.
pub(crate) type Landed = HashMap<i64, BTreeSet<(Name, String)>>;

/// What was committed since the slot was made.
pub(crate) async fn landed(superuser: &Client, slot: &str) -> Result<Landed> {
    let mut landed = Landed::new();
    for Change { schema, relation, operation, data, .. } in decoding::changes(superuser, slot).await? {
        for number in numbers(&data) {
            landed.entry(number).or_default().insert(((schema.clone(), relation.clone()), operation.clone()));
        }
    }
    Ok(landed)
}

/// What one job played.
pub(crate) struct Played<'a> {
    pub(crate) job: String,
    pub(crate) conversations: &'a [Conversation],
    pub(crate) landed: Landed,
}

fn fits(touch: &Touch, relation: &Name, operation: &str) -> bool {
    let moved = touch.via == "partition";
    let by = match operation {
        "insert" if moved => &["insert", "merge", "copy_in", "update"][..],
        // Of a table that is made with its rows.
        "insert" => &["insert", "merge", "copy_in", "ddl"],
        "update" => &["update", "merge", "insert"],
        _ => &["delete", "merge", "update"],
    };
    by.contains(&touch.operation.as_str()) && decoding::recorded(&touch.relation).as_ref() == Some(relation)
}

fn may_have_touched(statement: &Statement, relation: &Name) -> bool {
    statement.may_have()
        || statement.touches.iter().any(|touch| {
            let here = touch.relation == "?"
                || decoding::recorded(&touch.relation)
                    .is_some_and(|(schema, name)| name == relation.1 && (schema == "?" || schema == relation.0));
            here && match touch.outcome.as_str() {
                "unknown" | "open" => true,
                "committed" => !touch.certain,
                _ => false,
            }
        })
}

/// Tables that have rows of their own, and no trigger that would keep a row out.
const PLAIN: &[&str] = &["t", "t2", "Odd.t", "café", "p_x", "p_y", "p_d", "u"];

fn wrong(statement: &Statement, all: &Landed) -> Vec<String> {
    let nothing = BTreeSet::new();
    let places: Vec<&(Name, String)> =
        statement.numbers.iter().flat_map(|number| all.get(number).unwrap_or(&nothing)).collect();
    let mut wrong = Vec::new();
    let sure = |touch: &&Touch| touch.certain && touch.writes() && touch.outcome == "committed";
    for touch in statement.touches.iter().filter(sure) {
        let Some(relation) = decoding::recorded(&touch.relation) else { continue };
        if places.iter().any(|(place, _)| *place == relation) || statement.operation == "prepare" {
            continue;
        }
        let elsewhere = places.iter().any(|(place, _)| place.1 == relation.1);
        let plain = ["direct", "view"].contains(&touch.via.as_str())
            && PLAIN.contains(&relation.1.as_str())
            && touch.rows.unwrap_or(0) > 0;
        if elsewhere || plain && relation.0 != "pg_temp" {
            wrong.push(format!("{} of {} is said to be certain", touch.operation, touch.relation));
        }
    }
    wrong
}

/// Most touches that are shown of a statement.
const SHOWN: usize = 12;

fn told(statement: &Statement) -> String {
    let touches = statement.touches.iter().take(SHOWN).map(|touch| {
        let Touch { relation, operation, via, rows, outcome, certain, reason } = touch;
        format!("\n      {operation} {relation} via {via} rows {rows:?} {outcome}, certain {certain}, {reason}")
    });
    format!(
        "\n    {} {} {:?}: {}{}{}",
        statement.operation,
        statement.outcome,
        statement.opaque,
        statement.sql,
        touches.collect::<String>(),
        if statement.touches.len() > SHOWN { " …" } else { "" }
    )
}

/// What the record says of what was played; an error while there are sessions still to be closed.
pub(crate) fn judge(config: &Config, played: &Played<'_>) -> Result<Verdict> {
    let names = |one: &Conversation| {
        one.sessions().into_iter().map(|session| one.application_name(session)).collect::<Vec<_>>()
    };
    let sessions = played.conversations.iter().flat_map(names).collect();
    let (statements, contradictions) = record(config, &played.job, Some(&sessions))?;
    let mut carriers: HashMap<i64, Vec<&Statement>> = HashMap::new();
    for statement in &statements {
        for number in &statement.numbers {
            carriers.entry(*number).or_default().push(statement);
        }
    }
    let mut verdict = Verdict { contradictions, ..Verdict::default() };
    let nothing = BTreeSet::new();
    for conversation in played.conversations {
        for (number, plan) in (conversation.base..).zip(&conversation.planned) {
            let places = played.landed.get(&number).unwrap_or(&nothing);
            let carriers = carriers.get(&number).map(Vec::as_slice).unwrap_or_default();
            let count = verdict.kinds.entry(plan.kind).or_default();
            count.held += usize::from(!places.is_empty());
            let application = conversation.application_name(plan.session);
            let mut wrong: Vec<String> =
                carriers.iter().flat_map(|statement| wrong(statement, &played.landed)).collect();
            if carriers.iter().any(|statement| statement.application != application) {
                wrong.push("it is on another session".to_owned());
            }
            let (mut missed, mut unsure) = (Vec::new(), false);
            for (relation, operation) in places {
                let certain = |statement: &&Statement| {
                    let is = |touch: &Touch| touch.certain && touch.outcome == "committed";
                    statement.touches.iter().any(|touch| is(touch) && fits(touch, relation, operation))
                };
                if carriers.iter().any(certain) {
                    continue;
                }
                if carriers.iter().any(|statement| may_have_touched(statement, relation)) {
                    unsure = true;
                } else {
                    missed.push(format!("{operation} of {}.{}", relation.0, relation.1));
                }
            }
            if unsure && std::env::var("HANSARD_ORACLE_UNSURE").is_ok() {
                let told = carriers.iter().map(|statement| told(statement)).collect::<String>();
                eprintln!("UNSURE {number} ({}), seed {}: {places:?}{told}", plan.kind, conversation.seed);
            }
            count.unsure += usize::from(unsure && missed.is_empty() && wrong.is_empty());
            count.missed += usize::from(!missed.is_empty());
            count.wrong += usize::from(!wrong.is_empty());
            if !missed.is_empty() || !wrong.is_empty() {
                let text = format!(
                    "{number} ({}): MISSED {missed:?}, WRONG {wrong:?}; landed: {places:?}; recorded: {}",
                    plan.kind,
                    carriers.iter().map(|statement| told(statement)).collect::<String>()
                );
                let missed = !missed.is_empty();
                verdict.failures.push(Failure { seed: conversation.seed, kind: plan.kind, missed, text });
            }
        }
    }
    Ok(verdict)
}
