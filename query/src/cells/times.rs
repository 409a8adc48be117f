//! Binary dates, times and intervals as psql shows them with its own settings, zone UTC.
//!
//! Invariant: every value that PostgreSQL can send has a text, also before 1677, after 2262 and before Christ. Source:
//! `src/backend/utils/adt/{date,timestamp,datetime}.c`, `EncodeDateOnly`, `EncodeDateTime`, `EncodeInterval`.

/// 2000-01-01, from which PostgreSQL counts, in days after 1970-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let (date, era) = civil(i64::from(days));
            format!("{date}{era}")
        }
    }
}

/// Microseconds since 2000-01-01; `zone` goes behind the time.
pub(super) fn timestamp(at: i64, zone: &str) -> String {
    match at {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        at => {
            let (date, era) = civil(at.div_euclid(DAY));
            format!("{date} {}{zone}{era}", time(at.rem_euclid(DAY)))
        }
    }
}

/// Microseconds since midnight.
pub(super) fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    clock + &fraction(micros % 1_000_000)
}

/// The same, with seconds west of Greenwich.
pub(super) fn time_with_zone(micros: i64, west: i32) -> String {
    let (sign, away) = if west > 0 { ('-', i64::from(west)) } else { ('+', -i64::from(west)) };
    let mut zone = format!("{sign}{:02}", away / 3600);
    if away % 3600 != 0 {
        zone.push_str(&format!(":{:02}", away / 60 % 60));
    }
    if away % 60 != 0 {
        zone.push_str(&format!(":{:02}", away % 60));
    }
    time(micros) + &zone
}

/// Microseconds, days and months.
pub(super) fn interval(micros: i64, days: i32, months: i32) -> String {
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return "infinity".to_owned(),
        (i64::MIN, i32::MIN, i32::MIN) => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = String::new();
    let mut before = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if out.is_empty() { "" } else { " " };
            let sign = if before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            out.push_str(&format!("{space}{sign}{value} {unit}{plural}"));
            before = value < 0;
        }
    }
    if micros != 0 || out.is_empty() {
        let space = if out.is_empty() { "" } else { " " };
        let sign = match micros < 0 {
            true => "-",
            false if before => "+",
            false => "",
        };
        let magnitude = micros.unsigned_abs();
        let seconds = magnitude / 1_000_000;
        let fraction = fraction(i64::try_from(magnitude % 1_000_000).unwrap_or(0));
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        out.push_str(&format!("{space}{sign}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60));
    }
    out
}

/// Of a second, without zeros at its end.
fn fraction(micros: i64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() }
}

/// The day so many days after 2000-01-01, and its era. (Howard Hinnant's `civil_from_days`.)
fn civil(days: i64) -> (String, &'static str) {
    let days = days + EPOCH_DAYS + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    // There is no year 0: before 1 comes 1 BC.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_times() {
        for (days, expected) in [
            (0, "2000-01-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (-746_412, "0045-05-24 BC"),
            (2_921_939, "9999-12-31"),
            (2_921_940, "10000-01-01"),
            (2_145_031_948, "5874897-12-31"),
            (-2_451_545, "4714-11-24 BC"),
            (59, "2000-02-29"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        assert_eq!(
            (time(0), time(DAY), time(3_723_500_000)),
            ("00:00:00".into(), "24:00:00".into(), "01:02:03.5".into())
        );
        assert_eq!(time_with_zone(0, -19_800), "00:00:00+05:30");
        assert_eq!(time_with_zone(1, 3600), "00:00:00.000001-01");
        assert_eq!(timestamp(-1, "+00"), "1999-12-31 23:59:59.999999+00");
        assert_eq!(timestamp(-730_120 * DAY, "+00"), "0001-12-31 00:00:00+00 BC");
        assert_eq!((timestamp(i64::MAX, ""), timestamp(i64::MIN, "")), ("infinity".into(), "-infinity".into()));
    }

    #[test]
    fn intervals_keep_their_parts_and_signs() {
        for (micros, days, months, expected) in [
            (0, 0, 0, "00:00:00"),
            (14_706_789_000, 3, 14, "1 year 2 mons 3 days 04:05:06.789"),
            (0, 1, 0, "1 day"),
            (0, -1, 0, "-1 days"),
            (3_600_000_000, -1, 0, "-1 days +01:00:00"),
            (-3_600_000_000, 1, 0, "1 day -01:00:00"),
            (0, 3, -14, "-1 years -2 mons +3 days"),
            (i64::MIN, 0, 0, "-2562047788:00:54.775808"),
            (i64::MAX, i32::MAX, i32::MAX, "infinity"),
        ] {
            assert_eq!(interval(micros, days, months), expected);
        }
    }
}
