//! What a written name means in a session, by its catalog and by what the session did itself.

use std::borrow::Cow;

use hansard_pg_wire::conversation::Moment;
use hansard_policy::catalog::{Catalog, RelationKind, TEMPORARY, Text, with_implicit};
use hansard_policy::reach::{Made, Resolve, Resolved, Routine};
use hansard_policy::{CallKind, Name};
use uuid::Uuid;

use super::system::SYSTEM;
use super::{Names, UNKNOWN_SCHEMA, Untold};
use crate::catalogs::Known;

/// Most relations that are told of one name.
const MAX_CANDIDATES: usize = 64;

const NO_PATH: &str = "the search path is not known";
const MAY_BE_TEMPORARY: &str = "it may be a temporary relation";
const CHANGING: &str = "what the name means was being changed";
const NO_SUCH: &str = "the catalog has no such relation on the search path";
const NO_CATALOG: &str = "the database's catalog is not known";
const LOOKED_UP_BEFORE: &str = "it may be what the name meant when it was looked up before";

/// A session's names at one moment.
pub(crate) struct InSession<'a> {
    names: &'a Names,
    known: Option<&'a Known>,
    session_id: Uuid,
    path: Option<Vec<Text>>,
    /// Of the path: those that may not be there, or that the role may not use.
    doubtful: Vec<Text>,
    creation: Option<Text>,
}

