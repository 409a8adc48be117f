//! Which schemas of a search path a role finds.

use std::collections::{HashMap, HashSet};

use hansard_policy::catalog::{Catalog, Kind, Object, Oid};

/// The schemas and roles of a database, as far as a search path depends on them.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    /// By name: who may use it.
    schemas: HashMap<Box<str>, Vec<Oid>>,
    roles: HashMap<Box<str>, Role>,
    by_number: HashMap<Oid, Box<str>>,
    database_owner: Oid,
}

/// The role `pg_database_owner`, whose one member is the owner of the database at hand.
const DATABASE_OWNER: Oid = 6171;

#[derive(Debug)]
struct Role {
    oid: Oid,
    superuser: bool,
    inherits: Vec<Oid>,
}

impl Schemas {
    pub(super) fn of(catalog: &Catalog) -> Schemas {
        let mut schemas = Schemas::default();
        let small = catalog.objects().take_while(|(kind, ..)| *kind <= Kind::Schema);
        for (_, oid, object) in small {
            match &**object {
                Object::Database(database) => schemas.database_owner = database.owner,
                Object::Schema(schema) => {
                    schemas.schemas.insert((&*schema.name).into(), schema.usage.clone());
                }
                Object::Role(role) => {
                    schemas.by_number.insert(oid, (&*role.name).into());
                    let inherits = role.inherits.clone();
                    schemas.roles.insert((&*role.name).into(), Role { oid, superuser: role.superuser, inherits });
                }
                _ => {}
            }
        }
        schemas
    }

    /// Of the setting `search_path`, the schemas that exist and that `role` may use, in order; none where the role is not
    /// known, or one may be the session's own temporary schema.
    pub(crate) fn path(&self, setting: &str, role: &str) -> Vec<String> {
        let Some(who) = self.roles.get(role) else { return Vec::new() };
        let holds = self.privileges(who);
        let mut path = Vec::new();
        for schema in hansard_policy::schemas_of_setting(setting) {
            let schema = if schema == "$user" { role.to_owned() } else { schema };
            if hansard_policy::is_numbered_temporary(&schema) {
                return Vec::new();
            }
            let found = self
                .schemas
                .get(&*schema)
                .is_some_and(|usage| who.superuser || usage.iter().any(|oid| holds.contains(oid)));
            if found && !path.contains(&schema) {
                path.push(schema);
            }
        }
        path
    }

    /// The roles whose privileges a role has; 0 is PUBLIC.
    fn privileges(&self, who: &Role) -> HashSet<Oid> {
        let mut holds = HashSet::from([0]);
        let mut open = vec![who.oid];
        while let Some(oid) = open.pop() {
            if holds.insert(oid)
                && let Some(role) = self.by_number.get(&oid).and_then(|name| self.roles.get(name))
            {
                open.extend(&role.inherits);
                if oid == self.database_owner {
                    open.push(DATABASE_OWNER);
                }
            }
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use hansard_policy::catalog::{Database, Role as CatalogRole, Schema};

    use super::*;

    fn role(name: &str, superuser: bool, inherits: &[Oid]) -> Object {
        Object::Role(CatalogRole {
            name: name.into(),
            superuser,
            inherits: inherits.to_vec(),
            ..CatalogRole::default()
        })
    }

    /// Owned by `app`, who may use it only where that is said.
    fn schema(name: &str, usage: &[Oid]) -> Object {
        Object::Schema(Schema { name: name.into(), owner: 11, usage: usage.to_vec() })
    }

    #[test]
    fn a_path_is_what_exists_and_may_be_used() {
        let catalog = Catalog::of([
            (1, Object::Database(Database { owner: 13, ..Database::default() })),
            (DATABASE_OWNER, role("pg_database_owner", false, &[])),
            (25, schema("of_owner", &[DATABASE_OWNER])),
            (10, role("root", true, &[])),
            (11, role("app", false, &[12])),
            // Roles that inherit from each other are no loop.
            (12, role("group", false, &[13, 12])),
            (13, role("Owner", false, &[])),
            (14, role("public", false, &[])),
            (20, schema("public", &[0])),
            (21, schema("app", &[11])),
            (22, schema("of_group", &[12])),
            (23, schema("owned", &[13])),
            (24, schema("closed", &[14])),
        ]);
        let schemas = Schemas::of(&catalog);
        let all = "\"$user\", closed, owned, gone, of_group, public, owned, of_owner";
        assert_eq!(schemas.path(all, "app"), ["app", "owned", "of_group", "public", "of_owner"]);
        assert_eq!(schemas.path(all, "root"), ["closed", "owned", "of_group", "public", "of_owner"]);
        assert_eq!(schemas.path("\"$user\", closed", "public"), ["public", "closed"]);
        assert_eq!(schemas.path("public", "nobody"), [""; 0]);
        assert_eq!(schemas.path("public, pg_temp_3", "app"), [""; 0]);
    }
}
