//! Sample events and the test event.

use super::Loader;
use crate::error::Result;
use crate::model::{ApplicationId, Event, EventId, EventType, Mode, Payload, Reach, Timestamp};
use crate::provider::Provider;
use crate::provider::envelope::{Expression, Fields};
use crate::provider::json;
use crate::provider::profile::{Profile, SampleFields};
use crate::provider::sample::{Sample, Samples};
use uuid::Uuid;

impl Loader<'_> {
    pub(super) fn samples(&self, profile: &Profile) -> Result<Samples> {
        let mut samples: Vec<Sample> = Vec::new();
        for (index, fields) in profile.sample.iter().enumerate() {
            let path = |field: &str| format!("sample[{index}].{field}");
            let event_type = EventType::new(fields.event_type.as_str())
                .map_err(|error| self.source.fault(&path("type"), error))?;
            if samples.iter().any(|held| held.event_type == event_type) {
                return self.fault(&path("type"), "another [[sample]] has this type already");
            }
            let data = Payload::from_text(fields.data.as_str())
                .map_err(|error| self.source.fault(&path("data"), error))?;
            samples.push(Sample {
                event_type,
                data: data.as_str().to_owned(),
                variants: self.sample_variants(profile, fields, &path("variants"))?,
            });
        }
        let variants = profile.variants.as_ref();
        Ok(Samples {
            variants: variants.map(|fields| (fields.member.clone(), fields.by.clone())),
            data_path: data_path(
                profile.envelope.item.as_ref().unwrap_or(&profile.envelope.fields),
            ),
            samples,
        })
    }

    /// Refuses a sample that the envelope cannot carry: its event could never be sent.
    pub(super) fn check_samples_fit(&self, provider: &Provider) -> Result<()> {
        for (index, event_type) in provider.event_types().enumerate() {
            let at = |error| self.source.fault(&format!("sample[{index}]"), error);
            let event = Event {
                id: EventId::from_uuid(Uuid::nil()),
                application: ApplicationId::from_uuid(Uuid::nil()),
                event_type: event_type.clone(),
                time: Timestamp::EPOCH,
                accepted_at: Timestamp::EPOCH,
                data: provider.sample(event_type.as_str(), &[]).map_err(at)?,
                mode: Mode::Live,
                sample: true,
                channels: Vec::new(),
                uid: None,
                tags: Vec::new(),
                idempotency_key: None,
                reach: Reach::default(),
                expunged: false,
            };
            provider.check_event(&event).map_err(at)?;
        }
        Ok(())
    }

    fn sample_variants(
        &self,
        profile: &Profile,
        fields: &SampleFields,
        path: &str,
    ) -> Result<Vec<String>> {
        let Some(lines) = &fields.variants else {
            return Ok(Vec::new());
        };
        let Some(by) = profile.variants.as_ref().map(|variants| &variants.by) else {
            return self.fault(path, "variants need [variants], which says what they fill");
        };
        let mut variants = Vec::new();
        for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
        {
            let number = number + 1;
            let variant = Payload::from_text(line)
                .map_err(|error| self.source.fault(path, format!("line {number}: {error}")))?;
            if let Some(missing) = by.iter().find(|by| json::get(variant.as_str(), &[by]).is_none())
            {
                return self.fault(path, format!("line {number}: member `{missing}` is missing"));
            }
            variants.push(variant.as_str().to_owned());
        }
        Ok(variants)
    }

    pub(super) fn test_event(&self, profile: &Profile, samples: &Samples) -> Result<EventType> {
        let known =
            |name: &str| samples.samples.iter().find(|held| held.event_type.as_str() == name);
        for (index, name) in profile.test.only.iter().flatten().enumerate() {
            if known(name).is_none() {
                let path = format!("test.only[{index}]");
                return self.fault(&path, "expected the type of a [[sample]]");
            }
        }
        match known(&profile.test.event) {
            Some(sample) => Ok(sample.event_type.clone()),
            None => self.fault("test.event", "expected the type of a [[sample]]"),
        }
    }
}

/// What the fields call the event's data; `None` where its members stand among them.
fn data_path(fields: &Fields) -> Option<Vec<String>> {
    let (path, _) = fields
        .iter()
        .find(|(path, expression)| *expression == Expression::EventData && path != "*")?;
    Some(path.split('.').map(str::to_owned).collect())
}
