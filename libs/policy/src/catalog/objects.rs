//! What a catalog holds: the shapes of PostgreSQL's objects, as far as they decide what a statement touches.
//!
//! Their JSON is in events and in the lake's table `catalog`: fields are added, never renamed or taken away. A field that
//! holds nothing is left out.

use serde::{Deserialize, Serialize};

use super::Text;

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
    /// `pg_type`: those outside `pg_catalog` and `information_schema`, without row types of relations and array types.
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
    /// Who has USAGE by `nspacl` (`aclexplode`, of a null one `acldefault('n', nspowner)`), the owner aside; 0 is PUBLIC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Oid>,
}

/// What a relation is: `relkind`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RelationKind {
    /// A table.
    #[default]
    #[serde(rename = "r")]
    Table,
    /// A partitioned table.
    #[serde(rename = "p")]
    Partitioned,
    /// A view.
    #[serde(rename = "v")]
    View,
    /// A materialized view.
    #[serde(rename = "m")]
    MaterializedView,
    /// A foreign table.
    #[serde(rename = "f")]
    Foreign,
    /// A sequence.
    #[serde(rename = "S")]
    Sequence,
    /// A composite type.
    #[serde(rename = "c")]
    Composite,
    /// A TOAST table.
    #[serde(rename = "t")]
    Toast,
    /// An index.
    #[serde(rename = "i")]
    Index,
    /// An index of a partitioned table.
    #[serde(rename = "I")]
    PartitionedIndex,
}

impl RelationKind {
    /// That of `relkind`.
    pub fn of_letter(letter: char) -> Option<RelationKind> {
        Some(match letter {
            'r' => RelationKind::Table,
            'p' => RelationKind::Partitioned,
            'v' => RelationKind::View,
            'm' => RelationKind::MaterializedView,
            'f' => RelationKind::Foreign,
            'S' => RelationKind::Sequence,
            'c' => RelationKind::Composite,
            't' => RelationKind::Toast,
            'i' => RelationKind::Index,
            'I' => RelationKind::PartitionedIndex,
            _ => return None,
        })
    }
}

/// A relation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relation {
    /// The name of its schema. Temporary relations of sessions (`pg_temp_N`) are left out of a catalog.
    pub schema: Text,
    /// `relname`.
    pub name: Text,
    /// `relkind`.
    pub kind: RelationKind,
    /// `relowner`.
    #[serde(skip_serializing_if = "is_zero")]
    pub owner: Oid,
    /// In order of `attnum`, without dropped and system columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// Of a view or materialized view: `pg_get_viewdef(oid)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<Text>,
    /// What PostgreSQL can do to a view without triggers: `pg_relation_is_updatable(oid, false)`: 4 UPDATE, 8 INSERT, 16
    /// DELETE.
    #[serde(skip_serializing_if = "is_zero")]
    pub updatable: u32,
    /// A view with `security_invoker`; row-level security is in force on a table (`relrowsecurity`).
    #[serde(skip_serializing_if = "is_false")]
    pub row_security: bool,
    /// The tables that it inherits from, or the one that it is a partition of (`pg_inherits`, in order of `inhseqno`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Oid>,
    /// Of a partition: `pg_get_expr(relpartbound, oid)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Text>,
    /// Of a partitioned table: `pg_get_partkeydef(oid)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<Text>,
    /// Expressions that run when it is written or read, but for those that are constants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// `attname`.
    #[serde(rename = "n")]
    pub name: Text,
    /// `atttypid`.
    #[serde(rename = "t")]
    pub kind: Oid,
}

/// An expression that belongs to a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expression {
    /// When it runs.
    pub when: When,
    /// The column that it fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Text>,
    /// `pg_get_expr`, `pg_get_constraintdef`, `pg_get_indexdef` or `pg_get_partkeydef`.
    pub text: Text,
}

/// When an expression of a relation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A row is inserted without the column, or updated to DEFAULT (`pg_attrdef`).
    Default,
    /// A row is inserted or updated (a generated column).
    Generated,
    /// A row is inserted or updated (a CHECK constraint).
    Check,
    /// A row is inserted or updated (an index's expressions and condition, an exclusion constraint).
    Index,
    /// A row is read or written by somebody who is not above row-level security (`pg_policy`).
    Policy,
}

