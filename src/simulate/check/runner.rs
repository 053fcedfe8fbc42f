//! Making checks: the consumer's side of the wire, what was learnt of it, and one check after
//! another.

use super::Conformance;
use super::effects::Effect;
use super::forms::Json;
use super::genuine::renamed;
use super::list::Check;
use super::mask::Mask;
use super::probe::Probe;
use super::report::{CheckResult, ConformanceReport, Verdict};
use super::rules::{self, PlannedCheck};
use super::trial::{self, Outcome, Trial};
use crate::error::{Error, Result};
use crate::model::{Event, EventType, FailureKind, Mode, Payload, RawJson, Secret, Timestamp};
use crate::provider::{Provider, Rendered, SigningKey};
use crate::simulate::Sent;
use crate::simulate::wire::{Draft, Wire};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The shortest and the longest patience with an answer that is late already.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// A consumer that is being checked.
pub(super) struct Runner {
    pub provider: Arc<Provider>,
    pub wire: Arc<Wire>,
    /// The key of the secret; none for a provider that does not sign.
    pub keys: Vec<SigningKey>,
    /// The key of the secret that is being replaced.
    pub old_keys: Vec<SigningKey>,
    pub overrides: Vec<(String, RawJson)>,
    pub probe: Option<Probe>,
    /// How long it may take until an effect shows, if somebody said so.
    pub effects_within: Option<Duration>,
    /// The types that the user says have effects.
    pub named: Vec<EventType>,
    /// The type of the events that are sent where any would do.
    pub usual: EventType,
    /// The longest that an answer to a genuine event has taken.
    pub slowest: Duration,
    /// Whether there was a connection to the endpoint.
    pub reached: bool,
    /// Whether a request got no answer, however long that was waited for.
    hangs: bool,
    /// The longest that any answer has taken.
    slowest_answer: Duration,
    /// Which event has an effect, and how soon; `Some(None)` when none has.
    pub effect: Option<Option<Effect>>,
    /// Why nothing but the first event can be judged, once that is known.
    refuses_all: Option<String>,
    standard: Arc<Provider>,
    /// What no result may show.
    mask: Mask,
    has_old_secret: bool,
    url: String,
    began: Timestamp,
}

impl Runner {
    pub(super) fn prepare(conformance: Conformance) -> Result<Self> {
        let providers = conformance.providers()?;
        let provider = providers.get(&conformance.provider)?;
        let wire = Wire::new(provider.clone(), &conformance.url, conformance.settings)?
            .with_headers(conformance.headers.clone())?;
        let keys_of = |secret: &Secret| -> Result<Vec<SigningKey>> {
            if provider.schemes().next().is_none() {
                return Ok(Vec::new());
            }
            Ok(vec![provider.signing_key(&provider.check_secret(secret)?, secret)?])
        };
        let old = conformance.old_secret;
        // A provider may have events that are tests and nothing else: not these, if there are more.
        let genuine = |held: &&EventType| provider.check_test_event(held.as_str()).is_err();
        let usual = provider.event_types().find(genuine);
        let named = conformance.events.into_iter().map(EventType::new);
        let runner = Self {
            keys: keys_of(&conformance.secret)?,
            old_keys: old.as_ref().map_or(Ok(Vec::new()), keys_of)?,
            usual: usual.unwrap_or(provider.test_event_type()).clone(),
            standard: providers.get(rules::STANDARD)?,
            began: wire.now(),
            wire: Arc::new(wire),
            overrides: conformance.overrides,
            probe: conformance.probe,
            effects_within: conformance.effects_within,
            named: named.collect::<Result<_>>()?,
            slowest: Duration::ZERO,
            reached: false,
            hangs: false,
            slowest_answer: Duration::ZERO,
            effect: None,
            refuses_all: None,
            has_old_secret: old.is_some(),
            mask: Mask::new(old.into_iter().chain([conformance.secret]), &conformance.headers),
            url: conformance.url,
            provider,
        };
        // What cannot be sent, or asked for, should be known before anything is sent.
        runner.named.iter().try_for_each(|named| runner.event(named, &[]).map(drop))?;
        let event = runner.event(&runner.usual, &[])?;
        runner.wire.rendered(
            &runner.wire.draft(vec![event])?,
            &runner.keys,
            1,
            runner.wire.now(),
        )?;
        Ok(runner)
    }

    /// Asks for effects once, where somebody said how: a wrong address should be known before
    /// much is sent.
    pub(super) async fn try_probe(&self) -> Result<()> {
        match &self.probe {
            Some(probe) if self.reached => probe.read(&self.wire).await.map(drop),
            _ => Ok(()),
        }
    }

