//! What decides the meaning of a session's names: its search path, its role, its temporary relations, and the relations
//! that it made, renamed or dropped itself since the catalog was read.
//!
//! Invariants: what may have been changed in a way that is not told is not known until something sets it: never a guess.
//! What is kept, and what is kept to undo a transaction, is bounded; where it is more, what was lost is not known.

use std::collections::{BTreeMap, BTreeSet};

use hansard_pg_wire::conversation::Moment;
use hansard_policy::reach::{Made as MadeDefinition, Reached, Routine};
use hansard_policy::{ChangedNames, Effect, NameChange, Statement, schemas_of_setting};
use serde::{Deserialize, Serialize};

mod changes;
mod hanging;
mod meanings;
mod resolve;
mod system;
#[cfg(test)]
mod tests;
mod transaction;

use meanings::Meaning;
pub(super) use meanings::Meanings;
pub(super) use resolve::{InSession, LookedUp, shown};

/// Stands for the schema of a relation that was named without one while it could not be known.
pub const UNKNOWN_SCHEMA: &str = "?";

/// Stands for a relation that may have been touched and is not known.
pub const UNKNOWN_RELATION: &str = "?";

/// Most temporary relations that are remembered, and most relations of its own that the catalog does not have yet.
const MAX_RELATIONS: usize = 10_000;

/// Most functions, types and operators of its own that are remembered until the catalog has them, and most bytes of what they
/// consist of.
const MAX_DEFINITIONS: u32 = 1024;
const MAX_DEFINITION_BYTES: usize = 128 * 1024;

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
    /// Nothing hung on it when it was made: what is written to it stays there, and runs no code. That holds as long as the
    /// catalog is the one that was read at that moment: a later one tells.
    #[serde(default)]
    bare: Option<i64>,
    /// A partitioned table.
    #[serde(default)]
    partitioned: bool,
    /// When its transaction ended: a catalog that was read later has it.
    ended_at: i64,
    /// The statement that did it.
    by: u64,
}

/// A temporary relation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Temporary {
    /// It goes when its transaction ends.
    goes: bool,
    /// A table that depends on no other relation.
    plain: bool,
    /// The statement that gave it its name.
    by: u64,
    /// What it depends on has been dropped, or may have been, and it may be gone with it.
    #[serde(default)]
    may_be_gone: bool,
}

/// Since when names have been changed that are not told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Untold {
    /// Relations may have come, or got other names: when that transaction ended.
    changed: Option<i64>,
    /// Relations may have been dropped.
    dropped: Option<i64>,
    /// Temporary relations may have come or gone: likewise.
    #[serde(default)]
    temporary_changed: Option<i64>,
    /// Relations may have been dropped that were made partitions of one that was dropped.
    #[serde(default)]
    partitions: Option<i64>,
}

impl Untold {
    /// Anything may have happened.
    fn anything() -> Untold {
        Untold { changed: Some(OPEN), dropped: Some(OPEN), temporary_changed: Some(OPEN), partitions: None }
    }
}

impl Made {
    /// A relation that is there; by which statement is told when it is kept.
    fn there() -> Made {
        Made { exists: true, bare: None, partitioned: false, ended_at: OPEN, by: 0 }
    }

    /// One that is not there any more.
    fn gone() -> Made {
        Made { exists: false, ..Made::there() }
    }
}

