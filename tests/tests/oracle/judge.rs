//! Compares what the database holds with what the record says.
//!
//! MISSED: a change is in the database, and no row says so or says that it may be. WRONG: a row says with certainty what
//! is not so. UNSURE: there is only a row that says "may have".

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use hansard_tests::Config;
use serde_json::Value;

use crate::conversation::{Conversation, FIRST, NUMBERS, Planned};

/// What the database holds of a number: how often, by relation and operation.
pub(crate) type Held = HashMap<i64, BTreeMap<(String, String), i64>>;

/// What is known of the conversations that one job played.
pub(crate) struct Played {
    job: String,
    /// All of these are recorded, and whole; none need be where Hansard was ended in the middle.
    sessions: Option<BTreeSet<String>>,
    held: Held,
    planned: HashMap<i64, (Planned, String, u64)>,
}

impl Played {
    pub(crate) fn new(job: String, conversations: &[Conversation], held: Held) -> Played {
        let mut planned = HashMap::new();
        for conversation in conversations {
            for (number, plan) in (conversation.base..).zip(&conversation.planned) {
                let name = conversation.application_name(plan.session);
                planned.insert(number, (*plan, name, conversation.seed));
            }
        }
        let names = |one: &Conversation| {
            one.sessions().into_iter().map(|session| one.application_name(session)).collect::<Vec<_>>()
        };
        let sessions = Some(conversations.iter().flat_map(names).collect());
        Played { job, sessions, held, planned }
    }

    /// Likewise, where Hansard was ended in the middle.
    pub(crate) fn interrupted(job: String, conversations: &[Conversation], held: Held) -> Played {
        Played { sessions: None, ..Played::new(job, conversations, held) }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) held: usize,
    pub(crate) unsure: usize,
    pub(crate) missed: usize,
    pub(crate) wrong: usize,
}

/// Something that does not hold.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) kind: &'static str,
    pub(crate) missed: bool,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) kinds: BTreeMap<&'static str, Count>,
    pub(crate) failures: Vec<Failure>,
    /// Where the server's words did not fit what the record took them for.
    pub(crate) contradictions: i64,
}

impl Verdict {
    pub(crate) fn total(&self) -> Count {
        self.kinds.values().fold(Count::default(), |sum, kind| Count {
            held: sum.held + kind.held,
            unsure: sum.unsure + kind.unsure,
            missed: sum.missed + kind.missed,
            wrong: sum.wrong + kind.wrong,
        })
    }

    pub(crate) fn add(&mut self, other: Verdict) {
        for (kind, count) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            sum.held += count.held;
            sum.unsure += count.unsure;
            sum.missed += count.missed;
            sum.wrong += count.wrong;
        }
        self.failures.extend(other.failures);
        self.contradictions += other.contradictions;
    }
}

/// A relation that a row says was touched.
#[derive(Debug)]
pub(crate) struct Touch {
    pub(crate) relation: String,
    pub(crate) operation: String,
    pub(crate) via: String,
    pub(crate) rows: Option<i64>,
    pub(crate) outcome: String,
    pub(crate) certain: bool,
    pub(crate) reason: String,
}

impl Touch {
    pub(crate) fn writes(&self) -> bool {
        ["insert", "update", "delete", "merge", "copy_in"].contains(&self.operation.as_str())
    }

    fn fits(&self, relation: &str, operation: &str) -> bool {
        let by = match operation {
            "insert" => &["insert", "merge", "copy_in"][..],
            "update" => &["update", "merge"],
            _ => &["delete", "merge"],
        };
        self.relation == relation && by.contains(&self.operation.as_str())
    }
}

/// A row of `statements` with its rows of `touches`.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) application: String,
    pub(crate) operation: String,
    pub(crate) opaque: bool,
    pub(crate) outcome: String,
    sqlstate: Option<String>,
    pub(crate) numbers: Vec<i64>,
    pub(crate) sql: String,
    pub(crate) touches: Vec<Touch>,
}

impl Statement {
    /// It says that it may have done anything, and was not rolled back.
    pub(crate) fn may_have(&self) -> bool {
        (self.opaque || self.operation == "opaque") && self.outcome != "rolled back"
    }

