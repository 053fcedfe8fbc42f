//! Event data: what is accepted passes through with its bytes, in every provider's envelope.

use hookwheel::model::{
    ApplicationId, EndpointId, Event, EventId, EventType, Mode, Payload, Reach, Timestamp,
    WebhookId,
};
use hookwheel::provider::{Provider, Providers, SigningKey, Webhook};
use hookwheel::store::{Acceptance, codec};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// Every provider, with a key of a secret that it made.
static PROVIDERS: LazyLock<Vec<(Arc<Provider>, SigningKey)>> = LazyLock::new(|| {
    let providers = Providers::embedded().expect("they can be read");
    let keyed = providers.iter().map(|provider| {
        let new = provider.generate_secret(None).expect("a secret");
        let key = provider.signing_key(&new.scheme, &new.secret).expect("its own secret");
        (Arc::clone(provider), key)
    });
    keyed.collect()
});

/// Checks the text of an event's data.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let payload = match Payload::from_text(text) {
        Ok(payload) => payload,
        Err(error) => {
            // What serde_json reads whole it refuses at a lesser depth than ours.
            let read = serde_json::from_str::<Value>(text);
            assert!(!read.is_ok_and(|value| value.is_object()), "{text:?} refused: {error}");
            return;
        }
    };
    let blank = [' ', '\t', '\r', '\n'];
    assert_eq!(payload.as_str(), text.trim_matches(blank), "its bytes are not what came");
    let event = event(payload);
    for (provider, key) in PROVIDERS.iter() {
        check_envelope(provider, key, &event);
    }
    let accepted =
        Acceptance { due: event.time, event, deliveries: Vec::new(), request_digest: [0; 16] };
    let page = codec::encode_event(&accepted).and_then(|one| codec::encode_events(&[one]));
    let read = codec::decode_events(&page.expect("it can be written")).expect("it can be read");
    assert_eq!(read, [accepted]);
}

fn event(data: Payload) -> Arc<Event> {
    let time = Timestamp::from_millis(1_744_705_800_123);
    Arc::new(Event {
        id: EventId::from_uuid(Uuid::from_u128(0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac)),
        application: ApplicationId::from_uuid(Uuid::from_u128(1)),
        event_type: EventType::new("mandates.cancelled").expect("a type"),
        time,
        accepted_at: time,
        data,
        mode: Mode::Test,
        sample: false,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach::default(),
        expunged: false,
    })
}

fn check_envelope(provider: &Provider, key: &SigningKey, event: &Arc<Event>) {
    let settings = BTreeMap::new();
    let webhook = Webhook {
        webhook: WebhookId::from_uuid(event.id.uuid()),
        events: std::slice::from_ref(event),
        endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
        attempt: 1,
        now: event.time,
        url: "https://shop.example/hook",
        keys: std::slice::from_ref(key),
        settings: &settings,
    };
    let name = provider.name();
    let rendered = provider.render(&webhook);
    assert_eq!(rendered.is_ok(), provider.check_event(event).is_ok(), "{name}");
    let Ok(rendered) = rendered else { return };
    let body = std::str::from_utf8(&rendered.body).expect("bodies are text");
    serde_json::from_str::<&RawValue>(body).unwrap_or_else(|error| panic!("{name}: {error}"));
    let data = event.data.as_str();
    match name {
        "yoco" => check_with_mode(data, body),
        // Their envelopes write the data's members beside their own.
        "gocardless" | "opencard" => assert!(body.contains(&data[1..data.len() - 1]), "{body}"),
        _ => assert!(body.contains(data), "{name}: {body}"),
    }
    let keys = std::slice::from_ref(key);
    let verified = provider.verify(&rendered.headers, &rendered.body, keys, event.time, None);
    assert_eq!(verified, Ok(()), "{name}: {body}");
}

/// Yoco's envelope sets the member `mode` of the data, wherever it stands in it, or adds it at the end;
/// every other member keeps its place and its bytes.
fn check_with_mode(data: &str, body: &str) {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        payload: Members<'a>,
    }
    // Names that are no text, as `\ud800` alone is none, are not read here.
    let Ok(Members(mut expected)) = serde_json::from_str(data) else { return };
    for member in expected.iter_mut().filter(|(name, _)| name == "mode") {
        member.1 = "\"test\"";
    }
    if !expected.iter().any(|(name, _)| name == "mode") {
        expected.push(("mode".to_owned(), "\"test\""));
    }
    let envelope: Envelope<'_> = serde_json::from_str(body).expect("an envelope");
    assert_eq!(envelope.payload.0, expected, "{body}");
}

/// The members of an object in order, with repeated ones: names, and the bytes of the values.
#[derive(Debug)]
struct Members<'a>(Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
