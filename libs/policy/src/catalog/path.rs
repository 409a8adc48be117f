//! Which schemas an unqualified name is looked up in, as the server finds them (`recomputeNamespacePath` in PostgreSQL's
//! sources).

use super::{Catalog, Function, FunctionKind, Oid, Text};
use crate::is_numbered_temporary;

/// Roles that have USAGE of all schemas; their OIDs are PostgreSQL's own.
const READ_ALL_DATA: Oid = 6181;
const WRITE_ALL_DATA: Oid = 6182;

/// The role whose member is the owner of the database.
const DATABASE_OWNER: Oid = 6171;

/// Most roles that are gone through for one question.
const MAX_ROLES: usize = 10_000;

/// Stands in a path for the session's temporary schema.
pub const TEMPORARY: &str = "pg_temp";

impl Catalog {
    /// The schemas that a setting's list means for a role, in the order in which a relation's name is looked up: those that
    /// do not exist or that the role may not use are left out, `"$user"` is the role's, `pg_temp` and `pg_catalog` go first
    /// where they are not in the list. `role`: `None` where it is not known or not in the catalog; then `None` is answered
    /// if that matters. Likewise for a list with a temporary schema by its number.
    pub fn path(&self, schemas: &[impl AsRef<str>], role: Option<&str>) -> Option<Vec<Text>> {
        self.listed(schemas, role).map(with_implicit)
    }

    /// The schema that a relation without one is created in: the first of the list. `None`: there is none, or it is not
    /// known, as for [`Catalog::path`].
    pub fn creation_schema(&self, schemas: &[impl AsRef<str>], role: Option<&str>) -> Option<Text> {
        self.listed(schemas, role)?.first().cloned()
    }

    /// The schemas of a list that exist and may be used.
    fn listed(&self, schemas: &[impl AsRef<str>], role: Option<&str>) -> Option<Vec<Text>> {
        let role = role.and_then(|role| Some((role, self.role_named(role)?)));
        let mut path: Vec<Text> = Vec::new();
        for schema in schemas {
            let name = match schema.as_ref() {
                "$user" => role?.0,
                name => name,
            };
            if path.iter().any(|known| *known == name) {
                continue;
            }
            if is_numbered_temporary(name) {
                return None;
            }
            if name == TEMPORARY || name == "pg_catalog" {
                path.push(name.into());
                continue;
            }
            let Some(oid) = self.schema_named(name) else { continue };
            let usable = match role {
                Some((_, role)) => self.may_use(role, oid),
                None if self.everybody_may_use(oid) => true,
                None => return None,
            };
            if usable {
                path.push(name.into());
            }
        }
        Some(path)
    }

    /// The first relation of that name on a path.
    pub fn find(&self, path: &[Text], name: &str) -> Option<Oid> {
        path.iter().find_map(|schema| self.relation_named(schema, name))
    }

    /// What a setting is at the start of a role's session in this database, where the session does not set it itself: of
    /// the role in this database, the role, the database, all roles, in this order.
    pub fn setting_at_start(&self, role: &str, setting: &str) -> Option<&str> {
        let of = |settings: &'_ [super::Setting]| settings.iter().position(|one| one.name == setting);
        let role = self.role_named(role).and_then(|oid| self.role(oid));
        let database = self.database();
        let lists = [
            role.map(|role| &role.settings_here),
            role.map(|role| &role.settings),
            database.map(|database| &database.settings),
            database.map(|database| &database.settings_of_all),
        ];
        lists.into_iter().flatten().find_map(|list| of(list).map(|place| &*list[place].value))
    }

