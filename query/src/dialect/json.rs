//! `->`, `->>`, `#>` and `#>>` on texts that are JSON, such as `statements.parameters`; and `json_array_length`, `json_typeof`.
//!
//! As in PostgreSQL: `->` gives JSON, `->>` gives text; a member or an item that is not there is NULL, and the items of a
//! list count from 0, from its end where negative.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use serde_json::Value;

use crate::Error;

/// What is wanted of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    Json,
    Text,
    JsonAtPath,
    TextAtPath,
    ArrayLength,
    Type,
}

/// Takes something out of JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Get {
    wanted: Wanted,
    signature: Signature,
}

impl Get {
    pub(super) fn new(wanted: Wanted) -> Get {
        Get { wanted, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn of(&self, json: &str, key: Option<Key<'_>>) -> Result<Option<Value>> {
        let json: Value = serde_json::from_str(json).map_err(|error| {
            let shown: String = json.chars().take(40).collect();
            DataFusionError::External(Box::new(Error::Invalid(format!("'{shown}' is not JSON: {error}"))))
        })?;
        Ok(match (self.wanted, key) {
            (Wanted::Json | Wanted::Text, Some(key)) => step(&json, &key).cloned(),
            (Wanted::JsonAtPath | Wanted::TextAtPath, Some(Key::Name(path))) => along(&json, path).cloned(),
            (Wanted::ArrayLength, _) => match &json {
                Value::Array(items) => Some(items.len().into()),
                _ => {
                    let wrong = Error::Invalid("json_array_length is asked of JSON that is no list".to_owned());
                    return Err(DataFusionError::External(Box::new(wrong)));
                }
            },
            (Wanted::Type, _) => Some(Value::from(match json {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            })),
            _ => None,
        })
    }
}

/// A member or an item.
#[derive(Clone, Copy)]
enum Key<'a> {
    Name(&'a str),
    Place(i64),
}

fn step<'a>(json: &'a Value, key: &Key<'_>) -> Option<&'a Value> {
    match (json, key) {
        (Value::Object(members), Key::Name(name)) => members.get(*name),
        (Value::Array(items), Key::Place(place)) => {
            let length = i64::try_from(items.len()).ok()?;
            let place = if *place < 0 { place.checked_add(length)? } else { *place };
            items.get(usize::try_from(place).ok()?)
        }
        _ => None,
    }
}

/// A path as PostgreSQL writes a list of texts: `{0,hex}`.
fn along<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.trim().strip_prefix('{')?.strip_suffix('}')?;
    path.split(',').map(|key| key.trim().trim_matches('"')).filter(|key| !key.is_empty()).try_fold(json, |json, key| {
        match json {
            Value::Array(_) => step(json, &Key::Place(key.parse().ok()?)),
            _ => step(json, &Key::Name(key)),
        }
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

impl ScalarUDFImpl for Get {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Json => "->",
            Wanted::Text => "->>",
            Wanted::JsonAtPath => "#>",
            Wanted::TextAtPath => "#>>",
            Wanted::ArrayLength => "json_array_length",
            Wanted::Type => "json_typeof",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let by_place = |kind: &DataType| kind.is_integer() && matches!(self.wanted, Wanted::Json | Wanted::Text);
        let wanted = match self.wanted {
            Wanted::ArrayLength | Wanted::Type => 1,
            _ => 2,
        };
        if arg_types.len() != wanted {
            let wrong = Error::Invalid(format!("{} takes {wanted} arguments", self.name()));
            return Err(DataFusionError::External(Box::new(wrong)));
        }
        let kinds = arg_types.iter().enumerate();
        Ok(kinds.map(|(at, kind)| if at == 1 && by_place(kind) { DataType::Int64 } else { DataType::Utf8 }).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.wanted == Wanted::ArrayLength { DataType::Int64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let json = arrays[0].as_string::<i32>();
        let key = |row: usize| {
            let keys = arrays.get(1).filter(|keys| !keys.is_null(row))?;
            Some(match keys.data_type() {
                DataType::Int64 => Key::Place(keys.as_primitive::<Int64Type>().value(row)),
                _ => Key::Name(keys.as_string::<i32>().value(row)),
            })
        };
        let values =
            (0..json.len()).map(|row| if json.is_null(row) { Ok(None) } else { self.of(json.value(row), key(row)) });
        let values: Vec<Option<Value>> = values.collect::<Result<_>>()?;
        let found: ArrayRef = match self.wanted {
            Wanted::ArrayLength => {
                Arc::new(values.into_iter().map(|value| value.as_ref().and_then(Value::as_i64)).collect::<Int64Array>())
            }
            Wanted::Json | Wanted::JsonAtPath => {
                Arc::new(values.into_iter().map(|value| value.map(|json| json.to_string())).collect::<StringArray>())
            }
            _ => Arc::new(values.into_iter().map(|value| value.and_then(text)).collect::<StringArray>()),
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// Reads the operators as functions.
#[derive(Debug)]
pub(super) struct Planner {
    operators: Vec<(BinaryOperator, Arc<ScalarUDF>)>,
}

impl Default for Planner {
    fn default() -> Planner {
        let operators = [
            (BinaryOperator::Arrow, Wanted::Json),
            (BinaryOperator::LongArrow, Wanted::Text),
            (BinaryOperator::HashArrow, Wanted::JsonAtPath),
            (BinaryOperator::HashLongArrow, Wanted::TextAtPath),
        ];
        let function = |(op, wanted)| (op, Arc::new(ScalarUDF::new_from_impl(Get::new(wanted))));
        Planner { operators: operators.into_iter().map(function).collect() }
    }
}

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some((_, function)) = self.operators.iter().find(|(op, _)| *op == expr.op) else {
            return Ok(PlannerResult::Original(expr));
        };
        let call = ScalarFunction::new_udf(Arc::clone(function), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
