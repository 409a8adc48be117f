//! What written names mean: in a session, in a definition, and where something may have changed it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{MAX_CHILDREN, Made, Routine, name_of};
use crate::catalog::{Catalog, Oid, TEMPORARY, Text};
use crate::{Name, is_numbered_temporary};

/// What a written name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// This relation. The number is that in the catalog, where it is there.
    Known {
        /// Its number.
        oid: Option<Oid>,
        /// Its name, with the schema.
        name: Name,
    },
    /// One of these, or none of them.
    OneOf {
        /// Those of the name.
        candidates: Vec<(Option<Oid>, Name)>,
        /// Why it is not known which.
        reason: Cow<'static, str>,
    },
}

/// What names mean where a statement runs.
pub trait Resolve {
    /// What a relation's written name means.
    fn relation(&self, name: &Name) -> Resolved;

    /// The same of a name that has to be there: what it is in fails where it is not.
    fn existing(&self, name: &Name) -> Resolved {
        self.relation(name)
    }

    /// The same on another path, where who answers knows more than the catalog.
    fn relation_on(&self, _path: Option<&[Text]>, _name: &Name) -> Option<Resolved> {
        None
    }

    /// The schemas that names are looked up in, in order; `None` where they are not known.
    fn path(&self) -> Option<&[Text]>;

    /// The setting `search_path` itself, as a list; `None` where it is not known.
    fn setting(&self) -> Option<&[String]>;

    /// The session has a temporary relation of that name; `None`: it may have.
    fn temporary(&self, name: &str) -> Option<bool>;

    /// The current role, where it is known.
    fn role(&self) -> Option<&str>;

    /// The schema that a relation without one is created in, where it is known.
    fn creation(&self) -> Option<Text>;

    /// Functions and procedures of that name that the session has made and that the catalog need not hold yet. One that was
    /// replaced, or undone, may be among them.
    fn routines(&self, _name: &str) -> &[Routine] {
        &[]
    }

    /// Types and operators of that name, likewise.
    fn made(&self, _name: &str) -> &[Made] {
        &[]
    }

    /// `session_replication_role` is known not to be `replica`: triggers and rules run as usual.
    fn is_origin(&self) -> bool {
        false
    }
}

/// Names on a known path, without a session around it. What is not in the catalog, and so was made since, is not known.
#[derive(Debug, Clone)]
pub struct OnPath<'a> {
    catalog: &'a Catalog,
    path: Option<Vec<Text>>,
    setting: Option<Vec<String>>,
    role: Option<String>,
    creation: Option<Text>,
    temporary: HashSet<String>,
    origin: bool,
}

impl<'a> OnPath<'a> {
    /// The path that a list of schemas means for a role.
    pub fn new(catalog: &'a Catalog, setting: Option<Vec<String>>, role: Option<&str>) -> OnPath<'a> {
        let path = setting.as_ref().and_then(|setting| catalog.path(setting, role));
        let creation = setting.as_ref().and_then(|setting| catalog.creation_schema(setting, role));
        let role = role.map(str::to_owned);
        OnPath { catalog, path, setting, role, creation, temporary: HashSet::new(), origin: false }
    }

    /// With temporary relations of these names.
    pub fn with_temporary(mut self, names: impl IntoIterator<Item = String>) -> OnPath<'a> {
        self.temporary.extend(names);
        self
    }

    /// In a session whose `session_replication_role` is `origin` or `local`.
    pub fn as_origin(mut self) -> OnPath<'a> {
        self.origin = true;
        self
    }
}

impl Resolve for OnPath<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        resolve(self.catalog, self.path.as_deref(), &|name| self.temporary(name), name)
    }

    fn path(&self) -> Option<&[Text]> {
        self.path.as_deref()
    }

    fn setting(&self) -> Option<&[String]> {
        self.setting.as_deref()
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        Some(self.temporary.contains(name))
    }

    fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    fn creation(&self) -> Option<Text> {
        self.creation.clone()
    }

    fn is_origin(&self) -> bool {
        self.origin
    }
}

