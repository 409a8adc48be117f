//! What is being changed in a database, and when something was that statements under way may have used as it was before.

use std::collections::HashSet;

use hansard_policy::CallKind;
use hansard_policy::catalog::{Change, Kind, Object};
use uuid::Uuid;

use super::{Changing, Known};

/// Most names of functions, types and operators that were changed and are told apart by when.
const MAX_CODE: usize = 10_000;

/// Words of which one stands in each text that makes, changes or moves a function.
const OF_FUNCTIONS: [&str; 4] = ["function", "procedure", "routine", "aggregate"];

/// Words of which one stands in each text that changes what runs where rows are read, or gives the name of a relation to
/// another.
const OF_READS: [&str; 6] = ["view", "rule", "policy", "security", "rename", "schema"];

/// Words of which one stands in each text that hangs an expression on a relation which is evaluated without a write, or gives
/// the name of a relation to another; beside PARTITION.
const OF_EXPRESSIONS: [&str; 9] =
    ["index", "check", "exclude", "materialized", "like", "inherit", "inherits", "rename", "schema"];

impl Known {
    /// Notes which code is changed by these changes, and whether roles are.
    pub(crate) fn date(&mut self, changes: &[Change], read_at: i64) {
        for Change { kind, oid, object } in changes {
            let before = self.catalog.object(*kind, *oid);
            match kind {
                Kind::Role | Kind::Database if before.is_some() => {
                    let rights = |object: &Object| match object {
                        Object::Role(role) => (u32::from(role.superuser), role.inherits.clone()),
                        Object::Database(database) => (database.owner, Vec::new()),
                        _ => (0, Vec::new()),
                    };
                    if before.map(|before| rights(before)) != object.as_ref().map(|object| rights(object)) {
                        self.roles_at = read_at;
                    }
                }
                Kind::EventTrigger => (self.event_triggers_at, self.last_code_at) = (read_at, read_at),
                Kind::Function | Kind::Type | Kind::Operator => {
                    // What has come may have been something else since the reading before.
                    let names = [before, object.as_ref()].into_iter().flatten().map(|object| object.name().1);
                    for name in names {
                        if self.code_at.len() >= MAX_CODE {
                            self.code_at.clear();
                            self.all_code_at = read_at;
                        }
                        self.code_at.insert(name.into(), read_at);
                    }
                    self.last_code_at = read_at;
                }
                _ => {}
            }
        }
    }

    /// Some code may have been changed since then.
    pub(crate) fn may_have_changed_code_since(&self, at: i64) -> bool {
        self.last_code_at > at
    }

    /// Functions, types or operators of that name may have been changed since then.
    pub(crate) fn is_code_changed_since(&self, name: &str, at: i64) -> bool {
        self.code_at.get(name).copied().unwrap_or(self.all_code_at) > at
    }

    /// Event triggers may.
    pub(crate) fn are_event_triggers_changed_since(&self, at: i64) -> bool {
        self.event_triggers_at > at
    }

    /// Which schemas a role may use may have been changed since then, where that depends on other roles.
    pub(crate) fn are_roles_changed_since(&self, at: i64) -> bool {
        self.roles_at > at
    }

    /// Another session may be changing what that name means.
    pub(crate) fn is_changing(&self, name: &str, session_id: Uuid) -> bool {
        let session = session_id.as_u64_pair();
        self.not_kept.is_some()
            || self.changing.values().any(|changing| changing.session != session && changing.may_be(name))
    }

    /// Another session may be making, changing or dropping a function, an operator or a type of that name.
    pub(crate) fn is_code_changing(&self, kind: CallKind, name: &str, session_id: Uuid) -> bool {
        let session = session_id.as_u64_pair();
        let words: &[&str] = match kind {
            CallKind::Type => &["type", "domain"],
            CallKind::Operator => &["operator"],
            CallKind::Function | CallKind::Field | CallKind::Procedure => &OF_FUNCTIONS,
        };
        let of_code = |names: &HashSet<String>| words.iter().any(|word| names.contains(*word));
        let may_be =
            |changing: &Changing| changing.names.as_ref().is_none_or(|names| names.contains(name) && of_code(names));
        let others = || self.changing.values().filter(|changing| changing.session != session);
        self.not_kept.is_some() || others().any(may_be)
    }

