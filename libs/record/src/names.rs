//! What decides the meaning of a session's names: its search path, its role, its temporary relations, and the relations
//! that it made, renamed or dropped itself since the catalog was read.
//!
//! Invariants: what may have been changed in a way that is not told is not known until something sets it: never a guess.
//! What is kept, and what is kept to undo a transaction, is bounded; where it is more, what was lost is not known.

use std::collections::BTreeMap;

use hansard_policy::catalog::TEMPORARY;
use hansard_policy::reach::Reached;
use hansard_policy::{ChangedNames, Effect, Name, NameChange, Statement, schemas_of_setting};
use serde::{Deserialize, Serialize};

mod meanings;
mod resolve;
mod system;
#[cfg(test)]
mod tests;

use meanings::Meaning;
pub(super) use meanings::Meanings;
pub(super) use resolve::{InSession, shown};

/// Stands for the schema of a relation that was named without one while it could not be known.
pub const UNKNOWN_SCHEMA: &str = "?";

/// Stands for a relation that may have been touched and is not known.
pub const UNKNOWN_RELATION: &str = "?";

/// Most temporary relations that are remembered, and most relations of its own that the catalog does not have yet.
const MAX_RELATIONS: usize = 10_000;

/// Most bytes of what it takes to undo one transaction's changes: enough for all temporary relations that are remembered.
const MAX_UNDO: usize = 3 * 1024 * 1024;

/// Bytes that a change is counted with beside the names in it.
const CHANGE: usize = 64;

/// The time of what has not ended.
const OPEN: i64 = i64::MAX;

/// Setting `search_path`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Path {
    /// As at the start of the session.
    #[default]
    Start,
    /// As it was set.
    Set(Vec<String>),
    /// Something may have changed it.
    Unknown,
}

/// The current role.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// As at the start of the session.
    #[default]
    Start,
    /// That of the session.
    Session,
    /// As it was set.
    Set(String),
    /// Something may have changed it.
    Unknown,
}

/// What became of a relation or a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    /// It is there; otherwise it is gone.
    exists: bool,
    /// Nothing hangs on it: what is written to it stays there, and runs no code.
    #[serde(default)]
    bare: bool,
    /// When its transaction ended: a catalog that was read later has it.
    ended_at: i64,
}

/// Since when names have been changed that are not told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Untold {
    /// Relations may have come, or got other names: when that transaction ended.
    changed: Option<i64>,
    /// Relations may have been dropped.
    dropped: Option<i64>,
    /// Temporary relations may have come or gone.
    temporary: bool,
}

/// How a session's names resolve, and did before its transaction.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Names {
    path: Path,
    /// Set until the end of the transaction.
    local_path: Option<Path>,
    role: Role,
    local_role: Option<Role>,
    /// Setting `session_replication_role` may have been changed: triggers and rules may not act.
    replication_role: bool,
    /// Those that go when their transaction ends: true.
    temporary: BTreeMap<String, bool>,
    /// By name and schema.
    relations: BTreeMap<String, BTreeMap<String, Made>>,
    made: usize,
    schemas: BTreeMap<String, Made>,
    untold: Untold,
    /// There may be a temporary view, or a trigger or a rule of a temporary relation.
    #[serde(default)]
    attached_to_temporary: bool,
    /// What undoes the open transaction's changes, by the statement that made them.
    undo: Vec<(u64, Undo)>,
    /// Bytes that `undo` is counted with.
    undo_bytes: usize,
    /// The first and the last statement whose changes are not in `undo`, which was full.
    lost: Option<(u64, u64)>,
    start: Start,
    /// The proxy tells of catalogs, though perhaps not of this database's.
    #[serde(skip)]
    catalogs_are_told: bool,
    /// Different after each change.
    #[serde(skip)]
    pub(super) epoch: u64,
}

/// How the session began.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Start {
    /// Setting `search_path`.
    pub(super) path: Option<Vec<String>>,
    /// The schemas of it that the role found.
    pub(super) schemas: Vec<String>,
    /// The current role.
    pub(super) role: Option<String>,
    /// The role of the session.
    pub(super) session_role: Option<String>,
    /// Triggers and rules act as usual.
    pub(super) is_origin: bool,
}

