//! An event: something that happened on the platform.

use crate::error::{Error, Result};
use crate::model::{ApplicationId, EventId, Payload, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of an event, like `order.completed`: 1 to 256 letters, digits, `-`, `_` and `.`
/// (the alphabet of Svix's API).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventType(String);

impl EventType {
    /// Takes `text` as an event type.
    ///
    /// # Errors
    /// Refuses an empty or long text and foreign characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if (1..=256).contains(&text.len()) && text.bytes().all(is_name_byte) {
            return Ok(Self(text));
        }
        Err(Error::invalid(format!(
            "event type `{}` is not one: 1 to 256 letters, digits, `-`, `_` and `.` are expected",
            text.chars().take(64).collect::<String>().escape_debug()
        )))
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `byte` may stand in the name of an event type.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Whether an event is about real money or a trial; each provider marks it its own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Mode {
    /// It really happened.
    #[default]
    Live,
    /// A trial.
    Test,
}

/// Which of an application's endpoints an event met, so that one which reached nobody is explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reach {
    /// Endpoints that the application had.
    pub endpoints: u32,
    /// Of these, how many the event goes to.
    pub delivered: u32,
    /// How many do not want this type.
    pub filtered_by_type: u32,
    /// How many listen to other channels.
    pub filtered_by_channel: u32,
    /// How many are disabled: their deliveries are recorded as skipped.
    pub disabled: u32,
    /// How many have a provider whose envelope cannot carry the event: recorded as skipped.
    pub unfit: u32,
}

impl Reach {
    /// Why nobody receives the event, in words; `None` when somebody does.
    pub fn explain(&self) -> Option<String> {
        if self.delivered > 0 {
            return None;
        }
        if self.endpoints == 0 {
            return Some("the application has no endpoint".to_owned());
        }
        let parts = [
            (self.filtered_by_type, "filtered by event type"),
            (self.filtered_by_channel, "filtered by channel"),
            (self.disabled, "disabled"),
            (self.unfit, "served as a provider whose envelope cannot carry it"),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        Some(format!("of {} endpoint(s): {}", self.endpoints, told.join(", ")))
    }
}

/// An event as it was accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id, constant over attempts and replays.
    pub id: EventId,
    /// Whose event it is.
    pub application: ApplicationId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened, by the platform's word.
    pub time: Timestamp,
    /// When it was accepted: the time in its id, which never goes back.
    pub accepted_at: Timestamp,
    /// The event's own data.
    pub data: Payload,
    /// Live or test.
    pub mode: Mode,
    /// Whether it is a sample, sent to one endpoint once by `Engine::test`.
    pub sample: bool,
    /// The channels it is meant for; none means all.
    pub channels: Vec<String>,
    /// The platform's own id for it, unique among the application's events while it is kept.
    pub uid: Option<String>,
    /// The platform's own words to find it by.
    pub tags: Vec<String>,
    /// The key under which a repeated emit is recognised.
    pub idempotency_key: Option<String>,
    /// Which endpoints it met.
    pub reach: Reach,
    /// Whether its data was taken out of the history; what is left of that is `{}`.
    pub expunged: bool,
}

impl Event {
    /// Takes out the data for good.
    pub fn expunge(&mut self) {
        self.data = Payload::nothing();
        self.expunged = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_checked() {
        assert!(EventType::new("card_holder.signed.pdpc").is_ok());
        for bad in ["", "order created", "a/b", "é", "a\r\n"] {
            assert!(EventType::new(bad).unwrap_err().is_invalid(), "{bad:?}");
        }
        assert!(EventType::new("a".repeat(257)).is_err());
    }

    #[test]
    fn an_event_nobody_receives_is_explained() {
        let reach = Reach { endpoints: 3, filtered_by_type: 2, disabled: 1, ..Reach::default() };
        assert_eq!(
            reach.explain().unwrap(),
            "of 3 endpoint(s): 2 filtered by event type, 1 disabled"
        );
        assert_eq!(Reach { endpoints: 1, delivered: 1, ..Reach::default() }.explain(), None);
    }
}
