//! What undoes a transaction's changes to names, and what its end makes of them.

use std::collections::BTreeMap;

use hansard_pg_wire::conversation::Outcome as Ended;
use hansard_policy::ChangedNames;

use super::{MAX_UNDO, Made, Names, OPEN, Path, Role, Undo, Untold};

impl Names {
    pub(super) fn remember(&mut self, number: u64, undo: Undo) {
        self.epoch += 1;
        self.changed_by = self.changed_by.max(number);
        let bytes = self.undo_bytes + undo.bytes();
        if self.lost.is_none() && bytes <= MAX_UNDO {
            self.undo_bytes = bytes;
            self.undo.push((number, undo));
        } else {
            self.lost.get_or_insert((number, number)).1 = number;
        }
    }

    pub(super) fn put_relation(&mut self, schema: String, name: String, made: Option<Made>) {
        let schemas = self.relations.entry(name.clone()).or_default();
        let old = match made {
            Some(made) => schemas.insert(schema, made),
            None => schemas.remove(&schema),
        };
        if schemas.is_empty() {
            self.relations.remove(&name);
        }
        self.made = self.made + usize::from(made.is_some()) - usize::from(old.is_some());
    }

    /// Statements from `first` on have come to nothing.
    pub(crate) fn roll_back_from(&mut self, first: u64) {
        while let Some((_, undo)) = self.undo.pop_if(|(statement, _)| *statement >= first) {
            self.epoch += 1;
            self.undo_bytes -= undo.bytes();
            if !matches!(undo, Undo::Paths(..) | Undo::Roles(..)) {
                self.given_back = self.answered;
            }
            match undo {
                Undo::Paths(path, local) => (self.path, self.local_path) = (path, local),
                Undo::Roles(role, local) => (self.role, self.local_role) = (role, local),
                Undo::Temporary(before) => {
                    for (name, old) in before {
                        match old {
                            Some(made) => _ = self.temporary.insert(name, made),
                            None => _ = self.temporary.remove(&name),
                        }
                    }
                }
                Undo::Relation(schema, name, old) => self.put_relation(schema, name, old),
                Undo::Schema(schema, old) => match old {
                    Some(old) => _ = self.schemas.insert(schema, old),
                    None => _ = self.schemas.remove(&schema),
                },
                Undo::Somewhere(name, old) => match old {
                    Some(old) => _ = self.somewhere.insert(name, old),
                    None => _ = self.somewhere.remove(&name),
                },
                Undo::Untold(untold) => self.untold = untold,
            }
        }
        if let Some((from, to)) = self.lost
            && to >= first
        {
            (self.path, self.local_path) = (Path::Unknown, None);
            (self.role, self.local_role) = (Role::Unknown, None);
            self.untold = Untold::anything();
            self.temporary.clear();
            self.define_anything();
            self.lost = (from < first).then(|| (from, first - 1));
            self.epoch += 1;
        }
    }

    /// The transaction is over, `at` when its end was told.
    pub(crate) fn end_transaction(&mut self, outcome: &Ended, at: i64) {
        match outcome {
            Ended::Committed => {}
            Ended::RolledBack(_) => self.roll_back_from(0),
            Ended::Prepared(_) => self.set_aside(),
            Ended::Unknown(_) => self.doubt(),
        }
        let local = self.local_path.take().is_some() | self.local_role.take().is_some();
        let before = self.temporary.len();
        self.temporary.retain(|_, made| !made.goes);
        if before != self.temporary.len() {
            // They are dropped with what depends on them.
            self.temporary.values_mut().filter(|made| !made.plain).for_each(|made| made.may_be_gone = true);
        }
        if local || before != self.temporary.len() || !self.undo.is_empty() || self.lost.is_some() {
            self.epoch += 1;
        }
        let mut ended = |made: &mut Made| {
            if made.ended_at == OPEN {
                made.ended_at = at;
            }
        };
        self.somewhere.values_mut().filter(|ended| **ended == OPEN).for_each(|ended| *ended = at);
        if self.lost.is_some() {
            self.relations.values_mut().flat_map(BTreeMap::values_mut).for_each(&mut ended);
            self.schemas.values_mut().for_each(&mut ended);
        }
        for (_, undo) in std::mem::take(&mut self.undo) {
            match undo {
                Undo::Relation(schema, name, _) => {
                    let made = self.relations.get_mut(&name).and_then(|schemas| schemas.get_mut(&schema));
                    made.into_iter().for_each(&mut ended);
                }
                Undo::Schema(schema, _) => self.schemas.get_mut(&schema).into_iter().for_each(&mut ended),
                _ => {}
            }
        }
        self.definitions_ended.values_mut().filter(|ended| **ended == OPEN).for_each(|ended| *ended = at);
        let Untold { changed, dropped, temporary_changed, partitions } = &mut self.untold;
        for since in
            [changed, dropped, temporary_changed, partitions].into_iter().flatten().chain([&mut self.unread_at])
        {
            if *since == OPEN {
                *since = at;
            }
        }
        (self.undo_bytes, self.lost) = (0, None);
    }

    /// The transaction was prepared: what it made is not there before it is committed, perhaps by another session, which
    /// tells then. Settings stay.
    pub(super) fn set_aside(&mut self) {
        let (path, role) = (self.path.clone(), self.role.clone());
        self.roll_back_from(0);
        (self.path, self.role) = (path, role);
    }

    /// It is not known whether the transaction was committed: what it changed is as it was, or as it is.
    pub(super) fn doubt(&mut self) {
        if self.undo.is_empty() && self.lost.is_none() {
            return;
        }
        let settings = |undo: &Undo| matches!(undo, Undo::Paths(..) | Undo::Roles(..));
        let (told, names) =
            (self.undo.iter().any(|(_, undo)| settings(undo)), self.undo.iter().any(|(_, undo)| !settings(undo)));
        if told || self.lost.is_some() {
            self.path = Path::Unknown;
            self.role = Role::Unknown;
        }
        if names || self.lost.is_some() {
            self.untold = Untold::anything();
            self.attached_to_temporary = true;
            self.define_anything();
        }
        self.epoch += 1;
    }

    /// Forgets what a catalog has that was read since then.
    pub(crate) fn covered(&mut self, begun_at: i64) {
        let open = |made: &Made| made.ended_at > begun_at;
        if self.made > 0 {
            self.relations.retain(|_, schemas| {
                schemas.retain(|_, made| open(made));
                !schemas.is_empty()
            });
            self.made = self.relations.values().map(BTreeMap::len).sum();
        }
        self.schemas.retain(|_, made| open(made));
        if !self.definitions_ended.is_empty() {
            self.forget_definitions_until(begun_at);
        }
        self.untold.changed = self.untold.changed.filter(|since| *since > begun_at);
        self.untold.dropped = self.untold.dropped.filter(|since| *since > begun_at);
        self.untold.partitions = self.untold.partitions.filter(|since| *since > begun_at);
        if self.unread_at <= begun_at {
            self.unread = ChangedNames::default();
        }
    }
}
