//! Transactions, as the command tags and ReadyForQuery tell them.
//!
//! Source: the PostgreSQL manual, "Multiple Statements in a Simple Query", "Pipelining", and the server's own
//! `CommandComplete` tags: COMMIT of a failed transaction answers ROLLBACK.

use serde::{Deserialize, Serialize};

use super::{Control, Event, Outcome, Tracker};

/// Most savepoints that are kept of one transaction; the outermost go first.
const MAX_SAVEPOINTS: usize = 4096;

/// The transaction that the session is in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) id: u64,
    /// Begun by BEGIN: ends by COMMIT or ROLLBACK only.
    pub(super) explicit: bool,
    /// A statement failed: nothing but ROLLBACK will work.
    pub(super) failed: bool,
    /// Name, and the statement that set it.
    savepoints: Vec<(String, u64)>,
    /// It may have savepoints that were not seen.
    #[serde(default)]
    unseen_savepoints: bool,
    /// ROLLBACK was answered, of all of it or to a savepoint: ReadyForQuery tells.
    #[serde(default)]
    undecided: bool,
}

impl Tracker {
    /// The transaction that what happens now belongs to.
    pub(super) fn transaction_id(&mut self) -> u64 {
        self.open_transaction().id
    }

    fn open_transaction(&mut self) -> &mut Transaction {
        let transactions = &mut self.transactions;
        self.transaction.get_or_insert_with(|| {
            *transactions += 1;
            Transaction {
                id: *transactions,
                explicit: false,
                failed: false,
                savepoints: Vec::new(),
                unseen_savepoints: false,
                undecided: false,
            }
        })
    }

    /// The session is in a transaction that was begun explicitly.
    pub(super) fn is_explicit(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.explicit)
    }

    /// A statement has been carried out, and its tag is `tag`. `control`: `None` when the text was not understood.
    pub(super) fn carried_out(&mut self, statement: u64, tag: &str, control: Option<&Control>, out: &mut Vec<Event>) {
        match tag {
            "BEGIN" | "START TRANSACTION" => self.open_transaction().explicit = true,
            "COMMIT" => self.end_and_chain(Outcome::Committed, control, out),
            // Undecided until COMMIT PREPARED, which any session may say.
            "PREPARE TRANSACTION" => self.end_transaction(Outcome::Unknown, out),
            "ROLLBACK" => match control {
                Some(Control::RollbackTo(name)) => self.roll_back_to(statement, name, out),
                Some(_) => self.end_and_chain(Outcome::RolledBack, control, out),
                None => {
                    let transaction = self.open_transaction();
                    if transaction.savepoints.is_empty() && !transaction.unseen_savepoints {
                        self.end_transaction(Outcome::RolledBack, out);
                    } else {
                        transaction.undecided = true;
                    }
                }
            },
            "SAVEPOINT" => {
                let name = match control {
                    Some(Control::Savepoint(name)) => name.clone(),
                    _ => String::new(),
                };
                let savepoints = &mut self.open_transaction().savepoints;
                if savepoints.len() == MAX_SAVEPOINTS {
                    savepoints.remove(0);
                }
                savepoints.push((name, statement));
            }
            "RELEASE" => {
                if let (Some(Control::Release(name)), Some(transaction)) = (control, &mut self.transaction)
                    && let Some(place) = transaction.savepoints.iter().rposition(|(other, _)| other == name)
                {
                    transaction.savepoints.truncate(place);
                }
            }
            _ => {}
        }
    }

    fn end_and_chain(&mut self, outcome: Outcome, control: Option<&Control>, out: &mut Vec<Event>) {
        self.end_transaction(outcome, out);
        if let Some(Control::Commit { chain: true } | Control::Rollback { chain: true }) = control {
            self.open_transaction().explicit = true;
        }
    }

    fn roll_back_to(&mut self, statement: u64, name: &str, out: &mut Vec<Event>) {
        let transaction = self.open_transaction();
        transaction.failed = false;
        if let Some(place) = transaction.savepoints.iter().rposition(|(other, _)| other == name) {
            transaction.savepoints.truncate(place + 1);
            let first = transaction.savepoints[place].1 + 1;
            out.push(Event::RolledBack { transaction: transaction.id, first, last: statement.saturating_sub(1) });
        }
    }

    /// A statement failed: an implicit transaction is over with it, an explicit one waits for its ROLLBACK.
    pub(super) fn failed(&mut self, out: &mut Vec<Event>) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => transaction.failed = true,
            _ => self.end_transaction(Outcome::RolledBack, out),
        }
    }

    /// A savepoint was set, and nobody knows which or whether it is still there.
    pub(super) fn unseen_savepoint(&mut self) {
        self.open_transaction().unseen_savepoints = true;
    }

    /// Another statement was answered before it showed what a ROLLBACK was of.
    pub(super) fn undo_undecided(&mut self, out: &mut Vec<Event>) {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.undecided) {
            self.end_transaction(Outcome::Unknown, out);
        }
    }

    /// The session's transaction, if it is in one, has ended.
    pub(super) fn end_transaction(&mut self, outcome: Outcome, out: &mut Vec<Event>) {
        self.end_portals(out);
        if let Some(transaction) = self.transaction.take() {
            let (at, seq) = (self.at, self.seq);
            out.push(Event::TransactionEnded { transaction: transaction.id, outcome, at, seq });
        }
    }

    /// ReadyForQuery has the last word on what the session is in.
    pub(super) fn settle(&mut self, status: u8, out: &mut Vec<Event>) {
        match status {
            b'I' => {
                let outcome = match &self.transaction {
                    Some(transaction) if transaction.failed || transaction.undecided => Outcome::RolledBack,
                    // Its COMMIT or ROLLBACK was not seen for what it is.
                    Some(transaction) if transaction.explicit => Outcome::Unknown,
                    _ => Outcome::Committed,
                };
                self.end_transaction(outcome, out);
            }
            b'T' | b'E' => {
                self.undo_undecided(out);
                let unseen = self.transaction.is_none();
                let transaction = self.open_transaction();
                transaction.unseen_savepoints |= unseen;
                transaction.explicit = true;
                transaction.failed = status == b'E';
            }
            _ => {}
        }
    }
}
