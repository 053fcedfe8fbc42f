//! What goes over the wire, provider by provider.

use crate::common::{bench, body, minutes, post_again, posts, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer, Received};
use hookwheel::{NewEndpoint, Payload, TestEvent};
use serde_json::{Value, json};

const PROVIDERS: [Consumer; 6] = [
    Consumer::CitizenTicket,
    Consumer::TicketNation,
    Consumer::Yoco,
    Consumer::GoCardless,
    Consumer::OpenCard,
    Consumer::StandardWebhooks,
];

const AGENT: &str = concat!("hookwheel/", env!("CARGO_PKG_VERSION"));

#[tokio::test(flavor = "multi_thread")]
async fn every_event_type_of_every_provider_is_accepted_by_its_receiver() {
    for consumer in PROVIDERS {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(consumer).await;
        let provider = bench.engine.provider(consumer.name()).unwrap();
        let types: Vec<_> = provider.event_types().cloned().collect();
        let mut deliveries = Vec::new();
        for event_type in &types {
            let mut event = bench.event(event_type.as_str(), json!({}));
            event.data = provider.sample(event_type.as_str(), &[]).unwrap();
            deliveries.extend(bench.engine.emit(event).await.unwrap().deliveries);
        }
        assert_eq!(deliveries.len(), types.len());
        bench.engine.settle().await;
        for request in receiver.requests() {
            assert!(request.verdict.is_accepted(), "{consumer:?}: {}", request.verdict);
        }
        for delivery in deliveries {
            assert_eq!(bench.state(delivery).await, "succeeded", "{consumer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_changed_on_the_way_is_refused() {
    for consumer in PROVIDERS {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(consumer).await;
        bench.emit("order.created", json!({ "orderId": 1 })).await;
        bench.engine.settle().await;
        let sent = posts(&receiver).remove(0);
        for at in [0, sent.body.len() / 2, sent.body.len() - 1] {
            let status = post_again(&receiver, &sent, |body| body[at] ^= 1).await;
            let refusal = if consumer == Consumer::GoCardless { 498 } else { 401 };
            assert_eq!(status, refusal, "{consumer:?}, byte {at}");
        }
        let status = post_again(&receiver, &sent, |_| {}).await;
        assert!((200..300).contains(&status), "{consumer:?} refuses what was sent: {status}");
    }
}

/// The head as it is on the wire, with what differs from run to run replaced.
fn head(request: &Received) -> String {
    let host = request.header("Host").unwrap();
    let text = String::from_utf8(request.head.clone()).unwrap().replace(host, "HOST");
    let length = request.body.len();
    text.replace(&format!("Content-Length: {length}\r\n"), "Content-Length: LENGTH\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_byte_for_byte_what_the_provider_sends() {
    let unix = crate::common::start().as_unix_seconds();
    let sign = |names: &str| format!("{names}Content-Length: LENGTH\r\n\r\n");
    let plain = format!("Content-Type: application/json\r\nUser-Agent: {AGENT}\r\n");
    for (consumer, expected) in [
        (Consumer::CitizenTicket, sign(&format!("{plain}X-Signature: SIGNATURE\r\n"))),
        (Consumer::TicketNation, sign(&format!("{plain}X-TN-Signature: SIGNATURE\r\n"))),
        (
            Consumer::Yoco,
            sign(&format!(
                "{plain}webhook-id: ID\r\nwebhook-timestamp: {unix}\r\n\
                 webhook-signature: SIGNATURE\r\n"
            )),
        ),
        (
            Consumer::StandardWebhooks,
            sign(&format!(
                "{plain}webhook-id: ID\r\nwebhook-timestamp: {unix}\r\n\
                 webhook-signature: SIGNATURE\r\n"
            )),
        ),
        (
            Consumer::GoCardless,
            sign(
                "User-Agent: gocardless-webhook-service/1.1\r\nContent-Type: application/json\r\n\
                 Webhook-Signature: SIGNATURE\r\n",
            ),
        ),
        (
            Consumer::OpenCard,
            sign(&format!(
                "User-Agent: {AGENT}\r\nContent-Type: application/json\r\nX-Version: 1\r\n\
                 X-Event: order.created\r\nX-Data-Signature: SIGNATURE\r\n"
            )),
        ),
    ] {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(consumer).await;
        bench.settled_order(1).await;
        let sent = posts(&receiver).remove(0);
        let mut got = head(&sent);
        for (name, value) in &sent.headers {
            let word = match name.to_ascii_lowercase().as_str() {
                "webhook-id" => "ID",
                name if name.ends_with("signature") => "SIGNATURE",
                _ => continue,
            };
            got = got.replace(value.as_str(), word);
        }
        let expected = format!("POST /webhooks HTTP/1.1\r\nHost: HOST\r\n{expected}");
        assert_eq!(got, expected, "{consumer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_computed_elsewhere_is_the_one_on_the_wire() {
    let bench = bench().await;
    let receiver = bench.listen(Consumer::Unchecked).await;
    receiver.answer_always(Some(Answer::status(200)));
    let endpoint = NewEndpoint::new(receiver.url());
    let created = bench.endpoint(endpoint.provider("opencard").secret("a-shared-secret")).await;
    assert_eq!(created.endpoint.state.as_str(), "disabled", "nobody answers the challenge");
    // A webhook of OpenCard is the event's data and nothing else, so its signature never changes.
    let mut event = bench.event("invoice.created", json!({}));
    let data = r#"{"id":"1", "invoice_amount": 120.10}"#;
    event.data = Payload::from_text(data).unwrap();
    bench.engine.emit(event).await.unwrap();
    receiver.set_secret("a-shared-secret");
    let honest = bench.listen(Consumer::OpenCard).await;
    honest.set_secret("a-shared-secret");
    let id = created.endpoint.id;
    let url = Some(honest.url());
    let change = hookwheel::EndpointChange { url, ..Default::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    bench.engine.recover(id, crate::common::start(), None).await.unwrap();
    bench.engine.settle().await;
    let sent = posts(&honest).remove(0);
    assert_eq!(sent.body, data.as_bytes(), "spaces and zeros pass through");
    // printf %s '{"id":"1", "invoice_amount": 120.10}' | \
    //   openssl dgst -sha256 -hmac a-shared-secret
    let expected = "7cead5e3f78c699449f7096aca4073e9ebe2a6f163bc3e78db897507ef8c6080";
    assert_eq!(sent.header("X-Data-Signature"), Some(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_library_accepts_standard_webhooks() {
    // The library compares the timestamp with the machine's clock, so the engine goes by it too.
    let engine = hookwheel::Engine::builder().in_memory().development().open().await.unwrap();
    let shop = engine.create_application(hookwheel::NewApplication::new("Shop")).await.unwrap();
    for provider in ["standard-webhooks", "yoco"] {
        let receiver =
            hookwheel::simulate::receiver::Receiver::start(Consumer::Unchecked, "").await.unwrap();
        let endpoint = NewEndpoint::new(receiver.url()).provider(provider);
        let created = engine.create_endpoint(shop.id, endpoint).await.unwrap();
        let data = json!({ "note": "naïve — ☃", "amount": 1.50 });
        let event = hookwheel::NewEvent::new(shop.id, "order.created", &data).unwrap();
        engine.emit(event).await.unwrap();
        let sent = receiver.wait_for(1).await.unwrap().remove(0);
        let library = standardwebhooks::Webhook::new(created.secret.expose()).unwrap();
        let headers: http::HeaderMap = (sent.headers.iter())
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect();
        library.verify(&sent.body, &headers).unwrap();
        let mut tampered = sent.body.clone();
        tampered[10] ^= 1;
        assert!(library.verify(&tampered, &headers).is_err(), "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_key_signatures_are_accepted_under_the_public_key() {
    let bench = bench().await;
    let (receiver, created) = bench
        .receiver_with(Consumer::StandardWebhooks, |mut new| {
            new.scheme = Some("v1a".to_owned());
            new
        })
        .await;
    assert!(created.secret.expose().starts_with("whpk_"), "only the public half is shown");
    let delivery = bench.settled_order(1).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    let sent = posts(&receiver).remove(0);
    assert!(sent.header("webhook-signature").unwrap().starts_with("v1a,"));
    assert_eq!(post_again(&receiver, &sent, |body| body[3] ^= 1).await, 401);
}

/// The id by which a receiver of that provider tells duplicates.
fn wire_id(consumer: Consumer, request: &Received) -> String {
    match consumer {
        Consumer::OpenCard => String::from_utf8(request.body.clone()).unwrap(),
        Consumer::GoCardless => {
            let body = body(request);
            format!("{} {}", body["events"][0]["id"], body["meta"]["webhook_id"])
        }
        Consumer::Yoco => {
            format!("{} {}", body(request)["id"], request.header("webhook-id").unwrap())
        }
        Consumer::StandardWebhooks => request.header("webhook-id").unwrap().to_owned(),
        _ => body(request)["id"].to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_the_same_over_attempts_and_replays() {
    for consumer in PROVIDERS {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(consumer).await;
        receiver.answer_next([Answer::status(500), Answer::status(500)]);
        let delivery = bench.settled_order(1).await;
        for _ in 0..2 {
            let wait = bench.waits(delivery).await.unwrap();
            bench.advance(wait + seconds(1)).await;
        }
        bench.engine.replay(delivery).await.unwrap();
        bench.engine.settle().await;
        let sent = posts(&receiver);
        assert_eq!(sent.len(), 4, "{consumer:?}");
        for request in &sent {
            assert!(request.verdict.is_accepted(), "{consumer:?}: {}", request.verdict);
            assert_eq!(wire_id(consumer, request), wire_id(consumer, &sent[0]), "{consumer:?}");
        }
        let restamps = consumer == Consumer::CitizenTicket;
        for later in &sent[1..] {
            assert_eq!(later.body != sent[0].body, restamps, "{consumer:?}");
        }
        if consumer != Consumer::OpenCard {
            assert!(sent[3].duplicate, "{consumer:?}: the replay of what succeeded");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_retry_is_stamped_anew_where_the_page_says_so() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::CitizenTicket).await;
    receiver.answer_next([Answer::status(500), Answer::status(500), Answer::status(500)]);
    let delivery = bench.settled_order(1).await;
    for delay in [seconds(30), minutes(5), minutes(30)] {
        bench.advance(delay).await;
    }
    assert_eq!(bench.state(delivery).await, "succeeded", "35 minutes old, and still fresh");
    let stamps: Vec<Value> =
        posts(&receiver).iter().map(|request| body(request)["timestamp"].clone()).collect();
    let expected = [
        "2026-01-15T12:00:00Z",
        "2026-01-15T12:00:30Z",
        "2026-01-15T12:05:30Z",
        "2026-01-15T12:35:30Z",
    ];
    assert_eq!(stamps, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_stamps_each_attempt_in_whole_seconds() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::StandardWebhooks).await;
    receiver.answer_next([Answer::status(500)]);
    bench.settled_order(1).await;
    bench.advance(seconds(6)).await;
    let stamps: Vec<i64> = posts(&receiver)
        .iter()
        .map(|request| request.header("webhook-timestamp").unwrap().parse().unwrap())
        .collect();
    let first = crate::common::start().as_unix_seconds();
    assert_eq!(stamps, [first, first + 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_are_marked_as_the_provider_marks_them() {
    for (consumer, marked) in
        [(Consumer::TicketNation, "isTest"), (Consumer::Yoco, "payload"), (Consumer::OpenCard, "")]
    {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(consumer).await;
        let event = || bench.event("order.created", json!({ "amount": 1 }));
        bench.engine.emit(event()).await.unwrap();
        bench.engine.settle().await;
        bench.engine.emit(event().test_mode()).await.unwrap();
        bench.engine.settle().await;
        let marks: Vec<Value> =
            posts(&receiver).iter().map(|request| body(request)[marked].clone()).collect();
        let expected = match consumer {
            Consumer::TicketNation => [json!(false), json!(true)],
            Consumer::Yoco => {
                [json!({"amount": 1, "mode": "live"}), json!({"amount": 1, "mode": "test"})]
            }
            _ => [Value::Null, Value::Null],
        };
        assert_eq!(marks, expected, "{consumer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_events_are_answered_at_once_with_chosen_data() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let test = TestEvent::of("mandates.cancelled")
        .with("details.cause", "mandate_cancelled")
        .with("details.origin", "api");
    let attempt = bench.engine.test(created.endpoint.id, test).await;
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(attempt.trigger.as_str(), "test");
    assert!(attempt.outcome.is_success());
    let sent = posts(&receiver).remove(0);
    assert_eq!(attempt.request.body, sent.body);
    assert_eq!(attempt.request.headers, sent.headers, "in the order and casing of the wire");
    let event = &body(&sent)["events"][0];
    assert!(event["id"].as_str().unwrap().starts_with("EVTEST"), "{event}");
    assert_eq!(event["details"]["origin"], "api");

    let (yoco, created) = bench.receiver(Consumer::Yoco).await;
    let test = TestEvent::of("payment.succeeded").with("metadata.checkoutId", "ch_mine");
    bench.engine.test(created.endpoint.id, test).await.unwrap();
    let sent = body(&posts(&yoco)[0]);
    assert_eq!(sent["payload"]["metadata"]["checkoutId"], "ch_mine");
    assert_eq!(sent["payload"]["mode"], "test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_sent_once_whatever_the_endpoint_wants() {
    let bench = bench().await;
    let (receiver, created) =
        bench.receiver_with(Consumer::TicketNation, |new| new.events(["nothing.else"])).await;
    let id = created.endpoint.id;
    bench.engine.disable_endpoint(id, "holidays").await.unwrap();
    receiver.answer_next([Answer::status(500)]);
    let attempt = bench.engine.test(id, TestEvent::default()).await.unwrap();
    assert_eq!(attempt.outcome.response().unwrap().status, 500);
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 1, "it is not retried");
    let error = bench.engine.test(id, TestEvent::of("no.such")).await.unwrap_err();
    assert!(error.to_string().contains("order.created"), "{error}");
}
