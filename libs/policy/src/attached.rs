//! Whether anything hangs on a relation that a statement makes, and whether a definition may hang something on others:
//! triggers, rules, constraints, defaults and types whose code runs when rows are written, partitions, children.
//!
//! Invariant: what is not known to hang nothing on a relation is taken to hang something.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, IndexStmt, Node,
    ObjectType, TypeName,
};

use crate::expression::strings;
use crate::functions::is_built_in_type;
use crate::{Name, routines};

/// Nothing hangs on the table that this makes.
pub(crate) fn is_bare(create: &CreateStmt) -> bool {
    create.inh_relations.is_empty()
        && create.partspec.is_none()
        && create.partbound.is_none()
        && create.of_typename.is_none()
        && create.constraints.iter().all(is_plain_constraint)
        && create.table_elts.iter().all(|element| match &element.node {
            Some(NodeEnum::ColumnDef(column)) => is_plain_column(column),
            Some(NodeEnum::Constraint(constraint)) => is_plain(constraint),
            _ => false,
        })
}

/// The statement may hang something on a relation that it names, or on what it makes; or [`may_redefine`] something.
pub(crate) fn may_attach(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::CreateStmt(create) => !is_bare(create),
        NodeEnum::IndexStmt(index) => !is_plain_index(index),
        NodeEnum::AlterTableStmt(alter) => !is_plain_alter(alter),
        NodeEnum::CreateTrigStmt(_)
        | NodeEnum::RuleStmt(_)
        | NodeEnum::CreatePolicyStmt(_)
        | NodeEnum::AlterPolicyStmt(_)
        | NodeEnum::CreateSchemaStmt(_)
        | NodeEnum::CreateForeignTableStmt(_)
        | NodeEnum::CreateExtensionStmt(_)
        | NodeEnum::AlterExtensionStmt(_)
        | NodeEnum::ImportForeignSchemaStmt(_)
        | NodeEnum::AlterDomainStmt(_)
        | NodeEnum::AlterTypeStmt(_)
        | NodeEnum::AlterEnumStmt(_)
        | NodeEnum::CreateCastStmt(_)
        | NodeEnum::CreateOpClassStmt(_)
        | NodeEnum::AlterOpFamilyStmt(_)
        | NodeEnum::CreateAmStmt(_)
        | NodeEnum::AlterTableMoveAllStmt(_)
        | NodeEnum::DefineStmt(_) => true,
        // What it does from now on is not what was read of it before.
        NodeEnum::CreateFunctionStmt(_) => routines::made(node).is_none(),
        NodeEnum::ExplainStmt(explain) => {
            explain.query.as_ref().and_then(|query| query.node.as_ref()).is_some_and(may_attach)
        }
        // What is made of a query, views, functions, sequences, comments and grants hang nothing on what they name; nor does
        // what is dropped.
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::CopyStmt(_)
        | NodeEnum::CreateTableAsStmt(_)
        | NodeEnum::ViewStmt(_)
        | NodeEnum::RefreshMatViewStmt(_)
        | NodeEnum::CreateSeqStmt(_)
        | NodeEnum::AlterSeqStmt(_)
        | NodeEnum::CreateRoleStmt(_)
        | NodeEnum::GrantStmt(_)
        | NodeEnum::GrantRoleStmt(_)
        | NodeEnum::CommentStmt(_)
        | NodeEnum::DropStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::CreatedbStmt(_)
        | NodeEnum::CreateStatsStmt(_)
        | NodeEnum::VacuumStmt(_)
        | NodeEnum::ReindexStmt(_) => false,
        _ => true,
    }
}

