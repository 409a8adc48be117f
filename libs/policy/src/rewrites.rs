//! What definitions and maintenance run of expressions that stand elsewhere: in the catalog, or in the definition's own clauses
//! that are evaluated at once.
//!
//! Invariant: a kind of ALTER TABLE that checks or writes all rows is told to run what belongs to the table.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, AlterTableCmd, AlterTableType, ConstrType, CreateStmt, DefineStmt, DropBehavior, Node, ObjectType,
    PartitionBoundSpec, PartitionSpec, ReindexObjectType,
};

use crate::attached;
use crate::expression::{strings, truth};
use crate::query::Walk;

/// [`crate::Statement::rewrites`].
pub(crate) fn rewrites(node: &NodeEnum) -> bool {
    match node {
        // Rows of the default partition are looked through.
        NodeEnum::CreateStmt(create) => create.partbound.is_some(),
        NodeEnum::AlterTableStmt(alter) => alter
            .cmds
            .iter()
            .any(|node| matches!(&node.node, Some(NodeEnum::AlterTableCmd(command)) if all_rows(command))),
        NodeEnum::CreateSchemaStmt(create) => {
            create.schema_elts.iter().filter_map(|node| node.node.as_ref()).any(rewrites)
        }
        _ => false,
    }
}

/// [`crate::Statement::maintains_all`].
pub(crate) fn maintains_all(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::VacuumStmt(vacuum) if vacuum.rels.is_empty() => {
            let asks = |node: &Node| match &node.node {
                Some(NodeEnum::DefElem(option)) if matches!(option.defname.as_str(), "analyze" | "full") => {
                    option.arg.as_deref().is_none_or(|value| truth(value) != Some(false))
                }
                _ => false,
            };
            !vacuum.is_vacuumcmd || vacuum.options.iter().any(asks)
        }
        NodeEnum::ClusterStmt(cluster) => cluster.relation.is_none(),
        // Of an index, its table is not told.
        NodeEnum::ReindexStmt(reindex) => reindex.kind() != ReindexObjectType::ReindexObjectTable,
        // Tables of the type are written anew.
        NodeEnum::AlterTableStmt(alter) if alter.objtype() == ObjectType::ObjectType => {
            let cascades = |node: &Node| match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => command.behavior() == DropBehavior::DropCascade,
                _ => false,
            };
            alter.cmds.iter().any(cascades)
        }
        _ => false,
    }
}

/// All rows of the table are checked or written.
fn all_rows(command: &AlterTableCmd) -> bool {
    match command.subtype() {
        AlterTableType::AtAddColumn => match command.def.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::ColumnDef(column)) => !attached::is_empty_column(column),
            _ => true,
        },
        AlterTableType::AtAlterColumnType
        | AlterTableType::AtSetExpression
        | AlterTableType::AtValidateConstraint
        | AlterTableType::AtSetLogged
        | AlterTableType::AtSetUnLogged
        | AlterTableType::AtSetAccessMethod
        | AlterTableType::AtAttachPartition => true,
        _ => false,
    }
}

/// What CREATE TABLE evaluates: bounds of a partition, and what is planned to see whether it is constant.
pub(crate) fn created(walk: &mut Walk, create: &CreateStmt) {
    bound(walk, create.partbound.as_ref());
    key(walk, create.partspec.as_ref());
    for element in create.table_elts.iter().filter_map(|node| node.node.as_ref()) {
        let NodeEnum::ColumnDef(column) = element else { continue };
        for constraint in column.constraints.iter().filter_map(|node| node.node.as_ref()) {
            if let NodeEnum::Constraint(constraint) = constraint
                && constraint.contype() == ConstrType::ConstrGenerated
            {
                walk.expressions(constraint.raw_expr.as_deref());
            }
        }
    }
}

/// The bounds of a partition are evaluated.
pub(crate) fn bound(walk: &mut Walk, bound: Option<&PartitionBoundSpec>) {
    if let Some(bound) = bound {
        walk.expressions(bound.listdatums.iter().chain(&bound.lowerdatums).chain(&bound.upperdatums));
    }
}

fn key(walk: &mut Walk, key: Option<&PartitionSpec>) {
    for element in key.into_iter().flat_map(|key| &key.part_params) {
        if let Some(NodeEnum::PartitionElem(element)) = &element.node {
            walk.expressions(element.expr.as_deref());
        }
    }
}

/// A constraint that is added or validated is checked of all values that are stored.
pub(crate) fn domain(walk: &mut Walk, alter: &AlterDomainStmt) {
    match (alter.subtype.as_str(), alter.def.as_deref().and_then(|node| node.node.as_ref())) {
        ("C", Some(NodeEnum::Constraint(constraint))) if !constraint.skip_validation => {
            walk.expressions(constraint.raw_expr.as_deref());
        }
        ("V", _) => walk.type_of(&alter.type_name),
        _ => {}
    }
}

/// The first state of an aggregate is read as a value of its type.
pub(crate) fn defined(walk: &mut Walk, define: &DefineStmt) {
    if define.kind() != ObjectType::ObjectAggregate {
        return;
    }
    for option in define.definition.iter().filter_map(|node| node.node.as_ref()) {
        let NodeEnum::DefElem(option) = option else { continue };
        if let Some(NodeEnum::TypeName(kind)) = option.arg.as_deref().and_then(|value| value.node.as_ref())
            && matches!(option.defname.as_str(), "stype" | "mstype")
            && strings(&kind.names).next().is_some()
        {
            walk.cast(Some(kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analyse;

    #[test]
    fn what_checks_or_writes_all_rows_is_told() {
        for sql in [
            "alter table t validate constraint c",
            "alter table t add column a s.d",
            "alter table t add column a int default f()",
            "alter table t add column a int generated always as identity",
            "alter table t add column a int generated always as (b + 1) stored",
            "alter table t add column a serial",
            "alter table t alter a type bigint",
            "alter table t alter a set expression as (b + 1)",
            "alter table t set logged",
            "alter table t set unlogged",
            "alter table t set access method heap",
            "alter table t attach partition u default",
            "create table t partition of u default",
        ] {
            assert!(analyse(sql).statements[0].rewrites, "{sql}");
        }
        for sql in [
            "alter table t add column a int",
            "alter table t add column a int default 1",
            "alter table t add column a text not null default 'x' check (a <> '')",
            "alter table t add column a timestamptz default current_timestamp references u",
            "alter table t alter a set default f()",
            "alter table t drop column a",
            "alter table t detach partition u",
            "alter table t owner to r",
            "create table t (a int)",
            "update t set a = 1",
        ] {
            assert!(!analyse(sql).statements[0].rewrites, "{sql}");
        }
    }

    #[test]
    fn what_goes_through_all_tables_is_told() {
        for (sql, expected) in [
            ("analyze", true),
            ("vacuum analyze", true),
            ("vacuum (analyze off)", false),
            ("vacuum full", true),
            ("vacuum", false),
            ("analyze t", false),
            ("cluster", true),
            ("cluster t", false),
            ("reindex schema s", true),
            ("reindex database d", true),
            ("reindex index s.i", true),
            ("reindex table t", false),
            ("alter type c alter attribute a type int cascade", true),
        ] {
            assert_eq!(analyse(sql).statements[0].maintains_all, expected, "{sql}");
        }
    }
}
