//! What lies below an endpoint: headers, secret, tests, statistics.

use crate::common::{Client, Service, members, service};
use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/app/shop/endpoint/main";

/// A receiver, and the endpoint `main` that goes to it, made with `more`.
async fn receiver(client: &Client, consumer: Consumer, more: Value) -> (Receiver, Value) {
    let receiver = Receiver::start(consumer, "").await.unwrap();
    let mut body = more;
    body["url"] = json!(receiver.url());
    body["uid"] = json!("main");
    if consumer != Consumer::Unchecked {
        body["provider"] = json!(consumer.name());
    }
    let made = client.post("/app/shop/endpoint", body).await.ok(201);
    receiver.set_secret(made["secret"].as_str().unwrap());
    (receiver, made)
}

/// The value of a header of a request.
fn header<'a>(request: &'a Received, name: &str) -> Option<&'a str> {
    let held = request.headers.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
    held.map(|(_, value)| value.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_set_changed_and_sent_and_a_credential_is_not_shown() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, _) = receiver(&client, Consumer::Unchecked, json!({})).await;
    let path = format!("{PATH}/headers");
    let none = json!({"headers": {}, "sensitive": []});
    assert_eq!(client.get(&path).await.ok(200), none);
    let all = json!({"headers": {"X-Region": "eu", "X-B": "2", "Authorization": "Bearer canary"}});
    client.put(&path, all).await.is_empty(204);
    let shown = json!({"headers": {"X-Region": "eu", "X-B": "2"}, "sensitive": ["Authorization"]});
    assert_eq!(client.get(&path).await.ok(200), shown);
    assert_eq!(client.get(PATH).await.ok(200)["authentication"], "header");

    let attempt = client.post(&format!("{PATH}/test"), json!({})).await;
    assert!(!attempt.text.contains("canary"), "a credential is masked: {}", attempt.text);
    let sent = receiver.wait_for(1).await.unwrap();
    assert_eq!(header(&sent[0], "authorization"), Some("Bearer canary"));
    assert_eq!(header(&sent[0], "x-region"), Some("eu"));

    let change = json!({"headers": {"x-region": "us", "X-B": null}});
    client.patch(&path, change).await.is_empty(204);
    let shown = json!({"headers": {"x-region": "us"}, "sensitive": ["Authorization"]});
    assert_eq!(client.get(&path).await.ok(200), shown, "what is left out stays");
    let change = json!({"headers": {}, "deleteHeaders": ["authorization", "X-REGION"]});
    client.patch(&path, change).await.is_empty(204);
    assert_eq!(client.get(&path).await.ok(200), none);
    client.put(&path, json!({"headers": {"Authorization": "x"}})).await.is_empty(204);
    client.put(&path, json!({"headers": {"X-A": "1"}})).await.is_empty(204);
    let shown = json!({"headers": {"X-A": "1"}, "sensitive": []});
    assert_eq!(client.get(&path).await.ok(200), shown, "all are replaced");

    for (body, loc) in [
        (json!({}), &["body", "headers"][..]),
        (json!({"headers": {"X-A": 1}}), &["body", "headers", "X-A"]),
        (json!({"headers": {"Host": "x"}}), &["body", "headers"]),
        (json!({"headers": {"a b": "x"}}), &["body", "headers"]),
        (json!({"headers": {"X-A": "a\r\nb"}}), &["body", "headers"]),
    ] {
        client.put(&path, body.clone()).await.fault(loc);
        client.patch(&path, body).await.fault(loc);
    }
    assert_eq!(client.get(&path).await.ok(200), shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_change_a_url_does_not_get_the_credential_of_it() {
    let service = service().await;
    let client = service.shop().await;
    let credential = json!({"headers": {"Authorization": "Bearer canary"}});
    receiver(&client, Consumer::Unchecked, credential).await;
    let access = client.post("/auth/app-portal-access/shop", json!({})).await.ok(200);
    let owner = service.client_with(access["token"].as_str().unwrap());
    let theirs = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let led_away = json!({"url": theirs.url()});
    for refused in [owner.patch(PATH, led_away.clone()).await, owner.put(PATH, led_away).await] {
        let words = refused.fault(&["body", "authentication"]);
        assert!(words.contains("give it again") && !refused.text.contains("canary"), "{words}");
    }
    owner.post(&format!("{PATH}/test"), json!({})).await.ok(200);
    assert_eq!(theirs.requests().len(), 0);
    let without = json!({"url": theirs.url(), "authentication": {"type": "none"}});
    assert_eq!(owner.patch(PATH, without).await.ok(200)["authentication"], "none");
    owner.post(&format!("{PATH}/test"), json!({})).await.ok(200);
    assert_eq!(header(&theirs.wait_for(1).await.unwrap()[0], "authorization"), None);
    let own = json!({"url": theirs.url().replace("127.0.0.1", "localhost"),
        "headers": {"Authorization": "Bearer own"}});
    assert_eq!(owner.put(PATH, own).await.ok(200)["authentication"], "header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_rotated_and_the_old_one_signs_for_the_grace() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, made) = receiver(&client, Consumer::Unchecked, json!({})).await;
    let shown = client.get(&format!("{PATH}/secret")).await.ok(200);
    assert_eq!(shown, json!({"key": made["secret"]}));
    let path = format!("{PATH}/secret/rotate");
    let rotated = client.post(&path, json!({})).await.ok(200);
    assert_eq!(members(&rotated), ["key"]);
    assert_ne!(rotated["key"], made["secret"]);
    assert_eq!(client.get(&format!("{PATH}/secret")).await.ok(200), rotated);
    let signatures = async |count: usize| {
        client.post(&format!("{PATH}/test"), json!({})).await.ok(200);
        let sent = receiver.wait_for(count).await.unwrap();
        header(&sent[count - 1], "webhook-signature").unwrap().split(' ').count()
    };
    assert_eq!(signatures(1).await, 2);
    service.advance(Duration::from_secs(86_400)).await;
    assert_eq!(signatures(2).await, 1, "a day is the default");
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let own = json!({"key": key, "gracePeriodSeconds": 0});
    assert_eq!(client.post(&path, own).await.ok(200), json!({"key": key}));
    assert_eq!(signatures(3).await, 1);
    for (body, loc) in [
        (json!({"gracePeriodSeconds": -1}), &["body", "gracePeriodSeconds"][..]),
        (json!({"gracePeriodSeconds": 604_801}), &["body", "gracePeriodSeconds"]),
        (json!({"key": 5}), &["body", "key"]),
        (json!({"key": "canary"}), &["body"]),
        (json!({"grace": 5}), &["body", "grace"]),
    ] {
        let refused = client.post(&path, body).await;
        refused.fault(loc);
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_its_provider_shows_once_is_shown_once() {
    let service = service().await;
    let client = service.shop().await;
    let (_receiver, made) = receiver(&client, Consumer::Yoco, json!({})).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let refused = client.get(&format!("{PATH}/secret")).await;
    refused.refused(409, "conflict");
    assert!(!refused.text.contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_answers_with_its_attempt_whatever_came_of_it() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, made) = receiver(&client, Consumer::TicketNation, json!({})).await;
    let path = format!("{PATH}/test");
    let attempt = client.post(&path, json!({})).await.ok(200);
    assert_eq!(
        members(&attempt),
        [
            "endpointId",
            "error",
            "id",
            "msgId",
            "msgIds",
            "number",
            "requestBody",
            "requestHeaders",
            "response",
            "responseDurationMs",
            "responseHeaders",
            "responseStatusCode",
            "status",
            "statusText",
            "timestamp",
            "trigger",
            "triggerType",
            "url",
            "webhookId",
        ]
    );
    assert_eq!((&attempt["status"], &attempt["statusText"]), (&json!(0), &json!("success")));
    assert_eq!((&attempt["triggerType"], &attempt["trigger"]), (&json!(1), &json!("test")));
    assert_eq!((&attempt["endpointId"], &attempt["number"]), (&made["id"], &json!(1)));
    assert_eq!((&attempt["url"], &attempt["error"]), (&json!(receiver.url()), &Value::Null));
    let sent = receiver.wait_for(1).await.unwrap();
    assert_eq!(attempt["requestBody"], String::from_utf8(sent[0].body.clone()).unwrap());
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body["isTest"], true);

    let set = json!({"eventType": body["event"], "set": {"canary.deep": 5}});
    client.post(&path, set).await.ok(200);
    let sent = receiver.wait_for(2).await.unwrap();
    let body: Value = serde_json::from_slice(&sent[1].body).unwrap();
    assert_eq!(body["data"]["canary"]["deep"], 5, "{body}");

    receiver.answer_next([Answer::status(500)]);
    let failed = client.post(&path, json!({})).await.ok(200);
    assert_eq!((&failed["status"], &failed["responseStatusCode"]), (&json!(2), &json!(500)));
    receiver.stop().await;
    let failed = client.post(&path, json!({})).await.ok(200);
    assert_eq!((&failed["status"], &failed["responseStatusCode"]), (&json!(2), &json!(0)));
    assert_eq!(members(&failed["error"]), ["detail", "kind", "meaning"]);
    assert_eq!(failed["error"]["kind"], "connection_refused");
    client.post(&path, json!({"eventType": 5})).await.fault(&["body", "eventType"]);
    client.post(&path, json!({"typo": 5})).await.fault(&["body", "typo"]);
}

async fn example(client: &Client, body: Value) -> Value {
    client.post(&format!("{PATH}/send-example"), body).await.ok(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_is_of_the_newest_schema() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, _) = receiver(&client, Consumer::Unchecked, json!({})).await;
    let ping = example(&client, json!({"eventType": "svix.ping"})).await;
    assert_eq!(
        (&ping["eventType"], &ping["payload"]),
        (&json!("svix.ping"), &json!({"success": true}))
    );
    assert!(ping["id"].as_str().unwrap().starts_with("msg_"));
    receiver.wait_for(1).await.unwrap();
    let schemas =
        json!({"9": {"examples": [{"v": 9}]}, "10": {"examples": [{"v": 10}, {"v": 11}]}});
    let described = json!({"name": "order.created", "description": "", "schemas": schemas});
    client.post("/event-type", described).await.ok(201);
    let first = example(&client, json!({"eventType": "order.created"})).await;
    assert_eq!(first["payload"], json!({"v": 10}));
    let second = example(&client, json!({"eventType": "order.created", "exampleIndex": 1})).await;
    assert_eq!(second["payload"], json!({"v": 11}));
    let sent = receiver.wait_for(3).await.unwrap();
    let body: Value = serde_json::from_slice(&sent[2].body).unwrap();
    assert_eq!(body["data"], json!({"v": 11}));
    let path = format!("{PATH}/send-example");
    let beyond = json!({"eventType": "order.created", "exampleIndex": 2});
    client.post(&path, beyond).await.fault(&["body", "exampleIndex"]);
    client.post(&path, json!({})).await.fault(&["body", "eventType"]);
    let unknown = client.post(&path, json!({"eventType": "no.such"})).await;
    assert!(matches!(unknown.status, 404 | 422), "{}", unknown.text);
    receiver.answer_always(Some(Answer::status(500)));
    example(&client, json!({"eventType": "svix.ping"})).await;
}

/// JSON that a parser would write in another way, or cannot hold.
const ODD: &str = r#"{"id":18446744073709551617, "a":10.00,"a":1e400,"text":"\u0041\ud800"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_set_and_examples_are_sent_as_they_are_written() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, _) = receiver(&client, Consumer::Unchecked, json!({})).await;
    let set = format!(r#"{{"set":{{"canary":{ODD},"canary.last":1E2}}}}"#);
    client.send_text(Method::POST, &format!("{PATH}/test"), &set).await.ok(200);
    let schemas = format!(r#"{{"1":{{"minimum":1e400,"examples":[{{}}, {ODD}]}}}}"#);
    let described = format!(r#"{{"name":"order.made","description":"","schemas":{schemas}}}"#);
    let described = client.send_text(Method::POST, "/event-type", &described).await;
    assert_eq!(described.status, 201, "{}", described.text);
    let path = format!("{PATH}/send-example");
    let wanted = json!({"eventType": "order.made", "exampleIndex": 1});
    let told = client.post(&path, wanted).await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert!(told.text.contains(&format!(r#""payload":{ODD}"#)), "{}", told.text);
    let sent = receiver.wait_for(2).await.unwrap();
    let with_last = format!(r#""canary":{},"last":1E2}}"#, ODD.trim_end_matches('}'));
    for (request, expected) in sent.iter().zip([with_last.as_str(), ODD]) {
        let body = std::str::from_utf8(&request.body).unwrap();
        assert!(body.contains(expected), "{body}");
    }

    let unreadable = r#"{"name":"order.odd","description":"","schemas":{"1":{"\ud800":1}}}"#;
    let unreadable = client.send_text(Method::POST, "/event-type", unreadable).await;
    assert_eq!(unreadable.status, 201, "{}", unreadable.text);
    let refused = client.post(&path, json!({"eventType": "order.odd"})).await;
    assert!(refused.fault(&["body", "eventType"]).contains("cannot be read"), "{}", refused.text);
}

/// Emits an order, and waits for what comes of it.
async fn order(service: &Service, client: &Client) {
    let body = json!({"eventType": "order.created", "payload": {}});
    client.post("/app/shop/msg", body).await.ok(202);
    service.engine.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_by_state_within_a_time() {
    let service = service().await;
    let client = service.shop().await;
    let (receiver, _) = receiver(&client, Consumer::Unchecked, json!({})).await;
    order(&service, &client).await;
    receiver.answer_next([Answer::status(500)]);
    order(&service, &client).await;
    client.post(&format!("{PATH}/disable"), json!({"reason": "x"})).await.ok(200);
    order(&service, &client).await;
    let path = format!("{PATH}/stats");
    let stats = client.get(&path).await.ok(200);
    let counted = json!({"success": 1, "pending": 1, "sending": 0, "fail": 0, "canceled": 1});
    let none = json!({"success": 0, "pending": 0, "sending": 0, "fail": 0, "canceled": 0});
    service.clock.advance(Duration::from_secs(1));
    for (query, expected) in [
        ("?since=2026-01-15T12:00:00Z&until=2026-01-15T12:00:01Z", &counted),
        ("?since=2026-01-15T14:00:00%2B02:00", &counted),
        ("?since=2026-01-15T14:00:00+02:00", &counted),
        ("?since=2026-01-15T12:00:01Z", &none),
        ("?until=2026-01-15T12:00:00Z", &none),
    ] {
        assert_eq!(&client.get(&format!("{path}{query}")).await.ok(200), expected, "{query}");
    }
    drop(stats);
    client.get(&format!("{path}?since=yesterday")).await.fault(&["query", "since"]);
    client.get(&format!("{path}?until=5")).await.fault(&["query", "until"]);
    let long = client.get(&format!("{path}?since=2025-01-01T00:00:00Z")).await;
    assert!(long.fault(&["query"]).contains("28"), "{}", long.text);
}
