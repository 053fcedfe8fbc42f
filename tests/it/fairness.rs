//! One slow endpoint costs the others nothing.

use crate::common::{Bench, bench, bench_with, development, posts, seconds, soon, until};
use hookwheel::simulate::receiver::{Answer, Consumer};
use hookwheel::{ApplicationChange, Config, NewApplication, NewEndpoint, NewEvent, TestEvent};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_delays_nobody() {
    let bench = bench().await;
    let hanging = bench.listen_raw().await;
    bench.endpoint(NewEndpoint::new(hanging.url())).await;
    let mut healthy = Vec::new();
    for _ in 0..4 {
        healthy.push(bench.receiver(Consumer::StandardWebhooks).await.0);
    }
    for number in 0..100 {
        bench.order(number).await;
    }
    for receiver in &healthy {
        assert_eq!(receiver.wait_for(100).await.unwrap().len(), 100);
    }
    hanging.connections(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_tell_each_attempt() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let mut outcomes = bench.engine.outcomes();
    receiver.answer_next([Answer::status(503)]);
    let delivery = bench.settled_order(1).await;
    bench.advance(std::time::Duration::from_secs(30)).await;
    for (number, success, state) in [(1, false, "waiting"), (2, true, "succeeded")] {
        let outcome = soon(outcomes.next()).await.unwrap();
        assert_eq!(outcome.endpoint, created.endpoint.id);
        assert_eq!(outcome.deliveries[0].0, delivery);
        assert_eq!(outcome.deliveries[0].1.as_str(), "order.created");
        assert_eq!(outcome.attempt.number, number);
        assert_eq!(outcome.attempt.outcome.is_success(), success);
        assert_eq!(outcome.state.unwrap().as_str(), state);
    }
}

/// Limits the bench's application to that many webhooks a second, or no more.
async fn limit(bench: &Bench, rate: Option<u32>) {
    let change =
        ApplicationChange { rate_limit_per_second: Some(rate), ..ApplicationChange::default() };
    bench.engine.update_application(bench.application, change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_limit_counts_over_all_its_endpoints() {
    let bench = bench().await;
    let (first, _) = bench.receiver(Consumer::StandardWebhooks).await;
    let (second, _) = bench.receiver(Consumer::StandardWebhooks).await;
    let arrived = || [posts(&first).len(), posts(&second).len()];
    limit(&bench, Some(4)).await;
    for number in 0..20 {
        bench.order(number).await;
    }
    bench.engine.settle().await;
    assert_eq!(arrived(), [1, 0]);
    for quarter in 1..=12 {
        bench.advance(Duration::from_millis(250)).await;
        // What waits in memory for long goes to disk meanwhile, and comes back.
        until(|| arrived().iter().sum::<usize>() > quarter).await;
        let [one, other] = arrived();
        assert_eq!(one + other, quarter + 1, "evenly spaced");
        assert!(one.abs_diff(other) <= 2, "in turn: {one} and {other}");
    }
    limit(&bench, None).await;
    until(|| arrived() == [20, 20]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_limit_holds_back_no_other_application() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::StandardWebhooks).await;
    let limited = NewApplication { rate_limit_per_second: Some(1), ..NewApplication::new("Bar") };
    let limited = bench.engine.create_application(limited).await.unwrap().id;
    let held_back = bench.listen(Consumer::Unchecked).await;
    bench.engine.create_endpoint(limited, NewEndpoint::new(held_back.url())).await.unwrap();
    for number in 0..10 {
        let event = NewEvent::new(limited, "order.created", &json!({ "orderId": number }));
        bench.engine.emit(event.unwrap()).await.unwrap();
        bench.order(number).await;
    }
    bench.engine.settle().await;
    assert_eq!((posts(&receiver).len(), posts(&held_back).len()), (10, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_waits_for_a_limit_fills_nobody_elses_room() {
    // Everything goes through queues, and the backlog below has several times what may be loaded.
    let config = Config { fresh_max_bytes: 0, loaded_max_bytes: 128 * 1024, ..development() };
    let bench = bench_with(|builder| builder.config(config)).await;
    let limited = NewApplication { rate_limit_per_second: Some(1), ..NewApplication::new("Bar") };
    let limited = bench.engine.create_application(limited).await.unwrap().id;
    let held_back = bench.listen(Consumer::Unchecked).await;
    for _ in 0..10 {
        bench.engine.create_endpoint(limited, NewEndpoint::new(held_back.url())).await.unwrap();
    }
    let note = "n".repeat(8000);
    for number in 0..10 {
        let order = json!({ "orderId": number, "note": note });
        let event = NewEvent::new(limited, "order.created", &order);
        bench.engine.emit(event.unwrap()).await.unwrap();
    }
    bench.engine.settle().await;
    assert_eq!(posts(&held_back).len(), 1);

    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500)]);
    bench.settled_order(1).await;
    assert_eq!(posts(&receiver).len(), 1);
    bench.advance(seconds(30)).await;
    assert_eq!(posts(&receiver).len(), 2, "its retry, as soon as it is due");
    let hanging = bench.listen_raw().await;
    bench.endpoint(NewEndpoint::new(hanging.url())).await;
    for number in 2..10 {
        bench.order(number).await;
    }
    hanging.connections(8).await;
    until(|| posts(&receiver).len() == 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_count_for_an_applications_limit_and_test_events_do_not() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::StandardWebhooks).await;
    limit(&bench, Some(1)).await;
    let delivery = bench.settled_order(1).await;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.test(created.endpoint.id, TestEvent::default()).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 2, "the event and the test event");
    bench.advance(seconds(1)).await;
    assert_eq!(posts(&receiver).len(), 3, "the replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_nothing_is_refused() {
    let bench = bench().await;
    let change =
        ApplicationChange { rate_limit_per_second: Some(Some(0)), ..ApplicationChange::default() };
    let error = bench.engine.update_application(bench.application, change).await.unwrap_err();
    assert!(error.to_string().contains("rate limit of 0"), "{error}");
}
