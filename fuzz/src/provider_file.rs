//! Provider files: a wrong one is refused with its place, and by a good one webhooks can be sent.

use hookwheel::model::{
    ApplicationId, EndpointId, Event, EventId, Mode, Reach, Timestamp, WebhookId,
};
use hookwheel::provider::{Provider, Webhook};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Samples that are sent at most: a file may have thousands, all alike.
const SAMPLES_MAX: usize = 4;

/// Checks the text of a file.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let provider = match Provider::parse("fuzz.toml", text) {
        Ok(provider) => provider,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("fuzz.toml:"), "the place is missing: {told}");
            return;
        }
    };
    let _ = format!("{:?}", provider.describe());
    assert!(provider.success_words().len() > 1 && !provider.timeout().is_zero());
    let Ok(new) = provider.generate_secret(None) else { return };
    assert_eq!(provider.check_secret(&new.secret).ok().as_ref(), Some(&new.scheme));
    for event_type in provider.event_types().take(SAMPLES_MAX) {
        let data = provider.sample(event_type.as_str(), &[]).expect("a sample that it has");
        let time = Timestamp::from_millis(1_744_705_800_123);
        let event = Event {
            id: EventId::from_uuid(Uuid::from_u128(0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac)),
            application: ApplicationId::from_uuid(Uuid::from_u128(1)),
            event_type: event_type.clone(),
            time,
            accepted_at: time,
            data,
            mode: Mode::Live,
            sample: true,
            channels: Vec::new(),
            uid: None,
            tags: Vec::new(),
            idempotency_key: None,
            reach: Reach::default(),
            expunged: false,
        };
        let key = provider.signing_key(&new.scheme, &new.secret).expect("its own secret");
        let (events, settings) = ([Arc::new(event)], BTreeMap::new());
        let webhook = Webhook {
            webhook: WebhookId::from_uuid(events[0].id.uuid()),
            events: &events,
            endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
            attempt: 1,
            now: time,
            url: "https://shop.example/hook",
            keys: std::slice::from_ref(&key),
            settings: &settings,
        };
        // A setting that headers need is the endpoint's, and none is given here.
        let Ok(rendered) = provider.render(&webhook) else { continue };
        for (name, value) in &rendered.headers {
            let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(is_plain, "{name}: {value:?}");
        }
    }
}
