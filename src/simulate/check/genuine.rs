//! What the provider might send, and a consumer has to take.

use super::effects::ended;
use super::forms::{Form, Json};
use super::rules::latest_retry;
use super::runner::{Runner, unusable};
use super::trial::{self, Trial, is_accepted};
use crate::chance::Chance;
use crate::error::Result;
use crate::model::{EventType, Mode, Payload, RawJson, human_duration};
use crate::provider::Rendered;
use crate::simulate::wire::Draft;
use serde_json::json;
use std::sync::Arc;

/// A member that no provider sends.
const NEW_MEMBER: &str = "hookwheel_new_member";
/// The query of an endpoint's own, before a challenge adds to it.
const OWN_QUERY: &str = "source=hookwheel";
/// Events in one webhook.
pub(super) const BATCH: usize = 3;
/// Digits that tell things apart.
const DIGITS: usize = 9;

impl Runner {
    pub(super) async fn accepts_valid(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let rendered = self.rendered(&self.draft()?)?;
        let sent = self.post_genuine(rendered).await;
        let is_accepted = trial::is_success(&self.provider, &sent);
        if !is_accepted {
            self.note_refusal(&sent);
        }
        match &sent.result {
            Ok(answer) if (400..500).contains(&answer.status) && !self.keys.is_empty() => {
                trial.fault(format!("a genuine event: {}; {}", trial::told(&sent), self.hint()));
                trial.keep("a genuine event", sent);
            }
            _ => {
                trial.accepted(&self.provider, "a genuine event", sent);
            }
        }
        Ok(trial)
    }

    /// Why somebody may refuse what is genuine.
    fn hint(&self) -> String {
        let title = self.provider.title();
        let mut hint = "is the secret that was given the one that it verifies with?".to_owned();
        if self.provider.signature_is_ours() {
            hint.push_str(&format!(
                " {title} does not say what it signs and how that is written: hookwheel's form \
                 may be another than yours"
            ));
        }
        hint
    }

    pub(super) async fn accepts_whitespace(&mut self) -> Result<Trial> {
        let what = "a genuine event with spaces and line breaks in its JSON";
        self.accepts_form(what, Form::Spaced).await
    }

    pub(super) async fn accepts_key_order(&mut self) -> Result<Trial> {
        let what = "a genuine event with its members in reverse order";
        self.accepts_form(what, Form::Reversed).await
    }

    pub(super) async fn accepts_unicode_escapes(&mut self) -> Result<Trial> {
        let what = "a genuine event with letters written as `\\u0065`, and `/` as `\\/`";
        self.accepts_form(what, Form::Escaped).await
    }

    async fn accepts_form(&mut self, what: &str, form: Form) -> Result<Trial> {
        let mut trial = Trial::default();
        let draft = self.draft()?;
        let body = self.json(&draft)?.written(form);
        self.try_genuine(&mut trial, what, self.signed(&draft, body)?).await;
        Ok(trial)
    }

    pub(super) async fn accepts_number_forms(&mut self) -> Result<Trial> {
        let types: Vec<EventType> = self.provider.event_types().cloned().collect();
        let usual = [self.usual.clone()];
        for event_type in usual.iter().chain(&types) {
            let Ok(event) = self.event(event_type, &[]) else { continue };
            if !self.json(&self.wire.draft(vec![event])?)?.has_whole_number() {
                continue;
            }
            let mut trial = Trial::default();
            for (what, form) in [
                ("a genuine event with `.0` behind its whole numbers", Form::Fractions),
                ("a genuine event with whole numbers like `1.5e3`", Form::Exponents),
            ] {
                let draft = self.wire.draft(vec![self.event(event_type, &[])?])?;
                let body = self.json(&draft)?.written(form);
                self.try_genuine(&mut trial, what, self.signed(&draft, body)?).await;
            }
            return Ok(trial);
        }
        Ok(Trial::moot("no sample of its events has a whole number"))
    }

    pub(super) async fn accepts_trailing_newline(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let draft = self.draft()?;
        let mut body = self.rendered(&draft)?.body.to_vec();
        body.push(b'\n');
        let rendered = self.signed(&draft, body)?;
        self.try_genuine(&mut trial, "a genuine event with a newline at its end", rendered).await;
        Ok(trial)
    }

    pub(super) async fn accepts_charset_parameter(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let mut rendered = self.rendered(&self.draft()?)?;
        for (name, value) in &mut rendered.headers {
            if name.eq_ignore_ascii_case("Content-Type") && !value.contains(';') {
                value.push_str("; charset=utf-8");
            }
        }
        let what = "a genuine event with a charset in its Content-Type";
        self.try_genuine(&mut trial, what, rendered).await;
        Ok(trial)
    }

