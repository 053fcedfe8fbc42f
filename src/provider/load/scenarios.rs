//! Scenarios: those of a provider file, and those of a file of the user's own.

use crate::error::{Error, Result};
use crate::model::EventType;
use crate::provider::Provider;
use crate::provider::profile::{ScenarioFields, StepFields};
use crate::provider::sample::Samples;
use crate::provider::scenario::{LinkedIds, Scenario, ScenarioStep, is_id_name, named};
use crate::provider::source::Source;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Steps of one scenario at most.
const STEPS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    scenario: Vec<ScenarioFields>,
}

impl Provider {
    /// Reads scenarios from the text of a file of the user's own, which has nothing but
    /// `[[scenario]]` sections; `file` is the name that errors give.
    ///
    /// # Errors
    /// Names file, line, column and field, and says what would be right.
    pub fn read_scenarios(&self, file: &str, text: &str) -> Result<Vec<Scenario>> {
        let source = Source::parse(file, text)?;
        let read: ScenarioFile = toml::from_str(text).map_err(|error| {
            source.fault_at(error.span().map_or(0, |span| span.start), error.message())
        })?;
        let check = |event_type: &str| self.check_test_event(event_type);
        let reader = Reader { source: &source, samples: &self.samples, check_test_event: &check };
        reader.scenarios(read.scenario)
    }
}

/// Reads the scenarios of one file.
pub(super) struct Reader<'a> {
    pub source: &'a Source,
    pub samples: &'a Samples,
    /// Refuses a type of which the provider sends no test events.
    pub check_test_event: &'a dyn Fn(&str) -> Result<()>,
}

impl Reader<'_> {
    pub(super) fn scenarios(&self, all: Vec<ScenarioFields>) -> Result<Vec<Scenario>> {
        let mut scenarios: Vec<Scenario> = Vec::new();
        for (index, fields) in all.into_iter().enumerate() {
            let at = format!("scenario[{index}]");
            if scenarios.iter().any(|held| held.name == fields.name) {
                return self
                    .fault(&format!("{at}.name"), "another [[scenario]] has this name already");
            }
            scenarios.push(self.scenario(&at, fields)?);
        }
        Ok(scenarios)
    }

    fn scenario(&self, at: &str, fields: ScenarioFields) -> Result<Scenario> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if fields.name.is_empty() || fields.name.len() > 64 || !fields.name.bytes().all(plain) {
            return self.fault(
                &format!("{at}.name"),
                "expected 1 to 64 small letters, digits and `-`, like `order-completed`",
            );
        }
        if let Some(name) = fields.ids.keys().find(|name| !is_id_name(name)) {
            return self.fault(
                &format!("{at}.ids.{name}"),
                "expected a name of small letters, digits and `_`, like `order`",
            );
        }
        if !(1..=STEPS_MAX).contains(&fields.steps.len()) {
            let message = format!("expected 1 to {STEPS_MAX} steps, like {{ type = \"…\" }}");
            return self.fault(&format!("{at}.steps"), message);
        }
        // Whatever their form, the ids are texts: what fits one fits all.
        let ids: LinkedIds =
            fields.ids.iter().map(|(name, form)| (name.clone(), form.example())).collect();
        let common = self.values(&format!("{at}.set"), &fields.set, &ids)?;
        let mut steps = Vec::with_capacity(fields.steps.len());
        for (index, step) in fields.steps.into_iter().enumerate() {
            steps.push(self.step(&format!("{at}.steps[{index}]"), step, &common, &ids)?);
        }
        let (name, title, source) = (fields.name, fields.title, fields.source);
        Ok(Scenario { name, title, source, steps, ids: fields.ids })
    }

    fn step(
        &self,
        at: &str,
        fields: StepFields,
        common: &[(String, Value)],
        ids: &LinkedIds,
    ) -> Result<ScenarioStep> {
        let event_type = EventType::new(fields.event_type)
            .map_err(|error| self.source.fault(&format!("{at}.type"), error))?;
        if fields.test {
            (self.check_test_event)(event_type.as_str())
                .map_err(|error| self.source.fault(&format!("{at}.type"), error))?;
        }
        let mut set = common.to_vec();
        set.extend(self.values(&format!("{at}.set"), &fields.set, ids)?);
        let after = fields.after.map_or(std::time::Duration::ZERO, |span| span.0);
        let step = ScenarioStep { event_type, after, test: fields.test, set };
        let tried = self.samples.sample(step.event_type.as_str(), &step.overrides(ids));
        match tried {
            Ok(_) => Ok(step),
            Err(error) if error.is_not_found() => self.fault(&format!("{at}.type"), error),
            Err(error) => self.fault(at, error),
        }
    }

    /// Paths and values of a `set`: tables in it lead to paths, so that `links.payment` may be
    /// written with quotes or without.
    fn values(
        &self,
        at: &str,
        table: &toml::Table,
        ids: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, Value)>> {
        let mut values = Vec::new();
        flatten(table, "", &mut values);
        let mut set = Vec::with_capacity(values.len());
        for (path, value) in values {
            let Some(value) = json(value) else {
                return self.fault(at, format!("`{path}`: expected a text, number, truth or list"));
            };
            if let Some(unknown) = named(&value).into_iter().find(|name| !ids.contains_key(*name)) {
                let known: Vec<&str> = ids.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("`{{{unknown}}}` is not among the scenario's ids: {known}");
                return self.fault(at, message);
            }
            set.push((path, value));
        }
        Ok(set)
    }

    fn fault<T>(&self, path: &str, message: impl std::fmt::Display) -> Result<T> {
        Err::<T, Error>(self.source.fault(path, message))
    }
}

fn flatten<'a>(table: &'a toml::Table, prefix: &str, to: &mut Vec<(String, &'a toml::Value)>) {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) => flatten(inner, &format!("{path}."), to),
            value => to.push((path, value)),
        }
    }
}

fn json(value: &toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Array(values) => values.iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    })
}
