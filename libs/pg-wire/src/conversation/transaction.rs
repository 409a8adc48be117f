//! Transactions, as the command tags and ReadyForQuery tell them.
//!
//! Source: the PostgreSQL manual, "Multiple Statements in a Simple Query", "Pipelining", and the server's own
//! `CommandComplete` tags: COMMIT of a failed transaction answers ROLLBACK.

use serde::{Deserialize, Serialize};

use super::{Conversation, Ending, Event, Failure, Name, Note, Outcome, Text, TransactionEnded};

/// Most savepoints that are kept of one transaction; where there are more, none is known.
const MAX_SAVEPOINTS: usize = 4096;

/// Longest name of a savepoint, as the server cuts it.
const MAX_SAVEPOINT_NAME: usize = super::names::MAX_NAME;

/// The transaction that the session is in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) id: u64,
    first: Option<u64>,
    /// Begun by BEGIN: ends by COMMIT or ROLLBACK only.
    pub(super) explicit: bool,
    /// A statement failed: nothing but ROLLBACK will work.
    pub(super) failed: bool,
    /// Name, and the statement that set it.
    savepoints: Vec<(String, u64)>,
    /// It may have savepoints that are not known.
    unseen_savepoints: bool,
    /// ROLLBACK was answered, of all of it or to a savepoint: what follows tells.
    undecided: bool,
    /// Some of it may not be in force although it is committed.
    doubt: Option<String>,
    /// Some of it may be in force although it is rolled back.
    stayed: bool,
}

