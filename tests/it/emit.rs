//! Accepting events.

use crate::common::{bench, bench_with, hours, orders, posts};
use hookwheel::simulate::receiver::Consumer;
use hookwheel::{Config, DeliveryFilter, EventFilter, NewEvent, Payload};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_event() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let event = |number: u32| {
        bench.event("order.created", json!({ "orderId": number })).idempotency_key("order-1")
    };
    let first = bench.engine.emit(event(1)).await.unwrap();
    let again = bench.engine.emit(event(1)).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!((again.event, &again.deliveries), (first.event, &first.deliveries));
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);

    let error = bench.engine.emit(event(2)).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("`order-1`"), "{error}");
    let other = bench.engine.emit(event(2).idempotency_key("order-2")).await.unwrap();
    assert!(!other.repeated);

    bench.advance(hours(24) - std::time::Duration::from_millis(1)).await;
    assert!(bench.engine.emit(event(1)).await.unwrap().repeated);
    bench.advance(std::time::Duration::from_millis(1)).await;
    let new = bench.engine.emit(event(1)).await.unwrap();
    assert!(!new.repeated && new.event != first.event, "a day later the key is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_application() {
    let bench = bench().await;
    let other = bench.engine.create_application(hookwheel::NewApplication::new("Other")).await;
    let event = bench.event("order.created", json!({})).idempotency_key("one");
    let first = bench.engine.emit(event.clone()).await.unwrap();
    let event = NewEvent { application: other.unwrap().id, ..event };
    let second = bench.engine.emit(event).await.unwrap();
    assert!(!second.repeated && first.event != second.event);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_under_one_key_are_one_event() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let mut tasks = Vec::new();
    for _ in 0..64 {
        let engine = bench.engine.clone();
        let event = bench.event("order.created", json!({ "orderId": 1 })).idempotency_key("once");
        tasks.push(tokio::spawn(async move { engine.emit(event).await.unwrap() }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|emitted| !emitted.repeated).count(), 1);
    assert!(answers.iter().all(|emitted| emitted.event == answers[0].event));
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_whole_or_not_at_all() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let order = |number: u32| bench.event("order.created", json!({ "orderId": number }));
    bench.engine.emit(order(0).idempotency_key("taken")).await.unwrap();
    bench.engine.settle().await;

    let batch = vec![order(1), order(2).idempotency_key("taken"), order(3)];
    assert!(bench.engine.emit_batch(batch).await.unwrap_err().is_conflict());
    let twice = vec![order(1).idempotency_key("new"), order(2).idempotency_key("new")];
    assert!(bench.engine.emit_batch(twice).await.unwrap_err().is_conflict());
    let mut foreign = order(1);
    foreign.application = unknown();
    assert!(bench.engine.emit_batch(vec![order(1), foreign]).await.unwrap_err().is_not_found());
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1, "nothing of the refused ones went out");
    let all = DeliveryFilter::application(bench.application);
    assert_eq!(bench.engine.deliveries(all).await.unwrap().deliveries.len(), 1);

    let batch = vec![order(4).idempotency_key("four"), order(0).idempotency_key("taken"), order(5)];
    let emitted = bench.engine.emit_batch(batch).await.unwrap();
    assert_eq!(emitted.iter().map(|one| one.repeated).collect::<Vec<_>>(), [false, true, false]);
    bench.engine.settle().await;
    let mut arrived = orders(&posts(&receiver));
    arrived.sort_unstable();
    assert_eq!(arrived, [0, 4, 5]);
}

fn unknown() -> hookwheel::ApplicationId {
    hookwheel::ApplicationId::from_uuid(uuid::Uuid::from_u128(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_before_anything_is_stored() {
    let config = Config { event_data_max_bytes: 100, batch_max_events: 3, ..Config::default() };
    let bench = bench_with(|builder| builder.config(config)).await;
    let text = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    let mut event = bench.event("order.created", json!({}));
    event.data = Payload::from_text(text(100)).unwrap();
    bench.engine.emit(event.clone()).await.unwrap();
    event.data = Payload::from_text(text(101)).unwrap();
    let error = bench.engine.emit(event).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("event_data_max_bytes"), "{error}");
    let batch = vec![bench.event("order.created", json!({})); 4];
    let error = bench.engine.emit_batch(batch).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("batch_max_events"), "{error}");
    assert!(NewEvent::new(bench.application, "order created", &json!({})).is_err());
    assert!(NewEvent::new(bench.application, "order.created", &json!([1])).is_err());
    let long = bench.event("order.created", json!({})).idempotency_key("k".repeat(257));
    assert!(bench.engine.emit(long).await.unwrap_err().is_invalid());
    let events = bench.engine.events(EventFilter::application(bench.application)).await.unwrap();
    assert_eq!(events.events.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_nobody_wants_is_on_record_with_the_reason() {
    let bench = bench().await;
    let alone = bench.emit("order.created", json!({})).await;
    assert_eq!(alone.reach.explain().unwrap(), "the application has no endpoint");
    bench.receiver_with(Consumer::TicketNation, |new| new.events(["refund.*"])).await;
    bench
        .receiver_with(Consumer::TicketNation, |mut new| {
            new.channels = vec!["berlin".to_owned()];
            new
        })
        .await;
    bench.receiver_with(Consumer::GoCardless, |new| new).await;
    let event = bench.event("order", json!({})).channels(["paris"]);
    let emitted = bench.engine.emit(event).await.unwrap();
    let why = "of 3 endpoint(s): 1 filtered by event type, 1 filtered by channel, 1 served as a \
               provider whose envelope cannot carry it";
    assert_eq!(emitted.reach.explain().unwrap(), why);
    let history = bench.engine.event(emitted.event).await.unwrap();
    assert_eq!(history.event.reach.explain().unwrap(), why, "also later");
    let page = bench.engine.events(EventFilter::application(bench.application)).await.unwrap();
    let ids: Vec<_> = page.events.iter().map(|held| held.event.id).collect();
    assert_eq!(ids, [emitted.event, alone.event]);
}
