//! The types and operators that a statement makes, and what runs where they are used.

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint, CreateStmt, DefineStmt, Node, ObjectType, TypeName};

use crate::expression::strings;
use crate::functions::is_built_in_type;
use crate::{Call, CallKind, Definition, Name, utility};

/// Most types, functions and operators that one may run.
const MAX_CALLS: usize = 64;

/// The type or operator that a statement makes. A table makes a type, too.
pub(crate) fn made(node: &NodeEnum) -> Option<Definition> {
    match node {
        NodeEnum::CreateEnumStmt(create) => Some(definition(CallKind::Type, &create.type_name, Some(Vec::new()))),
        NodeEnum::CreateDomainStmt(create) => {
            let calls = || {
                let mut calls = of_type(create.coll_clause.is_none().then_some(create.type_name.as_ref()?)?)?;
                for constraint in &create.constraints {
                    calls.extend(of_constraint(constraint)?);
                }
                Some(calls)
            };
            Some(definition(CallKind::Type, &create.domainname, calls()))
        }
        NodeEnum::CompositeTypeStmt(create) => {
            let name = create.typevar.as_ref()?;
            let name = Name { schema: some(&name.schemaname), name: name.relname.clone() };
            Some(Definition { kind: CallKind::Type, name, calls: bounded(of_columns(&create.coldeflist)) })
        }
        NodeEnum::CreateStmt(create) => {
            let name = create.relation.as_ref()?;
            let name = Name { schema: some(&name.schemaname), name: name.relname.clone() };
            Some(Definition { kind: CallKind::Type, name, calls: bounded(of_table(create)) })
        }
        NodeEnum::DefineStmt(define) if define.kind() == ObjectType::ObjectOperator => {
            Some(definition(CallKind::Operator, &define.defnames, of_operator(define)))
        }
        _ => None,
    }
}

fn some(schema: &str) -> Option<String> {
    (!schema.is_empty()).then(|| schema.to_owned())
}

fn name(names: &[Node]) -> Name {
    let mut parts = strings(names).rev();
    let name = parts.next().unwrap_or_default().to_owned();
    Name { schema: parts.next().map(str::to_owned), name }
}

fn definition(kind: CallKind, names: &[Node], calls: Option<Vec<Call>>) -> Definition {
    Definition { kind, name: name(names), calls: bounded(calls) }
}

fn bounded(calls: Option<Vec<Call>>) -> Option<Vec<Call>> {
    let mut calls = calls?;
    calls.sort_unstable();
    calls.dedup();
    Some(calls).filter(|calls| calls.len() <= MAX_CALLS)
}

/// What making a value of a type runs.
fn of_type(kind: &TypeName) -> Option<Vec<Call>> {
    if kind.setof || kind.pct_type || kind.names.is_empty() {
        return None;
    }
    let name = name(&kind.names);
    let serial = name.schema.is_none()
        && matches!(name.name.as_str(), "serial" | "bigserial" | "smallserial" | "serial4" | "serial8");
    let own = serial || is_built_in_type(&name);
    Some(if own { Vec::new() } else { vec![Call { kind: CallKind::Type, name, arguments: None }] })
}

fn of_columns(columns: &[Node]) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    for column in columns {
        let Some(NodeEnum::ColumnDef(column)) = &column.node else { return None };
        calls.extend(of_column(column)?);
    }
    Some(calls)
}

fn of_column(column: &ColumnDef) -> Option<Vec<Call>> {
    of_type(column.type_name.as_ref()?)
}