/// PostgreSQL gives such a name to the sequence of a serial or identity column, which no text names.
fn may_be_generated(name: &str) -> bool {
    name.trim_end_matches(|letter: char| letter.is_ascii_digit()).ends_with("_seq")
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
    temporary: BTreeMap<String, Temporary>,
    /// By name and schema.
    relations: BTreeMap<String, BTreeMap<String, Made>>,
    made: usize,
    schemas: BTreeMap<String, Made>,
    /// Names of relations that the session has made in a schema that is not known, perhaps in the temporary one, which no catalog
    /// tells to be its own: when the transaction ended.
    #[serde(default)]
    somewhere: BTreeMap<String, i64>,
    /// Functions and procedures that the session made and that the catalog does not have yet, by name; with when the
    /// transaction ended. What was undone or replaced stays: it only may be meant, too.
    routines: BTreeMap<String, Vec<Routine>>,
    /// Types and operators, likewise.
    definitions: BTreeMap<String, Vec<MadeDefinition>>,
    definitions_ended: BTreeMap<u32, i64>,
    definition_bytes: usize,
    last_definition: u32,
    /// Numbers of types in the temporary schema: no catalog will have them.
    #[serde(default)]
    lasting_definitions: BTreeSet<u32>,
    untold: Untold,
    /// Something may hang on temporary relations: a view, a trigger, a rule, code in a default or a constraint.
    #[serde(default)]
    attached_to_temporary: bool,
    /// Names of relations that temporary ones may inherit from.
    #[serde(default)]
    temporary_kin: ChangedNames,
    /// The session has made something of which it is not told here what it is: perhaps a type whose values run code.
    #[serde(default)]
    other_made: bool,
    /// Functions, types and operators of these names may have been made or changed, what they do is not told, and the catalog
    /// need not hold it: when the last transaction ended that did it.
    #[serde(default)]
    unread: ChangedNames,
    #[serde(default)]
    unread_at: i64,
    /// When the search path was set, the role was set, or the session began, at the earliest: PostgreSQL does not look again
    /// whether the role may use its schemas before that happens again, unless a schema changes.
    #[serde(default)]
    path_at: i64,
    /// When the statement began that was answered last.
    #[serde(default)]
    now: i64,
    /// SET SESSION AUTHORIZATION was used.
    #[serde(default)]
    other_session_role: bool,
    /// The last statement that gave a relation a name, and the last that changed what names mean in any way.
    named_by: u64,
    changed_by: u64,
    /// The last statement that was answered, and the last one before a rollback that gave names back: what was looked up before
    /// that may mean what they meant without.
    answered: u64,
    given_back: u64,
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
    /// UTC nanoseconds, not later.
    pub(super) at: i64,
}

/// What undoes a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Undo {
    Paths(Path, Option<Path>),
    Roles(Role, Option<Role>),
    /// Temporary relations were as this says; `None`: not there.
    Temporary(Vec<(String, Option<Temporary>)>),
    /// A relation: its schema and name, and what had become of it.
    Relation(String, String, Option<Made>),
    Schema(String, Option<Made>),
    Somewhere(String, Option<i64>),
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
                Undo::Somewhere(name, _) => name.len(),
                Undo::Roles(..) | Undo::Untold(_) => CHANGE,
            }
    }
}

impl Names {
    pub(super) fn begin(&mut self, start: Start) {
        self.path_at = start.at;
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
        self.attached_to_temporary || self.untold.temporary_changed.is_some()
    }

    fn current_role(&self) -> Option<&str> {
        match self.local_role.as_ref().unwrap_or(&self.role) {
            Role::Start => self.start.role.as_deref(),
            Role::Session => self.start.session_role.as_deref(),
            Role::Set(role) => Some(role),
            Role::Unknown => None,
        }
    }

    /// Before the first statement.
    fn beginning(&self) -> Moment {
        Moment { statement: 0, at: self.start.at }
    }

    /// A relation that the session made may have got its name since then, or have it back.
    pub(super) fn may_have_named_since(&self, moment: Moment) -> bool {
        self.named_by.max(self.given_back) > moment.statement
    }

    /// A statement was answered that began then.
    pub(super) fn answer(&mut self, number: u64, began: i64) {
        self.answered = self.answered.max(number);
        self.now = began;
    }

    /// There is a temporary relation of that name; `None`: there may be.
    fn has_temporary(&self, name: &str) -> Option<bool> {
        match self.temporary.get(name) {
            _ if self.untold.temporary_changed.is_some() || self.somewhere.contains_key(name) => None,
            Some(made) => (!made.may_be_gone).then_some(true),
            // Of a serial or identity column of a temporary table.
            None if !self.temporary.is_empty() && may_be_generated(name) => None,
            None => Some(false),
        }
    }

