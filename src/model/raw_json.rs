//! A JSON value whose bytes are kept as they came.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value as text. Its bytes are never written anew: numbers of any size and form, escapes,
/// order of members and duplicate members pass through.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Takes a JSON value as text.
    ///
    /// # Errors
    /// Refuses what is not one JSON value.
    pub fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| Error::invalid(format!("no JSON: {error}")).with_source(error))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl<T: Into<Value>> From<T> for RawJson {
    fn from(value: T) -> Self {
        // What a value writes is JSON.
        Self(RawValue::from_string(value.into().to_string()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_through_unchanged() {
        let odd = r#"{ "b":18446744073709551617,"a":1e400, "a" : "\u0041\ud800" }"#;
        let held = RawJson::from_text(&format!(" {odd}\n")).unwrap();
        assert_eq!(held.as_str(), odd);
        assert_eq!(serde_json::to_string(&held).unwrap(), odd);
        assert_eq!(serde_json::from_str::<RawJson>(odd).unwrap().as_str(), odd);
        for bad in ["", "text", "1 2", "{"] {
            assert!(RawJson::from_text(bad).unwrap_err().is_invalid(), "{bad}");
        }
    }

    #[test]
    fn values_become_json() {
        assert_eq!(RawJson::from("a\"b").as_str(), r#""a\"b""#);
        assert_eq!(
            RawJson::from(serde_json::json!({"a": [1, null]})).as_str(),
            r#"{"a":[1,null]}"#
        );
    }
}