    /// A report of these results.
    pub(super) fn report(&self, results: Vec<CheckResult>) -> ConformanceReport {
        ConformanceReport {
            provider: self.provider.name().to_owned(),
            title: self.provider.title().to_owned(),
            url: self.url.clone(),
            at: self.began,
            results,
            reached: self.reached,
        }
    }

    /// Makes one check.
    ///
    /// # Errors
    /// Only where hookwheel cannot do its part; what the consumer does is no error.
    pub(super) async fn run(&mut self, check: Check) -> Result<CheckResult> {
        let options = rules::Options {
            has_probe: self.probe.is_some(),
            has_old_secret: self.has_old_secret,
            overrides: &self.overrides,
        };
        let PlannedCheck { name, title, must, why, moot } =
            rules::planned(check, &self.provider, &self.standard, &options);
        let mut trial = match moot {
            Some(reason) => Trial::moot(reason),
            None => self.trial(check).await?,
        };
        let (outcome, finding) = trial.end();
        let verdict = match outcome {
            Outcome::Moot => Verdict::NotApplicable,
            Outcome::Good => Verdict::Pass,
            Outcome::Faulty if must => Verdict::Fail,
            Outcome::Flawed | Outcome::Faulty => Verdict::Warn,
        };
        for exchange in &mut trial.exchanges {
            self.mask.apply(&mut exchange.sent);
        }
        Ok(CheckResult {
            name,
            title,
            verdict,
            must,
            expected: rules::expected(check, &self.provider),
            why,
            exchanges: trial.exchanges,
            finding: self.mask.text(&finding).unwrap_or(finding),
        })
    }

    async fn trial(&mut self, check: Check) -> Result<Trial> {
        // A proof can be right where no event is accepted; what else there is, says nothing then.
        let needs_acceptance = check != Check::AcceptsValid && !check.is_of_challenge();
        if let Some(reason) = &self.refuses_all
            && (needs_acceptance || !self.reached)
        {
            return Ok(Trial::moot(reason.clone()));
        }
        match check {
            Check::AcceptsValid => self.accepts_valid().await,
            Check::AcceptsWhitespace => self.accepts_whitespace().await,
            Check::AcceptsKeyOrder => self.accepts_key_order().await,
            Check::AcceptsUnicodeEscapes => self.accepts_unicode_escapes().await,
            Check::AcceptsNumberForms => self.accepts_number_forms().await,
            Check::AcceptsTrailingNewline => self.accepts_trailing_newline().await,
            Check::AcceptsCharsetParameter => self.accepts_charset_parameter().await,
            Check::AnswersChallenge => self.answers_challenge(false).await,
            Check::AnswersChallengeWithQuery => self.answers_challenge(true).await,
            Check::RefusesTampered => self.refuses_tampered().await,
            Check::RefusesUnsigned => self.refuses_unsigned().await,
            Check::RefusesWrongSecret => self.refuses_wrong_secret().await,
            Check::RefusesWrongEncoding => self.refuses_wrong_encoding().await,
            Check::RefusesPartialSignature => self.refuses_partial_signature().await,
            Check::RefusesStale => self.refuses_stale().await,
            Check::RefusesFuture => self.refuses_future().await,
            Check::RefusesWithDocumentedStatus => self.refuses_with_documented_status().await,
            Check::AcceptsBothSecrets => self.accepts_both_secrets().await,
            Check::AcceptsUnknownEvent => self.accepts_unknown_event().await,
            Check::AcceptsUnknownFields => self.accepts_unknown_fields().await,
            Check::AcceptsOutOfOrder => self.accepts_out_of_order().await,
            Check::AcceptsBatch => self.accepts_batch().await,
            Check::AcceptsLateRetry => self.accepts_late_retry().await,
            Check::ReportsOwnErrors => self.reports_own_errors().await,
            Check::AcceptsDuplicates => self.accepts_duplicates().await,
            Check::HandlesOwn => self.handles_own().await,
            Check::IgnoresForeign => self.ignores_foreign().await,
            Check::DuplicatesWithoutEffect => self.duplicates_without_effect().await,
            Check::ForgeriesWithoutEffect => self.forgeries_without_effect().await,
            Check::AnswersInTime => self.answers_in_time().await,
            Check::AnswersBurstInTime => self.answers_burst_in_time().await,
        }
    }

    /// An event of this type from the provider's samples, new at every call.
    pub(super) fn event(
        &self,
        event_type: &EventType,
        extra: &[(String, RawJson)],
    ) -> Result<Arc<Event>> {
        self.wire.event(event_type, self.data(event_type, extra)?, Mode::Live)
    }