    /// The role has the privileges of the other, by itself.
    pub fn has_privileges_of(&self, role: Oid, other: Oid) -> bool {
        // What a superuser is does not come with membership.
        if self.role(role).is_some_and(|role| role.superuser) {
            return true;
        }
        let mut seen = vec![role];
        let mut next = 0;
        while let Some(&role) = seen.get(next) {
            next += 1;
            if role == other {
                return true;
            }
            let owner = self.database().is_some_and(|database| database.owner == role);
            let through = self.role(role).into_iter().flat_map(|role| &role.inherits).copied();
            for role in through.chain(owner.then_some(DATABASE_OWNER)) {
                if seen.len() < MAX_ROLES && !seen.contains(&role) {
                    seen.push(role);
                }
            }
        }
        false
    }

    fn may_use(&self, role: Oid, schema: Oid) -> bool {
        let Some(schema) = self.schema(schema) else { return false };
        schema.usage.contains(&0)
            || [READ_ALL_DATA, WRITE_ALL_DATA]
                .iter()
                .chain(&schema.usage)
                .any(|other| self.has_privileges_of(role, *other))
    }

    /// Whether a role may use a schema depends on what other roles it is a member of, on whether it is a superuser, or on whose
    /// the database is.
    pub fn depends_on_roles(&self, schema: &str, role: Option<&str>) -> bool {
        let Some(schema) = self.schema_named(schema).and_then(|oid| self.schema(oid)) else { return false };
        let own = role.and_then(|role| self.role_named(role));
        !schema.usage.contains(&0) && !own.is_some_and(|own| schema.usage.contains(&own))
    }

    fn everybody_may_use(&self, schema: Oid) -> bool {
        self.schema(schema).is_some_and(|schema| schema.usage.contains(&0))
    }
}

/// A path of listed schemas with those that are looked up first where the list does not hold them: `pg_temp`, then
/// `pg_catalog`.
pub fn with_implicit(mut path: Vec<Text>) -> Vec<Text> {
    for first in ["pg_catalog", TEMPORARY] {
        if !path.iter().any(|schema| *schema == first) {
            path.insert(0, first.into());
        }
    }
    path
}

impl Function {
    /// A call with so many arguments may be of this function.
    pub fn takes(&self, arguments: usize) -> bool {
        let most = self.arguments.len();
        let least = most.saturating_sub(self.defaults as usize);
        // CALL gives something for output arguments, too, where they are not among those.
        let written = self.signature.split(", ").filter(|argument| argument.starts_with("OUT ")).count();
        let most = if self.kind == FunctionKind::Procedure { most + written } else { most };
        (least..=most).contains(&arguments) || (self.variadic && arguments + 1 >= least)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Database, Object, Relation, Role, Schema, Setting};
    use super::*;

    fn catalog() -> Catalog {
        let role =
            |name: &str, inherits: Vec<Oid>| Object::Role(Role { name: name.into(), inherits, ..Role::default() });
        let schema = |name: &str, owner, usage| Object::Schema(Schema { name: name.into(), owner, usage });
        let table = |schema: &str, name: &str| {
            Object::Relation(Box::new(Relation { schema: schema.into(), name: name.into(), ..Relation::default() }))
        };
        let mut root = Role { name: "root".into(), superuser: true, ..Role::default() };
        root.settings = vec![Setting { name: "search_path".into(), value: "app, public".into() }];
        Catalog::of([
            (
                1,
                Object::Database(Database {
                    name: "d".into(),
                    owner: 11,
                    search_path: "\"$user\", public".into(),
                    ..Default::default()
                }),
            ),
            (10, Object::Role(root)),
            (11, role("job", vec![12])),
            (12, role("readers", vec![])),
            (13, role("other", vec![])),
            (20, schema("public", DATABASE_OWNER, vec![0])),
            (21, schema("decoy", 10, vec![0])),
            (22, schema("app", 10, vec![12])),
            (23, schema("job", 11, vec![11])),
            (24, schema("revoked", 11, vec![])),
            (100, table("public", "rankings")),
            (101, table("app", "rankings")),
            (102, table("job", "own")),
            (103, table("pg_catalog", "pg_class")),
            (104, table("decoy", "pg_class")),
            (105, table("revoked", "own")),
        ])
    }