/// What undoes a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Undo {
    Paths(Path, Option<Path>),
    Roles(Role, Option<Role>),
    /// Temporary relations were as this says; `None`: not there.
    Temporary(Vec<(String, Option<bool>)>),
    /// A relation: its schema and name, and what had become of it.
    Relation(String, String, Option<Made>),
    Schema(String, Option<Made>),
    Untold(Untold),
}

impl Undo {
    fn bytes(&self) -> usize {
        let of = |path: &Path| match path {
            Path::Set(schemas) => schemas.iter().map(|schema| schema.len() + CHANGE).sum(),
            Path::Start | Path::Unknown => 0,
        };
        CHANGE
            + match self {
                Undo::Paths(path, local) => of(path) + local.as_ref().map_or(0, of),
                Undo::Temporary(names) => names.iter().map(|(name, _)| name.len() + CHANGE).sum(),
                Undo::Relation(schema, name, _) => schema.len() + name.len(),
                Undo::Schema(schema, _) => schema.len(),
                Undo::Roles(..) | Undo::Untold(_) => CHANGE,
            }
    }
}

impl Names {
    pub(super) fn begin(&mut self, start: Start) {
        self.start = start;
        self.epoch += 1;
    }

    /// The server told its setting (from version 18 on).
    pub(super) fn told(&mut self, value: &str) {
        let told = Path::Set(schemas_of_setting(value));
        match &mut self.local_path {
            Some(local) => *local = told,
            None => self.path = told,
        }
        self.epoch += 1;
    }

    /// The list of setting `search_path`.
    fn setting(&self) -> Option<&[String]> {
        match self.local_path.as_ref().unwrap_or(&self.path) {
            Path::Start => self.start.path.as_deref(),
            Path::Set(schemas) => Some(schemas),
            Path::Unknown => None,
        }
    }

    pub(super) fn catalogs_are_told(&mut self, told: bool) {
        self.epoch += u64::from(self.catalogs_are_told != told);
        self.catalogs_are_told = told;
    }

    /// A catalog that is not known is one that could not be read.
    pub(super) fn misses_catalog(&self) -> bool {
        self.catalogs_are_told
    }

    /// There may be a temporary view, or a trigger or a rule of a temporary relation.
    pub(super) fn attached_to_temporary(&self) -> bool {
        self.attached_to_temporary || self.untold.temporary
    }

    fn current_role(&self) -> Option<&str> {
        match self.local_role.as_ref().unwrap_or(&self.role) {
            Role::Start => self.start.role.as_deref(),
            Role::Session => self.start.session_role.as_deref(),
            Role::Set(role) => Some(role),
            Role::Unknown => None,
        }
    }

    /// A statement has taken effect. `session`: what names meant to it; `bound`: the text of a parameter, as far as it is
    /// known.
    pub(super) fn apply(
        &mut self,
        number: u64,
        statement: &Statement,
        reached: Option<&Reached>,
        bound: &dyn Fn(u32) -> Option<String>,
        session: &Meanings,
    ) {
        self.apply_effect(number, &statement.effect);
        for change in &statement.settings {
            self.set(number, &change.name, change.value.as_deref(), change.local);
        }
        for change in &statement.bound_settings {
            match bound(change.parameter) {
                Some(value) => self.set(number, &change.name, Some(&value), change.local),
                None => self.lose_settings(number),
            }
        }
        let may_change_settings = match reached {
            Some(reached) => reached.may_change_settings,
            None => statement.may_change_settings,
        };
        if may_change_settings && statement.bound_settings.is_empty() {
            self.lose_settings(number);
        }
        self.attach(&statement.attaches);
        for (place, change) in statement.names.iter().enumerate() {
            self.apply_change(number, change, session.of(place));
        }
        if reached.is_some_and(|reached| reached.may_change_names) {
            self.set_untold(number, Untold { changed: Some(OPEN), dropped: Some(OPEN), temporary: true });
        }
    }

