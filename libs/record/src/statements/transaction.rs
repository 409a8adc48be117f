//! The row of a transaction's end, as far as all kinds of them are alike.

use crate::rows::{Outcome, TransactionKind, TransactionRow};
use crate::session::Identity;

pub(super) fn transaction_row(
    identity: &Identity,
    transaction_id: u64,
    kind: TransactionKind,
    outcome: Outcome,
    ended_at: i64,
) -> TransactionRow {
    TransactionRow {
        session_id: identity.session_id,
        transaction_id,
        target: identity.target.clone(),
        database: identity.database.clone(),
        kind,
        first_statement: 0,
        last_statement: 0,
        outcome,
        reason: None,
        ended_at,
        committed_at: None,
        gid: None,
        started_at: None,
    }
}
