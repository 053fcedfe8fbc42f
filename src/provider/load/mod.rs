//! From the text of a provider file to a [`Provider`]: checks what the types of single fields cannot,
//! and compiles.

mod body;
mod consumer;
mod headers;
mod request;
mod retries;
mod samples;
mod scenarios;

use crate::error::Result;
use crate::provider::envelope::{Expression, Fields, Ids};
use crate::provider::profile::{Exhausted, Gone, Profile, Rotation};
use crate::provider::source::{Mark, Source};
use crate::provider::value::TimeFormat;
use crate::provider::{Delivery, Provider, check_test_event, describe};
use std::fmt::Display;

pub(super) fn load(file: &str, text: &str) -> Result<Provider> {
    let source = Source::parse(file, text)?;
    let profile: Profile = toml::from_str(text).map_err(|error| {
        source.fault_at(error.span().map_or(0, |span| span.start), error.message())
    })?;
    let description = describe::describe(&source, &profile);
    Loader { source: &source }.provider(profile, description)
}

struct Loader<'a> {
    source: &'a Source,
}

impl Loader<'_> {
    fn fault<T>(&self, path: &str, message: impl Display) -> Result<T> {
        Err(self.source.fault(path, message))
    }

    fn provider(&self, profile: Profile, description: describe::Description) -> Result<Provider> {
        self.check_name(&profile.name)?;
        self.check_title(&profile.title)?;
        self.check_request(&profile)?;
        let samples = self.samples(&profile)?;
        let test_event = self.test_event(&profile, &samples)?;
        let consumers = self.consumers(&profile, &samples)?;
        let (title, test_only) = (profile.title, profile.test.only);
        let check = |event_type: &str| check_test_event(&title, test_only.as_deref(), event_type);
        let scenarios =
            scenarios::Reader { source: self.source, samples: &samples, check_test_event: &check }
                .scenarios(profile.scenario)?;
        let body_time = attempt_time(&profile.envelope.fields);
        let batches = profile.envelope.batch_max.is_some();
        let overlaps = profile.secret.rotation == Rotation::Overlap;
        let headers = profile.request.headers.into_iter().map(|(name, value)| (name.0, value));
        let is_ours = |index: usize| {
            let ours = |field: &str| {
                let path = format!("sign[{index}].{field}");
                self.source.sets(&path) && matches!(self.source.mark(&path), Mark::Ours(_))
            };
            ours("content") || ours("encoding")
        };
        let envelope = &profile.envelope;
        let mut fields = envelope.fields.iter().chain(envelope.item.iter().flatten());
        let carries_event_time = fields.any(|(_, held)| matches!(held, Expression::EventTime(_)));
        let signs = !profile.sign.is_empty();
        let signature_is_ours = (0..profile.sign.len()).any(is_ours);
        let provider = Provider {
            headers: headers.collect(),
            signature_is_ours,
            carries_event_time,
            signing: self.signing(profile.sign, overlaps)?,
            body: self.body(&profile.envelope)?,
            body_time: body_time.filter(|_| !batches),
            ids: Ids {
                webhook: profile.ids.webhook.unwrap_or_else(|| profile.ids.event.clone()),
                event: profile.ids.event,
                test_event: profile.ids.test_event,
            },
            schedule: self.schedule(profile.schedule)?,
            secret_owner: profile.secret.owner,
            secret_shown: profile.secret.shown,
            challenge: profile.challenge.map(|fields| self.challenge(fields, signs)).transpose()?,
            delivery: Delivery {
                success: profile.delivery.success,
                timeout: profile.delivery.timeout.0,
                https_only: profile.delivery.https_only,
                client_certificate: profile.delivery.client_certificate,
                authentications: profile.delivery.authentication,
                parks: profile.delivery.exhausted == Exhausted::Park,
                disables_gone: profile.delivery.gone == Gone::Disable,
            },
            name: profile.name,
            title,
            source: profile.source,
            test_event,
            test_only,
            samples,
            consumers,
            scenarios,
            description,
        };
        self.check_samples_fit(&provider)?;
        Ok(provider)
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
            return Ok(());
        }
        self.fault("name", "expected 1 to 64 small letters, digits and `-`, like `my-provider`")
    }

    fn check_title(&self, title: &str) -> Result<()> {
        if (1..=128).contains(&title.len()) && !title.chars().any(char::is_control) {
            return Ok(());
        }
        self.fault("title", "expected 1 to 128 bytes without control characters")
    }
}

/// Where the fields of a body carry the attempt's time.
fn attempt_time(fields: &Fields) -> Option<(String, TimeFormat)> {
    fields.iter().find_map(|(path, expression)| match expression {
        Expression::AttemptTime(format) => Some((path.clone(), *format)),
        _ => None,
    })
}