    pub(super) async fn accepts_both_secrets(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let now = self.wire.now();
        if self.provider.rotation_overlaps() {
            let other = self.unknown_key()?;
            // The newest signs first: with the other one newer, the known signature comes second.
            let known: Vec<_> = self.keys.clone();
            let second = [known.as_slice(), std::slice::from_ref(&other)].concat();
            let first = [&[other], known.as_slice()].concat();
            for (what, keys) in [
                ("an unknown secret's signature, then the right one", second),
                ("the right signature, then an unknown secret's", first),
            ] {
                let rendered = self.wire.rendered(&self.draft()?, &keys, 1, now)?;
                self.try_genuine(&mut trial, what, rendered).await;
            }
        }
        if !self.old_keys.is_empty() {
            for (what, keys) in [
                ("signed with the old secret", self.old_keys.clone()),
                ("signed with the new secret", self.keys.clone()),
            ] {
                let rendered = self.wire.rendered(&self.draft()?, &keys, 1, now)?;
                self.try_genuine(&mut trial, what, rendered).await;
            }
        }
        Ok(trial)
    }

    pub(super) async fn accepts_unknown_event(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let family = self.usual.as_str().split('.').next().unwrap_or_default();
        for unknown in [format!("{family}.unheard_of"), "unheard_of.created".to_owned()] {
            let unknown = EventType::new(unknown)?;
            let data = self.data(&self.usual, &[])?;
            let event = self.wire.event(&unknown, data, Mode::Live)?;
            let rendered = self.rendered(&self.wire.draft(vec![event])?)?;
            let what = format!("a genuine event of the new type `{unknown}`");
            self.try_genuine(&mut trial, &what, rendered).await;
        }
        Ok(trial)
    }

    pub(super) async fn accepts_unknown_fields(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let new =
            (NEW_MEMBER.to_owned(), json!({"note": "added later", "list": [1, null, true]}).into());
        let in_data = self.wire.draft(vec![self.event(&self.usual, &[new])?])?;
        let what = "a genuine event with a new member in its data";
        self.try_genuine(&mut trial, what, self.rendered(&in_data)?).await;

        let draft = self.draft()?;
        let Json::Object(mut members) = self.json(&draft)? else {
            return Err(unusable("a body that is no object"));
        };
        members.push((NEW_MEMBER.to_owned(), Json::Text("added later".to_owned())));
        let rendered = self.signed(&draft, Json::Object(members).written(Form::Plain))?;
        let what = "a genuine event with a new member in its body";
        self.try_genuine(&mut trial, what, rendered).await;
        Ok(trial)
    }

    pub(super) async fn accepts_out_of_order(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let sequence = self.provider.consumers().sequence.clone();
        let mark = self.fresh_digits()?;
        let mut drafts = Vec::with_capacity(sequence.len());
        for (event_type, path) in &sequence {
            let sample = self.provider.sample(event_type.as_str(), &self.overrides)?;
            let thing = Json::read(sample.as_str().as_bytes());
            let thing = thing.as_ref().and_then(|held| held.text_at(path)).unwrap_or_default();
            let named = (path.clone(), RawJson::from(renamed(thing, &mark)));
            let event = self.event(event_type, &[named])?;
            drafts.push((event_type, self.wire.draft(vec![event])?));
        }
        for (event_type, draft) in drafts.iter().rev() {
            let what = format!("`{event_type}`, of what happened in another order");
            self.try_genuine(&mut trial, &what, self.rendered(draft)?).await;
        }
        Ok(trial)
    }

    pub(super) async fn accepts_batch(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let others = self.provider.event_types().filter(|held| **held != self.usual);
        let types: Vec<EventType> = [&self.usual].into_iter().chain(others).cloned().collect();
        let fitting = types.iter().filter_map(|event_type| self.event(event_type, &[]).ok());
        let events: Vec<_> = fitting.take(self.batch_size()).collect();
        let what = format!("a webhook with {} events", events.len());
        let rendered = self.rendered(&self.wire.draft(events)?)?;
        self.try_genuine(&mut trial, &what, rendered).await;
        let judged = self.judge_effects_of_batch(&mut trial).await;
        ended(trial, judged)
    }

    pub(super) async fn accepts_late_retry(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let age = latest_retry(&self.provider);
        let now = self.wire.now();
        let draft = self.draft()?.happened(now.before(age));
        let last = self.provider.schedule().attempts();
        let rendered = self.wire.rendered(&draft, &self.keys, last, now)?;
        let what = format!("an event that happened {} ago, signed now", human_duration(age));
        self.try_genuine(&mut trial, &what, rendered).await;
        Ok(trial)
    }