impl<'a> InSession<'a> {
    pub(crate) fn new(names: &'a Names, known: Option<&'a Known>, session_id: Uuid) -> InSession<'a> {
        let mut session = InSession { names, known, session_id, path: None, doubtful: Vec::new(), creation: None };
        match known {
            Some(known) => {
                let listed = session.listed(known);
                let first = listed.as_ref().and_then(|listed| listed.first());
                session.creation = first.filter(|(_, doubtful)| !doubtful).map(|(schema, _)| schema.clone());
                let doubtful = listed.iter().flatten().filter(|(_, doubtful)| *doubtful);
                session.doubtful = doubtful.map(|(schema, _)| schema.clone()).collect();
                session.path = listed.map(|all| with_implicit(all.into_iter().map(|(schema, _)| schema).collect()));
            }
            None => session.creation = session.only_schema().map(Text::from),
        }
        session
    }

    /// The setting's schemas that exist and may be used, with those that the session made itself; and of each whether that is
    /// not certain, as it is being changed, or was, and PostgreSQL need not have looked since.
    fn listed(&self, known: &Known) -> Option<Vec<(Text, bool)>> {
        let (setting, role) = (self.names.setting()?, self.names.current_role());
        let catalog = &known.catalog;
        // Code of the session may have made or dropped schemas.
        let Untold { changed, dropped, .. } = self.names.untold;
        let anything = self.is_newer_than_catalog(changed) && self.is_newer_than_catalog(dropped);
        let mut path: Vec<(Text, bool)> = Vec::new();
        for schema in setting {
            let name = if schema == "$user" { role? } else { schema };
            if path.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if name == TEMPORARY || name == "pg_catalog" {
                path.push((name.into(), false));
                continue;
            }
            let made = self.names.schemas.get(name).filter(|made| self.is_newer(made.ended_at));
            let usable = match made {
                Some(made) => made.exists,
                None => catalog.path(&[name], role)?.iter().any(|found| *found == name),
            };
            let by_roles = made.is_none() && catalog.depends_on_roles(name, role);
            let gone = made.is_some() && !usable;
            let superuser = role.filter(|role| {
                catalog.role_named(role).and_then(|oid| catalog.role(oid)).is_some_and(|role| role.superuser)
            });
            let doubtful = known.may_change_path(name, (usable, by_roles, superuser), self.session_id, gone)
                || made.is_none() && anything
                || by_roles && known.are_roles_changed_since(self.names.path_at);
            if usable || doubtful {
                path.push((name.into(), doubtful));
            }
        }
        Some(path)
    }

    /// What is dropped may take partitions along: it is a partitioned table, or it is not known what it is.
    pub(super) fn may_have_partitions(&self, name: &Name) -> bool {
        let Resolved::Known { oid, name } = self.relation(name) else { return true };
        match oid.zip(self.known) {
            Some((oid, known)) => {
                known.catalog.relation(oid).is_some_and(|relation| relation.kind == RelationKind::Partitioned)
            }
            None => name.schema.as_deref().is_some_and(|schema| self.names.is_partitioned(schema, &name.name)),
        }
    }

    /// The session has made a relation of that name, and neither is its schema known, nor does the catalog hold it.
    fn is_somewhere(&self, name: &str) -> bool {
        self.is_newer_than_catalog(self.names.somewhere.get(name).copied())
    }

    /// Another session may be changing what that name means.
    pub(crate) fn is_changed_by_others(&self, name: &str) -> bool {
        self.known.is_some_and(|known| known.is_changing(name, self.session_id))
    }

    /// The session has made that relation as a partitioned table, and the catalog does not have it yet.
    pub(crate) fn is_newly_partitioned(&self, name: &Name) -> bool {
        name.schema.as_deref().is_some_and(|schema| self.names.is_partitioned(schema, &name.name))
    }

    /// It may have been dropped as a partition of what was dropped, or as the sequence of a column.
    fn may_be_dropped_along(&self, known: &Known, oid: Option<u32>) -> bool {
        let own = self.is_newer_than_catalog(self.names.untold.partitions);
        let others = known.is_anything_changing(self.session_id);
        let Some(oid) = oid.filter(|_| others || self.names.made > 0) else { return own };
        let is_sequence =
            || known.catalog.relation(oid).is_some_and(|relation| relation.kind == RelationKind::Sequence);
        own || known.ancestors(oid).iter().any(|name| known.is_dropping_one(name, self.session_id)) || is_sequence()
    }

    /// A sequence of that name may have come with a column that nobody has named it for.
    fn may_be_generated(&self, known: &Known, name: &str) -> bool {
        super::may_be_generated(name) && (self.names.made > 0 || known.is_anything_changing(self.session_id))
    }

    /// The catalog was read before.
    fn is_newer(&self, ended_at: i64) -> bool {
        self.known.is_none_or(|known| ended_at > known.begun_at)
    }

    /// What is not found of that name is not there.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.path.is_some()
            && !self.is_somewhere(name)
            && self.names.untold.temporary_changed.is_none()
            && !self.is_newer_than_catalog(self.names.untold.changed)
    }

    fn is_newer_than_catalog(&self, since: Option<i64>) -> bool {
        since.is_some_and(|since| self.is_newer(since))
    }

    /// The session has changed names, or may have, in a way that is not told and that the catalog does not hold yet.
    pub(crate) fn is_ahead(&self) -> bool {
        self.known.is_some() && self.is_newer_than_catalog(self.names.untold.changed)
    }

    /// Something that the catalog holds may have been dropped, by whomever.
    pub(crate) fn may_have_dropped(&self) -> bool {
        let dropped = self.is_newer_than_catalog(self.names.untold.dropped);
        self.known.is_some_and(|known| dropped || known.is_dropping())
    }

    /// The session made the relation, and nobody has hung anything on it.
    pub(crate) fn is_bare(&self, name: &Name) -> bool {
        self.known.is_some_and(|known| {
            self.names.is_bare(name, Some(known.begun_at)) && !known.is_changing(&name.name, self.session_id)
        })
    }

    /// When the catalog was begun to be read, where no value runs code by its type alone.
    pub(super) fn plain_values(&self) -> Option<i64> {
        // An event trigger may be about to be, which hangs something on what is made.
        let plain = |known: &&Known| {
            known.missing().is_none() && !known.is_in_motion("event") && !known.catalog.values_may_run_code()
        };
        let unknown = self.names.other_made || self.names.has_routine_of_own_name();
        self.known.filter(|_| !unknown).filter(plain).map(|known| known.begun_at)
    }

    /// What a function of that name does may have been changed, by others or in a way that is not told.
    pub(crate) fn is_in_motion(&self, name: &str) -> bool {
        self.known.is_some_and(|known| match self.names.made_routine(name) {
            true => known.is_changing(name, self.session_id),
            false => known.is_in_motion(name) || self.may_be_temporary_type(known, name),
        })
    }

    /// Code that the session ran may have made a type of that name in its temporary schema, of which the catalog holds the
    /// name alone.
    fn may_be_temporary_type(&self, known: &Known, name: &str) -> bool {
        let all = known.catalog.database().filter(|_| self.names.other_made).map(|database| &database.temporary);
        all.is_some_and(|all| all.as_ref().is_none_or(|all| all.binary_search_by(|one| (**one).cmp(name)).is_ok()))
    }

    /// A function, an operator or a type may just have been made of a name that is taken for one of PostgreSQL's own.
    pub(crate) fn is_built_in_in_motion(&self, kind: CallKind, name: &str) -> bool {
        self.known.is_some_and(|known| {
            self.names.may_have_made_unread(name)
                || known.is_code_changing(kind, name, self.session_id)
                || self.may_be_temporary_type(known, name)
        })
    }

    /// Without a catalog: the one schema that can be meant.
    fn only_schema(&self) -> Option<&str> {
        let set = self.names.local_path.as_ref().unwrap_or(&self.names.path);
        let list = match set {
            super::Path::Start => &self.names.start.schemas,
            super::Path::Set(schemas) => schemas,
            super::Path::Unknown => return None,
        };
        let mut schemas = list.iter().filter(|schema| !matches!(&***schema, "pg_catalog" | TEMPORARY));
        match (schemas.next(), schemas.next()) {
            (Some(only), None) if only != "$user" => Some(only),
            _ => None,
        }
    }

    fn without_catalog(&self, name: &Name, since: Option<Moment>) -> Resolved {
        let named = |schema: &str| Name { schema: Some(schema.to_owned()), name: name.name.clone() };
        let schema = match () {
            () if self.names.untold.temporary_changed.is_some() => None,
            () if self.is_temporary_since(&name.name, since) => {
                let schemas = [Some(TEMPORARY), self.only_schema()].into_iter().flatten();
                let candidates = schemas.map(|schema| (None, named(schema))).collect();
                return Resolved::OneOf { candidates, reason: LOOKED_UP_BEFORE.into() };
            }
            () if self.names.has_temporary(&name.name).is_none() => None,
            () if self.names.temporary.contains_key(&name.name) => Some(TEMPORARY),
            () if SYSTEM.binary_search(&name.name.as_str()).is_ok() => Some("pg_catalog"),
            () => self.only_schema(),
        };
        match schema {
            Some(schema) => Resolved::Known { oid: None, name: named(schema) },
            None => Resolved::OneOf { candidates: Vec::new(), reason: NO_CATALOG.into() },
        }
    }

    /// Whether that schema has a relation of that name, and its number.
    fn has(&self, catalog: &Catalog, schema: &str, name: &str) -> Option<Option<u32>> {
        let made = self.names.relations.get(name).and_then(|schemas| schemas.get(schema));
        match made.filter(|made| self.is_newer(made.ended_at)) {
            Some(made) if made.exists => Some(None),
            Some(_) => None,
            None => catalog.relation_named(schema, name).map(Some),
        }
    }

    /// How many relations of a name there may be.
    fn relations_named(&self, known: &Known, name: &str) -> usize {
        let own =
            self.names.relations.get(name).map_or(0, |schemas| schemas.values().filter(|made| made.exists).count());
        known.catalog.relations_named(name).len() + own + usize::from(self.names.temporary.contains_key(name))
    }

    fn one_of(&self, known: &Known, name: &str, reason: &'static str) -> Resolved {
        let named = |schema: &str| Name { schema: Some(schema.to_owned()), name: name.to_owned() };
        let catalog = &known.catalog;
        let held = catalog.relations_named(name).iter().filter_map(|oid| Some((*oid, catalog.relation(*oid)?)));
        let there = held.filter(|(_, relation)| self.has(catalog, &relation.schema, name).is_some());
        let mut candidates: Vec<_> = there.map(|(oid, relation)| (Some(oid), named(&relation.schema))).collect();
        let own = self.names.relations.get(name).into_iter().flatten().filter(|(_, made)| made.exists);
        candidates.extend(own.map(|(schema, _)| (None, named(schema))));
        if self.names.temporary.contains_key(name) {
            candidates.push((None, named(TEMPORARY)));
        }
        candidates.sort_by(|one, other| one.1.cmp(&other.1));
        candidates.dedup_by(|one, other| one.1 == other.1);
        candidates.truncate(MAX_CANDIDATES);
        Resolved::OneOf { candidates, reason: Cow::Borrowed(reason) }
    }
}

