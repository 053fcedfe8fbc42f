//! Every defect that was found, by its name.

use crate::common::{Bench, bench, hours, minutes, orders, posts, posts_arrived, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{DeliveryId, EndpointChange, EndpointId, HeaderChange, TestEvent};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_that_fails_its_challenge_ends_the_sending_to_the_old_one() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::OpenCard).await;
    let id = created.endpoint.id;
    receiver.answer_next([Answer::status(500)]);
    let delivery = bench.settled_order(1).await;
    let deaf = bench.listen(Consumer::Unchecked).await;
    let change = EndpointChange { url: Some(deaf.url()), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    assert_eq!(bench.served(id), "disabled");
    bench.advance(hours(1)).await;
    assert_eq!((posts(&receiver).len(), posts(&deaf).len()), (1, 0));
    assert_eq!(bench.state(delivery).await, "waiting");
}

/// A parked endpoint that came back and took order 1; order 2 is under way to it, in order.
async fn in_order() -> (Bench, Receiver, EndpointId, DeliveryId) {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let second = bench.settled_order(2).await;
    receiver.answer_always(None);
    receiver.answer_next([Answer::status(200), Answer::hang()]);
    receiver.resume().await.unwrap();
    // Not waiting for what comes of it, which is nothing.
    bench.clock.advance(minutes(1));
    posts_arrived(&receiver, 3).await;
    (bench, receiver, created.endpoint.id, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_failed_while_its_endpoint_was_disabled_goes_on_when_enabled() {
    let (bench, receiver, id, second) = in_order().await;
    bench.engine.disable_endpoint(id, "maintenance").await.unwrap();
    receiver.stop().await;
    bench.engine.settle().await;
    receiver.resume().await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    bench.advance(hours(1)).await;
    assert_eq!(orders(&posts(&receiver)), [1, 1, 2, 2]);
    assert_eq!(bench.state(second).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_in_order_are_numbered_one_by_one() {
    let (bench, receiver, _, second) = in_order().await;
    receiver.stop().await;
    bench.engine.settle().await;
    bench.advance(seconds(10)).await;
    receiver.resume().await.unwrap();
    bench.advance(minutes(1)).await;
    let attempts = bench.history(second).await.attempts;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_once_against_the_rate_limit() {
    let bench = bench().await;
    let (receiver, _) = bench
        .receiver_with(Consumer::GoCardless, |mut new| {
            new.rate_limit_per_second = Some(1);
            new
        })
        .await;
    let delivery = bench.emit("payments.created", json!({})).await.deliveries[0];
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1, "at once");
    assert_eq!(bench.state(delivery).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_test_events_are_not_replayed_with_what_failed() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    receiver.answer_next([Answer::status(500)]);
    bench.engine.test(id, TestEvent::default()).await.unwrap();
    assert_eq!(bench.engine.replay_failed(id, crate::common::start(), None).await.unwrap(), 0);
    assert_eq!(bench.engine.recover(id, crate::common::start(), None).await.unwrap(), 0);
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_provider_cannot_be_sent_twice() {
    let bench = bench().await;
    let (_receiver, created) = bench.receiver(Consumer::OpenCard).await;
    let headers = HeaderChange::Replace(vec![("x-event".to_owned(), "mine".to_owned())]);
    let change = EndpointChange { headers: Some(headers), ..EndpointChange::default() };
    let error = bench.engine.update_endpoint(created.endpoint.id, change).await.unwrap_err();
    assert!(error.to_string().contains("`x-event` is reserved"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_keeps_its_challenge_waiting_holds_up_nobody_elses_changes() {
    let bench = bench().await;
    let hanging = bench.listen_raw().await;
    let endpoint = hookwheel::NewEndpoint::new(hanging.url()).provider("opencard");
    let engine = bench.engine.clone();
    let application = bench.application;
    let creating =
        tokio::spawn(async move { engine.create_endpoint(application, endpoint).await.unwrap() });
    hanging.connected().await;
    let (receiver, other) = bench.receiver(Consumer::TicketNation).await;
    bench.engine.disable_endpoint(other.endpoint.id, "not now").await.unwrap();
    assert!(!creating.is_finished(), "the challenge is still unanswered");
    drop(hanging);
    let created = creating.await.unwrap();
    assert_eq!(created.endpoint.state.as_str(), "disabled");
    bench.advance(seconds(1)).await;
    assert!(receiver.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emit_that_nobody_waits_for_is_delivered_all_the_same() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let emit = bench.emit("order.created", json!({ "orderId": 1 }));
    // Asked for, and dropped before it can be answered: as by a client that disconnects.
    tokio::select! {
        biased;
        _ = emit => {}
        () = std::future::ready(()) => {}
    }
    assert_eq!(orders(&posts_arrived(&receiver, 1).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_stopped_and_served_while_a_retry_is_in_flight_has_one_ladder() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500), Answer::hang()]);
    let delivery = bench.settled_order(1).await;
    bench.clock.advance(seconds(30));
    posts_arrived(&receiver, 2).await;
    bench.engine.disable_endpoint(created.endpoint.id, "a moment").await.unwrap();
    bench.engine.enable_endpoint(created.endpoint.id).await.unwrap();
    // The request in flight ends here, without an answer.
    receiver.stop().await;
    bench.engine.settle().await;
    receiver.resume().await.unwrap();
    assert_eq!(bench.waits(delivery).await, Some(minutes(5)));
    assert_eq!(bench.history(delivery).await.attempts.len(), 2);
    bench.advance(minutes(5)).await;
    assert_eq!(posts(&receiver).len(), 3);
    assert_eq!(bench.state(delivery).await, "succeeded");
}
