//! What it costs to render and sign one webhook, per provider, with 400 bytes of data.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark, not the crate")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hookwheel::Timestamp;
use hookwheel::model::{
    ApplicationId, EndpointId, Event, EventId, EventType, Mode, Payload, Reach, WebhookId,
};
use hookwheel::provider::{Provider, Providers, Webhook};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use uuid::Uuid;

const ID: u128 = 0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac;

fn event() -> Arc<Event> {
    let filler = "x".repeat(360);
    let time = Timestamp::from_millis(1_744_705_800_123);
    Arc::new(Event {
        id: EventId::from_uuid(Uuid::from_u128(ID)),
        application: ApplicationId::from_uuid(Uuid::from_u128(1)),
        event_type: EventType::new("order.completed").unwrap(),
        time,
        accepted_at: time,
        data: Payload::from_text(format!(r#"{{"orderId":"ord_1","note":"{filler}"}}"#)).unwrap(),
        mode: Mode::Live,
        sample: false,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach::default(),
        expunged: false,
    })
}

fn bench(c: &mut Criterion) {
    let providers = Providers::embedded().unwrap();
    let mut group = c.benchmark_group("sign");
    group.throughput(Throughput::Elements(1));
    for provider in providers.iter() {
        for scheme in provider.schemes() {
            let name = format!("{}/{scheme}", provider.name());
            group.bench_function(name, |b| one(b, provider, scheme));
        }
    }
    group.finish();
}

fn one(b: &mut criterion::Bencher<'_>, provider: &Provider, scheme: &str) {
    let new = provider.generate_secret(Some(scheme)).unwrap();
    let keys = [provider.signing_key(scheme, &new.secret).unwrap()];
    let (events, settings) = ([event()], BTreeMap::new());
    let webhook = Webhook {
        webhook: WebhookId::from_uuid(Uuid::from_u128(ID)),
        events: &events,
        endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
        attempt: 1,
        now: Timestamp::from_millis(1_744_705_867_500),
        url: "https://shop.example/hook",
        keys: &keys,
        settings: &settings,
    };
    b.iter(|| provider.render(black_box(&webhook)).unwrap());
}

criterion_group!(benches, bench);
criterion_main!(benches);
