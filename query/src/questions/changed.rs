//! Who changed a relation, in the three parts of the answer, and the names that it can be asked for with.
//!
//! What an update at a time is, the table functions `who_updated` and `looked_at` decide: every way in means the same.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use hansard_policy::catalog::{Object, RelationKind};
use hansard_policy::{Name, Operation};
use hansard_schemas::http::QueryFormat;
use serde::Deserialize;

use super::{quoted, text};
use crate::functions::around;
use crate::moment::{Moment, length_of};
use crate::names::parse;
use crate::plain::nearest;
use crate::{Answer, Engine, Error, Export};

/// Longest name of a relation, in bytes: schema and name, each quoted and full of quotes, with room for blanks.
const MAX_RELATION: usize = 512;
/// Characters of a statement's text in an answer.
const MAX_SQL_SHOWN: usize = 600;
/// Names that are read to find those of relations that can be asked for: indexes have names, too.
const NAMES_READ: usize = 100;
/// Targets that are told where none is near to the one that was asked for.
const FEW: usize = 8;
/// Most relations that are suggested.
const MAX_SUGGESTED: usize = 50;

/// What is asked: the texts as somebody wrote them; nothing but blanks counts as not given.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskedChanges<'a> {
    /// The relation, as SQL writes it.
    pub relation: &'a str,
    /// A time, as [`Moment`] reads it.
    pub at: &'a str,
    /// How far before and after; without one `1m`.
    pub window: &'a str,
    /// Operations with commas between them, or `any`; without one `update`.
    pub operation: &'a str,
    /// The target; without one, all.
    pub target: &'a str,
}

/// A question that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesQuestion {
    relation: String,
    at: String,
    window: String,
    operations: Vec<String>,
    target: Option<String>,
    /// The stretch of time that it is about, UTC nanoseconds; both ends are in it.
    pub stretch: (i64, i64),
}

/// What about a question is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct WrongParameter {
    /// `relation`, `at`, `window` or `operation`.
    pub parameter: &'static str,
    /// Why.
    #[source]
    pub error: Error,
}

impl ChangesQuestion {
    /// Reads what is asked.
    pub fn read(asked: AskedChanges<'_>) -> Result<ChangesQuestion, WrongParameter> {
        let wrong = |parameter| move |error| WrongParameter { parameter, error };
        let or = |text: &str, default: &str| {
            if text.trim().is_empty() { default.to_owned() } else { text.trim().to_owned() }
        };
        let relation = asked.relation.trim();
        readable(relation).map_err(wrong("relation"))?;
        let moment = Moment::parse(asked.at).map_err(wrong("at"))?;
        let window = or(asked.window, "1m");
        let length = length_of(&window).ok_or_else(|| {
            let shown: String = window.chars().take(64).collect();
            wrong("window")(Error::Invalid(format!("'{shown}' is not a length of time; write it like 30s, 1m or 2h")))
        })?;
        let operations = operations(&or(asked.operation, "update")).map_err(wrong("operation"))?;
        Ok(ChangesQuestion {
            relation: relation.to_owned(),
            // What it means now, so that each of the questions means the same.
            at: moment.written(),
            window,
            operations,
            target: Some(asked.target.trim()).filter(|target| !target.is_empty()).map(str::to_owned),
            stretch: around(moment, length),
        })
    }

    /// As it was written.
    pub fn relation(&self) -> &str {
        &self.relation
    }

    /// Each once; `any` alone, where all are meant.
    pub fn operations(&self) -> &[String] {
        &self.operations
    }

    /// The only target that is asked about.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    fn who_updated(&self) -> String {
        let texts = [&self.relation, &self.at, &self.window, &self.operations.join(",")];
        format!("who_updated({})", texts.map(|text| quoted(text)).join(", "))
    }

    fn of_target(&self) -> (&'static str, Vec<ScalarValue>) {
        match &self.target {
            Some(target) => ("WHERE target = $1", vec![text(target)]),
            None => ("", Vec::new()),
        }
    }
}