    fn path(list: &[&str], role: &str) -> Vec<String> {
        catalog().path(list, Some(role)).unwrap().iter().map(ToString::to_string).collect()
    }

    /// Known failures: `SET search_path = decoy, public; UPDATE rankings`; `"$user", public` where such a schema exists.
    #[test]
    fn a_name_is_of_the_first_schema_that_has_it() {
        let catalog = catalog();
        let find = |list: &[&str], role, name| catalog.find(&catalog.path(list, Some(role)).unwrap(), name);
        assert_eq!(find(&["decoy", "public"], "job", "rankings"), Some(100));
        assert_eq!(find(&["app", "public"], "job", "rankings"), Some(101));
        assert_eq!(find(&["app", "public"], "other", "rankings"), Some(100), "without USAGE");
        assert_eq!(find(&["$user", "public"], "job", "rankings"), Some(100));
        assert_eq!(find(&["$user", "public"], "job", "own"), Some(102));
        assert_eq!(find(&["$user", "public"], "other", "own"), None);
        assert_eq!(find(&["revoked"], "job", "own"), None, "an owner from whom USAGE was taken");
        assert_eq!(find(&["revoked"], "root", "own"), Some(105), "a superuser");
        assert_eq!(find(&["decoy"], "job", "pg_class"), Some(103));
        assert_eq!(find(&["decoy", "pg_catalog"], "job", "pg_class"), Some(104));
    }

    #[test]
    fn whether_a_schema_may_be_used_depends_on_roles_or_does_not() {
        let depends = |schema: &str, role: &str| catalog().depends_on_roles(schema, Some(role));
        assert!(!depends("decoy", "job") && !depends("job", "job") && !depends("none", "job"));
        assert!(depends("app", "job") && depends("job", "root") && depends("revoked", "root"));
        assert!(depends("app", "nobody") && catalog().depends_on_roles("app", None));
    }

    #[test]
    fn temporary_and_system_schemas_go_first_unless_told_otherwise() {
        assert_eq!(path(&["public", "none"], "job"), ["pg_temp", "pg_catalog", "public"]);
        assert_eq!(path(&["public", "pg_temp", "public"], "job"), ["pg_catalog", "public", "pg_temp"]);
        assert_eq!(path(&["job", "pg_catalog"], "root"), ["pg_temp", "job", "pg_catalog"]);
        assert_eq!(catalog().creation_schema(&["none", "public"], Some("job")).unwrap(), "public");
        assert_eq!(catalog().creation_schema(&["pg_temp", "public"], Some("job")).unwrap(), "pg_temp");
        assert_eq!(catalog().creation_schema(&["none"], Some("job")), None);
        assert_eq!(catalog().path(&["$user"], None), None);
        assert_eq!(catalog().path(&["public", "pg_temp_3"], Some("job")), None, "it may be the session's own");
        assert_eq!(path(&["public", "pg_temp_x"], "job").len(), 3);
        assert_eq!(catalog().path(&["app"], Some("nobody")), None);
        assert_eq!(catalog().path(&["public"], None).unwrap().len(), 3);
    }

    #[test]
    fn a_function_takes_so_many_arguments() {
        let takes = |function: &Function| (0..5).filter(|count| function.takes(*count)).collect::<Vec<_>>();
        let mut function = Function { arguments: vec![23, 23], defaults: 1, ..Function::default() };
        assert_eq!(takes(&function), [1, 2]);
        function.variadic = true;
        assert_eq!(takes(&function), [0, 1, 2, 3, 4]);
        let signature = "a integer, OUT b integer, INOUT c integer".into();
        let kind = FunctionKind::Procedure;
        assert_eq!(takes(&Function { arguments: vec![23, 23], signature, kind, ..Function::default() }), [2, 3]);
    }

    #[test]
    fn settings_at_the_start_of_a_session() {
        assert_eq!(catalog().setting_at_start("root", "search_path"), Some("app, public"));
        assert_eq!(catalog().setting_at_start("job", "search_path"), None);
    }
}
