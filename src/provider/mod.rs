//! Providers: how each signs, wraps, sends, retries, gives up and proves ownership, read from one
//! TOML file each.
//!
//! A file is loaded once and compiled: templates and field lists become short lists of pieces, so
//! that rendering a webhook writes one buffer and signs it.

mod altered;
mod challenge;
mod consumer;
mod describe;
mod encoding;
mod envelope;
mod json;
mod load;
mod overlay;
mod profile;
mod providers;
mod render;
mod sample;
mod scenario;
mod secret;
mod sign;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod value;
mod verify;
mod wire_id;

pub use altered::SignatureText;
pub use challenge::{Challenge, ChallengeRequest};
pub use consumer::{Consumers, Rule, Subject};
pub use describe::{Description, Line, Section};
pub use profile::{AuthenticationKind, Moment, SecretOwner, SecretShown};
pub use providers::Providers;
pub use render::{RawWebhook, Rendered, Webhook};
pub use sample::overridden;
pub use scenario::{LinkedIds, Scenario, ScenarioStep};
pub use secret::NewSecret;
pub use sign::SigningKey;
pub use source::Mark;
pub use verify::Mismatch;

use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::endpoint::Authentication;
use crate::model::{Event, EventType, Payload, RawJson, Secret, WebhookId};
use crate::schedule::Schedule;
use std::fmt;
use std::time::Duration;
use value::{StatusRange, TimeFormat};

/// One provider's way of delivering webhooks, compiled from its file.
pub struct Provider {
    name: String,
    title: String,
    source: String,
    headers: Vec<(String, template::Template)>,
    signature_is_ours: bool,
    carries_event_time: bool,
    signing: sign::Signing,
    body: render::Body,
    /// Where the body carries the attempt's time, as a dotted path.
    body_time: Option<(String, TimeFormat)>,
    ids: envelope::Ids,
    delivery: Delivery,
    schedule: Schedule,
    secret_owner: SecretOwner,
    secret_shown: SecretShown,
    challenge: Option<Challenge>,
    test_event: EventType,
    test_only: Option<Vec<String>>,
    samples: sample::Samples,
    consumers: Consumers,
    scenarios: Vec<Scenario>,
    description: Description,
}

struct Delivery {
    success: Vec<StatusRange>,
    timeout: Duration,
    https_only: bool,
    client_certificate: bool,
    authentications: Vec<AuthenticationKind>,
    parks: bool,
    disables_gone: bool,
}

