//! A database's schema at one moment, as far as it decides what a statement touches: pure data.
//!
//! A catalog is changed by [`Change`]s only, and two catalogs that hold the same objects are equal, however they came
//! about. Names are held once. Lookups cost a few hash lookups; nothing here knows a session.
//!
//! Texts of definitions (views, rules, expressions, constraints, bodies that are stored parsed) are read by a session whose
//! `search_path` is empty: PostgreSQL then writes every name with its schema, but for its own.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod functions;
mod objects;
mod path;
mod relations;
#[cfg(test)]
mod tests;
mod text;

pub use functions::*;
pub use objects::*;
pub use path::{TEMPORARY, with_implicit};
pub use relations::*;
pub use text::Text;

type Map<K, V> = HashMap<K, V, RandomState>;

/// An object that came, was changed, or is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its number.
    pub oid: Oid,
    /// `None`: it is gone.
    pub object: Option<Arc<Object>>,
}

/// The objects of one database.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    objects: BTreeMap<(Kind, Oid), Arc<Object>>,
    index: Index,
    names: Names,
}

/// By which objects are found.
#[derive(Debug, Clone, Default)]
struct Index {
    database: Option<Oid>,
    roles: Map<Text, Oid>,
    schemas: Map<Text, Oid>,
    /// By schema and name.
    relations: Map<Text, Map<Text, Oid>>,
    /// All of a name, in whichever schema.
    relation_names: Map<Text, Vec<Oid>>,
    functions: Map<Text, Vec<Oid>>,
    types: Map<Text, Vec<Oid>>,
    operators: Map<Text, Vec<Oid>>,
    /// By relation: what belongs to it.
    triggers: Map<Oid, Vec<Oid>>,
    rules: Map<Oid, Vec<Oid>>,
    children: Map<Oid, Vec<Oid>>,
    /// By the table that is referred to.
    foreign_keys: Map<Oid, Vec<Oid>>,
    event_triggers: Vec<Oid>,
    /// Relations with indexes of expressions.
    indexed: BTreeSet<Oid>,
    casts: Map<Oid, Vec<Oid>>,
    /// Types, by those of their arrays.
    elements: Map<Oid, Vec<Oid>>,
}

/// Names, each held once.
#[derive(Debug, Clone, Default)]
pub struct Names {
    held: HashSet<Text, RandomState>,
    /// When names that nobody holds any more are looked for.
    sweep_at: usize,
}

impl Names {
    /// A name as a text, which is that of before where it came before.
    pub fn text(&mut self, name: &str) -> Text {
        if let Some(held) = self.held.get(name) {
            return held.clone();
        }
        let text = Text::from(name);
        self.held.insert(text.clone());
        text
    }

    fn share(&mut self, text: &mut Text) {
        match self.held.get(&**text) {
            Some(held) => *text = held.clone(),
            None => _ = self.held.insert(text.clone()),
        }
    }

    /// Forgets what nobody holds, as often as the number doubles.
    fn sweep(&mut self) {
        if self.held.len() >= self.sweep_at {
            self.held.retain(|text| text.holders() > 1);
            self.sweep_at = (2 * self.held.len()).max(1024);
        }
    }
}

impl PartialEq for Catalog {
    fn eq(&self, other: &Catalog) -> bool {
        self.objects == other.objects
    }
}

impl Catalog {
    /// A catalog of these objects.
    pub fn of(objects: impl IntoIterator<Item = (Oid, Object)>) -> Catalog {
        let mut catalog = Catalog::default();
        for (oid, object) in objects {
            catalog.insert(oid, object);
        }
        catalog
    }

    /// Adds an object, or puts it in the place of the one of its kind and number.
    pub fn insert(&mut self, oid: Oid, mut object: Object) {
        self.share(&mut object);
        self.put(oid, Arc::new(object));
    }

    /// Makes the change.
    pub fn apply(&mut self, change: Change) {
        match change.object {
            Some(object) => match Arc::try_unwrap(object) {
                Ok(object) => self.insert(change.oid, object),
                Err(object) => self.put(change.oid, object),
            },
            None => {
                if let Some(old) = self.objects.remove(&(change.kind, change.oid)) {
                    self.unlink(change.oid, &old);
                }
            }
        }
    }

    /// What makes this catalog that one, in order of kind and number.
    pub fn changes_to(&self, newer: &Catalog) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut old = self.objects.iter().peekable();
        for (&(kind, oid), object) in &newer.objects {
            while let Some((&(kind, oid), _)) = old.next_if(|(key, _)| **key < (kind, oid)) {
                changes.push(Change { kind, oid, object: None });
            }
            let before = old.next_if(|(key, _)| **key == (kind, oid)).map(|(_, before)| before);
            let same = before.is_some_and(|before| Arc::ptr_eq(before, object) || before == object);
            if !same {
                changes.push(Change { kind, oid, object: Some(object.clone()) });
            }
        }
        changes.extend(old.map(|(&(kind, oid), _)| Change { kind, oid, object: None }));
        changes
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// It holds nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All objects, in order of kind and number.
    pub fn objects(&self) -> impl Iterator<Item = (Kind, Oid, &Arc<Object>)> {
        self.objects.iter().map(|(&(kind, oid), object)| (kind, oid, object))
    }