/// A trigger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// `tgrelid`.
    pub relation: Oid,
    /// `tgname`.
    pub name: Text,
    /// `tgfoid`.
    pub function: Oid,
    /// Bits of `tgtype`: 1 for each row, 2 BEFORE, 4 INSERT, 8 DELETE, 16 UPDATE, 32 TRUNCATE, 64 INSTEAD OF.
    #[serde(rename = "type")]
    pub bits: u32,
    /// `tgenabled`.
    pub enabled: Enabled,
    /// UPDATE OF: the columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Text>,
    /// It has a WHEN condition: its text, of `pg_get_triggerdef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Text>,
    /// A constraint trigger that is deferrable: it may run at COMMIT.
    #[serde(skip_serializing_if = "is_false")]
    pub deferrable: bool,
}

/// Whether a trigger or rule runs: `tgenabled`, `ev_enabled`, `evtenabled`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Enabled {
    /// Unless `session_replication_role` is `replica`.
    #[default]
    #[serde(rename = "O")]
    Origin,
    /// Never.
    #[serde(rename = "D")]
    Disabled,
    /// When `session_replication_role` is `replica`.
    #[serde(rename = "R")]
    Replica,
    /// Always.
    #[serde(rename = "A")]
    Always,
}

impl Enabled {
    /// That of the letter.
    pub fn of_letter(letter: char) -> Option<Enabled> {
        Some(match letter {
            'O' => Enabled::Origin,
            'D' => Enabled::Disabled,
            'R' => Enabled::Replica,
            'A' => Enabled::Always,
            _ => return None,
        })
    }
}

/// An event trigger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventTrigger {
    /// `evtname`.
    pub name: Text,
    /// `evtevent`: `ddl_command_start`, `ddl_command_end`, `sql_drop`, `table_rewrite`, `login`.
    pub event: Text,
    /// `evtfoid`.
    pub function: Oid,
    /// `evtenabled`.
    pub enabled: Enabled,
    /// `evttags`: the command tags it is for; all where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Text>,
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// `ev_class`.
    pub relation: Oid,
    /// `rulename`.
    pub name: Text,
    /// `ev_enabled`.
    pub enabled: Enabled,
    /// `pg_get_ruledef(oid)`: the event, INSTEAD and the actions are read from it.
    pub definition: Text,
}

/// What becomes of referencing rows: `confupdtype`, `confdeltype`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// NO ACTION.
    #[default]
    #[serde(rename = "a")]
    None,
    /// RESTRICT.
    #[serde(rename = "r")]
    Restrict,
    /// CASCADE.
    #[serde(rename = "c")]
    Cascade,
    /// SET NULL.
    #[serde(rename = "n")]
    SetNull,
    /// SET DEFAULT.
    #[serde(rename = "d")]
    SetDefault,
}

impl Action {
    /// That of the letter.
    pub fn of_letter(letter: char) -> Option<Action> {
        Some(match letter {
            'a' => Action::None,
            'r' => Action::Restrict,
            'c' => Action::Cascade,
            'n' => Action::SetNull,
            'd' => Action::SetDefault,
            _ => return None,
        })
    }
}

/// A foreign key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForeignKey {
    /// `conname`.
    pub name: Text,
    /// `conrelid`: the table that refers.
    pub relation: Oid,
    /// Its columns.
    pub columns: Vec<Text>,
    /// `confrelid`: the table that it refers to.
    pub references: Oid,
    /// The columns there.
    pub references_columns: Vec<Text>,
    /// `confupdtype`.
    pub on_update: Action,
    /// `confdeltype`.
    pub on_delete: Action,
    /// `condeferred` or `condeferrable`: NO ACTION and SET actions are not put off, but checks are.
    #[serde(skip_serializing_if = "is_false")]
    pub deferrable: bool,
}

/// What a function is: `prokind`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FunctionKind {
    /// A function.
    #[default]
    #[serde(rename = "f")]
    Function,
    /// A procedure.
    #[serde(rename = "p")]
    Procedure,
    /// An aggregate.
    #[serde(rename = "a")]
    Aggregate,
    /// A window function.
    #[serde(rename = "w")]
    Window,
}

impl FunctionKind {
    /// That of `prokind`.
    pub fn of_letter(letter: char) -> Option<FunctionKind> {
        Some(match letter {
            'f' => FunctionKind::Function,
            'p' => FunctionKind::Procedure,
            'a' => FunctionKind::Aggregate,
            'w' => FunctionKind::Window,
            _ => return None,
        })
    }
}

