//! Times, durations, sizes and counts as people read them.
//!
//! Invariants: times are UTC and shown as they were recorded, never shifted; a duration never loses its unit.

/// `2026-11-22T03:12:00.123456789Z` as `2026-11-22`.
pub fn date(at: &str) -> &str {
    at.split_once('T').map_or(at, |(date, _)| date)
}

/// `2026-11-22T03:12:00.123456789Z` as `03:12:00`.
pub fn time(at: &str) -> &str {
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    time.get(..8).unwrap_or(time)
}

/// `2026-11-22T03:12:00.123456789Z` as `03:12:00.123`.
pub fn precise_time(at: &str) -> &str {
    let time = at.split_once('T').map_or(at, |(_, time)| time).trim_end_matches('Z');
    time.get(..12).unwrap_or(time)
}

/// `2026-11-22T03:12:00.123456789Z` as `2026-11-22 03:12:00.123`.
pub fn moment(at: &str) -> String {
    format!("{} {}", date(at), precise_time(at))
}

/// `2026-11-22T03:12:59.500000000Z` as `03:12:59.5`: all that is known of it, and no more.
pub fn exact_time(at: &str) -> &str {
    let time = at.split_once('T').map_or(at, |(_, time)| time).trim_end_matches('Z');
    if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.') } else { time }
}

/// From one time to another, the day once where it is the same: `2026-11-22 03:11:00 to 03:13:00 UTC`.
pub fn stretch(from: &str, to: &str) -> String {
    let (first, last) = (date(from), date(to));
    let day = if first == last { String::new() } else { format!("{last} ") };
    if from == to {
        return format!("{first} {} UTC", exact_time(from));
    }
    format!("{first} {} to {day}{} UTC", exact_time(from), exact_time(to))
}

/// Nanoseconds with two or three digits that matter: `820 µs`, `4.31 ms`, `12.5 s`, `4 m 3 s`, `2 h 7 m`.
pub fn duration(ns: i64) -> String {
    let ns = ns.max(0);
    let (micro, milli, second) = (1_000, 1_000_000, 1_000_000_000);
    if ns < micro {
        return format!("{ns} ns");
    }
    if ns < milli {
        return format!("{} µs", ns / micro);
    }
    if ns < second {
        return digits(ns, milli, "ms");
    }
    if ns < 60 * second {
        return digits(ns, second, "s");
    }
    let seconds = ns / second;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, minutes, seconds) => format!("{minutes} m {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} m"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

fn digits(ns: i64, unit: i64, name: &str) -> String {
    let whole = ns / unit;
    let places = if whole < 10 {
        2
    } else if whole < 100 {
        1
    } else {
        0
    };
    format!("{} {name}", decimal(ns, unit, places))
}

/// A ratio of numbers that are not negative, rounded to so many places. (Whoever formats a float carries all the code for
/// printing any, which is a hundredth of the replay.)
pub fn decimal(number: i64, unit: i64, places: u32) -> String {
    let scale = 10_i64.pow(places);
    let (whole, rest) = (number / unit, number % unit);
    let rounded = whole * scale + (rest * scale + unit / 2) / unit;
    match places {
        0 => rounded.to_string(),
        places => format!("{}.{:0width$}", rounded / scale, rounded % scale, width = places as usize),
    }
}

/// Bytes in powers of 1024.
pub fn bytes(count: i64) -> String {
    let count = count.max(0);
    let mut unit = 1_i64;
    for name in ["B", "KiB", "MiB", "GiB"] {
        if count / unit < 1024 {
            return if unit == 1 { format!("{count} B") } else { format!("{} {name}", decimal(count, unit, 1)) };
        }
        unit *= 1024;
    }
    format!("{} TiB", decimal(count, unit, 1))
}

/// With a thin space between thousands.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(number: i64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A text on one line, cut at so many characters.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let size = word.chars().count();
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        if length + size > most {
            line.extend(word.chars().take(most.saturating_sub(length)));
            line.push('…');
            return line;
        }
        line.push_str(word);
        length += size;
    }
    line
}

/// With a capital letter where it begins with a small one.
pub fn sentence(text: &str) -> String {
    let mut sentence = text.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

/// With a small letter where it begins with a capital one.
pub fn decapitalised(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_recorded() {
        let at = "2026-11-22T03:12:00.123456789Z";
        assert_eq!((date(at), time(at), precise_time(at)), ("2026-11-22", "03:12:00", "03:12:00.123"));
        assert_eq!(precise_time("2026-11-22T03:12:00Z"), "03:12:00");
        assert_eq!(time("odd"), "odd");
    }

    #[test]
    fn a_stretch_names_the_day_once() {
        let from = "2026-11-22T03:11:00.000000000Z";
        assert_eq!(stretch(from, "2026-11-22T03:13:00.500000000Z"), "2026-11-22 03:11:00 to 03:13:00.5 UTC");
        assert_eq!(stretch(from, "2026-11-23T00:00:00.000000000Z"), "2026-11-22 03:11:00 to 2026-11-23 00:00:00 UTC");
        assert_eq!(stretch(from, from), "2026-11-22 03:11:00 UTC");
        assert_eq!(exact_time("2026-11-22T03:10:00Z"), "03:10:00");
    }

    #[test]
    fn durations_keep_what_matters() {
        for (ns, expected) in [
            (0, "0 ns"),
            (820_000, "820 µs"),
            (4_312_000, "4.31 ms"),
            (431_200_000, "431 ms"),
            (12_520_000_000, "12.5 s"),
            (243_000_000_000, "4 m 3 s"),
            (7_620_000_000_000, "2 h 7 m"),
            (180_000_000_000_000, "2 d 2 h"),
            (-5, "0 ns"),
        ] {
            assert_eq!(duration(ns), expected);
        }
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
        assert_eq!((decimal(1, 3, 3), decimal(2, 3, 1), decimal(5, 2, 0)), ("0.333".into(), "0.7".into(), "3".into()));
        assert_eq!(decimal(1999, 2000, 2), "1.00");
        assert_eq!(count(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(count(-999), "-999");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn lines_are_joined_and_cut() {
        assert_eq!(one_line("select 1\n  from x", 80), "select 1 from x");
        assert_eq!(one_line("sélect one", 8), "sélect o…");
        assert_eq!(one_line("", 8), "");
        assert_eq!((sentence("no such"), sentence("éa"), sentence("")), ("No such".into(), "éa".into(), String::new()));
    }
}