impl<T: Text> Conversation<T> {
    /// The transaction that the statement belongs to.
    pub(super) fn transaction_of(&mut self, statement: u64, out: &mut Vec<Event<T>>) -> u64 {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.undecided) {
            // A statement was answered before ReadyForQuery showed what a ROLLBACK was of.
            self.end_transaction(Outcome::Unknown("a ROLLBACK was of all or of a part".to_owned()), out);
        }
        let transaction = self.open_transaction();
        transaction.first.get_or_insert(statement);
        transaction.id
    }

    fn open_transaction(&mut self) -> &mut Transaction {
        let transactions = &mut self.transactions;
        self.transaction.get_or_insert_with(|| {
            *transactions += 1;
            Transaction {
                id: *transactions,
                first: None,
                explicit: false,
                failed: false,
                savepoints: Vec::new(),
                unseen_savepoints: false,
                undecided: false,
                doubt: None,
                stayed: false,
            }
        })
    }

    /// The session is in a transaction that was begun explicitly.
    pub(super) fn is_explicit(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.explicit)
    }

    /// What is committed of the transaction may not be all of it.
    pub(super) fn doubt(&mut self, reason: &str) {
        self.open_transaction().doubt.get_or_insert_with(|| reason.to_owned());
    }

    /// A statement has been carried out, and its tag is `words`. `notes`: `None` when the text was not understood.
    pub(super) fn transaction_by_tag(
        &mut self,
        statement: u64,
        words: &str,
        notes: Option<&[Note]>,
        out: &mut Vec<Event<T>>,
    ) {
        let note = |wanted: fn(&Note) -> bool| notes.and_then(|notes| notes.iter().find(|note| wanted(note)));
        match words {
            "BEGIN" | "START TRANSACTION" => self.open_transaction().explicit = true,
            "COMMIT" => {
                let chain = note(|note| matches!(note, Note::Commit { chain: true })).is_some();
                self.commit_transaction(out);
                self.chain(chain);
            }
            "PREPARE TRANSACTION" => {
                let gid = named(notes, |note| match note {
                    Note::PrepareTransaction(gid) => Some(gid),
                    _ => None,
                });
                let outcome = match gid {
                    Some(gid) => Outcome::Prepared(gid.to_owned()),
                    None => Outcome::Unknown("it was prepared under a name that is not known".to_owned()),
                };
                self.end_transaction(outcome, out);
            }
            "COMMIT PREPARED" | "ROLLBACK PREPARED" => {
                let gid = named(notes, |note| match note {
                    Note::CommitPrepared(gid) | Note::RollbackPrepared(gid) => Some(gid),
                    _ => None,
                });
                let (transaction, at) = (self.transaction_of(statement, out), self.at);
                self.open_transaction().stayed = true;
                if let Some(gid) = gid {
                    let (gid, committed) = (gid.to_owned(), words.starts_with("COMMIT"));
                    out.push(Event::Resolved { gid, committed, statement, transaction, at });
                }
            }
            "ROLLBACK" => {
                let to = named(notes, |note| match note {
                    Note::RollbackTo(name) => Some(name),
                    _ => None,
                });
                let prepares = note(|note| matches!(note, Note::PrepareTransaction(_))).is_some();
                match (notes, to) {
                    (_, Some(name)) => self.roll_back_to(statement, name, out),
                    // Outside of a transaction block the server only warns: it commits.
                    _ if prepares && !self.is_explicit() => {
                        self.transaction_of(statement, out);
                        self.commit_transaction(out);
                    }
                    (None, None) if !self.is_explicit() => {
                        self.doubt("a ROLLBACK was of all or of nothing");
                        self.open_transaction().stayed = true;
                    }
                    (Some(_), None) => {
                        let chain =
                            note(|note| matches!(note, Note::Rollback { chain: true } | Note::Commit { chain: true }))
                                .is_some();
                        self.end_transaction(Outcome::RolledBack(None), out);
                        self.chain(chain);
                    }
                    (None, None) => {
                        let transaction = self.open_transaction();
                        if transaction.savepoints.is_empty() && !transaction.unseen_savepoints {
                            self.end_transaction(Outcome::RolledBack(None), out);
                        } else {
                            transaction.undecided = true;
                        }
                    }
                }
            }
            "SAVEPOINT" => {
                let name = named(notes, |note| match note {
                    Note::Savepoint(name) => Some(name),
                    _ => None,
                });
                let transaction = self.open_transaction();
                match name {
                    Some(_) if transaction.unseen_savepoints => {}
                    Some(name) if name.len() <= MAX_SAVEPOINT_NAME && transaction.savepoints.len() < MAX_SAVEPOINTS => {
                        transaction.savepoints.push((name.to_owned(), statement));
                    }
                    _ => transaction.lose_savepoints(),
                }
            }
            "RELEASE" => {
                let name = named(notes, |note| match note {
                    Note::Release(name) => Some(name),
                    _ => None,
                });
                if let Some(transaction) = &mut self.transaction {
                    let place =
                        name.and_then(|name| transaction.savepoints.iter().rposition(|(other, _)| other == name));
                    match place {
                        Some(place) => transaction.savepoints.truncate(place),
                        // Which ones are left is not known.
                        None => transaction.lose_savepoints(),
                    }
                }
            }
            _ => {
                let commits = match notes {
                    Some(notes) => notes.contains(&Note::CommitsByItself),
                    None => MAY_COMMIT_BY_THEMSELVES.contains(&words),
                };
                if commits && !self.is_explicit() {
                    self.transaction_of(statement, out);
                    self.open_transaction().stayed = true;
                }
                let ends = match notes {
                    Some(notes) => notes.contains(&Note::MayEndTransaction),
                    None => matches!(words, "CALL" | "DO"),
                };
                if ends && !self.is_explicit() {
                    self.transaction_of(statement, out);
                    self.end_transaction(Outcome::Unknown(MAY_HAVE_ENDED.to_owned()), out);
                }
            }
        }
    }

    fn chain(&mut self, chain: bool) {
        if chain {
            self.open_transaction().explicit = true;
        }
    }

    fn commit_transaction(&mut self, out: &mut Vec<Event<T>>) {
        let doubt = self.transaction.as_mut().and_then(|transaction| transaction.doubt.take());
        self.end_transaction(doubt.map_or(Outcome::Committed, Outcome::Unknown), out);
    }

    /// A simple query has been carried out: what it did outside of a transaction block is in force.
    pub(super) fn commit_implicit(&mut self, out: &mut Vec<Event<T>>) {
        if self.transaction.is_some() {
            self.commit_transaction(out);
        }
    }

    fn roll_back_to(&mut self, statement: u64, name: &str, out: &mut Vec<Event<T>>) {
        let at = self.at;
        let transaction = self.open_transaction();
        transaction.failed = false;
        let place = transaction.savepoints.iter().rposition(|(other, _)| other == name);
        match place.filter(|_| !transaction.unseen_savepoints) {
            Some(place) => {
                transaction.savepoints.truncate(place + 1);
                let (id, savepoint) = (transaction.id, transaction.savepoints[place].1);
                self.roll_back_portals(savepoint, out);
                let (first, last) = (savepoint + 1, statement.saturating_sub(1));
                if first <= last {
                    out.push(Event::RolledBack { transaction: id, first, last, at });
                }
            }
            // It may be another one of that name.
            None => {
                self.doubt("some of it was rolled back to a savepoint that is not known");
                self.roll_back_portals(0, out);
            }
        }
        self.settings.undo();
    }

    /// Portals bound since that statement are gone with what was rolled back; what others have fetched since is undone, and
    /// what they fetch from here on is not.
    fn roll_back_portals(&mut self, savepoint: u64, out: &mut Vec<Event<T>>) {
        for (_, name) in self.portals_by_bind.split_off(&(savepoint, Name::new(b""))) {
            self.end_portal(&name, out);
        }
        for name in self.suspended.split_off(&(savepoint + 1)).into_values() {
            let Some(portal) = self.portals.get_mut(&name) else { continue };
            // Whatever runs as a whole was run, and is undone.
            portal.finished = true;
            if let (Some((rows, at, seq)), Some(statement)) = (portal.suspended.take(), portal.statement.take()) {
                self.finish_suspended(statement, (rows, at, seq), out);
            }
        }
    }

    /// A statement that failed may have committed before, outside of a transaction block.
    pub(super) fn may_have_ended(&self, ending: Ending, failure: &Failure) -> bool {
        !self.is_explicit()
            && match ending {
                Ending::Never => false,
                Ending::Possible => true,
                Ending::Unknown => !failure.not_understood,
            }
    }

    /// A statement failed: an implicit transaction is over with it, an explicit one waits for its ROLLBACK.
    pub(super) fn failed(&mut self, ends: bool, out: &mut Vec<Event<T>>) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => transaction.failed = true,
            _ if ends => self.end_transaction(Outcome::Unknown(MAY_HAVE_ENDED.to_owned()), out),
            _ => self.end_transaction(Outcome::RolledBack(None), out),
        }
        self.settings.undo();
    }

    /// An error after the answers of all statements: at Sync, the commit's own.
    pub(super) fn commit_failed(&mut self, failure: &Failure, out: &mut Vec<Event<T>>) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => transaction.failed = true,
            Some(_) if failure.fatal => {
                self.end_transaction(Outcome::Unknown("the session was ended at its commit".to_owned()), out);
            }
            Some(_) => {
                let reason = format!("the commit failed with {}: {}", failure.sqlstate, failure.message);
                self.end_transaction(Outcome::RolledBack(Some(reason)), out);
            }
            // Its outcome was told before.
            None => {}
        }
    }

    /// The session's transaction, if it is in one, has ended.
    pub(super) fn end_transaction(&mut self, outcome: Outcome, out: &mut Vec<Event<T>>) {
        if let Some(transaction) = &mut self.transaction {
            transaction.undecided = false;
        }
        self.end_portals(out);
        if let Some(Transaction { id, first, stayed, .. }) = self.transaction.take() {
            let (at, seq) = (self.at, self.seq);
            let outcome = match outcome {
                Outcome::RolledBack(_) if stayed => Outcome::Unknown(MAY_HAVE_STAYED.to_owned()),
                outcome => outcome,
            };
            // What was set until its end, or in it, may be undone.
            self.settings.undo();
            out.push(Event::TransactionEnded(TransactionEnded { transaction: id, first, outcome, at, seq }));
        }
    }

    /// ReadyForQuery has the last word on what the session is in.
    pub(super) fn settle(&mut self, body: &[u8], out: &mut Vec<Event<T>>) {
        self.ready = true;
        self.settings.settle(body.first() != Some(&b'I'));
        match body.first() {
            Some(b'I') => match &self.transaction {
                None => {}
                Some(transaction) if transaction.failed || transaction.undecided => {
                    self.end_transaction(Outcome::RolledBack(None), out);
                }
                // Its COMMIT or ROLLBACK was not seen for what it is.
                Some(transaction) if transaction.explicit => {
                    self.contradictions += 1;
                    self.end_transaction(Outcome::Unknown("its end was not seen".to_owned()), out);
                }
                Some(_) => self.commit_transaction(out),
            },
            Some(status @ (b'T' | b'E')) => {
                let failed = *status == b'E';
                if self.transaction.as_ref().is_some_and(|transaction| transaction.undecided) {
                    self.end_transaction(Outcome::Unknown("a ROLLBACK was of all or of a part".to_owned()), out);
                }
                let unseen = self.transaction.as_ref().is_none_or(|transaction| !transaction.explicit);
                let transaction = self.open_transaction();
                let contradicted = unseen || transaction.failed != failed;
                transaction.unseen_savepoints |= unseen;
                (transaction.explicit, transaction.failed) = (true, failed);
                self.contradictions += u64::from(contradicted);
            }
            _ => {}
        }
    }

    /// Answers can be attributed again, and this is what ReadyForQuery said last: what the session is in was begun unseen.
    pub(super) fn resume_transaction(&mut self, status: Option<u8>) {
        if let Some(status @ (b'T' | b'E')) = status {
            let transaction = self.open_transaction();
            (transaction.explicit, transaction.failed) = (true, status == b'E');
            transaction.unseen_savepoints = true;
        }
    }

    /// A portal is gone: what it had fetched is all that its statement will.
    pub(super) fn end_portal(&mut self, name: &Name, out: &mut Vec<Event<T>>) {
        let Some(portal) = self.portals.remove(name) else { return };
        self.portal_bytes -= portal.bytes;
        self.portal_texts -= portal.text.map_or(0, |text| text.text.bytes());
        self.portals_by_bind.remove(&(portal.bound_at, name.clone()));
        if let (Some((rows, at, seq)), Some(statement)) = (portal.suspended, portal.statement) {
            self.suspended.remove(&statement);
            self.finish_suspended(statement, (rows, at, seq), out);
        }
    }

    /// What a portal had fetched, at the time and place of its last answer, is all of its statement.
    fn finish_suspended(&mut self, statement: u64, (rows, at, seq): (u64, i64, u64), out: &mut Vec<Event<T>>) {
        self.finish(statement, Some(rows), None, None, out);
        if let Some(Event::Finished(finished)) = out.last_mut() {
            (finished.at, finished.seq) = (at, seq);
        }
    }

    /// The statement under way has ended: the portions that were fetched before are no end of it.
    pub(super) fn end_portions(&mut self, current: &super::Current<T>) {
        if let Some(portal) = current.portal.as_ref().and_then(|name| self.portals.get_mut(name)) {
            portal.suspended = None;
            portal.finished = true;
            self.suspended.remove(&current.statement);
        }
        if self.omitted_portals.suspended.is_some_and(|(statement, _)| statement == current.statement) {
            self.omitted_portals.suspended = None;
        }
    }

    /// All portals are gone: the transaction is over, or they were closed.
    pub(super) fn end_portals(&mut self, out: &mut Vec<Event<T>>) {
        for name in std::mem::take(&mut self.suspended).into_values() {
            self.end_portal(&name, out);
        }
        self.end_omitted_portals(out);
        self.portals.clear();
        self.portals_by_bind.clear();
        (self.portal_bytes, self.portal_texts) = (0, 0);
    }
}

