//! What Standard Webhooks asks of senders, and that the others keep to their own pages.

use crate::common::{bench, bench_with, hours, minutes, posts, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer};
use hookwheel::{NewEvent, Payload};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_and_what_waits_goes_on_when_it_is_enabled() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::StandardWebhooks).await;
    let id = created.endpoint.id;
    receiver.answer_next([Answer::status(500), Answer::status(410)]);
    let first = bench.settled_order(1).await;
    let second = bench.settled_order(2).await;
    assert_eq!(bench.served(id), "disabled");
    let state = format!("{:?}", bench.engine.endpoint(id).unwrap().state);
    assert!(state.contains("status 410"), "{state}");

    bench.advance(hours(1)).await;
    assert_eq!(posts(&receiver).len(), 2, "nothing goes out");
    for delivery in [first, second] {
        assert_eq!(bench.state(delivery).await, "waiting");
    }
    let third = bench.settled_order(3).await;
    assert_eq!(bench.state(third).await, "skipped");

    bench.engine.enable_endpoint(id).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.state(first).await, "succeeded");
    assert_eq!(bench.state(second).await, "succeeded");
    assert_eq!(bench.state(third).await, "skipped", "until it is recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_endpoint_is_left_alone_for_longer() {
    for status in [429, 502, 504] {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(Consumer::StandardWebhooks).await;
        receiver.answer_next([Answer::status(status), Answer::status(status)]);
        let delivery = bench.settled_order(1).await;
        assert_eq!(bench.waits(delivery).await, Some(minutes(1)), "not 5 s after {status}");
        bench.advance(minutes(1)).await;
        let wait = bench.waits(delivery).await.unwrap();
        assert!(wait >= minutes(5).mul_f64(0.9), "{wait:?} is earlier than the schedule says");
    }
}

/// How long the next attempt waits after an answer with this `Retry-After`.
async fn wait_after(consumer: Consumer, status: u16, retry_after: &str) -> Duration {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(consumer).await;
    receiver.answer_next([Answer::status(status).header("Retry-After", retry_after)]);
    let delivery = bench.settled_order(1).await;
    bench.waits(delivery).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_pushes_later_and_never_earlier() {
    let waits = |text| wait_after(Consumer::StandardWebhooks, 503, text);
    assert_eq!(waits("3600").await, hours(1));
    assert_eq!(waits("Thu, 15 Jan 2026 13:30:00 GMT").await, minutes(90), "it is 12:00");
    assert_eq!(waits("99999999").await, hours(24), "a day at most");
    for early in ["0", "1", "Thu, 15 Jan 2026 11:00:00 GMT", "soon"] {
        let wait = waits(early).await;
        assert!(wait >= seconds(5).mul_f64(0.9) && wait <= seconds(5).mul_f64(1.1), "{early}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_keep_to_their_own_pages() {
    for (consumer, first_delay) in [
        (Consumer::TicketNation, seconds(30)),
        (Consumer::Yoco, seconds(5)),
        (Consumer::GoCardless, minutes(1)),
        (Consumer::OpenCard, seconds(10)),
        (Consumer::CitizenTicket, seconds(30)),
    ] {
        for status in [410, 429, 503] {
            let wait = wait_after(consumer, status, "3600").await;
            assert_eq!(wait, first_delay, "{consumer:?} after {status}");
        }
    }
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(410)]);
    bench.settled_order(1).await;
    assert_eq!(bench.served(created.endpoint.id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_not_followed() {
    for consumer in [Consumer::StandardWebhooks, Consumer::GoCardless, Consumer::TicketNation] {
        let bench = bench().await;
        let elsewhere = bench.listen(Consumer::Unchecked).await;
        let (receiver, _) = bench.receiver(consumer).await;
        for status in [301, 302, 303, 307, 308] {
            let redirect = Answer::status(status).header("Location", elsewhere.url());
            receiver.answer_next([redirect]);
            let delivery = bench.settled_order(1).await;
            let history = bench.history(delivery).await;
            assert_eq!(history.delivery.state.as_str(), "waiting", "{consumer:?} {status}");
            let answer = history.attempts[0].outcome.response().unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("location"), Some(elsewhere.url().as_str()));
        }
        assert!(elsewhere.requests().is_empty(), "{consumer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_over_from_svix_keeps_the_bodies_as_they_were() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/providers");
    let bench = bench_with(|builder| builder.development().providers_folder(folder)).await;
    let (receiver, _) = bench.receiver(Consumer::StandardWebhooks).await;
    let data = r#"{ "b": 1.0, "a": "\u0041" }"#;
    let mut event = NewEvent::new(bench.application, "order.created", &json!({})).unwrap();
    event.data = Payload::from_text(data).unwrap();
    bench.engine.emit(event).await.unwrap();
    bench.engine.settle().await;
    let posts = posts(&receiver);
    assert_eq!(posts[0].body, data.as_bytes(), "the payload is the body, byte for byte");
    assert_eq!(posts[0].answered, Some(200), "signed as before: {:?}", posts[0].verdict);
}

#[test]
fn the_provider_of_who_moves_over_differs_in_the_envelope_alone() {
    let read = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut file: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        (file.remove("envelope").unwrap(), file)
    };
    let (own, bare) = (
        read("schedules/standard-webhooks.toml"),
        read("examples/providers/standard-webhooks.toml"),
    );
    assert_ne!(own.0, bare.0);
    assert_eq!(own.1, bare.1);
}
