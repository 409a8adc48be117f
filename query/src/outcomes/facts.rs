//! What table `transactions` says of statements whose rows left before their transaction ended.
//!
//! Invariant: the work is linear in the facts, whatever they are: ranges are merged, and a statement is looked up in them
//! by halving.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, internal_err};
use hansard_schemas::lake::PREPARED;
use uuid::Uuid;

pub(super) const COMMITTED: &str = "committed";
pub(super) const ROLLED_BACK: &str = "rolled back";
pub(super) const OPEN: &str = "open";
pub(super) const UNKNOWN: &str = "unknown";

/// The columns of `transactions` that [`Facts::take`] reads.
pub(super) const COLUMNS: [&str; 11] = [
    "session_id",
    "transaction_id",
    "target",
    "kind",
    "first_statement",
    "last_statement",
    "outcome",
    "reason",
    "ended_at",
    "committed_at",
    "gid",
];

/// A transaction: its session, and its place among the session's.
pub(super) type Key = (Uuid, i64);

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) outcome: Arc<str>,
    pub(super) committed_at: Option<i64>,
    pub(super) reason: Option<Arc<str>>,
}

impl Outcome {
    fn of(outcome: &str) -> Outcome {
        Outcome { outcome: outcome.into(), committed_at: None, reason: None }
    }
}

/// An end that was recorded.
#[derive(Debug, Clone)]
struct End {
    outcome: Outcome,
    ended_at: i64,
    /// Target and name, where it was prepared.
    prepared: Option<Prepared>,
}

/// What was recorded of transactions that somebody asks about.
#[derive(Debug, Default)]
pub(super) struct Facts {
    ends: HashMap<Key, End>,
    /// Statements that ROLLBACK TO SAVEPOINT undid: once [`Facts::settle`] was called, sorted and apart.
    undone: HashMap<Key, Vec<(i64, i64)>>,
    /// By target and name, likewise in the order of time.
    resolutions: HashMap<Prepared, Vec<End>>,
    /// When anyone's transactions were prepared, likewise.
    prepared: HashMap<Prepared, Vec<i64>>,
}

/// Target and name of a prepared transaction.
type Prepared = (Arc<str>, Arc<str>);

impl Facts {
    /// Takes rows of `transactions`: those of `wanted` transactions, and all about prepared ones. Gives back about how many bytes
    /// it took.
    pub(super) fn take(&mut self, batch: &RecordBatch, wanted: &HashSet<Key>) -> Result<usize> {
        let sessions = texts(batch, "session_id")?;
        let numbers = numbers::<Int64Type>(batch, "transaction_id")?;
        let (targets, kinds, gids) = (texts(batch, "target")?, texts(batch, "kind")?, texts(batch, "gid")?);
        let firsts = self::numbers::<Int64Type>(batch, "first_statement")?;
        let lasts = self::numbers::<Int64Type>(batch, "last_statement")?;
        let (outcomes, reasons) = (texts(batch, "outcome")?, texts(batch, "reason")?);
        let ended = self::numbers::<TimestampNanosecondType>(batch, "ended_at")?;
        let committed = self::numbers::<TimestampNanosecondType>(batch, "committed_at")?;
        let mut bytes = 0;
        let mut session = ("", Uuid::nil());
        for row in 0..batch.num_rows() {
            let kind = kinds.value(row);
            // Rows of one session lie together.
            if session.0 != sessions.value(row) {
                session = (sessions.value(row), uuid(sessions.value(row))?);
            }
            let key = (session.1, numbers.value(row));
            let wanted = wanted.contains(&key);
            let prepared = kind == "transaction" && outcomes.value(row) == PREPARED && gids.is_valid(row);
            if kind != "resolution" && !wanted && !prepared {
                continue;
            }
            bytes += 128;
            if kind == "savepoint" {
                self.undone.entry(key).or_default().push((firsts.value(row), lasts.value(row)));
                continue;
            }
            let name = gids.is_valid(row).then(|| (Arc::from(targets.value(row)), Arc::from(gids.value(row))));
            bytes += name.as_ref().map_or(0, |(target, gid): &Prepared| target.len() + gid.len());
            if let Some(name) = name.clone().filter(|_| prepared) {
                self.prepared.entry(name).or_default().push(ended.value(row));
                if !wanted {
                    continue;
                }
            }
            let outcome = Outcome {
                outcome: outcomes.value(row).into(),
                committed_at: committed.is_valid(row).then(|| committed.value(row)),
                reason: reasons.is_valid(row).then(|| reasons.value(row).into()),
            };
            let end = End { outcome, ended_at: ended.value(row), prepared: None };
            match (kind, name) {
                ("resolution", Some(name)) => self.resolutions.entry(name).or_default().push(end),
                ("transaction", name) => {
                    let prepared = name.filter(|_| prepared);
                    self.ends.entry(key).or_insert(End { prepared, ..end });
                }
                _ => {}
            }
        }
        Ok(bytes)
    }

