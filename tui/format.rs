//! Figures in words: counts, bytes, rates, shares, durations, times of day.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use palanquin_engine::link::Eta;

/// `1,203,000`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `512 B`, `1.2 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `4,120/s`, `3.2/s`.
pub(crate) fn rate(rows_per_second: f64) -> String {
    match rows_per_second {
        rate if rate < 0.05 || !rate.is_finite() => "0/s".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}/s"),
        rate => format!("{}/s", count(rate.round() as u64)),
    }
}

/// Tenths of a percent, rounded down: nothing reads 100 % while a row is left. `None` where there is nothing to do.
pub(crate) fn permille(done: u64, total: u64) -> Option<u16> {
    if total == 0 {
        return None;
    }
    let share = (u128::from(done.min(total)) * 1000 / u128::from(total)) as u16;
    Some(share)
}

/// `34.2%`.
pub(crate) fn percent(permille: u16) -> String {
    if permille >= 1000 { "100%".to_owned() } else { format!("{}.{}%", permille / 10, permille % 10) }
}

/// `8 s`, `3m 12s`, `2h 05m`, `3d 04h`.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// A duration that matters below a second too: `0.4 s`.
pub(crate) fn millis(millis: u64) -> String {
    if millis < 10_000 { format!("{}.{} s", millis / 1000, millis % 1000 / 100) } else { duration(millis / 1000) }
}

/// `12 s ago`.
pub(crate) fn ago(at_ms: i64, now_ms: i64) -> String {
    match seconds_between(at_ms, now_ms) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// Whole seconds from one time to another, 0 if it lies behind.
pub(crate) fn seconds_between(from_ms: i64, to_ms: i64) -> u64 {
    u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0) / 1000
}

/// Seconds left until a time, rounded up, so that a countdown ends when it says 0.
pub(crate) fn seconds_until(at_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0).div_ceil(1000)
}

/// `3m 12s`, or the reason why there is none.
pub(crate) fn eta(eta: &Eta) -> Result<String, &str> {
    match eta {
        Eta::Seconds(0) => Ok("due".to_owned()),
        Eta::Seconds(seconds) => Ok(duration(*seconds)),
        Eta::Unknown(reason) => Err(reason),
    }
}

/// `12:04:31`.
pub(crate) fn clock(at_ms: i64, zone: &TimeZone) -> String {
    at(at_ms, zone, "%H:%M:%S")
}

/// `2026-03-01 12:04:31`.
pub(crate) fn date_and_clock(at_ms: i64, zone: &TimeZone) -> String {
    at(at_ms, zone, "%Y-%m-%d %H:%M:%S")
}

/// `03-01 12:04`.
pub(crate) fn day_and_minute(at_ms: i64, zone: &TimeZone) -> String {
    at(at_ms, zone, "%m-%d %H:%M")
}

/// Whether two times fall on one day of the zone.
pub(crate) fn same_day(one_ms: i64, other_ms: i64, zone: &TimeZone) -> bool {
    at(one_ms, zone, "%F") == at(other_ms, zone, "%F")
}

fn at(at_ms: i64, zone: &TimeZone, pattern: &str) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(time) => time.to_zoned(zone.clone()).strftime(pattern).to_string(),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reads_a_hundred_percent_while_a_row_is_left() {
        assert_eq!(permille(1_202_999, 1_203_000).map(percent).as_deref(), Some("99.9%"));
        assert_eq!(permille(1_203_000, 1_203_000).map(percent).as_deref(), Some("100%"));
        assert_eq!(permille(u64::MAX - 1, u64::MAX).map(percent).as_deref(), Some("99.9%"));
        assert_eq!(permille(0, 0), None);
    }

    #[test]
    fn figures_read_as_an_operator_writes_them() {
        assert_eq!([count(0), count(999), count(1000), count(1_203_000)], ["0", "999", "1,000", "1,203,000"]);
        assert_eq!(
            [bytes(512), bytes(1536), bytes(1 << 30), bytes(1_048_575)],
            ["512 B", "1.5 KiB", "1.0 GiB", "1.0 MiB"]
        );
        assert_eq!([rate(0.0), rate(3.24), rate(4120.4), rate(f64::NAN)], ["0/s", "3.2/s", "4,120/s", "0/s"]);
        assert_eq!(
            [duration(8), duration(192), duration(7500), duration(273_600)],
            ["8 s", "3m 12s", "2h 05m", "3d 04h"]
        );
        assert_eq!([millis(412), millis(12_400)], ["0.4 s", "12 s"]);
    }

    #[test]
    fn times_out_of_range_do_no_harm() {
        assert_eq!(clock(i64::MAX, &TimeZone::UTC), "?");
        assert_eq!(seconds_between(i64::MAX, i64::MIN), 0);
        assert_eq!(seconds_until(i64::MIN, i64::MAX), 0);
        assert_eq!(ago(i64::MIN, i64::MAX), "106751991167d 07h ago");
    }
}
