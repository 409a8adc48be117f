//! A session's statements, from when they are asked for until their transaction has ended.
//!
//! Invariant: a statement becomes rows once. What is kept is bounded: beyond [`MAX_PENDING`] statements or
//! [`MAX_PENDING_BYTES`] of text, those that are answered become rows with the outcome 'unknown'.

use std::collections::BTreeMap;
use std::sync::Arc;

use hansard_pg_wire::tracker::{Event, Finished, Outcome as Ended, Request, Started, Tracker};
use hansard_policy::{Effect, Operation, Statement};
use hansard_schemas::events::Omitted;
use serde::{Deserialize, Serialize};

use super::analyses::{Analysed, Analyses, Reading};
use super::command;
use super::names::Names;
use super::parameters;
use super::rows::{Certainty, Outcome, Rows, StatementRow, TouchRow, TransactionKind, TransactionRow};
use super::session::Identity;

/// Most statements of an open transaction that are kept.
pub(super) const MAX_PENDING: usize = 200_000;

/// Most bytes of text and parameters that are kept of an open transaction's statements, counted for each of them.
pub(super) const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;

/// Most statements prepared in SQL that are remembered, and most bytes of their texts.
const MAX_PREPARED: usize = 1000;
const MAX_PREPARED_BYTES: usize = 4 * 1024 * 1024;

/// The statements of a session that are not rows yet, and what their texts mean there.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) bytes: usize,
    pub(super) context: Context,
}

/// What a text needs to be understood, beside itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) names: Names,
    /// Prepared in SQL: the text that held PREPARE, and which of its statements it is.
    prepared: BTreeMap<String, (String, u32)>,
    standard_conforming_strings: bool,
    ascii_only: bool,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            names: Names::default(),
            prepared: BTreeMap::new(),
            standard_conforming_strings: true,
            ascii_only: false,
        }
    }
}

/// A statement that is not a row yet.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) kept: Kept,
    pub(super) sql: Arc<str>,
    pub(super) parameters: Option<Arc<str>>,
    pub(super) fingerprint: Option<Arc<str>>,
    /// The text it was part of, and what it does; until it is answered.
    pub(super) asked: Option<Asked>,
    /// What it touched; once it is answered.
    pub(super) touched: Arc<[Touched]>,
}

/// What of a pending statement is kept as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) operation: Operation,
    pub(super) started_at: i64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) truncated: bool,
    pub(super) transaction: Option<u64>,
    pub(super) finished_at: Option<i64>,
    pub(super) rows: Option<i64>,
    pub(super) sqlstate: Option<String>,
    pub(super) error: Option<String>,
    pub(super) rolled_back: bool,
    /// Rows and bytes of its result that are not in the record.
    #[serde(default)]
    pub(super) omitted: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) text: Arc<str>,
    pub(super) part: u32,
    pub(super) request: Asking,
    does: Arc<Statement>,
    /// What it changes in the session: its own, not that of what it executes.
    effect: Effect,
}

/// [`Request`], in a form that is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asking {
    Text,
    Name(String),
    Function(u32),
    Omitted,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Touched {
    pub(super) relation: Arc<str>,
    pub(super) operation: Operation,
    pub(super) columns: Vec<Arc<str>>,
    pub(super) counted: bool,
}

impl Context {
    pub(super) fn reading(&self) -> Reading {
        Reading { standard_conforming_strings: self.standard_conforming_strings, ascii_only: self.ascii_only }
    }

    fn setting(&mut self, name: &str, value: &str) {
        match name {
            "standard_conforming_strings" => self.standard_conforming_strings = value != "off",
            "client_encoding" => {
                let unsafe_encodings = ["BIG5", "GBK", "UHC", "SJIS", "JOHAB", "GB18030", "SHIFT_JIS_2004"];
                self.ascii_only = unsafe_encodings.contains(&value.to_ascii_uppercase().as_str());
            }
            "search_path" => self.names.told(value),
            _ => {}
        }
    }

