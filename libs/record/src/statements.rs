//! A session's statements: what each of them did, by its text and by the server's answer.
//!
//! A statement's rows leave when it is answered. What becomes of its transaction is written into them as long as they
//! are at hand, and told by a row of its own in any case.
//!
//! Invariants: a statement becomes rows once; what a session keeps does not grow with its transaction; texts and touches
//! of a session take no more room than so many times (`allowance`) what it sent and was sent, however often a text comes again.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use hansard_pg_wire::conversation::{
    Doubt, Event, Finished, Moment, Outcome as Ended, Parameters, Request, Started, TransactionEnded,
};
use hansard_policy::reach::Via;
use hansard_policy::{Operation, Statement};
use hansard_schemas::events::Omitted;
use serde::{Deserialize, Serialize};

use super::analyses::SqlText;
use super::catalogs::Known;
use super::command;
use super::names::{InSession, Meanings, Names, UNKNOWN_RELATION};
use super::parameters;
use super::reports::Reports;
use super::rows::{Certainty, Outcome, Rows, StatementRow, Status, TouchRow, TransactionKind, TransactionRow};
use super::session::Identity;

mod allowance;
mod answered;
mod does;
mod reaches;
#[cfg(test)]
mod tests;
mod transaction;

use allowance::ALLOWANCE_AT_FIRST;
use answered::{Answered, placed};
use does::{Does, Reader};
use reaches::{Kept, Reaches, Told};
use transaction::transaction_row;

/// Bytes that a touch is counted with beside its columns.
const TOUCH: u64 = 128;

/// Bytes that a column of a touch is counted with beside its name.
const COLUMN: u64 = 16;

/// The statements of a session that are not answered, and what their texts mean there.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// Begun and not answered, by number: the one under way, and portals that are fetched from in portions.
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) context: Context,
    /// Rows at hand whose transaction has not ended, by statement.
    open: BTreeMap<u64, OpenRow>,
    kept: Kept,
    /// The state of the catalog by which names were last looked through.
    covered: u64,
}

/// What a text needs to be understood, beside itself, and what is counted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) names: Names,
    /// Answers that do not fit what was asked for.
    pub(super) contradictions: u64,
    /// Bytes that rows may still take.
    allowance: u64,
    /// The highest number of a statement that was answered.
    last: u64,
    /// The latest transaction that a statement was answered in, and when its earliest statement began. `None`: not known
    /// before the next transaction, as in states from before it was kept.
    #[serde(default)]
    began: Option<(u64, i64)>,
    /// Statements that failed.
    #[serde(default)]
    pub(super) errors: u64,
    /// What was said outside of any statement.
    #[serde(default)]
    pub(super) reports: Reports,
}

impl Default for Context {
    fn default() -> Self {
        let began = Some((0, i64::MAX));
        Context {
            names: Names::default(),
            contradictions: 0,
            allowance: ALLOWANCE_AT_FIRST,
            last: 0,
            began,
            errors: 0,
            reports: Reports::default(),
        }
    }
}

impl Context {
    /// A statement of a transaction began at that time.
    fn begin(&mut self, transaction: u64, at: i64) {
        match &mut self.began {
            Some((current, earliest)) if *current == transaction => *earliest = (*earliest).min(at),
            Some((current, earliest)) if *current < transaction => (*current, *earliest) = (transaction, at),
            _ => {}
        }
    }

    /// When a transaction's earliest statement began.
    fn began(&self, transaction: u64) -> Option<i64> {
        self.began.filter(|(current, at)| *current == transaction && *at != i64::MAX).map(|(_, at)| at)
    }

    /// A transaction ended: what follows is another.
    fn ended(&mut self, transaction: u64) {
        self.began.get_or_insert((transaction, i64::MAX));
    }
}

/// A statement that is not a row yet.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) started: Started<SqlText>,
    /// Rows and bytes of its result that are not in the record.
    pub(super) omitted: Option<(u64, u64)>,
    /// It has run in part, which has been taken into account.
    pub(super) counted: bool,
    /// What the server has said while it ran.
    pub(super) reports: Reports,
}

impl From<Started<SqlText>> for Pending {
    fn from(started: Started<SqlText>) -> Pending {
        Pending { started, omitted: None, counted: false, reports: Reports::default() }
    }
}

