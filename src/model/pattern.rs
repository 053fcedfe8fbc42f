//! What an endpoint listens to: an exact event type, or a prefix like `order.*`.

use crate::error::{Error, Result};
use crate::model::EventType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An entry of an endpoint's event filter: `order.created` matches itself, `order.*` everything
/// that begins with `order.`, `*` everything.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventPattern(String);

impl EventPattern {
    /// Takes `text` as a pattern.
    ///
    /// # Errors
    /// Refuses a star anywhere but after the last dot, and foreign characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let type_part = text.strip_suffix(".*").unwrap_or(&text);
        if text == "*" || EventType::new(type_part).is_ok() {
            return Ok(Self(text));
        }
        Err(Error::invalid(format!(
            "event filter `{}` is not one: expected an event type like `order.created`, a prefix \
             like `order.*`, or `*`",
            text.chars().take(64).collect::<String>().escape_debug()
        )))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches `event_type`.
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => event_type.as_str().starts_with(prefix),
            None => event_type.as_str() == self.0,
        }
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_segments() {
        let matches = |pattern: &str, event_type: &str| {
            EventPattern::new(pattern).unwrap().matches(&EventType::new(event_type).unwrap())
        };
        assert!(matches("order.*", "order.created"));
        assert!(matches("order.*", "order.refund.created"));
        assert!(!matches("order.*", "orders.created"));
        assert!(!matches("order.*", "order"));
        assert!(matches("*", "order.created"));
        assert!(matches("order.created", "order.created"));
        assert!(!matches("order.created", "order.created.twice"));
    }

    #[test]
    fn stars_elsewhere_are_refused() {
        for bad in ["", "order*", "*.created", "order.*.created", ".*x"] {
            assert!(EventPattern::new(bad).unwrap_err().is_invalid(), "{bad}");
        }
    }
}