    /// It says that it may have changed this relation.
    fn may_have_touched(&self, relation: &str) -> bool {
        self.may_have()
            || self.touches.iter().any(|touch| {
                // Of any relation, or of one of this name in whatever schema.
                let named =
                    touch.relation.strip_prefix("?.").is_some_and(|name| relation.ends_with(&format!(".{name}")));
                let here = touch.relation == relation || touch.relation == "?" || named;
                let sure = touch.certain && touch.relation == relation;
                here && match touch.outcome.as_str() {
                    "unknown" | "open" => true,
                    "committed" => !sure,
                    _ => false,
                }
            })
    }
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}

/// The numbers of conversations in a text, as decimals and in the hex of a binary parameter.
pub(crate) fn numbers(text: &str) -> Vec<i64> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let known = |number: &i64| (FIRST..FIRST + 1_000_000_000 * NUMBERS).contains(number);
    let decimal = |word: &str| (word.len() == 13).then(|| word.parse().ok()).flatten();
    let hex = |word: &str| (word.len() == 16).then(|| i64::from_str_radix(word, 16).ok()).flatten();
    let mut found: Vec<i64> = words.filter_map(|word| decimal(word).or_else(|| hex(word))).filter(known).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The job's statements as recorded, once all its sessions are closed, and how often its sessions contradict.
pub(crate) fn record(config: &Config, job: &str, sessions: Option<&BTreeSet<String>>) -> Result<(Vec<Statement>, i64)> {
    let rows = config.sql(&format!("SELECT * FROM sessions WHERE job = '{job}'"))?;
    if let Some(sessions) = sessions {
        let recorded = rows.iter().map(|row| text(row, "application_name")).collect();
        let missing: Vec<_> = sessions.difference(&recorded).collect();
        ensure!(missing.is_empty(), "sessions that are not recorded: {missing:?}");
    }
    let mut applications = HashMap::new();
    let mut contradictions = 0;
    for row in &rows {
        ensure!(!row["closed_at"].is_null(), "open: {row}");
        ensure!(sessions.is_none() || row["complete"] == true && row["gaps"].is_null(), "not whole: {row}");
        contradictions += row["contradictions"].as_i64().unwrap_or_default();
        applications.insert(text(row, "session_id"), text(row, "application_name"));
    }
    let mut touches: HashMap<(String, i64), Vec<Touch>> = HashMap::new();
    // What the triggers note is how the truth is known.
    for row in config.sql(&format!("SELECT * FROM touches WHERE job = '{job}' AND relation <> 'audit.log'"))? {
        let statement = (text(&row, "session_id"), row["statement_no"].as_i64().context("a number")?);
        touches.entry(statement).or_default().push(Touch {
            relation: text(&row, "relation"),
            operation: text(&row, "operation"),
            via: text(&row, "via"),
            rows: row["rows"].as_i64(),
            outcome: text(&row, "transaction_outcome"),
            reason: text(&row, "reason"),
            certain: row["certainty"] != "possible" && !text(&row, "relation").starts_with('?'),
        });
    }
    // The column may be younger than the record's maker.
    let opaque = match config.sql("SELECT opaque FROM statements LIMIT 1") {
        Ok(_) => ", opaque",
        Err(_) => "",
    };
    let statements = config.sql(&format!(
        "SELECT session_id, statement_no, operation, transaction_outcome, sqlstate, left(sql, 4000) AS sql, \
         left(parameters, 200) AS parameters{opaque} FROM statements WHERE job = '{job}'"
    ))?;
    let statements = statements.iter().map(|row| {
        let session = text(row, "session_id");
        let key = (session.clone(), row["statement_no"].as_i64().context("a number")?);
        Ok(Statement {
            application: applications.get(&session).context("a statement's session")?.clone(),
            operation: text(row, "operation"),
            opaque: !row["opaque"].is_null(),
            outcome: text(row, "transaction_outcome"),
            sqlstate: row["sqlstate"].as_str().map(str::to_owned),
            sql: text(row, "sql").chars().take(300).collect(),
            numbers: numbers(&format!("{} {}", text(row, "sql"), text(row, "parameters"))),
            touches: touches.remove(&key).unwrap_or_default(),
        })
    });
    Ok((statements.collect::<Result<_>>()?, contradictions))
}

