//! Operators that the parser binds otherwise than PostgreSQL does.
//!
//! Invariant: an expression without brackets is read as PostgreSQL reads it, or refused; with brackets it is always taken.
//! Source: the PostgreSQL manual, "Operator Precedence".

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use crate::Error;

/// Binds as strongly as `||`, `~`, `->` and whatever has no place of its own in PostgreSQL's table.
const OTHER: u8 = 4;

/// Below all others, as LIKE, BETWEEN and IN are.
const LIKE: u8 = 3;

/// Refuses what was bound otherwise.
pub(super) fn verify(expr: &Expr) -> Result<(), Error> {
    let fits = match expr {
        Expr::BinaryOp { left, op, right } => match of(op) {
            // From the left to the right where two are as strong.
            Some(strength) => of_expr(left) >= strength && of_expr(right) > strength && !takes(left, strength),
            None => true,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => {
            !matches!(&**expr, Expr::BinaryOp { .. })
        }
        Expr::UnaryOp { op, expr } if is_other(*op) => of_expr(expr) > OTHER,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let mut shown: String = expr.to_string().chars().take(80).collect();
    shown = shown.replace('\n', " ");
    Err(Error::Invalid(format!(
        "PostgreSQL binds the operators of {shown} otherwise than they are bound here: write brackets, as in (-2) ^ 2 or a ~ (b || c)"
    )))
}

/// How strongly an operator binds; `None` of those that are bound alike.
fn of(op: &BinaryOperator) -> Option<u8> {
    use BinaryOperator::{And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, PGExp, Plus, Xor};
    match op {
        And | Or | Xor => None,
        PGExp => Some(7),
        Multiply | Divide | Modulo => Some(6),
        Plus | Minus => Some(5),
        Eq | NotEq | Lt | LtEq | Gt | GtEq => Some(1),
        _ => Some(OTHER),
    }
}

/// How strongly what stands beside an operator holds together.
fn of_expr(expr: &Expr) -> u8 {
    match expr {
        Expr::BinaryOp { op, .. } => of(op).unwrap_or(0),
        Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. } => LIKE,
        _ => u8::MAX,
    }
}

/// `~5 + 3` is `~(5 + 3)`.
fn takes(left: &Expr, strength: u8) -> bool {
    matches!(left, Expr::UnaryOp { op, .. } if is_other(*op)) && strength > OTHER
}

fn is_other(op: UnaryOperator) -> bool {
    !matches!(op, UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn read(sql: &str) -> Result<(), Error> {
        let expr = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap();
        verify(&expr)
    }

    #[test]
    fn what_is_bound_otherwise_is_refused() {
        for sql in ["-2 ^ 2", "- a + b", "-2 ^ 3 ^ 2"] {
            // A minus before a sum belongs to its first part.
            assert_eq!(read(sql).is_err(), sql.contains('^'), "{sql}");
        }
        for sql in
            ["a ~ (b || c)", "(a || b) ~ c", "2 ^ 3 ^ 2", "a - b - c", "a + b * c = d", "a LIKE b || c", "x = -1"]
        {
            assert!(read(sql).is_ok(), "{sql}");
        }
    }
}
