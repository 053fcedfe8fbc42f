//! The small values of a provider file, checked where they are read, so that a wrong one is refused
//! with its place in the file.

use crate::model::{Timestamp, check, parse_duration};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

/// Longest duration a provider file may name.
const DURATION_MAX: Duration = Duration::from_secs(90 * 86_400);

/// Reads a text; what else stands there is refused with `expected`, in words.
pub(super) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Reader(&'static str);
    impl Visitor<'_> for Reader {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_str(Reader(expected))
}

/// A duration like `30s`: a whole number and `ms`, `s`, `m`, `h` or `d`, at most 90 days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a duration like \"30s\"")?;
        let known = parse_duration(&text).filter(|duration| *duration <= DURATION_MAX);
        known.map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{}` is not a duration: expected a whole number and `ms`, `s`, `m`, `h` or `d`, \
                 like `30s`, and 90 days at most",
                text.escape_debug()
            ))
        })
    }
}

/// An HTTP status like `201`, or a hundred of them like `"2xx"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// Whether `status` is in it.
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    /// Whether it reaches outside the statuses 200 to 299.
    pub fn is_no_success(self) -> bool {
        self.first < 200 || self.last > 299
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}xx", self.first / 100)
        }
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = StatusRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a status from 100 to 599, like 201, or a hundred of them, like \"2xx\"",
                )
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<StatusRange, E> {
                match u16::try_from(number) {
                    Ok(status @ 100..=599) => Ok(StatusRange { first: status, last: status }),
                    _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusRange, E> {
                match text.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok()) {
                    Some(hundred @ 1..=5) => {
                        Ok(StatusRange { first: hundred * 100, last: hundred * 100 + 99 })
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A header's name as it goes on the wire (RFC 9110, section 5.6.2: a token).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HeaderName(pub String);

/// Bytes of a header's name at most, as of an endpoint's own headers.
const NAME_BYTES_MAX: usize = 128;

/// Headers that the sender writes itself besides those of the connection, from the URL, the body and
/// the endpoint's authentication. A body is never encoded.
const RESERVED: [&str; 4] = ["host", "content-length", "content-encoding", "authorization"];

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a header name like \"X-Signature\"")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !(1..=NAME_BYTES_MAX).contains(&text.len()) || !text.bytes().all(token) {
            return Err(D::Error::custom(format!(
                "`{}` is not a header name: expected up to {NAME_BYTES_MAX} letters, digits and `-`, \
                 like `X-Signature`",
                text.chars().take(64).collect::<String>().escape_debug()
            )));
        }
        let lower = text.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || check::is_connection_header(&lower) {
            return Err(D::Error::custom(format!(
                "header `{text}` is written by the sender: leave it out"
            )));
        }
        Ok(Self(text))
    }
}

/// How an instant is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimeFormat {
    /// Whole seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// RFC 3339 in UTC with this many digits of the second's fraction.
    Rfc3339(usize),
}

/// The names of the time formats.
pub(super) const TIME_FORMATS: &str = "unix, unix_ms, rfc3339, rfc3339_ms, rfc3339_us";

impl TimeFormat {
    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unix" => Self::Unix,
            "unix_ms" => Self::UnixMillis,
            "rfc3339" => Self::Rfc3339(0),
            "rfc3339_ms" => Self::Rfc3339(3),
            "rfc3339_us" => Self::Rfc3339(6),
            _ => return None,
        })
    }

    /// Writes `time`.
    pub fn write(self, time: Timestamp) -> String {
        match self {
            Self::Unix => time.as_unix_seconds().to_string(),
            Self::UnixMillis => time.as_millis().to_string(),
            Self::Rfc3339(digits) => time.rfc3339(digits),
        }
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(self, text: &str) -> Option<Timestamp> {
        let number = || text.parse::<i64>().ok().filter(|number| *number >= 0);
        match self {
            Self::Unix => number().map(|n| Timestamp::from_millis(n.saturating_mul(1000))),
            Self::UnixMillis => number().map(Timestamp::from_millis),
            Self::Rfc3339(_) => Timestamp::parse(text).ok(),
        }
    }

    /// Whether `letter` may be in what [`Self::write`] writes.
    pub fn may_hold(self, letter: char) -> bool {
        letter.is_ascii_digit() || (!self.is_number() && "-:.TZ".contains(letter))
    }

    /// Whether it is written as a number.
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Rfc3339(_))
    }

    /// What it is called in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unix => "seconds since 1970",
            Self::UnixMillis => "milliseconds since 1970",
            Self::Rfc3339(0) => "RFC 3339, whole seconds",
            Self::Rfc3339(3) => "RFC 3339, milliseconds",
            Self::Rfc3339(_) => "RFC 3339, microseconds",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_bounds() {
        let span = |text: &str| {
            let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
            Span::deserialize(text).ok()
        };
        assert_eq!(span("90d"), Some(Span(DURATION_MAX)));
        assert_eq!((span("91d"), span("5")), (None, None));
    }
}