/// What the record says of what was played; an error while there are sessions still to be closed.
pub(crate) fn judge(config: &Config, played: &Played) -> Result<Verdict> {
    let (statements, contradictions) = record(config, &played.job, played.sessions.as_ref())?;
    let mut carriers: HashMap<i64, Vec<&Statement>> = HashMap::new();
    for statement in &statements {
        for number in &statement.numbers {
            carriers.entry(*number).or_default().push(statement);
        }
    }
    let mut verdict = Verdict { contradictions, ..Verdict::default() };
    let nothing = BTreeMap::new();
    for (number, (plan, application, seed)) in &played.planned {
        let held = played.held.get(number).unwrap_or(&nothing);
        let carriers = carriers.get(number).map(Vec::as_slice).unwrap_or_default();
        let count = verdict.kinds.entry(plan.kind).or_default();
        count.held += usize::from(!held.is_empty());
        let mut wrong: Vec<String> =
            carriers.iter().flat_map(|carrier| wrong(carrier, *plan, application, held, &played.held)).collect();
        let (mut missed, mut unsure) = (false, false);
        for (relation, operation) in held.keys() {
            let certain = |carrier: &&Statement| {
                let is = |touch: &Touch| touch.certain && touch.outcome == "committed";
                carrier.touches.iter().any(|touch| is(touch) && touch.fits(relation, operation))
            };
            if carriers.iter().any(certain) {
                continue;
            }
            if carriers.iter().any(|carrier| carrier.may_have_touched(relation)) {
                unsure = true;
            } else if carriers.iter().any(|carrier| carrier.outcome == "rolled back") {
                wrong.push("it is said to be rolled back".to_owned());
            } else {
                missed = true;
            }
        }
        count.unsure += usize::from(unsure && !missed && wrong.is_empty());
        count.missed += usize::from(missed);
        count.wrong += usize::from(!wrong.is_empty());
        if missed || !wrong.is_empty() {
            let name = if missed { "MISSED" } else { "WRONG" };
            let text = format!("{name} {number} ({}): {wrong:?}; held: {held:?}; recorded: {carriers:?}", plan.kind);
            verdict.failures.push(Failure { seed: *seed, kind: plan.kind, missed, text });
        }
    }
    Ok(verdict)
}

/// What a statement's row says with certainty and is not so.
fn wrong(
    statement: &Statement,
    plan: Planned,
    application: &str,
    held: &BTreeMap<(String, String), i64>,
    all: &Held,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if statement.application != application {
        wrong.push(format!("it is on session {}, not {application}", statement.application));
    }
    if plan.fails && statement.sqlstate.is_none() && statement.outcome == "committed" && !statement.may_have() {
        wrong.push("it fails, and is said to be committed".to_owned());
    }
    for touch in statement.touches.iter().filter(|touch| touch.certain && touch.writes()) {
        let fits = |held: &BTreeMap<(String, String), i64>| {
            held.iter().find(|((relation, operation), _)| touch.fits(relation, operation)).map(|(_, count)| *count)
        };
        // A text of several changes that is one row has done what one of them did.
        let any = statement.numbers.iter().filter_map(|number| fits(all.get(number)?)).next();
        match (touch.outcome.as_str(), fits(held)) {
            ("committed", None) if any.is_none() && touch.rows != Some(0) && statement.operation != "prepare" => {
                wrong.push(format!("{} of {} is said to be committed", touch.operation, touch.relation));
            }
            ("committed", Some(count)) => {
                let suspended = ["portals", "cursor of a portal"].contains(&plan.kind);
                if touch.rows.is_some_and(|rows| rows != count) && !suspended {
                    wrong.push(format!("{:?} rows are said to be changed, not {count}", touch.rows));
                }
                if statement.sqlstate.is_some() && !statement.opaque {
                    wrong.push(format!("it is committed, and said to have failed: {:?}", statement.sqlstate));
                }
            }
            _ => {}
        }
    }
    wrong
}
