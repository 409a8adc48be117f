//! How long a function's results can become, told from its arguments.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

/// The functions that are bounded; those with the same meaning under another name are the same function.
pub(super) const BOUNDED: [&str; 15] = [
    "array_repeat",
    "array_resize",
    "array_to_string",
    "concat",
    "concat_ws",
    "generate_series",
    "levenshtein",
    "lpad",
    "overlay",
    "range",
    "regexp_replace",
    "repeat",
    "replace",
    "rpad",
    "translate",
];

/// Most bytes that each row's result takes. `levenshtein` returns a number, and takes as many steps.
pub(super) fn most(function: &str, args: &[ColumnarValue], rows: usize) -> Result<Vec<u64>> {
    let length = |place: usize| args.get(place).map_or_else(|| Ok(vec![0; rows]), |arg| lengths(arg, rows));
    let number = |place: usize| args.get(place).map_or_else(|| Ok(vec![0.0; rows]), |arg| numbers(arg, rows));
    let sum = |from: usize| {
        let mut all = vec![0_u64; rows];
        for place in from..args.len() {
            add(&mut all, &length(place)?);
        }
        Ok::<_, datafusion::common::DataFusionError>(all)
    };
    Ok(match function {
        "repeat" => times(&length(0)?, &counts(&number(1)?)),
        "lpad" | "rpad" => counts(&number(1)?).into_iter().map(|characters| characters.saturating_mul(4)).collect(),
        "array_repeat" => times(&plus(length(0)?, 8), &counts(&number(1)?)),
        "array_resize" => {
            let grown = times(&plus(length(2)?, 8), &counts(&number(1)?));
            let mut all = length(0)?;
            add(&mut all, &grown);
            all
        }
        "range" | "generate_series" => steps(args, rows)?.into_iter().map(|steps| steps.saturating_mul(16)).collect(),
        "array_to_string" => {
            let (items, between) = (length(0)?, plus(length(1)?, 1));
            times(&items, &between)
        }
        "replace" => {
            let (text, from, to) = (length(0)?, length(1)?, length(2)?);
            (0..rows)
                .map(|row| text[row].saturating_add((text[row] / from[row].max(1)).saturating_mul(to[row])))
                .collect()
        }
        "regexp_replace" => {
            let (text, to) = (plus(length(0)?, 1), plus(length(2)?, 1));
            times(&text, &to)
        }
        "translate" => times(&length(0)?, &vec![4; rows]),
        "levenshtein" => times(&length(0)?, &length(1)?),
        "concat_ws" => {
            let mut all = sum(1)?;
            add(&mut all, &times(&length(0)?, &vec![args.len() as u64; rows]));
            all
        }
        _ => sum(0)?,
    })
}

fn add(to: &mut [u64], other: &[u64]) {
    to.iter_mut().zip(other).for_each(|(to, other)| *to = to.saturating_add(*other));
}

fn plus(mut of: Vec<u64>, more: u64) -> Vec<u64> {
    of.iter_mut().for_each(|of| *of = of.saturating_add(more));
    of
}

fn times(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.saturating_mul(*b)).collect()
}

/// Numbers as counts: nothing where they are negative.
fn counts(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| whole(*number)).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a conversion from a float saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Bytes of each value.
fn lengths(arg: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    match arg {
        ColumnarValue::Scalar(value) => {
            let length = match value.try_as_str() {
                Some(text) => text.map_or(0, str::len),
                None => length(&value.to_array()?, 0),
            };
            Ok(vec![length as u64; rows])
        }
        ColumnarValue::Array(array) => Ok((0..rows).map(|row| length(array, row) as u64).collect()),
    }
}

fn length(array: &ArrayRef, row: usize) -> usize {
    if row >= array.len() || array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).len(),
        DataType::Utf8View => array.as_string_view().value(row).len(),
        DataType::Binary => array.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => array.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => array.as_binary_view().value(row).len(),
        DataType::List(_) => array.as_list::<i32>().value(row).get_array_memory_size().min(of_list(array, row)),
        // Numbers, times, and what is put together of few of them.
        _ => 64,
    }
}

/// Bytes of a list's items; what an array takes as a whole says too much of one that is a part of another.
fn of_list(array: &ArrayRef, row: usize) -> usize {
    let items = array.as_list::<i32>().value(row);
    (0..items.len()).map(|item| length(&items, item).saturating_add(8)).fold(0, usize::saturating_add)
}

/// Each value as a number.
fn numbers(arg: &ColumnarValue, rows: usize) -> Result<Vec<f64>> {
    let number = |array: &ArrayRef| cast(array, &DataType::Float64);
    Ok(match arg {
        ColumnarValue::Scalar(value) => {
            let array = number(&value.to_array()?)?;
            let value = if array.is_null(0) { 0.0 } else { array.as_primitive::<Float64Type>().value(0) };
            vec![value; rows]
        }
        ColumnarValue::Array(array) => {
            let array = number(array)?;
            let array = array.as_primitive::<Float64Type>();
            (0..rows).map(|row| if array.is_null(row) { 0.0 } else { array.value(row) }).collect()
        }
    })
}

/// How many items a series has: of numbers, or of times in nanoseconds.
fn steps(args: &[ColumnarValue], rows: usize) -> Result<Vec<u64>> {
    const DAY: f64 = 86_400e9;
    let point = |place: usize| -> Result<Vec<f64>> {
        let Some(arg) = args.get(place) else { return Ok(vec![0.0; rows]) };
        if !arg.data_type().is_temporal() {
            return numbers(arg, rows);
        }
        let array = arg.to_array(rows)?;
        let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let in_order = cast(&cast(&cast(&array, &nanoseconds)?, &DataType::Int64)?, &DataType::Float64)?;
        numbers(&ColumnarValue::Array(in_order), rows)
    };
    let step = |place: usize| -> Result<Vec<f64>> {
        match args.get(place) {
            None => Ok(vec![1.0; rows]),
            Some(arg) if matches!(arg.data_type(), DataType::Interval(_)) => {
                let array = arg.to_array(rows)?;
                (0..rows)
                    .map(|row| {
                        Ok(match ScalarValue::try_from_array(&array, row)? {
                            ScalarValue::IntervalMonthDayNano(Some(interval)) => {
                                let days = f64::from(interval.months) * 28.0 + f64::from(interval.days);
                                days * DAY + interval.nanoseconds as f64
                            }
                            // An interval of another kind is at least a millisecond, or nothing.
                            _ => 1e6,
                        })
                    })
                    .collect()
            }
            Some(arg) => numbers(arg, rows),
        }
    };
    let (from, to) = if args.len() == 1 { (vec![0.0; rows], point(0)?) } else { (point(0)?, point(1)?) };
    let step = step(2)?;
    Ok((0..rows)
        .map(|row| {
            let step = step[row].abs();
            if step == 0.0 { 0 } else { whole((to[row] - from[row]).abs() / step) }
        })
        .collect())
}
