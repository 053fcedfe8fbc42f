//! Every provider's ladder to its end, each due instant compared with its page.

use crate::common::{bench, bench_with, hours, minutes, posts, posts_arrived, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer};
use serde_json::json;
use std::time::Duration;

/// Walks a ladder of exact delays down to its end: never early, never late.
async fn walk(consumer: Consumer, event_type: &str, delays: &[Duration], end: &str) {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(consumer).await;
    receiver.answer_always(Some(Answer::status(500)));
    let emitted = bench.emit(event_type, json!({ "orderId": 1 })).await;
    let delivery = emitted.deliveries[0];
    bench.engine.settle().await;
    for (made, delay) in (1..).zip(delays) {
        assert_eq!(posts(&receiver).len(), made, "{consumer:?}");
        assert_eq!(bench.waits(delivery).await, Some(*delay), "{consumer:?} after {made}");
        bench.advance(*delay - Duration::from_millis(1)).await;
        assert_eq!(posts(&receiver).len(), made, "{consumer:?} is early after {made}");
        bench.advance(Duration::from_millis(1)).await;
    }
    assert_eq!(posts(&receiver).len(), delays.len() + 1);
    let history = bench.history(delivery).await;
    assert_eq!(history.delivery.state.as_str(), end, "{consumer:?}");
    let numbers: Vec<u32> = history.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..=delays.len() as u32 + 1).collect::<Vec<_>>());
    if end == "exhausted" {
        bench.advance(hours(24 * 30)).await;
        assert_eq!(posts(&receiver).len(), delays.len() + 1, "{consumer:?} goes on");
        assert_eq!(bench.served(created.endpoint.id), "enabled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ticketnation_tries_after_30_seconds_5_minutes_and_50_minutes() {
    let page = [seconds(30), minutes(5), minutes(50)];
    walk(Consumer::TicketNation, "order.created", &page, "exhausted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yoco_tries_eight_times_over_27_hours_35_minutes_and_5_seconds() {
    let page = [seconds(5), minutes(5), minutes(30), hours(2), hours(5), hours(10), hours(10)];
    assert_eq!(page.iter().sum::<Duration>(), hours(27) + minutes(35) + seconds(5));
    walk(Consumer::Yoco, "payment.succeeded", &page, "exhausted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gocardless_tries_up_to_8_times_more_from_1_2_and_10_minutes() {
    let page = [minutes(1), minutes(2), minutes(10)];
    let ours = [minutes(30), hours(1), hours(4), hours(12), hours(24)];
    walk(Consumer::GoCardless, "payments.created", &[&page[..], &ours].concat(), "exhausted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn citizen_ticket_tries_in_the_spacing_of_its_file() {
    let ours = [seconds(30), minutes(5), minutes(30), hours(2), hours(6)];
    walk(Consumer::CitizenTicket, "payment.complete", &ours, "exhausted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencard_repeats_three_times_and_keeps_the_event() {
    let ours = [seconds(10), minutes(1), minutes(5)];
    walk(Consumer::OpenCard, "invoice.created", &ours, "waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_keeps_its_schedule_within_the_jitter() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::StandardWebhooks).await;
    receiver.answer_always(Some(Answer::status(500)));
    // As many deliveries as it takes to see that they do not fall due together.
    let mut deliveries = Vec::new();
    for number in 0..8 {
        deliveries.push(bench.settled_order(number).await);
    }
    let page = [
        seconds(5),
        minutes(5),
        minutes(30),
        hours(2),
        hours(5),
        hours(10),
        hours(14),
        hours(20),
        hours(24),
    ];
    for delivery in &deliveries[1..] {
        let first = bench.waits(*delivery).await.unwrap();
        assert!(first >= seconds(5).mul_f64(0.9) && first <= seconds(5).mul_f64(1.1), "{first:?}");
    }
    let mut waits = Vec::new();
    for delivery in &deliveries {
        waits.push(bench.waits(*delivery).await.unwrap());
    }
    waits.dedup();
    assert!(waits.len() > 1, "all wait equally long: {waits:?}");

    let delivery = deliveries[0];
    for (made, delay) in (1..).zip(page) {
        let history = bench.history(delivery).await;
        assert_eq!(history.attempts.len(), made);
        let wait = bench.waits(delivery).await.unwrap();
        assert!(wait >= delay.mul_f64(0.9), "after {made}: {wait:?} of {delay:?}");
        assert!(wait <= delay.mul_f64(1.1), "after {made}: {wait:?} of {delay:?}");
        bench.advance(wait - Duration::from_millis(2)).await;
        assert_eq!(bench.history(delivery).await.attempts.len(), made, "early after {made}");
        bench.advance(Duration::from_millis(2)).await;
    }
    assert_eq!(bench.state(delivery).await, "exhausted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delay_counts_from_the_end_of_the_failed_attempt() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::hang()]);
    let delivery = bench.order(1).await;
    posts_arrived(&receiver, 1).await;
    assert_eq!(bench.state(delivery).await, "sending");
    bench.clock.advance(seconds(7));
    receiver.stop().await;
    bench.engine.settle().await;
    let history = bench.history(delivery).await;
    assert_eq!(history.attempts[0].started_at, crate::common::start());
    assert_eq!(bench.waits(delivery).await, Some(seconds(30)), "from 7 s on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_answers_too_late_has_failed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/providers");
    let bench = bench_with(|builder| builder.development().providers_folder(folder)).await;
    let (receiver, _) =
        bench.receiver_with(Consumer::Unchecked, |new| new.provider("impatient")).await;
    receiver.answer_next([Answer::hang()]);
    let delivery = bench.settled_order(1).await;
    let history = bench.history(delivery).await;
    assert_eq!(bench.waits(delivery).await, Some(minutes(1)));
    let outcome = &history.attempts[0].outcome;
    let hookwheel::AttemptOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.kind.as_str(), "timeout");
    assert!(failure.to_string().contains("did not answer in time"), "{failure}");
    assert!(history.attempts[0].duration >= Duration::from_millis(300));
    bench.advance(minutes(1)).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
}
