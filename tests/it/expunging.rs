//! Content that is taken out of the history, while what happened stays on record.

use crate::common::{bench, body, minutes, open_in, orders, posts, seconds, start};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{AttemptFilter, EventId, NewApplication, NewEndpoint, NewEvent};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_expunged_event_is_empty_for_good_and_cannot_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(Answer::status(200).body("thank you CANARY")));
    let endpoint = NewEndpoint::new(receiver.url()).provider("ticketnation");
    engine.create_endpoint(shop, endpoint).await.unwrap();
    let data = json!({ "name": "CANARY" });
    let event = NewEvent::new(shop, "order.created", &data).unwrap().uid("o-1");
    let delivery = engine.emit(event).await.unwrap().deliveries[0];
    engine.settle().await;
    engine.expunge_event(delivery.event).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);

    let engine = open_in(folder.path(), start()).await;
    let history = engine.delivery(delivery).await.unwrap();
    assert!(history.event.expunged && history.event.data.as_str() == "{}");
    assert_eq!(history.delivery.state.as_str(), "succeeded");
    let listed = engine.attempts(hookwheel::AttemptFilter::event(delivery.event)).await.unwrap();
    assert_eq!(listed.attempts[0].events[0].id, delivery.event, "it was carried all the same");
    let attempt = &history.attempts[0];
    let answer = attempt.outcome.response().unwrap();
    assert!(attempt.expunged && attempt.request.body.is_empty() && answer.body.is_empty());
    assert_eq!((answer.status, attempt.request.method.as_str()), (200, "POST"));
    assert_eq!(engine.event_by_uid(shop, "o-1").await.unwrap(), Some(delivery.event));
    let error = engine.replay(delivery).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("expunged"), "{error}");
    engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_sent_often_is_expunged_with_all_of_its_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(Answer::status(200).body("thank you")));
    engine.create_endpoint(shop, NewEndpoint::new(receiver.url())).await.unwrap();
    let event = || NewEvent::new(shop, "order.created", &json!({ "name": "Ann" })).unwrap();
    let [delivery, other] = [
        engine.emit(event()).await.unwrap().deliveries[0],
        engine.emit(event()).await.unwrap().deliveries[0],
    ];
    engine.settle().await;
    for _ in 1..70 {
        engine.replay(delivery).await.unwrap();
        engine.settle().await;
    }
    let foreign = engine.delivery(other).await.unwrap().attempts[0].id;
    let error = engine.expunge_attempt(delivery.event, foreign).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    engine.expunge_event(delivery.event).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);

    let engine = open_in(folder.path(), start()).await;
    let mut filter = AttemptFilter::event(delivery.event);
    filter.limit = 250;
    let listed = engine.attempts(filter).await.unwrap().attempts;
    assert_eq!(listed.len(), 70);
    assert!(listed.iter().all(|held| held.attempt.expunged));
    assert!(!engine.delivery(other).await.unwrap().attempts[0].expunged);
    engine.close().await.unwrap();
    drop(engine);
    // Not only not shown: the answers themselves are gone from what the store holds.
    let config = sled::Config::new().path(folder.path().join("data/sled"));
    let open = || Ok(config.clone().segment_size(2 * 1024 * 1024).open()?);
    let db = backoff::retry(backoff::ExponentialBackoff::default(), open).unwrap();
    let holds = |value: sled::IVec| memchr::memmem::find_iter(&value, "thank you").count();
    let left: usize = db.scan_prefix("r").values().map(|value| holds(value.unwrap())).sum();
    assert_eq!(left, 1, "that of the other event");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_or_is_in_flight_is_not_expunged() {
    let bench = bench().await;
    let (receiver, failing) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::status(500)));
    let delivery = bench.settled_order(1).await;
    let error = bench.engine.expunge_event(delivery.event).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("(waiting)"), "{error}");
    assert!(!bench.history(delivery).await.attempts[0].request.body.is_empty());
    receiver.answer_always(None);
    bench.advance(seconds(30)).await;
    bench.engine.expunge_event(delivery.event).await.unwrap();

    bench.engine.delete_endpoint(failing.endpoint.id).await.unwrap();
    let silent = bench.listen_raw().await;
    let created = bench.endpoint(NewEndpoint::new(silent.url())).await;
    let event = bench.emit("order.created", json!({})).await.event;
    silent.connections(1).await;
    let error = bench.engine.expunge_event(event).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("(sending)"), "{error}");
    bench.engine.delete_endpoint(created.endpoint.id).await.unwrap();
    let error = bench.engine.expunge_event(event).await.unwrap_err();
    assert!(error.is_conflict(), "its endpoint is gone, and the request is not: {error}");
    let unknown = EventId::from_uuid(uuid::Uuid::from_u128(1));
    assert!(bench.engine.expunge_event(unknown).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_about_to_go_out_ends_with_the_event() {
    let bench = bench().await;
    let one_a_second = |new| NewEndpoint { rate_limit_per_second: Some(1), ..new };
    let (receiver, _) = bench.receiver_with(Consumer::TicketNation, one_a_second).await;
    let delivery = bench.settled_order(1).await;
    // It is in its lane, and waits for the limit.
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
    bench.engine.expunge_event(delivery.event).await.unwrap();
    bench.advance(seconds(1)).await;
    assert_eq!(posts(&receiver).len(), 1);
    assert_eq!(bench.history(delivery).await.attempts.len(), 1);
    bench.order(2).await;
    for _ in 0..3 {
        bench.advance(seconds(1)).await;
    }
    assert_eq!(orders(&posts(&receiver)), [1, 2], "the lane goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expunged_is_neither_recovered_nor_replayed_with_the_rest() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    receiver.answer_always(Some(Answer::status(500)));
    let failed = [bench.settled_order(1).await, bench.settled_order(2).await];
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    receiver.answer_always(None);
    bench.engine.disable_endpoint(id, "maintenance").await.unwrap();
    let skipped = [bench.settled_order(3).await, bench.settled_order(4).await];
    for delivery in [failed[0], skipped[0]] {
        bench.engine.expunge_event(delivery.event).await.unwrap();
    }
    bench.engine.enable_endpoint(id).await.unwrap();
    let before = posts(&receiver).len();
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 2);
    bench.engine.settle().await;
    let mut sent = orders(&posts(&receiver)[before..]);
    sent.sort_unstable();
    assert_eq!(sent, [2, 4]);
    assert_eq!(bench.state(failed[0]).await, "exhausted");
    assert_eq!(bench.state(skipped[0]).await, "skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_of_a_batch_takes_the_bodies_of_its_attempts_along() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::GoCardless).await;
    let event = |number| bench.event("payments.created", json!({ "links": { "payment": number } }));
    let emitted = bench.engine.emit_batch(vec![event(1), event(2)]).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
    bench.engine.expunge_event(emitted[0].event).await.unwrap();
    let other = emitted[1].deliveries[0];
    let history = bench.history(other).await;
    assert!(history.attempts[0].expunged && history.attempts[0].request.body.is_empty());
    assert_eq!(history.event.data.as_str(), r#"{"links":{"payment":2}}"#, "its own data stays");
    bench.engine.replay(other).await.unwrap();
    bench.engine.settle().await;
    let sent = body(&posts(&receiver)[1]);
    let payments: Vec<_> = (sent["events"].as_array().unwrap().iter())
        .map(|event| event["links"]["payment"].as_u64().unwrap())
        .collect();
    assert_eq!(payments, [2], "what is left of the batch");
    assert!(bench.engine.replay(emitted[0].deliveries[0]).await.unwrap_err().is_conflict());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_attempt_is_expunged_by_itself() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500).body("personal")]);
    let delivery = bench.settled_order(1).await;
    bench.advance(seconds(30)).await;
    let made = bench.history(delivery).await.attempts;
    bench.engine.expunge_attempt(delivery.event, made[0].id).await.unwrap();
    let left = bench.history(delivery).await;
    assert!(left.attempts[0].expunged && left.attempts[0].request.body.is_empty());
    assert_eq!(left.attempts[1], made[1]);
    assert!(!left.event.expunged);
    let other = bench.settled_order(2).await;
    let foreign = bench.engine.expunge_attempt(other.event, made[1].id).await.unwrap_err();
    assert!(foreign.is_not_found(), "{foreign}");
}
