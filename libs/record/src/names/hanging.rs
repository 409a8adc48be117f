//! What hangs on relations that the session has made itself, and what functions do that it has made.

use std::collections::{BTreeMap, BTreeSet};

use hansard_policy::catalog::{Function, TEMPORARY};
use hansard_policy::reach::{Made as MadeDefinition, Routine};
use hansard_policy::{CallKind, ChangedNames, Definition, Name, is_built_in};

use super::{CHANGE, MAX_DEFINITION_BYTES, MAX_DEFINITIONS, Made, Names, OPEN};

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
        // Rules and policies run code where rows are read.
        let shows = ["rule", "policy", "security"].into_iter().any(|word| names.may_be(word));
        for (_, made) in self.temporary.iter_mut().filter(|(name, _)| names.may_be(name)) {
            made.plain = false;
            made.table &= !shows;
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

    /// It is a temporary table of the session, and nothing hangs on it.
    pub(crate) fn is_plain_temporary(&self, name: &str) -> bool {
        let plain = |made: &super::Temporary| made.plain && !made.may_be_gone;
        self.untold.temporary_changed.is_none() && self.temporary.get(name).is_some_and(plain)
    }

    /// It is a temporary table of the session, and reading it runs no code.
    pub(crate) fn is_temporary_table(&self, name: &str) -> bool {
        let table = |made: &super::Temporary| made.table && !made.may_be_gone;
        self.untold.temporary_changed.is_none() && self.temporary.get(name).is_some_and(table)
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
        let Some((schema, number)) = schema.zip(self.number_of_definition(bytes_of(function))) else {
            // Calls that mean this one must not be taken for another of its name.
            self.leave_unread(&ChangedNames::of([&*function.name].into_iter()));
            return self.forget_definitions(|name| name == &*function.name);
        };
        let function = Function { schema: schema.into(), ..function.clone() };
        self.routines.entry(function.name.to_string()).or_default().push(Routine::new(function, number));
    }

    /// Likewise a type or an operator.
    pub(super) fn make_definition(&mut self, definition: &Definition, schema: Option<&str>, alone: bool) {
        let Definition { kind, name, calls } = definition;
        let bytes = CHANGE * (1 + calls.as_ref().map_or(0, Vec::len));
        let Some((schema, number)) = schema.zip(self.number_of_definition(bytes)) else {
            self.leave_unread(&ChangedNames::of([name.name.as_str()].into_iter()));
            return self.forget_definitions(|forgotten| *forgotten == *name.name);
        };
        if alone && schema == TEMPORARY && *kind == CallKind::Type {
            self.lasting_definitions.insert(number);
        }
        let made = MadeDefinition { schema: schema.into(), kind: *kind, calls: calls.clone(), number };
        self.definitions.entry(name.name.clone()).or_default().push(made);
    }

    /// Where there is room for one of so many bytes.
    fn number_of_definition(&mut self, bytes: usize) -> Option<u32> {
        if self.definition_bytes + bytes > MAX_DEFINITION_BYTES {
            return None;
        }
        let number = match self.last_definition {
            last if last < MAX_DEFINITIONS => last + 1,
            // What is kept as long as the session lasts has others in between.
            _ => (1..=MAX_DEFINITIONS).find(|number| !self.definitions_ended.contains_key(number))?,
        };
        self.last_definition = self.last_definition.max(number);
        self.definition_bytes += bytes;
        self.definitions_ended.insert(number, OPEN);
        self.epoch += 1;
        Some(number)
    }

    /// Functions, types and operators of these names may be something that is not told.
    fn leave_unread(&mut self, names: &ChangedNames) {
        self.unread.add(names);
        self.unread_at = OPEN;
        self.epoch += 1;
    }

    /// Anything may hang on relations from now on, and functions may do anything.
    pub(super) fn define_anything(&mut self) {
        self.attach(&ChangedNames::all());
        self.redefine(&ChangedNames::all());
    }

    /// Functions of these names may do something else from now on, even where the transaction is rolled back.
    pub(super) fn redefine(&mut self, names: &ChangedNames) {
        if !names.is_empty() {
            self.leave_unread(names);
        }
        if !names.is_empty() && !self.definitions_ended.is_empty() {
            self.forget_definitions(|name| names.may_be(name));
        }
    }

    fn forget_definitions(&mut self, forget: impl Fn(&str) -> bool) {
        self.routines.retain(|name, _| !forget(name));
        self.definitions.retain(|name, _| !forget(name));
        self.count_definitions();
        self.epoch += 1;
    }

    /// Forgets definitions that a catalog has which was read since then.
    pub(super) fn forget_definitions_until(&mut self, begun_at: i64) {
        let ended = self.definitions_ended.iter().filter(|(_, ended)| **ended > begun_at);
        let open: BTreeSet<u32> = ended.map(|(number, _)| *number).collect();
        self.routines.retain(|_, routines| {
            routines.retain(|routine| open.contains(&routine.number));
            !routines.is_empty()
        });
        let lasting = &self.lasting_definitions;
        self.definitions.retain(|_, definitions| {
            let kept = |number: &u32| open.contains(number) || lasting.contains(number);
            definitions.retain(|definition| kept(&definition.number));
            !definitions.is_empty()
        });
        self.count_definitions();
        if self.definitions_ended.is_empty() {
            self.last_definition = 0;
        }
    }

    fn count_definitions(&mut self) {
        let routines = self.routines.values().flatten().map(|routine| (routine.number, bytes_of(&routine.function)));
        let bytes = |calls: &Option<Vec<_>>| CHANGE * (1 + calls.as_ref().map_or(0, Vec::len));
        let others = self.definitions.values().flatten().map(|made| (made.number, bytes(&made.calls)));
        let held: BTreeMap<u32, usize> = routines.chain(others).collect();
        self.definition_bytes = held.values().sum();
        self.definitions_ended.retain(|number, _| held.contains_key(number));
        self.lasting_definitions.retain(|number| held.contains_key(number));
    }

    /// The session made a function that is named like one of PostgreSQL's own.
    pub(super) fn has_routine_of_own_name(&self) -> bool {
        let own = |name: &String| is_built_in(&Name { schema: None, name: name.clone() });
        self.routines.keys().any(own)
    }

    /// The session made a function of that name, and what all those do that it made was read.
    pub(super) fn made_routine(&self, name: &str) -> bool {
        self.routines.contains_key(name) && !self.unread.may_be(name)
    }

    /// The session made a function, an operator or a type of that name, and what it does was not read.
    pub(super) fn may_have_made_unread(&self, name: &str) -> bool {
        self.unread.may_be(name)
    }
}

fn bytes_of(function: &Function) -> usize {
    function.source.as_ref().map_or(0, |source| source.len()) + function.signature.len() + CHANGE
}
