//! Subqueries that depend on the row outside of them, where the engine would answer in another sense.
//!
//! Why: the engine makes joins of them. Before the join an aggregate without GROUP BY has a row for every value that there
//! is, and none for the others; and rows that OFFSET passes over are those of all values.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

use super::functions::invalid;

/// Refuses them.
pub(crate) fn verify(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Exists(Exists { subquery, .. })
                    | Expr::InSubquery(InSubquery { subquery, .. })
                    | Expr::SetComparison(SetComparison { subquery, .. }) => of(subquery, true)?,
                    // Of a value the engine knows how many rows there are of none.
                    Expr::ScalarSubquery(subquery) => of(subquery, false)?,
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn of(subquery: &Subquery, is_about_rows: bool) -> Result<()> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(());
    }
    let plan: &LogicalPlan = &subquery.subquery;
    plan.apply(|node| {
        match node {
            LogicalPlan::Aggregate(aggregate)
                if is_about_rows && aggregate.group_expr.is_empty() && depends(&aggregate.input) =>
            {
                return Err(invalid(
                    "EXISTS and IN of an aggregate without GROUP BY that depends on the row outside is not here: write \
                     (SELECT count(*) FROM ... WHERE ...) > 0, or compare the aggregate itself",
                ));
            }
            LogicalPlan::Limit(limit) if depends(&limit.input) => {
                if limit.skip.as_deref().is_some_and(|skip| !is_zero(skip)) {
                    return Err(invalid(
                        "OFFSET in a subquery that depends on the row outside is not here: write row_number() OVER \
                         (PARTITION BY ... ORDER BY ...) in a subquery that does not",
                    ));
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn depends(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

fn is_zero(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Int64(Some(0)), _))
}