    /// What names mean may have been changed behind that statement.
    pub(super) fn may_have_changed_since(&self, statement: u64) -> bool {
        self.changed_by > statement
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
        let temporary = |change: &NameChange| matches!(change, NameChange::Create { temporary: true, bare: false, .. });
        self.attach(&statement.attaches);
        if statement.attaches.is_all() && !self.temporary.is_empty() {
            // Names that are not told in other letters than ASCII's are told by the relations.
            let relations = statement.relations.iter().map(|relation| relation.name.name.as_str());
            self.bind_to_temporary(&ChangedNames::of(relations));
        }
        if statement.names.iter().any(temporary) {
            let relations = statement.relations.iter().map(|relation| relation.name.name.as_str());
            self.bind_to_temporary(&ChangedNames::of(relations));
        }
        self.redefine(&statement.redefines);
        let makes_other = !statement.redefines.is_empty() || statement.definition.is_some();
        self.other_made |= makes_other && statement.names.is_empty();
        if let Some((_, function)) = &statement.routine {
            self.make_routine(function, session.routine());
        }
        if let Some(definition) = &statement.definition {
            // The row type of a temporary table is known with that.
            self.make_definition(definition, session.definition(), statement.names.is_empty());
        }
        for (place, change) in statement.names.iter().enumerate() {
            self.apply_change(number, change, session.of(place), session);
        }
        if reached.is_some_and(|reached| reached.may_change_names) {
            self.set_untold(number, Untold::anything());
        }
    }

    fn apply_effect(&mut self, number: u64, effect: &Effect) {
        match effect {
            // What is set again and again may be long: it is copied only where it is something else.
            Effect::SearchPath { schemas, local } if self.is_set(schemas.as_deref(), *local) => self.look_at_path(),
            Effect::SearchPath { schemas, local } => {
                let path = schemas.clone().map_or(Path::Start, Path::Set);
                self.set_path(number, path, *local);
            }
            Effect::Setting { name, value, local } => self.set(number, name, value.as_deref(), *local),
            // Of a transaction that this or any other session has prepared, which made nothing temporary.
            Effect::CommitPrepared(_) => {
                self.set_untold(
                    number,
                    Untold { temporary_changed: self.untold.temporary_changed, ..Untold::anything() },
                );
            }
            Effect::ResetAll => self.set_path(number, Path::Start, false),
            Effect::Discard { temporary, all } => {
                if *temporary {
                    let dropped: Vec<String> = self.temporary.keys().cloned().collect();
                    self.change_temporary(number, dropped.into_iter().map(|name| (name, None)).collect());
                    self.set_untold(number, Untold { temporary_changed: None, ..self.untold });
                    self.lasting_definitions.clear();
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
            // Of the role that SET SESSION AUTHORIZATION has set, which a rollback takes back.
            ("role", None | Some("none")) if self.other_session_role => self.set_role(number, Role::Unknown, local),
            ("role", Some("none")) => self.set_role(number, Role::Session, local),
            ("role", None) => self.set_role(number, Role::Start, local),
            ("role", Some(role)) => self.set_role(number, Role::Set(role.to_owned()), local),
            ("session_authorization", Some(role)) => {
                self.other_session_role = true;
                self.set_role(number, Role::Set(role.to_owned()), local);
            }
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

    /// PostgreSQL looks anew which schemas of the path the role may use.
    fn look_at_path(&mut self) {
        self.epoch += u64::from(self.path_at != self.now);
        self.path_at = self.now;
    }

    fn set_path(&mut self, number: u64, path: Path, local: bool) {
        self.look_at_path();
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
            let role = self.current_role().map(str::to_owned);
            let before =
                Undo::Roles(std::mem::replace(&mut self.role, new.0), std::mem::replace(&mut self.local_role, new.1));
            self.remember(number, before);
            if role.is_some() && self.current_role().is_some_and(|now| role.as_deref() != Some(now)) {
                self.look_at_path();
            }
        }
    }

    /// Something was done that is not known.
    pub(super) fn lose(&mut self, number: u64) {
        self.lose_settings(number);
        self.other_made = true;
        self.attached_to_temporary = true;
        self.set_untold(number, Untold::anything());
    }

    /// Settings stand elsewhere than is known here.
    fn lose_settings(&mut self, number: u64) {
        self.set_path(number, Path::Unknown, false);
        self.set_role(number, Role::Unknown, false);
        self.replication_role = true;
    }

    fn set_untold(&mut self, number: u64, untold: Untold) {
        if untold.changed == Some(OPEN) {
            self.define_anything();
        }
        if untold != self.untold {
            let before = std::mem::replace(&mut self.untold, untold);
            self.remember(number, Undo::Untold(before));
        }
    }
}
