//! PostgreSQL's SQL, as far as people write it against the record.
//!
//! What the engine below does not know as PostgreSQL has it is read here: forms of SQL (`rewrite`), times as texts (`times`),
//! functions and operators (`functions`, `json`, `to_char`, `zones`, `groups`, `numbers`, `sum`, `checked`), types (`types`), and what
//! heads a result's columns (`headings`).
//!
//! What is not as in PostgreSQL is refused with what to write instead, as far as it is known: docs/sql.md lists what is answered
//! in another sense.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, ScalarUDF};

mod casts;
mod checked;
mod correlated;
mod fractions;
mod functions;
mod groups;
mod headings;
mod intervals;
mod json;
mod longest;
mod nulls;
mod numbers;
mod orders;
mod pattern_values;
mod patterns;
mod precedence;
mod rewrite;
mod sum;
mod times;
mod to_char;
mod types;
mod zones;

pub(crate) use casts::Casts;
pub(crate) use correlated::verify;
pub(crate) use headings::Headings;
pub(crate) use rewrite::rewritten;
pub(crate) use times::{literal, read_times};
pub(crate) use types::Types;

/// A plan with each of its expressions, from the inside, as `rewritten` makes it of the columns that it sees and of the plans
/// that they come from; what heads the result's columns stays.
fn map_each_expression(
    plan: LogicalPlan,
    rewritten: impl Fn(Expr, &DFSchema, &[LogicalPlan]) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let mapped = plan.transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        let schema = if inputs.is_empty() { node.schema().as_ref().clone() } else { merge_schema(&inputs) };
        let inputs: Vec<LogicalPlan> = inputs.into_iter().cloned().collect();
        let names = NamePreserver::new(&node);
        let mapped = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let mapped = expr.transform_up(|expr| rewritten(expr, &schema, &inputs))?;
            Ok(if mapped.transformed { mapped.update_data(|expr| name.restore(expr)) } else { mapped })
        })?;
        if mapped.transformed { mapped.map_data(LogicalPlan::recompute_schema) } else { Ok(mapped) }
    })?;
    Ok(mapped.data)
}

/// Makes functions and operators known to a session.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for name in checked::CHECKED {
        if let Ok(function) = state.udf(name) {
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(checked::Checked(function))))?;
        }
    }
    if let Ok(sum) = state.udaf("sum") {
        state.register_udaf(Arc::new(AggregateUDF::new_from_impl(sum::Sum(sum))))?;
    }
    for kind in pattern_values::Kind::ALL {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(pattern_values::InDialect::new(kind))))?;
    }
    for function in [
        ScalarUDF::new_from_impl(functions::Length::new("octet_length", &[])),
        ScalarUDF::new_from_impl(functions::Length::new("length", &["char_length", "character_length"])),
        ScalarUDF::new_from_impl(functions::ConvertFrom::default()),
        ScalarUDF::new_from_impl(to_char::ToChar::default()),
        ScalarUDF::new_from_impl(zones::AtZone::default()),
        ScalarUDF::new_from_impl(groups::RegexpMatch::default()),
        ScalarUDF::new_from_impl(json::Get::new(json::Wanted::ArrayLength)),
        ScalarUDF::new_from_impl(json::Get::new(json::Wanted::Type)),
    ] {
        state.register_udf(Arc::new(function))?;
    }
    state.register_expr_planner(Arc::new(json::Planner::default()))
}