/// The statement may change what a function, a type or an operator does that is there.
pub(crate) fn may_redefine(node: &NodeEnum) -> bool {
    let calls_only = match node {
        NodeEnum::AlterTableStmt(alter) => alter.objtype() != ObjectType::ObjectType && !changes_row(alter),
        // What it calls is told with the operator.
        NodeEnum::DefineStmt(define) => define.kind() == ObjectType::ObjectOperator,
        NodeEnum::CreateStmt(_)
        | NodeEnum::IndexStmt(_)
        | NodeEnum::CreateTrigStmt(_)
        | NodeEnum::RuleStmt(_)
        | NodeEnum::CreatePolicyStmt(_)
        | NodeEnum::AlterPolicyStmt(_)
        | NodeEnum::CreateForeignTableStmt(_)
        // What is made beside what there is.
        | NodeEnum::CreateDomainStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CompositeTypeStmt(_) => true,
        _ => false,
    };
    !calls_only && may_attach(node)
}

/// Values of other types are in its rows from now on.
fn changes_row(alter: &AlterTableStmt) -> bool {
    alter.cmds.iter().any(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => match (command.subtype(), command.def.as_deref()) {
            (AlterTableType::AtAddOf, _) => true,
            (
                AlterTableType::AtAddColumn | AlterTableType::AtAlterColumnType,
                Some(Node { node: Some(definition) }),
            ) => {
                let NodeEnum::ColumnDef(column) = definition else { return true };
                !column.type_name.as_ref().is_some_and(is_plain_type)
            }
            _ => false,
        },
        _ => true,
    })
}

fn is_plain_column(column: &ColumnDef) -> bool {
    column.raw_default.as_deref().is_none_or(is_plain_value)
        && column.type_name.as_ref().is_some_and(is_plain_type)
        && column.constraints.iter().all(is_plain_constraint)
}

/// It may be added without writing the rows that there are: its value is the same constant in all of them, for which only
/// constraints of its own are checked.
pub(crate) fn is_empty_column(column: &ColumnDef) -> bool {
    let constant = |node: &Node| match &node.node {
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_constant),
        Some(NodeEnum::SqlvalueFunction(_)) => true,
        _ => is_constant(node),
    };
    let serial = column.type_name.as_ref().and_then(|kind| strings(&kind.names).next_back());
    column.type_name.as_ref().is_some_and(is_plain_type)
        && !serial.is_some_and(|name| name.contains("serial"))
        && column.raw_default.as_deref().is_none_or(constant)
        && column.constraints.iter().all(|node| match &node.node {
            Some(NodeEnum::Constraint(constraint)) => match constraint.contype() {
                ConstrType::ConstrIdentity | ConstrType::ConstrGenerated => false,
                ConstrType::ConstrDefault => constraint.raw_expr.as_deref().is_some_and(constant),
                _ => true,
            },
            _ => false,
        })
}

/// PostgreSQL brings it along; so no constraint of a domain runs.
fn is_plain_type(name: &TypeName) -> bool {
    let mut parts = strings(&name.names).rev();
    let Some(last) = parts.next() else { return false };
    let of = Name { schema: parts.next().map(str::to_owned), name: last.to_owned() };
    let serial = of.schema.is_none() && matches!(last, "serial" | "bigserial" | "smallserial");
    !name.setof && !name.pct_type && (serial || is_built_in_type(&of))
}

fn is_plain_constraint(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::Constraint(constraint)) if is_plain(constraint))
}

fn is_plain(constraint: &Constraint) -> bool {
    match constraint.contype() {
        ConstrType::ConstrNull
        | ConstrType::ConstrNotnull
        | ConstrType::ConstrPrimary
        | ConstrType::ConstrUnique
        | ConstrType::ConstrIdentity
        | ConstrType::ConstrAttrDeferrable
        | ConstrType::ConstrAttrNotDeferrable
        | ConstrType::ConstrAttrDeferred
        | ConstrType::ConstrAttrImmediate => true,
        ConstrType::ConstrDefault => constraint.raw_expr.as_deref().is_some_and(is_plain_value),
        _ => false,
    }
}