    /// What a text, or a name, asks for.
    pub(super) fn understand(
        &self,
        text: &Arc<str>,
        part: u32,
        request: &Asking,
        tracker: &Tracker,
        analyses: &mut Analyses,
    ) -> (Asked, Analysed) {
        let mut analysed = match request {
            Asking::Text => {
                let all = analyses.of(text);
                all.get(part as usize).unwrap_or(&all[0]).clone()
            }
            Asking::Name(name) => self.prepared(name, analyses).unwrap_or_else(|| unknown("", Operation::Execute)),
            Asking::Function(oid) => unknown(&format!("function call {oid}"), Operation::Call),
            Asking::Omitted => unknown("", Operation::Opaque),
        };
        let effect = if *request == Asking::Text { analysed.statement.effect.clone() } else { Effect::None };
        if let Effect::Execute(name) = &effect {
            let inner = self.prepared(name, analyses).or_else(|| {
                let text = tracker.prepared_text(name)?;
                analyses.of(&text).first().cloned()
            });
            if let Some(inner) = inner {
                let outer = analysed.statement.operation;
                let mut does = (*inner.statement).clone();
                match outer {
                    Operation::Execute => {}
                    // EXPLAIN ANALYZE EXECUTE, CREATE TABLE AS EXECUTE
                    _ => {
                        does.operation = outer;
                        does.relations.iter_mut().for_each(|relation| relation.counted = false);
                        does.relations.extend(analysed.statement.relations.iter().cloned());
                    }
                }
                analysed.statement = Arc::new(does);
            }
        }
        let does = analysed.statement.clone();
        (Asked { text: text.clone(), part, request: request.clone(), does, effect }, analysed)
    }

    /// The statement prepared in SQL under that name.
    fn prepared(&self, name: &str, analyses: &mut Analyses) -> Option<Analysed> {
        let (text, part) = self.prepared.get(name)?;
        let all = analyses.of(&text.as_str().into());
        let outer = all.get(*part as usize)?;
        match &outer.statement.effect {
            Effect::Prepare { statement, .. } => {
                Some(Analysed { statement: Arc::new((**statement).clone()), ..outer.clone() })
            }
            _ => None,
        }
    }

    fn apply(&mut self, statement: u64, asked: &Asked) {
        match &asked.effect {
            Effect::Prepare { name, .. } => {
                let bytes: usize = self.prepared.values().map(|(text, _)| text.len()).sum();
                if self.prepared.len() < MAX_PREPARED && bytes + asked.text.len() <= MAX_PREPARED_BYTES {
                    self.prepared.insert(name.clone(), (asked.text.as_ref().to_owned(), asked.part));
                }
            }
            Effect::Deallocate(Some(name)) => _ = self.prepared.remove(name),
            Effect::Deallocate(None) => self.prepared.clear(),
            effect => {
                if let Effect::Discard { all: true, .. } = effect {
                    self.prepared.clear();
                }
                self.names.apply(statement, effect);
            }
        }
    }

    /// What the statement touches, by full names.
    fn touched(&self, asked: &Asked) -> Arc<[Touched]> {
        let created = match &asked.effect {
            Effect::CreateTemporary(name) => Some(name),
            _ => None,
        };
        let touched = asked.does.relations.iter().map(|relation| {
            let new = relation.operation == Operation::Ddl && created == Some(&relation.name.name);
            Touched {
                relation: if new {
                    format!("pg_temp.{}", relation.name.name).into()
                } else {
                    self.names.resolve(&relation.name)
                },
                operation: relation.operation,
                columns: relation.columns.iter().map(|column| column.as_str().into()).collect(),
                counted: relation.counted,
            }
        });
        touched.collect()
    }
}

fn unknown(text: &str, operation: Operation) -> Analysed {
    let opaque = Some("the text is not known".to_owned());
    let statement = Statement { opaque, ..Statement::new(operation, 0..text.len()) };
    Analysed { text: text.into(), fingerprint: None, statement: Arc::new(statement) }
}

