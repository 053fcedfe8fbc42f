//! What users of providers rely on: bytes on the wire, refusals of wrong files, samples.

mod challenges;
mod files;
mod policies;
mod refusals;
mod samples;
mod secrets;
mod verifying;
mod wire;

use crate::model::{
    ApplicationId, EndpointId, Event, EventId, EventType, Mode, Payload, RawJson, Reach, Secret,
    Timestamp, WebhookId,
};
use crate::provider::{Provider, Providers, RawWebhook, Rendered, SigningKey, Webhook};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const ID: u128 = 0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac;

const TEXT_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// The 24 bytes are those of the vectors that Standard Webhooks' libraries share.
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const WHSEC_OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Seed and public key of RFC 8032, section 7.1, test 1.
const WHSK: &str =
    "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

fn provider(name: &str) -> Arc<Provider> {
    Providers::embedded().unwrap().get(name).unwrap()
}

fn event(event_type: &str, data: &str) -> Event {
    Event {
        id: EventId::from_uuid(Uuid::from_u128(ID)),
        application: ApplicationId::from_uuid(Uuid::from_u128(1)),
        event_type: EventType::new(event_type).unwrap(),
        time: Timestamp::parse("2025-04-15T08:30:00.123456Z").unwrap(),
        accepted_at: Timestamp::parse("2025-04-15T08:30:01Z").unwrap(),
        data: Payload::from_text(data).unwrap(),
        mode: Mode::Live,
        sample: false,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach::default(),
        expunged: false,
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2025-04-15T08:31:07.5Z").unwrap()
}

fn key(provider: &Provider, text: &str) -> SigningKey {
    let secret = Secret::new(text);
    let scheme = provider.check_secret(&secret).unwrap();
    provider.signing_key(&scheme, &secret).unwrap()
}

fn try_render(
    provider: &Provider,
    events: &[Event],
    keys: &[SigningKey],
    settings: &[(&str, &str)],
) -> crate::error::Result<Rendered> {
    let events: Vec<Arc<Event>> = events.iter().cloned().map(Arc::new).collect();
    let settings: BTreeMap<String, String> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    provider.render(&Webhook {
        webhook: WebhookId::from_uuid(Uuid::from_u128(ID)),
        events: &events,
        endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
        attempt: 1,
        now: now(),
        url: "https://shop.example/hook",
        keys,
        settings: &settings,
    })
}

fn render(provider: &Provider, event: &Event, keys: &[SigningKey]) -> Rendered {
    try_render(provider, std::slice::from_ref(event), keys, &[]).unwrap()
}

fn body(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).unwrap()
}

fn header<'a>(rendered: &'a Rendered, name: &str) -> &'a str {
    let found = rendered.headers.iter().find(|(held, _)| held == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no header {name}"))
}
