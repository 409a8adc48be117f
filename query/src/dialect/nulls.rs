//! Nulls within rows and lists: what is compared with one is unknown in PostgreSQL, and false to the engine.

use datafusion::sql::sqlparser::ast::{Array, BinaryOperator, Expr, Function, FunctionArguments, UnaryOperator};

use super::rewrite::{arguments, binary};
use crate::Error;

/// The same comparison in terms of single values; `None` where there is no row or list in it.
pub(super) fn of_comparison(expr: &Expr) -> Result<Option<Expr>, Error> {
    use BinaryOperator::{And, Eq, Or};
    Ok(match expr {
        Expr::BinaryOp { left, op, right } => match (row(left), row(right)) {
            (Some(left), Some(right)) => compared(&left, op, &right)?,
            _ => None,
        },
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            let (Some(left), Some(right)) = (row(left), row(right)) else { return Ok(None) };
            verify_lengths(&left, &right)?;
            let differs = matches!(expr, Expr::IsDistinctFrom(..));
            let pair = |(left, right): (Expr, Expr)| match differs {
                true => Expr::IsDistinctFrom(nested(left), nested(right)),
                false => Expr::IsNotDistinctFrom(nested(left), nested(right)),
            };
            joined(left.into_iter().zip(right).map(pair), if differs { Or } else { And })
        }
        Expr::InList { expr, list, negated } => {
            let Some(wanted) = row(expr) else { return Ok(None) };
            let mut tests = Vec::new();
            for item in list {
                let Some(item) = row(item) else { return Ok(None) };
                tests.extend(compared(&wanted, &Eq, &item)?);
            }
            joined(tests.into_iter(), Or).map(|test| negated_if(*negated, test))
        }
        Expr::Between { expr, negated, low, high } => {
            let (Some(expr), Some(low), Some(high)) = (row(expr), row(low), row(high)) else { return Ok(None) };
            let low = compared(&expr, &BinaryOperator::GtEq, &low)?;
            let high = compared(&expr, &BinaryOperator::LtEq, &high)?;
            low.zip(high).map(|(low, high)| negated_if(*negated, binary(&low, And, &high)))
        }
        Expr::AnyOp { left, compare_op, right, .. } => match (&**right, negation(compare_op)) {
            (Expr::Subquery(_) | Expr::Value(_), _) | (_, None) => None,
            (Expr::Array(Array { elem, .. }), _)
                if *compare_op == Eq && !elem.is_empty() && !elem.iter().any(is_list) =>
            {
                Some(Expr::InList { expr: left.clone(), list: elem.clone(), negated: false })
            }
            // The engine minds nulls there.
            (_, Some(compare_op)) => {
                let all = Expr::AllOp { left: left.clone(), compare_op, right: right.clone() };
                Some(negated_if(true, Expr::Nested(Box::new(all))))
            }
        },
        _ => None,
    })
}

fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Option<Expr>, Error> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if !matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq) {
        return Ok(None);
    }
    verify_lengths(left, right)?;
    let pairs = || left.iter().zip(right);
    Ok(match op {
        Eq => joined(pairs().map(|(left, right)| binary(left, Eq, right)), And),
        NotEq => joined(pairs().map(|(left, right)| binary(left, NotEq, right)), Or),
        // The first that differ decide.
        _ => {
            let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
            let mut from_behind = pairs().rev();
            let last = from_behind.next().map(|(left, right)| binary(left, op.clone(), right));
            last.map(|last| {
                from_behind.fold(last, |rest, (left, right)| {
                    let equal = binary(&binary(left, Eq, right), And, &rest);
                    binary(&binary(left, strict.clone(), right), Or, &equal)
                })
            })
        }
    })
}

fn verify_lengths(left: &[Expr], right: &[Expr]) -> Result<(), Error> {
    match left.len() == right.len() {
        true => Ok(()),
        false => Err(Error::Invalid("rows that are compared have as many values".to_owned())),
    }
}

fn joined(tests: impl Iterator<Item = Expr>, op: BinaryOperator) -> Option<Expr> {
    tests.reduce(|all, test| binary(&all, op.clone(), &test))
}

fn negated_if(negated: bool, test: Expr) -> Expr {
    match negated {
        true => Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) })),
        false => test,
    }
}

fn negation(op: &BinaryOperator) -> Option<BinaryOperator> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    Some(match op {
        Eq => NotEq,
        NotEq => Eq,
        Lt => GtEq,
        LtEq => Gt,
        Gt => LtEq,
        GtEq => Lt,
        _ => return None,
    })
}

/// The values of `(a, b)` or `ROW(a, b)`.
pub(super) fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Function(function @ Function { args: FunctionArguments::List(_), .. })
            if function.name.to_string().eq_ignore_ascii_case("row") =>
        {
            Some(arguments(function))
        }
        Expr::Nested(inner) => row(inner),
        _ => None,
    }
}

fn is_list(expr: &Expr) -> bool {
    matches!(expr, Expr::Array(_))
}

fn nested(expr: Expr) -> Box<Expr> {
    Box::new(Expr::Nested(Box::new(expr)))
}
