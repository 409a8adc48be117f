//! Parts of an interval that have a fraction: `extract(epoch FROM INTERVAL '1.5 seconds')`.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::functions::result;

/// Such a part; `None` of the others.
pub(super) fn part(part: &str, interval: &Expr) -> Option<Expr> {
    let part = match part.trim_end_matches('s') {
        "epoch" => Part::Epoch,
        "second" => Part::Second,
        "millisecond" => Part::Millisecond,
        "microsecond" => Part::Microsecond,
        _ => return None,
    };
    Some(ScalarUDF::new_from_impl(PartOf::new(part)).call(vec![interval.clone()]))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Epoch,
    Second,
    Millisecond,
    Microsecond,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PartOf {
    part: Part,
    signature: Signature,
}

impl PartOf {
    fn new(part: Part) -> PartOf {
        PartOf { part, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for PartOf {
    fn name(&self) -> &'static str {
        match self.part {
            Part::Epoch => "epoch_of_interval",
            Part::Second => "seconds_of_interval",
            Part::Millisecond => "milliseconds_of_interval",
            Part::Microsecond => "microseconds_of_interval",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let values = arrow::compute::cast(&arrays[0], &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let values = values.as_primitive::<IntervalMonthDayNanoType>();
        let part =
            |value: arrow::datatypes::IntervalMonthDayNano| of(self.part, value.months, value.days, value.nanoseconds);
        let all: Float64Array = values.iter().map(|value| value.map(part)).collect();
        result(&args, Arc::new(all))
    }
}

/// A year has 365.25 days there, and a month of what years leave 30.
#[allow(clippy::cast_precision_loss, reason = "PostgreSQL's microseconds have no more digits")]
fn of(part: Part, months: i32, days: i32, nanoseconds: i64) -> f64 {
    const MINUTE: i64 = 60_000_000_000;
    let microseconds = (nanoseconds % MINUTE / 1000) as f64;
    match part {
        Part::Epoch => {
            let days = f64::from(months / 12) * 365.25 + f64::from(months % 12) * 30.0 + f64::from(days);
            days * 86_400.0 + (nanoseconds / 1000) as f64 / 1e6
        }
        Part::Second => microseconds / 1e6,
        Part::Millisecond => microseconds / 1e3,
        Part::Microsecond => microseconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_long_as_in_postgresql() {
        for (part, months, nanoseconds, expected) in [
            (Part::Epoch, 12, 0, 31_557_600.0),
            (Part::Epoch, 1, 500_000_000, 2_592_000.5),
            (Part::Second, 1, 90_500_000_000, 30.5),
            (Part::Millisecond, 0, -1_500_000_000, -1500.0),
            (Part::Microsecond, 0, 61_000_001_000, 1_000_001.0),
        ] {
            assert_eq!(of(part, months, 0, nanoseconds).to_bits(), f64::to_bits(expected), "{part:?}");
        }
    }
}
