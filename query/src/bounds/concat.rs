//! `||` of texts as a function, so that it is bounded as `concat` is. Unlike `concat`, it is NULL where one of them is.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Two texts as one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concat {
    signature: Signature,
}

impl Default for Concat {
    fn default() -> Concat {
        Concat { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let parts: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(parts.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; arg_types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = &arrays[..] else {
            return datafusion::common::exec_err!("|| joins two texts");
        };
        let both = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&both, 0)?),
            false => ColumnarValue::Array(Arc::new(both)),
        })
    }
}

/// Reads `||` of texts as the function.
#[derive(Debug)]
pub(super) struct Planner(pub(super) Arc<ScalarUDF>);

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let kind = |side: &Expr| side.get_type(schema).unwrap_or(DataType::Null);
        let (left, right) = (kind(&expr.left), kind(&expr.right));
        let is_text = |kind: &DataType| kind.is_string();
        let other = |kind: &DataType| kind.is_nested() || kind.is_binary();
        if expr.op != BinaryOperator::StringConcat
            || other(&left)
            || other(&right)
            || !(is_text(&left) || is_text(&right))
        {
            return Ok(PlannerResult::Original(expr));
        }
        let joined = ScalarFunction::new_udf(Arc::clone(&self.0), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(joined)))
    }
}
