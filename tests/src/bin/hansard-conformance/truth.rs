//! What the record says of a suite, beside what the database itself says was committed.
//!
//! Every change that logical decoding shows has to be among the touches of a transaction that was under way when it was
//! committed, as certain or as possible. And it is counted how much of what a suite did the record does not know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use hansard_tests::Config;
use hansard_tests::conformance::Stage;
use hansard_tests::decoding::{self, Change};
use serde_json::Value;

/// How far two readings of the same clock may lie apart, in microseconds: the database notes the time of a commit
/// before it answers, and Hansard that of a request when it has read it.
const SLACK: i64 = 50_000;

/// What was found of one suite.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Statements that the database has carried out, or may have.
    pub(crate) statements: i64,
    /// Of them those of which operation or outcome is not known.
    pub(crate) unknown: i64,
    /// Of them those with a touch that is only possible.
    pub(crate) possible: i64,
    /// Changes, each relation and operation of a transaction once.
    pub(crate) changes: usize,
    pub(crate) certain: usize,
    /// Changes that the record does not have.
    pub(crate) missed: Vec<String>,
    /// How often the server's words did not fit what they were taken for.
    pub(crate) contradictions: i64,
    /// Why something is not known, and how often.
    pub(crate) reasons: BTreeMap<String, i64>,
    /// Why a change is only possible, and how many are.
    pub(crate) doubts: BTreeMap<String, usize>,
}

/// A session's transaction as recorded.
#[derive(Debug, Default)]
struct Transaction {
    from: i64,
    to: i64,
    /// The whole of it may have done anything.
    opaque: bool,
    touches: Vec<Touch>,
}

#[derive(Debug)]
struct Touch {
    relation: String,
    operation: String,
    certain: bool,
    reason: String,
}

/// How much is known of a change.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Not,
    /// By a row of the relation itself, or of one that is not known; and why it is not certain.
    Possibly(bool, String),
    Certainly,
}

fn slot(database: &str) -> String {
    format!("truth_of_{database}")
}

/// From now on it is kept what is committed in these databases.
pub(crate) async fn begin(stage: &Stage, databases: &[&str]) -> Result<()> {
    for database in databases {
        decoding::begin(&stage.postgres().superuser(database).await?, &slot(database)).await?;
    }
    Ok(())
}

/// Compares, after the suite; ends the stage's Hansard, so that its record is whole.
pub(crate) async fn compare(stage: &mut Stage, config: &Config, databases: &[&str]) -> Result<Truth> {
    let mut changes = Vec::new();
    for database in databases {
        let superuser = stage.postgres().superuser(database).await?;
        changes.push((*database, decoding::changes(&superuser, &slot(database)).await?));
    }
    let hansard = stage.hansard().context("there is no record of what went past Hansard")?;
    anyhow::ensure!(hansard.stop()?.success(), "Hansard did not end well");
    let mut truth = counted(config)?;
    let mut recorded = transactions(config)?;
    for (database, changes) in changes {
        let transactions = recorded.remove(database).unwrap_or_default();
        let mut seen = BTreeSet::new();
        for change in changes {
            let Change { schema, relation, operation, committed_at, data } = change;
            if !seen.insert((committed_at, schema.clone(), relation.clone(), operation.clone())) {
                continue;
            }
            truth.changes += 1;
            match known(&transactions, committed_at, (&schema, &relation), &operation) {
                Known::Certainly => truth.certain += 1,
                Known::Possibly(_, reason) => *truth.doubts.entry(reason).or_default() += 1,
                Known::Not => {
                    let at = jiff::Timestamp::from_microsecond(committed_at)?;
                    let data: String = data.chars().take(80).collect();
                    truth.missed.push(format!("{database}: {operation} of {schema}.{relation} at {at}: {data}"));
                }
            }
        }
    }
    Ok(truth)
}

fn known(transactions: &[Transaction], at: i64, relation: (&str, &str), operation: &str) -> Known {
    // Sorted by their beginning.
    let begun = transactions.partition_point(|transaction| transaction.from <= at + SLACK);
    let under_way = transactions[..begun].iter().filter(|transaction| at <= transaction.to + SLACK);
    under_way.map(|transaction| transaction.knows(relation, operation)).max().unwrap_or(Known::Not)
}

impl Transaction {
    fn knows(&self, relation: (&str, &str), operation: &str) -> Known {
        let by = match operation {
            // Rows also come with a table that is made of a query, or written anew.
            "insert" => &["insert", "merge", "copy_in", "ddl", "update"][..],
            "update" => &["update", "merge", "insert", "ddl"],
            "truncate" => &["truncate"],
            _ => &["delete", "merge", "update", "ddl"],
        };
        let touch = |touch: &Touch| {
            let (schema, name) =
                decoding::recorded(&touch.relation).unwrap_or_else(|| ("?".to_owned(), touch.relation.clone()));
            let here = name == relation.1 && schema == relation.0;
            let maybe = name == "?" || name == relation.1 && schema == "?";
            match (here, touch.certain, by.contains(&touch.operation.as_str())) {
                (true, true, true) => Known::Certainly,
                (true, false, _) => Known::Possibly(true, touch.reason.clone()),
                _ if maybe => Known::Possibly(false, touch.reason.clone()),
                _ => Known::Not,
            }
        };
        let best = self.touches.iter().map(touch).max().unwrap_or(Known::Not);
        best.max(if self.opaque { Known::Possibly(false, "(what it did is not known)".to_owned()) } else { Known::Not })
    }
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}