impl Transaction {
    /// Which savepoints there are is not known from here on.
    fn lose_savepoints(&mut self) {
        self.unseen_savepoints = true;
        self.savepoints.clear();
    }
}

/// The name that one of the notes tells.
fn named<'a>(notes: Option<&'a [Note]>, name: impl FnMut(&'a Note) -> Option<&'a String>) -> Option<&'a str> {
    notes?.iter().find_map(name).map(String::as_str)
}

/// Tags of statements that commit by themselves outside of a transaction block, or may do so.
const MAY_COMMIT_BY_THEMSELVES: &[&str] = &[
    "ALTER DATABASE",
    "ALTER SUBSCRIPTION",
    "ALTER SYSTEM",
    "ANALYZE",
    "CLUSTER",
    "CREATE DATABASE",
    "CREATE INDEX",
    "CREATE SUBSCRIPTION",
    "CREATE TABLESPACE",
    "DISCARD ALL",
    "DROP DATABASE",
    "DROP INDEX",
    "DROP SUBSCRIPTION",
    "DROP TABLESPACE",
    "REINDEX",
    "VACUUM",
];

const MAY_HAVE_STAYED: &str = "a statement that it ran may have committed by itself";

const MAY_HAVE_ENDED: &str = "code that it ran may have committed or rolled back inside";
