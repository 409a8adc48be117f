//! Arithmetic where PostgreSQL has another type of number than the engine, and lengths of time that are compared.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Cast, InList};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::functions::{invalid, result};

/// Functions whose result has a fraction in PostgreSQL, be it 0, and is a whole number here.
const WITH_FRACTION: [&str; 10] =
    ["date_part", "round", "trunc", "ceil", "floor", "power", "signum", "sqrt", "avg", "exp"];

/// Functions whose result is of the type of their arguments in PostgreSQL, too.
const PASSING: [&str; 6] = ["coalesce", "nvl", "nullif", "greatest", "least", "abs"];

/// Likewise, of the first of them, which is one of the rows'.
const PASSING_OF_ROWS: [&str; 7] = ["min", "max", "first_value", "last_value", "nth_value", "lag", "lead"];

/// Aggregates that compare their arguments.
const COMPARING: [&str; 6] = ["min", "max", "median", "percentile_cont", "array_agg", "count"];

/// An expression whose types are known, as PostgreSQL computes it; `None` where the engine does so.
pub(super) fn of(expr: &Expr, schema: &DFSchema, inputs: &[LogicalPlan]) -> Result<Option<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                // The right one first: of a long chain it is the short one.
                let (Some(to), Some(from)) = (narrow(right, schema), narrow(left, schema)) else { return Ok(None) };
                if holds(expr, inputs, has_fraction) {
                    return Ok(None);
                }
                let wide = BinaryExpr::new(Box::new(int64(left)), *op, Box::new(int64(right)));
                let kind = if from == DataType::Int32 || to == DataType::Int32 { DataType::Int32 } else { from };
                Ok(Some(Expr::Cast(Cast::new(Box::new(Expr::BinaryExpr(wide)), kind))))
            }
            op if compares(*op) && (is_interval_of(left, schema) || is_interval_of(right, schema)) => {
                Ok(lengths([left, right], schema)
                    .map(|[left, right]| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right)))))
            }
            _ => Ok(None),
        },
        Expr::Between(Between { expr, negated, low, high })
            if [expr, low, high].iter().any(|part| part.get_type(schema).is_ok_and(|kind| is_interval(&kind))) =>
        {
            Ok(lengths([expr, low, high], schema).map(|[expr, low, high]| {
                Expr::Between(Between::new(Box::new(expr), *negated, Box::new(low), Box::new(high)))
            }))
        }
        Expr::InList(InList { expr, list, negated })
            if list.iter().chain([&**expr]).any(|part| part.get_type(schema).is_ok_and(|kind| is_interval(&kind))) =>
        {
            let Some([inner]) = lengths([expr], schema) else { return Ok(None) };
            let list: Option<Vec<Expr>> = list.iter().map(|item| length(item, schema)).collect();
            Ok(list.map(|list| Expr::InList(InList::new(Box::new(inner), list, *negated))))
        }
        Expr::AggregateFunction(call) if COMPARING.contains(&call.func.name()) => {
            let compares = call.func.name() != "count" && call.func.name() != "array_agg" || call.params.distinct;
            refused(compares && call.params.args.iter().any(|arg| is_interval_of(arg, schema)))
        }
        Expr::ScalarFunction(call) if ["greatest", "least"].contains(&call.name()) => {
            refused(call.args.iter().any(|arg| is_interval_of(arg, schema)))
        }
        Expr::WindowFunction(call) => refused(
            call.params
                .order_by
                .iter()
                .map(|sort| &sort.expr)
                .chain(&call.params.partition_by)
                .any(|expr| is_interval_of(expr, schema)),
        ),
        _ => Ok(None),
    }
}

/// Likewise, before the engine puts its casts in: those that are there then were written.
pub(super) fn of_written(expr: &Expr, schema: &DFSchema, inputs: &[LogicalPlan]) -> Result<Option<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Ok(None) };
    let is_day = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind == DataType::Date32);
    let is_whole = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind.is_integer());
    match op {
        Operator::Divide if is_whole(right) && is_whole(left) => divided(left, right, inputs),
        // A day and an interval are a time.
        Operator::Plus | Operator::Minus if is_interval_of(right, schema) && is_day(left) => {
            Ok(Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(midnight(left)), *op, right.clone()))))
        }
        Operator::Plus if is_day(right) && is_interval_of(left, schema) => {
            Ok(Some(Expr::BinaryExpr(BinaryExpr::new(left.clone(), *op, Box::new(midnight(right))))))
        }
        _ => Ok(None),
    }
}