fn micros(row: &Value, column: &str) -> Result<i64> {
    let at: jiff::Timestamp = text(row, column).parse().with_context(|| format!("{column} of {row}"))?;
    Ok(at.as_microsecond())
}

/// The recorded transactions of each database that may have been committed, by their beginning.
fn transactions(config: &Config) -> Result<HashMap<String, Vec<Transaction>>> {
    let mut databases = HashMap::new();
    for row in config.sql("SELECT session_id, database FROM sessions WHERE job <> 'hansard'")? {
        databases.insert(text(&row, "session_id"), text(&row, "database"));
    }
    let key = |row: &Value| (text(row, "session_id"), row["transaction_id"].as_i64().unwrap_or_default());
    let mut transactions: HashMap<(String, i64), Transaction> = HashMap::new();
    for row in config.sql(
        "SELECT session_id, transaction_id, min(started_at) AS began, \
         max(coalesce(committed_at, finished_at, started_at)) AS ended, \
         bool_or(opaque IS NOT NULL OR operation = 'opaque' OR transaction_outcome NOT IN ('committed', 'rolled back')) \
         AS unknown FROM statements WHERE transaction_outcome <> 'rolled back' AND job <> 'hansard' \
         GROUP BY session_id, transaction_id",
    )? {
        let opaque = row["unknown"] == true;
        let (from, to) = (micros(&row, "began")?, micros(&row, "ended")?);
        transactions.insert(key(&row), Transaction { from, to, opaque, touches: Vec::new() });
    }
    for row in config.sql(
        "SELECT session_id, transaction_id, relation, operation, \
         bool_or(coalesce(certainty, 'certain') = 'certain' AND transaction_outcome = 'committed') AS certain, \
         coalesce(min(reason), '') AS reason \
         FROM touches WHERE transaction_outcome <> 'rolled back' AND operation <> 'select' AND job <> 'hansard' \
         GROUP BY session_id, transaction_id, relation, operation",
    )? {
        if let Some(transaction) = transactions.get_mut(&key(&row)) {
            let (relation, operation) = (text(&row, "relation"), text(&row, "operation"));
            let certain = row["certain"] == true && !relation.starts_with('?');
            transaction.touches.push(Touch { relation, operation, certain, reason: text(&row, "reason") });
        }
    }
    let mut by_database: HashMap<String, Vec<Transaction>> = HashMap::new();
    for ((session, _), transaction) in transactions {
        let database = databases.get(&session).with_context(|| format!("session {session} is not recorded"))?;
        by_database.entry(database.clone()).or_default().push(transaction);
    }
    for transactions in by_database.values_mut() {
        transactions.sort_by_key(|transaction| transaction.from);
    }
    Ok(by_database)
}

/// How much of what was carried out is not known.
fn counted(config: &Config) -> Result<Truth> {
    let unknown = "(opaque IS NOT NULL OR operation = 'opaque' OR transaction_outcome IN ('unknown', 'open'))";
    let done = "job <> 'hansard' AND sqlstate IS NULL";
    let count = |sql: &str| -> Result<i64> {
        let rows = config.sql(sql)?;
        rows.first().and_then(|row| row["n"].as_i64()).with_context(|| format!("no number: {sql}"))
    };
    let mut truth = Truth {
        statements: count(&format!("SELECT count(*) AS n FROM statements WHERE {done}"))?,
        unknown: count(&format!("SELECT count(*) AS n FROM statements WHERE {done} AND {unknown}"))?,
        possible: count(
            "SELECT count(*) AS n FROM (SELECT DISTINCT session_id, statement_no FROM touches \
             WHERE job <> 'hansard' AND certainty = 'possible') AS t",
        )?,
        contradictions: count("SELECT coalesce(sum(contradictions), 0) AS n FROM sessions WHERE job <> 'hansard'")?,
        ..Truth::default()
    };
    for row in config.sql(&format!(
        "SELECT coalesce(opaque, outcome_reason, transaction_outcome) AS reason, count(*) AS n FROM statements \
         WHERE {done} AND {unknown} GROUP BY 1 UNION ALL \
         SELECT 'possible: ' || coalesce(reason, '-'), count(*) FROM touches \
         WHERE job <> 'hansard' AND certainty = 'possible' GROUP BY 1 ORDER BY 2 DESC LIMIT 40"
    ))? {
        truth.reasons.insert(text(&row, "reason"), row["n"].as_i64().unwrap_or_default());
    }
    Ok(truth)
}

impl Truth {
    /// A line for the table, and what it hides.
    pub(crate) fn told(&self) -> String {
        let share = |part: i64| 100.0 * part as f64 / self.statements.max(1) as f64;
        let certain = 100.0 * self.certain as f64 / self.changes.max(1) as f64;
        let mut told = format!(
            "{} statements, {} not known ({:.2} %), {} with a touch that is only possible ({:.2} %), {} contradictions; \
             {} changes, {} certain ({certain:.1} %), {} missed",
            self.statements,
            self.unknown,
            share(self.unknown),
            self.possible,
            share(self.possible),
            self.contradictions,
            self.changes,
            self.certain,
            self.missed.len()
        );
        for (reason, times) in &self.reasons {
            let _ = write!(told, "\n  {times:>7} {reason}");
        }
        for (doubt, times) in &self.doubts {
            let _ = write!(told, "\n  {times:>7} changes only possible: {doubt}");
        }
        for missed in &self.missed {
            let _ = write!(told, "\n  MISSED {missed}");
        }
        told
    }
}