impl InSession<'_> {
    /// What a name means on a path, where it may have been looked up at `since` for the last time: when its statement was
    /// prepared, or began. PostgreSQL looks names up
    /// again when the path has changed, or what they meant: they can mean what they did as long as that is there. So a
    /// relation is meant that had its name before, unless one comes before it on the path that got its name later.
    fn look_up(&self, path: Option<&[Text]>, name: &Name, since: Option<Moment>) -> Resolved {
        let Some(known) = self.known else {
            return match &name.schema {
                Some(_) => Resolved::Known { oid: None, name: name.clone() },
                None => self.without_catalog(name, since),
            };
        };
        let (catalog, written) = (&known.catalog, name.name.as_str());
        let named = |schema: &str| Name { schema: Some(schema.to_owned()), name: written.to_owned() };
        if let Some(schema) = &name.schema {
            let oid = self.has(catalog, schema, written).flatten();
            return Resolved::Known { oid, name: named(schema) };
        }
        let Some(path) = path else { return self.one_of(known, written, NO_PATH) };
        let untold = &self.names.untold;
        let dropped = self.is_newer_than_catalog(untold.dropped) || known.may_be_dropped(self.session_id);
        let own = self.path.as_deref().is_some_and(|own| std::ptr::eq(own, path));
        if !own && known.may_change_paths() && self.relations_named(known, written) > 1 {
            return self.one_of(known, written, CHANGING);
        }
        let mut generated = self.may_be_generated(known, written);
        let first = path.iter().find(|schema| **schema != TEMPORARY && **schema != "pg_catalog");
        let (mut found, mut others): (Option<Resolved>, _) = (None, CHANGING);
        for schema in path {
            if *schema == TEMPORARY {
                match self.temporary(written) {
                    Some(true) if found.is_none() => {
                        let meant = Resolved::Known { oid: None, name: named(TEMPORARY) };
                        match self.is_temporary_since(written, since) {
                            true => others = LOOKED_UP_BEFORE,
                            // Nothing can have come before it.
                            false if path.first().is_some_and(|first| *first == TEMPORARY) => return meant,
                            false => {}
                        }
                        found = Some(meant);
                        if others != LOOKED_UP_BEFORE {
                            break;
                        }
                    }
                    None if found.is_none() => return self.one_of(known, written, MAY_BE_TEMPORARY),
                    _ => {}
                }
            } else if *schema == "pg_catalog" && written.starts_with("pg_") && found.is_none() {
                // Nobody else may make a relation in PostgreSQL's own schema, and not all of that are in the catalog.
                let oid = catalog.relation_named(schema, written);
                if oid.is_some() || SYSTEM.binary_search(&written).is_ok() {
                    return Resolved::Known { oid, name: named(schema) };
                }
            } else if let Some(oid) = self.has(catalog, schema, written) {
                if found.is_some() {
                    // Two may be meant: which one depends on what was dropped, or on when it was looked up.
                    return self.one_of(known, written, others);
                }
                found = Some(Resolved::Known { oid, name: named(schema) });
                // None can come before it.
                generated &= first != Some(schema);
                let doubtful =
                    dropped || own && self.doubtful.contains(schema) || self.may_be_dropped_along(known, oid);
                match self.is_named_since(schema, written, oid, since) {
                    true => others = LOOKED_UP_BEFORE,
                    false if !doubtful => break,
                    false => {}
                }
            }
        }
        let own = self.is_newer_than_catalog(untold.changed) || self.is_somewhere(written);
        if generated || own || known.is_changing(written, self.session_id) {
            return self.one_of(known, written, CHANGING);
        }
        found.unwrap_or_else(|| self.one_of(known, written, NO_SUCH))
    }

    /// The only relation of a name that there is, whatever the path: what a statement means that could not run without it.
    fn only_one(&self, name: &Name, since: Option<Moment>) -> Option<Resolved> {
        let known = self.known.filter(|known| known.missing().is_none())?;
        let written = name.name.as_str();
        let may_have_come = self.is_newer_than_catalog(self.names.untold.changed)
            || known.is_changing(written, self.session_id)
            || self.is_somewhere(written)
            || self.may_be_generated(known, written)
            || SYSTEM.binary_search(&written).is_ok();
        if name.schema.is_some() || may_have_come || self.temporary(written) != Some(false) {
            return None;
        }
        let Resolved::OneOf { candidates, .. } = self.one_of(known, written, NO_PATH) else { return None };
        let [(oid, only)] = &candidates[..] else { return None };
        let schema = only.schema.as_deref()?;
        let known_before = !self.is_named_since(schema, written, *oid, since);
        known_before.then(|| Resolved::Known { oid: *oid, name: only.clone() })
    }

    /// By the catalog, after something was done that is not told: no session has a temporary relation of that name.
    fn is_temporary_by_catalog(&self, name: &str) -> Option<bool> {
        let known = self.known?;
        let own = &self.names.temporary;
        let may_be_own = own.contains_key(name) || !own.is_empty() && super::may_be_generated(name);
        let changed = self.names.untold.temporary_changed.max(self.names.somewhere.get(name).copied())?;
        if may_be_own || self.is_newer(changed) {
            return None;
        }
        let all = known.catalog.database()?.temporary.as_ref()?;
        all.binary_search_by(|one| (**one).cmp(name)).is_err().then_some(false)
    }

    /// The relation may have got its name since then.
    fn is_named_since(&self, schema: &str, name: &str, oid: Option<u32>, since: Option<Moment>) -> bool {
        let Some(since) = since else { return false };
        if self.names.given_back > since.statement {
            return true;
        }
        let made = self.names.relations.get(name).and_then(|schemas| schemas.get(schema));
        match made.filter(|made| self.is_newer(made.ended_at)) {
            Some(made) => made.by > since.statement,
            None => oid.zip(self.known).is_some_and(|(oid, known)| known.may_be_named_since(oid, since.at)),
        }
    }

    /// The temporary relation got its name since then.
    fn is_temporary_since(&self, name: &str, since: Option<Moment>) -> bool {
        let made = self.names.temporary.get(name).zip(since);
        made.is_some_and(|(made, since)| made.by.max(self.names.given_back) > since.statement)
    }

    /// With names that were looked up at that moment, or since.
    pub(crate) fn looked_up(&self, since: Option<Moment>) -> LookedUp<'_> {
        LookedUp { session: self, since }
    }

    /// As functions know it: they keep what their names meant when they were called first.
    pub(crate) fn looked_up_by_functions(&self) -> LookedUp<'_> {
        self.looked_up(Some(self.names.beginning()))
    }
}