    /// Another session may be dropping a relation of that name.
    pub(crate) fn is_dropping_one(&self, name: &str, session_id: Uuid) -> bool {
        let session = session_id.as_u64_pair();
        let drops = |changing: &Changing| {
            changing.names.as_ref().is_none_or(|names| names.contains(name) && names.contains("drop"))
        };
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.session != session && drops(changing))
    }

    /// Another session may be changing something.
    pub(crate) fn is_anything_changing(&self, session_id: Uuid) -> bool {
        let session = session_id.as_u64_pair();
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.session != session)
    }

    /// A schema may be about to come or to go, or a role's right to use it. `usable`: it is there, and the role may use it;
    /// `by_roles`: whether it may depends on its memberships; `superuser`: the role, if it may use all; `only_others`: what the session itself does is known.
    pub(crate) fn may_change_path(
        &self,
        schema: &str,
        (usable, by_roles, superuser): (bool, bool, Option<&str>),
        session_id: Uuid,
        only_others: bool,
    ) -> bool {
        let session = session_id.as_u64_pair();
        let may = |changing: &Changing| {
            let Some(names) = &changing.names else { return true };
            let has = |words: &[&str]| words.iter().any(|word| names.contains(*word));
            let named = names.contains(schema);
            let comes = named && changing.session != session && !usable;
            // GRANT gives what is not there, and takes nothing. Who is a superuser may use whatever is there.
            let takes = match superuser {
                Some(role) => has(&["drop"]) || names.contains(role),
                None => has(&["revoke", "drop", "alter", "reassign"]),
            };
            let gives = !usable && superuser.is_none();
            comes || changing.paths && (gives || usable && takes) && (named || by_roles || has(&["owned"]))
        };
        let asked = |changing: &&Changing| !only_others || changing.session != session;
        self.not_kept.is_some() || self.changing.values().filter(asked).any(may)
    }

    /// Another session may be dropping anything.
    pub(crate) fn may_be_dropped(&self, session_id: Uuid) -> bool {
        let session = session_id.as_u64_pair();
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.session != session && changing.drops)
    }

    /// Some session may be changing which schemas a role may use.
    pub(crate) fn may_change_paths(&self) -> bool {
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.paths)
    }

    /// Some session may be dropping what hangs on relations, whatever their names.
    pub(crate) fn is_dropping(&self) -> bool {
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.drops)
    }

    /// Some session may be changing what runs where rows of a relation of that name are read: it may be making a view of
    /// that name, or giving that name to one, or a policy.
    pub(crate) fn is_shown_otherwise(&self, name: &str) -> bool {
        let shows = |names: &HashSet<String>| names.contains(name) && OF_READS.iter().any(|word| names.contains(*word));
        let may_be = |changing: &Changing| changing.names.as_ref().is_none_or(shows);
        self.not_kept.is_some() || self.changing.values().any(may_be)
    }

    /// Some session may be changing what is evaluated where a relation of that name is maintained or written anew: indexes,
    /// constraints, partitions. `attaches`: the statement that is asked for makes a partition itself.
    pub(crate) fn is_evaluated_otherwise(&self, name: &str, attaches: bool) -> bool {
        let evaluates = |names: &HashSet<String>| {
            let partition = !attaches && names.contains("partition");
            names.contains(name) && (partition || OF_EXPRESSIONS.iter().any(|word| names.contains(*word)))
        };
        let may_be = |changing: &Changing| changing.names.as_ref().is_none_or(evaluates);
        self.not_kept.is_some() || self.changing.values().any(may_be)
    }

    /// Some session may be changing what hangs on a relation of that name.
    pub(crate) fn is_in_motion(&self, name: &str) -> bool {
        self.not_kept.is_some() || self.changing.values().any(|changing| changing.may_be(name))
    }
}