    fn apply_effect(&mut self, number: u64, effect: &Effect) {
        match effect {
            // What is set again and again may be long: it is copied only where it is something else.
            Effect::SearchPath { schemas, local } if self.is_set(schemas.as_deref(), *local) => {}
            Effect::SearchPath { schemas, local } => {
                let path = schemas.clone().map_or(Path::Start, Path::Set);
                self.set_path(number, path, *local);
            }
            Effect::Setting { name, value, local } => self.set(number, name, value.as_deref(), *local),
            Effect::ResetAll => self.set_path(number, Path::Start, false),
            Effect::Discard { temporary, all } => {
                if *temporary {
                    let dropped: Vec<String> = self.temporary.keys().cloned().collect();
                    self.change_temporary(number, dropped.into_iter().map(|name| (name, None)).collect());
                    self.set_untold(number, Untold { temporary: false, ..self.untold });
                }
                if *all {
                    self.attached_to_temporary = false;
                    self.set_path(number, Path::Start, false);
                    self.set_role(number, self.role_without_a_setting(), false);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, number: u64, name: &str, value: Option<&str>, local: bool) {
        match (name, value) {
            ("search_path", value) => {
                self.set_path(number, value.map_or(Path::Start, |value| Path::Set(schemas_of_setting(value))), local);
            }
            ("role", Some("none")) => self.set_role(number, Role::Session, local),
            ("role", None) => self.set_role(number, Role::Start, local),
            ("role" | "session_authorization", Some(role)) => self.set_role(number, Role::Set(role.to_owned()), local),
            ("session_authorization", None) => self.set_role(number, self.role_without_a_setting(), local),
            // Few sessions do that, and fewer undo it: nothing behind it is certain.
            ("session_replication_role", value) => {
                self.replication_role |= !matches!(value, Some(value) if value.eq_ignore_ascii_case("origin"));
                self.epoch += 1;
            }
            _ => {}
        }
    }

    /// The role of the session, unless a default of setting `role` would come back with it.
    fn role_without_a_setting(&self) -> Role {
        if self.start.role == self.start.session_role { Role::Session } else { Role::Unknown }
    }

    /// The path is that already, in the same way.
    fn is_set(&self, schemas: Option<&[String]>, local: bool) -> bool {
        let set = if local { self.local_path.as_ref() } else { Some(&self.path).filter(|_| self.local_path.is_none()) };
        match (set, schemas) {
            (Some(Path::Start), None) => true,
            (Some(Path::Set(set)), Some(schemas)) => set == schemas,
            _ => false,
        }
    }

    fn set_path(&mut self, number: u64, path: Path, local: bool) {
        let new = if local { (self.path.clone(), Some(path)) } else { (path, None) };
        if (&new.0, &new.1) != (&self.path, &self.local_path) {
            let before =
                Undo::Paths(std::mem::replace(&mut self.path, new.0), std::mem::replace(&mut self.local_path, new.1));
            self.remember(number, before);
        }
    }

    fn set_role(&mut self, number: u64, role: Role, local: bool) {
        let new = if local { (self.role.clone(), Some(role)) } else { (role, None) };
        if (&new.0, &new.1) != (&self.role, &self.local_role) {
            let before =
                Undo::Roles(std::mem::replace(&mut self.role, new.0), std::mem::replace(&mut self.local_role, new.1));
            self.remember(number, before);
        }
    }

    fn lose_settings(&mut self, number: u64) {
        self.set_path(number, Path::Unknown, false);
        self.set_role(number, Role::Unknown, false);
        self.replication_role = true;
    }

    /// Something may hang on relations of these names from now on, even where the transaction is rolled back.
    fn attach(&mut self, names: &ChangedNames) {
        if names.is_empty() || self.relations.is_empty() {
            return;
        }
        for (name, schemas) in &mut self.relations {
            if names.may_be(name) {
                schemas.values_mut().for_each(|made| made.bare = false);
            }
        }
        self.epoch += 1;
    }

    /// The session made that relation, and nothing hangs on it.
    fn is_bare(&self, name: &Name) -> bool {
        let schemas = name.schema.as_ref().zip(self.relations.get(&name.name));
        schemas.and_then(|(schema, schemas)| schemas.get(schema)).is_some_and(|made| made.exists && made.bare)
    }

    fn set_untold(&mut self, number: u64, untold: Untold) {
        if untold.changed == Some(OPEN) {
            self.attach(&ChangedNames::all());
        }
        if untold != self.untold {
            let before = std::mem::replace(&mut self.untold, untold);
            self.remember(number, Undo::Untold(before));
        }
    }

    /// Temporary relations come (whether they go with the transaction), or go.
    fn change_temporary(&mut self, number: u64, changes: Vec<(String, Option<bool>)>) {
        let mut before = Vec::new();
        for (name, change) in changes {
            let old = match change {
                Some(_) if self.temporary.len() >= MAX_RELATIONS && !self.temporary.contains_key(&name) => {
                    self.set_untold(number, Untold { temporary: true, ..self.untold });
                    continue;
                }
                Some(goes) => self.temporary.insert(name.clone(), goes),
                None => self.temporary.remove(&name),
            };
            if old != change {
                before.push((name, old));
            }
        }
        if !before.is_empty() {
            self.remember(number, Undo::Temporary(before));
        }
    }

    fn make(&mut self, number: u64, schema: &str, name: &str, (exists, bare): (bool, bool)) {
        // What has been changed and is not told may hang something on what comes later, too.
        let made = Made { exists, bare: bare && self.untold.changed.is_none(), ended_at: OPEN };
        if self.made >= MAX_RELATIONS {
            return self.set_untold(number, Untold { changed: Some(OPEN), ..self.untold });
        }
        let old = self.relations.entry(name.to_owned()).or_default().insert(schema.to_owned(), made);
        self.made += usize::from(old.is_none());
        self.remember(number, Undo::Relation(schema.to_owned(), name.to_owned(), old));
    }

    fn make_schema(&mut self, number: u64, schema: &str, exists: bool) {
        if self.schemas.len() >= MAX_RELATIONS {
            return self.set_untold(number, Untold { changed: Some(OPEN), ..self.untold });
        }
        let old = self.schemas.insert(schema.to_owned(), Made { exists, bare: false, ended_at: OPEN });
        self.remember(number, Undo::Schema(schema.to_owned(), old));
    }

    fn apply_change(&mut self, number: u64, change: &NameChange, meaning: Option<&Meaning>) {
        let untold = Untold { changed: Some(OPEN), ..self.untold };
        match (change, meaning) {
            (NameChange::Create { name, temporary: true, on_commit_drop, .. }, _) => {
                self.change_temporary(number, vec![(name.name.clone(), Some(*on_commit_drop))]);
            }
            (NameChange::Create { name, on_commit_drop, view, bare, .. }, Some(Meaning::In(schema))) => {
                if schema == TEMPORARY {
                    self.epoch += u64::from(*view && !self.attached_to_temporary);
                    self.attached_to_temporary |= view;
                    self.change_temporary(number, vec![(name.name.clone(), Some(*on_commit_drop))]);
                } else {
                    self.make(number, schema, &name.name, (true, *bare));
                }
            }
            (NameChange::Drop { name, cascade }, meaning) => {
                match meaning {
                    Some(Meaning::In(schema)) if schema == TEMPORARY => {
                        self.change_temporary(number, vec![(name.name.clone(), None)]);
                    }
                    Some(Meaning::In(schema)) => self.make(number, schema, &name.name, (false, false)),
                    // IF EXISTS, and it does not.
                    Some(Meaning::Nowhere) => {}
                    None => self.set_untold(number, Untold { dropped: Some(OPEN), temporary: true, ..self.untold }),
                }
                if *cascade {
                    self.set_untold(number, Untold { dropped: Some(OPEN), ..self.untold });
                }
            }
            (NameChange::Rename { from, to }, Some(Meaning::In(schema))) => {
                if schema == TEMPORARY {
                    let goes = self.temporary.get(&from.name).copied().unwrap_or(false);
                    self.change_temporary(number, vec![(from.name.clone(), None), (to.clone(), Some(goes))]);
                } else {
                    self.make(number, schema, &from.name, (false, false));
                    self.make(number, schema, to, (true, false));
                }
            }
            (NameChange::Move { name, schema: to }, Some(Meaning::In(schema))) => {
                self.make(number, schema, &name.name, (false, false));
                self.make(number, to, &name.name, (true, false));
            }
            (NameChange::Rename { .. } | NameChange::Move { .. }, Some(Meaning::Nowhere)) => {}
            (NameChange::CreateSchema(Some(schema)), _) => self.make_schema(number, schema, true),
            (NameChange::CreateSchema(None), _) => match self.current_role().map(str::to_owned) {
                Some(role) => self.make_schema(number, &role, true),
                None => self.set_untold(number, untold),
            },
            (NameChange::DropSchema { name, .. }, _) => {
                self.make_schema(number, name, false);
                self.set_untold(number, Untold { dropped: Some(OPEN), ..self.untold });
            }
            (NameChange::RenameSchema { from, to }, _) => {
                self.make_schema(number, from, false);
                self.make_schema(number, to, true);
                self.set_untold(number, untold);
            }
            (NameChange::Attached(_), Some(Meaning::In(schema))) if schema != TEMPORARY => {}
            (NameChange::Attached(_), Some(Meaning::Nowhere)) | (NameChange::Settings, _) => {}
            (NameChange::Attached(_), _) => {
                // A rollback undoes it, which is not told: then there only may be.
                self.epoch += u64::from(!self.attached_to_temporary);
                self.attached_to_temporary = true;
            }
            (NameChange::Unknown, _) => {
                self.attached_to_temporary = true;
                self.set_untold(number, Untold { changed: Some(OPEN), dropped: Some(OPEN), temporary: true });
            }
            (NameChange::Create { .. } | NameChange::Rename { .. } | NameChange::Move { .. }, _) => {
                self.set_untold(number, Untold { temporary: true, ..untold });
            }
        }
    }

    fn remember(&mut self, number: u64, undo: Undo) {
        self.epoch += 1;
        let bytes = self.undo_bytes + undo.bytes();
        if self.lost.is_none() && bytes <= MAX_UNDO {
            self.undo_bytes = bytes;
            self.undo.push((number, undo));
        } else {
            self.lost.get_or_insert((number, number)).1 = number;
        }
    }

    fn put_relation(&mut self, schema: String, name: String, made: Option<Made>) {
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
    pub(super) fn roll_back_from(&mut self, first: u64) {
        while let Some((_, undo)) = self.undo.pop_if(|(statement, _)| *statement >= first) {
            self.epoch += 1;
            self.undo_bytes -= undo.bytes();
            match undo {
                Undo::Paths(path, local) => (self.path, self.local_path) = (path, local),
                Undo::Roles(role, local) => (self.role, self.local_role) = (role, local),
                Undo::Temporary(before) => {
                    for (name, old) in before {
                        match old {
                            Some(goes) => _ = self.temporary.insert(name, goes),
                            None => _ = self.temporary.remove(&name),
                        }
                    }
                }
                Undo::Relation(schema, name, old) => self.put_relation(schema, name, old),
                Undo::Schema(schema, old) => match old {
                    Some(old) => _ = self.schemas.insert(schema, old),
                    None => _ = self.schemas.remove(&schema),
                },
                Undo::Untold(untold) => self.untold = untold,
            }
        }
        if let Some((from, to)) = self.lost
            && to >= first
        {
            (self.path, self.local_path) = (Path::Unknown, None);
            (self.role, self.local_role) = (Role::Unknown, None);
            self.untold = Untold { changed: Some(OPEN), dropped: Some(OPEN), temporary: true };
            self.temporary.clear();
            self.attach(&ChangedNames::all());
            self.lost = (from < first).then(|| (from, first - 1));
            self.epoch += 1;
        }
    }

    /// The transaction is over, `at` when its end was told; `None`: it was rolled back.
    pub(super) fn end_transaction(&mut self, committed: bool, at: i64) {
        if !committed {
            self.roll_back_from(0);
        }
        let local = self.local_path.take().is_some() | self.local_role.take().is_some();
        let before = self.temporary.len();
        self.temporary.retain(|_, goes| !*goes);
        if local || before != self.temporary.len() || !self.undo.is_empty() || self.lost.is_some() {
            self.epoch += 1;
        }
        let mut ended = |made: &mut Made| {
            if made.ended_at == OPEN {
                made.ended_at = at;
            }
        };
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
        for since in [&mut self.untold.changed, &mut self.untold.dropped].into_iter().flatten() {
            if *since == OPEN {
                *since = at;
            }
        }
        (self.undo_bytes, self.lost) = (0, None);
    }

    /// Forgets what a catalog has that was read since then.
    pub(super) fn covered(&mut self, begun_at: i64) {
        let open = |made: &Made| made.ended_at > begun_at;
        if self.made > 0 {
            self.relations.retain(|_, schemas| {
                schemas.retain(|_, made| open(made));
                !schemas.is_empty()
            });
            self.made = self.relations.values().map(BTreeMap::len).sum();
        }
        self.schemas.retain(|_, made| open(made));
        self.untold.changed = self.untold.changed.filter(|since| *since > begun_at);
        self.untold.dropped = self.untold.dropped.filter(|since| *since > begun_at);
    }
}
