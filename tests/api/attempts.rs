//! Attempts.

use crate::common::{each, members};
use crate::delivering::{Shop, refuses_bad_queries, shop, walked};
use hookwheel::simulate::receiver::Answer;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What Svix's clients know, and what is ours.
const MEMBERS: [&str; 19] = [
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
];
const TO_MAIN: &str = "/app/shop/attempt/endpoint/main";

/// An order that fails once with this answer and is then accepted.
async fn retried_order(shop: &Shop, answer: Answer) -> String {
    shop.receiver.answer_next([answer]);
    let id = shop.order(1).await;
    shop.service.advance(Duration::from_secs(30)).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_tells_what_was_sent_and_what_came_back() {
    let shop = shop().await;
    let endpoint = shop.client.get("/app/shop/endpoint/main").await.ok(200);
    let busy = Answer::status(503).header("X-Why", "busy").body("try later");
    let id = retried_order(&shop, busy).await;
    let list = shop.client.get(&format!("/app/shop/attempt/msg/{id}")).await.ok(200);
    let [second, first] = &list["data"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(members(first), MEMBERS);
    for (name, value) in [
        ("endpointId", endpoint["id"].clone()),
        ("msgId", json!(id)),
        ("msgIds", json!([id])),
        ("number", json!(1)),
        ("url", json!(shop.receiver.url())),
        ("response", json!("try later")),
        ("responseStatusCode", json!(503)),
        ("status", json!(2)),
        ("statusText", json!("fail")),
        ("trigger", json!("scheduled")),
        ("triggerType", json!(0)),
        ("timestamp", json!("2026-01-15T12:00:00.000000Z")),
        ("error", Value::Null),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
    assert!(first["id"].as_str().unwrap().starts_with("atmpt_"));
    assert!(first["responseDurationMs"].is_u64());
    let why = json!({"name": "x-why", "value": "busy"});
    assert!(first["responseHeaders"].as_array().unwrap().contains(&why), "{first}");
    let arrived = &shop.receiver.requests()[0];
    assert_eq!(first["requestBody"], std::str::from_utf8(&arrived.body).unwrap());
    let sent = first["requestHeaders"].as_array().unwrap();
    let signature = sent.iter().find(|held| held["name"] == "X-TN-Signature").unwrap();
    assert_eq!(signature["value"], arrived.header("x-tn-signature").unwrap());

    assert_eq!((&second["status"], &second["statusText"]), (&json!(0), &json!("success")));
    assert_eq!((&second["number"], &second["responseStatusCode"]), (&json!(2), &json!(200)));
    let path = format!("/app/shop/msg/{id}/attempt/{}", first["id"].as_str().unwrap());
    assert_eq!(&shop.client.get(&path).await.ok(200), first);
    assert_eq!(shop.client.get(TO_MAIN).await.ok(200)["data"], list["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_an_answer_says_why() {
    let shop = shop().await;
    let id = retried_order(&shop, Answer::close()).await;
    let list = shop.client.get(&format!("/app/shop/attempt/msg/{id}")).await.ok(200);
    let first = &list["data"][1];
    assert_eq!((&first["responseStatusCode"], &first["response"]), (&json!(0), &json!("")));
    assert_eq!(members(&first["error"]), ["detail", "kind", "meaning"]);
    assert_eq!(first["responseHeaders"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_attempts_and_tests_are_marked() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let resend = format!("/app/shop/msg/{id}/endpoint/main/resend");
    shop.client.post(&resend, json!({})).await.ok(202);
    shop.receiver.wait_for(2).await.unwrap();
    shop.service.engine.settle().await;
    shop.client.post("/app/shop/endpoint/main/test", json!({})).await.ok(200);
    let list = shop.client.get(TO_MAIN).await.ok(200);
    assert_eq!(each(&list, "trigger"), ["test", "manual", "scheduled"]);
    let types: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|held| &held["triggerType"]).collect();
    assert_eq!(types, [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_and_messages_are_in_the_answer_as_asked() {
    let shop = shop().await;
    shop.receiver.answer_next([Answer::status(200).body("thanks")]);
    let id = shop.order(1).await;
    for path in [TO_MAIN.to_owned(), format!("/app/shop/attempt/msg/{id}")] {
        let list = shop.client.get(&format!("{path}?with_content=false&with_msg=true")).await;
        let list = list.ok(200);
        let held = &list["data"][0];
        assert_eq!((&held["response"], &held["requestBody"]), (&json!(""), &json!("")));
        assert_eq!((&held["requestHeaders"], &held["responseHeaders"]), (&json!([]), &json!([])));
        let message = shop.client.get(&format!("/app/shop/msg/{id}?with_content=false")).await;
        assert_eq!(held["msg"], message.ok(200), "without its data");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_found_by_every_filter() {
    let shop = shop().await;
    shop.endpoint("copy", json!({"eventTypes": ["refund.*"]})).await;
    let message = |event_type: &str, channel: &str, tag: &str| json!({"eventType": event_type, "payload": {}, "channels": [channel], "tags": [tag]});
    let mut ids = Vec::new();
    for (answer, message) in [
        (Answer::status(200), message("order.created", "a", "x")),
        (Answer::status(404), message("order.paid", "b", "y")),
        (Answer::close(), message("order.closed", "a", "y")),
    ] {
        shop.receiver.answer_next([answer]);
        ids.push(shop.send(message).await);
        shop.service.advance(Duration::from_secs(10)).await;
    }
    for (query, expected) in [
        ("status=0", &[0][..]),
        ("status=2", &[2, 1]),
        ("status=1", &[]),
        ("status=3", &[]),
        ("status=4", &[]),
        ("status_code_class=200", &[0]),
        ("status_code_class=400", &[1]),
        ("status_code_class=0", &[2]),
        ("status_code_class=500", &[]),
        ("channel=a", &[2, 0]),
        ("tag=y", &[2, 1]),
        ("event_types=order.created,order.paid", &[1, 0]),
        ("event_types=order.*", &[2, 1, 0]),
        ("before=2026-01-15T12:00:20Z", &[1, 0]),
        ("after=2026-01-15T12:00:10Z", &[2, 1]),
        ("after=2026-01-15T12:00:10Z&before=2026-01-15T12:00:20Z&status=2", &[1]),
    ] {
        let found = shop.client.get(&format!("{TO_MAIN}?{query}")).await.ok(200);
        let expected: Vec<&str> = expected.iter().map(|at| ids[*at].as_str()).collect();
        assert_eq!(each(&found, "msgId"), expected, "{query}");
        // Those of one message are found by the same.
        let is_first = expected.contains(&ids[0].as_str());
        let path = format!("/app/shop/attempt/msg/{}?{query}", ids[0]);
        let found = shop.client.get(&path).await.ok(200);
        assert_eq!(each(&found, "msgId").len(), usize::from(is_first), "{query}");
    }
    let both = shop.send(message("refund.created", "a", "x")).await;
    for (endpoint, expected) in [("main", 1), ("copy", 1)] {
        let path = format!("/app/shop/attempt/msg/{both}?endpoint_id={endpoint}");
        assert_eq!(each(&shop.client.get(&path).await.ok(200), "id").len(), expected);
    }
    let path = format!("/app/shop/attempt/msg/{both}?endpoint_id=nobody");
    shop.client.get(&path).await.refused(404, "not_found");
    for path in [TO_MAIN.to_owned(), format!("/app/shop/attempt/msg/{both}")] {
        refuses_bad_queries(&shop.client, &path, true).await;
        for (name, bad) in [
            ("status", "5"),
            ("status", "x"),
            ("status_code_class", "250"),
            ("event_types", "a%20b"),
            ("with_content", "x"),
        ] {
            let answered = shop.client.get(&format!("{path}?{name}={bad}")).await;
            answered.fault(&["query", name]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_walked_both_ways_while_new_ones_are_made() {
    let shop = shop().await;
    for number in 0..6 {
        shop.order(number).await;
    }
    let id = shop.order(6).await;
    walked(&shop.client, TO_MAIN, async || drop(shop.order(100).await)).await;
    let resend = format!("/app/shop/msg/{id}/endpoint/main/resend");
    let again = async || {
        shop.client.post(&resend, json!({})).await.ok(202);
        let before = shop.receiver.requests().len();
        shop.service.engine.settle().await;
        shop.receiver.wait_for(before).await.unwrap();
    };
    for _ in 0..6 {
        again().await;
    }
    walked(&shop.client, &format!("/app/shop/attempt/msg/{id}"), again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempts_content_is_removed_for_good() {
    let shop = shop().await;
    shop.receiver.answer_next([Answer::status(200).body("thanks")]);
    let id = shop.order(1).await;
    let list = shop.client.get(TO_MAIN).await.ok(200);
    let path = format!("/app/shop/msg/{id}/attempt/{}", list["data"][0]["id"].as_str().unwrap());
    shop.client.delete(&format!("{path}/content")).await.is_empty(204);
    shop.client.delete(&format!("{path}/content")).await.is_empty(204);
    let shown = shop.client.get(&path).await.ok(200);
    assert_eq!((&shown["requestBody"], &shown["response"]), (&json!(""), &json!("")));
    assert_eq!(shown["responseStatusCode"], 200, "that it was there stays");
    let message = shop.client.get(&format!("/app/shop/msg/{id}")).await.ok(200);
    assert_eq!(message["payload"], json!({"orderId": 1}), "the message keeps its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_their_applications_alone() {
    let shop = shop().await;
    let (id, second) = (shop.order(1).await, shop.order(2).await);
    let list = shop.client.get(TO_MAIN).await.ok(200);
    let attempt = list["data"][1]["id"].as_str().unwrap();
    let one = format!("/app/shop/msg/{id}/attempt/{attempt}");
    shop.is_guarded(Method::GET, TO_MAIN, Value::Null, true).await;
    shop.is_guarded(Method::GET, &format!("/app/shop/attempt/msg/{id}"), Value::Null, true).await;
    shop.is_guarded(Method::GET, &one, Value::Null, true).await;
    shop.is_guarded(Method::DELETE, &format!("{one}/content"), Value::Null, false).await;
    for path in [
        format!("/app/other/msg/{id}/attempt/{attempt}"),
        format!("/app/shop/msg/{second}/attempt/{attempt}"),
        format!("/app/shop/msg/{id}/attempt/atmpt_nothing"),
        format!("/app/shop/msg/{id}/attempt/{}", id.replace("msg_", "atmpt_")),
        "/app/shop/attempt/endpoint/nobody".to_owned(),
        "/app/other/attempt/endpoint/main".to_owned(),
        format!("/app/other/attempt/msg/{id}"),
    ] {
        shop.client.get(&path).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_drive_a_terminal_is_escaped() {
    let shop = shop().await;
    let body = b"\x1b]0;mine\x07\0\xff\x7f\xc2\x9b31m\xe2\x80\xae";
    shop.receiver
        .answer_always(Some(Answer::status(200).header("X-A", "\u{202e}").body(&body[..])));
    shop.order(1).await;
    let list = shop.client.get(TO_MAIN).await;
    assert!(!list.text.contains(hookwheel::model::is_unseen), "{:?}", list.text);
    let attempt = &list.json["data"][0];
    assert_eq!(attempt["response"], "\u{1b}]0;mine\u{7}\0\u{fffd}\u{7f}\u{9b}31m\u{202e}");
    let header = json!({"name": "x-a", "value": "\u{202e}"});
    assert!(attempt["responseHeaders"].as_array().unwrap().contains(&header), "{attempt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_beyond_what_is_kept_are_left_out_and_it_is_told() {
    let shop = shop().await;
    // Twice as many bytes as letters, and on their way no more than a head may have.
    let answer = Answer::status(200).header("X-Long", "é".repeat(5000)).header("X-Short", "1");
    shop.receiver.answer_always(Some(answer));
    shop.order(1).await;
    let list = shop.client.get(TO_MAIN).await.ok(200);
    let attempt = &list["data"][0];
    let headers = attempt["responseHeaders"].as_array().unwrap();
    let has = |name: &str| headers.iter().any(|header| header["name"] == name);
    assert!(has("x-short") && !has("x-long"), "{attempt}");
    assert_eq!(
        (&attempt["statusText"], &attempt["error"]["kind"]),
        (&json!("success"), &json!("answer_too_long"))
    );
    let detail = attempt["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("8192 bytes"), "{detail}");
}
