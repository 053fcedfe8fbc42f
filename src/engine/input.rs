//! What the engine is asked for.

use crate::engine::checks::{about, checked_application_name, checked_rate};
use crate::error::Result;
use crate::model::{
    ApplicationId, Authentication, DeliveryId, Event, EventId, EventType, Mode, Payload, RawJson,
    Reach, Secret, Timestamp, check,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An application to be made.
#[derive(Clone, Debug, Default)]
pub struct NewApplication {
    /// What people call it, in 1 to 256 bytes.
    pub name: String,
    /// The platform's own name for it, unique: 1 to 256 letters, digits, `-`, `_` and `.`.
    pub uid: Option<String>,
    /// The platform's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Webhooks a second at most, over all of its endpoints together.
    pub rate_limit_per_second: Option<u32>,
    /// How long finished deliveries stay in the history; `None` for the engine's own setting.
    pub retention: Option<Duration>,
}

impl NewApplication {
    /// An application called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Refuses what no application could be made of, whoever is there already.
    pub(crate) fn checked(self) -> Result<Self> {
        if let Some(uid) = &self.uid {
            about("uid", check::check_uid(uid))?;
        }
        Ok(Self {
            name: about("name", checked_application_name(self.name))?,
            metadata: about("metadata", check::checked_metadata(self.metadata))?,
            rate_limit_per_second: about(
                "rate_limit_per_second",
                checked_rate(self.rate_limit_per_second),
            )?,
            ..self
        })
    }
}

/// What to change of an application; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ApplicationChange {
    /// What people call it.
    pub name: Option<String>,
    /// The platform's own name for it.
    pub uid: Option<Option<String>>,
    /// The platform's own notes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Webhooks a second at most, over all of its endpoints together.
    pub rate_limit_per_second: Option<Option<u32>>,
    /// How long finished deliveries stay.
    pub retention: Option<Option<Duration>>,
}

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Where webhooks go.
    pub url: String,
    /// The provider that it is served as.
    pub provider: String,
    /// What people call it.
    pub name: String,
    /// The platform's own name for it, unique within the application.
    pub uid: Option<String>,
    /// What it is for.
    pub description: String,
    /// Event types that it wants, like `order.created` or `order.*`; none means all.
    pub event_filter: Vec<String>,
    /// Channels that it listens to; none means all.
    pub channels: Vec<String>,
    /// The platform's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Settings that the provider's headers use, like GoCardless' `origin`.
    pub settings: BTreeMap<String, String>,
    /// Headers sent besides the provider's own. Not for credentials: those go into
    /// `authentication`, where they are encrypted.
    pub headers: Vec<(String, String)>,
    /// Webhooks a second at most.
    pub rate_limit_per_second: Option<u32>,
    /// Requests in flight at once at most.
    pub concurrency: u32,
    /// Whether it is served at once; the provider's challenge may still prevent it.
    pub enabled: bool,
    /// How we authenticate towards it.
    pub authentication: Authentication,
    /// Certificate and key that we show to it: base64 of PEM, RSA, for a provider that allows it.
    pub client_certificate: Option<(String, Secret)>,
    /// Its signing secret; `None` to have one made.
    pub secret: Option<Secret>,
    /// The signing scheme to make a secret for, like `v1a`; `None` for the provider's usual one.
    pub scheme: Option<String>,
    /// Days, 1 to 365, after which it is disabled when every attempt fails: by the first webhook
    /// that is given up, or challenge that is not answered, so long after the first failure. Test
    /// events do not count. `None` for never.
    pub disable_after_failing_days: Option<u16>,
}

impl NewEndpoint {
    /// An endpoint at `url`, served as Standard Webhooks, enabled, with 16 requests at once.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            provider: "standard-webhooks".to_owned(),
            name: String::new(),
            uid: None,
            description: String::new(),
            event_filter: Vec::new(),
            channels: Vec::new(),
            metadata: BTreeMap::new(),
            settings: BTreeMap::new(),
            headers: Vec::new(),
            rate_limit_per_second: None,
            concurrency: 16,
            enabled: true,
            authentication: Authentication::None,
            client_certificate: None,
            secret: None,
            scheme: None,
            disable_after_failing_days: None,
        }
    }

    /// Serves it as `provider`.
    #[must_use]
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Signs with `secret`.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// Sends only events that match one of `patterns`.
    #[must_use]
    pub fn events<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.event_filter = patterns.into_iter().map(Into::into).collect();
        self
    }
}