    /// An object.
    pub fn object(&self, kind: Kind, oid: Oid) -> Option<&Arc<Object>> {
        self.objects.get(&(kind, oid))
    }

    /// The database.
    pub fn database(&self) -> Option<&Database> {
        match &**self.object(Kind::Database, self.index.database?)? {
            Object::Database(database) => Some(database),
            _ => None,
        }
    }

    /// Its number.
    pub fn database_oid(&self) -> Option<Oid> {
        self.index.database
    }

    /// A relation.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        match &**self.object(Kind::Relation, oid)? {
            Object::Relation(relation) => Some(relation),
            _ => None,
        }
    }

    /// A function.
    pub fn function(&self, oid: Oid) -> Option<&Function> {
        match &**self.object(Kind::Function, oid)? {
            Object::Function(function) => Some(function),
            _ => None,
        }
    }

    /// A role.
    pub fn role(&self, oid: Oid) -> Option<&Role> {
        match &**self.object(Kind::Role, oid)? {
            Object::Role(role) => Some(role),
            _ => None,
        }
    }

    /// The role of that name.
    pub fn role_named(&self, name: &str) -> Option<Oid> {
        self.index.roles.get(name).copied()
    }

    /// A schema.
    pub fn schema(&self, oid: Oid) -> Option<&Schema> {
        match &**self.object(Kind::Schema, oid)? {
            Object::Schema(schema) => Some(schema),
            _ => None,
        }
    }

    /// The schema of that name.
    pub fn schema_named(&self, name: &str) -> Option<Oid> {
        self.index.schemas.get(name).copied()
    }

    /// The relation of that name in that schema.
    pub fn relation_named(&self, schema: &str, name: &str) -> Option<Oid> {
        self.index.relations.get(schema)?.get(name).copied()
    }

    /// All relations of a schema, in no order.
    pub fn relations_of(&self, schema: &str) -> impl Iterator<Item = Oid> {
        self.index.relations.get(schema).into_iter().flat_map(|relations| relations.values().copied())
    }

    /// All relations of that name.
    pub fn relations_named(&self, name: &str) -> &[Oid] {
        self.index.relation_names.get(name).map_or(&[], Vec::as_slice)
    }

    /// All functions of that name, in whichever schema and with whichever arguments.
    pub fn functions_named(&self, name: &str) -> impl Iterator<Item = (Oid, &Function)> {
        let all = self.index.functions.get(name).into_iter().flatten();
        all.filter_map(|oid| Some((*oid, self.function(*oid)?)))
    }

    /// All types of that name.
    pub fn types_named(&self, name: &str) -> impl Iterator<Item = (Oid, &Type)> {
        let all = self.index.types.get(name).into_iter().flatten();
        all.filter_map(|oid| Some((*oid, self.type_of(*oid)?)))
    }

    /// The names of all types that PostgreSQL does not bring along.
    pub fn type_names(&self) -> impl Iterator<Item = &str> {
        self.index.types.keys().map(|name| &**name)
    }

    /// There are domains.
    pub fn has_domains(&self) -> bool {
        let mut types = self.index.types.values().flatten();
        types.any(|oid| self.type_of(*oid).is_some_and(|kind| kind.kind == TypeKind::Domain))
    }

    /// Casts that run without being written.
    pub fn implicit_casts(&self) -> impl Iterator<Item = &Cast> {
        let targets = self.index.casts.keys();
        targets.flat_map(|target| self.casts_to(*target)).filter(|cast| cast.implicit)
    }

    /// A type.
    pub fn type_of(&self, oid: Oid) -> Option<&Type> {
        match &**self.object(Kind::Type, oid)? {
            Object::Type(kind) => Some(kind),
            _ => None,
        }
    }

    /// All operators of that name.
    pub fn operators_named(&self, name: &str) -> impl Iterator<Item = &Operator> {
        let all = self.index.operators.get(name).into_iter().flatten();
        all.filter_map(|oid| match &**self.object(Kind::Operator, *oid)? {
            Object::Operator(operator) => Some(operator),
            _ => None,
        })
    }

    /// The triggers of a relation.
    pub fn triggers(&self, relation: Oid) -> impl Iterator<Item = &Trigger> {
        self.numbered_triggers(relation).map(|(_, trigger)| trigger)
    }

    /// The triggers of a relation, with their numbers.
    pub fn numbered_triggers(&self, relation: Oid) -> impl Iterator<Item = (Oid, &Trigger)> {
        let all = self.index.triggers.get(&relation).into_iter().flatten();
        all.filter_map(|oid| match &**self.object(Kind::Trigger, *oid)? {
            Object::Trigger(trigger) => Some((*oid, trigger)),
            _ => None,
        })
    }

    /// Relations with indexes of expressions, in order.
    pub fn indexed_by_expressions(&self) -> impl Iterator<Item = (Oid, &Relation)> {
        self.index.indexed.iter().filter_map(|oid| Some((*oid, self.relation(*oid)?)))
    }

    /// The event triggers.
    pub fn event_triggers(&self) -> impl Iterator<Item = &EventTrigger> {
        self.index.event_triggers.iter().filter_map(|oid| match &**self.object(Kind::EventTrigger, *oid)? {
            Object::EventTrigger(trigger) => Some(trigger),
            _ => None,
        })
    }

    /// The rules of a relation, with their numbers.
    pub fn rules(&self, relation: Oid) -> impl Iterator<Item = (Oid, &Rule)> {
        let all = self.index.rules.get(&relation).into_iter().flatten();
        all.filter_map(|oid| match &**self.object(Kind::Rule, *oid)? {
            Object::Rule(rule) => Some((*oid, rule)),
            _ => None,
        })
    }

    /// The partitions of a relation, and what inherits from it.
    pub fn children(&self, relation: Oid) -> &[Oid] {
        self.index.children.get(&relation).map_or(&[], Vec::as_slice)
    }

    /// The foreign keys that refer to a relation.
    pub fn referencing(&self, relation: Oid) -> impl Iterator<Item = &ForeignKey> {
        let all = self.index.foreign_keys.get(&relation).into_iter().flatten();
        all.filter_map(|oid| match &**self.object(Kind::ForeignKey, *oid)? {
            Object::ForeignKey(key) => Some(key),
            _ => None,
        })
    }

    /// The type of that number, or the one that it is an array of.
    pub fn type_or_element(&self, kind: Oid) -> Option<(Oid, &Type)> {
        let of = |oid| Some((oid, self.type_of(oid)?));
        of(kind).or_else(|| of(*self.index.elements.get(&kind)?.first()?))
    }

    /// The casts to a type by functions.
    pub fn casts_to(&self, target: Oid) -> impl Iterator<Item = &Cast> {
        let all = self.index.casts.get(&target).into_iter().flatten();
        all.filter_map(|oid| match &**self.object(Kind::Cast, *oid)? {
            Object::Cast(cast) => Some(cast),
            _ => None,
        })
    }

    fn put(&mut self, oid: Oid, object: Arc<Object>) {
        let old = match self.objects.entry((object.kind(), oid)) {
            Entry::Occupied(mut entry) => Some(entry.insert(object.clone())),
            Entry::Vacant(entry) => {
                entry.insert(object.clone());
                None
            }
        };
        if let Some(old) = old {
            self.unlink(oid, &old);
        }
        self.link(oid, &object);
        self.names.sweep();
    }

    /// Holds the object's names once.
    fn share(&mut self, object: &mut Object) {
        let names = &mut self.names;
        match object {
            Object::Relation(relation) => {
                names.share(&mut relation.schema);
                names.share(&mut relation.name);
                relation.columns.shrink_to_fit();
                relation.columns.iter_mut().for_each(|column| names.share(&mut column.name));
            }
            Object::Schema(schema) => names.share(&mut schema.name),
            Object::Trigger(trigger) => names.share(&mut trigger.name),
            Object::Rule(rule) => names.share(&mut rule.name),
            Object::ForeignKey(key) => {
                names.share(&mut key.name);
                key.columns.iter_mut().chain(&mut key.references_columns).for_each(|column| names.share(column));
            }
            Object::Function(function) => {
                names.share(&mut function.schema);
                names.share(&mut function.name);
                names.share(&mut function.language);
                names.share(&mut function.result);
            }
            Object::Type(kind) => {
                names.share(&mut kind.schema);
                names.share(&mut kind.name);
            }
            Object::Operator(operator) => {
                names.share(&mut operator.schema);
                names.share(&mut operator.name);
            }
            Object::Database(_) | Object::Role(_) | Object::EventTrigger(_) | Object::Cast(_) => {}
        }
    }

    fn link(&mut self, oid: Oid, object: &Object) {
        let index = &mut self.index;
        match object {
            Object::Database(_) => index.database = Some(oid),
            Object::Role(role) => _ = index.roles.insert(role.name.clone(), oid),
            Object::Schema(schema) => _ = index.schemas.insert(schema.name.clone(), oid),
            Object::Relation(relation) => {
                let schema = index.relations.entry(relation.schema.clone()).or_default();
                schema.insert(relation.name.clone(), oid);
                add(&mut index.relation_names, &relation.name, oid);
                relation.parents.iter().for_each(|parent| add(&mut index.children, parent, oid));
                if relation.expressions.iter().any(|expression| expression.when == When::Index) {
                    index.indexed.insert(oid);
                }
            }
            Object::Trigger(trigger) => add(&mut index.triggers, &trigger.relation, oid),
            Object::EventTrigger(_) => {
                if let Err(place) = index.event_triggers.binary_search(&oid) {
                    index.event_triggers.insert(place, oid);
                }
            }
            Object::Rule(rule) => add(&mut index.rules, &rule.relation, oid),
            Object::ForeignKey(key) => add(&mut index.foreign_keys, &key.references, oid),
            Object::Function(function) => add(&mut index.functions, &function.name, oid),
            Object::Type(kind) => {
                add(&mut index.types, &kind.name, oid);
                if kind.array != 0 {
                    add(&mut index.elements, &kind.array, oid);
                }
            }
            Object::Cast(cast) => add(&mut index.casts, &cast.target, oid),
            Object::Operator(operator) => add(&mut index.operators, &operator.name, oid),
        }
    }

    fn unlink(&mut self, oid: Oid, object: &Object) {
        let index = &mut self.index;
        // A name may have gone to another object in the meantime.
        let forget = |names: &mut Map<Text, Oid>, name: &Text| {
            if names.get(name) == Some(&oid) {
                names.remove(name);
            }
        };
        match object {
            Object::Database(_) => index.database = index.database.filter(|database| *database != oid),
            Object::Role(role) => forget(&mut index.roles, &role.name),
            Object::Schema(schema) => forget(&mut index.schemas, &schema.name),
            Object::Relation(relation) => {
                if let Some(schema) = index.relations.get_mut(&relation.schema) {
                    forget(schema, &relation.name);
                    if schema.is_empty() {
                        index.relations.remove(&relation.schema);
                    }
                }
                remove(&mut index.relation_names, &relation.name, oid);
                relation.parents.iter().for_each(|parent| remove(&mut index.children, parent, oid));
                index.indexed.remove(&oid);
            }
            Object::Trigger(trigger) => remove(&mut index.triggers, &trigger.relation, oid),
            Object::EventTrigger(_) => index.event_triggers.retain(|other| *other != oid),
            Object::Rule(rule) => remove(&mut index.rules, &rule.relation, oid),
            Object::ForeignKey(key) => remove(&mut index.foreign_keys, &key.references, oid),
            Object::Function(function) => remove(&mut index.functions, &function.name, oid),
            Object::Type(kind) => {
                remove(&mut index.types, &kind.name, oid);
                remove(&mut index.elements, &kind.array, oid);
            }
            Object::Cast(cast) => remove(&mut index.casts, &cast.target, oid),
            Object::Operator(operator) => remove(&mut index.operators, &operator.name, oid),
        }
    }
}