    pub(super) async fn accepts_duplicates(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let draft = self.draft()?;
        for (attempt, what) in [(1, "an event"), (2, "the same event again")] {
            let rendered = self.wire.rendered(&draft, &self.keys, attempt, self.wire.now())?;
            self.try_genuine(&mut trial, what, rendered).await;
        }
        Ok(trial)
    }

    pub(super) async fn reports_own_errors(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let draft = self.draft()?;
        let body = self.rendered(&draft)?.body;
        let half = body.slice(..body.len() / 2);
        for (what, body) in [
            ("a body that is half of its JSON, signed", half),
            ("a body that is `null`, signed", "null".into()),
        ] {
            let sent = self.post(self.signed(&draft, body)?).await;
            if is_accepted(&sent) {
                trial.fault(format!(
                    "{what}: answered with {}: right for a consumer that only verifies and queues \
                     before it answers, if its queue tells somebody of the error; else the event \
                     is lost",
                    trial::told(&sent)
                ));
                trial.keep(what, sent);
            } else {
                trial.refused(what, sent);
            }
        }
        Ok(trial)
    }

    pub(super) async fn answers_challenge(&mut self, with_query: bool) -> Result<Trial> {
        let mut trial = Trial::default();
        let provider = Arc::clone(&self.provider);
        let (Some(challenge), Some(key)) = (provider.challenge(), self.keys.first().cloned())
        else {
            return Ok(Trial::moot(format!("{} does not challenge", provider.title())));
        };
        let url = match with_query {
            true if self.wire.url().contains('?') => format!("{}&{OWN_QUERY}", self.wire.url()),
            true => format!("{}?{OWN_QUERY}", self.wire.url()),
            false => self.wire.url().to_owned(),
        };
        let request = challenge.request(&url, &challenge.token(&Chance::system())?);
        let headers = request.headers.clone();
        let sent = self.get(request.url.clone(), headers).await;
        match &sent.result {
            Ok(answer) => match challenge.check(&request, answer, &key) {
                Ok(()) => trial.good(trial::told(&sent)),
                Err(error) => trial.fault(error.to_string()),
            },
            Err(_) => trial.fault(trial::told(&sent)),
        }
        trial.keep("a challenge", sent);
        Ok(trial)
    }

    /// Posts something genuine, and judges the answer.
    pub(super) async fn try_genuine(
        &mut self,
        trial: &mut Trial,
        what: &str,
        rendered: Rendered,
    ) -> bool {
        let sent = self.post_genuine(rendered).await;
        trial.accepted(&self.provider, what, sent)
    }

    /// The body of a webhook, to be written anew.
    pub(super) fn json(&self, draft: &Draft) -> Result<Json> {
        Json::read(&self.rendered(draft)?.body).ok_or_else(|| unusable("a body that is no JSON"))
    }

    /// Digits that are hardly used twice, to tell things apart by.
    pub(super) fn fresh_digits(&self) -> Result<String> {
        let digits = self.wire.id()?.as_u128().to_string();
        Ok(digits.get(digits.len().saturating_sub(DIGITS)..).unwrap_or_default().to_owned())
    }

    /// The data of an event of this type with one value in it changed.
    pub(super) fn altered_data(&self, event_type: &EventType) -> Result<Payload> {
        let data = self.data(event_type, &[])?;
        let mut json =
            Json::read(data.as_str().as_bytes()).ok_or_else(|| unusable("data that is no JSON"))?;
        if !json.alter() {
            return Payload::from_value(&json!({ NEW_MEMBER: "added by somebody else" }));
        }
        Payload::from_text(json.written(Form::Plain))
    }
}

/// The name of another thing of the same kind: as long, where that leaves its prefix whole.
pub(super) fn renamed(thing: &str, digits: &str) -> String {
    let prefix = thing.rfind(['_', '-']).map_or(0, |at| at + 1);
    let kept = thing.len().saturating_sub(digits.len()).max(prefix);
    // What is that short is no prefix: the `10` of OpenCard's samples.
    let kept = if kept < 2 { thing.len() } else { kept };
    format!("{}{digits}", thing.get(..kept).unwrap_or(thing))
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn another_thing_has_a_name_of_the_same_form() {
        for (thing, other) in [
            ("ord_x9k2m7n4p", "ord_123456789"),
            ("comm_7r8s9t0u", "comm_123456789"),
            ("MD000ZQT5CPCVV", "MD000123456789"),
            ("1f81eb52-5198-4599-803e-771906343485", "1f81eb52-5198-4599-803e-771123456789"),
            ("10", "10123456789"),
            ("", "123456789"),
            ("ünïcödë", "ü123456789"),
        ] {
            assert_eq!(renamed(thing, "123456789"), other);
        }
    }
}
