//! What hangs on relations that the session has made itself, and what functions do that it has made.

use std::collections::{BTreeMap, BTreeSet};

use hansard_policy::catalog::Function;
use hansard_policy::reach::Routine;
use hansard_policy::{ChangedNames, Name, is_built_in};

use super::{CHANGE, MAX_ROUTINE_BYTES, MAX_ROUTINES, Made, Names, OPEN};

impl Names {
    /// Something may hang on relations of these names from now on, even where the transaction is rolled back.
    pub(super) fn attach(&mut self, names: &ChangedNames) {
        if names.is_empty() {
            return;
        }
        // What unknown code does with temporary relations is not known in more ways than this.
        match names.is_all() {
            true => self.hang_on_temporary(self.temporary.is_empty()),
            false if self.temporary.keys().any(|name| names.may_be(name)) => self.bind_to_temporary(names),
            false => {}
        }
        let attach = |schemas: &mut BTreeMap<String, Made>| {
            for made in schemas.values_mut() {
                made.bare = None;
            }
        };
        if names.is_all() {
            self.relations.values_mut().for_each(attach);
        } else {
            for name in names.names() {
                self.relations.get_mut(name).into_iter().for_each(attach);
            }
        }
        self.epoch += 1;
    }

    /// Temporary relations may inherit from relations of these names, or something else of theirs may hang on them.
    pub(super) fn bind_to_temporary(&mut self, names: &ChangedNames) {
        self.hang_on_temporary(false);
        self.temporary_kin.add(names);
    }

    /// What is done to a relation of that name may reach a temporary one.
    pub(crate) fn has_temporary_kin(&self, name: &str) -> bool {
        self.temporary_kin.may_be(name)
    }

    /// The session made that relation, and nothing hangs on it, as long as the catalog is the one that was read then.
    pub(super) fn is_bare(&self, name: &Name, catalog: Option<i64>) -> bool {
        let schemas = name.schema.as_ref().zip(self.relations.get(&name.name));
        let made = schemas.and_then(|(schema, schemas)| schemas.get(schema)).filter(|made| made.exists);
        made.is_some_and(|made| made.bare.is_some() && made.bare == catalog)
    }

    /// The catalog does not hold what hangs on temporary relations, unless that is nothing. A rollback undoes it, which is not
    /// told: then there only may be something.
    pub(super) fn hang_on_temporary(&mut self, bare: bool) {
        self.epoch += u64::from(!bare && !self.attached_to_temporary);
        self.attached_to_temporary |= !bare;
    }

    /// A function or procedure is made in that schema; where that is not known, it is not known what calls of it do.
    pub(super) fn make_routine(&mut self, function: &Function, schema: Option<&str>) {
        let bytes = function.source.as_ref().map_or(0, |source| source.len()) + CHANGE;
        let full = self.routine_bytes + bytes > MAX_ROUTINE_BYTES || self.last_routine >= MAX_ROUTINES;
        let Some(schema) = schema.filter(|_| !full) else {
            // Calls that mean this one must not be taken for another of its name.
            return self.forget_routines(|name| name == &*function.name);
        };
        self.last_routine += 1;
        self.routine_bytes += bytes;
        let function = Function { schema: schema.into(), ..function.clone() };
        let routines = self.routines.entry(function.name.to_string()).or_default();
        routines.push(Routine::new(function, self.last_routine));
        self.routines_ended.insert(self.last_routine, OPEN);
        self.epoch += 1;
    }

    /// Functions of these names may do something else from now on, even where the transaction is rolled back.
    pub(super) fn redefine(&mut self, names: &ChangedNames) {
        if !names.is_empty() && !self.routines.is_empty() {
            self.forget_routines(|name| names.may_be(name));
        }
    }

    fn forget_routines(&mut self, forget: impl Fn(&str) -> bool) {
        self.routines.retain(|name, _| !forget(name));
        self.count_routines();
        self.epoch += 1;
    }

    pub(super) fn count_routines(&mut self) {
        let all = || self.routines.values().flatten();
        let held: BTreeSet<u32> = all().map(|routine| routine.number).collect();
        let bytes = |routine: &Routine| routine.function.source.as_ref().map_or(0, |source| source.len()) + CHANGE;
        self.routine_bytes = all().map(bytes).sum();
        self.routines_ended.retain(|number, _| held.contains(number));
    }

    /// The session made a function that is named like one of PostgreSQL's own.
    pub(super) fn has_routine_of_own_name(&self) -> bool {
        let own = |name: &String| is_built_in(&Name { schema: None, name: name.clone() });
        self.routines.keys().any(own)
    }

    /// The session made a function of that name, and what that does was read.
    pub(super) fn made_routine(&self, name: &str) -> bool {
        self.routines.contains_key(name)
    }
}