/// Adds a number in its order; without room for more, as most keys have one.
fn add<K: Clone + Eq + std::hash::Hash>(index: &mut Map<K, Vec<Oid>>, key: &K, oid: Oid) {
    let oids = index.entry(key.clone()).or_insert_with(|| Vec::with_capacity(1));
    if let Err(place) = oids.binary_search(&oid) {
        oids.insert(place, oid);
    }
}

fn remove<K: Eq + std::hash::Hash>(index: &mut Map<K, Vec<Oid>>, key: &K, oid: Oid) {
    if let Some(oids) = index.get_mut(key) {
        if let Ok(place) = oids.binary_search(&oid) {
            oids.remove(place);
        }
        if oids.is_empty() {
            index.remove(key);
        }
    }
}

/// A change in its written form: `{"kind": ..., "oid": ..., "object": {"relation": {...}}}`.
#[derive(Serialize, Deserialize)]
struct Written<O> {
    kind: Kind,
    oid: Oid,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    object: Option<O>,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { kind: self.kind, oid: self.oid, object: self.object.as_deref() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
        let Written { kind, oid, object } = Written::<Object>::deserialize(deserializer)?;
        Ok(Change { kind, oid, object: object.map(Arc::new) })
    }
}

/// As a list of changes.
impl Serialize for Catalog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.objects.iter();
        serializer.collect_seq(all.map(|((kind, oid), object)| Written {
            kind: *kind,
            oid: *oid,
            object: Some(&**object),
        }))
    }
}

impl<'de> Deserialize<'de> for Catalog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Catalog, D::Error> {
        struct Changes;

        impl<'de> serde::de::Visitor<'de> for Changes {
            type Value = Catalog;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Catalog, A::Error> {
                let mut catalog = Catalog::default();
                while let Some(change) = list.next_element()? {
                    catalog.apply(change);
                }
                Ok(catalog)
            }
        }

        deserializer.deserialize_seq(Changes)
    }
}
