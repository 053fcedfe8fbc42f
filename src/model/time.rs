//! Instants, as microseconds since 1970 in UTC, and how they are written.

use crate::error::{Error, Result};
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use hookwheel::Timestamp;
/// let time = Timestamp::parse("2025-04-15T08:30:00.000Z")?;
/// assert_eq!(time.as_unix_seconds(), 1_744_705_800);
/// # Ok::<(), hookwheel::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(i64);

/// The last instant that can be written: 9999-12-30T22:00:00Z.
const MICROS_MAX: i64 = 253_402_207_200_000_000;

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// The instant `micros` microseconds after the start of 1970, kept within the years 1970 to
    /// 9999.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < 0 {
            Self(0)
        } else if micros > MICROS_MAX {
            Self(MICROS_MAX)
        } else {
            Self(micros)
        }
    }

    /// The instant `millis` milliseconds after the start of 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1000))
    }

    /// Reads an RFC 3339 date and time with an offset.
    ///
    /// # Errors
    /// Refuses what is not RFC 3339, or lies outside the years 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || {
            Error::invalid(format!(
                "time `{}` is not one: expected RFC 3339 like `2025-04-15T08:30:00Z`",
                text.escape_debug()
            ))
        };
        let parsed: jiff::Timestamp = text.parse().map_err(|error| refused().with_source(error))?;
        let micros = parsed.as_microsecond();
        if (0..=MICROS_MAX).contains(&micros) { Ok(Self(micros)) } else { Err(refused()) }
    }

    /// Microseconds since the start of 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the start of 1970, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since the start of 1970, rounded down.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// The instant `duration` earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with `digits` digits of the second's fraction (0, 3, 6 or 9).
    pub fn rfc3339(self, digits: usize) -> String {
        let digits = u8::try_from(digits).unwrap_or(9);
        DateTimePrinter::new().precision(Some(digits)).timestamp_to_string(&self.jiff())
    }

    fn jiff(self) -> jiff::Timestamp {
        // Every value is between 1970 and 9999, where jiff always has an instant.
        jiff::Timestamp::from_microsecond(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(3))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(6))
    }
}

/// Writes a duration as people do: `2 h 5 min`, `30 s`, `120 ms`; the two largest units only.
pub fn human_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis} ms");
    }
    let seconds = duration.as_secs();
    if seconds < 60 && !millis.is_multiple_of(1000) {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// Reads a duration like `30s`: a whole number and `ms`, `s`, `m`, `h` or `d`; `None` for anything
/// else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_is_written() {
        let time = Timestamp::parse("2024-06-15T15:51:55.260284Z").unwrap();
        assert_eq!(time.rfc3339(0), "2024-06-15T15:51:55Z");
        assert_eq!(time.rfc3339(3), "2024-06-15T15:51:55.260Z");
        assert_eq!(time.rfc3339(6), "2024-06-15T15:51:55.260284Z");
        assert_eq!(time.rfc3339(9), "2024-06-15T15:51:55.260284000Z");
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [(30, "30 s"), (300, "5 min"), (7200, "2 h"), (99_305, "1 d 3 h")] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(human_duration(Duration::from_millis(12)), "12 ms");
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("50m"), Some(Duration::from_secs(3000)));
        assert_eq!(parse_duration("120ms"), Some(Duration::from_millis(120)));
        for bad in ["", "5", "m", "-5s", "5 s", "1.5s", "99999999999999999999s", "5min"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn far_instants_stay_writable() {
        let last = Timestamp::from_micros(i64::MAX);
        assert_eq!(last.after(Duration::from_secs(1)), last);
        assert_eq!(last.rfc3339(0), "9999-12-30T22:00:00Z");
    }
}
