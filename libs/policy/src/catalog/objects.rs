//! What a catalog holds: the shapes of PostgreSQL's objects, as far as they decide what a statement touches.
//!
//! Their JSON is in events and in the lake's table `catalog`: fields are added, never renamed or taken away. A field that
//! holds nothing is left out.

use serde::{Deserialize, Serialize};

use super::{Cast, EventTrigger, ForeignKey, Function, Operator, Relation, Rule, Text, Trigger, Type};

/// PostgreSQL's number of an object within its kind.
pub type Oid = u32;

/// What an object is, as it stands in column `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database itself, with what holds for the server: one object, OID of `pg_database`.
    Database,
    /// `pg_authid` (`pg_roles`).
    Role,
    /// `pg_namespace`.
    Schema,
    /// `pg_class`: tables, partitioned tables, views, materialized views, foreign tables and sequences.
    Relation,
    /// `pg_trigger`, without the internal ones of constraints.
    Trigger,
    /// `pg_event_trigger`.
    EventTrigger,
    /// `pg_rewrite`, without the `_RETURN` rules of views.
    Rule,
    /// `pg_constraint` of type f.
    ForeignKey,
    /// `pg_proc`: those outside `pg_catalog` and `information_schema`.
    Function,
    /// `pg_type`: those outside `pg_catalog` and `information_schema`, without array types, and of the row types of relations
    /// only those that a column has.
    Type,
    /// `pg_cast` with a function outside `pg_catalog`.
    Cast,
    /// `pg_operator` outside `pg_catalog`.
    Operator,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 12] = [
        Kind::Database,
        Kind::Role,
        Kind::Schema,
        Kind::Relation,
        Kind::Trigger,
        Kind::EventTrigger,
        Kind::Rule,
        Kind::ForeignKey,
        Kind::Function,
        Kind::Type,
        Kind::Cast,
        Kind::Operator,
    ];

    /// The kind of that word.
    pub fn of(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word, as it stands in column `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Database => "database",
            Kind::Role => "role",
            Kind::Schema => "schema",
            Kind::Relation => "relation",
            Kind::Trigger => "trigger",
            Kind::EventTrigger => "event_trigger",
            Kind::Rule => "rule",
            Kind::ForeignKey => "foreign_key",
            Kind::Function => "function",
            Kind::Type => "type",
            Kind::Cast => "cast",
            Kind::Operator => "operator",
        }
    }
}

/// An object; its OID is beside it. As JSON: `{"relation": {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// The database.
    Database(Database),
    /// A role.
    Role(Role),
    /// A schema.
    Schema(Schema),
    /// A relation.
    Relation(Box<Relation>),
    /// A trigger.
    Trigger(Trigger),
    /// An event trigger.
    EventTrigger(EventTrigger),
    /// A rule.
    Rule(Rule),
    /// A foreign key.
    ForeignKey(ForeignKey),
    /// A function, procedure or aggregate.
    Function(Box<Function>),
    /// A type.
    Type(Type),
    /// A cast.
    Cast(Cast),
    /// An operator.
    Operator(Operator),
}

impl Object {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Database(_) => Kind::Database,
            Object::Role(_) => Kind::Role,
            Object::Schema(_) => Kind::Schema,
            Object::Relation(_) => Kind::Relation,
            Object::Trigger(_) => Kind::Trigger,
            Object::EventTrigger(_) => Kind::EventTrigger,
            Object::Rule(_) => Kind::Rule,
            Object::ForeignKey(_) => Kind::ForeignKey,
            Object::Function(_) => Kind::Function,
            Object::Type(_) => Kind::Type,
            Object::Cast(_) => Kind::Cast,
            Object::Operator(_) => Kind::Operator,
        }
    }

    /// Its name; of a cast, "". And its schema, where it has one of its own.
    pub fn name(&self) -> (Option<&Text>, &str) {
        match self {
            Object::Database(database) => (None, &database.name),
            Object::Role(role) => (None, &role.name),
            Object::Schema(schema) => (None, &schema.name),
            Object::Relation(relation) => (Some(&relation.schema), &relation.name),
            Object::Trigger(trigger) => (None, &trigger.name),
            Object::EventTrigger(trigger) => (None, &trigger.name),
            Object::Rule(rule) => (None, &rule.name),
            Object::ForeignKey(key) => (None, &key.name),
            Object::Function(function) => (Some(&function.schema), &function.name),
            Object::Type(kind) => (Some(&kind.schema), &kind.name),
            Object::Cast(_) => (None, ""),
            Object::Operator(operator) => (Some(&operator.schema), &operator.name),
        }
    }
}

/// A setting, as `pg_db_role_setting` and `pg_proc.proconfig` have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// In lower case.
    pub name: Text,
    /// As it is stored: a list as `search_path` is not split.
    pub value: Text,
}

/// The database, and what holds for all of the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `datname`.
    pub name: Text,
    /// `datdba`.
    #[serde(skip_serializing_if = "is_zero")]
    pub owner: Oid,
    /// `server_version_num`.
    pub version: u32,
    /// `search_path` where nothing sets it: of the configuration file or the command line (`pg_settings.reset_val` of a
    /// connection without settings of role and database, or `boot_val`).
    pub search_path: Text,
    /// `pg_encoding_to_char(encoding)`.
    pub encoding: Text,
    /// ALTER DATABASE ... SET: `pg_db_role_setting` of this database and role 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// ALTER ROLE ALL SET: `pg_db_role_setting` of database 0 and role 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings_of_all: Vec<Setting>,
    /// The names that temporary relations and types have, of all sessions together, in order, each once; `None` where they
    /// are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporary: Option<Vec<Text>>,
    /// What could not be read, and why; what is missing is not known to be absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// A part of the catalog that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which kind of object.
    pub kind: Kind,
    /// Why.
    pub why: Text,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// `rolname`.
    pub name: Text,
    /// `rolsuper`.
    #[serde(skip_serializing_if = "is_false")]
    pub superuser: bool,
    /// Roles whose privileges it has by itself (`pg_auth_members`): since PostgreSQL 16 those with `inherit_option`,
    /// before it all, where `rolinherit` holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<Oid>,
    /// The other roles that it is a member of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<Oid>,
    /// ALTER ROLE ... SET: `pg_db_role_setting` of this role and database 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// ALTER ROLE ... IN DATABASE ... SET: of this role and this database.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings_here: Vec<Setting>,
}

/// A schema.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schema {
    /// `nspname`.
    pub name: Text,
    /// `nspowner`.
    #[serde(skip_serializing_if = "is_zero")]
    pub owner: Oid,
    /// Who has USAGE by `nspacl` (`aclexplode`, of a null one `acldefault('n', nspowner)`): the owner as well, unless it
    /// was taken from him; 0 is PUBLIC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Oid>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
pub(super) fn is_false(is: &bool) -> bool {
    !*is
}