impl Statements {
    /// Takes what the tracker told.
    pub(super) fn take(
        &mut self,
        events: &mut Vec<Event>,
        tracker: &Tracker,
        identity: &Identity,
        analyses: &mut Analyses,
        rows: &mut Rows,
    ) {
        for event in events.drain(..) {
            match event {
                Event::Started(started) => {
                    self.start(started, tracker, analyses);
                    if self.pending.len() > MAX_PENDING || self.bytes > MAX_PENDING_BYTES {
                        self.overflow(identity, rows);
                    }
                }
                Event::Began { statement, at } => {
                    if let Some(pending) = self.pending.get_mut(&statement) {
                        pending.kept.started_at = at;
                    }
                }
                Event::Finished(finished) => self.finish(finished, tracker, analyses),
                Event::Unanswered { statement, transaction } => {
                    if let Some(pending) = self.pending.get_mut(&statement) {
                        pending.kept.transaction = Some(transaction);
                        if let Some(asked) = pending.asked.take() {
                            pending.touched = self.context.touched(&asked);
                        }
                    }
                }
                Event::RolledBack { transaction, first, last } => {
                    if first <= last {
                        for pending in self.pending.range_mut(first..=last).map(|(_, pending)| pending) {
                            pending.kept.rolled_back |= pending.kept.transaction == Some(transaction);
                        }
                    }
                    self.context.names.roll_back_from(first);
                }
                Event::TransactionEnded { transaction, outcome, at, .. } => {
                    self.context.names.end_transaction(outcome == Ended::RolledBack);
                    let (outcome, committed_at) = match outcome {
                        Ended::Committed => (Outcome::Committed, Some(at)),
                        Ended::RolledBack => (Outcome::RolledBack, None),
                        Ended::Unknown => (Outcome::Unknown, None),
                    };
                    let within = |pending: &&Pending| pending.kept.transaction == Some(transaction);
                    let mut numbers = self.pending.iter().filter(|(_, pending)| within(pending)).map(|(no, _)| *no);
                    let first_statement = numbers.next().unwrap_or(0);
                    rows.transactions.push(TransactionRow {
                        session_id: identity.session_id,
                        transaction_id: transaction,
                        target: identity.target.clone(),
                        database: Arc::from(""),
                        kind: TransactionKind::Transaction,
                        first_statement,
                        last_statement: numbers.next_back().unwrap_or(first_statement),
                        outcome,
                        reason: None,
                        ended_at: at,
                        committed_at,
                        gid: None,
                    });
                    self.end(Some(transaction), outcome, committed_at, identity, rows);
                }
                Event::Setting { name, value } => self.context.setting(&name, &value),
            }
        }
    }

    fn start(&mut self, started: Started, tracker: &Tracker, analyses: &mut Analyses) {
        analyses.read_as(self.context.reading());
        let request = match started.request {
            Request::Text => Asking::Text,
            Request::Name(name) => Asking::Name(name),
            Request::Function(oid) => Asking::Function(oid),
            Request::Omitted => Asking::Omitted,
        };
        let (asked, analysed) = self.context.understand(&started.text, started.part, &request, tracker, analyses);
        let parameters = started.parameters.as_ref();
        let truncated = started.truncated || parameters.is_some_and(|parameters| parameters.truncated);
        // What the frames do not hold either is not there in part.
        let truncated = truncated && request != Asking::Omitted;
        let pending = Pending {
            kept: Kept {
                operation: asked.does.operation,
                started_at: started.at,
                first_seq: started.first_seq,
                last_seq: started.last_seq,
                truncated,
                transaction: None,
                finished_at: None,
                rows: None,
                sqlstate: None,
                error: None,
                rolled_back: false,
                omitted: None,
            },
            sql: analysed.text,
            parameters: parameters.and_then(parameters::to_json).map(Arc::from),
            fingerprint: analysed.fingerprint,
            asked: Some(asked),
            touched: Arc::from([]),
        };
        self.bytes += pending.size();
        self.pending.insert(started.statement, pending);
    }

    fn finish(&mut self, finished: Finished, tracker: &Tracker, analyses: &mut Analyses) {
        let Some(pending) = self.pending.get_mut(&finished.statement) else { return };
        let kept = &mut pending.kept;
        kept.transaction = Some(finished.transaction);
        kept.finished_at = Some(finished.at);
        kept.last_seq = kept.last_seq.max(finished.seq);
        kept.rows = finished.rows.and_then(|rows| i64::try_from(rows).ok());
        let failed = finished.failure.is_some();
        if let Some(failure) = finished.failure {
            let message = Some(failure.message).filter(|message| !message.is_empty());
            (kept.sqlstate, kept.error) = (Some(failure.sqlstate), message);
        }
        if let Some(carried_out) = finished.command {
            kept.operation = command::operation(&carried_out);
        }
        if let Some(mut asked) = pending.asked.take() {
            if matches!(asked.effect, Effect::Execute(_)) {
                // What it executes may have been prepared since it was asked for.
                analyses.read_as(self.context.reading());
                asked = self.context.understand(&asked.text, asked.part, &asked.request, tracker, analyses).0;
                pending.kept.operation = asked.does.operation;
            }
            pending.touched = self.context.touched(&asked);
            if !failed {
                self.context.apply(finished.statement, &asked);
            }
        }
    }

    /// Rows of a statement's result are not in the record.
    pub(super) fn omitted(&mut self, statement: Option<u64>, omitted: Omitted) {
        if let Some(pending) = statement.and_then(|statement| self.pending.get_mut(&statement)) {
            let (rows, bytes) = pending.kept.omitted.unwrap_or_default();
            let all = (rows.saturating_add(omitted.frames), bytes.saturating_add(omitted.bytes));
            pending.kept.omitted = Some(all);
        }
    }

