//! Values as other types, where PostgreSQL makes another value of them than the engine: times, lengths of time and bytes as
//! texts, numbers with a fraction as whole numbers.
//!
//! Invariant: it is the same whether the cast was written or the engine put it there.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::functions::{invalid, result};
use super::{intervals, numbers};
use crate::format::value::value;

/// Puts PostgreSQL's casts in the place of the engine's.
#[derive(Debug, Default)]
pub(crate) struct Casts;

impl AnalyzerRule for Casts {
    fn name(&self) -> &'static str {
        "postgresql_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let text = Arc::new(ScalarUDF::new_from_impl(AsText::default()));
        let read =
            super::map_each_expression(plan, |expr, schema, inputs| match numbers::of(&expr, schema, inputs)? {
                Some(new) => Ok(Transformed::yes(new)),
                None => cast(expr, schema, &text),
            })?;
        let read = read.transform_up_with_subqueries(|node| numbers::of_node(node).map(Transformed::yes))?;
        Ok(read.data)
    }
}

fn cast(expr: Expr, schema: &DFSchema, text: &Arc<ScalarUDF>) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::Cast(Cast { expr: inner, field }) => {
            let Ok(from) = inner.get_type(schema) else { return Ok(Transformed::no(expr)) };
            match (&from, field.data_type()) {
                (
                    DataType::Timestamp(..) | DataType::Duration(_) | DataType::Interval(_) | DataType::Binary,
                    to @ (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
                ) => {
                    let shown =
                        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(text), vec![(**inner).clone()]));
                    Ok(Transformed::yes(match to {
                        DataType::Utf8 => shown,
                        _ => Expr::Cast(Cast { expr: Box::new(shown), field: Arc::clone(field) }),
                    }))
                }
                (
                    DataType::List(_) | DataType::LargeList(_),
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
                ) => Err(invalid("lists are not written as text here: write array_to_string(list, ',')")),
                (from, to) if has_fraction(from) && to.is_integer() => {
                    let rounded = Box::new(round(vec![(**inner).clone()]));
                    Ok(Transformed::yes(Expr::Cast(Cast { expr: rounded, field: Arc::clone(field) })))
                }
                _ => Ok(Transformed::no(expr)),
            }
        }
        Expr::ScalarFunction(function) if function.name() == "date_part" => match function.args.as_slice() {
            [Expr::Literal(part, _), length]
                if matches!(length.get_type(schema), Ok(DataType::Duration(TimeUnit::Nanosecond))) =>
            {
                let part = part.try_as_str().flatten().unwrap_or_default().to_ascii_lowercase();
                Ok(of_length(&part, length).map_or_else(|| Transformed::no(expr.clone()), Transformed::yes))
            }
            [Expr::Literal(part, _), length] if matches!(length.get_type(schema), Ok(DataType::Interval(_))) => {
                let part = part.try_as_str().flatten().unwrap_or_default().to_ascii_lowercase();
                Ok(intervals::part(&part, length).map_or_else(|| Transformed::no(expr.clone()), Transformed::yes))
            }
            _ => Ok(Transformed::no(expr)),
        },
        _ => Ok(Transformed::no(expr)),
    }
}

fn has_fraction(kind: &DataType) -> bool {
    kind.is_floating()
        || matches!(
            kind,
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
        )
}

/// A part of a length of time: what days leave of hours, and so on. The engine tells how many there are in all of it.
fn of_length(part: &str, length: &Expr) -> Option<Expr> {
    const SECOND: i64 = 1_000_000_000;
    let to = |expr: Expr, kind| Expr::Cast(Cast::new(Box::new(expr), kind));
    let (unit, most) = match part.trim_end_matches('s') {
        "epoch" => return Some(to(to(length.clone(), DataType::Int64), DataType::Float64) / lit(1e9)),
        "day" => (24 * 3600 * SECOND, i64::MAX),
        "hour" => (3600 * SECOND, 24),
        "minute" => (60 * SECOND, 60),
        "microsecond" => (1_000, 60_000_000),
        _ => return None,
    };
    Some(to(to(length.clone(), DataType::Int64) / lit(unit) % lit(most), DataType::Int32))
}

/// A value as PostgreSQL writes it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AsText {
    signature: Signature,
}

