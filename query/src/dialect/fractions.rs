//! Parts of times that have a fraction: the engine tells them as whole numbers, but for microseconds.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DateTimeField, Expr};

use super::rewrite::{binary, is_text, number};

/// Microseconds as what so many of them are, with their fraction.
pub(super) fn of_microseconds(microseconds: &Expr, of_one: &str) -> Expr {
    binary(microseconds, BinaryOperator::Divide, &number(of_one))
}

/// How many microseconds are in one of that part of a time, where the part has a fraction.
pub(super) fn of_field(field: &DateTimeField) -> Option<&'static str> {
    match field {
        DateTimeField::Second | DateTimeField::Seconds => Some("1000000.0"),
        DateTimeField::Millisecond | DateTimeField::Milliseconds => Some("1000.0"),
        _ => None,
    }
}

/// Likewise of a part that is given as a text.
pub(super) fn of_part(part: &Expr) -> Option<&'static str> {
    let is_one_of = |names: [&str; 2]| names.iter().any(|name| is_text(part, name));
    if is_one_of(["second", "seconds"]) {
        return of_field(&DateTimeField::Second);
    }
    is_one_of(["millisecond", "milliseconds"]).then(|| of_field(&DateTimeField::Millisecond)).flatten()
}