/// A constant, or a call that means PostgreSQL's own function whatever others of its name there are: no other can fit
/// better.
pub(crate) fn is_plain_value(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(_) | NodeEnum::SqlvalueFunction(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => {
            cast.arg.as_deref().is_some_and(is_constant) && cast.type_name.as_ref().is_some_and(is_plain_type)
        }
        Some(NodeEnum::FuncCall(call)) => {
            let mut parts = strings(&call.funcname).rev();
            let name = parts.next().unwrap_or_default();
            let own = matches!((parts.next(), parts.next()), (None | Some("pg_catalog"), None));
            own && match &call.args[..] {
                [] => WITHOUT_ARGUMENTS.contains(&name),
                [sequence] => name == "nextval" && is_regclass(sequence),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Functions without arguments that are common in defaults.
pub(crate) const WITHOUT_ARGUMENTS: [&str; 6] =
    ["now", "clock_timestamp", "transaction_timestamp", "statement_timestamp", "gen_random_uuid", "random"];

/// A constant that is cast to `regclass`: of one that is not, a function that takes a text may be meant.
fn is_regclass(node: &Node) -> bool {
    let Some(NodeEnum::TypeCast(cast)) = &node.node else { return false };
    let names = cast.type_name.as_ref().and_then(|kind| strings(&kind.names).next_back());
    names == Some("regclass") && cast.arg.as_deref().is_some_and(is_constant)
}

fn is_constant(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::AConst(_)))
}

/// Of columns alone: no expression runs for it.
fn is_plain_index(index: &IndexStmt) -> bool {
    let is_column = |node: &Node| match &node.node {
        Some(NodeEnum::IndexElem(element)) => element.expr.is_none() && element.opclass.is_empty(),
        _ => false,
    };
    index.where_clause.is_none() && index.index_params.iter().all(is_column)
}

fn is_plain_alter(alter: &AlterTableStmt) -> bool {
    let is_plain = |node: &Node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => is_plain_command(command),
        _ => false,
    };
    alter.cmds.iter().all(is_plain)
}

fn is_plain_command(command: &AlterTableCmd) -> bool {
    let definition = command.def.as_deref().and_then(|definition| definition.node.as_ref());
    match command.subtype() {
        AlterTableType::AtAddColumn => {
            matches!(definition, Some(NodeEnum::ColumnDef(column)) if is_plain_column(column))
        }
        AlterTableType::AtAddConstraint => {
            matches!(definition, Some(NodeEnum::Constraint(constraint)) if is_plain(constraint))
        }
        AlterTableType::AtColumnDefault => command.def.as_deref().is_none_or(is_plain_value),
        AlterTableType::AtAlterColumnType => matches!(
            definition,
            Some(NodeEnum::ColumnDef(column))
                if column.raw_default.is_none() && column.type_name.as_ref().is_some_and(is_plain_type)
        ),
        AlterTableType::AtDropColumn
        | AlterTableType::AtDropConstraint
        | AlterTableType::AtSetNotNull
        | AlterTableType::AtDropNotNull
        | AlterTableType::AtSetStatistics
        | AlterTableType::AtSetStorage
        | AlterTableType::AtSetOptions
        | AlterTableType::AtResetOptions
        | AlterTableType::AtSetRelOptions
        | AlterTableType::AtResetRelOptions
        | AlterTableType::AtChangeOwner
        | AlterTableType::AtSetLogged
        | AlterTableType::AtSetUnLogged
        | AlterTableType::AtClusterOn
        | AlterTableType::AtReplicaIdentity => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{NameChange, analyse};

    fn one(sql: &str) -> crate::Statement {
        analyse(sql).statements.into_iter().next().unwrap()
    }

    fn bare(sql: &str) -> bool {
        matches!(one(sql).names.first(), Some(NameChange::Create { bare: true, .. }))
    }

    #[test]
    fn a_table_of_plain_columns_is_bare() {
        for sql in [
            "create table t (a int primary key, b text not null default 'x', c timestamptz default now(), d serial)",
            "create table t (a int[], b varchar(3) unique, c numeric(3,1) default '1'::numeric, primary key (a))",
            "create table t as select * from u",
            "select 1 into t",
            "create table t (a bigint generated always as identity)",
            "create table t (a int default nextval('s'::regclass), b date default current_date, c uuid default gen_random_uuid())",
        ] {
            assert!(bare(sql), "{sql}");
            assert!(one(sql).attaches.is_empty(), "{sql}");
        }
    }

    #[test]
    fn what_only_calls_a_function_does_not_redefine_it() {
        for sql in [
            "create table t (a int check (f(a)))",
            "create index on t (f(a))",
            "create trigger g after insert on t for each row execute function f()",
            "create rule r as on insert to t do also select f()",
            "create policy p on t using (f())",
            "alter table t add check (f(a)), alter b set default f()",
            "create function f() returns int language sql as 'select 1'",
            "drop function f()",
            "create domain d as int check (f(value))",
            "create type f as enum ('a')",
            "create operator === (function = f, leftarg = int, rightarg = int)",
        ] {
            assert!(one(sql).redefines.is_empty(), "{sql}");
        }
        for sql in [
            "create or replace function f() returns int language c as 'x', 'y'",
            "alter function f() security definer",
            "alter function f() rename to g",
            "alter function f() set schema s",
            "alter routine f() strict",
            "create aggregate f (int) (sfunc = g, stype = int)",
            "alter domain f add check (g(value))",
            "alter table t add column a f",
            "alter type y add attribute a f",
            "alter extension f update",
        ] {
            let redefines = one(sql).redefines;
            assert!(redefines.is_all() || redefines.names().any(|name| name == "f"), "{sql}: {redefines:?}");
        }
    }

    #[test]
    fn what_runs_code_or_has_kin_is_not() {
        for sql in [
            "create table t (a my_domain)",
            "create table t (a int default f())",
            "create table t (a int check (a > f(a)))",
            "create table t (a int check (a > 0))",
            "create table t (a int references u)",
            "create table t (a int, foreign key (a) references u)",
            "create table t (a int generated always as (f(1)) stored)",
            "create table t (a int, exclude using gist (a with =))",
            "create table t (a int) inherits (u)",
            "create table t partition of u default",
            "create table t (a int) partition by list (a)",
            "create table t of my_type",
            "create table t (like u including all)",
            "create table if not exists t (a int)",
            "create table if not exists t as select 1",
            "create table t (a int default abs('q'))",
            "create table t (a int default nextval('s'))",
            "create table t (a int default app.now())",
            "create table t (a int default now(1))",
            "create view t as select 1",
            "create foreign table t (a int) server s",
        ] {
            assert!(!bare(sql), "{sql}");
        }
    }

    #[test]
    fn definitions_that_hang_nothing_on_others_are_told_from_those_that_may() {
        for sql in [
            "create index on t (a, b desc)",
            "alter table t add column b int default 1, alter c set not null, add primary key (a)",
            "alter table t alter b type text",
            "comment on table t is 'x'",
            "grant select on t to r",
            "create view v as select * from t",
            "create function f() returns int language sql as 'delete from t returning 1'",
            "drop table t",
            "insert into t values (1)",
        ] {
            assert!(one(sql).attaches.is_empty(), "{sql}");
        }
        for sql in [
            "create index on t (f(a))",
            "create index on t (a) where f(a)",
            "create trigger g after insert on t for each row execute function f()",
            "create rule r as on insert to t do also delete from u",
            "create policy p on t using (f())",
            "alter table t add check (f(a))",
            "alter table t add column b int default f()",
            "alter table t alter b set default f()",
            "alter table t alter b type int using f(b)",
            "alter table t attach partition u default",
            "alter table t inherit u",
            "alter table t enable trigger all",
            "alter table u add foreign key (a) references t on delete cascade",
            "create table u (a int references t)",
            "create table u () inherits (t)",
            "create table u partition of t default",
            "alter domain t add check (f(value))",
            "create schema s create trigger g after insert on t for each row execute function f()",
        ] {
            let attaches = one(sql).attaches;
            assert!(attaches.is_all() || attaches.names().any(|name| name == "t"), "{sql}: {attaches:?}");
        }
    }
}
