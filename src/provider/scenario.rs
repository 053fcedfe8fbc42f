//! Scenarios: events that belong together, one after the other, with ids that link them.

use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::{EventType, RawJson};
use crate::provider::Provider;
use crate::provider::wire_id::WireId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A story that a provider tells by its events, such as an order that is placed, paid and settled.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, like `order-completed`.
    pub name: String,
    /// What happens, for people.
    pub title: String,
    /// The section of the provider's page that tells of it.
    pub source: String,
    /// What happens, in order.
    pub steps: Vec<ScenarioStep>,
    /// Ids that are made anew each time it is played.
    pub(super) ids: BTreeMap<String, WireId>,
}

/// One event of a scenario.
#[derive(Clone, Debug)]
pub struct ScenarioStep {
    /// Its type; the provider has a sample of it.
    pub event_type: EventType,
    /// How long after the first attempt of the one before it happens, by the schedule's time.
    pub after: Duration,
    /// Whether it is a test event: marked as one in the provider's way, and sent once.
    pub test: bool,
    /// Values on top of the sample, by path; `{name}` in a text stands for an id.
    pub(super) set: Vec<(String, Value)>,
}

/// The ids of one time that a scenario is played.
pub type LinkedIds = BTreeMap<String, String>;

impl Scenario {
    /// Ids for playing it once more, drawn from `chance`.
    ///
    /// # Errors
    /// Fails when the system has no random numbers.
    pub fn make_ids(&self, chance: &Chance) -> Result<LinkedIds> {
        let make = |(name, form): (&String, &WireId)| {
            let mut bytes = [0; 16];
            chance.fill("linked id", &mut bytes)?;
            Ok((name.clone(), form.short(u128::from_be_bytes(bytes))))
        };
        self.ids.iter().map(make).collect()
    }
}

impl ScenarioStep {
    /// The values to set on top of the sample, with `ids` put in.
    pub fn overrides(&self, ids: &LinkedIds) -> Vec<(String, RawJson)> {
        let fill = |(path, value): &(String, Value)| (path.clone(), filled(value, ids).into());
        self.set.iter().map(fill).collect()
    }
}

impl Provider {
    /// The scenarios of this provider's file, in its order.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// The scenario called `name`.
    ///
    /// # Errors
    /// Refuses an unknown name, giving the known ones.
    pub fn scenario(&self, name: &str) -> Result<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.scenarios.iter().map(|held| held.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::not_found(format!(
                "scenario `{}` is unknown to {}: known are {known}; one of your own is a file \
                 that ends in .toml",
                name.chars().take(64).collect::<String>().escape_debug(),
                self.title
            ))
        })
    }
}

fn filled(value: &Value, ids: &LinkedIds) -> Value {
    match value {
        Value::String(text) => {
            let put = |text: String, (name, id): (&String, &String)| {
                text.replace(&format!("{{{name}}}"), id)
            };
            Value::String(ids.iter().fold(text.clone(), put))
        }
        Value::Array(values) => values.iter().map(|value| filled(value, ids)).collect(),
        other => other.clone(),
    }
}

/// The names in braces that the texts of `value` hold: what is meant to be an id.
pub(super) fn named(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
            .filter(|name| is_id_name(name))
            .collect(),
        Value::Array(values) => values.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

/// Whether an id of a scenario may have this name.
pub(super) fn is_id_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= 32 && name.bytes().all(plain)
}