    /// Makes rows of what belongs to the transaction; of all when `None`.
    pub(super) fn end(
        &mut self,
        transaction: Option<u64>,
        outcome: Outcome,
        committed_at: Option<i64>,
        identity: &Identity,
        rows: &mut Rows,
    ) {
        let belongs = |pending: &Pending| transaction.is_none() || pending.kept.transaction == transaction;
        // Nearly always the oldest; then no other has to be looked at.
        while let Some(first) = self.pending.first_entry().filter(|first| belongs(first.get())) {
            let (number, pending) = first.remove_entry();
            self.bytes -= pending.size();
            pending.rows(number, Some(outcome), committed_at, identity, rows);
        }
        if self.pending.first_key_value().is_some_and(|(_, first)| first.kept.transaction.is_none()) {
            let rest: Vec<u64> =
                self.pending.iter().filter(|(_, pending)| belongs(pending)).map(|(number, _)| *number).collect();
            for number in rest {
                if let Some(pending) = self.pending.remove(&number) {
                    self.bytes -= pending.size();
                    pending.rows(number, Some(outcome), committed_at, identity, rows);
                }
            }
        }
    }

    /// Too much is open: what is answered leaves without its outcome.
    fn overflow(&mut self, identity: &Identity, rows: &mut Rows) {
        let answered: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.kept.transaction.is_some() || self.pending.len() > 2 * MAX_PENDING)
            .map(|(number, _)| *number)
            .collect();
        for number in answered {
            if let Some(pending) = self.pending.remove(&number) {
                self.bytes -= pending.size();
                pending.rows(number, Some(Outcome::Unknown), None, identity, rows);
            }
        }
    }

    /// Rows of what has no outcome yet.
    pub(super) fn open(&self, current: u64, identity: &Identity, rows: &mut Rows) {
        for (number, pending) in &self.pending {
            let mut pending = pending.clone();
            pending.kept.transaction.get_or_insert(current);
            if let Some(asked) = pending.asked.take() {
                pending.touched = self.context.touched(&asked);
            }
            pending.rows(*number, None, None, identity, rows);
        }
    }
}

impl Pending {
    pub(super) fn size(&self) -> usize {
        self.sql.len() + self.parameters.as_ref().map_or(0, |parameters| parameters.len())
    }

    fn rows(
        self,
        statement_no: u64,
        outcome: Option<Outcome>,
        committed_at: Option<i64>,
        identity: &Identity,
        rows: &mut Rows,
    ) {
        let kept = self.kept;
        let failed = kept.sqlstate.is_some();
        let outcome = if failed || kept.rolled_back { Some(Outcome::RolledBack) } else { outcome };
        let committed_at = committed_at.filter(|_| outcome == Some(Outcome::Committed));
        let transaction_id = kept.transaction.unwrap_or(0);
        let session_id = identity.session_id;
        for touched in self.touched.iter() {
            rows.touches.push(TouchRow {
                relation: touched.relation.clone(),
                operation: touched.operation.as_str(),
                at: kept.started_at,
                committed_at,
                job: identity.job.clone(),
                subject: identity.subject.clone(),
                session_id,
                statement_no,
                target: identity.target.clone(),
                rows: kept.rows.filter(|_| touched.counted && !failed),
                transaction_outcome: outcome,
                columns: touched.columns.clone(),
                transaction_id,
                outcome_reason: None,
                certainty: Certainty::Certain,
                reason: None,
            });
        }
        rows.statements.push(StatementRow {
            session_id,
            statement_no,
            target: identity.target.clone(),
            job: identity.job.clone(),
            subject: identity.subject.clone(),
            issuer: identity.issuer.clone(),
            operation: kept.operation.as_str(),
            sql: self.sql,
            parameters: self.parameters,
            fingerprint: self.fingerprint,
            started_at: kept.started_at,
            finished_at: kept.finished_at,
            rows: kept.rows,
            sqlstate: kept.sqlstate.map(Arc::from),
            error: kept.error.map(Arc::from),
            verdict: "allow",
            transaction_id,
            transaction_outcome: outcome,
            committed_at,
            outcome_reason: None,
            opaque: None,
            first_seq: kept.first_seq,
            last_seq: kept.last_seq,
            truncated: kept.truncated,
            omitted: kept.omitted.map(|(frames, bytes)| Omitted { frames, bytes }),
        });
    }
}