/// What a name means on a path in a session with temporary relations, as the server looks it up.
pub fn resolve(
    catalog: &Catalog,
    path: Option<&[Text]>,
    temporary: &dyn Fn(&str) -> Option<bool>,
    name: &Name,
) -> Resolved {
    let named = |schema: &str| Name { schema: Some(schema.to_owned()), name: name.name.clone() };
    if let Some(schema) = &name.schema {
        if is_numbered_temporary(schema) {
            let reason = "whose temporary schema it is is not known".into();
            return Resolved::OneOf { candidates: vec![(None, named(schema)), (None, named(TEMPORARY))], reason };
        }
        let oid = catalog.relation_named(schema, &name.name);
        return Resolved::Known { oid, name: named(schema) };
    }
    let Some(path) = path else {
        return one_of(catalog, &name.name, "the search path is not known");
    };
    for schema in path {
        if *schema == TEMPORARY {
            match temporary(&name.name) {
                Some(true) => return Resolved::Known { oid: None, name: named(TEMPORARY) },
                Some(false) => {}
                None => return one_of(catalog, &name.name, "it may be a temporary relation"),
            }
        } else if let Some(oid) = catalog.relation_named(schema, &name.name) {
            return Resolved::Known { oid: Some(oid), name: named(schema) };
        }
    }
    // Of PostgreSQL's own relations a catalog need not hold all.
    if name.name.starts_with("pg_") && path.iter().any(|schema| *schema == "pg_catalog") {
        return Resolved::Known { oid: None, name: named("pg_catalog") };
    }
    one_of(catalog, &name.name, "the catalog has no such relation on the search path")
}

/// All relations of a name.
fn one_of(catalog: &Catalog, name: &str, reason: &'static str) -> Resolved {
    let oids = catalog.relations_named(name).iter().take(MAX_CHILDREN);
    let candidates = oids.filter_map(|oid| Some((Some(*oid), name_of(catalog, *oid)?))).collect();
    Resolved::OneOf { candidates, reason: reason.into() }
}

/// Names in a definition, as PostgreSQL writes them: with the schema, unless it is its own.
pub(super) struct Defined<'a> {
    catalog: &'a Catalog,
    path: [Text; 1],
}

impl Defined<'_> {
    pub(super) fn new(catalog: &Catalog) -> Defined<'_> {
        Defined { catalog, path: ["pg_catalog".into()] }
    }
}

impl Resolve for Defined<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        let schema = name.schema.as_deref().unwrap_or("pg_catalog");
        let oid = self.catalog.relation_named(schema, &name.name);
        Resolved::Known { oid, name: Name { schema: Some(schema.to_owned()), name: name.name.clone() } }
    }

    fn path(&self) -> Option<&[Text]> {
        Some(&self.path)
    }

    fn setting(&self) -> Option<&[String]> {
        None
    }

    fn temporary(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn role(&self) -> Option<&str> {
        None
    }

    fn creation(&self) -> Option<Text> {
        None
    }
}

/// Names after something may have changed what they mean: the path, or which relations there are.
pub(super) struct Lost<'a> {
    pub(super) catalog: &'a Catalog,
    /// Relations may have come, gone, or got other names.
    pub(super) relations: bool,
}

impl Resolve for Lost<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        resolve(self.catalog, None, &|_| None, name)
    }

    fn relation_on(&self, _: Option<&[Text]>, name: &Name) -> Option<Resolved> {
        let of_schema = name.schema.is_some() || !self.relations;
        (!of_schema).then(|| one_of(self.catalog, &name.name, "code may just have changed what the name means"))
    }

    fn path(&self) -> Option<&[Text]> {
        None
    }

    fn setting(&self) -> Option<&[String]> {
        None
    }

    fn temporary(&self, _: &str) -> Option<bool> {
        None
    }

    fn role(&self) -> Option<&str> {
        None
    }

    fn creation(&self) -> Option<Text> {
        None
    }
}