fn midnight(day: &Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(day.clone()), DataType::Timestamp(TimeUnit::Nanosecond, None)))
}

/// Refuses plans that group by intervals; what an order is by becomes its length.
pub(super) fn of_node(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Sort(mut sort) => {
            let schema = Arc::clone(sort.input.schema());
            for key in &mut sort.expr {
                if is_interval_of(&key.expr, &schema)
                    && let Some(length) = length(&key.expr, &schema)
                {
                    key.expr = length;
                }
            }
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Aggregate(aggregate) => {
            refused(aggregate.group_expr.iter().any(|expr| is_interval_of(expr, aggregate.input.schema())))?;
            Ok(LogicalPlan::Aggregate(aggregate))
        }
        LogicalPlan::Distinct(distinct) => {
            let schema = distinct.input().schema();
            refused(schema.fields().iter().any(|field| is_interval(field.data_type())))?;
            Ok(LogicalPlan::Distinct(distinct))
        }
        other => Ok(other),
    }
}

fn refused(refused: bool) -> Result<Option<Expr>> {
    match refused {
        true => Err(invalid(
            "intervals are not grouped here, nor the least or the greatest found: take differences of times, as in \
             max(closed_at - opened_at), or extract(epoch FROM ...)",
        )),
        false => Ok(None),
    }
}

fn divided(left: &Expr, right: &Expr, inputs: &[LogicalPlan]) -> Result<Option<Expr>> {
    if holds(left, inputs, is_sum) || holds(right, inputs, is_sum) {
        return Err(invalid(
            "a sum of whole numbers has a fraction when it is divided in PostgreSQL, and none here: write \
             sum(x)::float8 / n, or sum(x)::bigint / n for a whole number",
        ));
    }
    if !holds(left, inputs, has_fraction) && !holds(right, inputs, has_fraction) {
        return Ok(None);
    }
    let float = |expr: &Expr| Box::new(Expr::Cast(Cast::new(Box::new(expr.clone()), DataType::Float64)));
    Ok(Some(Expr::BinaryExpr(BinaryExpr::new(float(left), Operator::Divide, float(right)))))
}

/// Whether such a part is in it that nobody cast.
fn holds(expr: &Expr, inputs: &[LogicalPlan], part: Part) -> bool {
    match expr {
        _ if part(expr) => true,
        Expr::Column(column) => inputs.iter().any(|input| {
            input.schema().maybe_index_of_column(column).is_some_and(|place| comes_from(input, place, part))
        }),
        Expr::Alias(alias) => holds(&alias.expr, inputs, part),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) => {
            holds(left, inputs, part) || holds(right, inputs, part)
        }
        Expr::Negative(inner) => holds(inner, inputs, part),
        Expr::ScalarFunction(call) if PASSING.contains(&call.name()) => {
            call.args.iter().any(|arg| holds(arg, inputs, part))
        }
        Expr::AggregateFunction(call) if PASSING_OF_ROWS.contains(&call.func.name()) => {
            call.params.args.first().is_some_and(|arg| holds(arg, inputs, part))
        }
        Expr::WindowFunction(call) if PASSING_OF_ROWS.contains(&call.fun.name()) => {
            call.params.args.first().is_some_and(|arg| holds(arg, inputs, part))
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            results.into_iter().any(|result| holds(result, inputs, part))
        }
        Expr::ScalarSubquery(query) => comes_from(&query.subquery, 0, part),
        _ => false,
    }
}

