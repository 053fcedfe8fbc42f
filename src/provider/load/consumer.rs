//! What consumers are asked to do, checked against the rest of the file.

use super::Loader;
use crate::error::Result;
use crate::provider::consumer::{Consumers, Rule, Subject};
use crate::provider::envelope::Expression;
use crate::provider::profile::{ConsumerFields, Profile, RuleFields};
use crate::provider::sample::Samples;
use crate::provider::template::Token;

impl Loader<'_> {
    pub(super) fn consumers(&self, profile: &Profile, samples: &Samples) -> Result<Consumers> {
        let Some(fields) = &profile.consumer else {
            return Ok(Consumers::default());
        };
        for (field, set) in
            [("stale_after", fields.stale_after), ("future_after", fields.future_after)]
        {
            let path = format!("consumer.{field}");
            if set.is_some() && !carries_time(profile) {
                let message = "no header and no field of the body tells when the webhook was sent";
                return self.fault(&path, message);
            }
            if set.is_some_and(|span| span.0.is_zero()) {
                return self.fault(&path, "expected more than nothing, like \"5m\"");
            }
        }
        if fields.duplicates.as_deref().is_some_and(|name| !is_on_wire(profile, name)) {
            let message = "expected a header of request.headers, or a field of the envelope";
            return self.fault("consumer.duplicates", message);
        }
        for (index, range) in fields.refusal.iter().enumerate() {
            if range.contains(200) {
                let path = format!("consumer.refusal[{index}]");
                return self.fault(&path, "a success refuses nothing");
            }
        }
        if fields.own.as_deref().is_some_and(|path| !is_path(path)) {
            return self.fault("consumer.own", "expected a dotted path, like \"metadata.shop\"");
        }
        if let Some(index) = fields.things.iter().position(|path| !is_path(path)) {
            let path = format!("consumer.things[{index}]");
            return self.fault(&path, "expected a dotted path, like \"orderId\"");
        }
        Ok(Consumers {
            stale_after: fields.stale_after.map(|span| span.0),
            future_after: fields.future_after.map(|span| span.0),
            duplicates: fields.duplicates.clone(),
            own: fields.own.clone(),
            things: fields.things.clone(),
            sequence: self.sequence(fields, samples)?,
            rules: self.rules(&fields.rule)?,
            refusal: fields.refusal.clone(),
        })
    }

    fn sequence(
        &self,
        fields: &ConsumerFields,
        samples: &Samples,
    ) -> Result<Vec<(crate::model::EventType, String)>> {
        if fields.sequence.len() == 1 {
            return self.fault("consumer.sequence", "expected at least two events");
        }
        let mut sequence = Vec::with_capacity(fields.sequence.len());
        for (index, (name, path)) in fields.sequence.iter().enumerate() {
            let place = format!("consumer.sequence[{index}]");
            let Some(sample) = samples.samples.iter().find(|held| held.event_type.as_str() == name)
            else {
                return self.fault(&place, "expected the type of a [[sample]]");
            };
            if !is_path(path) {
                return self.fault(&place, "expected a dotted path, like \"orderId\"");
            }
            sequence.push((sample.event_type.clone(), path.clone()));
        }
        Ok(sequence)
    }

    fn rules(&self, fields: &[RuleFields]) -> Result<Vec<Rule>> {
        let mut said: Vec<Subject> = Vec::new();
        for (index, rule) in fields.iter().enumerate() {
            let path = |field: &str| format!("consumer.rule[{index}].{field}");
            if rule.about.is_empty() || rule.about.iter().any(|subject| said.contains(subject)) {
                let message = "expected at least one subject that no other rule is about";
                return self.fault(&path("about"), message);
            }
            said.extend(&rule.about);
            let https = |url: &String| url.starts_with("https://");
            if rule.url.as_ref().is_some_and(|url| !https(url)) {
                return self.fault(&path("url"), "expected an address that begins with `https://`");
            }
        }
        let rule = |fields: &RuleFields| Rule {
            about: fields.about.clone(),
            section: fields.section.clone(),
            url: fields.url.clone(),
            words: fields.words.clone(),
            must: fields.must,
        };
        Ok(fields.iter().map(rule).collect())
    }
}

/// Whether a webhook says when it was sent, where its signature covers that.
fn carries_time(profile: &Profile) -> bool {
    let time = |token: &Token| matches!(token, Token::Timestamp(_));
    let signed = profile.sign.iter().any(|sign| sign.content.tokens().any(time));
    let in_body = |(_, held): &(String, Expression)| matches!(held, Expression::AttemptTime(_));
    let envelope = &profile.envelope;
    signed || envelope.fields.iter().chain(envelope.item.iter().flatten()).any(in_body)
}

fn is_on_wire(profile: &Profile, name: &str) -> bool {
    let header = profile.request.headers.iter().any(|(held, _)| held.0.eq_ignore_ascii_case(name));
    let mut fields = profile.envelope.fields.iter().chain(profile.envelope.item.iter().flatten());
    header || fields.any(|(path, _)| path == name)
}

fn is_path(text: &str) -> bool {
    text.len() <= 256 && text.split('.').all(|step| !step.is_empty())
}