impl Default for AsText {
    fn default() -> AsText {
        AsText { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AsText {
    fn name(&self) -> &'static str {
        "text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let values: &ArrayRef = &arrays[0];
        let is_time = matches!(values.data_type(), DataType::Timestamp(..));
        let text = |row: usize| match value(values.as_ref(), row) {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) if is_time => Some(time(&text)),
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let all: StringArray = (0..values.len()).map(text).collect();
        result(&args, Arc::new(all))
    }
}

/// `2026-11-22 03:12:07.5+00`. What is in another zone by AT TIME ZONE has none in PostgreSQL.
fn time(rfc3339: &str) -> String {
    let Some((date, rest)) = rfc3339.split_once('T') else { return rfc3339.to_owned() };
    let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let clock = if clock.contains('.') { clock.trim_end_matches('0').trim_end_matches('.') } else { clock };
    format!("{date} {clock}{}", if zone == "Z" { "+00" } else { "" })
}

/// Bytes as PostgreSQL reads them from a text: `\x` and hex, or the text itself with `\\` and `\ooo`.
pub(super) fn bytes(text: &str) -> Result<ScalarValue> {
    let wrong = || {
        invalid(format!(
            "'{}' does not read as bytes; write '\\x' and hex digits",
            text.chars().take(64).collect::<String>()
        ))
    };
    let digit = |byte: u8, radix: u32| char::from(byte).to_digit(radix).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::new();
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        for pair in digits.chunks(2) {
            let [high, low] = *pair else { return Err(wrong()) };
            out.push(digit(high, 16).zip(digit(low, 16)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?);
        }
        return Ok(ScalarValue::Binary(Some(out)));
    }
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                out.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                rest = after;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(ScalarValue::Binary(Some(out)))
}

/// A list of texts as PostgreSQL reads it: `{a,"b c",NULL}`.
pub(super) fn list(text: &str) -> Result<ScalarValue> {
    let wrong = || {
        invalid(format!(
            "'{}' does not read as a list; write '{{a,b}}' or ARRAY['a', 'b']",
            text.chars().take(64).collect::<String>()
        ))
    };
    let inner = text.trim().strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).ok_or_else(wrong)?;
    let mut items = Vec::new();
    let mut characters = inner.chars().peekable();
    while characters.peek().is_some() {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        let quoted = characters.next_if_eq(&'"').is_some();
        loop {
            match characters.next() {
                Some('\\') => item.push(characters.next().ok_or_else(wrong)?),
                Some('"') if quoted => break,
                Some(',') if !quoted => break,
                Some('{' | '}' | '"') if !quoted => return Err(wrong()),
                Some(other) => item.push(other),
                None if quoted => return Err(wrong()),
                None => break,
            }
        }
        if quoted {
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
            if !matches!(characters.next(), Some(',') | None) {
                return Err(wrong());
            }
        }
        let item = if quoted { item } else { item.trim_end().to_owned() };
        if !quoted && item.is_empty() {
            return Err(wrong());
        }
        let is_null = !quoted && item.eq_ignore_ascii_case("null");
        items.push(ScalarValue::Utf8((!is_null).then_some(item)));
    }
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_postgresql_does() {
        for (given, expected) in [
            ("2026-11-22T03:12:07.500000000Z", "2026-11-22 03:12:07.5+00"),
            ("2026-11-22T03:12:00.000000000Z", "2026-11-22 03:12:00+00"),
            ("2026-11-22T04:12:00.000000000+01:00", "2026-11-22 04:12:00"),
        ] {
            assert_eq!(time(given), expected);
        }
    }

    #[test]
    fn bytes_and_lists_are_read_as_postgresql_does() {
        let of = |text: &str| bytes(text).ok().map(|value| value.to_string());
        let is = |wanted: &[u8]| Some(ScalarValue::Binary(Some(wanted.to_vec())).to_string());
        assert_eq!((of("\\x4a 4B"), of("a\\\\\\001"), of("")), (is(b"JK"), is(b"a\\\x01"), is(b"")));
        assert_eq!((of("\\x4"), of("\\xzz"), of("a\\b")), (None, None, None));
        let items = |text: &str| list(text).ok().map(|value| value.to_string());
        assert_eq!(items("{a, \"b,\\\" c\",NULL}").as_deref(), Some("[a, b,\" c, ]"));
        assert_eq!(
            (items("{}").as_deref(), items("{a,,b}"), items("{{a}}"), items("a")),
            (Some("[]"), None, None, None)
        );
    }
}