    /// To be called when all rows were taken.
    pub(super) fn settle(&mut self) {
        for ranges in self.undone.values_mut() {
            ranges.sort_unstable();
            let mut apart: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
            for (first, last) in ranges.drain(..) {
                match apart.last_mut() {
                    Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                    _ => apart.push((first, last)),
                }
            }
            *ranges = apart;
        }
        for resolutions in self.resolutions.values_mut() {
            resolutions.sort_by_key(|end| end.ended_at);
        }
        self.prepared.values_mut().for_each(|times| times.sort_unstable());
    }

    /// What became of a statement.
    pub(super) fn of_statement(&self, key: Key, statement_no: i64) -> Outcome {
        let undone = self.undone.get(&key).is_some_and(|ranges| {
            let after = ranges.partition_point(|(first, _)| *first <= statement_no);
            after > 0 && statement_no <= ranges[after - 1].1
        });
        if undone {
            return Outcome::of(ROLLED_BACK);
        }
        match self.ends.get(&key) {
            None => Outcome::of(OPEN),
            Some(End { prepared: Some((target, gid)), ended_at, .. }) => self.of_prepared(target, gid, *ended_at),
            Some(end) => end.outcome.clone(),
        }
    }

    /// What became of a transaction that was prepared under a name at that time.
    pub(super) fn of_prepared(&self, target: &Arc<str>, gid: &Arc<str>, prepared_at: i64) -> Outcome {
        let name = (Arc::clone(target), Arc::clone(gid));
        let unknown = |reason: String| Outcome { reason: Some(reason.into()), ..Outcome::of(UNKNOWN) };
        let later = self.resolutions.get(&name).and_then(|resolutions| {
            resolutions.get(resolutions.partition_point(|resolution| resolution.ended_at < prepared_at))
        });
        let Some(End { outcome, ended_at, .. }) = later else {
            return unknown(format!("prepared as {gid}, and not resolved in the record"));
        };
        // A name is free again only when its transaction is resolved: how that was is missing in the record.
        let times = self.prepared.get(&name).map_or(&[][..], Vec::as_slice);
        let again = times.get(times.partition_point(|time| *time <= prepared_at));
        if again.is_some_and(|again| again < ended_at) {
            return unknown(format!(
                "prepared as {gid}, which was prepared again before it was resolved in the record"
            ));
        }
        match &*outcome.outcome {
            COMMITTED => Outcome { committed_at: outcome.committed_at.or(Some(*ended_at)), ..outcome.clone() },
            _ => outcome.clone(),
        }
    }
}

pub(super) fn uuid(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|error| DataFusionError::Internal(format!("session id {text:?}: {error}")))
}

pub(super) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    match batch.column_by_name(name).and_then(|column| column.as_string_opt()) {
        Some(texts) => Ok(texts),
        None => internal_err!("column {name} is not there as text"),
    }
}

pub(super) fn numbers<'a, T: ArrowPrimitiveType>(batch: &'a RecordBatch, name: &str) -> Result<&'a PrimitiveArray<T>> {
    match batch.column_by_name(name).and_then(|column| column.as_primitive_opt()) {
        Some(numbers) => Ok(numbers),
        None => internal_err!("column {name} is not there as {}", T::DATA_TYPE),
    }
}

#[cfg(test)]
mod tests {
    use hansard_record::{Outcome as Recorded, Rows, TransactionKind, TransactionRow};
    use hansard_schemas::lake::Table;

