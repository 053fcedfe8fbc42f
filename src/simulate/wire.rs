//! Webhooks outside any engine: rendered and signed as the provider does it, changed at will, and
//! sent once.

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::EgressConfig;
use crate::dispatch::{Egress, OutboundRequest, Upload};
use crate::engine::masked;
use crate::error::{Error, Result};
use crate::id_source::IdSource;
use crate::model::{
    ApplicationId, EndpointId, Event, EventId, EventType, Failure, FailureKind, Mode, Payload,
    Reach, RecordedRequest, Response, Secret, Timestamp, WebhookId, check,
};
use crate::provider::{Provider, RawWebhook, Rendered, SigningKey, Webhook};
use bytes::Bytes;
use http::{HeaderName, Method};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// Headers that say how a request is carried, and not what it is.
const SET_BY_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The way to one endpoint, as one provider.
pub(crate) struct Wire {
    provider: Arc<Provider>,
    egress: Egress,
    ids: IdSource,
    clock: Clock,
    url: String,
    settings: BTreeMap<String, String>,
    /// What is sent besides the provider's own headers to the endpoint's origin.
    headers: Vec<(String, Secret)>,
}

/// A webhook: what stays the same however often it is sent.
#[derive(Clone)]
pub(crate) struct Draft {
    webhook: WebhookId,
    events: Vec<Arc<Event>>,
}

/// One request and what came back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sent {
    /// What was sent, as it went out. Signatures are in it, secrets are not.
    pub request: RecordedRequest,
    /// How long it took, in real time.
    pub duration: Duration,
    /// The answer, or why there is none.
    pub result: Result<Response, Failure>,
}

impl Sent {
    /// Whether there was a connection to send over.
    pub fn was_connected(&self) -> bool {
        match &self.result {
            Ok(_) => true,
            Err(failure) => matches!(
                failure.kind,
                FailureKind::Timeout | FailureKind::Closed | FailureKind::Protocol
            ),
        }
    }
}

impl Draft {
    /// Its events.
    pub(crate) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The same webhook, of events that happened at `time`.
    pub(crate) fn happened(mut self, time: Timestamp) -> Self {
        for event in &mut self.events {
            *event = Arc::new(Event { time, accepted_at: time, ..Event::clone(event) });
        }
        self
    }

    /// The same webhook with other events.
    pub(crate) fn with_events(&self, events: Vec<Arc<Event>>) -> Self {
        Self { webhook: self.webhook, events }
    }
}

impl Wire {
    /// The way to the endpoint at `url`; `http:` and local addresses are fine.
    ///
    /// # Errors
    /// Refuses what is no such URL, and one or settings that the provider's headers cannot be made of.
    pub(crate) fn new(
        provider: Arc<Provider>,
        url: impl Into<String>,
        settings: BTreeMap<String, String>,
    ) -> Result<Self> {
        provider.check_settings(&settings)?;
        let url = url.into();
        let egress = Egress::new(&EgressConfig { development: true, ..EgressConfig::default() })?;
        egress.check_url(&url, false)?;
        provider.check_url(&url)?;
        let clock = Clock::system();
        let ids = IdSource::new(clock.clone());
        Ok(Self { provider, egress, ids, clock, url, settings, headers: Vec::new() })
    }

