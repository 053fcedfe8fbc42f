//! The data of an event: JSON whose bytes are kept as they came.

use crate::error::{Error, Result};
use bytes::Bytes;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use std::fmt;

/// How deep arrays and objects may be nested in an event's data.
pub const DEPTH_MAX: usize = 128;

/// A JSON object as text. Its bytes are never written anew: order of members, duplicate members,
/// spaces and big numbers pass through.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Payload(Bytes);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        // What is no text any more would be passed on as an object without members.
        std::str::from_utf8(&bytes).map_err(D::Error::custom)?;
        Ok(Self(bytes))
    }
}

impl Payload {
    /// Takes a JSON object as text.
    ///
    /// # Errors
    /// Refuses what is not one JSON object, or is nested deeper than 128.
    pub fn from_text(text: impl Into<String>) -> Result<Self> {
        let text: String = text.into();
        let parsed: &serde_json::value::RawValue =
            serde_json::from_str(&text).map_err(|error| {
                Error::invalid(format!("event data is not JSON: {error}")).with_source(error)
            })?;
        if !parsed.get().starts_with('{') {
            return Err(Error::invalid("event data must be a JSON object, like `{\"orderId\":1}`"));
        }
        if depth(parsed.get()) > DEPTH_MAX {
            return Err(Error::invalid(format!("event data is nested deeper than {DEPTH_MAX}")));
        }
        // What stands around the object (spaces, a final newline) is no part of it.
        let trimmed = parsed.get().len();
        if trimmed == text.len() {
            return Ok(Self(Bytes::from(text)));
        }
        Ok(Self(Bytes::from(parsed.get().to_owned())))
    }

    /// Takes any value that serialises to a JSON object.
    ///
    /// # Errors
    /// Refuses what does not.
    pub fn from_value(value: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_string(value).map_err(|error| {
            Error::invalid(format!("event data cannot be written as JSON: {error}"))
                .with_source(error)
        })?;
        Self::from_text(text)
    }

    /// An object without members.
    pub fn nothing() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        // It was text when it was taken in, and when it was read back.
        std::str::from_utf8(&self.0).unwrap_or("{}")
    }

    /// The JSON text as shared bytes.
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it; a payload is at least `{}`, so this is never so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// The deepest nesting of a text that is known to be JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_through_unchanged() {
        let odd = r#"{ "b":1,"a":123456789012345678901234567890.10, "a" : "\u0041" }"#;
        assert_eq!(Payload::from_text(odd).unwrap().as_str(), odd);
        assert_eq!(Payload::from_text("  {} \n").unwrap().as_str(), "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["", "[1]", "null", "{", "{} {}", "\"a\""] {
            assert!(Payload::from_text(bad).unwrap_err().is_invalid(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_text_any_more_is_not_read_back_as_an_empty_object() {
        let mut written = postcard::to_stdvec(&Payload::from_text(r#"{"a":1}"#).unwrap()).unwrap();
        assert_eq!(postcard::from_bytes::<Payload>(&written).unwrap().as_str(), r#"{"a":1}"#);
        written[3] = 0xff;
        assert!(postcard::from_bytes::<Payload>(&written).is_err());
    }

    #[test]
    fn nesting_is_bounded_outside_texts() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(Payload::from_text(nested(128)).is_ok());
        assert!(Payload::from_text(nested(129)).unwrap_err().is_invalid());
        assert!(Payload::from_text(format!("{{\"a\":\"{}\"}}", "[".repeat(500))).is_ok());
    }
}
