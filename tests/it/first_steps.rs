//! The main way of an event.

use crate::common::bench;
use hookwheel::simulate::receiver::{Answer, Consumer};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_signed_and_is_on_record() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let delivery = bench.order(1).await;
    bench.engine.settle().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].verdict.is_accepted(), "{}", requests[0].verdict);
    let history = bench.history(delivery).await;
    assert_eq!(history.delivery.state.as_str(), "succeeded");
    assert_eq!(history.attempts[0].request.body, requests[0].body);
    assert_eq!(history.attempts[0].request.headers, requests[0].headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_retried_on_the_ladder() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500), Answer::status(503)]);
    let delivery = bench.order(1).await;
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "waiting");
    bench.clock.advance(Duration::from_secs(29));
    bench.engine.settle().await;
    assert_eq!(receiver.requests().len(), 1, "not before 30 s");
    bench.clock.advance(Duration::from_secs(1));
    bench.engine.settle().await;
    assert_eq!(receiver.requests().len(), 2);
    bench.clock.advance(Duration::from_secs(300));
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    assert_eq!(receiver.requests().len(), 3);
}