/// Where the rows of a statement are.
#[derive(Debug)]
struct OpenRow {
    transaction: u64,
    row: usize,
    touches: std::ops::Range<usize>,
}

impl Statements {
    /// Rows that were at hand are not any more.
    pub(super) fn rows_left(&mut self) {
        self.open.clear();
    }

    /// Takes what the conversation told.
    pub(super) fn take(
        &mut self,
        events: &mut Vec<Event<SqlText>>,
        identity: &Identity,
        mut known: Option<&mut Known>,
        rows: &mut Rows,
    ) {
        if let Some(known) = &known
            && std::mem::replace(&mut self.covered, known.epoch) != known.epoch
        {
            self.context.names.covered(known.begun_at);
        }
        for event in events.drain(..) {
            match event {
                Event::Started(started) => {
                    let number = started.statement;
                    self.pending.insert(number, started.into());
                }
                Event::Finished(finished) => self.finish(finished, identity, known.as_deref_mut(), rows),
                Event::Unanswered { statement, transaction } => {
                    self.unanswered(statement, transaction, identity, known.as_deref_mut(), rows);
                }
                Event::RolledBack { transaction, first, last, at } => {
                    self.context.names.roll_back_from(first);
                    self.settle(rows, transaction, first..=last, Outcome::RolledBack, None, None);
                    rows.transactions.push(TransactionRow {
                        first_statement: first,
                        last_statement: last,
                        started_at: self.context.began(transaction),
                        ..transaction_row(identity, transaction, TransactionKind::Savepoint, Outcome::RolledBack, at)
                    });
                }
                Event::TransactionEnded(ended) => self.end_transaction(ended, identity, rows),
                Event::Resolved { gid, committed, statement, transaction, at } => {
                    let outcome = if committed { Outcome::Committed } else { Outcome::RolledBack };
                    rows.transactions.push(TransactionRow {
                        first_statement: statement,
                        last_statement: statement,
                        committed_at: committed.then_some(at),
                        gid: Some(gid.into()),
                        ..transaction_row(identity, transaction, TransactionKind::Resolution, outcome, at)
                    });
                }
                Event::Reported { statement, at, report } => {
                    let pending = statement.and_then(|statement| self.pending.get_mut(&statement));
                    let reports = pending.map_or(&mut self.context.reports, |pending| &mut pending.reports);
                    reports.push(at, false, report);
                }
                Event::Setting { name, value } => {
                    if name == "search_path" {
                        self.context.names.told(&value);
                    }
                }
            }
        }
    }

    fn end_transaction(&mut self, ended: TransactionEnded, identity: &Identity, rows: &mut Rows) {
        let TransactionEnded { transaction, first, outcome, at, .. } = ended;
        self.context.names.end_transaction(&outcome, at);
        let (outcome, committed_at, reason, gid) = match outcome {
            Ended::Committed => (Outcome::Committed, Some(at), None, None),
            Ended::RolledBack(reason) => (Outcome::RolledBack, None, reason, None),
            Ended::Prepared(gid) => (Outcome::Prepared, None, None, Some(Arc::from(gid))),
            Ended::Unknown(reason) => (Outcome::Unknown, None, Some(reason), None),
        };
        let reason: Option<Arc<str>> = reason.map(Arc::from);
        // Whatever became of a prepared transaction is said by another row, perhaps of another session.
        if outcome == Outcome::Prepared {
            self.open.retain(|_, open| open.transaction != transaction);
        } else {
            self.settle(rows, transaction, 0..=u64::MAX, outcome, committed_at, reason.clone());
        }
        if let Some(first) = first {
            // One that is not answered yet may be the earliest.
            let unanswered = self.pending.range(first..).next().map_or(i64::MAX, |(_, pending)| pending.started.at);
            rows.transactions.push(TransactionRow {
                first_statement: first,
                last_statement: self.context.last.max(first),
                reason,
                committed_at,
                gid,
                started_at: self.context.began(transaction).map(|at| at.min(unanswered)),
                ..transaction_row(identity, transaction, TransactionKind::Transaction, outcome, at)
            });
        }
        self.context.ended(transaction);
    }