/// What to change of an endpoint; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Where webhooks go. For another scheme, host or port, an endpoint that has an authentication
    /// needs it given again, or none: a credential is not taken along.
    pub url: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// The platform's own name for it.
    pub uid: Option<Option<String>>,
    /// What it is for.
    pub description: Option<String>,
    /// Event types that it wants.
    pub event_filter: Option<Vec<String>>,
    /// Channels that it listens to.
    pub channels: Option<Vec<String>>,
    /// The platform's own notes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Settings that the provider's headers use.
    pub settings: Option<BTreeMap<String, String>>,
    /// Headers sent besides the provider's own.
    pub headers: Option<HeaderChange>,
    /// Webhooks a second at most.
    pub rate_limit_per_second: Option<Option<u32>>,
    /// Requests in flight at once at most.
    pub concurrency: Option<u32>,
    /// How we authenticate towards it.
    pub authentication: Option<Authentication>,
    /// Certificate and key that we show to it.
    pub client_certificate: Option<Option<(String, Secret)>>,
    /// Days after which it is disabled when every attempt fails.
    pub disable_after_failing_days: Option<Option<u16>>,
}

/// What to change of an endpoint's headers.
#[derive(Clone, Debug)]
pub enum HeaderChange {
    /// These, and no others.
    Replace(Vec<(String, String)>),
    /// Each of these names gets its value or, without one, is taken away, also where it is that of
    /// the header by which we authenticate. The other headers stay as they are by then: of two such
    /// changes at once neither is lost.
    Merge(Vec<(String, Option<String>)>),
}

/// An event to be emitted.
///
/// ```
/// # use hookwheel::{ApplicationId, NewEvent};
/// # fn example(shop: ApplicationId) -> hookwheel::Result<()> {
/// let event = NewEvent::new(shop, "order.created", &serde_json::json!({"orderId": "ord_1"}))?
///     .idempotency_key("order-1-created");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Whose event it is.
    pub application: ApplicationId,
    /// What happened.
    pub event_type: EventType,
    /// The event's own data.
    pub data: Payload,
    /// When it happened; `None` for now.
    pub time: Option<Timestamp>,
    /// Live or test.
    pub mode: Mode,
    /// The channels it is meant for; none means all.
    pub channels: Vec<String>,
    /// The platform's own id for it, unique among the application's events while it is kept: 1 to
    /// 256 letters, digits, `-`, `_` and `.`.
    pub uid: Option<String>,
    /// The platform's own words to find it by.
    pub tags: Vec<String>,
    /// Under the same key the same event is accepted once, and the same answer given.
    pub idempotency_key: Option<String>,
}

impl NewEvent {
    /// A live event of now, for all channels.
    ///
    /// # Errors
    /// Refuses a type that is none, and data that is no JSON object.
    pub fn new(
        application: ApplicationId,
        event_type: impl Into<String>,
        data: &impl Serialize,
    ) -> Result<Self> {
        Ok(Self {
            application,
            event_type: EventType::new(event_type)?,
            data: Payload::from_value(data)?,
            time: None,
            mode: Mode::Live,
            channels: Vec::new(),
            uid: None,
            tags: Vec::new(),
            idempotency_key: None,
        })
    }

    /// Says when it happened.
    #[must_use]
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Makes it a trial.
    #[must_use]
    pub fn test_mode(mut self) -> Self {
        self.mode = Mode::Test;
        self
    }

    /// Sends it only to endpoints that listen to one of `channels`, or to none in particular.
    #[must_use]
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Gives it the platform's own id.
    #[must_use]
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// Gives it words to find it by.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts it once under `key`.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// What an emit answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emitted {
    /// The event's id.
    pub event: EventId,
    /// The deliveries that it made.
    pub deliveries: Vec<DeliveryId>,
    /// Which endpoints it met; [`Reach::explain`] says why nobody receives it.
    pub reach: Reach,
    /// Whether it had been accepted before under the same idempotency key.
    pub repeated: bool,
    /// The event as it is stored.
    pub accepted: Arc<Event>,
}

/// A test event to be sent.
#[derive(Clone, Debug, Default)]
pub struct TestEvent {
    /// Its type; `None` for the provider's usual one.
    pub event_type: Option<String>,
    /// Up to 64 values to set on top of the sample, by dotted path: `details.cause`,
    /// `metadata.checkoutId`.
    pub overrides: Vec<(String, RawJson)>,
    /// Data to send instead of the provider's sample, which then need not exist.
    pub data: Option<Payload>,
}

impl TestEvent {
    /// A test event of a type.
    pub fn of(event_type: impl Into<String>) -> Self {
        Self { event_type: Some(event_type.into()), overrides: Vec::new(), data: None }
    }

    /// Sets a value on top of the sample.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.overrides.push((path.into(), value.into()));
        self
    }
}
