use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A wait of at least a second, written as `60s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// Text that is no such wait.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no interval; write it as 60s, 5m or 2h")]
pub struct IntervalError(String);

const UNITS: [(&str, u64); 3] = [("h", 3_600), ("m", 60), ("s", 1)];

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let seconds = UNITS.iter().find_map(|(name, seconds)| {
            let number: u64 = text.strip_suffix(name)?.parse().ok()?;
            number.checked_mul(*seconds)
        });
        // A year is longer than anybody waits, and short enough to be added to any time.
        let seconds = seconds.filter(|seconds| (1..=31_536_000).contains(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(|| IntervalError(text.to_owned()))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.as_secs();
        let (name, seconds) = UNITS.iter().find(|(_, seconds)| all.is_multiple_of(*seconds)).unwrap_or(&UNITS[2]);
        write!(f, "{}{name}", all / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_they_are_written() {
        for (text, seconds, written) in [("60s", 60, "1m"), ("90s", 90, "90s"), ("5m", 300, "5m"), ("2h", 7_200, "2h")]
        {
            let interval: Interval = text.parse().unwrap();
            assert_eq!((interval.0.as_secs(), interval.to_string().as_str()), (seconds, written), "{text}");
        }
    }

    #[test]
    fn nonsense_and_no_wait_at_all_are_refused() {
        for text in ["", "60", "s", "0s", "-1s", "1.5m", "99999999999999999999h", "20000000h", "1 m"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