    use super::*;

    const SESSION: Uuid = Uuid::from_u128(1);

    fn row(kind: TransactionKind, statements: (u64, u64), outcome: Recorded, at: i64, gid: &str) -> TransactionRow {
        TransactionRow {
            session_id: SESSION,
            transaction_id: 1,
            target: "t".into(),
            database: "d".into(),
            kind,
            first_statement: statements.0,
            last_statement: statements.1,
            outcome,
            reason: None,
            ended_at: at,
            committed_at: (outcome == Recorded::Committed).then_some(at),
            gid: (!gid.is_empty()).then(|| gid.into()),
            started_at: None,
        }
    }

    fn facts(transactions: Vec<TransactionRow>) -> Facts {
        let batch = Rows { transactions, ..Rows::default() }.batch(Table::Transactions);
        let mut facts = Facts::default();
        facts.take(&batch, &HashSet::from([(SESSION, 1)])).unwrap();
        facts.settle();
        facts
    }

    #[test]
    fn ranges_that_overlap_touch_or_lie_inside_each_other_cover_what_they_cover() {
        let undone = |first, last| row(TransactionKind::Savepoint, (first, last), Recorded::RolledBack, 5, "");
        let ranges = [(10, 20), (12, 13), (15, 25), (26, 26), (3, 3), (30, 40), (30, 31)];
        let facts = facts(ranges.map(|(first, last)| undone(first, last)).to_vec());
        let covered = |no: i64| ranges.iter().any(|(first, last)| (*first..=*last).contains(&(no as u64)));
        for no in 0..50 {
            let expected = if covered(no) { ROLLED_BACK } else { OPEN };
            assert_eq!(&*facts.of_statement((SESSION, 1), no).outcome, expected, "{no}");
        }
        assert_eq!(facts.undone[&(SESSION, 1)], [(3, 3), (10, 26), (30, 40)]);
    }

    #[test]
    fn of_several_resolutions_of_a_name_the_next_one_counts() {
        let resolved = |outcome, at, gid| row(TransactionKind::Resolution, (1, 1), outcome, at, gid);
        let facts = facts(vec![
            resolved(Recorded::Committed, 30, "g"),
            resolved(Recorded::RolledBack, 50, "g"),
            resolved(Recorded::Committed, 10, "g"),
            resolved(Recorded::Committed, 90, "h"),
        ]);
        let of = |at| facts.of_prepared(&"t".into(), &"g".into(), at);
        assert_eq!((&*of(5).outcome, of(5).committed_at), (COMMITTED, Some(10)));
        assert_eq!((&*of(11).outcome, of(11).committed_at), (COMMITTED, Some(30)));
        assert_eq!((&*of(31).outcome, of(31).committed_at), (ROLLED_BACK, None));
        assert_eq!(&*of(51).outcome, UNKNOWN);
        assert_eq!(of(51).reason.as_deref(), Some("prepared as g, and not resolved in the record"));
        assert_eq!(&*facts.of_prepared(&"elsewhere".into(), &"g".into(), 5).outcome, UNKNOWN);
    }

    #[test]
    fn a_name_that_was_prepared_again_leaves_the_former_unknown() {
        let prepared = |transaction_id, at| TransactionRow {
            transaction_id,
            ..row(TransactionKind::Transaction, (1, 1), Recorded::Prepared, at, "g")
        };
        let facts = facts(vec![
            prepared(2, 20),
            row(TransactionKind::Resolution, (1, 1), Recorded::Committed, 30, "g"),
            prepared(1, 10),
            prepared(3, 40),
        ]);
        let earlier = facts.of_statement((SESSION, 1), 1);
        assert_eq!((&*earlier.outcome, earlier.committed_at), (UNKNOWN, None));
        let reason = "prepared as g, which was prepared again before it was resolved in the record";
        assert_eq!(earlier.reason.as_deref(), Some(reason));
        assert_eq!(&*facts.of_prepared(&"t".into(), &"g".into(), 20).outcome, COMMITTED);
        assert_eq!(&*facts.of_prepared(&"t".into(), &"g".into(), 40).outcome, UNKNOWN);
    }
}
