//! ORDER BY: a name alone is a column of the result where there is one; within an expression it is one of the tables', in
//! PostgreSQL, and one of the result to the engine.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, Ident, OrderByKind, Query, SelectItem, SetExpr, TableFactor,
    visit_expressions,
};

use crate::Error;

/// The names that expressions of an order are made of; refuses those that a column of the result has that is another one.
pub(super) fn verify(query: &Query) -> ControlFlow<Error, HashSet<String>> {
    let mut names = HashSet::new();
    let Some(order) = &query.order_by else { return ControlFlow::Continue(names) };
    let OrderByKind::Expressions(keys) = &order.kind else { return ControlFlow::Continue(names) };
    for key in keys.iter().map(|key| &key.expr).filter(|key| !matches!(key, Expr::Identifier(_))) {
        let _ = visit_expressions(key, |expr| {
            if let Expr::Identifier(ident) = expr {
                names.insert(name(ident));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    let SetExpr::Select(select) = &*query.body else { return ControlFlow::Continue(names) };
    for item in &select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let is_itself = match expr {
            Expr::Identifier(ident) => name(ident) == name(alias),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|last| name(last) == name(alias)),
            _ => false,
        };
        if !is_itself && names.contains(&name(alias)) {
            return ControlFlow::Break(Error::Invalid(format!(
                "ORDER BY an expression of {alias}: in PostgreSQL that is a column of the tables, and not the result's; write \
                 what {alias} stands for, or SELECT ... FROM (SELECT ...) AS t ORDER BY ..."
            )));
        }
    }
    ControlFlow::Continue(names)
}

/// A name as SQL reads it.
pub(super) fn name(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A list or a text of the rows of an ordered subquery: PostgreSQL keeps their order, and the engine does not.
pub(super) fn verify_aggregates(query: &Query) -> ControlFlow<Error> {
    let SetExpr::Select(select) = &*query.body else { return ControlFlow::Continue(()) };
    let [from] = &select.from[..] else { return ControlFlow::Continue(()) };
    let TableFactor::Derived { subquery, .. } = &from.relation else { return ControlFlow::Continue(()) };
    if subquery.order_by.is_none() || subquery.limit_clause.is_some() || subquery.fetch.is_some() {
        return ControlFlow::Continue(());
    }
    visit_expressions(&select.projection, |expr| {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let name = function.name.to_string().to_ascii_lowercase();
        let FunctionArguments::List(list) = &function.args else { return ControlFlow::Continue(()) };
        let is_ordered = list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
        if is_ordered || !["array_agg", "string_agg"].contains(&name.as_str()) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Error::Invalid(format!(
            "the order of a subquery is not kept by {name}: write {name}(... ORDER BY ...)"
        )))
    })
}