/// A function, procedure or aggregate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    /// The name of its schema.
    pub schema: Text,
    /// `proname`.
    pub name: Text,
    /// `prokind`.
    pub kind: FunctionKind,
    /// `proowner`: whom a SECURITY DEFINER function runs as.
    #[serde(skip_serializing_if = "is_zero")]
    pub owner: Oid,
    /// `proargtypes`: the types of input arguments; of procedures since 14 the output arguments, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Oid>,
    /// `pronargdefaults`.
    #[serde(skip_serializing_if = "is_zero")]
    pub defaults: u32,
    /// `provariadic` is not 0.
    #[serde(skip_serializing_if = "is_false")]
    pub variadic: bool,
    /// `pg_get_function_arguments(oid)`: names, modes and types.
    pub signature: Text,
    /// `pg_get_function_result(oid)`; of a procedure "".
    pub result: Text,
    /// `lanname`.
    pub language: Text,
    /// `provolatile`: 'i', 's' or 'v'.
    pub volatility: Volatility,
    /// `prosecdef`.
    #[serde(skip_serializing_if = "is_false")]
    pub security_definer: bool,
    /// `proconfig`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// Its body: `prosrc` of languages sql and plpgsql; of a body that is stored parsed, `pg_get_function_sqlbody(oid)`. Of
    /// other languages none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Text>,
    /// The functions that an aggregate runs (`pg_aggregate`), those of `pg_catalog` aside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Oid>,
}

/// `provolatile`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Volatility {
    /// VOLATILE.
    #[default]
    #[serde(rename = "v")]
    Volatile,
    /// STABLE: what it runs itself may only read.
    #[serde(rename = "s")]
    Stable,
    /// IMMUTABLE: what it runs itself may only read.
    #[serde(rename = "i")]
    Immutable,
}

impl Volatility {
    /// That of the letter.
    pub fn of_letter(letter: char) -> Option<Volatility> {
        Some(match letter {
            'v' => Volatility::Volatile,
            's' => Volatility::Stable,
            'i' => Volatility::Immutable,
            _ => return None,
        })
    }
}

/// A type that PostgreSQL does not bring along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Type {
    /// The name of its schema.
    pub schema: Text,
    /// `typname`.
    pub name: Text,
    /// `typtype`.
    pub kind: TypeKind,
    /// `typbasetype` of a domain.
    #[serde(skip_serializing_if = "is_zero")]
    pub base: Oid,
    /// The CHECK constraints of a domain (`pg_get_constraintdef`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Text>,
    /// `typdefault` of a domain, where it is no constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Text>,
    /// `typarray`: the type of its arrays.
    #[serde(skip_serializing_if = "is_zero")]
    pub array: Oid,
}

/// What a type is: `typtype`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// A base type: its functions are in C, or in another language.
    #[default]
    #[serde(rename = "b")]
    Base,
    /// A composite type.
    #[serde(rename = "c")]
    Composite,
    /// A domain.
    #[serde(rename = "d")]
    Domain,
    /// An enumeration.
    #[serde(rename = "e")]
    Enum,
    /// A range.
    #[serde(rename = "r")]
    Range,
    /// A multirange.
    #[serde(rename = "m")]
    Multirange,
    /// A pseudo-type.
    #[serde(rename = "p")]
    Pseudo,
}

impl TypeKind {
    /// That of `typtype`.
    pub fn of_letter(letter: char) -> Option<TypeKind> {
        Some(match letter {
            'b' => TypeKind::Base,
            'c' => TypeKind::Composite,
            'd' => TypeKind::Domain,
            'e' => TypeKind::Enum,
            'r' => TypeKind::Range,
            'm' => TypeKind::Multirange,
            'p' => TypeKind::Pseudo,
            _ => return None,
        })
    }
}

/// A cast by a function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cast {
    /// `castsource`.
    pub source: Oid,
    /// `casttarget`.
    pub target: Oid,
    /// `castfunc`.
    pub function: Oid,
    /// `castcontext` is `i` or `a`: it runs without being written, at least in an assignment.
    #[serde(skip_serializing_if = "is_false")]
    pub implicit: bool,
}

/// An operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operator {
    /// The name of its schema.
    pub schema: Text,
    /// `oprname`.
    pub name: Text,
    /// `oprleft`; 0 of a prefix operator.
    #[serde(skip_serializing_if = "is_zero")]
    pub left: Oid,
    /// `oprright`.
    pub right: Oid,
    /// `oprcode`.
    pub function: Oid,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(is: &bool) -> bool {
    !*is
}