/// A row of a table is a value of its columns: what its defaults and constraints run is run when it is written.
fn of_table(create: &CreateStmt) -> Option<Vec<Call>> {
    if create.of_typename.is_some() || create.if_not_exists {
        return None;
    }
    let mut calls = Vec::new();
    let row = |relation: &pg_query::protobuf::RangeVar| {
        let name = Name { schema: some(&relation.schemaname), name: relation.relname.clone() };
        Call { kind: CallKind::Type, name, arguments: None }
    };
    for parent in &create.inh_relations {
        let Some(NodeEnum::RangeVar(parent)) = &parent.node else { return None };
        calls.push(row(parent));
    }
    for element in &create.table_elts {
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) if column.type_name.is_none() => {}
            Some(NodeEnum::ColumnDef(column)) => calls.extend(of_column(column)?),
            Some(NodeEnum::TableLikeClause(like)) => calls.push(row(like.relation.as_ref()?)),
            Some(NodeEnum::Constraint(_)) => {}
            _ => return None,
        }
    }
    Some(calls)
}

fn of_constraint(node: &Node) -> Option<Vec<Call>> {
    let Some(NodeEnum::Constraint(constraint)) = &node.node else { return None };
    let Constraint { raw_expr, .. } = &**constraint;
    match constraint.contype() {
        ConstrType::ConstrNull | ConstrType::ConstrNotnull => Some(Vec::new()),
        ConstrType::ConstrDefault | ConstrType::ConstrCheck => {
            let expression = utility::expression(raw_expr.as_deref()?);
            let reads = expression.opaque.is_some() || !expression.relations.is_empty();
            (!reads).then_some(expression.calls)
        }
        _ => None,
    }
}

/// An operator runs its function, and PostgreSQL's own estimators when it is planned.
fn of_operator(define: &DefineStmt) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    for option in &define.definition {
        let Some(NodeEnum::DefElem(option)) = &option.node else { return None };
        let written = match option.arg.as_deref().and_then(|value| value.node.as_ref()) {
            Some(NodeEnum::TypeName(written)) => name(&written.names),
            Some(NodeEnum::List(written)) => name(&written.items),
            _ => Name { schema: None, name: String::new() },
        };
        match option.defname.as_str() {
            "procedure" | "function" | "restrict" | "join" => {
                calls.push(Call { kind: CallKind::Function, name: written, arguments: None });
            }
            _ => {}
        }
    }
    Some(calls)
}

#[cfg(test)]
mod tests {
    use crate::analyse;

    #[test]
    fn what_runs_where_it_is_used_is_told() {
        let one = |sql: &str| {
            let made = analyse(sql).statements.remove(0).definition?;
            let calls = made.calls.map_or("?".to_owned(), |calls| {
                let all =
                    calls.iter().map(|call| format!("{:?} {}", call.kind, call.name.to_string().replace('"', "")));
                all.collect::<Vec<_>>().join(", ")
            });
            Some(format!("{:?} {}: {calls}", made.kind, made.name.to_string().replace('"', "")))
        };
        for (sql, expected) in [
            ("create type mood as enum ('a', 'b')", Some("Type mood: ")),
            ("create domain S.d as int not null", Some("Type s.d: ")),
            ("create domain d as text check (value ~ 'x' and f(value))", Some("Type d: Function f, Operator ~")),
            ("create domain d as other[] default g()", Some("Type d: Function g, Type other")),
            ("create domain d as int check (value in (select 1 from t))", Some("Type d: ?")),
            ("create type c as (a int, b s.d, c text)", Some("Type c: Type s.d")),
            ("create table t (a int default f(), b d check (g(b)), primary key (a))", Some("Type t: Type d")),
            ("create table t (like u, b int) inherits (s.v)", Some("Type t: Type u, Type s.v")),
            ("create table t partition of u for values in (1)", Some("Type t: Type u")),
            ("create table t of c", Some("Type t: ?")),
            ("create table if not exists t (a int)", Some("Type t: ?")),
            (
                "create operator s.=== (procedure = f, leftarg = int, rightarg = int, restrict = eqsel)",
                Some("Operator s.===: Function eqsel, Function f"),
            ),
            ("create operator == (leftarg = int, function = s.f, rightarg = int)", Some("Operator ==: Function s.f")),
            ("create type r as range (subtype = int)", None),
            ("create type base (input = a, output = b)", None),
            ("create view v as select 1", None),
        ] {
            assert_eq!(one(sql).as_deref(), expected, "{sql}");
        }
    }
}
