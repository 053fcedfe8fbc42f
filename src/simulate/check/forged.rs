//! What the provider did not send, or not now, and a consumer has to refuse.

use super::runner::Runner;
use super::trial::{Trial, is_accepted, told};
use crate::error::Result;
use crate::model::{EventType, human_duration};
use crate::provider::{Rendered, SignatureText};
use crate::simulate::Sent;
use std::time::Duration;

/// What is added to the time that is allowed and doubled, so that nobody's clock decides.
const MARGIN: Duration = Duration::from_secs(60);

/// A webhook that nobody may act on.
pub(super) struct Forgery {
    pub what: &'static str,
    pub rendered: Rendered,
}

impl Runner {
    /// A webhook whose body was changed after it was signed.
    pub(super) fn tampered(&self, event_type: &EventType) -> Result<Forgery> {
        let draft = self.draft_of(event_type)?;
        let Rendered { headers, .. } = self.rendered(&draft)?;
        let altered = self.wire.with_data(&draft, &self.altered_data(event_type)?);
        let body = self.wire.rendered(&altered, &self.keys, 1, self.wire.now())?.body;
        let what = "a body that was changed after it was signed";
        Ok(Forgery { what, rendered: Rendered { headers, body } })
    }

    /// A webhook without its signature headers.
    pub(super) fn unsigned(&self, event_type: &EventType) -> Result<Forgery> {
        let mut rendered = self.rendered(&self.draft_of(event_type)?)?;
        let signatures: Vec<&str> = self.provider.signature_headers().collect();
        rendered.headers.retain(|(name, _)| !signatures.contains(&name.as_str()));
        Ok(Forgery { what: "a webhook without a signature", rendered })
    }

    /// A webhook that was signed with a secret of somebody else.
    pub(super) fn of_another(&self, event_type: &EventType) -> Result<Forgery> {
        let draft = self.draft_of(event_type)?;
        let keys = [self.unknown_key()?];
        let rendered = self.wire.rendered(&draft, &keys, 1, self.wire.now())?;
        Ok(Forgery { what: "a webhook signed with another secret", rendered })
    }

    async fn refuses(&mut self, forgery: Forgery) -> Result<Trial> {
        let mut trial = Trial::default();
        let sent = self.post(forgery.rendered).await;
        trial.refused(forgery.what, sent);
        Ok(trial)
    }

    pub(super) async fn refuses_tampered(&mut self) -> Result<Trial> {
        self.refuses(self.tampered(&self.usual)?).await
    }

    pub(super) async fn refuses_unsigned(&mut self) -> Result<Trial> {
        self.refuses(self.unsigned(&self.usual)?).await
    }

    pub(super) async fn refuses_wrong_secret(&mut self) -> Result<Trial> {
        self.refuses(self.of_another(&self.usual)?).await
    }

    /// A genuine webhook whose signature is changed.
    fn with_signature(&self, change: impl Fn(&SignatureText<'_>) -> String) -> Result<Rendered> {
        let Rendered { headers, body } = self.rendered(&self.draft()?)?;
        Ok(Rendered { headers: self.provider.with_signatures(headers, change), body })
    }

    pub(super) async fn refuses_wrong_encoding(&mut self) -> Result<Trial> {
        let rendered = self.with_signature(|held| held.in_another_encoding())?;
        let what = "the right signature in another encoding";
        self.refuses(Forgery { what, rendered }).await
    }

    pub(super) async fn refuses_partial_signature(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        for (what, rendered) in [
            (
                "the first half of the right signature",
                self.with_signature(|held| {
                    let half = held.text.len() / 2;
                    held.text.get(..half).unwrap_or_default().to_owned()
                })?,
            ),
            ("an empty signature", self.with_signature(|_| String::new())?),
        ] {
            let sent = self.post(rendered).await;
            trial.refused(what, sent);
        }
        // Only who knows the signature can add to it, and decoders of base64 that overlook what
        // follows the padding are common: careless, and no hole.
        let rendered = self.with_signature(|held| format!("{}0000", held.text))?;
        let what = "the right signature with more behind it";
        let sent = self.post(rendered).await;
        if is_accepted(&sent) {
            trial.flaw(format!("{what}: accepted with {}", told(&sent)));
        }
        trial.keep(what, sent);
        Ok(trial)
    }

    pub(super) async fn refuses_stale(&mut self) -> Result<Trial> {
        let allowed = self.provider.consumers().stale_after.unwrap_or_default();
        let age = allowed * 2 + MARGIN;
        let now = self.wire.now().before(age);
        let rendered = self.wire.rendered(&self.draft()?, &self.keys, 1, now)?;
        self.refuses_time(&format!("a genuine event, {} old", human_duration(age)), rendered).await
    }

    pub(super) async fn refuses_future(&mut self) -> Result<Trial> {
        let allowed = self.provider.consumers().future_after.unwrap_or_default();
        let lead = allowed * 2 + MARGIN;
        let now = self.wire.now().after(lead);
        let rendered = self.wire.rendered(&self.draft()?, &self.keys, 1, now)?;
        let what = format!("a genuine event, {} ahead", human_duration(lead));
        self.refuses_time(&what, rendered).await
    }

    async fn refuses_time(&mut self, what: &str, rendered: Rendered) -> Result<Trial> {
        let mut trial = Trial::default();
        let sent = self.post(rendered).await;
        trial.refused(what, sent);
        Ok(trial)
    }

    pub(super) async fn refuses_with_documented_status(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let usual = self.usual.clone();
        // Not without any signature: the examples on providers' own pages fail on that with a 500.
        for forgery in [self.tampered(&usual)?, self.of_another(&usual)?] {
            let sent = self.post(forgery.rendered).await;
            self.judge_status(&mut trial, forgery.what, &sent);
            trial.keep(forgery.what, sent);
        }
        Ok(trial)
    }

    fn judge_status(&self, trial: &mut Trial, what: &str, sent: &Sent) {
        let documented = self.provider.consumers();
        match &sent.result {
            Ok(answer) if documented.is_refusal(answer.status) => trial.good(told(sent)),
            _ => trial.fault(format!("{what}: {}", told(sent))),
        }
    }
}