fn readable(relation: &str) -> Result<(), Error> {
    if relation.len() > MAX_RELATION {
        return Err(Error::Invalid(format!("a relation's name has at most {MAX_RELATION} bytes")));
    }
    parse(relation).map(|_| ())
}

/// Reads the name of one operation.
pub fn operation(text: &str) -> Result<String, Error> {
    let word = text.trim().to_lowercase();
    if Operation::ALL.iter().any(|known| known.as_str() == word) {
        return Ok(word);
    }
    let shown: String = word.chars().take(64).collect();
    let known: Vec<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
    Err(Error::Invalid(format!("'{shown}' is not an operation; write one of {}", known.join(", "))))
}

fn operations(text: &str) -> Result<Vec<String>, Error> {
    let known: Vec<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).chain(["any"]).collect();
    let mut operations = Vec::new();
    for word in text.split(',').map(|word| word.trim().to_lowercase()) {
        if !known.contains(&&*word) {
            let shown: String = word.chars().take(64).collect();
            return Err(Error::Invalid(format!(
                "'{shown}' is not an operation; write update, insert, delete, merge, truncate, copy_in, ddl, select or \
                 any, several with commas between them"
            )));
        }
        if !operations.contains(&word) {
            operations.push(word);
        }
    }
    if operations.iter().any(|word| word == "any") {
        operations = vec!["any".to_owned()];
    }
    Ok(operations)
}

/// A relation that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelation {
    /// As SQL writes it, with its schema.
    pub relation: String,
    /// `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
    pub kind: &'static str,
    /// Where it is, or was.
    pub targets: Vec<String>,
}

impl Engine {
    /// Rows of `who_updated`, the first `limit` each of what is certain and of what is possible; text `sql` is cut. Column
    /// `total` says how many there are of a row's certainty, `cut` whether `sql` is cut.
    pub async fn who_changed(&self, question: &ChangesQuestion, limit: usize) -> Result<Answer, Error> {
        let (of_target, values) = question.of_target();
        let who_updated = question.who_updated();
        let order = "committed_at, at, session_id, statement_no, relation, operation";
        self.ask(
            &format!(
                "SELECT * FROM (SELECT relation, operation, at, committed_at, job, subject, session_id, statement_no, \
                 target, rows, transaction_outcome, transaction_id, columns, certainty, reason, outcome_reason, via, \
                 substr(sql, 1, {MAX_SQL_SHOWN}) AS sql, coalesce(char_length(sql), 0) > {MAX_SQL_SHOWN} AS cut, \
                 row_number() OVER (PARTITION BY certainty ORDER BY {order}) AS place, \
                 count(*) OVER (PARTITION BY certainty) AS total FROM {who_updated} {of_target}) \
                 WHERE place <= {limit} ORDER BY certainty, place"
            ),
            values,
        )
        .await
    }

    /// The rows of `who_updated` themselves, all of them.
    pub async fn all_changes(&self, question: &ChangesQuestion, format: QueryFormat) -> Result<Export, Error> {
        let (of_target, values) = question.of_target();
        self.export_of(format!("SELECT * FROM {} {of_target}", question.who_updated()), values, format).await
    }

