//! What the platform is told of its applications' endpoints.

use crate::common::{
    Bench, bench_with, body, development, hours, minutes, orders, posts, seconds, start,
};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    ApplicationId, Config, DeliveryId, Engine, EventFilter, NewApplication, NewEndpoint, NewEvent,
    TestEvent,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The delays of Yoco's ladder.
fn ladder() -> [Duration; 7] {
    [seconds(5), minutes(5), minutes(30), hours(2), hours(5), hours(10), hours(10)]
}

/// A bench whose engine tells the application `platform`, that application, and its receiver.
async fn platform() -> (Bench, ApplicationId, Receiver) {
    let config = Config { notices_application: Some("platform".into()), ..development() };
    let bench = bench_with(|builder| builder.config(config)).await;
    let new = NewApplication { uid: Some("platform".into()), ..NewApplication::new("Platform") };
    let platform = bench.engine.create_application(new).await.unwrap().id;
    let receiver = bench.listen(Consumer::StandardWebhooks).await;
    let endpoint = NewEndpoint::new(receiver.url());
    let created = bench.engine.create_endpoint(platform, endpoint).await.unwrap();
    receiver.set_secret(created.secret.expose());
    (bench, platform, receiver)
}

/// The types of the notices that arrived, all of them signed.
fn told(receiver: &Receiver) -> Vec<String> {
    let posts = posts(receiver);
    assert!(posts.iter().all(|post| post.answered == Some(200)), "{posts:?}");
    posts.iter().map(|post| body(post)["type"].as_str().unwrap().to_owned()).collect()
}

