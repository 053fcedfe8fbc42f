//! The schedule and the challenge.

use super::Loader;
use crate::error::{Error, Result};
use crate::provider::challenge::Challenge;
use crate::provider::profile::{ChallengeFields, Retries};
use crate::provider::template::{Template, Token};
use crate::provider::value::Span;
use crate::schedule::{Growth, Schedule, Throttle};

impl Loader<'_> {
    fn growth(&self, path: &str, first: Span, factor: f64, cap: Span) -> Result<Growth> {
        if !(1.0..=100.0).contains(&factor) {
            return self.fault(&format!("{path}.factor"), "expected a number from 1 to 100");
        }
        if first.0.is_zero() || first > cap {
            return self.fault(&format!("{path}.first"), "expected more than nothing, up to `cap`");
        }
        Ok(Growth { first: first.0, factor, cap: cap.0 })
    }

    pub(super) fn schedule(&self, retries: Retries) -> Result<Schedule> {
        let at = |path: &'static str| move |error: Error| self.source.fault(path, error);
        let schedule = match (retries.delays, retries.exponential) {
            (Some(delays), None) => {
                Schedule::table(delays.into_iter().map(|delay| delay.0).collect())
                    .map_err(at("schedule.delays"))?
            }
            (None, Some(e)) => {
                let growth = self.growth("schedule.exponential", e.first, e.factor, e.cap)?;
                if e.attempts == 0 {
                    return self.fault("schedule.exponential.attempts", "expected at least 1");
                }
                Schedule::growing(growth, e.attempts)
                    .map_err(at("schedule.exponential.attempts"))?
            }
            _ => return self.fault("schedule", "expected either `delays` or `exponential`"),
        };
        let mut schedule = schedule.with_jitter(retries.jitter).map_err(at("schedule.jitter"))?;
        if let Some(max) = retries.retry_after_max {
            schedule = schedule.with_retry_after(max.0);
        }
        if let Some(throttle) = retries.throttle {
            if let Some(index) = throttle.statuses.iter().position(|s| !(300..600).contains(s)) {
                return self.fault(
                    &format!("schedule.throttle.statuses[{index}]"),
                    "expected a status of a failure, like 429",
                );
            }
            schedule = schedule.with_throttle(Throttle {
                statuses: throttle.statuses,
                delay_min: throttle.delay.0,
            });
        }
        Ok(schedule)
    }

    pub(super) fn challenge(&self, fields: ChallengeFields, signs: bool) -> Result<Challenge> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&fields.query.len()) || !fields.query.bytes().all(plain) {
            return self.fault("challenge.query", "expected 1 to 64 letters, digits, `_` and `-`");
        }
        if !(16..=256).contains(&fields.characters) {
            return self.fault("challenge.characters", "expected 16 to 256");
        }
        if let Some(index) = fields.success.iter().position(|range| range.is_no_success()) {
            let path = format!("challenge.success[{index}]");
            return self.fault(&path, "only statuses from 200 to 299 can be a success");
        }
        if fields.success.is_empty() {
            return self.fault("challenge.success", "expected at least one, like \"2xx\"");
        }
        if !signs {
            return self.fault("challenge", "an answer is signed with a secret: add a [[sign]]");
        }
        self.check_header_names("challenge.headers", &fields.headers, 0)?;
        let answer = &fields.answer.content;
        if answer.tokens().any(|token| *token != Token::Challenge) || answer.tokens().count() == 0 {
            return self
                .fault("challenge.answer.content", "expected {challenge} and no other token");
        }
        let fixed = |template: &Template| {
            let mut text = Vec::new();
            template.fill(|_| None, |piece| text.extend_from_slice(piece)).ok()?;
            String::from_utf8(text).ok()
        };
        let mut headers = Vec::new();
        for (index, (name, template)) in fields.headers.into_iter().enumerate() {
            let path = format!("challenge.headers[{index}]");
            self.check_header_value(&path, &template)?;
            let Some(text) = fixed(&template) else {
                return self.fault(&path, "no token but {version} can stand here");
            };
            headers.push((name.0, text));
        }
        let probe = &fields.probe;
        Ok(Challenge {
            moments: fields.on,
            query: fields.query,
            characters: fields.characters,
            headers,
            success: fields.success,
            probe: self.growth("challenge.probe", probe.first, probe.factor, probe.cap)?,
            answer_header: fields.answer.header.0,
            answer: fields.answer.content,
            encoding: fields.answer.encoding,
        })
    }
}