    /// Refuses a question about a target of which no session is in the record: that nothing was found there says nothing.
    pub async fn verify_target(&self, question: &ChangesQuestion) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Known {
            target: String,
        }
        let Some(asked) = &question.target else { return Ok(()) };
        let here = self.ask("SELECT target FROM sessions WHERE target = $1 LIMIT 1", vec![text(asked)]).await?;
        if here.rows() > 0 {
            return Ok(());
        }
        let known = format!("SELECT DISTINCT target FROM sessions ORDER BY target LIMIT {NAMES_READ}");
        let known: Vec<Known> = self.ask(&known, Vec::new()).await?.decode()?;
        let names: Vec<&str> = known.iter().map(|known| known.target.as_str()).collect();
        let shown: String = asked.chars().take(64).collect();
        let near = match nearest(asked, &names) {
            near if near.is_empty() && (1..=FEW).contains(&names.len()) => format!("; there are: {}", names.join(", ")),
            near => near,
        };
        Err(Error::NotFound(format!("no session of a target {shown} is in the record{near}")))
    }

    /// What was looked at for the answer: rows of `looked_at`.
    pub async fn looked_at(&self, question: &ChangesQuestion) -> Result<Answer, Error> {
        let (of_target, values) = question.of_target();
        let arguments = [&question.at, &question.window].map(|text| quoted(text)).join(", ");
        self.ask(&format!("SELECT * FROM looked_at({arguments}) {of_target}"), values).await
    }

    /// Relations of the recorded catalogs, those that are gone too, whose names hold what somebody has typed; those
    /// that begin with it come first, PostgreSQL's own last. With a dot, what is before it is the schema's beginning.
    pub async fn relations(&self, typed: &str, limit: usize) -> Result<Vec<KnownRelation>, Error> {
        #[derive(Deserialize)]
        struct Found {
            schema: Option<String>,
            name: String,
            target: String,
            definition: String,
        }
        let typed: String = typed.trim().chars().filter(|letter| *letter != '"').take(MAX_RELATION).collect();
        let typed = typed.to_lowercase();
        let (which, values) = match typed.rsplit_once('.') {
            Some((schema, name)) => {
                let which = "starts_with(lower(schema), $2) AND strpos(lower(name), $1) > 0";
                (which, vec![text(name.trim()), text(schema.trim())])
            }
            None => ("(strpos(lower(name), $1) > 0 OR starts_with(lower(schema), $1))", vec![text(&typed)]),
        };
        let named = format!(
            "SELECT name FROM catalog WHERE kind = 'relation' AND NOT removed AND {which} GROUP BY schema, name \
             ORDER BY schema IN ('pg_catalog', 'information_schema', 'pg_toast'), NOT starts_with(lower(name), $1), \
             char_length(name), name, schema LIMIT {NAMES_READ}"
        );
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named: Vec<Named> = self.ask(&named, values.clone()).await?.decode()?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let first = values.len() + 1;
        let places: Vec<String> = (first..first + named.len()).map(|place| format!("${place}")).collect();
        let mut all = values;
        all.extend(named.iter().map(|named| text(&named.name)));
        // A table whose definition changed is there as often: its latest is enough.
        let found = format!(
            "SELECT schema, name, target, last_value(definition ORDER BY read_at) AS definition FROM catalog \
             WHERE kind = 'relation' AND NOT removed AND {which} AND name IN ({}) GROUP BY schema, name, target \
             ORDER BY target",
            places.join(", ")
        );
        let found: Vec<Found> = self.ask(&found, all).await?.decode()?;
        let mut by_name: BTreeMap<(String, String), KnownRelation> = BTreeMap::new();
        for Found { schema, name, target, definition } in found {
            let Some(kind) = kind(&definition) else { continue };
            let relation = Name { schema: schema.clone(), name: name.clone() }.to_string();
            let known = KnownRelation { relation, kind, targets: Vec::new() };
            by_name.entry((name, schema.unwrap_or_default())).or_insert(known).targets.push(target);
        }
        let mut known = Vec::new();
        for Named { name } in named {
            let here: Vec<_> = by_name.keys().filter(|(found, _)| *found == name).cloned().collect();
            known.extend(here.iter().filter_map(|key| by_name.remove(key)));
        }
        known.truncate(limit.clamp(1, MAX_SUGGESTED));
        Ok(known)
    }
}

/// What a relation is; `None` where nobody writes or reads it by its name.
fn kind(definition: &str) -> Option<&'static str> {
    let Ok(Object::Relation(relation)) = serde_json::from_str::<Object>(definition) else { return None };
    match relation.kind {
        RelationKind::Table => Some("table"),
        RelationKind::Partitioned => Some("partitioned table"),
        RelationKind::View => Some("view"),
        RelationKind::MaterializedView => Some("materialized view"),
        RelationKind::Foreign => Some("foreign table"),
        _ => None,
    }
}