/// What names mean where they may have been looked up some time ago.
pub(crate) struct LookedUp<'a> {
    session: &'a InSession<'a>,
    since: Option<Moment>,
}

impl Resolve for LookedUp<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        self.session.look_up(self.session.path.as_deref(), name, self.since)
    }

    fn existing(&self, name: &Name) -> Resolved {
        let only = || self.session.only_one(name, self.since);
        self.session.path.is_none().then(only).flatten().unwrap_or_else(|| self.relation(name))
    }

    fn relation_on(&self, path: Option<&[Text]>, name: &Name) -> Option<Resolved> {
        Some(self.session.look_up(path, name, self.since))
    }

    fn path(&self) -> Option<&[Text]> {
        self.session.path()
    }

    fn setting(&self) -> Option<&[String]> {
        self.session.setting()
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        self.session.temporary(name)
    }

    fn role(&self) -> Option<&str> {
        self.session.role()
    }

    fn creation(&self) -> Option<Text> {
        self.session.creation()
    }

    fn routines(&self, name: &str) -> &[Routine] {
        self.session.routines(name)
    }

    fn made(&self, name: &str) -> &[Made] {
        self.session.made(name)
    }

    fn is_origin(&self) -> bool {
        self.session.is_origin()
    }
}

impl Resolve for InSession<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        self.look_up(self.path.as_deref(), name, None)
    }

    fn path(&self) -> Option<&[Text]> {
        self.path.as_deref()
    }

    fn setting(&self) -> Option<&[String]> {
        self.names.setting()
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        self.names.has_temporary(name).or_else(|| self.is_temporary_by_catalog(name))
    }

    fn role(&self) -> Option<&str> {
        self.names.current_role()
    }

    fn creation(&self) -> Option<Text> {
        self.creation.clone()
    }

    fn routines(&self, name: &str) -> &[Routine] {
        self.names.routines.get(name).map_or(&[], Vec::as_slice)
    }

    fn made(&self, name: &str) -> &[Made] {
        self.names.definitions.get(name).map_or(&[], Vec::as_slice)
    }

    fn is_origin(&self) -> bool {
        self.names.start.is_origin && !self.names.replication_role
    }
}

/// As it stands in column `relation`.
pub(crate) fn shown(name: &Name) -> String {
    match name.schema {
        Some(_) => name.to_string(),
        None => format!("{UNKNOWN_SCHEMA}.{name}"),
    }
}
