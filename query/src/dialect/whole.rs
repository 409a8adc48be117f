//! Whole numbers that do not fit: a sum, a difference or a product that has more than its type's bits is an error, as in
//! PostgreSQL; the engine would begin again at the other end.

use arrow::array::ArrayRef;
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::physical_expr_common::datum::apply;

use super::functions::invalid;

pub(super) const OUT_OF_RANGE: &str = "a whole number is out of range: write x::float8 or x::numeric for larger ones";

/// The same arithmetic, looked at: `left` and `right` are whole numbers of one type.
pub(super) fn arithmetic(left: &Expr, op: Operator, right: &Expr) -> Expr {
    ScalarUDF::new_from_impl(Arithmetic::new(op)).call(vec![left.clone(), right.clone()])
}

/// `-x` of a whole number.
pub(super) fn negative(number: &Expr, kind: &DataType) -> Expr {
    let zero = Expr::Cast(datafusion::logical_expr::expr::Cast::new(Box::new(lit(0_i64)), kind.clone()));
    arithmetic(&zero, Operator::Minus, number)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    op: Operator,
    signature: Signature,
}

impl Arithmetic {
    fn new(op: Operator) -> Arithmetic {
        Arithmetic { op, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &'static str {
        match self.op {
            Operator::Plus => "plus",
            Operator::Minus => "minus",
            _ => "times",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return Err(invalid("two numbers are computed with")) };
        let computed = match self.op {
            Operator::Plus => apply(left, right, add),
            Operator::Minus => apply(left, right, sub),
            _ => apply(left, right, mul),
        };
        computed.map_err(|error| match error.find_root() {
            DataFusionError::ArrowError(inner, _) if matches!(**inner, ArrowError::ArithmeticOverflow(_)) => {
                invalid(OUT_OF_RANGE)
            }
            _ => error,
        })
    }
}

/// Sums as 64 bits have them.
pub(super) fn narrowed(sums: &ArrayRef) -> Result<ArrayRef> {
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(sums, &DataType::Int64, &strict).map_err(|_| invalid(OUT_OF_RANGE))
}