    /// The same way, with these headers besides the provider's own.
    ///
    /// # Errors
    /// Refuses what is no header, and what the provider or the connection sets.
    pub(crate) fn with_headers(self, headers: Vec<(String, Secret)>) -> Result<Self> {
        for (name, value) in &headers {
            let shown = name.chars().take(64).collect::<String>();
            let shown = shown.escape_debug();
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(Error::invalid(format!("header name `{shown}` is not one")));
            }
            let is = |held: &str| held.eq_ignore_ascii_case(name);
            if SET_BY_CONNECTION.into_iter().any(is) || self.provider.header_names().any(is) {
                return Err(Error::invalid(format!(
                    "header `{shown}` is set with each webhook: expected another"
                )));
            }
            if value.expose().is_empty() || !check::is_header_value(value.expose()) {
                return Err(Error::invalid(format!(
                    "the value of header `{shown}` is not one: expected visible ASCII characters"
                )));
            }
        }
        Ok(Self { headers, ..self })
    }

    /// The same way, with the time of `clock`, and with ids drawn from `chance`.
    pub(crate) fn drawing(self, clock: Clock, chance: Chance) -> Self {
        let ids = IdSource::drawing(clock.clone(), chance, "wire");
        Self { ids, clock, ..self }
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The endpoint's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// An id that nothing else has.
    ///
    /// # Errors
    /// Fails when the system has no random numbers.
    pub(crate) fn id(&self) -> Result<Uuid> {
        self.ids.next()
    }

    /// An event that happened just now, with an id of its own.
    ///
    /// # Errors
    /// Refuses an event that the provider's envelope cannot carry.
    pub(crate) fn event(
        &self,
        event_type: &EventType,
        data: Payload,
        mode: Mode,
    ) -> Result<Arc<Event>> {
        let now = self.now();
        let event = Event {
            id: EventId::from_uuid(self.ids.next()?),
            application: ApplicationId::from_uuid(self.ids.next()?),
            event_type: event_type.clone(),
            time: now,
            accepted_at: now,
            data,
            mode,
            sample: false,
            channels: Vec::new(),
            uid: None,
            tags: Vec::new(),
            idempotency_key: None,
            reach: Reach::default(),
            expunged: false,
        };
        self.provider.check_event(&event)?;
        Ok(Arc::new(event))
    }

    /// A webhook with these events: one, unless the provider sends batches.
    ///
    /// # Errors
    /// Fails when the system has no random numbers.
    pub(crate) fn draft(&self, events: Vec<Arc<Event>>) -> Result<Draft> {
        // As the engine has it: only a webhook that may carry several events has an id of its own.
        let id = match (self.provider.batch_max(), events.as_slice()) {
            (None, [event]) => event.id.uuid(),
            _ => self.ids.next()?,
        };
        Ok(Draft { webhook: WebhookId::from_uuid(id), events })
    }

    /// The same webhook with the data of its events replaced.
    pub(crate) fn with_data(&self, draft: &Draft, data: &Payload) -> Draft {
        let events = draft.events.iter().map(|event| {
            let replaced = Event { data: data.clone(), ..Event::clone(event) };
            Arc::new(replaced)
        });
        Draft { webhook: draft.webhook, events: events.collect() }
    }

    /// The webhook as the provider sends it at `now`, signed with `keys`, the newest last.
    ///
    /// # Errors
    /// Those of [`Provider::render`].
    pub(crate) fn rendered(
        &self,
        draft: &Draft,
        keys: &[SigningKey],
        attempt: u32,
        now: Timestamp,
    ) -> Result<Rendered> {
        self.provider.render(&Webhook {
            webhook: draft.webhook,
            events: &draft.events,
            endpoint: EndpointId::from_uuid(draft.webhook.uuid()),
            attempt,
            now,
            url: &self.url,
            keys,
            settings: &self.settings,
        })
    }

    /// The same webhook with another body, signed as it stands.
    ///
    /// # Errors
    /// Those of [`Provider::sign`].
    pub(crate) fn signed(
        &self,
        draft: &Draft,
        body: impl Into<Bytes>,
        keys: &[SigningKey],
        now: Timestamp,
    ) -> Result<Rendered> {
        let body = body.into();
        let headers = self.provider.sign(&RawWebhook {
            body: &body,
            id: &self.provider.webhook_wire_id(draft.webhook),
            event_type: draft.events.first().map(|event| event.event_type.as_str()),
            attempt: 1,
            now,
            url: &self.url,
            keys,
            settings: &self.settings,
        })?;
        Ok(Rendered { headers, body })
    }

    /// Posts `rendered` to the endpoint, whatever it holds by now, and waits for an answer for
    /// `timeout` at most.
    pub(crate) async fn post(&self, rendered: Rendered, timeout: Duration) -> Sent {
        let Rendered { headers, body } = rendered;
        self.send(Method::POST, self.url.clone(), headers, body, timeout).await
    }

    /// Asks `url`, which need not be the endpoint's, and waits for an answer for `timeout` at most.
    pub(crate) async fn get(
        &self,
        url: String,
        headers: Vec<(String, String)>,
        timeout: Duration,
    ) -> Sent {
        self.send(Method::GET, url, headers, Bytes::new(), timeout).await
    }

    async fn send(
        &self,
        method: Method,
        url: String,
        mut headers: Vec<(String, String)>,
        body: Bytes,
        timeout: Duration,
    ) -> Sent {
        // Another host has no business with the credentials of this one.
        if is_same_origin(&url, &self.url) {
            let added = self.headers.iter();
            headers.extend(added.map(|(name, value)| (name.clone(), value.expose().to_owned())));
        }
        let request = OutboundRequest {
            method: method.clone(),
            url: url.clone(),
            headers,
            body: body.clone(),
            timeout,
            https_only: false,
            identity: None,
            application: None,
            upload: Upload::Whole,
        };
        let exchange = self.egress.exchange(request).await;
        Sent {
            request: RecordedRequest {
                method: method.to_string(),
                url,
                headers: masked(
                    exchange.headers_sent,
                    self.headers.iter().map(|(name, _)| name.as_str()),
                ),
                body,
            },
            duration: exchange.duration,
            result: exchange.result,
        }
    }
}

fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}
