//! Floating-point numbers as the server writes them: the fewest digits that lead back to the number, as `extra_float_digits`
//! above 0 has it, which is what it is unless somebody sets it.
//!
//! Source: the server's `float4out` and `float8out`, and `d2s.c` and `f2s.c` behind them. They differ from Rust in three things:
//! a large or small number has an exponent, of two digits at least; digits that lie in the very middle between two numbers
//! are not taken, since not every reader rounds them to the even one; and of two texts that are as near the even one is.

/// What `float8out` writes.
pub(super) fn double(value: f64) -> String {
    const LEAST: i32 = -1074;
    let bits = value.to_bits();
    let stored = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match i32::try_from(bits >> 52 & 0x7ff) {
        Ok(raised @ 1..) => (stored | 1 << 52, raised - 1 + LEAST),
        _ => (stored, LEAST),
    };
    let number = Number { mantissa, exponent, nearer_below: stored == 0 && exponent > LEAST };
    let fewest = || format!("{value:e}");
    let exactly = |places: usize| format!("{value:.places$e}");
    let leads_back = |text: &str| text.parse::<f64>().is_ok_and(|read| read.to_bits() == bits);
    named(value).unwrap_or_else(|| written(&number, 15, &fewest(), 17, &exactly, &leads_back))
}

/// What `float4out` writes.
pub(super) fn single(value: f32) -> String {
    const LEAST: i32 = -149;
    let bits = value.to_bits();
    let stored = bits & ((1 << 23) - 1);
    let (mantissa, exponent) = match i32::try_from(bits >> 23 & 0xff) {
        Ok(raised @ 1..) => (stored | 1 << 23, raised - 1 + LEAST),
        _ => (stored, LEAST),
    };
    let number = Number { mantissa: mantissa.into(), exponent, nearer_below: stored == 0 && exponent > LEAST };
    let fewest = || format!("{value:e}");
    let exactly = |places: usize| format!("{value:.places$e}");
    let leads_back = |text: &str| text.parse::<f32>().is_ok_and(|read| read.to_bits() == bits);
    named(value.into()).unwrap_or_else(|| written(&number, 6, &fewest(), 9, &exactly, &leads_back))
}

/// What has no digits.
fn named(value: f64) -> Option<String> {
    let name = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return None,
    };
    Some(name.to_owned())
}

/// A number with Rust's `fewest` digits, unless they are in the middle between two; then with as few more as are not. With an
/// exponent from 10 to the power of `large` on; `most` digits always lead back.
fn written(
    number: &Number,
    large: i32,
    fewest: &str,
    most: usize,
    exactly: &dyn Fn(usize) -> String,
    leads_back: &dyn Fn(&str) -> bool,
) -> String {
    let Some(digits) = Decimal::read(fewest) else { return fewest.to_owned() };
    if number.mantissa == 0 {
        return digits.write(large);
    }
    let count = digits.digits.len();
    let rounded =
        |count: usize| Some(exactly(count - 1)).filter(|text| leads_back(text)).and_then(|text| Decimal::read(&text));
    // As many digits lead back where the number lies between two texts: of two that are as near, the even one.
    let as_few = rounded(count).filter(|nearest| nearest.digits.len() == count).unwrap_or(digits);
    if !number.is_bounded_by(&as_few) {
        return as_few.write(large);
    }
    (count + 1..=most).filter_map(rounded).find(|more| !number.is_bounded_by(more)).unwrap_or(as_few).write(large)
}

/// `mantissa * 2^exponent`.
struct Number {
    mantissa: u64,
    exponent: i32,
    /// The number before it is half as far away as the one behind it.
    nearer_below: bool,
}

impl Number {
    /// True for what lies in the very middle between it and the next number, or the one before it.
    fn is_bounded_by(&self, digits: &Decimal) -> bool {
        let quarters = u128::from(self.mantissa) * 4;
        let below = quarters - if self.nearer_below { 1 } else { 2 };
        [quarters + 2, below].into_iter().any(|amount| digits.is(amount, self.exponent - 2))
    }
}