/// Whether a plan's column comes from such a part, whatever it is called by now.
fn comes_from(plan: &LogicalPlan, place: usize, part: Part) -> bool {
    let inputs = || plan.inputs().into_iter().cloned().collect::<Vec<_>>();
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.get(place).is_some_and(|expr| holds(expr, &inputs(), part))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
            match place.checked_sub(groups) {
                Some(place) => aggregate.aggr_expr.get(place).is_some_and(|expr| holds(expr, &inputs(), part)),
                None => aggregate.group_expr.get(place).is_some_and(|expr| holds(expr, &inputs(), part)),
            }
        }
        LogicalPlan::Window(window) => {
            let columns = window.input.schema().fields().len();
            match place.checked_sub(columns) {
                Some(place) => window.window_expr.get(place).is_some_and(|expr| holds(expr, &inputs(), part)),
                None => comes_from(&window.input, place, part),
            }
        }
        LogicalPlan::Join(join) if join.left.schema().fields().len() <= place => {
            comes_from(&join.right, place - join.left.schema().fields().len(), part)
        }
        LogicalPlan::Join(join) => comes_from(&join.left, place, part),
        LogicalPlan::SubqueryAlias(alias) => comes_from(&alias.input, place, part),
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| comes_from(input, place, part)),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_) => plan.inputs().first().is_some_and(|input| comes_from(input, place, part)),
        _ => false,
    }
}

type Part = fn(&Expr) -> bool;

fn is_sum(expr: &Expr) -> bool {
    match expr {
        Expr::AggregateFunction(call) => call.func.name() == "sum",
        Expr::WindowFunction(call) => call.fun.name() == "sum",
        _ => false,
    }
}

fn has_fraction(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if WITH_FRACTION.contains(&call.name()))
}

fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

fn narrow(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    let kind = expr.get_type(schema).ok()?;
    matches!(kind, DataType::Int8 | DataType::Int16 | DataType::Int32).then_some(kind)
}

fn int64(expr: &Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr.clone()), DataType::Int64))
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_interval(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_))
}

fn is_interval_of(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|kind| is_interval(&kind))
}

fn lengths<const N: usize>(parts: [&Expr; N], schema: &DFSchema) -> Option<[Expr; N]> {
    let lengths: Option<Vec<Expr>> = parts.into_iter().map(|part| length(part, schema)).collect();
    lengths?.try_into().ok()
}

/// A length of time as nanoseconds.
fn length(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr.get_type(schema).ok()? {
        DataType::Duration(_) | DataType::Interval(_) => {}
        _ => return None,
    }
    let length = ScalarUDF::new_from_impl(Length::default());
    Some(length.call(vec![expr.clone()]))
}

/// How long an interval is where it is compared, in PostgreSQL's way: a month has 30 days, a day 24 hours.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl Default for Length {
    fn default() -> Length {
        Length { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &'static str {
        "length_of_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let values = &arrays[0];
        let all: Int64Array = match values.data_type() {
            DataType::Interval(_) => {
                let values = arrow::compute::cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
                let values = values.as_primitive::<IntervalMonthDayNanoType>();
                let length = |row: usize| -> Result<Option<i64>> {
                    if values.is_null(row) {
                        return Ok(None);
                    }
                    let value = values.value(row);
                    nanoseconds(value.months, value.days, value.nanoseconds).map(Some)
                };
                (0..values.len()).map(length).collect::<Result<_>>()?
            }
            _ => {
                let values = arrow::compute::cast(values, &DataType::Duration(TimeUnit::Nanosecond))?;
                arrow::compute::cast(&values, &DataType::Int64)?.as_primitive::<Int64Type>().clone()
            }
        };
        result(&args, Arc::new(all))
    }
}

fn nanoseconds(months: i32, days: i32, nanoseconds: i64) -> Result<i64> {
    const DAY: i128 = 86_400_000_000_000;
    let length = (i128::from(months) * 30 + i128::from(days)) * DAY + i128::from(nanoseconds);
    i64::try_from(length).map_err(|_| invalid("an interval that is compared has at most 292 years here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_30_days_and_a_day_24_hours() {
        assert_eq!(nanoseconds(1, 0, 0).unwrap(), nanoseconds(0, 30, 0).unwrap());
        assert_eq!(nanoseconds(0, 1, 0).unwrap(), nanoseconds(0, 0, 86_400_000_000_000).unwrap());
        assert!(nanoseconds(0, -1, 0).unwrap() < nanoseconds(0, 0, -1).unwrap());
        assert!(nanoseconds(12 * 300, 0, 0).is_err());
    }
}
