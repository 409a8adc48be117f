//! Relations, and what belongs to them: columns, expressions, triggers, rules and foreign keys.

use serde::{Deserialize, Serialize};

use super::objects::{is_false, is_zero};
use super::{Oid, Text};

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
    /// Of a partitioned table: values of its key may be equal without being written alike
    /// (`NOT pg_collation.collisdeterministic` of a `partcollation`).
    #[serde(skip_serializing_if = "is_false")]
    pub loose_key: bool,
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
