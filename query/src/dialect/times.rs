//! Times as texts where a time is meant: `at > '10m ago'`, `TIMESTAMP '03:12Z'`, `'2026-11-22 03:12 Europe/Berlin'::timestamptz`.
//!
//! Invariant: a text is the first instant of the span that it names, as in PostgreSQL `'2026-11-22'` is that midnight; and
//! all texts of a question are read as of the same now.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::Error;
use crate::moment::Moment;

/// A plan whose texts are times where they have to be.
pub(crate) fn read_times(plan: LogicalPlan, now: i64) -> Result<LogicalPlan> {
    let read = plan.transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        let schema = if inputs.is_empty() { node.schema().as_ref().clone() } else { merge_schema(&inputs) };
        let names = NamePreserver::new(&node);
        let read = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let read = expr.transform_up(|expr| in_expression(expr, &schema, now))?;
            Ok(if read.transformed { read.update_data(|expr| name.restore(expr)) } else { read })
        })?;
        if read.transformed { read.map_data(LogicalPlan::recompute_schema) } else { Ok(read) }
    })?;
    Ok(read.data)
}

/// A text as an argument that is a time.
pub(crate) fn literal(text: &str, now: i64) -> Result<Moment> {
    Moment::parse_at(text, now).map_err(|error| datafusion::common::DataFusionError::External(Box::new(error)))
}

fn in_expression(expr: Expr, schema: &DFSchema, now: i64) -> Result<Transformed<Expr>> {
    let time = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| matches!(kind, DataType::Timestamp(..)));
    Ok(match expr {
        Expr::Cast(Cast { expr, field }) => {
            let new = match field.data_type() {
                DataType::Timestamp(..) => read(&expr, now)?,
                // A day as SQL writes it is read below, as fast.
                DataType::Date32 => day(&expr, now)?,
                _ => None,
            };
            match new {
                Some(new) => Transformed::yes(new),
                None => Transformed::no(Expr::Cast(Cast { expr, field })),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (new_left, new_right) = (
                if time(&right) { read(&left, now)? } else { None },
                if time(&left) { read(&right, now)? } else { None },
            );
            let changed = new_left.is_some() || new_right.is_some();
            let (left, right) = (new_left.map_or(left, Box::new), new_right.map_or(right, Box::new));
            changed_if(changed, Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high }) if time(&expr) => {
            let (new_low, new_high) = (read(&low, now)?, read(&high, now)?);
            let changed = new_low.is_some() || new_high.is_some();
            let (low, high) = (new_low.map_or(low, Box::new), new_high.map_or(high, Box::new));
            changed_if(changed, Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) if time(&expr) => {
            let mut changed = false;
            let list = list
                .into_iter()
                .map(|item| {
                    let new = read(&item, now)?;
                    changed |= new.is_some();
                    Ok(new.unwrap_or(item))
                })
                .collect::<Result<_>>()?;
            changed_if(changed, Expr::InList(InList { expr, list, negated }))
        }
        other => Transformed::no(other),
    })
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn changed_if(changed: bool, expr: Expr) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

fn read(expr: &Expr, now: i64) -> Result<Option<Expr>> {
    let Some(text) = text(expr) else { return Ok(None) };
    let at = literal(text, now)?.from;
    Ok(Some(Expr::Literal(ScalarValue::TimestampNanosecond(Some(at), Some("+00:00".into())), None)))
}

/// The day that is meant, where the engine does not know it.
fn day(expr: &Expr, now: i64) -> Result<Option<Expr>> {
    const DAY: i64 = 86_400_000_000_000;
    let Some(text) = text(expr).filter(|text| text.len() != 10) else { return Ok(None) };
    let at = literal(text, now)?.from;
    let days = i32::try_from(at.div_euclid(DAY)).map_err(|_| {
        datafusion::common::DataFusionError::External(Box::new(Error::Invalid(format!("'{text}' is no day"))))
    })?;
    Ok(Some(Expr::Literal(ScalarValue::Date32(Some(days)), None)))
}