    /// Writes an outcome into rows of these statements that are at hand, which are not open any more then: each is
    /// looked at once, however often a transaction goes back to its savepoints.
    fn settle(
        &mut self,
        rows: &mut Rows,
        transaction: u64,
        statements: RangeInclusive<u64>,
        outcome: Outcome,
        committed_at: Option<i64>,
        reason: Option<Arc<str>>,
    ) {
        for (statement, open) in self.open.extract_if(statements, |_, open| open.transaction == transaction) {
            if let Some(row) = rows.statements.get_mut(open.row)
                && row.statement_no == statement
                && row.transaction_outcome.is_none()
            {
                row.transaction_outcome = Some(outcome);
                (row.committed_at, row.outcome_reason) = (committed_at, reason.clone());
            }
            for touch in rows.touches.get_mut(open.touches.clone()).unwrap_or_default() {
                if touch.statement_no == statement && touch.transaction_outcome.is_none() {
                    touch.transaction_outcome = Some(outcome);
                    (touch.committed_at, touch.outcome_reason) = (committed_at, reason.clone());
                }
            }
        }
    }

    /// What a statement does, as the session's names are now.
    fn does<'a>(&mut self, started: &'a Started<SqlText>, identity: &Identity, known: Option<&mut Known>) -> Does<'a> {
        let (names, kept, session_id) = (&self.context.names, &mut self.kept, identity.session_id);
        let began = Moment { statement: started.statement.saturating_sub(1), at: started.at };
        Does::of(&started.request, &mut Reader { names, known, kept, session_id, began })
    }

    fn finish(&mut self, finished: Finished, identity: &Identity, mut known: Option<&mut Known>, rows: &mut Rows) {
        let Some(pending) = self.pending.remove(&finished.statement) else { return };
        self.run_before(finished.statement, identity, known.as_deref_mut());
        let mut does = self.does(&pending.started, identity, known.as_deref_mut());
        let mut contradicted = false;
        if let Some(tag) = &finished.tag {
            let answered = command::operation(tag);
            if matches!(does.operation, Operation::Opaque | Operation::Execute) {
                does.operation = answered;
            } else if !command::fits(does.operation, tag) {
                self.context.contradictions += 1;
                contradicted = true;
                does.contradicted(&tag.words);
                does.operation = answered;
            }
        }
        // A result that was not fetched to its end says nothing of what the statement did.
        let told = finished.tag.is_some() || does.operation == Operation::Select;
        let count = finished.rows.filter(|_| told).and_then(|rows| i64::try_from(rows).ok());
        let number = finished.statement;
        let succeeded = finished.failure.is_none();
        let failure = finished.failure;
        let outcome = finished.undone.then_some(Outcome::RolledBack);
        let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        let mut row = Answered {
            transaction: finished.transaction,
            at: Some(finished.at),
            seq: finished.seq,
            count,
            outcome,
            status: Some(Status::Done),
            ..Answered::default()
        };
        if let Some(failure) = failure {
            row.status = Some(if failure.not_run { Status::NotRun } else { Status::Failed });
            self.context.errors += u64::from(!failure.not_run);
            (row.sqlstate, row.error) = (Some(failure.sqlstate.as_str().into()), text(&failure.message));
            row.severity = text(&failure.severity);
            row.details = failure.details.map(|details| placed(*details, &pending.started.request));
        }
        let effects = std::mem::take(&mut does.effects);
        let can_change = finished.tag.as_ref().is_none_or(command::may_change_names);
        // Of what is not known, or did not come to nothing when it failed, names may mean something else.
        let unclear = match succeeded {
            true => contradicted || pending.started.doubt.is_some() || does.may_change_names_unseen(),
            false => !finished.undone && does.may_change_names(&effects),
        };
        self.push(&pending, does, row, identity, rows);
        if succeeded {
            let parameters = pending.started.parameters.as_ref();
            effects.into_iter().for_each(|(statement, reaches)| {
                self.take_effect(number, statement, &reaches, parameters, identity, known.as_deref());
            });
        }
        if unclear && can_change {
            self.context.names.lose(number);
        }
    }

    /// Portals that wait with rows left have run in part, and may have changed what names mean.
    fn run_before(&mut self, number: u64, identity: &Identity, mut known: Option<&mut Known>) {
        let waiting: Vec<u64> =
            self.pending.range(..number).filter(|(_, pending)| !pending.counted).map(|(n, _)| *n).collect();
        for statement in waiting {
            let Some(mut pending) = self.pending.remove(&statement) else { continue };
            pending.counted = true;
            let mut does = self.does(&pending.started, identity, known.as_deref_mut());
            let effects = std::mem::take(&mut does.effects);
            if does.may_change_names_unseen() || does.may_change_names(&effects) {
                self.context.names.lose(statement);
            }
            self.pending.insert(statement, pending);
        }
    }

    /// Something is missing: what names mean may have been changed in it.
    pub(super) fn gap(&mut self) {
        self.context.names.lose(self.context.last + 1);
    }

    /// A statement has changed what names mean.
    fn take_effect(
        &mut self,
        number: u64,
        statement: &Statement,
        reaches: &Reaches,
        parameters: Option<&Parameters>,
        identity: &Identity,
        known: Option<&Known>,
    ) {
        let bound = |place: u32| {
            let parameters = parameters.filter(|parameters| !parameters.truncated)?;
            let value = parameters.values.get((place as usize).checked_sub(1)?)?.value.as_ref()?;
            String::from_utf8(value.to_vec()).ok()
        };
        let meanings = match statement.names.is_empty() && statement.routine.is_none() && statement.definition.is_none()
        {
            true => Meanings::default(),
            false => Meanings::new(statement, &InSession::new(&self.context.names, known, identity.session_id)),
        };
        self.context.names.apply(number, statement, reaches.reached.as_ref(), &bound, &meanings);
    }

    fn unanswered(
        &mut self,
        statement: u64,
        transaction: u64,
        identity: &Identity,
        known: Option<&mut Known>,
        rows: &mut Rows,
    ) {
        let Some(pending) = self.pending.remove(&statement) else { return };
        let does = self.does(&pending.started, identity, known);
        let row = Answered { transaction, status: Some(Status::NoAnswer), ..Answered::default() };
        self.push(&pending, does, row, identity, rows);
    }

    /// Makes the statement's rows.
    fn push(
        &mut self,
        pending: &Pending,
        mut does: Does<'_>,
        answered: Answered,
        identity: &Identity,
        rows: &mut Rows,
    ) {
        let Pending { started, omitted, reports, .. } = pending;
        let number = started.statement;
        self.context.last = self.context.last.max(number);
        self.context.names.answer(number, started.at);
        self.context.begin(answered.transaction, started.at);
        if let Some(doubt) = started.doubt
            && (does.opaque.is_none() || doubt == Doubt::SeveralPortals)
        {
            let reason = match doubt {
                Doubt::SentAhead => {
                    "it was sent ahead and not answered: what its names mean depends on what came before it"
                }
                Doubt::SeveralPortals => "it may be more rows of a statement before: names of portals are not recorded",
                Doubt::CodeRan => "code ran since its name was given, and may have given it to something else",
            };
            (does.certain, does.opaque) = (false, Some(reason.into()));
        }
        let opaque: Option<Arc<str>> = does.opaque.as_deref().map(Arc::from);
        let undone = answered.outcome == Some(Outcome::RolledBack);
        let begin = rows.touches.len();
        let touch = |told: &Told, columns, count, some_rows: bool| {
            let reason = told.reason.clone().filter(|_| !(told.if_rows && some_rows));
            let reason = reason.or_else(|| opaque.clone().filter(|_| !does.certain));
            TouchRow {
                relation: told.relation.clone(),
                operation: told.operation.as_str(),
                at: started.at,
                committed_at: None,
                job: identity.job.clone(),
                subject: identity.subject.clone(),
                session_id: identity.session_id,
                statement_no: number,
                target: identity.target.clone(),
                rows: count,
                transaction_id: answered.transaction,
                transaction_outcome: answered.outcome,
                outcome_reason: None,
                columns,
                via: told.via.as_str(),
                certainty: if reason.is_none() { Certainty::Certain } else { Certainty::Possible },
                reason,
            }
        };
        let (mut dropped, mut without_columns) = (false, false);
        let all = does.touches.iter().flat_map(|touches| touches.reaches.told.iter().map(move |told| (touches, told)));
        for (touches, told) in all.filter(|(touches, told)| !touches.only_code || told.via == Via::Function) {
            if self.context.allowance < TOUCH {
                dropped = true;
                break;
            }
            self.context.allowance -= TOUCH;
            let mut columns = told.columns.clone();
            let bytes = columns.iter().map(|column| column.len() as u64 + COLUMN).sum::<u64>();
            match self.context.allowance.checked_sub(bytes) {
                Some(left) => self.context.allowance = left,
                None => (columns, without_columns) = (Arc::default(), true),
            }
            let rows_of = answered.count.filter(|_| touches.counted && !undone);
            let count = rows_of.filter(|_| told.counted && told.reason.is_none());
            rows.touches.push(touch(told, columns, count, rows_of.is_some_and(|count| count > 0)));
        }
        if (does.may_touch() || dropped) && !undone {
            // A tag tells less than a text: SELECT may have been a CTE that writes, CREATE TABLE AS answers SELECT.
            let told = does.certain || command::writes_rows(does.operation);
            let operation = match told {
                _ if does.calls => Operation::Call,
                true => does.operation,
                false => Operation::Opaque,
            };
            let reason = match dropped {
                true => Some("it touches more relations than are told for so little that was sent".into()),
                false => opaque.clone(),
            };
            let (relation, via) = (UNKNOWN_RELATION.into(), if does.calls { Via::Function } else { Via::Direct });
            let columns: Arc<[Arc<str>]> = Arc::default();
            let told = Told { relation, operation, via, reason, if_rows: false, counted: false, columns };
            rows.touches.push(touch(&told, Arc::default(), None, false));
        }
        let touches = begin..rows.touches.len();
        let (sql, shortened) = self.context.within_allowance(does.sql, does.repeated);
        let executed = does.executed.map(|executed| self.context.executed(executed));
        if answered.outcome.is_none() {
            let open = OpenRow { transaction: answered.transaction, row: rows.statements.len(), touches };
            self.open.insert(number, open);
        }
        let parameters = started.parameters.as_ref();
        let truncated = started.truncated || parameters.is_some_and(|parameters| parameters.truncated);
        rows.statements.push(StatementRow {
            session_id: identity.session_id,
            statement_no: number,
            target: identity.target.clone(),
            job: identity.job.clone(),
            subject: identity.subject.clone(),
            issuer: identity.issuer.clone(),
            operation: does.operation.as_str(),
            sql,
            parameters: parameters.and_then(parameters::to_json).map(Arc::from),
            fingerprint: does.fingerprint,
            started_at: started.at,
            finished_at: answered.at,
            rows: answered.count,
            sqlstate: answered.sqlstate,
            error: answered.error,
            verdict: "allow",
            transaction_id: answered.transaction,
            transaction_outcome: answered.outcome,
            committed_at: None,
            outcome_reason: None,
            opaque,
            first_seq: started.first_seq,
            last_seq: started.last_seq.max(answered.seq),
            // What the frames do not hold either is not there in part.
            truncated: (truncated || shortened || without_columns) && started.request != Request::Omitted,
            omitted: omitted.map(|(frames, bytes)| Omitted { frames, bytes }),
            status: answered.status.unwrap_or(Status::Running),
            executed,
            severity: answered.severity,
            details: answered.details,
            notices: reports.to_json(),
        });
    }

    /// Rows of a statement's result are not in the record.
    pub(super) fn omitted(&mut self, statement: Option<u64>, omitted: Omitted) {
        if let Some(pending) = statement.and_then(|statement| self.pending.get_mut(&statement)) {
            let (rows, bytes) = pending.omitted.unwrap_or_default();
            let all = (rows.saturating_add(omitted.frames), bytes.saturating_add(omitted.bytes));
            pending.omitted = Some(all);
        }
    }

    /// Rows of what is not answered; `ahead` was sent behind it.
    pub(super) fn in_flight(
        &self,
        ahead: Vec<Started<SqlText>>,
        identity: &Identity,
        mut known: Option<&mut Known>,
        rows: &mut Rows,
    ) {
        let context = Context { names: self.context.names.clone(), ..Context::default() };
        let mut looking = Statements { context, ..Statements::default() };
        let ahead = ahead.into_iter().map(Pending::from);
        for pending in self.pending.values().cloned().chain(ahead) {
            let does = looking.does(&pending.started, identity, known.as_deref_mut());
            looking.push(&pending, does, Answered::default(), identity, rows);
        }
    }
}
