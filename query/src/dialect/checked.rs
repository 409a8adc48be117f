//! Functions that are called only with what PostgreSQL takes: elsewhere the engine has NaN, infinity or the last time that
//! it can hold. And `round(number, digits)`, which rounds what is written, not what is nearest to it in binary.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, TimestampNanosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::functions::{invalid, result};

/// The functions whose results are looked at.
pub(super) const CHECKED: [&str; 12] =
    ["acos", "acosh", "asin", "atanh", "exp", "ln", "log", "log10", "log2", "power", "round", "to_timestamp"];

/// A function, checked. Its own simplifications are not passed on: they would put the other one in its place.
#[derive(Debug)]
pub(super) struct Checked(pub(super) Arc<ScalarUDF>);

impl PartialEq for Checked {
    fn eq(&self, other: &Checked) -> bool {
        self.0 == other.0
    }
}

impl Eq for Checked {}

impl Hash for Checked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ScalarUDFImpl for Checked {
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.name(), args.args.as_slice()) {
            ("round", [number, _]) if number.data_type() == DataType::Float64 => return rounded(&args),
            ("round", _) => return self.0.invoke_with_args(args),
            ("to_timestamp", [seconds, ..]) if seconds.data_type().is_numeric() => {
                let seconds = seconds.to_array(args.number_rows)?;
                let seconds = cast(&seconds, &DataType::Float64)?;
                let fits = |seconds: f64| seconds.is_finite() && seconds.abs() < MOST_SECONDS;
                if !seconds.as_primitive::<Float64Type>().iter().flatten().all(fits) {
                    return Err(invalid("times are from 1677-09-21 to 2262-04-11: to_timestamp is out of range"));
                }
                // A fraction is one of microseconds: what is nearest to it in binary has others behind.
                #[expect(clippy::cast_possible_truncation, reason = "what does not fit was refused above")]
                let at = |seconds: f64| (seconds * 1e6).round() as i64 * 1000;
                let all: TimestampNanosecondArray =
                    seconds.as_primitive::<Float64Type>().iter().map(|seconds| seconds.map(at)).collect();
                let made = cast(&all, args.return_field.data_type())?;
                return result(&args, made);
            }
            ("to_timestamp", _) => return self.0.invoke_with_args(args),
            _ => {}
        }
        let given = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let made = self.0.invoke_with_args(args)?;
        let floats = |array: &ArrayRef| cast(array, &DataType::Float64);
        let given = given.iter().map(floats).collect::<std::result::Result<Vec<_>, _>>()?;
        let out = floats(&made.to_array(given.first().map_or(1, |array| array.len()))?)?;
        let out = out.as_primitive::<Float64Type>();
        let finite = |row: usize| {
            given.iter().all(|array| {
                let array = array.as_primitive::<Float64Type>();
                array.is_valid(row) && array.value(row).is_finite()
            })
        };
        match (0..out.len()).find(|row| out.is_valid(*row) && !out.value(*row).is_finite() && finite(*row)) {
            Some(row) => {
                let of: Vec<String> =
                    given.iter().map(|array| array.as_primitive::<Float64Type>().value(row).to_string()).collect();
                Err(invalid(format!("{}({}) is out of range", self.name(), of.join(", "))))
            }
            None => Ok(made),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.0.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.0.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Checked(Arc::new(inner))))
    }

    fn is_strict(&self) -> bool {
        self.0.is_strict()
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.0.evaluate_bounds(inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.0.output_ordering(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

/// Seconds whose nanoseconds have 64 bits.
const MOST_SECONDS: f64 = 9_223_372_036.0;

fn rounded(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(&args.args)?;
    let digits = cast(&arrays[1], &DataType::Int64)?;
    let (numbers, digits) = (arrays[0].as_primitive::<Float64Type>(), digits.as_primitive::<Int64Type>());
    let all: Float64Array =
        numbers.iter().zip(digits).map(|(number, digits)| Some(to_digits(number?, digits?))).collect();
    result(args, Arc::new(all))
}

/// Halves away from zero, of the shortest decimals that mean this number.
fn to_digits(number: f64, digits: i64) -> f64 {
    if !number.is_finite() {
        return number;
    }
    let written = number.abs().to_string();
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    let keep = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(digits);
    let Ok(keep) = usize::try_from(keep) else { return 0.0 };
    if keep >= all.len() {
        return number;
    }
    let mut kept = all[..keep].to_vec();
    if all[keep] >= 5 {
        let nines = kept.iter().rev().take_while(|digit| **digit == 9).count();
        let from = kept.len() - nines;
        kept[from..].fill(0);
        match from.checked_sub(1) {
            Some(place) => kept[place] += 1,
            None => kept.insert(0, 1),
        }
    }
    let text: String = kept.iter().map(|digit| char::from(b'0' + digit)).collect();
    let rounded = format!("0{text}e{}", digits.saturating_neg()).parse().unwrap_or(number.abs());
    if number.is_sign_negative() && rounded != 0.0 { -rounded } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_rounded() {
        for (number, digits, expected) in [
            (0.285, 2, 0.29),
            (1.005, 2, 1.01),
            (2.345, 2, 2.35),
            (-2.345, 2, -2.35),
            (9.999, 2, 10.0),
            (1234.5, -2, 1200.0),
            (1250.0, -2, 1300.0),
            (99.5, 0, 100.0),
            (5.0, -1, 10.0),
            (5.0, -2, 0.0),
            (0.004, 2, 0.0),
            (1e300, 2, 1e300),
            (1e-300, 2, 0.0),
            (0.5, 400, 0.5),
            (-0.001, 2, 0.0),
        ] {
            assert_eq!(to_digits(number, digits).to_bits(), f64::to_bits(expected), "{number}, {digits}");
        }
    }
}