/// `digits * 10^exponent`; no digit is left out of a zero, and no zero ends the digits of anything else.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Decimal {
    /// Of a text such as `-1.25e-7`.
    fn read(text: &str) -> Option<Decimal> {
        let (text, negative) = text.strip_prefix('-').map_or((text, false), |text| (text, true));
        let (number, exponent) = text.split_once('e')?;
        let (whole, places) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{places}");
        let digits = match all.trim_end_matches('0') {
            "" => "0",
            digits => digits,
        };
        let length = |text: &str| i32::try_from(text.len()).ok();
        let exponent = exponent.parse::<i32>().ok()? + length(whole)? - length(digits)?;
        Some(Decimal { negative, digits: digits.to_owned(), exponent })
    }

    /// Whether it is `amount * 2^exponent`, exactly.
    fn is(&self, amount: u128, exponent: i32) -> bool {
        let Ok(digits) = self.digits.parse::<u128>() else { return false };
        // Both without the factors 2, and the factors 5 of the power of ten on the side where they multiply. Digits and
        // mantissa are far smaller than their type: where a product does not fit, its other side is too small to equal it.
        let Some(fives) = 5_u128.checked_pow(self.exponent.unsigned_abs()) else { return false };
        let (ours, theirs) = match self.exponent {
            0.. => (digits.checked_mul(fives), Some(amount)),
            _ => (Some(digits), amount.checked_mul(fives)),
        };
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
        let twos = |number: u128| i32::try_from(number.trailing_zeros()).unwrap_or(0);
        ours >> ours.trailing_zeros() == theirs >> theirs.trailing_zeros()
            && twos(ours) + self.exponent == twos(theirs) + exponent
    }

    fn write(&self, large: i32) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = self.digits.as_str();
        let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
        // Digits before the point.
        let before = self.exponent + i32::try_from(digits.len()).unwrap_or(i32::MAX);
        match before {
            _ if digits == "0" => format!("{sign}0"),
            _ if before <= -4 || before > large => self.with_exponent(sign, before - 1),
            ..=0 => format!("{sign}0.{}{digits}", zeros(-before)),
            _ if self.exponent >= 0 => format!("{sign}{digits}{}", zeros(self.exponent)),
            _ => {
                let (whole, places) = digits.split_at(usize::try_from(before).unwrap_or(0));
                format!("{sign}{whole}.{places}")
            }
        }
    }

    fn with_exponent(&self, sign: &str, power: i32) -> String {
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let direction = if power < 0 { '-' } else { '+' };
        format!("{sign}{first}{point}{rest}e{direction}{:02}", power.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_as_the_server_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e300, "1e+300"),
            (-1.25e-300, "-1.25e-300"),
            (1e-4, "0.0001"),
            (0.000_123, "0.000123"),
            (1e-5, "1e-05"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.0, "1.234567890123456e+15"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), expected);
        }
        for (value, expected) in [
            (1e6_f32, "1e+06"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (33_554_432.0, "3.3554432e+07"),
            (0.1, "0.1"),
            (1e-45, "1e-45"),
            (-0.0, "-0"),
            (f32::MAX, "3.4028235e+38"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(single(value), expected);
        }
    }

    #[test]
    fn digits_in_the_middle_between_two_numbers_are_not_taken() {
        for (value, expected) in [
            (1e23, "9.999999999999999e+22"),
            (2e23, "1.9999999999999998e+23"),
            (8.41e21, "8.409999999999999e+21"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
        ] {
            assert_eq!((double(value).as_str(), double(-value)), (expected, format!("-{expected}")));
        }
        assert_eq!(single(8.589_973e9), "8.589974e+09");
    }

    #[test]
    fn of_two_texts_that_are_as_near_the_even_one_is_taken() {
        assert_eq!(single(2_f32.powi(-12)), "0.00024414062");
        assert_eq!(single(f32::from_bits(0x4a00_0001)), "2.0971522e+06");
    }

    #[test]
    fn what_is_written_leads_back_to_the_number() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (value, short) = (f64::from_bits(bits), f32::from_bits((bits >> 32) as u32));
            if !value.is_nan() {
                assert_eq!(double(value).replace("Infinity", "inf").parse::<f64>().unwrap().to_bits(), bits);
            }
            if !short.is_nan() {
                let read = single(short).replace("Infinity", "inf").parse::<f32>().unwrap();
                assert_eq!(read.to_bits(), short.to_bits());
            }
        }
    }
}