/// How many events an application has.
async fn events(bench: &Bench, application: ApplicationId) -> usize {
    bench.engine.events(EventFilter::application(application)).await.unwrap().events.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_is_told_at_the_fourth_attempt_at_the_last_and_when_it_recovers() {
    let (bench, _, notices) = platform().await;
    let (customer, created) = bench.receiver(Consumer::Yoco).await;
    customer.answer_always(Some(Answer::status(503)));
    let delivery = bench.settled_order(1).await;
    let mut counts = vec![told(&notices).len()];
    for delay in ladder() {
        bench.advance(delay).await;
        counts.push(told(&notices).len());
    }
    assert_eq!(counts, [0, 0, 0, 1, 1, 1, 1, 2]);

    let id = created.endpoint.id;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(told(&notices).len(), 2, "a replay that fails changes nothing");
    customer.answer_always(None);
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 1);
    bench.engine.settle().await;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    let names = ["failing", "exhausted", "recovered"].map(|word| format!("message.attempt.{word}"));
    assert_eq!(told(&notices), names, "each of them once");

    let attempts = bench.history(delivery).await.attempts;
    for ((post, attempt), status) in posts(&notices).iter().zip([3, 7, 9]).zip([503, 503, 200]) {
        let attempt = &attempts[attempt];
        let data = json!({
            "appId": bench.application.to_string(),
            "appUid": null,
            "endpointId": id.to_string(),
            "endpointUid": null,
            "msgId": delivery.event.to_string(),
            "msgEventId": null,
            "lastAttempt": {
                "id": attempt.id.to_string(),
                "responseStatusCode": status,
                "timestamp": attempt.started_at.rfc3339(6),
            },
        });
        assert_eq!(body(post)["data"], data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_a_crash_parted_from_its_attempt_is_neither_lost_nor_doubled() {
    let (bench, platform, notices) = platform().await;
    let (customer, _) = bench.receiver(Consumer::TicketNation).await;
    customer.answer_always(Some(Answer::status(500)));
    let delivery = bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5)] {
        bench.advance(delay).await;
    }
    // As after a crash: the notice is on record, and the last attempt, which is made again, is not.
    let data = json!({ "lastAttempt": { "id": "that of which nobody knows" } });
    let (name, DeliveryId { event, endpoint }) = ("message.attempt.exhausted", delivery);
    let notice = NewEvent::new(platform, name, &data).unwrap();
    let notice = notice.idempotency_key(format!("{name}/{event}/{endpoint}"));
    bench.engine.emit(notice).await.unwrap();
    bench.engine.settle().await;
    bench.advance(minutes(50)).await;
    assert_eq!(bench.history(delivery).await.attempts.len(), 4);
    assert_eq!(bench.state(delivery).await, "exhausted");
    assert_eq!(told(&notices), [name]);
    assert_eq!(events(&bench, platform).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_recovers_by_itself_is_told_if_it_was_failing() {
    let (bench, _, notices) = platform().await;
    let (customer, _) = bench.receiver(Consumer::Yoco).await;
    for failures in [3, 4] {
        customer.answer_next(vec![Answer::status(500); failures]);
        bench.settled_order(1).await;
        for delay in ladder() {
            bench.advance(delay).await;
        }
    }
    assert_eq!(told(&notices), ["message.attempt.failing", "message.attempt.recovered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_ladder_is_told_at_its_end_only_and_test_events_never() {
    let (bench, _, notices) = platform().await;
    let (customer, created) = bench.receiver(Consumer::TicketNation).await;
    customer.answer_always(Some(Answer::status(500)));
    bench.engine.test(created.endpoint.id, TestEvent::default()).await.unwrap();
    bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        assert_eq!(told(&notices), [""; 0]);
        bench.advance(delay).await;
    }
    assert_eq!(told(&notices), ["message.attempt.exhausted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_webhook_is_told() {
    let (bench, _, notices) = platform().await;
    let (customer, _) = bench.receiver(Consumer::GoCardless).await;
    customer.answer_next(vec![Answer::status(500); 4]);
    let event = |number: u32| {
        let links = json!({ "links": { "payment": format!("PM{number}") }});
        bench.event("payments.confirmed", links)
    };
    let emitted = bench.engine.emit_batch((1..=3).map(event).collect()).await.unwrap();
    bench.engine.settle().await;
    for delay in [minutes(1), minutes(2), minutes(10)] {
        bench.advance(delay).await;
    }
    assert_eq!(told(&notices), ["message.attempt.failing"; 3]);
    let mut messages: Vec<Value> =
        posts(&notices).iter().map(|post| body(post)["data"]["msgId"].clone()).collect();
    messages.sort_by_key(Value::to_string);
    let expected: Vec<Value> =
        emitted.iter().map(|emitted| json!(emitted.event.to_string())).collect();
    assert_eq!(messages, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_told_and_one_that_somebody_disables_is_not() {
    let (bench, _, notices) = platform().await;
    let (customer, created) = bench.receiver(Consumer::StandardWebhooks).await;
    bench.engine.disable_endpoint(created.endpoint.id, "moving house").await.unwrap();
    bench.engine.enable_endpoint(created.endpoint.id).await.unwrap();
    customer.answer_next([Answer::status(410)]);
    bench.settled_order(1).await;
    bench.until_served(created.endpoint.id, "disabled").await;
    bench.engine.settle().await;
    assert_eq!(told(&notices), ["endpoint.disabled"]);
    let data = json!({
        "appId": bench.application.to_string(),
        "appUid": null,
        "endpointId": created.endpoint.id.to_string(),
        "endpointUid": null,
        "failSince": "2026-01-15T12:00:00.000000Z",
        "reason": "the endpoint answered status 410",
    });
    assert_eq!(body(&posts(&notices)[0])["data"], data);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_the_platforms_own_endpoint() {
    let (bench, platform, notices) = platform().await;
    let (customer, _) = bench.receiver(Consumer::TicketNation).await;
    customer.answer_always(Some(Answer::status(500)));
    notices.answer_always(Some(Answer::status(500)));
    bench.settled_order(1).await;
    for _ in 0..16 {
        bench.advance(hours(27)).await;
    }
    assert_eq!(posts(&notices).len(), 10, "the whole ladder");
    assert_eq!(events(&bench, platform).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_an_event_like_any_other() {
    let (bench, platform, notices) = platform().await;
    let (customer, _) = bench.receiver(Consumer::TicketNation).await;
    customer.answer_always(Some(Answer::status(500)));
    notices.answer_next([Answer::status(500)]);
    bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5), minutes(50), seconds(6)] {
        bench.advance(delay).await;
    }
    let posts = posts(&notices);
    assert_eq!(posts.len(), 2, "it was tried again");
    assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
    assert_eq!(events(&bench, platform).await, 1, "and is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_to_be_told_all_goes_on_as_ever() {
    let config = Config { notices_application: Some("nobody".into()), ..development() };
    let bench = bench_with(|builder| builder.config(config)).await;
    let (customer, _) = bench.receiver(Consumer::TicketNation).await;
    customer.answer_always(Some(Answer::status(500)));
    let delivery = bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    assert_eq!(bench.state(delivery).await, "exhausted");
    let config = Config { notices_application: Some("a b".into()), ..development() };
    let error = Engine::builder().in_memory().config(config).open().await.err().unwrap();
    assert!(error.to_string().starts_with("`notices_application`: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_days_is_disabled_told_and_recovered_with_what_it_missed() {
    let (bench, _, notices) = platform().await;
    let policy = |endpoint| NewEndpoint { disable_after_failing_days: Some(5), ..endpoint };
    let (customer, created) = bench.receiver_with(Consumer::TicketNation, policy).await;
    let id = created.endpoint.id;
    customer.answer_always(Some(Answer::status(500)));
    let early = bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5), minutes(50), hours(118)] {
        bench.advance(delay).await;
    }
    let late = bench.settled_order(2).await;
    assert_eq!(bench.served(id), "enabled", "it has failed for less than five days");
    for delay in [hours(2), minutes(5)] {
        bench.advance(delay).await;
    }
    let waiting = bench.settled_order(3).await;
    assert_eq!(bench.served(id), "enabled", "order 2 is not given up yet");
    bench.advance(minutes(50)).await;
    bench.until_served(id, "disabled").await;
    bench.engine.settle().await;
    let skipped = bench.settled_order(4).await;
    // The last two go out side by side.
    let mut names = told(&notices);
    names.sort_unstable();
    let exhausted = "message.attempt.exhausted";
    assert_eq!(names, ["endpoint.disabled", exhausted, exhausted]);
    let mut bodies = posts(&notices).into_iter().map(|post| body(&post));
    let disabled = bodies.find(|body| body["type"] == "endpoint.disabled").unwrap();
    let data = &disabled["data"];
    assert_eq!(data["failSince"], "2026-01-15T12:00:00.000000Z");
    let reason = "every attempt has failed since 2026-01-15T12:00:00.000Z, and \
                  `disable_after_failing_days` is 5";
    assert_eq!(data["reason"], reason);
    for (delivery, state) in [early, late, waiting, skipped].into_iter().zip([
        "exhausted",
        "exhausted",
        "waiting",
        "skipped",
    ]) {
        assert_eq!(bench.state(delivery).await, state);
    }

    customer.answer_always(None);
    let before = posts(&customer).len();
    bench.engine.enable_endpoint(id).await.unwrap();
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 3);
    bench.advance(minutes(5)).await;
    let mut arrived = orders(&posts(&customer)[before..]);
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3, 4]);
    assert_eq!(told(&notices)[3..], ["message.attempt.recovered", "message.attempt.recovered"]);
}
