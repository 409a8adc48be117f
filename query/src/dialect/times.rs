//! Texts that are meant as something else, as PostgreSQL reads them: bytes, lists, and above all times: `at > '10m ago'`, `TIMESTAMP '03:12Z'`, `'2026-11-22 03:12 Europe/Berlin'::timestamptz`.
//!
//! Invariant: a text is the first instant of the span that it names, as in PostgreSQL `'2026-11-22'` is that midnight; and
//! all texts of a question are read as of the same now.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Like, LogicalPlan, Operator, lit, not, when};

use super::{casts, numbers};
use crate::Error;
use crate::moment::Moment;

/// A plan whose texts are times where they have to be.
pub(crate) fn read_times(plan: LogicalPlan, now: i64) -> Result<LogicalPlan> {
    super::map_each_expression(plan, |expr, schema, inputs| match numbers::of_written(&expr, schema, inputs)? {
        Some(new) => Ok(Transformed::yes(new)),
        None => in_expression(expr, schema, now),
    })
}

/// A text as an argument that is a time.
pub(crate) fn literal(text: &str, now: i64) -> Result<Moment> {
    Moment::parse_at(text, now).map_err(|error| datafusion::common::DataFusionError::External(Box::new(error)))
}

fn in_expression(expr: Expr, schema: &DFSchema, now: i64) -> Result<Transformed<Expr>> {
    let kind = |expr: &Expr| expr.get_type(schema).ok().filter(is_read);
    let read = |text: &Expr, kind: Option<DataType>| kind.map_or(Ok(None), |kind| read(text, &kind, now));
    Ok(match expr {
        Expr::Cast(Cast { expr, field }) => {
            let new = match field.data_type() {
                // A day as SQL writes it is read below, as fast.
                DataType::Date32 => day(&expr, now)?,
                kind => read(&expr, Some(kind.clone()).filter(is_read))?,
            };
            match new {
                Some(new) => Transformed::yes(new),
                None => Transformed::no(Expr::Cast(Cast { expr, field })),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (new_left, new_right) = (read(&left, kind(&right))?, read(&right, kind(&left))?);
            let changed = new_left.is_some() || new_right.is_some();
            let (left, right) = (new_left.map_or(left, Box::new), new_right.map_or(right, Box::new));
            changed_if(changed, Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high }) if kind(&expr).is_some() => {
            let (new_low, new_high) = (read(&low, kind(&expr))?, read(&high, kind(&expr))?);
            let changed = new_low.is_some() || new_high.is_some();
            let (low, high) = (new_low.map_or(low, Box::new), new_high.map_or(high, Box::new));
            changed_if(changed, Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::Like(Like { expr, .. }) | Expr::SimilarTo(Like { expr, .. })
            if expr.get_type(schema).is_ok_and(|kind| kind.is_binary()) =>
        {
            return Err(super::functions::invalid(
                "bytes are not compared by LIKE here: write encode(bytes, 'hex') LIKE '%51%', or convert_from(bytes, 'UTF8')",
            ));
        }
        Expr::InList(InList { expr, list, negated }) if kind(&expr).is_some() => {
            let (kind, mut changed) = (kind(&expr), false);
            let list = list
                .into_iter()
                .map(|item| {
                    let new = read(&item, kind.clone())?;
                    changed |= new.is_some();
                    Ok(new.unwrap_or(item))
                })
                .collect::<Result<_>>()?;
            changed_if(changed, Expr::InList(InList { expr, list, negated }))
        }
        Expr::ScalarFunction(mut call) if ["concat", "concat_ws"].contains(&call.name()) => {
            let mut changed = false;
            for arg in &mut call.args {
                if arg.get_type(schema).is_ok_and(|kind| kind == DataType::Boolean) {
                    *arg = letter(arg)?;
                    changed = true;
                }
            }
            changed_if(changed, Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    })
}

/// A truth as those functions write it, unlike a cast.
fn letter(truth: &Expr) -> Result<Expr> {
    when(truth.clone(), lit("t")).when(not(truth.clone()), lit("f")).end()
}

fn compares(op: Operator) -> bool {
    use Operator::{ArrowAt, AtArrow, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | AtArrow | ArrowAt)
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

/// What a text means beside a value of such a type.
fn read(expr: &Expr, kind: &DataType, now: i64) -> Result<Option<Expr>> {
    let Some(text) = text(expr) else { return Ok(None) };
    let value = match kind {
        DataType::Duration(_) | DataType::Interval(_) => {
            let length = Box::new(Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None));
            return Ok(Some(Expr::Cast(Cast::new(length, DataType::Interval(IntervalUnit::MonthDayNano)))));
        }
        DataType::Binary => casts::bytes(text)?,
        DataType::List(_) => casts::list(text)?,
        _ => ScalarValue::TimestampNanosecond(Some(literal(text, now)?.from), Some("+00:00".into())),
    };
    Ok(Some(Expr::Literal(value, None)))
}

/// Types of which texts are read here: of lists those of texts.
fn is_read(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(..) | DataType::Duration(_) | DataType::Binary => true,
        DataType::List(item) => item.data_type().is_string(),
        _ => false,
    }
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
