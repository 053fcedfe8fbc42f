//! One slow endpoint costs the others nothing.

use crate::common::{bench, soon};
use hookwheel::NewEndpoint;
use hookwheel::simulate::receiver::Consumer;

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
    use hookwheel::simulate::receiver::Answer;
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
