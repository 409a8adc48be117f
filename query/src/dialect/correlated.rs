//! Subqueries where the engine would answer in another sense, or not at all.
//!
//! Why: the engine makes joins of them, which know rows that match and rows that do not, and nothing unknown between them. So IN
//! stands where what is unknown is as good as false; and of one that depends on the row outside, an aggregate without GROUP BY
//! has no row before the join for a value that is not there, rows that OFFSET passes over are those of all values, and NOT IN
//! looks at all rows.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Subquery};

use super::functions::invalid;

/// Refuses them.
pub(crate) fn verify(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Filter(filter) => in_condition(&filter.predicate, Place::Whole)?,
            other => {
                other.apply_expressions(|expr| outside_of_conditions(expr).map(|()| TreeNodeRecursion::Continue))?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Where in a condition an expression stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It is the condition, or one of those that AND joins.
    Whole,
    /// What is unknown is as good as false there, too, but the engine does not look for it.
    Part,
    /// What is unknown may make a difference.
    Elsewhere,
}

fn in_condition(expr: &Expr, place: Place) -> Result<()> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            in_condition(left, place)?;
            in_condition(right, place)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if place != Place::Elsewhere => {
            in_condition(left, Place::Part)?;
            in_condition(right, Place::Part)
        }
        Expr::Not(inner) => match &**inner {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => of_in(expr, subquery, !negated, place),
            other => in_condition(other, Place::Elsewhere),
        },
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => of_in(expr, subquery, *negated, place),
        Expr::Exists(Exists { subquery, .. }) | Expr::SetComparison(SetComparison { subquery, .. }) => {
            of(subquery, true)
        }
        // Of a value the engine knows how many rows there are of none.
        Expr::ScalarSubquery(subquery) => of(subquery, false),
        other => {
            other
                .apply_children(|child| in_condition(child, Place::Elsewhere).map(|()| TreeNodeRecursion::Continue))?;
            Ok(())
        }
    }
}

fn of_in(expr: &Expr, subquery: &Subquery, negated: bool, place: Place) -> Result<()> {
    in_condition(expr, Place::Elsewhere)?;
    of(subquery, true)?;
    let stands = match place {
        Place::Whole => !negated || subquery.outer_ref_columns.is_empty(),
        Place::Part => !negated,
        Place::Elsewhere => false,
    };
    match (stands, negated) {
        (true, _) => Ok(()),
        (false, true) => Err(invalid(
            "NOT IN (SELECT ...) stands in WHERE, with AND beside it, and does not depend on the row outside: write NOT EXISTS \
             (SELECT ... WHERE y = x)",
        )),
        (false, false) => Err(invalid(
            "IN (SELECT ...) stands in WHERE, with AND or OR beside it: write EXISTS (SELECT ... WHERE y = x)",
        )),
    }
}

fn outside_of_conditions(expr: &Expr) -> Result<()> {
    expr.apply(|expr| {
        let what = match expr {
            Expr::Exists(_) => "EXISTS stands",
            Expr::InSubquery(_) => "IN (SELECT ...) stands",
            Expr::SetComparison(_) => "ANY and ALL of a query stand",
            Expr::ScalarSubquery(subquery) => {
                of(subquery, false)?;
                return Ok(TreeNodeRecursion::Continue);
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Err(invalid(format!("{what} in WHERE only; elsewhere write (SELECT count(*) > 0 FROM ... WHERE ...)")))
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
            LogicalPlan::Limit(limit)
                if depends(&limit.input) && limit.skip.as_deref().is_some_and(|skip| !is_zero(skip)) =>
            {
                return Err(invalid(
                    "OFFSET in a subquery that depends on the row outside is not here: write row_number() OVER \
                     (PARTITION BY ... ORDER BY ...) in a subquery that does not",
                ));
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