impl Provider {
    /// Reads a provider from the text of its file; `file` is the name that errors give.
    ///
    /// # Errors
    /// Names file, line, column and field, and says what would be right.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        load::load(file, text)
    }

    /// The name that endpoints give, like `standard-webhooks`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The page that says how it delivers.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How long one attempt may take, from connecting to the end of the answer.
    pub fn timeout(&self) -> Duration {
        self.delivery.timeout
    }

    /// Whether an answer with `status` means that the webhook arrived.
    pub fn is_success(&self, status: u16) -> bool {
        self.delivery.success.iter().any(|range| range.contains(status))
    }

    /// The statuses that mean that a webhook arrived, in words: `2xx`, `200 or 201`.
    pub fn success_words(&self) -> String {
        let words: Vec<String> = self.delivery.success.iter().map(ToString::to_string).collect();
        words.join(" or ")
    }

    /// Whether endpoints must have an `https:` URL.
    pub fn https_only(&self) -> bool {
        self.delivery.https_only
    }

    /// Whether an endpoint may be served with a client certificate.
    pub fn allows_client_certificate(&self) -> bool {
        self.delivery.client_certificate
    }

    /// Whether we can authenticate towards an endpoint that way.
    pub fn allows_authentication(&self, authentication: &Authentication) -> bool {
        let kind = AuthenticationKind::of(authentication);
        kind == AuthenticationKind::None || self.delivery.authentications.contains(&kind)
    }

    /// The ways of authenticating that an endpoint may choose from, besides none.
    pub fn authentications(&self) -> &[AuthenticationKind] {
        &self.delivery.authentications
    }

    /// When a failed webhook is tried again.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Most events in one webhook, for a provider that puts several into one.
    pub fn batch_max(&self) -> Option<usize> {
        self.body.batch_max()
    }

    /// Whether an endpoint is parked when a webhook to it is exhausted.
    pub fn exhausted_parks(&self) -> bool {
        self.delivery.parks
    }

    /// Whether an answer with `status` disables the endpoint.
    pub fn gone_disables(&self, status: u16) -> bool {
        status == 410 && self.delivery.disables_gone
    }

    /// Whose the signing secrets are.
    pub fn secret_owner(&self) -> SecretOwner {
        self.secret_owner
    }

    /// How often a secret is shown.
    pub fn secret_shown(&self) -> SecretShown {
        self.secret_shown
    }

    /// Whether old and new secret can both sign while a secret is replaced.
    pub fn rotation_overlaps(&self) -> bool {
        self.signing.overlaps
    }

    /// Whether every attempt of a webhook has the same body.
    pub fn body_is_fixed(&self) -> bool {
        self.body.is_fixed()
    }

    /// Whether its webhooks tell, where a signature covers it, when they were sent, so that a
    /// receiver can refuse old ones.
    pub fn carries_sending_time(&self) -> bool {
        let signed = |token: &template::Token| matches!(token, template::Token::Timestamp(_));
        self.body_time.is_some()
            || self.signing.schemes().any(|held| held.content.tokens().any(signed))
    }

    /// Whether what is signed, or how the signature is written, is a choice of whoever wrote the
    /// file, and not the page's word.
    pub fn signature_is_ours(&self) -> bool {
        self.signature_is_ours
    }

    /// Whether its bodies tell when an event happened.
    pub fn carries_event_time(&self) -> bool {
        self.carries_event_time
    }

    /// The names of the signing schemes, the usual one first.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.signing.schemes().map(|scheme| scheme.name.as_str())
    }

    /// The names of the headers that carry signatures.
    pub fn signature_headers(&self) -> impl Iterator<Item = &str> {
        self.signing.headers.iter().map(|header| header.name.as_str())
    }

    /// The names of the headers that every webhook of this provider may carry; an endpoint's own
    /// headers must be others.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        let plain = self.headers.iter().map(|(name, _)| name.as_str());
        plain.chain(self.signature_headers())
    }

    /// Makes a signing secret for `scheme`, or for the usual one.
    ///
    /// # Errors
    /// Refuses an unknown scheme, naming the known ones.
    pub fn generate_secret(&self, scheme: Option<&str>) -> Result<NewSecret> {
        self.draw_secret(scheme, &Chance::system())
    }

    /// Makes a signing secret as [`Provider::generate_secret`] does, drawn from `chance`: a seeded
    /// one makes a secret that everybody can make who knows the seed.
    ///
    /// # Errors
    /// Refuses an unknown scheme, naming the known ones.
    pub fn draw_secret(&self, scheme: Option<&str>, chance: &Chance) -> Result<NewSecret> {
        let scheme = match scheme {
            Some(name) => self.scheme(name)?,
            None => self.signing.schemes().next().ok_or_else(|| self.unsigned())?,
        };
        Ok(NewSecret { scheme: scheme.name.clone(), secret: scheme.generate(chance)? })
    }

    /// Checks a secret that somebody gave and says which signing scheme it is for.
    ///
    /// # Errors
    /// Says what a secret of this provider looks like; never shows the one given.
    pub fn check_secret(&self, secret: &Secret) -> Result<String> {
        secret::scheme_of(self.signing.schemes(), secret).map(|scheme| scheme.name.clone())
    }

    /// What the owner of `secret` is shown: the secret itself, or its public key.
    ///
    /// # Errors
    /// Refuses what is no secret of this provider.
    pub fn shown_form(&self, secret: &Secret) -> Result<Secret> {
        secret::scheme_of(self.signing.schemes(), secret)?.shown_form(secret)
    }

    /// The key that signs with `secret` under `scheme`.
    ///
    /// # Errors
    /// Refuses an unknown scheme, and what is no secret of it.
    pub fn signing_key(&self, scheme: &str, secret: &Secret) -> Result<SigningKey> {
        self.scheme(scheme)?.signing_key(secret)
    }

    /// The key that checks what was signed with `secret`, which may also be given in the form that
    /// its owner is shown.
    ///
    /// # Errors
    /// Refuses what is neither.
    pub fn verifying_key(&self, secret: &Secret) -> Result<SigningKey> {
        let is_public = |scheme: &&sign::Scheme| {
            let prefix = scheme.secret.public_prefix.as_deref();
            prefix.is_some_and(|prefix| secret.expose().starts_with(prefix))
        };
        match self.signing.schemes().find(is_public) {
            Some(scheme) => scheme.verifying_key(secret),
            None => secret::scheme_of(self.signing.schemes(), secret)?.signing_key(secret),
        }
    }

    /// How an endpoint proves that it is its owner's, where the provider asks for that.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The id of `event` on the wire.
    pub fn event_wire_id(&self, event: &Event) -> String {
        self.ids.event(event)
    }

    /// The id of a webhook on the wire.
    pub fn webhook_wire_id(&self, webhook: WebhookId) -> String {
        self.ids.webhook.write(webhook.uuid())
    }

    /// The webhook that has this id on the wire; `None` when the text is no such id.
    pub fn webhook_of_wire_id(&self, text: &str) -> Option<WebhookId> {
        self.ids.webhook.read(text).map(WebhookId::from_uuid)
    }

    /// The event types that have a sample, in the order of the file.
    pub fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.samples.samples.iter().map(|sample| &sample.event_type)
    }

    /// The type of a test event when none is asked for.
    pub fn test_event_type(&self) -> &EventType {
        &self.test_event
    }

    /// Whether events of this type are test events and nothing else: those that the file names in
    /// `test.only`.
    pub fn is_test_type(&self, event_type: &str) -> bool {
        let only = self.test_only.as_deref().unwrap_or_default();
        only.iter().any(|held| held == event_type)
    }

    /// Whether its webhooks tell trials from what is real.
    pub fn marks_tests(&self) -> bool {
        self.body.marks_tests()
    }

    /// Refuses a type that this provider sends no test events of.
    ///
    /// # Errors
    /// Names the types that it does.
    pub fn check_test_event(&self, event_type: &str) -> Result<()> {
        check_test_event(&self.title, self.test_only.as_deref(), event_type)
    }

    /// The data of a sample event with `overrides` set on top: dotted paths (`details.cause`) or
    /// JSON pointers (`/details/cause`), with their values; the envelope's name for the data may stand
    /// in front (`payload.amount`). Where a provider's events come in
    /// variants, overrides of what tells them apart (GoCardless' cause and origin) choose one.
    ///
    /// # Errors
    /// Refuses a type without sample and a variant that does not exist, naming the known ones, and
    /// more than 64 overrides.
    pub fn sample(&self, event_type: &str, overrides: &[(String, RawJson)]) -> Result<Payload> {
        self.samples.sample(event_type, overrides)
    }

    /// What consumers are asked to do.
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// What the file says, in words, each line marked with whose word it is.
    pub fn describe(&self) -> &Description {
        &self.description
    }

    fn scheme(&self, name: &str) -> Result<&sign::Scheme> {
        self.signing.schemes().find(|scheme| scheme.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.schemes().collect();
            Error::invalid(format!(
                "{} has no signing scheme `{}`: known are {}",
                self.title,
                name.escape_debug(),
                known.join(", ")
            ))
        })
    }

    fn unsigned(&self) -> Error {
        Error::invalid(format!("{} does not sign: it has no secrets", self.title))
    }
}

/// Refuses a type that the provider called `title` sends no test events of.
fn check_test_event(title: &str, only: Option<&[String]>, event_type: &str) -> Result<()> {
    match only {
        Some(only) if !only.iter().any(|allowed| allowed == event_type) => {
            Err(Error::invalid(format!(
                "{title} sends no test event of type `{}`: it sends {}",
                event_type.escape_debug(),
                only.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.name)
    }
}

impl AuthenticationKind {
    /// The kind of `authentication`.
    pub fn of(authentication: &Authentication) -> Self {
        match authentication {
            Authentication::None => Self::None,
            Authentication::Basic { .. } => Self::Basic,
            Authentication::Header { .. } => Self::Header,
            Authentication::OAuth2 { .. } => Self::Oauth2,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::Oauth2 => "oauth2",
        }
    }
}