    /// The data of such an event, about something of its own at every call: a consumer that keeps a
    /// row for each order would not notice a second event of the same one.
    pub(super) fn data(
        &self,
        event_type: &EventType,
        extra: &[(String, RawJson)],
    ) -> Result<Payload> {
        let sample = self.provider.sample(event_type.as_str(), &[])?;
        let sample = Json::read(sample.as_str().as_bytes());
        let mark = self.fresh_digits()?;
        let things = self.provider.consumers().things.iter().filter_map(|path| {
            let thing = sample.as_ref()?.text_at(path)?;
            Some((path.clone(), RawJson::from(renamed(thing, &mark))))
        });
        let overrides = [&things.collect::<Vec<_>>(), self.overrides.as_slice(), extra].concat();
        self.provider.sample(event_type.as_str(), &overrides)
    }

    /// The text at a dotted path of the sample of this type; empty when there is none.
    pub(super) fn sample_text(&self, event_type: &EventType, path: &str) -> Result<String> {
        let sample = self.provider.sample(event_type.as_str(), &[])?;
        let sample = Json::read(sample.as_str().as_bytes());
        let text = sample.as_ref().and_then(|held| held.text_at(path));
        Ok(text.unwrap_or_default().to_owned())
    }

    /// A webhook with a new event of the usual type.
    pub(super) fn draft(&self) -> Result<Draft> {
        self.wire.draft(vec![self.event(&self.usual, &[])?])
    }

    /// A webhook as the provider sends it now.
    pub(super) fn rendered(&self, draft: &Draft) -> Result<Rendered> {
        self.wire.rendered(draft, &self.keys, 1, self.wire.now())
    }

    /// The same with another body, signed over it.
    pub(super) fn signed(&self, draft: &Draft, body: impl Into<Bytes>) -> Result<Rendered> {
        self.wire.signed(draft, body, &self.keys, self.wire.now())
    }

    /// How long an answer is waited for: the provider's time, and some patience, so that a late
    /// answer can still be judged by what it says.
    pub(super) fn wait_max(&self) -> Duration {
        let timeout = self.provider.timeout();
        timeout + timeout.clamp(PATIENCE.0, PATIENCE.1)
    }

    /// The same for one request among many: where one has got no answer at all, the others are
    /// not waited for as long, or checking would take very long.
    fn patience(&self) -> Duration {
        match self.hangs {
            true => (self.slowest_answer * 4).max(PATIENCE.0).min(self.wait_max()),
            false => self.wait_max(),
        }
    }

    /// Posts what may be a forgery.
    pub(super) async fn post(&mut self, rendered: Rendered) -> Sent {
        let sent = self.wire.post(rendered, self.patience()).await;
        self.note(sent)
    }

    /// Posts two requests at the same moment.
    pub(super) async fn post_together(&mut self, [one, other]: [Rendered; 2]) -> [Sent; 2] {
        let patience = self.patience();
        let (one, other) =
            tokio::join!(self.wire.post(one, patience), self.wire.post(other, patience));
        [self.note(one), self.note(other)]
    }

    /// Asks the endpoint something.
    pub(super) async fn get(&mut self, url: String, headers: Vec<(String, String)>) -> Sent {
        let sent = self.wire.get(url, headers, self.patience()).await;
        self.note(sent)
    }

    /// Posts what is genuine, and remembers how long the answer took.
    pub(super) async fn post_genuine(&mut self, rendered: Rendered) -> Sent {
        let sent = self.post(rendered).await;
        self.slowest = self.slowest.max(sent.duration);
        sent
    }

    fn note(&mut self, sent: Sent) -> Sent {
        self.reached |= sent.was_connected();
        match &sent.result {
            Ok(_) => self.slowest_answer = self.slowest_answer.max(sent.duration),
            Err(failure) => self.hangs |= failure.kind == FailureKind::Timeout,
        }
        sent
    }

    /// Remembers what a genuine event of the plainest kind was answered with, if that was no
    /// success.
    pub(super) fn note_refusal(&mut self, sent: &Sent) {
        let told = trial::told(sent);
        self.refuses_all = Some(match self.reached {
            true => format!("it accepts nothing: a genuine event got {told}"),
            false => format!("it could not be reached: {told}"),
        });
    }

    /// A key of the same scheme as the consumer's, which it does not know.
    pub(super) fn unknown_key(&self) -> Result<SigningKey> {
        let scheme = self.keys.first().map(SigningKey::scheme);
        let made = self.provider.generate_secret(scheme)?;
        self.provider.signing_key(&made.scheme, &made.secret)
    }
}

/// What a provider file leads to that this cannot be: a defect of the file, not of the consumer.
pub(super) fn unusable(what: &str) -> Error {
    Error::internal(format!("{what}: the provider's own webhook cannot be read"))
}
